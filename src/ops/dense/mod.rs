//! Small dense linear algebra for combiners: K × K matrices, one row a loss.
//!
//! Constraints shared by those of one matrix: (C1) floats, a square matrix, (C2) K is known at compile time, 1 to 64. Evaluation is
//! in f64 whatever the run's precision: the matrices are tiny, and gradients' inner products span many orders.

mod active_set;
mod cholesky;
mod eigh;
mod matrices;
mod nonneg_qp;
mod orthonormal;
mod pinv;
mod simplex_qp;
mod solve;
mod symmetric;
mod triangular_solve;

pub use cholesky::Cholesky;
pub use eigh::Eigh;
pub(crate) use matrices::{Triangle, triangle};
pub use nonneg_qp::NonnegQp;
pub use orthonormal::Orthonormal;
pub use pinv::Pinv;
pub use simplex_qp::SimplexQp;
pub use solve::Solve;
pub use triangular_solve::TriangularSolve;

use super::{Element, OpError};
use crate::ir::{TensorType, show_shape};
use ndarray::{Array1, Array2, ArrayD, Ix2};

/// The largest K: beyond it a general solver is the wrong tool.
pub const MAX_ORDER: usize = 64;

/// Checks (C1) and (C2) and gives K.
fn check_square(name: &str, matrix: &TensorType) -> Result<usize, OpError> {
    if !matrix.is_float() {
        return Err(OpError::dtype(format!("{name} takes an f32 matrix, found {matrix} (C1)")));
    }
    if matrix.rank() != 2 || matrix.shape[0] != matrix.shape[1] {
        return Err(OpError::shape(format!("{name} takes a square matrix, found {matrix} (C1)")));
    }
    match matrix.shape[0].as_known() {
        Some(order) if (1..=MAX_ORDER).contains(&order) => Ok(order),
        _ => {
            let shape = show_shape(&matrix.shape);
            Err(OpError::limit(format!("{name} takes matrices of order 1 to {MAX_ORDER}, found {shape} (C2)")))
        }
    }
}

fn to_matrix<T: Element>(x: &ArrayD<T>) -> Array2<f64> {
    x.mapv(Element::as_f64).into_dimensionality::<Ix2>().expect("internal: (C1) holds")
}

/// Solves `A X = B` by Gaussian elimination with partial pivoting. Not finite when A is singular.
fn solve_system(mut a: Array2<f64>, mut b: Array2<f64>) -> Array2<f64> {
    let (n, n_columns) = b.dim();
    for step in 0..n {
        let larger = |best: usize, row: usize| if a[[row, step]].abs() > a[[best, step]].abs() { row } else { best };
        let pivot = (step..n).fold(step, larger);
        for column in 0..n {
            a.swap([step, column], [pivot, column]);
        }
        for column in 0..n_columns {
            b.swap([step, column], [pivot, column]);
        }
        for row in step + 1..n {
            let factor = a[[row, step]] / a[[step, step]];
            for column in step..n {
                a[[row, column]] -= factor * a[[step, column]];
            }
            for column in 0..n_columns {
                b[[row, column]] -= factor * b[[step, column]];
            }
        }
    }
    for row in (0..n).rev() {
        for column in 0..n_columns {
            let known: f64 = (row + 1..n).map(|k| a[[row, k]] * b[[k, column]]).sum();
            b[[row, column]] = (b[[row, column]] - known) / a[[row, row]];
        }
    }
    b
}

/// The vector as a result of floats.
fn to_floats<T: Element>(x: &Array1<f64>) -> ArrayD<T> {
    x.mapv(T::of).into_dyn()
}
