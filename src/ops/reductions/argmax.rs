//! The position of the largest element along an axis, which goes away; the first at a tie.
//!
//! Operands/Results: `x: f32[..., N, ...]` (or `i32`) → `i32[...]`. Constraints: (C1) the axis exists; (C2) N > 0 when known.
//! Gradient: none. NaN counts as largest.

use super::sum::drop_axes;
use crate::ops::prelude::*;
use ndarray::{ArrayD, Axis};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ArgMax {
    pub axis: usize,
}

impl Primitive for ArgMax {
    const NAME: &'static str = "argmax";
    primitive!(flat, of_axis, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let x = one_number(Self::NAME, operands)?;
        check_axes(Self::NAME, &[self.axis], x.rank())?;
        if x.shape[self.axis].is_zero() {
            return Err(OpError::constraint(format!("argmax over axis {} of {x}, which is empty (C2)", self.axis)));
        }
        Ok(TensorType::new(DType::I32, drop_axes(x, &[self.axis]).shape))
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Int(match operands[0] {
            Tensor::Int(x) => largest(x, self.axis),
            x => largest(x.float(), self.axis),
        })
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::reduced(types, &[self.axis], Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.positions(0, self.axis)
    }
}

#[allow(clippy::eq_op, reason = "NaN is not equal to itself")]
fn largest<T: Copy + PartialOrd>(x: &ArrayD<T>, axis: usize) -> ArrayD<i32> {
    let is_nan = |x: T| x != x;
    x.map_axis(Axis(axis), |lane| {
        let mut best = 0;
        for (i, value) in lane.iter().enumerate() {
            let largest = lane[best];
            if !is_nan(largest) && (*value > largest || is_nan(*value)) {
                best = i;
            }
        }
        best as i32
    })
}
