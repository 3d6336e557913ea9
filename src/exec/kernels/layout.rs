//! Copies that change the layout: transpose, broadcast, slice, pad, reverse, concatenate.
//!
//! One kernel, [`copy`], serves most: it walks an index space and copies from one strided place to another. A slice
//! starts at an offset, a reversal has a negative stride, a broadcast a stride of 0; concatenation and padding are
//! copies into a part of the result. Dimensions that walk both sides alike are merged first; where the two sides run
//! along different dimensions the copy goes tile by tile, so that both stay in the cache.

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

/// Copies `to[to_offset + Σ i·to] = from[from_offset + Σ i·from]` over all indices.
///
/// # Panics
/// Where a place lies outside its slice, or there are more than 16 dimensions.
pub fn copy<T: Copy>(dims: &[Dim], from: &[T], from_offset: usize, to: &mut [T], to_offset: usize) {
    assert!(dims.len() <= MOST_DIMS, "more than 16 dimensions");
    if dims.iter().any(|dim| dim.extent == 0) {
        return;
    }
    check(from_offset, from.len(), dims.iter().map(|dim| (dim.extent, dim.from)));
    check(to_offset, to.len(), dims.iter().map(|dim| (dim.extent, dim.to)));
    let mut merged = [Dim { extent: 1, from: 0, to: 0 }; MOST_DIMS];
    let count = merge(dims, &mut merged);
    let dims = &mut merged[..count];
    // The dimension along which the source is contiguous goes next to the last, to be tiled with it.
    if let [.., last] = dims
        && last.from != 1
        && let Some(contiguous) = dims.iter().position(|dim| dim.from == 1)
    {
        dims[contiguous..count - 1].rotate_left(1);
    }
    walk(dims, from, from_offset, to, to_offset);
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

/// `to[r * to_step + c] = from[c * from_step + r]`, in squares of four that the compiler keeps in registers.
pub(super) fn transpose<T: Copy>(
    [rows, columns]: [usize; 2],
    from: &[T],
    from_step: usize,
    to: &mut [T],
    to_step: usize,
) {
    let whole = [rows / 4 * 4, columns / 4 * 4];
    for column in (0..whole[1]).step_by(4) {
        for row in (0..whole[0]).step_by(4) {
            let square: [[T; 4]; 4] = std::array::from_fn(|i| {
                let run = &from[(column + i) * from_step + row..][..4];
                [run[0], run[1], run[2], run[3]]
            });
            for i in 0..4 {
                let run = [square[0][i], square[1][i], square[2][i], square[3][i]];
                to[(row + i) * to_step + column..][..4].copy_from_slice(&run);
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dim(extent: usize, from: isize, to: isize) -> Dim {
        Dim { extent, from, to }
    }

    #[test]
    fn transposes_of_any_size() {
        for (rows, columns) in [(1, 1), (7, 63), (513, 33), (16, 16), (100, 1), (0, 5)] {
            let x: Vec<usize> = (0..rows * columns).collect();
            let mut y = vec![usize::MAX; x.len()];
            copy(&[dim(columns, 1, rows as isize), dim(rows, columns as isize, 1)], &x, 0, &mut y, 0);
            for (i, y) in y.iter().enumerate() {
                assert_eq!(*y, i % rows.max(1) * columns + i / rows.max(1));
            }
        }
    }

    #[test]
    fn slices_paddings_reversals_and_broadcasts() {
        let x: Vec<i32> = (0..12).collect();
        let mut y = vec![-1; 20];
        // Rows 1 and 2 of a 3 by 4 matrix, columns reversed, inside a border of one.
        copy(&[dim(2, 4, 6), dim(4, -1, 1)], &x, 7, &mut y, 1);
        assert_eq!(y[..12], [-1, 7, 6, 5, 4, -1, -1, 11, 10, 9, 8, -1]);
        copy(&[dim(2, 0, 3), dim(3, 1, 1)], &x, 4, &mut y, 0);
        assert_eq!(y[..6], [4, 5, 6, 4, 5, 6]);
        copy(&[dim(2, 1, 3), dim(3, 0, 1)], &x, 4, &mut y, 0);
        assert_eq!(y[..6], [4, 4, 4, 5, 5, 5]);
        copy(&[], &x, 11, &mut y, 0);
        assert_eq!(y[0], 11);
    }

    #[test]
    #[should_panic(expected = "outside its slice")]
    fn a_copy_outside_its_slice_is_a_bug() {
        copy(&[dim(4, 1, 1)], &[0; 3], 0, &mut [0; 4], 0);
    }

    proptest! {
        #[test]
        fn any_permutation(extents in prop::collection::vec(1usize..7, 1..6), seed: u64) {
            let mut order: Vec<usize> = (0..extents.len()).collect();
            for i in (1..order.len()).rev() {
                order.swap(i, (seed >> (8 * i)) as usize % (i + 1));
            }
            let strides = |extents: &[usize]| {
                let mut strides = vec![1; extents.len()];
                for i in (1..extents.len()).rev() {
                    strides[i - 1] = strides[i] * extents[i];
                }
                strides
            };
            let out: Vec<usize> = order.iter().map(|axis| extents[*axis]).collect();
            let (from, to) = (strides(&extents), strides(&out));
            let dims: Vec<Dim> =
                order.iter().zip(&to).map(|(axis, to)| dim(extents[*axis], from[*axis] as isize, *to as isize)).collect();
            let x: Vec<usize> = (0..extents.iter().product()).collect();
            let mut y = vec![usize::MAX; x.len()];
            copy(&dims, &x, 0, &mut y, 0);
            for (i, y) in y.iter().enumerate() {
                let place: usize = (0..out.len()).map(|d| i / to[d] % out[d] * from[order[d]]).sum();
                prop_assert_eq!(*y, place);
            }
        }
    }
}
