//! Elements picked and added up by indices.

mod gather;
mod put_along;
mod scatter_add;
mod take_along;

pub use gather::Gather;
pub use put_along::PutAlong;
pub use scatter_add::ScatterAdd;
pub use take_along::TakeAlong;

use super::{Interval, Scalar};
use crate::ir::Dim;

/// What an op takes its indices for.
#[derive(Clone, Debug, PartialEq)]
pub struct Indexed {
    /// the operand that holds them
    pub slot: usize,
    /// the number of positions that they count, from 0
    pub extent: Dim,
    /// what an index outside gives
    pub fill: Scalar,
    /// the operand whose elements are put where they say: one that is 0 is put nowhere
    pub put: Option<usize>,
}

/// The bounds of picked elements: with those of `fill` where an index may lie outside. NaN lies in no bounds.
fn filled(picked: Interval, fill: Scalar, are_all_inside: bool) -> Interval {
    if are_all_inside || fill.0.is_nan() { picked } else { picked.hull(Interval::point(fill.0)) }
}
