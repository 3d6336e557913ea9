//! Copies that change the layout: transpose, broadcast, slice, pad, reverse, concatenate.
//!
//! One kernel, [`copy`], serves most: it walks an index space and copies from one strided place to another. A slice
//! starts at an offset, a reversal has a negative stride, a broadcast a stride of 0; concatenation and padding are
//! copies into a part of the result. Dimensions that walk both sides alike are merged first; where the two sides run
//! along different dimensions the copy goes tile by tile, so that both stay in the cache.

use super::Pool;
use super::buffer::Number;
use super::share::{Shared, block};

/// The dimensions a copy may have.
pub const MOST_DIMS: usize = 16;

/// One dimension of a copy: its extent and the step on both sides, in elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim {
    pub extent: usize,
    pub from: isize,
    pub to: isize,
}

/// Elements on the side of a tile where the two sides run along different dimensions.
const TILE: usize = 16;

/// Below this many elements a second thread costs more than it gives.
const PARALLEL_ELEMENTS: usize = 32 * 1024;

/// Copies `to[to_offset + Σ i·to] = from[from_offset + Σ i·from]` over all indices.
///
/// # Panics
/// Where a place lies outside its slice, or there are more than 16 dimensions.
pub fn copy<T: Copy>(dims: &[Dim], from: &[T], from_offset: usize, to: &mut [T], to_offset: usize) {
    let mut merged = [Dim { extent: 1, from: 0, to: 0 }; MOST_DIMS];
    if let Some(dims) = prepare(dims, [from.len(), from_offset], [to.len(), to_offset], &mut merged) {
        walk(dims, from, from_offset, to, to_offset);
    }
}

/// As [`copy`], by several threads where there are elements enough.
///
/// # Panics
/// As [`copy`].
#[inline]
pub fn copy_shared<T: Number>(
    pool: &Pool,
    dims: &[Dim],
    from: &[T],
    from_offset: usize,
    to: &mut [T],
    to_offset: usize,
) {
    T::copy_shared(pool, dims, from, from_offset, to, to_offset)
}

pub(crate) fn run_shared<T: Number>(
    pool: &Pool,
    dims: &[Dim],
    from: &[T],
    from_offset: usize,
    to: &mut [T],
    to_offset: usize,
) {
    let mut merged = [Dim { extent: 1, from: 0, to: 0 }; MOST_DIMS];
    let Some(dims) = prepare(dims, [from.len(), from_offset], [to.len(), to_offset], &mut merged) else { return };
    let elements: usize = dims.iter().map(|dim| dim.extent).product();
    // Outermost indices write stretches that are apart where the other dimensions stay below their step.
    let parts = dims.split_first().and_then(|(outer, inner)| {
        let span =
            inner.iter().try_fold(0, |span, dim| Some(span + (dim.extent - 1) * usize::try_from(dim.to).ok()?))?;
        let step = usize::try_from(outer.to).ok()?;
        (span < step && elements >= PARALLEL_ELEMENTS && pool.threads() > 1).then_some((*outer, inner, span, step))
    });
    let Some((outer, inner, span, step)) = parts else { return walk(dims, from, from_offset, to, to_offset) };
    let to = Shared::new(to);
    // A transpose goes by tiles of rows.
    let chunks = outer.extent.div_ceil(TILE).max(pool.threads()).min(pool.several()).min(outer.extent);
    let unit = if outer.extent >= TILE * chunks { TILE } else { 1 };
    pool.share(chunks, &|_, chunk| {
        let range = block(outer.extent, chunks, unit, chunk);
        if range.is_empty() {
            return;
        }
        let mut dims = [outer; MOST_DIMS];
        dims[0].extent = range.len();
        dims[1..=inner.len()].copy_from_slice(inner);
        let from_offset = from_offset.wrapping_add_signed(range.start as isize * outer.from);
        // SAFETY: the stretches of two ranges are apart, as a step is longer than the others' span.
        let to = unsafe { to.part(to_offset + range.start * step, (range.len() - 1) * step + span + 1) };
        walk(&dims[..=inner.len()], from, from_offset, to, 0);
    });
}

/// The merged dimensions in the order to walk them; `None` where there is nothing to copy. Each side is its length and
/// the offset at which it starts.
fn prepare<'m>(dims: &[Dim], from: [usize; 2], to: [usize; 2], merged: &'m mut [Dim; MOST_DIMS]) -> Option<&'m [Dim]> {
    assert!(dims.len() <= MOST_DIMS, "more than 16 dimensions");
    if dims.iter().any(|dim| dim.extent == 0) {
        return None;
    }
    check(from[1], from[0], dims.iter().map(|dim| (dim.extent, dim.from)));
    check(to[1], to[0], dims.iter().map(|dim| (dim.extent, dim.to)));
    let count = merge(dims, merged);
    let dims = &mut merged[..count];
    // The dimension along which the source is contiguous goes next to the last, to be tiled with it.
    if let [.., last] = dims
        && last.from != 1
        && let Some(contiguous) = dims.iter().position(|dim| dim.from == 1)
    {
        dims[contiguous..count - 1].rotate_left(1);
    }
    Some(dims)
}

fn check(offset: usize, length: usize, dims: impl Iterator<Item = (usize, isize)>) {
    let (mut low, mut high) = (offset as isize, offset as isize);
    for (extent, step) in dims {
        let span = (extent as isize - 1) * step;
        low += span.min(0);
        high += span.max(0);
    }
    assert!(low >= 0 && (high as usize) < length, "a copy outside its slice");
}

/// Drops extents of 1 and joins neighbours that walk both sides as one dimension would.
fn merge(dims: &[Dim], merged: &mut [Dim; MOST_DIMS]) -> usize {
    let mut count = 0;
    for dim in dims.iter().filter(|dim| dim.extent > 1) {
        if count > 0 {
            let outer = &mut merged[count - 1];
            let inner = dim.extent as isize;
            if outer.from == dim.from * inner && outer.to == dim.to * inner {
                *outer = Dim { extent: outer.extent * dim.extent, ..*dim };
                continue;
            }
        }
        merged[count] = *dim;
        count += 1;
    }
    count
}

fn walk<T: Copy>(dims: &[Dim], from: &[T], from_offset: usize, to: &mut [T], to_offset: usize) {
    match dims {
        [] => to[to_offset] = from[from_offset],
        [dim] => run(*dim, from, from_offset, to, to_offset),
        [rows, columns] if rows.from == 1 && columns.from != 1 => {
            tiles(*rows, *columns, from, from_offset, to, to_offset);
        }
        [dim, inner @ ..] => {
            for i in 0..dim.extent as isize {
                let from_offset = from_offset.wrapping_add_signed(i * dim.from);
                walk(inner, from, from_offset, to, to_offset.wrapping_add_signed(i * dim.to));
            }
        }
    }
}

fn run<T: Copy>(dim: Dim, from: &[T], from_offset: usize, to: &mut [T], to_offset: usize) {
    if dim.to == 1 {
        let to = &mut to[to_offset..][..dim.extent];
        match dim.from {
            1 => to.copy_from_slice(&from[from_offset..][..dim.extent]),
            0 => to.fill(from[from_offset]),
            step => {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = from[from_offset.wrapping_add_signed(i as isize * step)];
                }
            }
        }
    } else {
        for i in 0..dim.extent as isize {
            to[to_offset.wrapping_add_signed(i * dim.to)] = from[from_offset.wrapping_add_signed(i * dim.from)];
        }
    }
}

/// A transpose: the source runs along `rows`, the result along `columns`.
fn tiles<T: Copy>(rows: Dim, columns: Dim, from: &[T], from_offset: usize, to: &mut [T], to_offset: usize) {
    let steps = usize::try_from(columns.from).ok().zip(usize::try_from(rows.to).ok()).filter(|_| columns.to == 1);
    for row in (0..rows.extent).step_by(TILE) {
        for column in (0..columns.extent).step_by(TILE) {
            let height = TILE.min(rows.extent - row);
            let columns = Dim { extent: TILE.min(columns.extent - column), ..columns };
            let places = |row: usize| {
                let step = |dim: isize, other: isize| row as isize * dim + column as isize * other;
                let from = from_offset.wrapping_add_signed(step(rows.from, columns.from));
                (from, to_offset.wrapping_add_signed(step(rows.to, columns.to)))
            };
            if let Some(steps) = steps {
                let (from_offset, to_offset) = places(row);
                transpose([height, columns.extent], &from[from_offset..], steps.0, &mut to[to_offset..], steps.1);
                continue;
            }
            for row in row..row + height {
                let (from_offset, to_offset) = places(row);
                run(columns, from, from_offset, to, to_offset);
            }
        }
    }
}

/// `to[r * to_step + c] = from[c * from_step + r]`, in squares of four. A few rows at a time: what they touch of both sides
/// stays in the nearest cache, however far apart the columns lie.
///
/// # Panics
/// Where a place lies outside its slice.
pub(super) fn transpose<T: Copy>(
    [rows, columns]: [usize; 2],
    from: &[T],
    from_step: usize,
    to: &mut [T],
    to_step: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((columns - 1) * from_step + rows <= from.len(), "a transpose outside its operand");
    assert!((rows - 1) * to_step + columns <= to.len(), "a transpose outside its result");
    let whole = [rows / 4 * 4, columns / 4 * 4];
    for first in (0..whole[0]).step_by(TILE) {
        for column in (0..whole[1]).step_by(4) {
            for row in (first..whole[0].min(first + TILE)).step_by(4) {
                // SAFETY: the square lies inside `rows × columns`, whose places were checked above.
                unsafe {
                    let from = from.as_ptr().add(column * from_step + row);
                    square(from, from_step, to.as_mut_ptr().add(row * to_step + column), to_step);
                }
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole[0] { whole[1] } else { 0 };
        for column in first..columns {
            to[row * to_step + column] = from[column * from_step + row];
        }
    }
}

/// Transposes four by four elements.
///
/// # Safety
/// Four runs of four elements, `from_step` apart, are readable, and as many, `to_step` apart, writable; they are apart.
#[inline(always)]
unsafe fn square<T: Copy>(from: *const T, from_step: usize, to: *mut T, to_step: usize) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<T>() == 4 {
        use std::arch::x86_64::{_MM_TRANSPOSE4_PS, _mm_loadu_ps, _mm_storeu_ps};
        let (from, to) = (from.cast::<f32>(), to.cast::<f32>());
        // SAFETY: by the contract of this function; every machine of this architecture has SSE, and moving bits needs no
        // number to be valid.
        unsafe {
            let mut a = _mm_loadu_ps(from);
            let mut b = _mm_loadu_ps(from.add(from_step));
            let mut c = _mm_loadu_ps(from.add(2 * from_step));
            let mut d = _mm_loadu_ps(from.add(3 * from_step));
            _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
            _mm_storeu_ps(to, a);
            _mm_storeu_ps(to.add(to_step), b);
            _mm_storeu_ps(to.add(2 * to_step), c);
            _mm_storeu_ps(to.add(3 * to_step), d);
        }
        return;
    }
    for i in 0..4 {
        for j in 0..4 {
            // SAFETY: by the contract of this function.
            unsafe { *to.add(i * to_step + j) = *from.add(j * from_step + i) };
        }
    }
}
