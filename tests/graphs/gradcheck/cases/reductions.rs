//! Ops that take axes away, and ops along one axis.

use super::{USUAL, case, distinct, floats, values};
use crate::gradcheck::harness::Case;
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
    [over_axes(), products_with_zeros(), along_an_axis()].concat()
}

fn over_axes() -> Vec<Case> {
    let over_axes = AXES.into_iter().flat_map(|(extents, axes)| {
        let axes = || axes.to_vec();
        [
            case(Sum { axes: axes() }, vec![floats(extents, -1.0, 1.0)], USUAL),
            case(MaxReduce { axes: axes() }, vec![distinct(extents)], USUAL),
            case(Product { axes: axes() }, vec![floats(extents, -1.5, 1.5)], USUAL),
            case(LogSumExp { axes: axes() }, vec![floats(extents, -2.0, 2.0)], USUAL),
        ]
    });
    let empty = case(Sum { axes: vec![0] }, vec![floats(&[0, 2], -1.0, 1.0)], USUAL);
    let positions = [(&[4][..], 0), (&[2, 3], 1), (&[2, 1, 2], 0)];
    let positions = positions.map(|(extents, axis)| case(ArgMax { axis }, vec![distinct(extents)], USUAL));
    over_axes.chain([empty]).chain(positions).collect()
}

/// Derivatives by an element do not vanish where another is zero.
fn products_with_zeros() -> Vec<Case> {
    let x = [0.0, 1.5, -0.7, 2.0, 0.0, 0.0];
    let product =
        |extents: &[usize], axes: &[usize]| case(Product { axes: axes.to_vec() }, vec![values(extents, &x)], USUAL);
    vec![product(&[6], &[0]), product(&[2, 3], &[1]), product(&[2, 3], &[0]), product(&[3, 1, 2], &[0, 2])]
}

fn along_an_axis() -> Vec<Case> {
    let mut cases = Vec::new();
    for (extents, axis) in [(&[4][..], 0), (&[1], 0), (&[0, 2], 0), (&[2, 3], 1), (&[2, 3, 2], 1), (&[1, 3, 1, 2], 1)] {
        let x = || floats(extents, -1.5, 1.5);
        for reverse in [false, true] {
            for exclusive in [false, true] {
                cases.push(case(CumulativeSum { axis, reverse, exclusive }, vec![x()], USUAL));
            }
            let summand = floats(extents, -1.0, 1.0);
            cases.push(case(LinearRecurrence { axis, reverse }, vec![x(), summand], USUAL));
            cases.push(case(Sort { axis, descending: reverse }, vec![distinct(extents)], USUAL));
            cases.push(case(ArgSort { axis, descending: reverse }, vec![distinct(extents)], USUAL));
        }
        cases.push(case(Softmax { axis }, vec![x()], USUAL));
        cases.push(case(LogSoftmax { axis }, vec![x()], USUAL));
    }
    cases
}
