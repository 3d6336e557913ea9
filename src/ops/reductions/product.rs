//! `y = Π x` over axes, which go away.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) axes in range, distinct, ascending; (C2) the number of
//! elements multiplied together is within the limits.
//! Gradient: `g` times the product of the *other* elements, as the product of those before by the product of those behind
//! (two `linear_recurrence`s). Nothing is divided, so zeros in `x` are no special case, in derivatives of any order.
//! Numerics: an empty product is 1.

use super::sum::drop_axes;
use crate::ops::along::linear_recurrence::{LinearRecurrence, shift};
use crate::ops::prelude::*;
use crate::ops::tensor::map_groups;
use crate::ops::{Cast, Constant, Equal, Iota, Reverse, Transpose};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Product {
    pub axes: Vec<usize>,
}

impl Product {
    /// For each element of `x`, the product of the others of its group.
    fn others(&self, b: &mut Builder<'_>, x: NodeId) -> NodeId {
        let ty = b.ty(x).clone();
        let mut permutation: Vec<usize> = (0..ty.rank()).filter(|axis| !self.axes.contains(axis)).collect();
        let n_kept = permutation.len();
        permutation.extend(&self.axes);
        let grouped = b.transpose(x, &permutation);
        let shape = b.shape(grouped).to_vec();
        let mut flat = shape.clone();
        let count = element_count(&flat.split_off(n_kept)).expect("internal: (C2) holds");
        flat.push(count);
        let grouped = b.reshape(grouped, flat);
        let before = product_before(b, grouped, n_kept, false);
        let behind = product_before(b, grouped, n_kept, true);
        let others = b.mul(before, behind);
        let others = b.reshape(others, shape);
        b.transpose(others, &Transpose { permutation }.inverse())
    }
}

/// The product of the elements that stand before each along the axis, behind it when `reverse`; 1 for the first.
fn product_before(b: &mut Builder<'_>, x: NodeId, axis: usize, reverse: bool) -> NodeId {
    let factors = shift(b, x, axis, reverse);
    let ty = TensorType::new(DType::I32, b.shape(x).to_vec());
    let position = b.emit(Iota { axis, ty: ty.clone() }, &[]);
    let zero = b.emit(Constant { value: Scalar(0.0), ty }, &[]);
    let first = b.emit(Equal, &[position, zero]);
    let first = b.emit(Cast { to: DType::F32 }, &[first]);
    let first = if reverse { b.emit(Reverse { axes: vec![axis] }, &[first]) } else { first };
    b.emit(LinearRecurrence { axis, reverse }, &[factors, first])
}

impl Primitive for Product {
    const NAME: &'static str = "product";
    primitive!(differentiable, of_axes, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let x = one_float(Self::NAME, operands)?;
        check_axes(Self::NAME, &self.axes, x.rank())?;
        let reduced: Vec<_> = self.axes.iter().map(|axis| x.shape[*axis].clone()).collect();
        if element_count(&reduced).and_then(|count| count.offset(1)).is_none() {
            return Err(OpError::limit(format!(
                "a product over axes {:?} of {x} has too many elements (C2)",
                self.axes
            )));
        }
        Ok(drop_axes(x, &self.axes))
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let others = self.others(b, site.operands[0]);
        let shape = b.shape(site.operands[0]).to_vec();
        let cotangent = b.unreduce(cotangent, &shape, &self.axes);
        b.mul(cotangent, others)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let others = self.others(b, site.operands[0]);
        let weighted = b.mul(tangent, others);
        b.sum(weighted, &self.axes)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let multiply = |group: &[T]| group.iter().fold(T::one(), |product, x| product * *x);
        Tensor::Float(map_groups(operands[0].float(), &self.axes, multiply))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::reduced(types, &self.axes, Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let factor = ranges.of(0);
        [Interval::UNIT, Interval::SIGNED_UNIT, Interval::NOT_NEGATIVE]
            .into_iter()
            .find(|bounds| factor.low >= bounds.low && factor.high <= bounds.high)
            .unwrap_or(Interval::ALL)
    }
}
