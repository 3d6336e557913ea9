//! `y = e^x / Σ e^x` along an axis.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) the axis exists.
//! Gradient: `y (g - Σ g y)`; the Jacobian is symmetric. Numerics: the largest element is taken out first, so nothing
//! overflows. NaN where every element is `-inf`.

use crate::ops::prelude::*;
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Softmax {
    pub axis: usize,
}

impl Softmax {
    fn differential(&self, b: &mut Builder<'_>, site: Site<'_>, v: NodeId, _slot: usize) -> NodeId {
        let y = site.result;
        let weighted = b.mul(v, y);
        let mean = b.sum(weighted, &[self.axis]);
        let shape = b.shape(y).to_vec();
        let mean = b.unreduce(mean, &shape, &[self.axis]);
        let centred = b.sub(v, mean);
        b.mul(y, centred)
    }
}

impl Primitive for Softmax {
    const NAME: &'static str = "softmax";
    primitive!(differentiable, diagonal, of_axis, lanes, kernel, sizeless, plain);

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let mut y = operands[0].float().clone();
        for mut lane in y.lanes_mut(Axis(self.axis)) {
            let peak = lane.iter().copied().fold(T::neg_infinity(), T::max);
            lane.mapv_inplace(|x| (x - peak).exp());
            let total = lane.sum();
            lane.mapv_inplace(|e| e / total);
        }
        Tensor::Float(y)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        // Of one class it is certain.
        let is_one = ranges.types.operands[0].shape[self.axis].is_one();
        if is_one { Interval::point(1.0) } else { Interval::UNIT }
    }
}
