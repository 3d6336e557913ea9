//! `y = max x` over axes, which go away.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]` (or `i32`). Constraints: (C1) axes in range, distinct, ascending.
//! Gradient: shared equally by the elements that attain the maximum. Numerics: an empty maximum is `-inf`, of ints the least; NaN wins.

use super::sum::drop_axes;
use crate::ops::prelude::*;
use crate::ops::{Cast, Equal};
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct MaxReduce {
    pub axes: Vec<usize>,
}

impl MaxReduce {
    /// `[x = y] / number of such elements`, in the shape of `x`: the weights with which elements take part.
    fn shares(&self, b: &mut Builder<'_>, site: Site<'_>) -> NodeId {
        let x = site.operands[0];
        let shape = b.shape(x).to_vec();
        let peak = b.unreduce(site.result, &shape, &self.axes);
        let attains = b.emit(Equal, &[x, peak]);
        let attains = b.emit(Cast { to: DType::F32 }, &[attains]);
        let count = b.sum(attains, &self.axes);
        let count = b.unreduce(count, &shape, &self.axes);
        b.div(attains, count)
    }
}

impl Primitive for MaxReduce {
    const NAME: &'static str = "max_reduce";
    primitive!(differentiable, of_axes, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let x = one_number("max", operands)?;
        check_axes("max", &self.axes, x.rank())?;
        Ok(drop_axes(x, &self.axes))
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let shares = self.shares(b, site);
        let shape = b.shape(site.operands[0]).to_vec();
        let cotangent = b.unreduce(cotangent, &shape, &self.axes);
        b.mul(cotangent, shares)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let shares = self.shares(b, site);
        let weighted = b.mul(tangent, shares);
        b.sum(weighted, &self.axes)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let axes = || self.axes.iter().rev().map(|axis| Axis(*axis));
        let larger = |a: &T, b: &T| if *a > *b || a.is_nan() { *a } else { *b };
        match operands[0] {
            Tensor::Int(x) => {
                Tensor::Int(axes().fold(x.clone(), |x, axis| x.fold_axis(axis, i32::MIN, |a, b| *a.max(b))))
            }
            x => Tensor::Float(axes().fold(x.float().clone(), |x, axis| x.fold_axis(axis, T::neg_infinity(), larger))),
        }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::reduced(types, &self.axes, Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        match ranges.known_count(0, &self.axes) {
            Some(0) if ranges.types.result.dtype == DType::I32 => Interval::point(f64::from(i32::MIN)),
            Some(0) => Interval::point(f64::NEG_INFINITY),
            _ => ranges.of(0),
        }
    }
}
