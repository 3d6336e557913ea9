//! The pseudo-inverse of a symmetric matrix: `V Λ⁺ Vᵀ`, where `Λ⁺` is `1 / λ` for the eigenvalues whose size is above
//! `tolerance` times the largest, and 0 for the others.
//!
//! Operands/Results: `A: f32[K, K]` → `f32[K, K]`. Constraints: (C1), (C2) of the folder; A is read as `(A + Aᵀ) / 2`; the
//! tolerance is at least 0. Gradient, with `P` the result and `N = I - A P`, where the rank stays: `dP = -P dA P + P P dA N + N dA P P`.
//! Numerics: Jacobi's rotations in f64. A matrix of zeros gives zeros; NaN or infinity in A gives NaN.
//! Source: Golub, Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear least squares problems", equation 4.12.

use super::symmetric::{eigen, identity, product, symmetric_part};
use super::{check_square, to_matrix};
use crate::ops::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pinv {
    pub tolerance: Scalar,
}

impl Pinv {
    /// The derivative along a symmetric direction, which is its own adjoint.
    fn along(b: &mut Builder<'_>, site: Site<'_>, direction: NodeId) -> NodeId {
        let (a, p) = (site.operands[0], site.result);
        let direction = symmetric_part(b, direction);
        let a = symmetric_part(b, a);
        let range = product(b, a, false, p, false);
        let one = identity(b, p);
        let null = b.sub(one, range);
        let twice = product(b, p, false, p, false);
        let inner = product(b, p, false, direction, false);
        let inner = product(b, inner, false, p, false);
        let outer = product(b, twice, false, direction, false);
        let outer = product(b, outer, false, null, false);
        let outer = symmetric_part(b, outer);
        let outer = b.scale(2.0, outer);
        b.sub(outer, inner)
    }
}

impl Primitive for Pinv {
    const NAME: &'static str = "pinv";
    primitive!(differentiable, kernel, mixing, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [matrix] = take(Self::NAME, operands)?;
        check_square(Self::NAME, matrix)?;
        if !(self.tolerance.0 >= 0.0 && self.tolerance.0.is_finite()) {
            return Err(OpError::constraint(format!(
                "pinv with the tolerance {}, which is not at least 0",
                self.tolerance.0
            )));
        }
        Ok(matrix.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("tolerance", self.tolerance.0.to_string())]
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        Self::along(b, site, cotangent)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        Self::along(b, site, tangent)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let (values, vectors) = eigen(&to_matrix(operands[0].float()));
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let is_zero = |value: f64| value.abs() <= self.tolerance.0 * largest || value == 0.0;
        let inverse = values.mapv(|value| if is_zero(value) { 0.0 } else { 1.0 / value });
        Tensor::Float((&vectors * &inverse).dot(&vectors.t()).mapv(T::of).into_dyn())
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        let n = extents.operands[0].first().copied().unwrap_or(0) as f64;
        Work::Elements { count: 32.0 * n * n * n, weight: 1.0 }
    }
}
