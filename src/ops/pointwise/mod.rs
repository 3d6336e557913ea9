//! Ops of elements: an element of the result is a function of the operands' elements at its position.
//!
//! Broadcasting is a node of its own, so all operands have the result's shape. [`Pointwise`] is how the register machine of
//! the kernels computes such an op within a fused group.

mod binary;
mod cast;
mod comparisons;
mod exponential;
mod gamma;
mod hyperbolic;
mod is_nan;
mod logic;
mod pow;
mod rounding;
mod select;
mod signs;
mod trigonometric;
mod unary;

/// The coefficients of the functions' own formulas, for who writes these in another language.
pub(crate) mod coefficients {
    pub(crate) use super::gamma::{BERNOULLI, LARGE};
    pub(crate) use anabranch_kernels::math::{ERF_FAR, ERF_MIDDLE, ERF_NEAR};
}

pub use binary::*;
pub use cast::Cast;
pub use comparisons::*;
pub use exponential::*;
pub use gamma::{ErfInverse, LogGamma, Polygamma};
pub use hyperbolic::*;
pub use is_nan::*;
pub use logic::*;
pub use pow::Pow;
pub use rounding::*;
pub use select::Select;
pub use signs::*;
pub use trigonometric::*;

pub(crate) use binary::infer_pair;

pub use anabranch_kernels::elementwise::{Binary as BinaryCode, Unary as UnaryCode};

/// An op in the operations of the register machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointwise {
    /// the element of the operand at this slot
    Operand(usize),
    Number(f64),
    Unary(UnaryCode, &'static Pointwise),
    Binary(BinaryCode, [&'static Pointwise; 2]),
    /// the second where the first is true, else the third
    Select([&'static Pointwise; 3]),
}

const X: &Pointwise = &Pointwise::Operand(0);
const Y: &Pointwise = &Pointwise::Operand(1);

impl Pointwise {
    /// One operation on the one operand.
    pub const fn unary(code: UnaryCode) -> Self {
        Self::Unary(code, X)
    }

    /// One operation on the two operands.
    pub const fn binary(code: BinaryCode) -> Self {
        Self::Binary(code, [X, Y])
    }
}

/// What an operation costs, in additions.
pub(crate) mod weight {
    pub const CHEAP: f64 = 1.0;
    pub const DIVISION: f64 = 4.0;
    pub const EXPONENTIAL: f64 = 12.0;
    pub const TRANSCENDENTAL: f64 = 16.0;
}
