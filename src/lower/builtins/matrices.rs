//! Factors of matrices, in the last two axes.

use super::{Builtin, row};
use crate::ir::Dim;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, TensorValue, Value};
use crate::lower::{Lowered, Reported};
use crate::ops;
use crate::ops::dense::{Triangle, triangle};

pub(super) static ROWS: &[Builtin] = &[
    row(
        "cholesky",
        &["matrix"],
        "the lower triangular L with L Lᵀ = the symmetric part of a positive definite matrix [..., K, K], K at most 512",
        |l, frame, m| {
            let x = l.tensor_argument(frame, m, 0)?;
            l.add(frame, m.span, ops::Cholesky, &[x]).map(Value::Tensor)
        },
    ),
    row(
        "triangular_solve",
        &["matrix", "values", "upper?", "transpose?"],
        "x with L x = values, L the lower triangle of a matrix [..., K, K], with `upper` the upper one; values [..., K, M] or [K]",
        triangular_solve,
    ),
    row(
        "qr",
        &["x"],
        "[Q, R] with x = Q R: orthonormal columns and an upper triangle with a positive diagonal, of x [..., N, K], K ≤ N ≤ 512",
        qr,
    ),
];

fn triangular_solve(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let (matrix, values) = (l.tensor_argument(frame, m, 0)?, l.tensor_argument(frame, m, 1)?);
    let op = ops::TriangularSolve { upper: l.bool_argument(m, 2, false)?, transpose: l.bool_argument(m, 3, false)? };
    let shape = l.ty(values).shape.clone();
    if shape.len() + 1 != l.ty(matrix).rank() {
        return l.add(frame, m.span, op, &[matrix, values]).map(Value::Tensor);
    }
    // A vector is a matrix of one column.
    let column = [shape.as_slice(), &[Dim::known(1)]].concat();
    let column = l.add(frame, m.span, ops::Reshape { shape: column }, &[values])?;
    let solved = l.add(frame, m.span, op, &[matrix, column])?;
    l.add(frame, m.span, ops::Reshape { shape }, &[solved]).map(Value::Tensor)
}

fn qr(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    let q = l.add(frame, m.span, ops::Orthonormal, &[x])?;
    let r = l.add(frame, m.span, ops::MatMul { transpose_x: true, transpose_y: false }, &[q, x])?;
    if r.which != l.graphs.which {
        return Err(Reported);
    }
    let node = triangle(&mut l.builder(frame, m.span), r.node, Triangle::Upper);
    Ok(Value::List(vec![Value::Tensor(q), Value::Tensor(TensorValue { node, which: r.which })]))
}
