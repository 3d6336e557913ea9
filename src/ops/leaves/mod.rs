//! Values without operands, and random numbers.

mod constant;
mod input;
mod iota;
mod random;
mod size;

pub use constant::{Constant, Scalar};
pub use input::{Input, InputKind};
pub use iota::Iota;
pub use random::{Distribution, Random};
pub use size::Size;
