//! `y = Σ x` over axes, which go away.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]` (or `i32`). Constraints: (C1) axes in range, distinct, ascending.
//! Gradient: the cotangent repeated along the axes. Numerics: an empty sum is 0; ints wrap.

use crate::ops::prelude::*;
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sum {
    pub axes: Vec<usize>,
}

/// The type with axes taken away.
pub(crate) fn drop_axes(ty: &TensorType, axes: &[usize]) -> TensorType {
    let kept = ty.shape.iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| dim.clone());
    TensorType::new(ty.dtype, kept.collect())
}

impl Primitive for Sum {
    const NAME: &'static str = "sum";
    primitive!(linear, of_axes, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if x.dtype == DType::Bool {
            return Err(OpError::dtype(format!("sum takes numbers, found {x}")));
        }
        check_axes(Self::NAME, &self.axes, x.rank())?;
        Ok(drop_axes(x, &self.axes))
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let shape = b.shape(site.operands[0]).to_vec();
        b.unreduce(cotangent, &shape, &self.axes)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let axes = || self.axes.iter().rev().map(|axis| Axis(*axis));
        match operands[0] {
            Tensor::Int(x) => {
                Tensor::Int(axes().fold(x.clone(), |x, axis| x.fold_axis(axis, 0, |sum, x: &i32| sum.wrapping_add(*x))))
            }
            x => Tensor::Float(axes().fold(x.float().clone(), |x, axis| x.sum_axis(axis))),
        }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::reduced(types, &self.axes, Along::Added)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        match ranges.nominal_count(0, &self.axes) {
            Some(count) => ranges.of(0).sum(count),
            None => ranges.of(0).sums_from(0),
        }
    }
}
