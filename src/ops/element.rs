//! Float element types that every evaluation is generic over.

use anabranch_kernels::Real;

/// `f32` or `f64`.
pub trait Element: Real + num_traits::NumAssign + ndarray::ScalarOperand {
    fn of(value: f64) -> Self;
    fn as_f64(self) -> f64;
}

impl Element for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Element for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn as_f64(self) -> f64 {
        self
    }
}
