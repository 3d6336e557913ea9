//! Products of matrices: `x @ y`.

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{TensorType, show_shape};
use crate::ops::{self, Reshape};

impl Emitter<'_> {
    /// `x @ y`: products over the last axis of `x` and the first (for a batch of matrices the second-last) of `y`.
    pub(super) fn matmul(
        &mut self,
        frame: &Frame,
        left: (Value, Span),
        right: (Value, Span),
        span: Span,
    ) -> Lowered<TensorValue> {
        let x = self.to_tensor(frame, left.0, left.1)?;
        let y = self.to_tensor(frame, right.0, right.1)?;
        let (x_ty, y_ty) = (self.ty(x).clone(), self.ty(y).clone());
        if x_ty.rank() > 2 && y_ty.rank() == 2 {
            // Leading axes of x are rows alike.
            let rows = crate::ir::element_count(&x_ty.shape[..x_ty.rank() - 1]);
            let (Some(rows), Some(inner)) = (rows, x_ty.shape.last()) else {
                return Err(self.error(Code::E0701, span, "the product has too many rows", "too large"));
            };
            let flat = self.add(frame, left.1, Reshape { shape: vec![rows, inner.clone()] }, &[x])?;
            if *inner != y_ty.shape[0] {
                return Err(self.matmul_mismatch(&x_ty, &y_ty, left.1, right.1, span));
            }
            let product = self.add(frame, span, ops::MatMul::default(), &[flat, y])?;
            let mut shape = x_ty.shape[..x_ty.rank() - 1].to_vec();
            shape.push(y_ty.shape[1].clone());
            return self.add(frame, span, Reshape { shape }, &[product]);
        }
        let rank = x_ty.rank();
        if rank < 2
            || y_ty.rank() != rank
            || x_ty.shape[..rank - 2] != y_ty.shape[..rank - 2]
            || x_ty.shape[rank - 1] != y_ty.shape[rank - 2]
        {
            return Err(self.matmul_mismatch(&x_ty, &y_ty, left.1, right.1, span));
        }
        self.add(frame, span, ops::MatMul::default(), &[x, y])
    }

    fn matmul_mismatch(
        &mut self,
        x: &TensorType,
        y: &TensorType,
        left: Span,
        right: Span,
        span: Span,
    ) -> super::Reported {
        self.report(
            Diagnostic::error(
                Code::E0301,
                format!("cannot multiply matrices {} and {}", show_shape(&x.shape), show_shape(&y.shape)),
            )
            .at(span, "`@` contracts the last axis of the left side with the first of the right side's matrix")
            .with_label(left, x.to_string())
            .with_label(right, y.to_string()),
        )
    }
}
