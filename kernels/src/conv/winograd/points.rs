//! The ways to the points and back, for squares of pixels, cotangents, kernel places and results.

use super::{Field, POINTS, SIDE, TILE, Tiles};
use crate::share::Shared;
use crate::simd::{self, Kernel, Vector};
use crate::{Level, Real};
use std::ops::Range;

/// The numbers in the matrices of the transforms, for the points 0, ±a, ±b and ∞.
struct Constants<V> {
    a: V,
    b: V,
    a2: V,
    b2: V,
    a3: V,
    b3: V,
    a2b2: V,
    sum2: V,
    inverse_0: V,
    inverse_a: V,
    inverse_b: V,
}

impl<V: Vector> Constants<V> {
    /// # Safety
    /// The machine has the instruction set of `V`.
    #[inline(always)]
    unsafe fn new() -> Self {
        let (a, b) = (0.625f64, 1.5f64);
        let (a2, b2) = (a * a, b * b);
        // SAFETY: by the contract of this function.
        let zero = unsafe { V::splat(V::Element::default()) };
        Constants {
            a: zero.constant(a),
            b: zero.constant(b),
            a2: zero.constant(a2),
            b2: zero.constant(b2),
            a3: zero.constant(a2 * a),
            b3: zero.constant(b2 * b),
            a2b2: zero.constant(a2 * b2),
            sum2: zero.constant(a2 + b2),
            inverse_0: zero.constant(1.0 / (a2 * b2)),
            inverse_a: zero.constant(0.5 / (a2 * (a2 - b2))),
            inverse_b: zero.constant(0.5 / (b2 * (b2 - a2))),
        }
    }

    /// A line of `N` numbers to the points: pixels (6), cotangents (4) or kernel places (3).
    #[inline(always)]
    fn to_points<const N: usize>(&self, d: [V; SIDE]) -> [V; SIDE] {
        if N == SIDE {
            let even_a = self.b2.sub_from_mul(d[2], d[4]);
            let odd_a = self.b2.sub_from_mul(d[1], d[3]);
            let even_b = self.a2.sub_from_mul(d[2], d[4]);
            let odd_b = self.a2.sub_from_mul(d[1], d[3]);
            return [
                self.a2b2.mul_add(d[0], self.sum2.sub_from_mul(d[2], d[4])),
                self.a.mul_add(odd_a, even_a),
                self.a.sub_from_mul(odd_a, even_a),
                self.b.mul_add(odd_b, even_b),
                self.b.sub_from_mul(odd_b, even_b),
                self.a2b2.mul_add(d[1], self.sum2.sub_from_mul(d[3], d[5])),
            ];
        }
        let (odd_a, odd_b) =
            if N == TILE { (self.a2.mul_add(d[3], d[1]), self.b2.mul_add(d[3], d[1])) } else { (d[1], d[1]) };
        let even_a = self.a2.mul_add(d[2], d[0]).mul(self.inverse_a);
        let even_b = self.b2.mul_add(d[2], d[0]).mul(self.inverse_b);
        let (odd_a, odd_b) = (odd_a.mul(self.inverse_a), odd_b.mul(self.inverse_b));
        [
            d[0].mul(self.inverse_0),
            self.a.mul_add(odd_a, even_a),
            self.a.sub_from_mul(odd_a, even_a),
            self.b.mul_add(odd_b, even_b),
            self.b.sub_from_mul(odd_b, even_b),
            d[N - 1],
        ]
    }

    /// Values at the points to a line of `N` numbers: results (4) or kernel places (3).
    #[inline(always)]
    fn back<const N: usize>(&self, m: [V; SIDE]) -> [V; TILE] {
        let (sum_a, sum_b) = (m[1].add(m[2]), m[3].add(m[4]));
        let (difference_a, difference_b) = (m[1].sub(m[2]), m[3].sub(m[4]));
        let first = m[0].add(sum_a).add(sum_b);
        let second = self.a.mul_add(difference_a, self.b.mul(difference_b));
        let third = self.a2.mul_add(sum_a, self.b2.mul(sum_b));
        if N == TILE {
            let fourth = self.b3.mul_add(difference_b, self.a3.mul_add(difference_a, m[5]));
            [first, second, third, fourth]
        } else {
            [first, second, third.add(m[5]), third]
        }
    }

    /// A square of `N × N` vectors, `row` and `pixel` apart, to the points, `plane` apart. `lanes` are those that count.
    ///
    /// # Safety
    /// `lanes` numbers are readable at each place of the square and writable at each point.
    #[inline(always)]
    unsafe fn square_to_points<const N: usize, const MASKED: bool>(
        &self,
        (from, row, pixel): (*const V::Element, isize, isize),
        (to, plane): (*mut V::Element, usize),
        lanes: usize,
    ) {
        // SAFETY: by the contract of this function.
        unsafe {
            let zero = V::splat(V::Element::default());
            let mut columns = [[zero; SIDE]; SIDE];
            for (x, column) in columns.iter_mut().enumerate().take(N) {
                let mut line = [zero; SIDE];
                for (y, number) in line.iter_mut().enumerate().take(N) {
                    let from = from.offset(y as isize * row + x as isize * pixel);
                    *number = if MASKED { V::load_partial(from, lanes) } else { V::load(from) };
                }
                *column = self.to_points::<N>(line);
            }
            for y in 0..SIDE {
                let mut line = [zero; SIDE];
                for (number, column) in line.iter_mut().zip(&columns).take(N) {
                    *number = column[y];
                }
                for (x, value) in self.to_points::<N>(line).into_iter().enumerate() {
                    let to = to.add((y * SIDE + x) * plane);
                    if MASKED { value.store_partial(to, lanes) } else { value.store(to) }
                }
            }
        }
    }

    /// Values at the points, `plane` apart, to a square of `N × N` vectors.
    ///
    /// # Safety
    /// `lanes` numbers are readable at each point.
    #[inline(always)]
    unsafe fn square_from_points<const N: usize, const MASKED: bool>(
        &self,
        (from, plane): (*const V::Element, usize),
        lanes: usize,
    ) -> [[V; TILE]; TILE] {
        // SAFETY: by the contract of this function.
        unsafe {
            let zero = V::splat(V::Element::default());
            let mut columns = [[zero; TILE]; SIDE];
            for (x, column) in columns.iter_mut().enumerate() {
                let mut line = [zero; SIDE];
                for (y, number) in line.iter_mut().enumerate() {
                    let from = from.add((y * SIDE + x) * plane);
                    *number = if MASKED { V::load_partial(from, lanes) } else { V::load(from) };
                }
                *column = self.back::<N>(line);
            }
            let mut square = [[zero; TILE]; TILE];
            for (y, row) in square.iter_mut().enumerate().take(N) {
                let mut line = [zero; SIDE];
                for (number, column) in line.iter_mut().zip(&columns) {
                    *number = column[y];
                }
                *row = self.back::<N>(line);
            }
            square
        }
    }
}

/// The kernel `[3, 3, rows, columns]` at the points: `[point, rows, columns]`.
pub(super) fn kernel_to_points<T: Real>(
    level: Level,
    kernel: &[T],
    [rows, columns]: [usize; 2],
    flipped: bool,
    points: &mut [T],
) {
    simd::dispatch(level, KernelToPoints { rows, columns, flipped, from: kernel, to: points });
}

struct KernelToPoints<'a, T> {
    rows: usize,
    columns: usize,
    flipped: bool,
    from: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> Kernel<T> for KernelToPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let plane = self.rows * self.columns;
        assert!(self.from.len() >= 9 * plane && self.to.len() >= POINTS * plane, "lengths");
        let (start, pixel) = if self.flipped { (8 * plane, -(plane as isize)) } else { (0, plane as isize) };
        let mut at = 0;
        // SAFETY: the lengths were checked; rows and columns are one run of `plane` numbers at every place and point.
        unsafe {
            let constants = Constants::<V>::new();
            while at < plane {
                let from = (self.from.as_ptr().add(start + at), 3 * pixel, pixel);
                let to = (self.to.as_mut_ptr().add(at), plane);
                constants.square_to_points::<3, true>(from, to, plane - at);
                at += V::LANES;
            }
        }
    }
}

/// A kernel gradient from the points to `[3, 3, rows, columns]`.
pub(super) struct KernelFromPoints<'a, T> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) from: &'a [T],
    pub(super) to: &'a mut [T],
}

impl<T: Real> Kernel<T> for KernelFromPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let plane = self.rows * self.columns;
        assert!(self.to.len() >= 9 * plane && self.from.len() >= POINTS * plane, "lengths");
        let mut at = 0;
        // SAFETY: as above.
        unsafe {
            let constants = Constants::<V>::new();
            while at < plane {
                let square = constants.square_from_points::<3, true>((self.from.as_ptr().add(at), plane), plane - at);
                for (y, row) in square.iter().enumerate().take(3) {
                    for (x, value) in row.iter().enumerate().take(3) {
                        value.store_partial(self.to.as_mut_ptr().add((3 * y + x) * plane + at), plane - at);
                    }
                }
                at += V::LANES;
            }
        }
    }
}

/// Some tiles of `N × N` pixels to the points: `[point, tile, channel]`.
pub(super) struct ToPoints<'a, T, const N: usize> {
    pub(super) field: Field,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    pub(super) padding: [usize; 2],
    pub(super) from: &'a [T],
    pub(super) to: &'a mut [T],
    /// one tile with the zeros around the image
    pub(super) scratch: &'a mut [T],
}

impl<T: Real, const N: usize> ToPoints<'_, T, N> {
    /// Where a tile is read, and how far apart its rows are: in place, or copied with the zeros around the image.
    #[inline(always)]
    fn tile(&mut self, tile: usize) -> (*const T, usize) {
        let Field { height, width, channels } = self.field;
        let (image, [y, x]) = self.tiles.place(tile);
        let [above, left] = self.padding;
        let image = &self.from[image * height * width * channels..][..height * width * channels];
        if y >= above && x >= left && y + N <= height + above && x + N <= width + left {
            return (image[((y - above) * width + x - left) * channels..].as_ptr(), width * channels);
        }
        let scratch = &mut self.scratch[..N * N * channels];
        scratch.fill(T::zero());
        let columns = left.saturating_sub(x)..N.min((width + left).saturating_sub(x));
        for row in above.saturating_sub(y)..N.min((height + above).saturating_sub(y)) {
            if columns.is_empty() {
                break;
            }
            let from = ((y + row - above) * width + x + columns.start - left) * channels;
            let length = columns.len() * channels;
            scratch[(row * N + columns.start) * channels..][..length].copy_from_slice(&image[from..][..length]);
        }
        (scratch.as_ptr(), N * channels)
    }
}

impl<T: Real, const N: usize> Kernel<T> for ToPoints<'_, T, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(mut self) {
        let channels = self.field.channels;
        let plane = self.range.len() * channels;
        assert!(self.to.len() >= POINTS * plane, "lengths");
        for (slot, tile) in self.range.clone().enumerate() {
            let (from, row) = self.tile(tile);
            let mut channel = 0;
            // SAFETY: `tile` gives a whole tile; the result has room for every tile at every point.
            unsafe {
                let constants = Constants::<V>::new();
                while channel < channels {
                    let from = (from.add(channel), row as isize, channels as isize);
                    let to = (self.to.as_mut_ptr().add(slot * channels + channel), plane);
                    if channel + V::LANES <= channels {
                        constants.square_to_points::<N, false>(from, to, V::LANES);
                    } else {
                        constants.square_to_points::<N, true>(from, to, channels - channel);
                    }
                    channel += V::LANES;
                }
            }
        }
    }
}

/// Some tiles of results from the points to the images.
pub(super) struct FromPoints<'a, T> {
    pub(super) field: Field,
    pub(super) tiles: Tiles,
    pub(super) range: Range<usize>,
    pub(super) from: &'a [T],
    pub(super) to: Shared<'a, T>,
    /// a bias per channel, and whether the maximum with 0 is taken
    pub(super) epilogue: (Option<&'a [T]>, bool),
}

impl<T: Real> FromPoints<'_, T> {
    #[inline(always)]
    unsafe fn tile<V: Vector<Element = T>, const MASKED: bool>(
        &self,
        constants: &Constants<V>,
        [slot, tile, channel]: [usize; 3],
    ) {
        let Field { height, width, channels } = self.field;
        let lanes = channels - channel;
        let plane = self.range.len() * channels;
        let (image, [y, x]) = self.tiles.place(tile);
        // SAFETY: the caller vouches for the lengths; only results inside the image are written.
        unsafe {
            let from = (self.from.as_ptr().add(slot * channels + channel), plane);
            let square = constants.square_from_points::<TILE, MASKED>(from, lanes);
            let zero = V::splat(T::zero());
            let bias = match self.epilogue.0 {
                Some(bias) => V::load_partial(bias.as_ptr().add(channel), lanes),
                None => zero,
            };
            let to = self.to.pointer().add(((image * height + y) * width + x) * channels + channel);
            for (row, line) in square.iter().enumerate().take(height - y) {
                for (column, value) in line.iter().enumerate().take(width - x) {
                    let value = value.add(bias);
                    let value = if self.epilogue.1 { zero.select(value.less(zero), value) } else { value };
                    let to = to.add((row * width + column) * channels);
                    if MASKED { value.store_partial(to, lanes) } else { value.store(to) }
                }
            }
        }
    }
}

impl<T: Real> Kernel<T> for FromPoints<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let channels = self.field.channels;
        assert!(self.from.len() >= POINTS * self.range.len() * channels, "lengths");
        assert!(self.epilogue.0.is_none_or(|bias| bias.len() >= channels), "the bias");
        for (slot, tile) in self.range.clone().enumerate() {
            let mut channel = 0;
            // SAFETY: the lengths were checked; tiles are apart, and each is written by one thread.
            unsafe {
                let constants = Constants::<V>::new();
                while channel < channels {
                    if channel + V::LANES <= channels {
                        self.tile::<V, false>(&constants, [slot, tile, channel]);
                    } else {
                        self.tile::<V, true>(&constants, [slot, tile, channel]);
                    }
                    channel += V::LANES;
                }
            }
        }
    }
}
