//! `v` with the least `vᵀ G v` over `v ≥ b`: the weights of the gradients' combination nearest to that of `b` which no gradient
//! opposes, when G is the matrix of their inner products (the projection onto the dual cone, in its dual form).
//!
//! Operands/Results: `G: f32[K, K]`, `b: f32[K]` → `f32[K]`. Constraints: (C1), (C2) of the folder; (C3) `b` of floats with K elements;
//! G is read as symmetric positive semidefinite. Gradient: none, the weights are taken as constants.
//! Numerics: active set, see `active_set`. NaN or infinity in an operand gives NaN.
//! Source: Quinton, Rey 2024, "Jacobian descent for multi-objective optimization".

use super::active_set::{Problem, minimise};
use super::{check_square, to_floats, to_matrix};
use crate::ops::prelude::*;
use ndarray::{Array1, Ix1};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct NonnegQp;

impl Primitive for NonnegQp {
    const NAME: &'static str = "nonneg_qp";
    primitive!(bare, flat, kernel, mixing, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [matrix, bound] = take(Self::NAME, operands)?;
        check_square(Self::NAME, matrix)?;
        if !bound.is_float() || bound.shape != matrix.shape[..1] {
            return Err(OpError::shape(format!("nonneg_qp of {matrix} from the bound {bound} (C3)")));
        }
        Ok(bound.clone())
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let matrix = to_matrix(operands[0].float());
        let bound = operands[1].float().mapv(Element::as_f64);
        let bound: Array1<f64> = bound.into_dimensionality::<Ix1>().expect("internal: (C3) holds");
        // With v = b + z: zᵀ G z + 2 (G b)ᵀ z over z ≥ 0.
        let linear = symmetric_product(&matrix, &bound);
        let above = minimise(&Problem::new(matrix, linear, false));
        Tensor::Float(to_floats(&(bound + above)))
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        Interval::new(ranges.of(1).low, f64::INFINITY)
    }
}

/// `(G + Gᵀ)/2 · x`
fn symmetric_product(matrix: &ndarray::Array2<f64>, x: &Array1<f64>) -> Array1<f64> {
    (matrix.dot(x) + matrix.t().dot(x)) / 2.0
}
