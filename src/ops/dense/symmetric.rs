//! Eigenvalues and eigenvectors of a symmetric matrix by Jacobi's rotations: one plane at a time, all planes in order, until what
//! is off the diagonal is rounding (Golub, Van Loan 2013, section 8.5). Small eigenvalues come out as exact as the matrix is.

use crate::ir::{Builder, NodeId};
use crate::ops::{Abs, Equal, Iota, Less, MatMul, Max, MaxReduce};
use ndarray::{Array1, Array2};

/// Each sweep squares what is off the diagonal, once it is small; no matrix of the order that is allowed needs as many.
const MOST_SWEEPS: usize = 60;

/// Eigenvalues, ascending, and their eigenvectors in columns, the largest element of each positive. NaN where the matrix is not
/// finite.
pub(super) fn eigen(matrix: &Array2<f64>) -> (Array1<f64>, Array2<f64>) {
    let n = matrix.nrows();
    let mut a = (matrix + &matrix.t()) / 2.0;
    if a.iter().any(|x| !x.is_finite()) {
        return (Array1::from_elem(n, f64::NAN), Array2::from_elem((n, n), f64::NAN));
    }
    let mut v = Array2::eye(n);
    for _ in 0..MOST_SWEEPS {
        let mut is_done = true;
        for p in 0..n {
            for q in p + 1..n {
                // Against both diagonal elements, so that small eigenvalues keep their digits.
                if a[[p, q]].abs() > f64::EPSILON * (a[[p, p]].abs() * a[[q, q]].abs()).sqrt() {
                    rotate(&mut a, &mut v, p, q);
                    is_done = false;
                }
            }
        }
        if is_done {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|i, j| a[[*i, *i]].total_cmp(&a[[*j, *j]]));
    let values = order.iter().map(|i| a[[*i, *i]]).collect();
    let sign = |column: usize| {
        let larger =
            |best: usize, row: usize| if v[[row, column]].abs() > v[[best, column]].abs() { row } else { best };
        if v[[(0..n).fold(0, larger), column]] < 0.0 { -1.0 } else { 1.0 }
    };
    let signs: Vec<f64> = order.iter().map(|column| sign(*column)).collect();
    let vectors = Array2::from_shape_fn((n, n), |(row, column)| signs[column] * v[[row, order[column]]]);
    (values, vectors)
}

/// Turns the plane of p and q so that their element off the diagonal is 0.
fn rotate(a: &mut Array2<f64>, v: &mut Array2<f64>, p: usize, q: usize) {
    let n = a.nrows();
    let gap = (a[[q, q]] - a[[p, p]]) / (2.0 * a[[p, q]]);
    let tangent = gap.signum() / (gap.abs() + (1.0 + gap * gap).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = tangent * cosine;
    let moved = tangent * a[[p, q]];
    a[[p, p]] -= moved;
    a[[q, q]] += moved;
    (a[[p, q]], a[[q, p]]) = (0.0, 0.0);
    for k in (0..n).filter(|k| *k != p && *k != q) {
        let (x, y) = (a[[k, p]], a[[k, q]]);
        let (x, y) = (cosine * x - sine * y, sine * x + cosine * y);
        (a[[k, p]], a[[p, k]], a[[k, q]], a[[q, k]]) = (x, x, y, y);
    }
    for k in 0..n {
        let (x, y) = (v[[k, p]], v[[k, q]]);
        (v[[k, p]], v[[k, q]]) = (cosine * x - sine * y, sine * x + cosine * y);
    }
}

/// `x y`, with either transposed.
pub(super) fn product(b: &mut Builder<'_>, x: NodeId, transpose_x: bool, y: NodeId, transpose_y: bool) -> NodeId {
    b.emit(MatMul { transpose_x, transpose_y }, &[x, y])
}

/// `(x + xᵀ) / 2`
pub(super) fn symmetric_part(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let turned = b.transpose(x, &[1, 0]);
    let sum = b.add2(x, turned);
    b.scale(0.5, sum)
}

/// `1 / (λ_j - λ_i)` at `[i, j]`; 0 where the two are one eigenvalue, up to 1e-9 of the largest.
pub(super) fn inverse_gaps(b: &mut Builder<'_>, values: NodeId) -> NodeId {
    let n = b.shape(values)[0].clone();
    let square = vec![n.clone(), n];
    let left = b.broadcast(values, &square, &[0]);
    let right = b.broadcast(values, &square, &[1]);
    let gap = b.sub(right, left);
    let size = b.emit(Abs, &[gap]);
    let magnitude = b.emit(Abs, &[values]);
    let largest = b.emit(MaxReduce { axes: vec![0] }, &[magnitude]);
    let least = b.scale(1e-9, largest);
    let least = b.splat(least, &square);
    let tiny = b.constant_like(f64::from(f32::MIN_POSITIVE), least);
    let least = b.emit(Max, &[least, tiny]);
    let is_apart = b.emit(Less, &[least, size]);
    let one = b.constant_like(1.0, gap);
    let divisor = b.select(is_apart, gap, one);
    let inverse = b.div(one, divisor);
    let zero = b.zeros_like(gap);
    b.select(is_apart, inverse, zero)
}

/// 1 on the diagonal, else 0, in the shape of a square matrix.
pub(super) fn identity(b: &mut Builder<'_>, like: NodeId) -> NodeId {
    let ty = b.ty(like).clone();
    let rows = b.emit(Iota { axis: 0, ty: ty.clone() }, &[]);
    let columns = b.emit(Iota { axis: 1, ty }, &[]);
    let is_same = b.emit(Equal, &[rows, columns]);
    let (one, zero) = (b.constant_like(1.0, rows), b.zeros_like(rows));
    b.select(is_same, one, zero)
}

#[cfg(test)]
mod tests {
    use super::eigen;
    use ndarray::Array2;

    #[test]
    fn a_matrix_is_put_together_from_what_is_found() {
        for n in [1, 2, 3, 7, 16, 64] {
            for rank in [0, 1, n / 2, n, 2 * n] {
                let factor = Array2::from_shape_fn((n, rank), |(i, j)| ((i * 37 + j * 101) as f64 * 0.7).sin());
                let signs = Array2::from_shape_fn((rank, rank), |(i, j)| if i == j { (i as f64).cos() } else { 0.0 });
                let matrix = factor.dot(&signs).dot(&factor.t());
                let (values, vectors) = eigen(&matrix);
                let scale = matrix.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
                let again = (&vectors * &values).dot(&vectors.t());
                let inner = vectors.t().dot(&vectors);
                assert!((&again - &matrix).iter().all(|x| x.abs() < 1e-12 * scale * n as f64), "{n} of rank {rank}");
                assert!((&inner - &Array2::<f64>::eye(n)).iter().all(|x| x.abs() < 1e-12), "{n} of rank {rank}");
                assert!(values.windows(2).into_iter().all(|pair| pair[0] <= pair[1]), "ascending");
            }
        }
    }

    #[test]
    fn what_is_not_finite_gives_nan() {
        let (values, vectors) = eigen(&Array2::from_elem((3, 3), f64::INFINITY));
        assert!(values.iter().chain(&vectors).all(|x| x.is_nan()));
    }
}
