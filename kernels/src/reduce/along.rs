//! What goes along one axis: argmax, cumulative sums, softmax.

use super::super::share::{Shared, block};
use super::super::simd::{self, Kernel, Vector};
use super::super::{Context, Real};
use super::{PARALLEL_ELEMENTS, larger};

/// The index of the first largest element of each row, NaN counting as largest.
///
/// # Panics
/// Where the lengths do not fit, or rows are empty and there are some.
pub fn argmax<T: Real>(x: &[T], row: usize, indices: &mut [i32]) {
    assert_eq!(x.len(), row * indices.len(), "the length of the operand");
    assert!(row > 0 || indices.is_empty(), "the largest of nothing");
    for (x, index) in x.chunks_exact(row.max(1)).zip(indices) {
        let mut best = 0;
        for (i, number) in x.iter().enumerate() {
            if *number > x[best] || (number.is_nan() && !x[best].is_nan()) {
                best = i;
            }
        }
        *index = best as i32;
    }
}

/// Sums along the middle of three dimensions `[outer, extent, inner]`: each element plus all before it, or all after
/// it if `reverse`; without the element itself if `exclusive`.
///
/// # Panics
/// Where the lengths do not fit.
pub fn cumulative_sum<T: Real>(dims: [usize; 3], reverse: bool, exclusive: bool, x: &[T], y: &mut [T]) {
    let [outer, extent, inner] = dims;
    assert!(x.len() == outer * extent * inner && y.len() == x.len(), "the lengths");
    if x.is_empty() {
        return;
    }
    for (x, y) in x.chunks_exact(extent * inner).zip(y.chunks_exact_mut(extent * inner)) {
        for column in 0..inner {
            let mut sum = T::zero();
            for i in 0..extent {
                let place = if reverse { extent - 1 - i } else { i } * inner + column;
                let next = sum + x[place];
                y[place] = if exclusive { sum } else { next };
                sum = next;
            }
        }
    }
}

/// What [`softmax`] computes of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Softmax {
    /// `exp(x) / Σ exp(x)`
    Probabilities,
    /// `x - ln Σ exp(x)`
    Logarithms,
    /// `ln Σ exp(x)`: one number a row.
    LogSum,
}

/// Softmax and its relatives along rows of `row` contiguous elements, shifted by the row's maximum.
///
/// # Panics
/// Where the lengths do not fit.
#[inline]
pub fn softmax<T: Real>(context: &Context<'_>, kind: Softmax, row: usize, x: &[T], y: &mut [T]) {
    T::softmax(context, kind, row, x, y)
}

pub(crate) fn run_softmax<T: Real>(context: &Context<'_>, kind: Softmax, row: usize, x: &[T], y: &mut [T]) {
    if x.is_empty() {
        return y.fill(T::neg_infinity());
    }
    let rows = x.len() / row;
    let width = if kind == Softmax::LogSum { 1 } else { row };
    assert!(x.len() == rows * row && y.len() == rows * width, "the lengths");
    let tasks = if x.len() < PARALLEL_ELEMENTS / 8 { 1 } else { context.pool.several() };
    let y = Shared::new(y);
    context.pool.run(tasks, &|task| {
        let part = block(rows, tasks, 1, task);
        // SAFETY: the blocks of rows are apart.
        let y = unsafe { y.part(part.start * width, part.len() * width) };
        simd::dispatch(context.level, Rows { kind, row, x: &x[part.start * row..part.end * row], y });
    });
}

struct Rows<'a, T> {
    kind: Softmax,
    row: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel<T> for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let width = if self.kind == Softmax::LogSum { 1 } else { self.row };
        for (x, y) in self.x.chunks_exact(self.row).zip(self.y.chunks_exact_mut(width)) {
            // SAFETY: the caller vouches for the instruction set; a row of `y` has the width of its kind.
            unsafe { softmax_row::<T, V>(self.kind, x, y) };
        }
    }
}

/// Runs `$body` for every vector of a row: its place, its numbers, and how many lanes are the row's.
macro_rules! vectors_of {
    ($V:ident, $x:expr, |$at:ident, $v:ident, $rest:ident| $body:expr) => {{
        let mut $at = 0;
        while $at < $x.len() {
            let $rest = $x.len() - $at;
            let $v = $V::load_partial($x.as_ptr().add($at), $rest);
            $body;
            $at += $V::LANES;
        }
    }};
}

#[inline(always)]
unsafe fn softmax_row<T: Real, V: Vector<Element = T>>(kind: Softmax, x: &[T], y: &mut [T]) {
    // SAFETY: only numbers of the row are read and written; lanes beyond it are set to the neutral element.
    unsafe {
        let lowest = V::splat(T::neg_infinity());
        let mut largest = lowest;
        vectors_of!(V, x, |at, v, rest| largest = largest.maximum(v.select(v.first_lanes(rest), lowest)));
        let peak = largest.fold(larger);
        let largest = V::splat(peak);
        let zero = V::splat(T::zero());
        let mut sum = zero;
        let to = y.as_mut_ptr();
        vectors_of!(V, x, |at, v, rest| {
            let e = v.sub(largest).exp();
            if kind == Softmax::Probabilities {
                e.store_partial(to.add(at), rest);
            }
            sum = sum.add(e.select(e.first_lanes(rest), zero));
        });
        let total = sum.sum();
        match kind {
            Softmax::Probabilities => {
                let inverse = V::splat(T::one() / total);
                vectors_of!(V, y, |at, v, rest| v.mul(inverse).store_partial(to.add(at), rest));
            }
            Softmax::Logarithms => {
                // Added up, the two would lose the digits of the logarithm to a large maximum.
                let log = V::splat(total.ln());
                vectors_of!(V, x, |at, v, rest| v.sub(largest).sub(log).store_partial(to.add(at), rest));
            }
            Softmax::LogSum => y[0] = peak + total.ln(),
        }
    }
}
