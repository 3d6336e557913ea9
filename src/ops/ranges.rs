//! What is known of the operands where an op says its bounds.

use super::{Interval, Types};
use crate::ir::Dim;

/// The bounds of the operands at one use of an op.
#[derive(Clone, Copy, Debug)]
pub struct Ranges<'a> {
    pub operands: &'a [Interval],
    pub types: Types<'a>,
    /// the first two operands are the same value
    pub are_twins: bool,
    /// what a run-time dim is taken to be
    pub nominal: usize,
}

impl Ranges<'_> {
    /// The bounds of the operand at `slot`.
    pub fn of(&self, slot: usize) -> Interval {
        self.operands[slot]
    }

    /// The bounds of all operands together.
    pub fn hull(&self) -> Interval {
        self.operands.iter().copied().reduce(Interval::hull).unwrap_or(Interval::ALL)
    }

    /// The number of elements of a part of the operand's axes, when it is the same in every run.
    pub fn known_count(&self, slot: usize, axes: &[usize]) -> Option<usize> {
        let shape = &self.types.operands[slot].shape;
        axes.iter().try_fold(1usize, |count, axis| count.checked_mul(shape[*axis].as_known()?))
    }

    /// The number of elements of a part of the operand's axes with run-time dims at their nominal size.
    pub fn nominal_count(&self, slot: usize, axes: &[usize]) -> Option<usize> {
        let shape = &self.types.operands[slot].shape;
        axes.iter().try_fold(1usize, |count, axis| count.checked_mul(self.nominal_extent(&shape[*axis])?))
    }

    /// An extent with run-time dims at their nominal size.
    pub fn nominal_extent(&self, dim: &Dim) -> Option<usize> {
        if let Some(known) = dim.as_known() {
            return Some(known);
        }
        dim.evaluate(&dim.symbols().into_iter().map(|symbol| (symbol, self.nominal)).collect())
    }

    /// The positions along an axis of the operand.
    pub fn positions(&self, slot: usize, axis: usize) -> Interval {
        let last = self.types.operands[slot].shape[axis].as_known().map(|extent| extent.saturating_sub(1) as f64);
        Interval::new(0.0, last.unwrap_or(f64::from(i32::MAX)))
    }

    /// Whether every index of the operand at `slot` is one of `extent` positions.
    pub fn are_positions(&self, slot: usize, extent: &Dim) -> bool {
        let indices = self.of(slot);
        extent.as_known().is_some_and(|extent| indices.low >= 0.0 && indices.high < extent as f64)
    }
}
