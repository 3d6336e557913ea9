//! `X` with `T X = B`, or `Tᵀ X = B` when `transpose`, where T is the lower triangle of a matrix, or the upper one.
//!
//! Operands/Results: `T: f32[..., K, K]`, `B: f32[..., K, M]` → `f32[..., K, M]`. Constraints: (C1), (C2) of [`super::matrices`]; (C3) `B` of floats with
//! matrices of K rows and the same leading axes. The other triangle is never read. Gradient: `dB = W` with `Tᵀ W = g`, `dT = -W Xᵀ`
//! (transposed when the op is), in the triangle that is read. Numerics: a zero on the diagonal gives values that are not finite.

use super::matrices::{Triangle, check_matrices, each_matrix, triangle};
use crate::ops::MatMul;
use crate::ops::prelude::*;
use ndarray::Array2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TriangularSolve {
    pub upper: bool,
    pub transpose: bool,
}

impl TriangularSolve {
    fn triangle(&self, b: &mut Builder<'_>, x: NodeId) -> NodeId {
        triangle(b, x, if self.upper { Triangle::Upper } else { Triangle::Lower })
    }
}

impl Primitive for TriangularSolve {
    const NAME: &'static str = "triangular_solve";
    primitive!(differentiable, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [a, b] = take(Self::NAME, operands)?;
        check_matrices(Self::NAME, a, true)?;
        let rank = a.rank();
        if !b.is_float() || b.rank() != rank || b.shape[..rank - 1] != a.shape[..rank - 1] {
            return Err(OpError::shape(format!("triangular_solve: {b} for the matrix {a} (C3)")));
        }
        Ok(b.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let flag = |name, on: bool| on.then(|| (name, "true".to_string()));
        [flag("upper", self.upper), flag("transpose", self.transpose)].into_iter().flatten().collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let w = b.emit(Self { transpose: !self.transpose, ..self.clone() }, &[site.operands[0], cotangent]);
        if slot == 1 {
            return w;
        }
        let (left, right) = if self.transpose { (site.result, w) } else { (w, site.result) };
        let outer = b.emit(MatMul { transpose_x: false, transpose_y: true }, &[left, right]);
        let outer = self.triangle(b, outer);
        b.neg(outer)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        if slot == 1 {
            return b.emit(self.clone(), &[site.operands[0], tangent]);
        }
        let tangent = self.triangle(b, tangent);
        let moved = b.emit(MatMul { transpose_x: self.transpose, transpose_y: false }, &[tangent, site.result]);
        let solved = b.emit(self.clone(), &[site.operands[0], moved]);
        b.neg(solved)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let operands = [operands[0].float(), operands[1].float()];
        Tensor::Float(each_matrix(&operands, result, |matrices| self.solve(&matrices[0], &matrices[1])))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let rank = types.result.rank();
        let leading = |axis: usize| if axis + 2 < rank { Along::Apart(axis) } else { Along::Mixed };
        let column = |axis: usize| if axis + 2 == rank { Along::Mixed } else { Along::Apart(axis) };
        Locality::Axes(vec![(0..rank).map(leading).collect(), (0..rank).map(column).collect()])
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        super::matrices::cubic(extents)
    }
}

impl TriangularSolve {
    fn solve(&self, a: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
        let a = if self.transpose { a.t() } else { a.view() };
        let is_upper = self.upper != self.transpose;
        let (n, mut x) = (a.nrows(), b.clone());
        for step in 0..n {
            let row = if is_upper { n - 1 - step } else { step };
            for column in 0..x.ncols() {
                let others = if is_upper { row + 1..n } else { 0..row };
                let known: f64 = others.map(|k| a[[row, k]] * x[[k, column]]).sum();
                x[[row, column]] = (x[[row, column]] - known) / a[[row, row]];
            }
        }
        x
    }
}
