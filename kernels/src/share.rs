//! An output slice that the tasks of one run write together.

use std::marker::PhantomData;

/// The parts of a slice, handed out to threads without a check that they are apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<'a, T> {
    start: *mut T,
    length: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: the pointer stands for a `&mut [T]` that is split among threads; `T: Send` lets its parts move to them.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above; using a part is `unsafe` and its contract forbids overlaps.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Shared { start: slice.as_mut_ptr(), length: slice.len(), borrow: PhantomData }
    }

    /// # Safety
    /// No other live part overlaps `from..from + length`.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the contract forbids overlapping parts")]
    pub(super) unsafe fn part(&self, from: usize, length: usize) -> &'a mut [T] {
        assert!(from <= self.length && length <= self.length - from, "a part lies outside its slice");
        // SAFETY: in bounds by the assertion, exclusive by the caller's word, alive for 'a by construction.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), length) }
    }

    /// The start of the slice, for kernels that write strided places.
    #[inline(always)]
    pub(super) fn pointer(&self) -> *mut T {
        self.start
    }
}

/// The bounds of block `index` when `0..length` is cut into `blocks` runs whose starts are multiples of `unit`.
#[inline]
pub(super) fn block(length: usize, blocks: usize, unit: usize, index: usize) -> std::ops::Range<usize> {
    let units = length.div_ceil(unit);
    let cut = |i: usize| (units * i / blocks * unit).min(length);
    cut(index)..cut(index + 1)
}
