//! The inner loop of matrix products and convolutions.
//!
//! A *panel* is a block of the result at most two vectors wide: `rows × columns` numbers, each the sum over a *walk* of
//! products `a · b`. In a matrix product the walk is one run along the inner dimension; in a convolution it visits the
//! kernel's places (or the image's rows, for the kernel gradient) and runs along the channels at each. Operands are
//! read in place: `a` number by number at any row stride, `b` in vectors along the columns.
//!
//! Rows are taken in tiles as tall as the registers hold, the remainder in smaller ones. Every number of the result is
//! summed in the order of the walk whatever tile it falls in, so how a caller cuts rows and columns into panels and
//! tasks does not change a bit of it.
//!
//! The tall tile follows the usual register-blocked design (Goto and van de Geijn, "Anatomy of high-performance matrix
//! multiplication", 2008).

use super::Real;
use super::simd::{self, Kernel, Level, Vector};

/// Where a panel's sums run: three nested loops of steps, then `length` products in a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    pub(super) counts: [usize; 3],
    pub(super) a_steps: [isize; 3],
    pub(super) b_steps: [isize; 3],
    pub(super) length: usize,
    /// From one product of a run to the next.
    pub(super) a_step: isize,
    pub(super) b_step: isize,
}

impl Walk {
    /// A single run.
    pub(super) fn run(length: usize, a_step: isize, b_step: isize) -> Walk {
        Walk { counts: [1; 3], a_steps: [0; 3], b_steps: [0; 3], length, a_step, b_step }
    }
}

/// What happens to a sum before it is stored: `relu(sum + beta * c + bias)`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Finish<T> {
    pub(super) beta: T,
    /// One number per column of the panel, or null.
    pub(super) bias: *const T,
    pub(super) relu: bool,
}

impl<T: Real> Finish<T> {
    /// Overwrites the result with the sum.
    pub(super) fn store() -> Self {
        Finish { beta: T::zero(), bias: std::ptr::null(), relu: false }
    }

    /// Adds the sum to the result.
    pub(super) fn accumulate() -> Self {
        Finish { beta: T::one(), ..Finish::store() }
    }
}

/// A block of the result and what it is computed from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panel<'a, T> {
    pub(super) walk: &'a Walk,
    pub(super) rows: usize,
    /// At most [`width`] of the level.
    pub(super) columns: usize,
    pub(super) a: *const T,
    pub(super) a_row: isize,
    pub(super) b: *const T,
    pub(super) c: *mut T,
    pub(super) c_row: isize,
    pub(super) finish: Finish<T>,
}

/// The most columns a panel has at a level: two vectors.
pub(super) fn width<T: Real>(level: Level) -> usize {
    struct Width;
    impl<T: Real> Kernel<T> for Width {
        type Output = usize;
        #[inline(always)]
        unsafe fn run<V: Vector<Element = T>>(self) -> usize {
            2 * V::LANES
        }
    }
    simd::dispatch::<T, _>(level, Width)
}

/// The rows of the tall tile of a level.
pub(super) fn height<T: Real>(level: Level) -> usize {
    struct Height;
    impl<T: Real> Kernel<T> for Height {
        type Output = usize;
        #[inline(always)]
        unsafe fn run<V: Vector<Element = T>>(self) -> usize {
            if V::MANY_REGISTERS { 14 } else { 6 }
        }
    }
    simd::dispatch::<T, _>(level, Height)
}

/// Computes a panel of any number of columns.
///
/// # Safety
/// As [`compute`].
#[inline]
pub(super) unsafe fn compute_wide<T: Real>(level: Level, panel: Panel<'_, T>) {
    let width = width::<T>(level);
    for column in (0..panel.columns).step_by(width) {
        let bias = panel.finish.bias;
        let part = Panel {
            columns: (panel.columns - column).min(width),
            b: panel.b.wrapping_add(column),
            c: panel.c.wrapping_add(column),
            finish: Finish { bias: if bias.is_null() { bias } else { bias.wrapping_add(column) }, ..panel.finish },
            ..panel
        };
        // SAFETY: by the contract of this function, for these columns.
        unsafe { compute(level, part) };
    }
}

/// Computes a panel.
///
/// # Safety
/// All places that the walk, the rows and the columns reach are readable in `a` and `b`, and writable in `c` by this
/// thread alone; `bias` is null or has `columns` numbers.
#[inline]
pub(super) unsafe fn compute<T: Real>(level: Level, panel: Panel<'_, T>) {
    debug_assert!(panel.columns <= width::<T>(level));
    simd::dispatch(level, panel);
}

/// Computes a panel whose sums pair columns: `a` too is read in vectors along the columns, as in a convolution of
/// each channel by itself. A panel may have any number of columns.
///
/// # Safety
/// As [`compute`], for `columns` numbers at every place of `a`.
#[inline]
pub(super) unsafe fn compute_lanewise<T: Real>(level: Level, panel: Panel<'_, T>) {
    simd::dispatch(level, Lanewise(panel));
}

struct Lanewise<'a, T>(Panel<'a, T>);

impl<T: Real> Kernel<T> for Lanewise<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let mut panel = self.0;
        let mut column = 0;
        while column < self.0.columns {
            panel.columns = (self.0.columns - column).min(V::LANES);
            // SAFETY: by the contract of `compute_lanewise`, for this vector of columns.
            unsafe {
                if panel.columns == V::LANES {
                    panel.lanewise_rows::<V, false>();
                } else {
                    panel.lanewise_rows::<V, true>();
                }
            }
            column += V::LANES;
            panel.a = panel.a.wrapping_add(V::LANES);
            panel.b = panel.b.wrapping_add(V::LANES);
            panel.c = panel.c.wrapping_add(V::LANES);
            if !panel.finish.bias.is_null() {
                panel.finish.bias = panel.finish.bias.wrapping_add(V::LANES);
            }
        }
    }
}

impl<T: Real> Kernel<T> for Panel<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        // SAFETY: by the contract of `compute`; each call covers the columns that the panel has.
        unsafe {
            if self.columns == 2 * V::LANES {
                self.tiles::<V, 2, false>();
            } else if self.columns > V::LANES {
                self.tiles::<V, 2, true>();
            } else if self.columns == V::LANES {
                self.tiles::<V, 1, false>();
            } else {
                self.tiles::<V, 1, true>();
            }
        }
    }
}

impl<T: Real> Panel<'_, T> {
    #[inline(always)]
    unsafe fn tiles<V: Vector<Element = T>, const WIDE: usize, const MASKED: bool>(&self) {
        let mut row = 0;
        // SAFETY: the rows of each tile lie within the panel.
        unsafe {
            if V::MANY_REGISTERS {
                row = self.tile_while_it_fits::<V, 14, WIDE, MASKED>(row);
                row = self.tile_while_it_fits::<V, 8, WIDE, MASKED>(row);
            } else {
                row = self.tile_while_it_fits::<V, 6, WIDE, MASKED>(row);
            }
            row = self.tile_while_it_fits::<V, 4, WIDE, MASKED>(row);
            row = self.tile_while_it_fits::<V, 3, WIDE, MASKED>(row);
            row = self.tile_while_it_fits::<V, 2, WIDE, MASKED>(row);
            self.tile_while_it_fits::<V, 1, WIDE, MASKED>(row);
        }
    }

    #[inline(always)]
    unsafe fn tile_while_it_fits<V, const ROWS: usize, const WIDE: usize, const MASKED: bool>(
        &self,
        mut row: usize,
    ) -> usize
    where
        V: Vector<Element = T>,
    {
        while row + ROWS <= self.rows {
            // SAFETY: the rows lie within the panel.
            unsafe { self.tile::<V, ROWS, WIDE, MASKED>(row as isize) };
            row += ROWS;
        }
        row
    }

    #[inline(always)]
    unsafe fn tile<V, const ROWS: usize, const WIDE: usize, const MASKED: bool>(&self, row: isize)
    where
        V: Vector<Element = T>,
    {
        // SAFETY: by the contract of `compute`, for the rows of this tile.
        unsafe {
            let walk = self.walk;
            let a = self.a.offset(row * self.a_row);
            let mut sums = [[V::splat(T::zero()); WIDE]; ROWS];
            for i in 0..walk.counts[0] as isize {
                for j in 0..walk.counts[1] as isize {
                    for k in 0..walk.counts[2] as isize {
                        let a = a.offset(i * walk.a_steps[0] + j * walk.a_steps[1] + k * walk.a_steps[2]);
                        let b = self.b.offset(i * walk.b_steps[0] + j * walk.b_steps[1] + k * walk.b_steps[2]);
                        self.products::<V, ROWS, WIDE, MASKED>(a, b, &mut sums);
                    }
                }
            }
            self.finish_tile::<V, ROWS, WIDE, MASKED>(row, sums);
        }
    }

    #[inline(always)]
    unsafe fn lanewise_rows<V: Vector<Element = T>, const MASKED: bool>(&self) {
        let mut row = 0;
        // SAFETY: the rows of each tile lie within the panel.
        unsafe {
            while row + 8 <= self.rows {
                self.lanewise_tile::<V, 8, MASKED>(row as isize);
                row += 8;
            }
            while row + 3 <= self.rows {
                self.lanewise_tile::<V, 3, MASKED>(row as isize);
                row += 3;
            }
            while row < self.rows {
                self.lanewise_tile::<V, 1, MASKED>(row as isize);
                row += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn lanewise_tile<V, const ROWS: usize, const MASKED: bool>(&self, row: isize)
    where
        V: Vector<Element = T>,
    {
        // SAFETY: by the contract of `compute_lanewise`, for the rows of this tile.
        unsafe {
            let walk = self.walk;
            let a = self.a.offset(row * self.a_row);
            let mut sums = [[V::splat(T::zero()); 1]; ROWS];
            for i in 0..walk.counts[0] as isize {
                for j in 0..walk.counts[1] as isize {
                    for k in 0..walk.counts[2] as isize {
                        let mut a = a.offset(i * walk.a_steps[0] + j * walk.a_steps[1] + k * walk.a_steps[2]);
                        let mut b = self.b.offset(i * walk.b_steps[0] + j * walk.b_steps[1] + k * walk.b_steps[2]);
                        for _ in 0..walk.length {
                            let [factor] = self.columns_at::<V, 1, MASKED>(b);
                            for (i, [sum]) in sums.iter_mut().enumerate() {
                                let [vector] = self.columns_at::<V, 1, MASKED>(a.offset(i as isize * self.a_row));
                                *sum = vector.mul_add(factor, *sum);
                            }
                            a = a.wrapping_offset(walk.a_step);
                            b = b.wrapping_offset(walk.b_step);
                        }
                    }
                }
            }
            self.finish_tile::<V, ROWS, 1, MASKED>(row, sums);
        }
    }

    #[inline(always)]
    unsafe fn products<V, const ROWS: usize, const WIDE: usize, const MASKED: bool>(
        &self,
        mut a: *const T,
        mut b: *const T,
        sums: &mut [[V; WIDE]; ROWS],
    ) where
        V: Vector<Element = T>,
    {
        let (a_step, b_step, a_row) = (self.walk.a_step, self.walk.b_step, self.a_row);
        for _ in 0..self.walk.length {
            // SAFETY: by the contract of `compute`; the pointers are moved past the last place but not read there.
            unsafe {
                let vectors = self.columns_at::<V, WIDE, MASKED>(b);
                for (i, sums) in sums.iter_mut().enumerate() {
                    let factor = V::splat(*a.offset(i as isize * a_row));
                    for (sum, vector) in sums.iter_mut().zip(vectors) {
                        *sum = factor.mul_add(vector, *sum);
                    }
                }
                a = a.wrapping_offset(a_step);
                b = b.wrapping_offset(b_step);
            }
        }
    }

    /// The panel's columns at a place of `b`, the bias or the result.
    #[inline(always)]
    unsafe fn columns_at<V, const WIDE: usize, const MASKED: bool>(&self, from: *const T) -> [V; WIDE]
    where
        V: Vector<Element = T>,
    {
        // SAFETY: only the columns that the panel has are read.
        unsafe {
            let mut vectors = [V::splat(T::zero()); WIDE];
            for (i, vector) in vectors.iter_mut().enumerate() {
                let from = from.add(i * V::LANES);
                *vector = if MASKED && i + 1 == WIDE {
                    V::load_partial(from, self.columns - i * V::LANES)
                } else {
                    V::load(from)
                };
            }
            vectors
        }
    }

    /// Each loop is short enough to be unrolled as a whole: an index that is not a constant would keep the sums in memory.
    #[inline(always)]
    unsafe fn finish_tile<V, const ROWS: usize, const WIDE: usize, const MASKED: bool>(
        &self,
        row: isize,
        mut sums: [[V; WIDE]; ROWS],
    ) where
        V: Vector<Element = T>,
    {
        // SAFETY: by the contract of `compute`; only the columns that the panel has are read and written.
        unsafe {
            let c = self.c.offset(row * self.c_row);
            if self.finish.beta != T::zero() {
                let beta = V::splat(self.finish.beta);
                for (i, sums) in sums.iter_mut().enumerate() {
                    let previous = self.columns_at::<V, WIDE, MASKED>(c.offset(i as isize * self.c_row));
                    for (sum, previous) in sums.iter_mut().zip(previous) {
                        *sum = previous.mul_add(beta, *sum);
                    }
                }
            }
            if !self.finish.bias.is_null() {
                let bias = self.columns_at::<V, WIDE, MASKED>(self.finish.bias);
                for sums in &mut sums {
                    for (sum, bias) in sums.iter_mut().zip(bias) {
                        *sum = sum.add(bias);
                    }
                }
            }
            if self.finish.relu {
                let zero = V::splat(T::zero());
                for sums in &mut sums {
                    for sum in sums {
                        *sum = sum.maximum(zero);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                let c = c.offset(i as isize * self.c_row);
                for (j, sum) in sums.iter().enumerate() {
                    let to = c.add(j * V::LANES);
                    if MASKED && j + 1 == WIDE {
                        sum.store_partial(to, self.columns - j * V::LANES);
                    } else {
                        sum.store(to);
                    }
                }
            }
        }
    }
}
