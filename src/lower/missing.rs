//! Values that may be missing: `target age: f32[batch]?`.
//!
//! A sample's value is missing when any element of it is. The graph never computes with the marks of missing data (NaN,
//! the least i32): a leaf is filled where it is missing, and a mask `bool[batch]` goes with every value that depends on
//! it. The mask takes effect where samples meet: in a sum or mean over `batch`, which counts only those that are there.
//! So neither a value nor a gradient is NaN, and a missing sample's gradient is exactly zero.
//!
//! The filler is ½ for floats and 0 for ints: `log(t)`, `log(1 - t)`, `1/t` and `sqrt(t)` and their derivatives
//! are finite there, so that a derivative times the zero of a missing sample is zero and not NaN.

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Which};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Builder, DType, MISSING_INT, NodeId, TensorType};
use crate::ops::{self, Along, Op, Types};

/// What stands for a missing float inside the graph.
const FILLER: f64 = 0.5;

/// What an op does with operands that may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The samples stay apart: the result is missing where an operand is.
    Keep,
    /// The samples are summed: missing ones count as zero.
    SumSamples,
    /// The samples meet in another way.
    Refuse,
}

impl Emitter<'_> {
    /// Fills a leaf that may be missing and notes its mask.
    pub(super) fn fill_leaf(&mut self, frame: &Frame, leaf: TensorValue, span: Span) -> TensorValue {
        let ty = self.ty(leaf).clone();
        let mut b = self.builder(frame, span);
        let is_missing = match ty.dtype {
            DType::F32 => {
                // Only NaN differs from itself.
                let equal = b.emit(ops::Equal, &[leaf.node, leaf.node]);
                b.emit(ops::Not, &[equal])
            }
            _ => {
                let mark = b.constant_like(f64::from(MISSING_INT), leaf.node);
                b.emit(ops::Equal, &[leaf.node, mark])
            }
        };
        let count = b.emit(ops::Cast { to: DType::F32 }, &[is_missing]);
        let axes: Vec<usize> = (1..ty.rank()).collect();
        let count = b.sum(count, &axes);
        let zero = b.zeros_like(count);
        let mask = b.emit(ops::Equal, &[count, zero]);
        let filler = if ty.is_float() { FILLER } else { 0.0 };
        let filled = select_rows(&mut b, mask, leaf.node, filler);
        let filled = TensorValue { node: filled, which: Which::Step };
        self.set_mask(filled, mask);
        filled
    }

    /// The value with `filler` where it is missing; no longer missing anywhere.
    pub(super) fn filled(&mut self, frame: &Frame, tensor: TensorValue, filler: f64, span: Span) -> TensorValue {
        let Some(mask) = self.mask(tensor) else { return tensor };
        let node = select_rows(&mut self.builder(frame, span), mask, tensor.node, filler);
        TensorValue { node, which: tensor.which }
    }

    /// Adds a node some of whose operands may be missing.
    pub(super) fn add_masked(
        &mut self,
        frame: &Frame,
        span: Span,
        op: Op,
        operands: &[TensorValue],
    ) -> Lowered<TensorValue> {
        match self.rule(&op, operands) {
            Rule::Keep => {
                let result = self.add_plain(frame, span, op, operands)?;
                let masks: Vec<NodeId> = operands.iter().filter_map(|operand| self.mask(*operand)).collect();
                if let Some(mask) = self.all_of(frame, &masks, span) {
                    self.set_mask(result, mask);
                }
                Ok(result)
            }
            Rule::SumSamples => {
                let filled: Vec<TensorValue> =
                    operands.iter().map(|operand| self.filled(frame, *operand, 0.0, span)).collect();
                self.add_plain(frame, span, op, &filled)
            }
            Rule::Refuse => Err(self.report(
                Diagnostic::error(Code::E0404, format!("`{}` mixes samples, and some are missing", op.name()))
                    .at(span, "a value that may be missing")
                    .with_help("sums and means over `batch` leave missing samples out; for others say what stands for them: `fill_missing(x, value)`"),
            )),
        }
    }

    /// What the op does, judged by where the samples of its masked operands go. An op that cannot take the operands fits any
    /// rule: adding it fails.
    fn rule(&self, op: &Op, operands: &[TensorValue]) -> Rule {
        let types: Vec<&TensorType> = operands.iter().map(|operand| self.ty(*operand)).collect();
        let Ok(result) = op.infer(&types) else { return Rule::Keep };
        let locality = op.locality(Types { operands: &types, result: &result });
        let has_samples = result.shape.first().is_some_and(crate::ir::Dim::is_batch);
        let mut rule = None;
        for slot in (0..operands.len()).filter(|slot| self.mask(operands[*slot]).is_some()) {
            let next = match locality.along(slot, 0) {
                Along::Apart(0) if has_samples => Rule::Keep,
                Along::Added => Rule::SumSamples,
                Along::Apart(_) | Along::Mixed => Rule::Refuse,
            };
            rule = match rule {
                Some(rule) if rule != next => return Rule::Refuse,
                _ => Some(next),
            };
        }
        rule.unwrap_or(Rule::Keep)
    }

    pub(super) fn all_of(&mut self, frame: &Frame, masks: &[NodeId], span: Span) -> Option<NodeId> {
        let mut distinct: Vec<NodeId> = masks.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut b = self.builder(frame, span);
        distinct.into_iter().reduce(|all, mask| b.emit(ops::And, &[all, mask]))
    }

    /// The mean over axes; over `batch` it is that of the samples that are there, 0 when none is.
    pub(super) fn mean(&mut self, frame: &Frame, x: TensorValue, axes: &[usize], span: Span) -> TensorValue {
        let which = x.which;
        let Some(mask) = self.mask(x) else {
            let node = self.builder(frame, span).mean(x.node, axes);
            return TensorValue { node, which };
        };
        let rest: Vec<usize> = axes.iter().copied().filter(|axis| *axis != 0).collect();
        let mut b = self.builder(frame, span);
        let mut node = b.mean(x.node, &rest);
        if !axes.contains(&0) {
            self.set_mask(TensorValue { node, which }, mask);
            return TensorValue { node, which };
        }
        let present = select_rows(&mut b, mask, node, 0.0);
        node = b.sum(present, &[0]);
        let count = count(&mut b, mask);
        let one = b.constant_like(1.0, count);
        let at_least_one = b.emit(ops::Max, &[count, one]);
        let shape = b.shape(node).to_vec();
        let divisor = b.splat(at_least_one, &shape);
        node = b.div(node, divisor);
        TensorValue { node, which }
    }

    /// The number of samples for which a value is there, as `f32`.
    pub(super) fn sample_weight(&mut self, frame: &Frame, tensor: TensorValue, span: Span) -> Option<NodeId> {
        let mask = self.mask(tensor)?;
        Some(count(&mut self.builder(frame, span), mask))
    }
}

/// `x` where the mask of its sample holds, else `filler`.
fn select_rows(b: &mut Builder<'_>, mask: NodeId, x: NodeId, filler: f64) -> NodeId {
    let shape = b.shape(x).to_vec();
    let mask = b.broadcast(mask, &shape, &[0]);
    let filler = b.constant_like(filler, x);
    b.select(mask, x, filler)
}

fn count(b: &mut Builder<'_>, mask: NodeId) -> NodeId {
    debug_assert!(b.ty(mask).is_per_sample(), "internal: a mask has one entry a sample");
    let ones = b.emit(ops::Cast { to: DType::F32 }, &[mask]);
    b.sum(ones, &[0])
}
