//! Elements picked along an axis: `y[..., m, ...] = x[..., indices[..., m, ...], ...]`.
//!
//! Operands/Results: `x: f32[..., N, ...]`, `indices: i32[..., M, ...]` → `f32[..., M, ...]`. Constraints: (C1) `x` of floats, indices of `i32`;
//! (C2) the axis exists, ranks and the extents of all other axes are equal. An index outside `0..N` gives `fill`: NaN as
//! users get it, so that a bad index shows; 0 in derivatives.
//! One element a row is `M = 1` and a reshape; the order of a sort is `M = N`.
//! Gradient: the cotangents added where they were picked (`put_along`).

use super::filled;
use crate::ops::PutAlong;
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TakeAlong {
    pub axis: usize,
    /// the value for indices outside
    pub fill: Scalar,
}

impl Primitive for TakeAlong {
    const NAME: &'static str = "take_along";
    primitive!(indexing, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, indices] = take(Self::NAME, operands)?;
        if !x.is_float() || indices.dtype != DType::I32 {
            return Err(OpError::dtype(format!("take_along takes f32 by i32 indices, found {x} and {indices} (C1)")));
        }
        let fits = self.axis < x.rank()
            && x.rank() == indices.rank()
            && (0..x.rank()).all(|axis| axis == self.axis || x.shape[axis] == indices.shape[axis]);
        if !fits {
            let axis = self.axis;
            return Err(OpError::shape(format!("cannot take from {x} along axis {axis} by indices {indices} (C2)")));
        }
        Ok(TensorType::f32(indices.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("fill", format!("{:?}", self.fill.0))]
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Differentiable } else { Flow::Zero }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let extent = b.shape(site.operands[0])[self.axis].clone();
        b.emit(PutAlong { axis: self.axis, extent }, &[site.operands[1], cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(Self { axis: self.axis, fill: Scalar(0.0) }, &[tangent, site.operands[1]])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let (x, indices) = (operands[0].float(), operands[1].int());
        Tensor::Float(ArrayD::from_shape_fn(indices.raw_dim(), |at| {
            let from = position_along(self.axis, indices[&at], at);
            from.and_then(|from| x.get(from)).copied().unwrap_or(T::of(self.fill.0))
        }))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let rank = types.result.rank();
        let element = |axis: usize| if axis == self.axis { Along::Mixed } else { Along::Apart(axis) };
        Locality::Axes(vec![(0..rank).map(element).collect(), (0..rank).map(Along::Apart).collect()])
    }

    fn demand(&self, types: Types<'_>) -> Option<Indexed> {
        Some(Indexed { slot: 1, extent: types.operands[0].shape[self.axis].clone(), fill: self.fill, put: None })
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let extent = &ranges.types.operands[0].shape[self.axis];
        filled(ranges.of(0), self.fill, ranges.are_positions(1, extent))
    }
}

/// `at` with another index along an axis; `None` for a negative one.
pub(crate) fn position_along(axis: usize, index: i32, mut at: IxDyn) -> Option<IxDyn> {
    at[axis] = usize::try_from(index).ok()?;
    Some(at)
}
