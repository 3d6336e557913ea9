//! Float element types that every evaluation is generic over.

use super::{Op, Tensor};
use crate::ir::TensorType;
use anabranch_kernels::Real;

/// `f32` or `f64`.
pub trait Element: Real + num_traits::NumAssign + ndarray::ScalarOperand {
    fn of(value: f64) -> Self;
    fn as_f64(self) -> f64;

    /// [`Op::evaluate`]. A generic function is compiled anew in every crate that calls it; this one is not generic.
    #[doc(hidden)]
    fn evaluate(op: &Op, operands: &[&Tensor<Self>], result: &TensorType) -> Tensor<Self>;
}

macro_rules! element {
    ($type:ty) => {
        impl Element for $type {
            fn of(value: f64) -> Self {
                value as $type
            }
            fn as_f64(self) -> f64 {
                f64::from(self)
            }
            fn evaluate(op: &Op, operands: &[&Tensor<Self>], result: &TensorType) -> Tensor<Self> {
                op.evaluate_definition(operands, result)
            }
        }
    };
}

element!(f32);
element!(f64);
