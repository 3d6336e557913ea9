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

/// The bounds of picked elements: with those of `fill` where an index may lie outside. NaN lies in no bounds.
fn filled(picked: Interval, fill: Scalar, are_all_inside: bool) -> Interval {
    if are_all_inside || fill.0.is_nan() { picked } else { picked.hull(Interval::point(fill.0)) }
}
