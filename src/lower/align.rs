//! The alignment rule of element-wise operands.
//!
//! Shapes are equal; or one is a scalar; or they align at the trailing axes, where an operand may have fewer axes, and an
//! extent of 1 aligns with any. Where two of different rank would align without that 1, it was left over: `[batch, 1]` against
//! `[batch]` is an error and never a `[batch, batch]` matrix.

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, Shape, TensorType, show_shape};
use crate::ops::{self, Broadcast, Op, Reshape};

impl Emitter<'_> {
    /// Operands as tensors of one shape and element type.
    pub(super) fn align(
        &mut self,
        frame: &Frame,
        verb: &str,
        operands: Vec<(Value, Span)>,
        span: Span,
    ) -> Lowered<Vec<TensorValue>> {
        let integers =
            operands.iter().any(|(value, _)| matches!(value, Value::Tensor(t) if self.ty(*t).dtype == DType::I32));
        let is_float = |value: &Value| match value {
            Value::Tensor(tensor) => self.ty(*tensor).is_float(),
            Value::Number { is_integer, .. } => !is_integer,
            _ => false,
        };
        let floats = operands.iter().any(|(value, _)| is_float(value));
        let mut tensors = Vec::with_capacity(operands.len());
        for (value, at) in operands {
            // An int beside tensors of ints is one of them, and so is a list of ints.
            let wanted = if integers && !floats { DType::I32 } else { DType::F32 };
            let mut tensor = self.to_tensor_of(frame, value, wanted, at)?;
            // One int beside floats, such as the clock, is a float.
            if floats && self.ty(tensor).dtype == DType::I32 && self.ty(tensor).is_scalar() {
                tensor = self.add(frame, at, ops::Cast { to: DType::F32 }, &[tensor])?;
            }
            tensors.push((tensor, at));
        }
        let mut shape: Shape = self.ty(tensors[0].0).shape.clone();
        for i in 1..tensors.len() {
            let other = self.ty(tensors[i].0).shape.clone();
            match aligned_shape(&shape, &other) {
                Some(result) => shape = result,
                None => return Err(self.shape_mismatch(verb, tensors[i - 1], tensors[i], span)),
            }
        }
        tensors.into_iter().map(|(tensor, at)| self.expand(frame, tensor, &shape, at)).collect()
    }

    fn shape_mismatch(
        &mut self,
        verb: &str,
        left: (TensorValue, Span),
        right: (TensorValue, Span),
        span: Span,
    ) -> super::Reported {
        let (a, b) = (self.ty(left.0).clone(), self.ty(right.0).clone());
        let mut finding = Diagnostic::error(
            Code::E0301,
            format!("cannot {verb} {} and {}", self.graphs.shape_text(left.0), self.graphs.shape_text(right.0)),
        )
        .at(span, "these shapes do not align")
        .with_label(left.1, a.to_string())
        .with_label(right.1, b.to_string());
        if a.rank() != b.rank() {
            finding = finding.with_note("shapes align at their trailing axes, where a 1 aligns with any extent");
        }
        let (long, short) = if a.rank() > b.rank() { (left.0, right.0) } else { (right.0, left.0) };
        if let Some(help) = self.one_axis_more(long, short) {
            finding = finding.with_help(help);
        }
        self.report(finding)
    }

    /// What to write where one operand has an axis behind those of the other.
    fn one_axis_more(&self, long: TensorValue, short: TensorValue) -> Option<String> {
        let (long_ty, short_ty) = (self.ty(long), self.ty(short));
        let (last, rows) = long_ty.shape.split_last()?;
        if rows.len() != short_ty.rank() {
            return None;
        }
        if last.is_one() {
            let part = |tensor: TensorValue, part: &str| match self.graphs.data_name(tensor) {
                Some((_, name)) => format!("`{name}{part}`"),
                None => format!("`{part}` after {}", show_shape(&self.ty(tensor).shape)),
            };
            let (dropped, added) = (part(long, "[..., 0]"), part(short, "[..., none]"));
            return Some(format!("say which is meant: {dropped} drops its axis of extent 1, {added} adds one"));
        }
        let (_, name) =
            self.graphs.data_name(short).filter(|_| short_ty.dtype == DType::I32 && rows == short_ty.shape)?;
        let rows = format!("`one_hot({name}, {last})` has a row of 0 and one 1 for each of them");
        Some(format!("`{name}` holds ints: {rows}, and `sparse_categorical_crossentropy` takes labels as they are"))
    }

    /// A tensor repeated to a shape it aligns with.
    pub(super) fn expand(
        &mut self,
        frame: &Frame,
        tensor: TensorValue,
        shape: &Shape,
        span: Span,
    ) -> Lowered<TensorValue> {
        let from = self.ty(tensor).shape.clone();
        if from == *shape {
            return Ok(tensor);
        }
        if let Op::Constant(constant) = self.current().op(tensor.node) {
            let (value, ty) = (constant.value.0, TensorType::new(constant.ty.dtype, shape.clone()));
            return Ok(self.constant(frame, span, value, &ty));
        }
        let offset = shape.len() - from.len();
        let axes: Vec<usize> = (0..from.len()).filter(|i| from[*i] == shape[i + offset]).map(|i| i + offset).collect();
        let kept: Shape = axes.iter().map(|axis| shape[*axis].clone()).collect();
        let squeezed =
            if kept.len() == from.len() { tensor } else { self.add(frame, span, Reshape { shape: kept }, &[tensor])? };
        self.add(frame, span, Broadcast { shape: shape.clone(), axes }, &[squeezed])
    }
}

/// The common shape of two operands, by the alignment rule.
pub(super) fn aligned_shape(a: &[Dim], b: &[Dim]) -> Option<Shape> {
    if a.is_empty() || b.is_empty() {
        return Some(if a.is_empty() { b.to_vec() } else { a.to_vec() });
    }
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let offset = long.len() - short.len();
    let mut shape = long.to_vec();
    let mut grown = Vec::new();
    for (axis, dim) in (offset..).zip(short) {
        if *dim == long[axis] || dim.is_one() {
            continue;
        }
        if !long[axis].is_one() {
            return None;
        }
        shape[axis] = dim.clone();
        grown.push(axis);
    }
    // Where the two align without the written 1, it was left over: `[batch, 1]` against `[batch]`.
    let kept: Vec<&Dim> = (0..long.len()).filter(|axis| !grown.contains(axis)).map(|axis| &long[axis]).collect();
    let fits = |(dim, other): (&Dim, &&Dim)| dim == *other || dim.is_one();
    let is_left_over = offset > 0
        && !grown.is_empty()
        && kept.len() >= short.len()
        && short.iter().rev().zip(kept.iter().rev()).all(fits);
    if is_left_over { None } else { Some(shape) }
}

#[cfg(test)]
mod tests {
    use super::{Dim, aligned_shape};
    use crate::ir::show_shape;
    use proptest::prelude::*;

    fn dim(text: &str) -> Dim {
        match text {
            "batch" => Dim::batch(),
            text => text.parse().map_or_else(|_| Dim::symbol(text), Dim::known),
        }
    }

    fn shape(text: &str) -> Vec<Dim> {
        text.split_whitespace().map(dim).collect()
    }

    #[test]
    fn shapes_align_at_trailing_axes_and_by_ones() {
        for (a, b, wanted) in [
            ("batch 3", "3", Some("batch 3")),
            ("batch 3", "", Some("batch 3")),
            ("batch 3", "1 3", Some("batch 3")),
            ("batch 4 4 3", "1 1 3", Some("batch 4 4 3")),
            ("batch 1", "1 batch", Some("batch batch")),
            ("batch T 1", "3", Some("batch T 3")),
            ("batch T 1", "1 3", Some("batch T 3")),
            ("batch 3", "4", None),
            ("batch 1", "batch", None),
            ("4 1", "4", None),
            ("batch T 1", "T", None),
            ("batch 3 1", "batch 3", None),
            ("batch T", "batch", None),
        ] {
            let found = aligned_shape(&shape(a), &shape(b));
            assert_eq!(
                found.as_deref().map(show_shape),
                wanted.map(|text| show_shape(&shape(text))),
                "[{a}] and [{b}]"
            );
        }
    }

    proptest! {
        /// Whatever aligns does so either way round, and as NumPy says.
        #[test]
        fn alignment_is_that_of_numpy_or_none(a in shapes(), b in shapes()) {
            let (one, other) = (aligned_shape(&a, &b), aligned_shape(&b, &a));
            prop_assert_eq!(&one, &other);
            if let Some(found) = one {
                prop_assert_eq!(found.len(), a.len().max(b.len()));
                for at in 0..found.len() {
                    let of = |shape: &[Dim]| shape.iter().rev().nth(at).cloned().unwrap_or(Dim::known(1));
                    let (x, y, z) = (of(&a), of(&b), of(&found));
                    let wanted = if x.is_one() { &y } else { &x };
                    prop_assert_eq!(&z, wanted);
                    prop_assert!(x == y || x.is_one() || y.is_one());
                }
            }
        }
    }

    fn shapes() -> impl Strategy<Value = Vec<Dim>> {
        proptest::collection::vec(prop_oneof![Just("batch"), Just("T"), Just("1"), Just("3")].prop_map(dim), 0..4)
    }
}
