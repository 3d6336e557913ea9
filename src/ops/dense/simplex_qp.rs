//! `w` with the least `½ wᵀ G w + cᵀ w` over weights `w ≥ 0`, `Σ w = 1`; without `c` the point nearest to 0 in the convex hull
//! of gradients, when G is the matrix of their inner products.
//!
//! Operands/Results: `G: f32[K, K]`, perhaps `c: f32[K]` → `f32[K]`. Constraints: (C1), (C2) of the folder; (C3) `c` of floats with
//! K elements; G is read as symmetric positive semidefinite. Gradient: none, the weights are taken as constants.
//! Numerics: active set, see `active_set`: exact up to 1e-12 of G's largest diagonal element. Where minimisers are many the
//! ridge chooses the smallest, so equal gradients get nearly equal weights (to about 1e-3). NaN or infinity in an operand gives NaN.
//! Source: Désidéri 2012, "Multiple-gradient descent algorithm (MGDA)"; Sener, Koltun 2018, "Multi-task learning
//! as multi-objective optimization".

use super::active_set::{Problem, minimise};
use super::{check_square, to_floats, to_matrix};
use crate::ops::prelude::*;
use ndarray::Array1;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SimplexQp;

impl Primitive for SimplexQp {
    const NAME: &'static str = "simplex_qp";
    primitive!(bare, flat, kernel, mixing, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let (matrix, linear) = match operands {
            [matrix, linear] => (*matrix, Some(*linear)),
            _ => (take::<1>(Self::NAME, operands)?[0], None),
        };
        check_square(Self::NAME, matrix)?;
        if let Some(linear) = linear.filter(|linear| !linear.is_float() || linear.shape != matrix.shape[..1]) {
            return Err(OpError::shape(format!("simplex_qp of {matrix} with the linear term {linear} (C3)")));
        }
        Ok(TensorType::f32(vec![matrix.shape[0].clone()]))
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let matrix = to_matrix(operands[0].float());
        let linear = match operands.get(1) {
            Some(linear) => linear.float().iter().map(|x| x.as_f64()).collect(),
            None => Array1::zeros(matrix.nrows()),
        };
        Tensor::Float(to_floats(&minimise(&Problem::new(matrix, linear, true))))
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::UNIT
    }
}
