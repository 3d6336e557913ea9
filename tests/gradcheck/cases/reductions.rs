//! Ops that take axes away.

use super::{USUAL, case, distinct, floats};
use crate::harness::Case;
use anabranch::ops::*;

/// A shape and the axes to reduce: none, some, all, of extent 1, and an empty one.
pub const AXES: [(&[usize], &[usize]); 8] = [
    (&[], &[]),
    (&[4], &[0]),
    (&[3, 2], &[]),
    (&[3, 2], &[1]),
    (&[3, 1], &[1]),
    (&[0, 2], &[1]),
    (&[2, 3, 2], &[0, 2]),
    (&[2, 1, 2, 2], &[0, 1, 2, 3]),
];

pub fn cases() -> Vec<Case> {
    let over_axes = AXES.into_iter().flat_map(|(extents, axes)| {
        let axes = || axes.to_vec();
        [
            case(Sum { axes: axes() }, vec![floats(extents, -1.0, 1.0)], USUAL),
            case(MaxReduce { axes: axes() }, vec![distinct(extents)], USUAL),
        ]
    });
    let empty = case(Sum { axes: vec![0] }, vec![floats(&[0, 2], -1.0, 1.0)], USUAL);
    let positions = [(&[4][..], 0), (&[2, 3], 1), (&[2, 1, 2], 0)];
    let positions = positions.map(|(extents, axis)| case(ArgMax { axis }, vec![distinct(extents)], USUAL));
    over_axes.chain([empty]).chain(positions).collect()
}
