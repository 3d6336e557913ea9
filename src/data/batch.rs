//! The order in which rows are visited, and gathering them into buffers.
//!
//! [`Batcher`] takes a row count and options, and gives the order of one epoch as a permutation that depends on
//! (rows, seed, epoch) alone: ChaCha8 with the seed as the first 8 bytes (little-endian) of an otherwise zero key and the
//! epoch as the stream, driving a Fisher-Yates shuffle from the last place down. A place below `bound` is drawn as the
//! high half of `next_u32 * bound`, with Lemire's rejection of the biased low halves. So an order can be had for any
//! epoch without its predecessors: a resumed run visits the same rows.

use num_traits::Float;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Dataset, Field, Numbers};

/// A plan of batches over `rows` rows.
///
/// ```
/// use anabranch::data::Batcher;
///
/// let plan = Batcher { rows: 10, batch_size: 4, shuffle: Some(0), drop_last: false };
/// let order = plan.order(3);
/// assert_eq!(plan.batches(&order).map(|rows| rows.len()).collect::<Vec<_>>(), [4, 4, 2]);
/// assert_eq!(order, plan.order(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batcher {
    /// Number of rows; `load` refuses more than `u32` counts.
    pub rows: u32,
    /// Rows in a batch. 0 is taken as 1.
    pub batch_size: u32,
    /// The seed of the order; `None` visits rows as they stand in the file.
    pub shuffle: Option<u64>,
    /// Leaves out a last batch that is short.
    pub drop_last: bool,
}

impl Batcher {
    /// The different numbers of rows that batches have.
    pub fn sizes(&self) -> Vec<usize> {
        let (rows, whole) = (self.rows as usize, (self.batch_size as usize).max(1));
        let rest = if self.drop_last { 0 } else { rows % whole };
        let full = if rows >= whole { whole } else { 0 };
        [full, rest].into_iter().filter(|n_rows| *n_rows > 0).collect()
    }

    /// The row order of an epoch.
    pub fn order(&self, epoch: u64) -> Vec<u32> {
        let mut order = Vec::new();
        self.order_into(epoch, &mut order);
        order
    }

    /// The row order of an epoch, into a vector that is reused from epoch to epoch.
    pub fn order_into(&self, epoch: u64, order: &mut Vec<u32>) {
        order.clear();
        order.extend(0..self.rows);
        let Some(seed) = self.shuffle else { return };
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = ChaCha8Rng::from_seed(key);
        random.set_stream(epoch);
        for bound in (2..=self.rows).rev() {
            let place = draw_below(&mut random, bound);
            order.swap(bound as usize - 1, place as usize);
        }
    }

    /// The batches of an order that [`Batcher::order`] gave.
    pub fn batches<'a>(&self, order: &'a [u32]) -> impl ExactSizeIterator<Item = &'a [u32]> + use<'a> {
        let size = self.batch_size.max(1) as usize;
        let kept = if self.drop_last { order.len() / size * size } else { order.len() };
        order[..kept].chunks(size)
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        let size = self.batch_size.max(1);
        let count = if self.drop_last { self.rows / size } else { self.rows.div_ceil(size) };
        count as usize
    }
}

/// The numbers below `rows`, at most as many as `u32` counts, in an order of chance: that of an epoch of a run with this seed.
pub(crate) fn shuffled(rows: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    Batcher { rows, batch_size: 1, shuffle: Some(seed), drop_last: false }.order(epoch)
}

/// A number below `bound`, each equally likely. `bound` is not 0.
fn draw_below(random: &mut ChaCha8Rng, bound: u32) -> u32 {
    let biased = bound.wrapping_neg() % bound;
    loop {
        let product = u64::from(random.next_u32()) * u64::from(bound);
        if product as u32 >= biased {
            return (product >> 32) as u32;
        }
    }
}

impl Field {
    /// Number of elements in one row; the largest number there is when it is beyond that.
    pub fn row_len(&self) -> usize {
        self.shape.iter().fold(1, |product, dim| product.saturating_mul(*dim))
    }

    /// The bits of a row's values.
    pub fn row_bits(&self, row: usize) -> impl Iterator<Item = u64> + '_ {
        let n = self.row_len();
        (row * n..(row + 1) * n).map(|at| self.values.get(at).to_bits())
    }

    /// Gathers rows into `out`, converting to its type; missing values are NaN (see
    /// [`MISSING_INT`](super::MISSING_INT) for integer fields, which convert as they are). False, with `out` as it was, when
    /// `out` does not hold `rows.len() * row_len()` elements or the field has no such row.
    pub fn fill_float<T: Float>(&self, rows: &[u32], out: &mut [T]) -> bool {
        match &self.values {
            Numbers::F32(values) => gather(values, self.row_len(), rows, out, float),
            Numbers::F64(values) => gather(values, self.row_len(), rows, out, float),
            Numbers::I32(values) => gather(values, self.row_len(), rows, out, float),
        }
    }

    /// Gathers rows of integers into `out`, as [`Field::fill_float`] does. Floats, which [`load`](super::load) never leaves in
    /// an integer field, are truncated.
    pub fn fill_int(&self, rows: &[u32], out: &mut [i32]) -> bool {
        match &self.values {
            Numbers::F32(values) => gather(values, self.row_len(), rows, out, |value| value as i32),
            Numbers::F64(values) => gather(values, self.row_len(), rows, out, |value| value as i32),
            Numbers::I32(values) => gather(values, self.row_len(), rows, out, |value| value),
        }
    }
}

impl Dataset {
    /// [`Field::fill_float`] of a field by name; false also when there is none of that name.
    pub fn fill_float<T: Float>(&self, field: &str, rows: &[u32], out: &mut [T]) -> bool {
        self.fields.get(field).is_some_and(|field| field.fill_float(rows, out))
    }

    /// [`Field::fill_int`] of a field by name; false also when there is none of that name.
    pub fn fill_int(&self, field: &str, rows: &[u32], out: &mut [i32]) -> bool {
        self.fields.get(field).is_some_and(|field| field.fill_int(rows, out))
    }
}

/// Floats have every value that the source types have, at worst rounded, so the conversion always succeeds.
fn float<S: num_traits::ToPrimitive, T: Float>(value: S) -> T {
    T::from(value).unwrap_or_else(T::nan)
}

fn gather<S: Copy, T>(values: &[S], row_len: usize, rows: &[u32], out: &mut [T], convert: impl Fn(S) -> T) -> bool {
    let n_rows = values.len().checked_div(row_len).unwrap_or(usize::MAX);
    if Some(out.len()) != rows.len().checked_mul(row_len) || rows.iter().any(|row| *row as usize >= n_rows) {
        return false;
    }
    if row_len == 0 {
        return true;
    }
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(row_len)) {
        let start = row as usize * row_len;
        for (out, &value) in out.iter_mut().zip(&values[start..start + row_len]) {
            *out = convert(value);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Batcher = Batcher { rows: 10, batch_size: 4, shuffle: Some(7), drop_last: false };

    #[test]
    fn an_order_is_a_permutation_that_seed_and_epoch_decide() {
        let mut sorted = PLAN.order(3);
        assert_eq!(sorted, PLAN.order(3));
        assert_ne!(sorted, PLAN.order(4));
        assert_ne!(sorted, Batcher { shuffle: Some(8), ..PLAN }.order(3));
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        assert_eq!(Batcher { shuffle: None, ..PLAN }.order(3), sorted);
    }

    /// Pins the documented method: a change would alter every run.
    #[test]
    fn the_order_of_a_seed_never_changes() {
        // From an independent implementation of the method that the module's header describes.
        assert_eq!(PLAN.order(0), [5, 9, 8, 4, 0, 2, 3, 7, 6, 1]);
        assert_eq!(PLAN.order((1 << 40) + 5), [6, 3, 1, 8, 5, 7, 2, 0, 4, 9]);
    }

    #[test]
    fn every_first_row_is_about_equally_likely() {
        let plan = Batcher { rows: 3, ..PLAN };
        let mut counts = [0_u32; 3];
        for epoch in 0..3000 {
            counts[plan.order(epoch)[0] as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_last_batch_is_short_or_dropped() {
        let sizes = |plan: Batcher| plan.batches(&plan.order(0)).map(<[u32]>::len).collect::<Vec<_>>();
        assert_eq!(sizes(PLAN), [4, 4, 2]);
        assert_eq!(PLAN.batches_per_epoch(), 3);
        let dropped = Batcher { drop_last: true, ..PLAN };
        assert_eq!(sizes(dropped), [4, 4]);
        assert_eq!(dropped.batches_per_epoch(), 2);
        let empty = Batcher { rows: 0, ..PLAN };
        assert_eq!(sizes(empty), [0; 0]);
        assert_eq!(empty.batches_per_epoch(), 0);
    }

    #[test]
    fn rows_are_gathered_and_converted() {
        let field = Field { shape: vec![2], values: Numbers::F64(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.5]) };
        let mut out = [0_f32; 4];
        assert!(field.fill_float(&[2, 0], &mut out));
        assert_eq!(out, [4.0, 5.5, 0.0, 1.0]);
        let labels = Field { shape: vec![], values: Numbers::I32(vec![5, 6, 7]) };
        let (mut ints, mut floats) = ([0; 2], [0_f64; 2]);
        assert!(labels.fill_int(&[1, 2], &mut ints) && labels.fill_float(&[1, 2], &mut floats));
        assert_eq!((ints, floats), ([6, 7], [6.0, 7.0]));
        for (rows, n_values) in [(&[3, 0][..], 2), (&[0], 2), (&[0, 1], 1), (&[u32::MAX], 1)] {
            let mut ints = vec![0; n_values];
            assert!(!labels.fill_int(rows, &mut ints), "{rows:?}");
        }
    }
}
