//! Ops that move elements.

use super::{USUAL, case, dims, floats, ints};
use crate::gradcheck::harness::{Case, Operand};
use anabranch::ir::Dim;
use anabranch::ops::*;

fn x(extents: &[usize]) -> Operand {
    floats(extents, -1.0, 1.0)
}

pub fn cases() -> Vec<Case> {
    [rearrangements(), parts(), by_index()].concat()
}

fn rearrangements() -> Vec<Case> {
    let reshape = |from: &[usize], to: &[usize]| case(Reshape { shape: dims(to) }, vec![x(from)], USUAL);
    let transpose =
        |from: &[usize], order: &[usize]| case(Transpose { permutation: order.to_vec() }, vec![x(from)], USUAL);
    let reverse = |from: &[usize], axes: &[usize]| case(Reverse { axes: axes.to_vec() }, vec![x(from)], USUAL);
    let broadcast = |from: &[usize], to: &[usize], axes: &[usize]| {
        case(Broadcast { shape: dims(to), axes: axes.to_vec() }, vec![x(from)], USUAL)
    };
    vec![
        reshape(&[2, 3], &[3, 1, 2]),
        reshape(&[1, 1], &[]),
        reshape(&[0, 3], &[5, 0]),
        transpose(&[], &[]),
        transpose(&[2, 3], &[1, 0]),
        transpose(&[2, 3, 1, 2], &[2, 0, 3, 1]),
        transpose(&[2, 0], &[1, 0]),
        reverse(&[], &[]),
        reverse(&[3], &[0]),
        reverse(&[2, 3, 2], &[0, 2]),
        reverse(&[0, 2], &[1]),
        broadcast(&[], &[2, 3], &[]),
        broadcast(&[3], &[2, 3, 1], &[1]),
        broadcast(&[2, 1], &[2, 4, 1], &[0, 2]),
        broadcast(&[2], &[0, 2], &[1]),
    ]
}

fn parts() -> Vec<Case> {
    let concat = |parts: &[&[usize]], axis| case(Concat { axis }, parts.iter().map(|part| x(part)).collect(), USUAL);
    let slice = |from: &[usize], starts: &[usize], extents: &[usize], strides: &[usize]| {
        let op = Slice { starts: dims(starts), extents: dims(extents), strides: strides.to_vec() };
        case(op, vec![x(from)], USUAL)
    };
    let pad = |from: &[usize], starts: &[usize], strides: &[usize], to: &[usize]| {
        let op = Pad { starts: dims(starts), strides: strides.to_vec(), shape: dims(to) };
        case(op, vec![x(from)], USUAL)
    };
    vec![
        concat(&[&[2]], 0),
        concat(&[&[2, 1], &[2, 3], &[2, 0]], 1),
        concat(&[&[1, 2, 2], &[2, 2, 2]], 0),
        slice(&[], &[], &[], &[]),
        slice(&[5], &[1], &[2], &[2]),
        slice(&[3, 4], &[0, 1], &[3, 2], &[1, 2]),
        slice(&[3, 4], &[3, 0], &[0, 4], &[1, 1]),
        slice(&[2, 3, 1, 2], &[1, 0, 0, 1], &[1, 2, 1, 1], &[1, 2, 1, 1]),
        pad(&[], &[], &[], &[]),
        pad(&[2], &[1], &[2], &[5]),
        pad(&[2, 3], &[0, 1], &[2, 1], &[4, 4]),
        pad(&[0, 2], &[1, 0], &[1, 1], &[3, 2]),
    ]
}

/// Extents of `x` and of the indices, the axis, the indices.
type Along = (&'static [usize], &'static [usize], usize, &'static [i32]);

/// Repeated indices, and indices outside with the fill that derivatives use.
fn by_index() -> Vec<Case> {
    let fill = Scalar(0.0);
    let indices: [(&[usize], &[i32]); 5] =
        [(&[], &[1]), (&[4], &[2, 0, 2, 1]), (&[2, 2], &[0, 0, -1, 3]), (&[0, 3], &[]), (&[1, 1, 1], &[2])];
    let mut cases = Vec::new();
    for (shape, positions) in indices {
        for row in [&[][..], &[2], &[1, 2], &[0]] {
            let (table, updates) = ([&[3], row].concat(), [shape, row].concat());
            cases.push(case(Gather { fill }, vec![x(&table), ints(shape, positions)], USUAL));
            let operands = vec![ints(shape, positions), x(&updates)];
            cases.push(case(ScatterAdd { rows: Dim::known(3) }, operands, USUAL));
        }
    }
    let along: [Along; 5] = [
        (&[3], &[4], 0, &[1, 1, 0, 2]),
        (&[2, 3], &[2, 1], 1, &[2, 0]),
        (&[3, 2], &[3, 2], 0, &[2, 0, -1, 1, 0, 3]),
        (&[2, 2, 2], &[2, 3, 2], 1, &[0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0]),
        (&[2, 0], &[2, 1], 1, &[0, 0]),
    ];
    for (extents, shape, axis, positions) in along {
        cases.push(case(TakeAlong { axis, fill }, vec![x(extents), ints(shape, positions)], USUAL));
        let extent = Dim::known(extents[axis]);
        cases.push(case(PutAlong { axis, extent }, vec![ints(shape, positions), x(shape)], USUAL));
    }
    cases
}
