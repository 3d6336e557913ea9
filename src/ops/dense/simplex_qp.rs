//! `w` with the least `wᵀ G w` over weights `w ≥ 0`, `Σ w = 1`: the point nearest to 0 in the convex hull of gradients, when G
//! is the matrix of their inner products.
//!
//! Operands/Results: `G: f32[K, K]` → `f32[K]`. Constraints: (C1), (C2) of the folder; G is read as symmetric positive
//! semidefinite. Gradient: none, the weights are taken as constants.
//! Numerics: active set, see `active_set`: exact up to 1e-12 of G's largest diagonal element. Where minimisers are many the
//! ridge chooses the smallest, so equal gradients get nearly equal weights (to about 1e-3). NaN or infinity in G gives NaN.
//! Source: Désidéri 2012, "Multiple-gradient descent algorithm (MGDA)"; Sener, Koltun 2018, "Multi-task learning
//! as multi-objective optimization".

use super::active_set::{Problem, minimise};
use super::{check_square, to_floats, to_matrix};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};
use crate::ops::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use ndarray::Array1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SimplexQp;

impl Primitive for SimplexQp {
    const NAME: &'static str = "simplex_qp";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [matrix] = take(Self::NAME, operands)?;
        check_square(Self::NAME, matrix)?;
        Ok(TensorType::f32(vec![matrix.shape[0].clone()]))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Zero
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, _cotangent: NodeId, slot: usize) -> NodeId {
        b.zeros_like(site.operands[slot])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
        b.zeros_like(site.result)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let matrix = to_matrix(operands[0].float());
        let linear = Array1::zeros(matrix.nrows());
        Tensor::Float(to_floats(&minimise(&Problem::new(matrix, linear, true))))
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
