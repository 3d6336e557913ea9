//! Values along an axis that depend on each other: sums so far, shares, orders.

mod argsort;
mod cumulative_sum;
pub(super) mod linear_recurrence;
mod log_softmax;
mod softmax;
mod sort;

pub use argsort::ArgSort;
pub use cumulative_sum::CumulativeSum;
pub use linear_recurrence::LinearRecurrence;
pub use log_softmax::LogSoftmax;
pub use softmax::Softmax;
pub use sort::Sort;
