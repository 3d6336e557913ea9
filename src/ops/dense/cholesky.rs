//! `L` with `L Lᵀ = A`, lower triangular, of a symmetric positive definite `A`.
//!
//! Operands/Results: `A: f32[..., K, K]` → `f32[..., K, K]`. Constraints: (C1), (C2) of [`super::matrices`]. Only the symmetric part of A is read, so
//! its gradient is symmetric. Gradient: `dA = L⁻ᵀ Φ(Lᵀ g) L⁻¹`, made symmetric, where Φ keeps the lower triangle and halves the
//! diagonal. Murray 2016, section 3. Numerics: an A that is not positive definite gives values that are not numbers.

use super::TriangularSolve;
use super::matrices::{Triangle, check_matrices, each_matrix, of_matrices, transposed, triangle};
use crate::ops::MatMul;
use crate::ops::prelude::*;
use ndarray::Array2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cholesky;

/// The lower triangle with half the diagonal.
fn half_lower(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let with = triangle(b, x, Triangle::Lower);
    let without = triangle(b, x, Triangle::StrictlyLower);
    let both = b.add2(with, without);
    b.scale(0.5, both)
}

/// `(x + xᵀ) / 2`
fn symmetric(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let turned = transposed(b, x);
    let sum = b.add2(x, turned);
    b.scale(0.5, sum)
}

const BACK: TriangularSolve = TriangularSolve { upper: false, transpose: true };
const FORTH: TriangularSolve = TriangularSolve { upper: false, transpose: false };

impl Primitive for Cholesky {
    const NAME: &'static str = "cholesky";
    primitive!(differentiable, bare, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [a] = take(Self::NAME, operands)?;
        check_matrices(Self::NAME, a, true)?;
        Ok(a.clone())
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let lower = site.result;
        let inner = b.emit(MatMul { transpose_x: true, transpose_y: false }, &[lower, cotangent]);
        let inner = half_lower(b, inner);
        // L⁻ᵀ P, then (L⁻ᵀ (L⁻ᵀ P)ᵀ)ᵀ, which symmetry makes the same as without the last turn.
        let left = b.emit(BACK, &[lower, inner]);
        let turned = transposed(b, left);
        let both = b.emit(BACK, &[lower, turned]);
        symmetric(b, both)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let lower = site.result;
        let tangent = symmetric(b, tangent);
        let left = b.emit(FORTH, &[lower, tangent]);
        let turned = transposed(b, left);
        let both = b.emit(FORTH, &[lower, turned]);
        let inner = half_lower(b, both);
        b.emit(MatMul::default(), &[lower, inner])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        Tensor::Float(each_matrix(&[operands[0].float()], result, |matrices| factor(&matrices[0])))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        of_matrices(types)
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        super::matrices::cubic(extents)
    }
}

fn factor(a: &Array2<f64>) -> Array2<f64> {
    let n = a.nrows();
    let mut lower = Array2::zeros((n, n));
    for row in 0..n {
        for column in 0..=row {
            let known: f64 = (0..column).map(|k| lower[[row, k]] * lower[[column, k]]).sum();
            let rest = 0.5 * (a[[row, column]] + a[[column, row]]) - known;
            lower[[row, column]] = if row == column { rest.sqrt() } else { rest / lower[[column, column]] };
        }
    }
    lower
}
