//! Buffers of zeros, asked for so that a system without memory for one can say no.

use std::alloc::{Layout, alloc_zeroed};

use super::entry::NumberEntry;

/// A number whose zero is all bits zero: `f32`, `f64` or `i32`, and no other.
pub trait Number: NumberEntry + Copy + Send + Sync + 'static {}
impl Number for f32 {}
impl Number for f64 {}
impl Number for i32 {}

/// So many zeros, or none where the system has no memory for them. Pages that nobody touches cost nothing.
pub fn zeros<N: Number>(length: usize) -> Option<Vec<N>> {
    if length == 0 {
        return Some(Vec::new());
    }
    let layout = Layout::array::<N>(length).ok()?;
    // SAFETY: the layout is not empty.
    let start = unsafe { alloc_zeroed(layout) }.cast::<N>();
    // SAFETY: where it is not null, `start` is an allocation of exactly this layout by the global allocator, and its zero
    // bits are `length` numbers.
    (!start.is_null()).then(|| unsafe { Vec::from_raw_parts(start, length, length) })
}
