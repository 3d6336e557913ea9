//! Ops that read or add where whole numbers say, some of which lie outside.

use super::extent;
use crate::common::every_op::growth::{Draws, Entry, Growth};
use anabranch::ir::{DType, Dim, TensorType};
use anabranch::ops::{self, Scalar};

pub fn grow(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let x = g.float_of_rank(draws, 1);
    let shape = g.shape(&x);
    let axis = draws.below(shape.len());
    let fill = Scalar(draws.of(&[0.0, 0.5, -2.0]));
    match name {
        "gather" => {
            let indices = g.pick(
                draws,
                |ty| ty.dtype == DType::I32 && ty.rank() <= 2,
                |draws| {
                    TensorType::new(
                        DType::I32,
                        draws.of(&[vec![], vec![Dim::known(4)], vec![Dim::batch(), Dim::known(2)]]),
                    )
                },
            );
            g.apply(ops::Gather { fill }, &[&x, &indices])
        }
        "scatter_add" => {
            let n_axes = draws.below(shape.len() + 1);
            let indices = indices(g, draws, shape[..n_axes].to_vec());
            g.apply(ops::ScatterAdd { rows: Dim::known(1 + draws.below(5)) }, &[&indices, &x])
        }
        "take_along" => {
            let mut wanted = shape;
            if !wanted[axis].is_batch() && draws.flag() {
                wanted[axis] = Dim::known(1 + draws.below(4));
            }
            let indices = indices(g, draws, wanted);
            g.apply(ops::TakeAlong { axis, fill }, &[&x, &indices])
        }
        _ => {
            let indices = indices(g, draws, shape);
            let most = extent(&x.exact, axis) + 2;
            g.apply(ops::PutAlong { axis, extent: Dim::known(1 + draws.below(most)) }, &[&indices, &x])
        }
    }
}

fn indices(g: &mut Growth, draws: &mut Draws, shape: Vec<Dim>) -> Entry {
    g.like(draws, &TensorType::new(DType::I32, shape))
}
