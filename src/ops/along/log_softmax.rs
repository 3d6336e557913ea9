//! `y = x - ln Σ e^x` along an axis.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) the axis exists.
//! Gradient: `g - e^y Σ g`. Numerics: the largest element is taken out first, so nothing overflows and a probability near 0
//! keeps its logarithm. NaN where every element is `-inf`.

use crate::ops::Exp;
use crate::ops::prelude::*;
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LogSoftmax {
    pub axis: usize,
}

impl LogSoftmax {
    /// The sum along the axis, repeated along it.
    fn total(&self, b: &mut Builder<'_>, v: NodeId) -> NodeId {
        let shape = b.shape(v).to_vec();
        let sum = b.sum(v, &[self.axis]);
        b.unreduce(sum, &shape, &[self.axis])
    }
}

impl Primitive for LogSoftmax {
    const NAME: &'static str = "log_softmax";
    primitive!(differentiable, of_axis, lanes, kernel, sizeless, plain);

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let softmax = b.emit(Exp, &[site.result]);
        let total = self.total(b, cotangent);
        let shared = b.mul(softmax, total);
        b.sub(cotangent, shared)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let softmax = b.emit(Exp, &[site.result]);
        let weighted = b.mul(softmax, tangent);
        let mean = self.total(b, weighted);
        b.sub(tangent, mean)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let mut y = operands[0].float().clone();
        for mut lane in y.lanes_mut(Axis(self.axis)) {
            let peak = lane.iter().copied().fold(T::neg_infinity(), T::max);
            let total = lane.iter().fold(T::zero(), |sum, x| sum + (*x - peak).exp());
            lane.mapv_inplace(|x| (x - peak) - total.ln());
        }
        Tensor::Float(y)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        // Of one class it is certain.
        let is_one = ranges.types.operands[0].shape[self.axis].is_one();
        if is_one { Interval::ZERO } else { Interval::new(f64::NEG_INFINITY, 0.0) }
    }
}
