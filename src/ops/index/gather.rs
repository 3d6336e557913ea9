//! Rows of a table: `y[i..., ...] = table[indices[i...], ...]`.
//!
//! Operands/Results: `table: f32[R, ...]`, `indices: i32[I...]` → `f32[I..., ...]`. Constraints: (C1) a table of floats with at least one
//! axis; (C2) indices of `i32`. An index outside `0..R` gives `fill`: NaN as users get it, so that a bad index shows; 0 in
//! derivatives. The data reader refuses such indices before a run.
//! Gradient: the rows' cotangents added up (`scatter_add`).

use super::filled;
use crate::ops::ScatterAdd;
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Gather {
    /// the value of rows that the table does not have
    pub fill: Scalar,
}

impl Primitive for Gather {
    const NAME: &'static str = "gather";
    primitive!(indexing, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [table, indices] = take(Self::NAME, operands)?;
        if !table.is_float() {
            return Err(OpError::dtype(format!("gather takes rows of an f32 table, found {table} (C1)")));
        }
        if table.is_scalar() {
            return Err(OpError::shape(format!("gather takes rows of a table, found {table} (C1)")));
        }
        if indices.dtype != DType::I32 {
            return Err(OpError::dtype(format!("gather takes i32 indices, found {indices} (C2)")));
        }
        Ok(TensorType::f32([&indices.shape, &table.shape[1..]].concat()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("fill", format!("{:?}", self.fill.0))]
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Differentiable } else { Flow::Zero }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let rows = b.shape(site.operands[0])[0].clone();
        b.emit(ScatterAdd { rows }, &[site.operands[1], cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(Self { fill: Scalar(0.0) }, &[tangent, site.operands[1]])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let (table, indices) = (operands[0].float(), operands[1].int());
        let shape = [indices.shape(), &table.shape()[1..]].concat();
        Tensor::Float(ArrayD::from_shape_fn(IxDyn(&shape), |at| {
            row_position(indices, &at).and_then(|at| table.get(at)).copied().unwrap_or(T::of(self.fill.0))
        }))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let (table, indices) = (types.operands[0].rank(), types.operands[1].rank());
        let column = |axis: usize| if axis == 0 { Along::Mixed } else { Along::Apart(indices + axis - 1) };
        Locality::Axes(vec![(0..table).map(column).collect(), (0..indices).map(Along::Apart).collect()])
    }

    fn demand(&self, types: Types<'_>) -> Option<Indexed> {
        Some(Indexed { slot: 1, extent: types.operands[0].shape[0].clone(), fill: self.fill, put: None })
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let rows = &ranges.types.operands[0].shape[0];
        filled(ranges.of(0), self.fill, ranges.are_positions(1, rows))
    }
}

/// Where in the table the element at `at` of the gathered rows stands; `None` for a negative index.
pub(crate) fn row_position(indices: &ArrayD<i32>, at: &IxDyn) -> Option<IxDyn> {
    let (index, rest) = ndarray::Dimension::slice(at).split_at(indices.ndim());
    let row = usize::try_from(indices[IxDyn(index)]).ok()?;
    Some(IxDyn(&[&[row], rest].concat()))
}
