//! Elements in order along an axis.
//!
//! Operands/Results: `x: f32[..., N, ...]` → `f32[..., N, ...]` (or `i32`). Constraints: (C1) the axis exists.
//! Gradient: each cotangent goes back to where its element came from, by `argsort` and `put_along`; the order itself is
//! constant wherever it is continuous. Numerics: stable; NaN stand last, `descending` too.

use super::argsort::order;
use crate::ops::prelude::*;
use crate::ops::{ArgSort, PutAlong, TakeAlong};
use ndarray::{ArrayD, Axis, Zip};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Sort {
    pub axis: usize,
    pub descending: bool,
}

impl Sort {
    fn order(&self, b: &mut Builder<'_>, site: Site<'_>) -> NodeId {
        b.emit(ArgSort { axis: self.axis, descending: self.descending }, &[site.operands[0]])
    }
}

impl Primitive for Sort {
    const NAME: &'static str = "sort";
    primitive!(differentiable, number_lanes, kernel, sizeless, moving, plain);

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let descending = self.descending.then(|| ("descending", "true".to_string()));
        [("axis", self.axis.to_string())].into_iter().chain(descending).collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let order = self.order(b, site);
        let extent = b.shape(site.result)[self.axis].clone();
        b.emit(PutAlong { axis: self.axis, extent }, &[order, cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let order = self.order(b, site);
        b.emit(TakeAlong { axis: self.axis, fill: Scalar(0.0) }, &[tangent, order])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        match operands[0] {
            Tensor::Int(x) => Tensor::Int(sorted(x, self)),
            x => Tensor::Float(sorted(x.float(), self)),
        }
    }
}

fn sorted<T: Copy + PartialOrd>(x: &ArrayD<T>, op: &Sort) -> ArrayD<T> {
    let mut y = x.clone();
    Zip::from(y.lanes_mut(Axis(op.axis))).and(x.lanes(Axis(op.axis))).for_each(|mut to, lane| {
        for (to, from) in to.iter_mut().zip(order(lane, op.descending)) {
            *to = lane[from];
        }
    });
    y
}
