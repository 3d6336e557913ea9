//! Elements added up along an axis where indices say: `y[..., n, ...] = Σ_{m: indices[..., m, ...] = n} updates[..., m, ...]`. The transpose
//! of `take_along`.
//!
//! Operands/Results: `indices: i32[..., M, ...]`, `updates: f32[..., M, ...]` → `f32[..., N, ...]`. Constraints: (C1) indices of `i32`, updates
//! of floats; (C2) equal shapes; (C3) the axis exists. Updates for indices outside `0..N` are left out.
//! Gradient: the cotangent's elements at the indices, 0 for updates left out. Numerics: added in row-major order.

use super::take_along::position_along;
use crate::ops::TakeAlong;
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PutAlong {
    pub axis: usize,
    /// N
    pub extent: Dim,
}

impl Primitive for PutAlong {
    const NAME: &'static str = "put_along";
    primitive!(indexing, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [indices, updates] = take(Self::NAME, operands)?;
        if indices.dtype != DType::I32 || !updates.is_float() {
            let found = format!("found {indices} and {updates}");
            return Err(OpError::dtype(format!("put_along takes i32 indices and f32 updates, {found} (C1)")));
        }
        if indices.shape != updates.shape {
            return Err(OpError::shape(format!("put_along: updates {updates} for indices {indices} (C2)")));
        }
        if self.axis >= updates.rank() {
            return Err(OpError::constraint(format!("cannot put {updates} along axis {} (C3)", self.axis)));
        }
        let mut ty = updates.clone();
        ty.shape[self.axis] = self.extent.clone();
        Ok(ty)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string()), ("extent", self.extent.to_string())]
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Zero } else { Flow::Differentiable }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.emit(TakeAlong { axis: self.axis, fill: Scalar(0.0) }, &[cotangent, site.operands[0]])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(self.clone(), &[site.operands[0], tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (indices, updates) = (operands[0].int(), operands[1].float());
        let mut sums = ArrayD::zeros(IxDyn(&extents(result)));
        for (at, update) in updates.indexed_iter() {
            let to = position_along(self.axis, indices[&at], at);
            if let Some(sum) = to.and_then(|to| sums.get_mut(to)) {
                *sum += *update;
            }
        }
        Tensor::Float(sums)
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { axis: self.axis, extent: self.extent.bind(sizes) }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let rank = types.result.rank();
        let along =
            |within: Along| (0..rank).map(|axis| if axis == self.axis { within } else { Along::Apart(axis) }).collect();
        Locality::Axes(vec![along(Along::Mixed), along(Along::Added)])
    }

    fn demand(&self, _types: Types<'_>) -> Option<Indexed> {
        Some(Indexed { slot: 0, extent: self.extent.clone(), fill: Scalar(0.0), put: Some(1) })
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(1).sums_from(0)
    }
}
