//! `Q` of `A = Q R`: orthonormal columns that span those of A one after another; the diagonal of R is positive.
//!
//! Operands/Results: `A: f32[..., N, K]` → `f32[..., N, K]`. Constraints: (C1), (C2) of [`super::matrices`]; (C3) N ≥ K. `R = Qᵀ A`.
//! Gradient: with `C = dA R⁻¹`, `S = Qᵀ C` and L the part below the diagonal, `dQ = C - Q (S - L(S) + L(S)ᵀ)`. Numerics: Householder's
//! reflections; dependent columns have a Q, but derivatives that are not finite.

use super::TriangularSolve;
use super::matrices::{Triangle, check_matrices, each_matrix, of_matrices, transposed, triangle};
use crate::ops::MatMul;
use crate::ops::prelude::*;
use ndarray::{Array1, Array2, s};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Orthonormal;

const PLAIN: MatMul = MatMul { transpose_x: false, transpose_y: false };
const LEFT_TURNED: MatMul = MatMul { transpose_x: true, transpose_y: false };

impl Primitive for Orthonormal {
    const NAME: &'static str = "orthonormal";
    primitive!(differentiable, bare, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [a] = take(Self::NAME, operands)?;
        check_matrices(Self::NAME, a, false)?;
        Ok(a.clone())
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let (a, q) = (site.operands[0], site.result);
        let r = b.emit(LEFT_TURNED, &[q, a]);
        let m = b.emit(LEFT_TURNED, &[q, cotangent]);
        // The transpose of S ↦ S - L(S) + L(S)ᵀ is M ↦ M - L(M) + L(Mᵀ).
        let upper = triangle(b, m, Triangle::Upper);
        let turned = transposed(b, m);
        let lower = triangle(b, turned, Triangle::StrictlyLower);
        let sum = b.add2(upper, lower);
        let inner = b.emit(PLAIN, &[q, sum]);
        let by_c = b.sub(cotangent, inner);
        let by_c = transposed(b, by_c);
        let solved = b.emit(TriangularSolve { upper: true, transpose: false }, &[r, by_c]);
        transposed(b, solved)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let (a, q) = (site.operands[0], site.result);
        let r = b.emit(LEFT_TURNED, &[q, a]);
        let turned = transposed(b, tangent);
        let solved = b.emit(TriangularSolve { upper: true, transpose: true }, &[r, turned]);
        let c = transposed(b, solved);
        let s = b.emit(LEFT_TURNED, &[q, c]);
        let upper = triangle(b, s, Triangle::Upper);
        let lower = triangle(b, s, Triangle::StrictlyLower);
        let lower = transposed(b, lower);
        let sum = b.add2(upper, lower);
        let inner = b.emit(PLAIN, &[q, sum]);
        b.sub(c, inner)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        Tensor::Float(each_matrix(&[operands[0].float()], result, |matrices| orthonormal(matrices[0].clone())))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        of_matrices(types)
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::SIGNED_UNIT
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        super::matrices::cubic(extents)
    }
}

fn orthonormal(mut a: Array2<f64>) -> Array2<f64> {
    let (n, k) = a.dim();
    let mut mirrors: Vec<Array1<f64>> = Vec::with_capacity(k);
    let mut signs = Vec::with_capacity(k);
    for column in 0..k {
        let mut mirror = Array1::zeros(n);
        mirror.slice_mut(s![column..]).assign(&a.slice(s![column.., column]));
        let length = mirror.dot(&mirror).sqrt();
        // What is left of the column goes to the axis away from it; R's diagonal is then of the other sign.
        let sign = if mirror[column] < 0.0 { -1.0 } else { 1.0 };
        mirror[column] += sign * length;
        let norm = mirror.dot(&mirror).sqrt();
        if norm > 0.0 {
            mirror /= norm;
        }
        reflect(&mut a, &mirror);
        mirrors.push(mirror);
        signs.push(-sign);
    }
    let mut q = Array2::zeros((n, k));
    for (column, sign) in signs.iter().enumerate() {
        q[[column, column]] = *sign;
    }
    for mirror in mirrors.iter().rev() {
        reflect(&mut q, mirror);
    }
    q
}

/// Each column mirrored by a unit vector.
fn reflect(x: &mut Array2<f64>, mirror: &Array1<f64>) {
    for mut column in x.columns_mut() {
        let along = 2.0 * column.dot(mirror);
        column.scaled_add(-along, mirror);
    }
}
