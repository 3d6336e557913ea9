//! The eigenvalues of a symmetric matrix, ascending, as the first row, and below it its eigenvectors in columns.
//!
//! Operands/Results: `A: f32[K, K]` → `f32[K + 1, K]`. Constraints: (C1), (C2) of the folder; A is read as `(A + Aᵀ) / 2`.
//! Gradient, for `A = V Λ Vᵀ`: `dλ_i = v_iᵀ dA v_i`, `dV = V (F ∘ Vᵀ dA V)` with `F_ij = 1 / (λ_j - λ_i)`. Where two
//! eigenvalues are one, up to 1e-9 of the largest, their vectors may turn into each other: there F is 0, so the derivative is flat.
//! Numerics: Jacobi's rotations in f64. The largest element of a vector is positive. NaN or infinity in A gives NaN.
//! Source: Golub, Van Loan 2013, "Matrix computations", section 8.5; Magnus 1985, "On differentiating eigenvalues and eigenvectors".

use super::symmetric::{eigen, identity, inverse_gaps, product, symmetric_part};
use super::{check_square, to_matrix};
use crate::ops::prelude::*;
use crate::ops::{Concat, Slice};
use ndarray::{Axis, concatenate};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Eigh;

/// Rows of a matrix from `start`, as many as are wanted.
fn rows(b: &mut Builder<'_>, x: NodeId, start: usize, count: Dim) -> NodeId {
    let columns = b.shape(x)[1].clone();
    let starts = vec![Dim::known(start), Dim::known(0)];
    b.emit(Slice { starts, extents: vec![count, columns], strides: vec![1, 1] }, &[x])
}

/// The values `[K]` and vectors `[K, K]` of a result.
fn parts(b: &mut Builder<'_>, result: NodeId) -> (NodeId, NodeId) {
    let n = b.shape(result)[1].clone();
    let values = rows(b, result, 0, Dim::known(1));
    (b.reshape(values, vec![n.clone()]), rows(b, result, 1, n))
}

/// A vector as the diagonal of a matrix like another one.
fn on_diagonal(b: &mut Builder<'_>, vector: NodeId, like: NodeId) -> NodeId {
    let shape = b.shape(like).to_vec();
    let spread = b.broadcast(vector, &shape, &[1]);
    let one = identity(b, like);
    b.mul(spread, one)
}

impl Primitive for Eigh {
    const NAME: &'static str = "eigh";
    primitive!(bare, differentiable, kernel, mixing, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [matrix] = take(Self::NAME, operands)?;
        check_square(Self::NAME, matrix)?;
        let n = &matrix.shape[0];
        let rows = n.offset(1).ok_or_else(|| OpError::limit("eigh of too large a matrix (C2)".to_string()))?;
        Ok(TensorType::f32(vec![rows, n.clone()]))
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let (values, vectors) = parts(b, site.result);
        let (of_values, of_vectors) = parts(b, cotangent);
        let gaps = inverse_gaps(b, values);
        let turned = product(b, vectors, true, of_vectors, false);
        let turned = b.mul(gaps, turned);
        let stretched = on_diagonal(b, of_values, turned);
        let inner = b.add2(turned, stretched);
        let left = product(b, vectors, false, inner, false);
        let whole = product(b, left, false, vectors, true);
        symmetric_part(b, whole)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let (values, vectors) = parts(b, site.result);
        let tangent = symmetric_part(b, tangent);
        let left = product(b, vectors, true, tangent, false);
        let inner = product(b, left, false, vectors, false);
        let one = identity(b, inner);
        let diagonal = b.mul(inner, one);
        let of_values = b.sum(diagonal, &[0]);
        let gaps = inverse_gaps(b, values);
        let turned = b.mul(gaps, inner);
        let of_vectors = product(b, vectors, false, turned, false);
        let n = b.shape(of_values)[0].clone();
        let row = b.reshape(of_values, vec![Dim::known(1), n]);
        b.emit(Concat { axis: 0 }, &[row, of_vectors])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let (values, vectors) = eigen(&to_matrix(operands[0].float()));
        let values = values.insert_axis(Axis(0));
        let joined = concatenate(Axis(0), &[values.view(), vectors.view()]).expect("internal: both have K columns");
        Tensor::Float(joined.mapv(T::of).into_dyn())
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        // Some ten sweeps of K² / 2 planes, each of which moves six rows or columns.
        let n = extents.operands[0].first().copied().unwrap_or(0) as f64;
        Work::Elements { count: 30.0 * n * n * n, weight: 1.0 }
    }
}
