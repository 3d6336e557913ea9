//! Ops that move elements.

use super::extent;
use crate::common::every_op::growth::{Draws, Entry, Growth};
use anabranch::ir::{Dim, TensorType};
use anabranch::ops;

pub fn grow(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let x = g.any(draws);
    let rank = g.ty(&x).rank();
    match name {
        "reshape" => reshape(g, &x, draws),
        "transpose" => {
            let mut permutation: Vec<usize> = (0..rank).collect();
            for i in (1..rank).rev() {
                permutation.swap(i, draws.below(i + 1));
            }
            g.apply(ops::Transpose { permutation }, &[&x])
        }
        "broadcast" => {
            let (mut shape, mut axes) = (Vec::new(), Vec::new());
            for dim in g.shape(&x) {
                if draws.below(3) == 0 {
                    shape.push(if draws.flag() { Dim::batch() } else { Dim::known(1 + draws.below(4)) });
                }
                axes.push(shape.len());
                shape.push(dim);
            }
            if draws.flag() || rank == 0 {
                shape.push(Dim::known(draws.of(&[1, 2, 3, 17])));
            }
            g.apply(ops::Broadcast { shape, axes }, &[&x])
        }
        "concat" if rank > 0 => {
            let axis = draws.below(rank);
            let mut parts = vec![x.clone()];
            for _ in 0..draws.below(3) {
                let mut ty = g.ty(&x);
                if !ty.shape[axis].is_batch() && draws.flag() {
                    ty.shape[axis] = Dim::known(1 + draws.below(3));
                }
                parts.push(g.like(draws, &ty));
            }
            g.apply(ops::Concat { axis }, &parts.iter().collect::<Vec<_>>())
        }
        "slice" => slice(g, &x, draws),
        "pad" => {
            let strides: Vec<usize> = (0..rank).map(|_| draws.of(&[1, 1, 2])).collect();
            let starts: Vec<usize> = (0..rank).map(|_| draws.below(3)).collect();
            let mut shape = Vec::new();
            for (axis, dim) in g.shape(&x).into_iter().enumerate() {
                // The last element of x stands at `start + (extent - 1) stride`.
                let spread = dim.mul(&Dim::known(strides[axis]))?;
                shape.push(spread.offset((starts[axis] + draws.below(2)) as i64)?);
            }
            let starts = starts.into_iter().map(Dim::known).collect();
            g.apply(ops::Pad { starts, strides, shape }, &[&x])
        }
        "reverse" => g.apply(ops::Reverse { axes: (0..rank).filter(|_| draws.flag()).collect() }, &[&x]),
        _ => None,
    }
}

/// Axes joined, split, and put in where there is one element.
fn reshape(g: &mut Growth, x: &Entry, draws: &mut Draws) -> Option<Entry> {
    let mut shape = g.shape(x);
    for _ in 0..=draws.below(2) {
        let rank = shape.len();
        match draws.below(4) {
            0 if rank > 1 => {
                let axis = draws.below(rank - 1);
                let second = shape.remove(axis + 1);
                shape[axis] = shape[axis].mul(&second)?;
            }
            1 if rank > 0 => {
                let axis = draws.below(rank);
                let factors = draws.of(&[2, 3, 4]);
                if let Some(rest) = shape[axis].div_exact(&Dim::known(factors)) {
                    let pair = if draws.flag() { [rest, Dim::known(factors)] } else { [Dim::known(factors), rest] };
                    shape.splice(axis..=axis, pair);
                }
            }
            2 if shape.iter().any(Dim::is_one) => shape.retain(|dim| !dim.is_one()),
            _ => shape.insert(draws.below(rank + 1), Dim::known(1)),
        }
    }
    g.apply(ops::Reshape { shape }, &[x])
}

/// On axes of known extent a part, whole ones of the others.
fn slice(g: &mut Growth, x: &Entry, draws: &mut Draws) -> Option<Entry> {
    let TensorType { shape, .. } = g.ty(x);
    let rank = shape.len();
    let (mut starts, mut extents, mut strides) = (vec![Dim::known(0); rank], shape.clone(), vec![1; rank]);
    for (axis, dim) in shape.iter().enumerate() {
        let length = extent(&x.exact, axis);
        if dim.as_known().is_some() && length > 0 && draws.below(3) > 0 {
            let start = draws.below(length);
            strides[axis] = 1 + draws.below(2);
            let most = (length - start).div_ceil(strides[axis]);
            starts[axis] = Dim::known(start);
            extents[axis] = Dim::known(1 + draws.below(most));
        }
    }
    g.apply(ops::Slice { starts, extents, strides }, &[x])
}
