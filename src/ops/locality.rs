//! Where positions along the operands' axes go: what keeps samples apart, and what adds them up.

use crate::ir::TensorType;

/// The types at one use of an op.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    pub operands: &'a [&'a TensorType],
    pub result: &'a TensorType,
}

/// What becomes of the positions along one axis of an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Along {
    /// A position reaches the same position along this axis of the result and no other. Where the extents differ, cut both
    /// axes into `n` equal parts, `n` being any number that divides both: part `i` reaches part `i` and no other.
    Apart(usize),
    /// The result is a sum over the positions, of terms linear in this operand. Terms of several operands that are added
    /// up are paired: the result is `Σ_i f(x[i], y[i])`.
    Added,
    /// Positions meet in another way, as far as is known.
    Mixed,
}

/// The whole of it, for all operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locality {
    /// All operands have the result's shape, and an element of the result is a function of the elements at its position.
    Pointwise,
    /// One entry for each axis of each operand.
    Axes(Vec<Vec<Along>>),
    /// Nothing is known to stay apart.
    Mixes,
}

impl Locality {
    /// What becomes of the positions along an operand's axis.
    pub fn along(&self, slot: usize, axis: usize) -> Along {
        match self {
            Self::Pointwise => Along::Apart(axis),
            Self::Axes(operands) => operands.get(slot).and_then(|axes| axes.get(axis)).copied().unwrap_or(Along::Mixed),
            Self::Mixes => Along::Mixed,
        }
    }

    /// Operands of the result's rank, all of whose axes stay where they are but those that are named.
    pub fn but(types: Types<'_>, axes: &[usize], instead: Along) -> Self {
        let along = |axis: usize| if axes.contains(&axis) { instead } else { Along::Apart(axis) };
        Self::Axes(types.operands.iter().map(|ty| (0..ty.rank()).map(along).collect()).collect())
    }

    /// One operand, some axes of which go away.
    pub fn reduced(types: Types<'_>, axes: &[usize], reduced: Along) -> Self {
        let below = |axis: usize| axes.iter().filter(|gone| **gone < axis).count();
        let along = |axis: usize| if axes.contains(&axis) { reduced } else { Along::Apart(axis - below(axis)) };
        Self::Axes(vec![(0..types.operands[0].rank()).map(along).collect()])
    }

    /// Values in windows: the batch stays apart and so do the channels, where `channels` says so.
    pub fn windows(types: Types<'_>, channels: bool) -> Self {
        let last = types.result.rank() - 1;
        let along =
            |axis: usize| if axis == 0 || (channels && axis == last) { Along::Apart(axis) } else { Along::Mixed };
        Self::Axes(types.operands.iter().map(|ty| (0..ty.rank()).map(along).collect()).collect())
    }
}
