//! Reductions over a set of axes, and what goes along one axis: argmax, cumulative sums, softmax.
//!
//! A reduction takes its operand as merged dimensions, outermost first: neighbouring axes that are all reduced or all
//! kept are one `(extent, reduced)`. The result has the kept extents in their order.
//!
//! Order of summation, fixed by the dimensions alone: a run of contiguous reduced elements is summed as four running
//! vectors, in runs of at most `RUN` elements whose sums are added pairwise as a binary counter would; reduced outer
//! dimensions add whole rows the same way. So the error grows with the logarithm of the extent, not with the extent.

mod along;

use super::simd::{self, Kernel, Vector};
use super::{Context, Level, Real};

pub(crate) use along::run_softmax;
pub use along::{Softmax, argmax, cumulative_sum, softmax};

/// What is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// 0 over nothing.
    Sum,
    /// 1 over nothing.
    Product,
    /// Negative infinity over nothing; NaN if an element is NaN.
    Max,
    /// Infinity over nothing; NaN if an element is NaN.
    Min,
}

impl Reduction {
    fn start<T: Real>(self) -> T {
        match self {
            Reduction::Sum => T::zero(),
            Reduction::Product => T::one(),
            Reduction::Max => T::neg_infinity(),
            Reduction::Min => T::infinity(),
        }
    }

    #[inline(always)]
    fn vectors<V: Vector>(self, a: V, b: V) -> V {
        match self {
            Reduction::Sum => a.add(b),
            Reduction::Product => a.mul(b),
            Reduction::Max => a.maximum(b),
            Reduction::Min => a.minimum(b),
        }
    }

    #[inline(always)]
    fn numbers<T: Real>(self, a: T, b: T) -> T {
        match self {
            Reduction::Sum => a + b,
            Reduction::Product => a * b,
            Reduction::Max => larger(a, b),
            Reduction::Min => smaller(a, b),
        }
    }
}

fn larger<T: Real>(a: T, b: T) -> T {
    if a > b || a.is_nan() { a } else { b }
}

fn smaller<T: Real>(a: T, b: T) -> T {
    if a < b || a.is_nan() { a } else { b }
}

/// Elements that are folded without pairing.
const RUN: usize = 1024;
/// Rows that are folded without pairing.
const ROWS: usize = 16;
/// Below this many elements a second thread costs more than it gives.
const PARALLEL_ELEMENTS: usize = 64 * 1024;
/// Groups that a reduction over rows is cut into.
const GROUPS: usize = 8;
/// The most columns that are folded in groups of rows.
const GROUP_COLUMNS: usize = 128;
/// The merged dimensions a reduction may have.
const MOST_DIMS: usize = 16;

/// One merged dimension: its extent, and whether it is reduced.
pub type Dim = (usize, bool);

/// Reduces `x` over the dimensions marked so.
///
/// # Panics
/// Where the lengths do not fit the dimensions, or there are more than 16 of them.
#[inline]
pub fn reduce<T: Real>(context: &Context<'_>, reduction: Reduction, dims: &[Dim], x: &[T], y: &mut [T]) {
    T::reduce(context, reduction, dims, x, y)
}

pub(crate) fn run<T: Real>(context: &Context<'_>, reduction: Reduction, dims: &[Dim], x: &[T], y: &mut [T]) {
    assert!(dims.len() <= MOST_DIMS, "more than 16 dimensions");
    assert_eq!(x.len(), dims.iter().map(|dim| dim.0).product::<usize>(), "the length of the operand");
    let kept = dims.iter().filter(|dim| !dim.1).map(|dim| dim.0).product::<usize>();
    assert_eq!(y.len(), kept, "the length of the result");
    if x.is_empty() {
        return y.fill(reduction.start());
    }
    let fold = Fold { level: context.level, reduction };
    // Every kept outermost index is a task's own part of the result.
    if let [(extent, false), inner @ ..] = dims
        && x.len() >= PARALLEL_ELEMENTS
        && *extent > 1
    {
        let tasks = context.pool.several().min(*extent);
        let (x_len, y_len) = (x.len() / extent, y.len() / extent);
        let y = super::share::Shared::new(y);
        return context.pool.run(tasks, &|task| {
            let part = super::share::block(*extent, tasks, 1, task);
            // SAFETY: the blocks of the outermost dimension are apart.
            let y = unsafe { y.part(part.start * y_len, part.len() * y_len) };
            for (i, y) in part.zip(y.chunks_exact_mut(y_len)) {
                fold.dims(inner, &x[i * x_len..][..x_len], y);
            }
        });
    }
    // Columns are apart too: the commonest reduction, over all rows.
    if let [(rows, true), (columns, false)] = dims
        && x.len() >= PARALLEL_ELEMENTS
        && *columns >= 128
    {
        let tasks = context.pool.threads();
        let y = super::share::Shared::new(y);
        return context.pool.run(tasks, &|task| {
            let part = super::share::block(*columns, tasks, 64, task);
            // SAFETY: the blocks of columns are apart.
            let y = unsafe { y.part(part.start, part.len()) };
            fold.rows(*rows, *columns, &x[part.start..], y);
        });
    }
    // Few columns, or one number of all: groups of rows whose results are folded in their order. The groups follow from
    // the dimensions alone.
    let (rows, columns, unit) = match dims {
        [(rows, true), (columns, false)] if *columns <= GROUP_COLUMNS => (*rows, *columns, ROWS),
        [(elements, true)] => (*elements, 1, RUN),
        _ => return fold.dims(dims, x, y),
    };
    if x.len() < PARALLEL_ELEMENTS || rows < 2 * GROUPS * unit {
        return fold.dims(dims, x, y);
    }
    let mut partial = [T::zero(); GROUPS * GROUP_COLUMNS];
    let partial = &mut partial[..GROUPS * columns];
    let shared = super::share::Shared::new(&mut *partial);
    context.pool.run(GROUPS, &|group| {
        let part = super::share::block(rows, GROUPS, unit, group);
        let inner = [(part.len(), true), (columns, false)];
        // SAFETY: each group has its own partial results.
        let y = unsafe { shared.part(group * columns, columns) };
        fold.dims(&inner[..dims.len()], &x[part.start * columns..part.end * columns], y);
    });
    fold.dims(&[(GROUPS, true), (columns, false)][..dims.len()], partial, y);
}

#[derive(Clone, Copy)]
struct Fold {
    level: Level,
    reduction: Reduction,
}

impl Fold {
    /// Overwrites `y`.
    fn dims<T: Real>(self, dims: &[Dim], x: &[T], y: &mut [T]) {
        match dims {
            [] => y[0] = x[0],
            [(_, true)] => y[0] = self.run(x),
            [(_, false)] => y.copy_from_slice(x),
            [(rows, true), (columns, false)] => self.rows(*rows, *columns, x, y),
            [(extent, false), inner @ ..] => {
                let (x_len, y_len) = (x.len() / extent, y.len() / extent);
                for (x, y) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)) {
                    self.dims(inner, x, y);
                }
            }
            [(extent, true), inner @ ..] => {
                self.first(inner, x, x.len() / extent, y);
                for x in x.chunks_exact(x.len() / extent).skip(1) {
                    self.accumulate(inner, x, y);
                }
            }
        }
    }

    fn first<T: Real>(self, dims: &[Dim], x: &[T], length: usize, y: &mut [T]) {
        self.dims(dims, &x[..length], y);
    }

    /// Folds a reduction of `x` into `y`.
    fn accumulate<T: Real>(self, dims: &[Dim], x: &[T], y: &mut [T]) {
        match dims {
            [] => y[0] = self.reduction.numbers(y[0], x[0]),
            [(_, true)] => y[0] = self.reduction.numbers(y[0], self.run(x)),
            [(_, false)] => simd::dispatch(self.level, Into { reduction: self.reduction, x, y }),
            [(extent, false), inner @ ..] => {
                let (x_len, y_len) = (x.len() / extent, y.len() / extent);
                for (x, y) in x.chunks_exact(x_len).zip(y.chunks_exact_mut(y_len)) {
                    self.accumulate(inner, x, y);
                }
            }
            [(extent, true), inner @ ..] => {
                for x in x.chunks_exact(x.len() / extent) {
                    self.accumulate(inner, x, y);
                }
            }
        }
    }

    /// Folds contiguous numbers.
    fn run<T: Real>(self, x: &[T]) -> T {
        if x.len() <= RUN {
            return simd::dispatch(self.level, Run { reduction: self.reduction, x });
        }
        // partial[i] holds the fold of 2^i runs, if bit i of the count of runs so far is set.
        let mut partial = [T::zero(); 64];
        let mut count = 0usize;
        for run in x.chunks(RUN) {
            let mut value = simd::dispatch(self.level, Run { reduction: self.reduction, x: run });
            let mut bit = 0;
            while count >> bit & 1 == 1 {
                value = self.reduction.numbers(partial[bit], value);
                bit += 1;
            }
            partial[bit] = value;
            count += 1;
        }
        let mut result = None;
        for (bit, value) in partial.iter().enumerate() {
            if count >> bit & 1 == 1 {
                result = Some(result.map_or(*value, |result| self.reduction.numbers(*value, result)));
            }
        }
        result.unwrap_or(self.reduction.start())
    }

    /// Folds rows `stride` apart into one.
    fn rows<T: Real>(self, rows: usize, stride: usize, x: &[T], y: &mut [T]) {
        let columns = simd::dispatch(self.level, Columns { reduction: self.reduction, rows, stride, x, y: &mut *y });
        debug_assert_eq!(columns, y.len());
    }
}

/// Folds a run of numbers.
struct Run<'a, T> {
    reduction: Reduction,
    x: &'a [T],
}

impl<T: Real> Kernel<T> for Run<'_, T> {
    type Output = T;

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) -> T {
        match self.reduction {
            // SAFETY: by the contract of this function.
            Reduction::Sum => unsafe { fold_run::<V>(Reduction::Sum, self.x) },
            // SAFETY: as above.
            Reduction::Product => unsafe { fold_run::<V>(Reduction::Product, self.x) },
            // SAFETY: as above.
            Reduction::Max => unsafe { fold_run::<V>(Reduction::Max, self.x) },
            // SAFETY: as above.
            Reduction::Min => unsafe { fold_run::<V>(Reduction::Min, self.x) },
        }
    }
}

#[inline(always)]
unsafe fn fold_run<V: Vector>(reduction: Reduction, x: &[V::Element]) -> V::Element {
    let mut result = reduction.start();
    let mut at = 0;
    if x.len() >= 4 * V::LANES {
        // SAFETY: every load lies inside the slice.
        unsafe {
            let mut folds = [V::splat(reduction.start()); 4];
            while at + 4 * V::LANES <= x.len() {
                for (i, fold) in folds.iter_mut().enumerate() {
                    *fold = reduction.vectors(*fold, V::load(x.as_ptr().add(at + i * V::LANES)));
                }
                at += 4 * V::LANES;
            }
            let [a, b, c, d] = folds;
            let folded = reduction.vectors(reduction.vectors(a, b), reduction.vectors(c, d));
            result = match reduction {
                Reduction::Sum => folded.sum(),
                Reduction::Product => folded.fold(|a, b| a * b),
                Reduction::Max => folded.fold(larger),
                Reduction::Min => folded.fold(smaller),
            };
        }
    }
    for x in &x[at..] {
        result = reduction.numbers(result, *x);
    }
    result
}

/// `y = y op x`
struct Into<'a, T> {
    reduction: Reduction,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel<T> for Into<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let length = self.x.len().min(self.y.len());
        let (x, y) = (self.x.as_ptr(), self.y.as_mut_ptr());
        let mut at = 0;
        while at < length {
            // SAFETY: only numbers below `length` are read and written.
            unsafe {
                let rest = length - at;
                let folded = self
                    .reduction
                    .vectors(V::load_partial(y.add(at).cast_const(), rest), V::load_partial(x.add(at), rest));
                folded.store_partial(y.add(at), rest);
            }
            at += V::LANES;
        }
    }
}

/// Folds rows into one, a few vectors of columns at a time.
struct Columns<'a, T> {
    reduction: Reduction,
    rows: usize,
    stride: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Real> Kernel<T> for Columns<'_, T> {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) -> usize {
        let columns = self.y.len();
        let reach = if self.rows == 0 { 0 } else { (self.rows - 1) * self.stride + columns };
        assert!(reach <= self.x.len(), "rows beyond the operand");
        let mut column = 0;
        while column < columns {
            let rest = columns - column;
            // SAFETY: the assertion covers every row's columns below `columns`.
            unsafe {
                let x = self.x.as_ptr().add(column);
                let y = self.y.as_mut_ptr().add(column);
                if rest >= 4 * V::LANES {
                    self.fold_columns::<V, 4, 1>(x, y, rest);
                    column += 4 * V::LANES;
                } else {
                    self.fold_columns::<V, 1, 4>(x, y, rest);
                    column += V::LANES;
                }
            }
        }
        columns
    }
}

impl<T: Real> Columns<'_, T> {
    /// Runs of `ROWS` rows, paired as a binary counter does it. A single vector of columns takes `SPLIT` rows at a time,
    /// so that it does not wait for each addition.
    #[inline(always)]
    unsafe fn fold_columns<V, const WIDE: usize, const SPLIT: usize>(&self, x: *const T, y: *mut T, rest: usize)
    where
        V: Vector<Element = T>,
    {
        const LEVELS: usize = 40;
        // SAFETY: the caller vouches for `rest` columns of every row.
        unsafe {
            let start = V::splat(self.reduction.start());
            let mut partial = [[start; WIDE]; LEVELS];
            let mut count = 0usize;
            let mut row = 0;
            while row < self.rows {
                let mut splits = [[start; WIDE]; SPLIT];
                let end = (row + ROWS).min(self.rows);
                for first in (row..end).step_by(SPLIT) {
                    for (row, split) in (first..end).zip(&mut splits) {
                        for (i, fold) in split.iter_mut().enumerate() {
                            let from = x.add(row * self.stride + i * V::LANES);
                            *fold = self.reduction.vectors(*fold, V::load_partial(from, rest - i * V::LANES));
                        }
                    }
                }
                let mut folds = splits[0];
                for split in &splits[1..] {
                    for (fold, other) in folds.iter_mut().zip(split) {
                        *fold = self.reduction.vectors(*fold, *other);
                    }
                }
                let mut bit = 0;
                while count >> bit & 1 == 1 {
                    for (fold, partial) in folds.iter_mut().zip(partial[bit]) {
                        *fold = self.reduction.vectors(partial, *fold);
                    }
                    bit += 1;
                }
                partial[bit] = folds;
                count += 1;
                row += ROWS;
            }
            let mut folds = [start; WIDE];
            for (bit, partial) in partial.iter().enumerate() {
                if count >> bit & 1 == 1 {
                    for (fold, partial) in folds.iter_mut().zip(partial) {
                        *fold = self.reduction.vectors(*partial, *fold);
                    }
                }
            }
            for (i, fold) in folds.iter().enumerate() {
                fold.store_partial(y.add(i * V::LANES), rest - i * V::LANES);
            }
        }
    }
}
