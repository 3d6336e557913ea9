//! One value of all along axes, which go away.

mod argmax;
mod log_sum_exp;
mod max_reduce;
mod product;
mod sum;

pub use argmax::ArgMax;
pub use log_sum_exp::LogSumExp;
pub use max_reduce::MaxReduce;
pub use product::Product;
pub use sum::Sum;
