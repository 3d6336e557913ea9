//! Rows added up where indices say: `y[r, ...] = Σ_{i: indices[i] = r} updates[i..., ...]`. The transpose of `gather`.
//!
//! Operands/Results: `indices: i32[I...]`, `updates: f32[I..., ...]` → `f32[R, ...]`. Constraints: (C1) `updates` of floats, with the axes
//! of `indices` first; (C2) indices of `i32`. Updates for rows outside `0..R` are left out.
//! Gradient: the rows of the cotangent, 0 for updates left out. Numerics: updates are added in row-major order.

use super::gather::row_position;
use crate::ops::Gather;
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ScatterAdd {
    /// R
    pub rows: Dim,
}

impl Primitive for ScatterAdd {
    const NAME: &'static str = "scatter_add";
    primitive!(indexing, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [indices, updates] = take(Self::NAME, operands)?;
        if indices.dtype != DType::I32 {
            return Err(OpError::dtype(format!("scatter_add takes i32 indices, found {indices} (C2)")));
        }
        if !updates.is_float() {
            return Err(OpError::dtype(format!("scatter_add takes f32 updates, found {updates} (C1)")));
        }
        if !updates.shape.starts_with(&indices.shape) {
            return Err(OpError::shape(format!("scatter_add: updates {updates} for indices {indices} (C1)")));
        }
        let row = &updates.shape[indices.rank()..];
        Ok(TensorType::f32([std::slice::from_ref(&self.rows), row].concat()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("rows", self.rows.to_string())]
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Zero } else { Flow::Differentiable }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.emit(Gather { fill: Scalar(0.0) }, &[cotangent, site.operands[0]])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(self.clone(), &[site.operands[0], tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (indices, updates) = (operands[0].int(), operands[1].float());
        let mut sums = ArrayD::zeros(IxDyn(&extents(result)));
        for (at, update) in updates.indexed_iter() {
            if let Some(sum) = row_position(indices, &at).and_then(|at| sums.get_mut(at)) {
                *sum += *update;
            }
        }
        Tensor::Float(sums)
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { rows: self.rows.bind(sizes) }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let (indices, updates) = (types.operands[0].rank(), types.operands[1].rank());
        let update = |axis: usize| if axis < indices { Along::Added } else { Along::Apart(axis - indices + 1) };
        Locality::Axes(vec![vec![Along::Mixed; indices], (0..updates).map(update).collect()])
    }

    fn demand(&self, _types: Types<'_>) -> Option<Indexed> {
        Some(Indexed { slot: 0, extent: self.rows.clone(), fill: Scalar(0.0), put: Some(1) })
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(1).sums_from(0)
    }
}
