//! `y = ln Σ e^x` over axes, which go away.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) axes in range, distinct, ascending.
//! Gradient: `g e^(x - y)`, the softmax of `x` over the axes.
//! Numerics: the largest element is taken out first, so nothing overflows. An empty sum, or one of `-inf` alone, is `-inf`,
//! and passes the gradient 0: impossible paths of a dynamic programme stay out of it.

use super::sum::drop_axes;
use crate::ops::prelude::*;
use crate::ops::tensor::map_groups;
use crate::ops::{Exp, Max};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LogSumExp {
    pub axes: Vec<usize>,
}

impl LogSumExp {
    /// `e^(x - y)` in the shape of `x`, 0 where `y` is `-inf`.
    fn shares(&self, b: &mut Builder<'_>, site: Site<'_>) -> NodeId {
        let x = site.operands[0];
        // Against the lowest finite number `-inf` stays `-inf`, against itself it would be NaN.
        let lowest = b.constant_like(f64::from(f32::MIN), site.result);
        let total = b.emit(Max, &[site.result, lowest]);
        let shape = b.shape(x).to_vec();
        let total = b.unreduce(total, &shape, &self.axes);
        let relative = b.sub(x, total);
        b.emit(Exp, &[relative])
    }
}

impl Primitive for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
    primitive!(differentiable, of_axes, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let x = one_float(Self::NAME, operands)?;
        check_axes(Self::NAME, &self.axes, x.rank())?;
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
        Tensor::Float(map_groups(operands[0].float(), &self.axes, |group: &[T]| {
            let peak = group.iter().fold(T::neg_infinity(), |peak, x| if *x > peak || x.is_nan() { *x } else { peak });
            if peak.is_infinite() {
                return peak;
            }
            peak + group.iter().fold(T::zero(), |sum, x| sum + (*x - peak).exp()).ln()
        }))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::reduced(types, &self.axes, Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        // At least the largest element, and at most as if all were as large.
        match ranges.known_count(0, &self.axes) {
            Some(0) => Interval::point(f64::NEG_INFINITY),
            Some(count) => Interval::new(ranges.of(0).low, ranges.of(0).high + (count as f64).ln()),
            None => Interval::new(ranges.of(0).low, f64::INFINITY),
        }
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        Work::plain(extents)
    }
}
