//! What a loss is, and its mean over a batch.

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::Dim;
use std::sync::Arc;

impl Emitter<'_> {
    /// A loss is one number per sample or one number.
    pub(super) fn check_loss(&mut self, tensor: TensorValue, name: &Arc<str>, span: Span) -> Lowered<()> {
        let ty = self.ty(tensor).clone();
        if !ty.is_float() {
            return Err(self.report(
                Diagnostic::error(Code::E0405, format!("loss `{name}` is {ty}, not f32"))
                    .at(span, "a loss is a number")
                    .with_help("convert with `f32(x)`; `i32` and `bool` have no gradient"),
            ));
        }
        if ty.is_scalar() || ty.is_per_sample() {
            return Ok(());
        }
        let mut finding = Diagnostic::error(Code::E0405, format!("loss `{name}` is {ty}"))
            .at(span, "expected `f32[batch]`, one number per sample, or `f32`");
        finding = if ty.shape.first().is_some_and(Dim::is_batch) {
            let axes: Vec<usize> = (1..ty.rank()).collect();
            finding.with_help(format!("reduce the other axes: `|> mean(axes={axes:?})` or `|> sum(axes={axes:?})`"))
        } else {
            finding.with_help("reduce all axes: `|> mean()` or `|> sum()`")
        };
        Err(self.report(finding))
    }

    pub(super) fn batch_mean(&mut self, frame: &Frame, tensor: TensorValue, span: Span) -> TensorValue {
        if self.ty(tensor).is_scalar() {
            return tensor;
        }
        self.mean(frame, tensor, &[0], span)
    }
}
