//! Elements picked and put back by index. Indices outside have no element: picking gives `fill`, putting skips them.
//!
//! Everything is added in the order of the operands, so results do not depend on threads.

use super::Real;

/// Copies row `indices[i]` of a table of rows to row `i`; rows that the table does not have are filled.
///
/// # Panics
/// Where the lengths do not fit.
pub fn gather_rows<T: Real>(row: usize, table: &[T], indices: &[i32], fill: T, y: &mut [T]) {
    assert_eq!(y.len(), row * indices.len(), "the length of the result");
    for (index, y) in indices.iter().zip(y.chunks_exact_mut(row.max(1))) {
        match usize::try_from(*index).ok().and_then(|index| table.get(index * row..(index + 1) * row)) {
            Some(from) => y.copy_from_slice(from),
            None => y.fill(fill),
        }
    }
}

/// Adds row `i` of `updates` to row `indices[i]` of `y`, which is zeroed first.
///
/// # Panics
/// Where the lengths do not fit.
pub fn scatter_add_rows<T: Real>(row: usize, indices: &[i32], updates: &[T], y: &mut [T]) {
    assert_eq!(updates.len(), row * indices.len(), "the length of the operand");
    y.fill(T::zero());
    for (index, from) in indices.iter().zip(updates.chunks_exact(row.max(1))) {
        let to = usize::try_from(*index).ok().and_then(|index| y.get_mut(index * row..(index + 1) * row));
        for (to, from) in to.into_iter().flatten().zip(from) {
            *to = *to + *from;
        }
    }
}

/// Extents of `x: [outer, extent, inner]` and of `indices: [outer, picks, inner]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Along {
    pub outer: usize,
    pub extent: usize,
    pub inner: usize,
    pub picks: usize,
}

impl Along {
    /// Calls `visit(position in x or none, position in indices)` for every index, in order.
    fn visit(&self, indices: &[i32], mut visit: impl FnMut(Option<usize>, usize)) {
        assert_eq!(indices.len(), self.outer * self.picks * self.inner, "the length of the indices");
        let mut at = 0;
        for outer in 0..self.outer {
            for _ in 0..self.picks {
                for inner in 0..self.inner {
                    let index = usize::try_from(indices[at]).ok().filter(|index| *index < self.extent);
                    visit(index.map(|index| (outer * self.extent + index) * self.inner + inner), at);
                    at += 1;
                }
            }
        }
    }
}

/// `y[o, p, i] = x[o, indices[o, p, i], i]`
///
/// # Panics
/// Where the lengths do not fit.
pub fn take_along<T: Real>(along: Along, x: &[T], indices: &[i32], fill: T, y: &mut [T]) {
    assert!(x.len() == along.outer * along.extent * along.inner && y.len() == indices.len(), "the lengths");
    along.visit(indices, |from, to| y[to] = from.map_or(fill, |from| x[from]));
}

/// `y[o, indices[o, p, i], i] += updates[o, p, i]`, from zeros.
///
/// # Panics
/// Where the lengths do not fit.
pub fn put_along<T: Real>(along: Along, indices: &[i32], updates: &[T], y: &mut [T]) {
    assert!(y.len() == along.outer * along.extent * along.inner && updates.len() == indices.len(), "the lengths");
    y.fill(T::zero());
    along.visit(indices, |to, from| {
        if let Some(to) = to {
            y[to] = y[to] + updates[from];
        }
    });
}
