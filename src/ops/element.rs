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

    /// The one of this type.
    #[doc(hidden)]
    fn pick<F: Family>(single: F::Of<f32>, double: F::Of<f64>) -> F::Of<Self>;
}

/// Something that there is for each element type, such as a table of functions that are compiled for both in this crate.
pub trait Family {
    type Of<T: Element>;
}

macro_rules! element {
    ($type:ty, |$single:ident, $double:ident| $picked:expr) => {
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
            fn pick<F: Family>($single: F::Of<f32>, $double: F::Of<f64>) -> F::Of<Self> {
                $picked
            }
        }
    };
}

element!(f32, |single, _double| single);
element!(f64, |_single, double| double);
