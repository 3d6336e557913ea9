//! Float element types that every evaluation is generic over.

/// `f32` or `f64`.
pub trait Element:
    num_traits::Float + num_traits::NumAssign + ndarray::ScalarOperand + Default + std::fmt::Debug + Send + Sync + 'static
{
    fn of(value: f64) -> Self;
    fn as_f64(self) -> f64;
    /// The error function.
    fn erf(self) -> Self;
}

impl Element for f32 {
    fn of(value: f64) -> Self {
        value as f32
    }
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Element for f64 {
    fn of(value: f64) -> Self {
        value
    }
    fn as_f64(self) -> f64 {
        self
    }
    fn erf(self) -> Self {
        libm::erf(self)
    }
}
