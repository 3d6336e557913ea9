//! The order of elements along an axis: `x` taken along it by the result is sorted.
//!
//! Operands/Results: `x: f32[..., N, ...]` (or `i32`) → `i32[..., N, ...]`. Constraints: (C1) the axis exists. Gradient: none.
//! Numerics: stable, so equal elements keep their order, ascending and `descending`; NaN stand last in both.

use crate::ops::prelude::*;
use ndarray::{ArrayD, ArrayView1, Axis, Zip};
use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ArgSort {
    pub axis: usize,
    pub descending: bool,
}

impl Primitive for ArgSort {
    const NAME: &'static str = "argsort";
    primitive!(flat, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let x = one_number(Self::NAME, operands)?;
        check_axes(Self::NAME, &[self.axis], x.rank())?;
        Ok(TensorType::new(DType::I32, x.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let descending = self.descending.then(|| ("descending", "true".to_string()));
        [("axis", self.axis.to_string())].into_iter().chain(descending).collect()
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Int(match operands[0] {
            Tensor::Int(x) => positions(x, self),
            x => positions(x.float(), self),
        })
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::but(types, &[self.axis], Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.positions(0, self.axis)
    }
}

fn positions<T: Copy + PartialOrd>(x: &ArrayD<T>, op: &ArgSort) -> ArrayD<i32> {
    let mut positions = ArrayD::zeros(x.raw_dim());
    Zip::from(positions.lanes_mut(Axis(op.axis))).and(x.lanes(Axis(op.axis))).for_each(|mut to, lane| {
        for (to, from) in to.iter_mut().zip(order(lane, op.descending)) {
            *to = from as i32;
        }
    });
    positions
}

/// The positions of a lane's elements in sorted order.
pub(crate) fn order<T: Copy + PartialOrd>(lane: ArrayView1<'_, T>, descending: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lane.len()).collect();
    order.sort_by(|i, j| {
        let (x, y) = (lane[*i], lane[*j]);
        // Numbers compare; where one is NaN, which is not itself, it stands behind.
        #[allow(clippy::eq_op, reason = "NaN is not equal to itself")]
        let is_nan = |x: T| x != x;
        let ascending = x.partial_cmp(&y);
        ascending.map_or_else(
            || is_nan(x).cmp(&is_nan(y)),
            |order: Ordering| if descending { order.reverse() } else { order },
        )
    });
    order
}
