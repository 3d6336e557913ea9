//! Reductions, products, and values along an axis.

use super::Lowering;
use super::op::whole;
use super::proto::{Attribute, INDEX_TYPE};
use super::scope::{Refused, Value};
use crate::ir::{DType, TensorType};
use crate::ops::{CumulativeSum, MatMul};

type Lowered = Result<Value, Refused>;

impl Lowering<'_> {
    /// A reduction, in the layout that the operand has.
    pub(super) fn reduce(&mut self, op: &'static str, axes: &[usize], operands: &[Value], ty: &TensorType) -> Lowered {
        // No axes mean all of them to ONNX.
        if axes.is_empty() {
            return match op {
                "ReduceLogSumExp" | "ReduceSum" | "ReduceProd" | "ReduceMax" => Ok(operands[0].clone()),
                _ => Err(Refused(format!("{op} over no axis"))),
            };
        }
        let x = &operands[0];
        let layout: Vec<usize> =
            if x.layout.len() == x.ty.rank() { x.layout.clone() } else { (0..x.ty.rank()).collect() };
        let tensor = self.scopes.tensor(x, &layout, true)?;
        let places: Vec<i64> =
            layout.iter().enumerate().filter(|(_, axis)| axes.contains(axis)).map(|(at, _)| at as i64).collect();
        let kept = layout.iter().filter(|axis| !axes.contains(axis));
        let layout = kept.map(|axis| axis - axes.iter().filter(|gone| *gone < axis).count()).collect();
        let places = self.scopes.indices(&places);
        let name = self.scopes.node(op, &[&tensor, &places], &[("keepdims", Attribute::Int(0))]);
        Ok(Value { layout, ..whole(&name, ty) })
    }

    pub(super) fn argmax(&mut self, axis: usize, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = self.scopes.plain(&operands[0])?;
        let attributes = [
            ("axis", Attribute::Int(axis as i64)),
            ("keepdims", Attribute::Int(0)),
            ("select_last_index", Attribute::Int(0)),
        ];
        let found = self.scopes.node("ArgMax", &[&x], &attributes);
        Ok(whole(&self.scopes.cast_to(&found, DType::I32), ty))
    }

    pub(super) fn cumulative_sum(&mut self, op: &CumulativeSum, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = self.scopes.plain(&operands[0])?;
        let axis = self.scopes.index(op.axis as i64);
        let flags = [
            ("exclusive", Attribute::Int(i64::from(op.exclusive))),
            ("reverse", Attribute::Int(i64::from(op.reverse))),
        ];
        Ok(whole(&self.scopes.node("CumSum", &[&x, &axis], &flags), ty))
    }

    /// An operator along one axis that keeps the shape.
    pub(super) fn along(&mut self, op: &'static str, axis: usize, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = self.scopes.plain(&operands[0])?;
        Ok(whole(&self.scopes.node(op, &[&x], &[("axis", Attribute::Int(axis as i64))]), ty))
    }

    /// The elements in order along an axis, and the order. At a tie the lower index comes first; NaN stand last, which `TopK` has
    /// first when it descends.
    pub(super) fn sorted(
        &mut self,
        axis: usize,
        descending: bool,
        operands: &[Value],
        ty: &TensorType,
    ) -> Result<(Value, Value), Refused> {
        let x = self.scopes.plain(&operands[0])?;
        let place = axis as i64;
        let mut keys = x.clone();
        if descending && operands[0].ty.is_float() {
            let is_nan = self.scopes.node("IsNaN", &[&x], &[]);
            let least = self.scopes.float(f32::NEG_INFINITY);
            keys = self.scopes.node("Where", &[&is_nan, &least, &x], &[]);
        }
        let extent =
            self.scopes.node("Shape", &[&x], &[("start", Attribute::Int(place)), ("end", Attribute::Int(place + 1))]);
        let attributes = [
            ("axis", Attribute::Int(place)),
            ("largest", Attribute::Int(i64::from(descending))),
            ("sorted", Attribute::Int(1)),
        ];
        let found = self.scopes.nodes("TopK", &[&keys, &extent], &attributes, 2);
        let sorted = self.scopes.node("GatherElements", &[&x, &found[1]], &[("axis", Attribute::Int(place))]);
        let order = self.scopes.cast_to(&found[1], DType::I32);
        Ok((whole(&sorted, ty), whole(&order, ty)))
    }

    pub(super) fn matmul(&mut self, op: &MatMul, operands: &[Value], ty: &TensorType) -> Lowered {
        let mut tensors = Vec::new();
        for (operand, is_turned) in operands.iter().zip([op.transpose_x, op.transpose_y]) {
            let mut layout: Vec<usize> = (0..operand.ty.rank()).collect();
            if is_turned {
                let last = layout.len() - 1;
                layout.swap(last - 1, last);
            }
            tensors.push(self.scopes.tensor(operand, &layout, true)?);
        }
        Ok(whole(&self.scopes.node("MatMul", &[&tensors[0], &tensors[1]], &[]), ty))
    }

    /// Indices as ONNX takes them, those outside of `0..extent` exchanged for `instead`, and which are inside.
    pub(super) fn inside(&mut self, indices: &str, extent: &str, instead: &str) -> (String, String) {
        let indices = self.scopes.cast(indices, INDEX_TYPE);
        let zero = self.scopes.index(0);
        let is_low = self.scopes.node("GreaterOrEqual", &[&indices, &zero], &[]);
        let is_high = self.scopes.node("Less", &[&indices, extent], &[]);
        let is_inside = self.scopes.node("And", &[&is_low, &is_high], &[]);
        (self.scopes.node("Where", &[&is_inside, &indices, instead], &[]), is_inside)
    }
}
