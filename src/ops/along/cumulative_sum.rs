//! `y[i] = Σ_{j ≤ i} x[j]` along an axis; over `j ≥ i` with `reverse`, without `x[i]` itself with `exclusive`.
//!
//! Operands/Results: `x: f32[..., N, ...]` → `f32[..., N, ...]` (or `i32`, where sums wrap). Constraints: (C1) the axis exists.
//! Gradient: the cumulative sum of the cotangent in the other direction.

use crate::ops::prelude::*;
use ndarray::{ArrayD, Axis};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct CumulativeSum {
    pub axis: usize,
    pub reverse: bool,
    pub exclusive: bool,
}

impl Primitive for CumulativeSum {
    const NAME: &'static str = "cumulative_sum";
    primitive!(linear, number_lanes, kernel, sizeless, plain);

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let flag = |name, on: bool| on.then(|| (name, "true".to_string()));
        let flags = [flag("reverse", self.reverse), flag("exclusive", self.exclusive)];
        [("axis", self.axis.to_string())].into_iter().chain(flags.into_iter().flatten()).collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.emit(Self { reverse: !self.reverse, ..self.clone() }, &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        match operands[0] {
            Tensor::Int(x) => Tensor::Int(self.sums(x, 0, i32::wrapping_add)),
            x => Tensor::Float(self.sums(x.float(), T::zero(), |sum, x| sum + x)),
        }
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let least = usize::from(!self.exclusive);
        match ranges.known_count(0, &[self.axis]) {
            // From the sum of the fewest elements to that of all that can take part.
            Some(count) => {
                let most = count.saturating_sub(1 - least);
                ranges.of(0).sum(least.min(most)).hull(ranges.of(0).sum(most))
            }
            None => ranges.of(0).sums_from(least),
        }
    }
}

impl CumulativeSum {
    fn sums<T: Copy>(&self, x: &ArrayD<T>, zero: T, add: impl Fn(T, T) -> T) -> ArrayD<T> {
        let mut y = x.clone();
        for mut lane in y.lanes_mut(Axis(self.axis)) {
            let (mut sum, n) = (zero, lane.len());
            for step in 0..n {
                let i = if self.reverse { n - 1 - step } else { step };
                let before = sum;
                sum = add(sum, lane[i]);
                lane[i] = if self.exclusive { before } else { sum };
            }
        }
        y
    }
}
