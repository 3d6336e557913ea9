//! `x` with `A x = b`, or `Aᵀ x = b` when `transpose`.
//!
//! Operands/Results: `A: f32[K, K]`, `b: f32[K]` → `f32[K]`, or `b: f32[K, M]` → `f32[K, M]`. Constraints: (C1), (C2) of the folder;
//! (C3) `b` of floats with K rows. Gradient: `db = w` with `Aᵀ w = g`, `dA = -w xᵀ` (transposed when the op is).
//! Numerics: Gaussian elimination with partial pivoting; a singular A gives values that are not finite.

use super::{check_square, solve_system, to_matrix};
use crate::ops::MatMul;
use crate::ops::prelude::*;
use ndarray::Axis;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Solve {
    pub transpose: bool,
}

/// A vector as a matrix of one column.
fn as_columns(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let mut shape = b.shape(x).to_vec();
    if shape.len() == 1 {
        shape.push(Dim::known(1));
    }
    b.reshape(x, shape)
}

impl Primitive for Solve {
    const NAME: &'static str = "solve";
    primitive!(differentiable, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [a, b] = take(Self::NAME, operands)?;
        check_square(Self::NAME, a)?;
        if !b.is_float() || b.rank() == 0 || b.rank() > 2 || b.shape[0] != a.shape[0] {
            return Err(OpError::shape(format!("cannot solve {a} for {b} (C3)")));
        }
        Ok(b.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.transpose.then(|| ("transpose", "true".to_string())).into_iter().collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let w = b.emit(Self { transpose: !self.transpose }, &[site.operands[0], cotangent]);
        if slot == 1 {
            return w;
        }
        let (w, x) = (as_columns(b, w), as_columns(b, site.result));
        let (left, right) = if self.transpose { (x, w) } else { (w, x) };
        let outer = b.emit(MatMul { transpose_x: false, transpose_y: true }, &[left, right]);
        b.neg(outer)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        if slot == 1 {
            return b.emit(self.clone(), &[site.operands[0], tangent]);
        }
        let x = as_columns(b, site.result);
        let moved = b.emit(MatMul { transpose_x: self.transpose, transpose_y: false }, &[tangent, x]);
        let shape = b.shape(site.result).to_vec();
        let moved = b.reshape(moved, shape);
        let solved = b.emit(self.clone(), &[site.operands[0], moved]);
        b.neg(solved)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let mut a = to_matrix(operands[0].float());
        if self.transpose {
            a = a.reversed_axes();
        }
        let b = operands[1].float();
        let is_vector = b.ndim() == 1;
        let columns = if is_vector { b.clone().insert_axis(Axis(1)) } else { b.clone() };
        let x = solve_system(a, to_matrix(&columns)).mapv(T::of).into_dyn();
        Tensor::Float(if is_vector { x.remove_axis(Axis(1)) } else { x })
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let column = |axis: usize| if axis == 1 { Along::Apart(1) } else { Along::Mixed };
        Locality::Axes(vec![vec![Along::Mixed; 2], (0..types.result.rank()).map(column).collect()])
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }
}
