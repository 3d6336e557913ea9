//! What the ops of matrices with leading axes share.
//!
//! Constraints: (C1) floats, matrices in the last two axes, square ones or such with no more columns than rows; (C2) both extents are known at
//! compile time, 1 to 512. Evaluation is in f64 whatever the run's precision.

use crate::ops::prelude::*;
use crate::ops::{Iota, Less, LessEqual, Select, Transpose};
use ndarray::{Array2, ArrayD, Axis, Ix2, IxDyn};

/// The largest extent of a matrix: beyond it factors take seconds.
const MAX_EXTENT: usize = 512;

/// Checks (C1) and (C2).
pub(super) fn check_matrices(name: &str, x: &TensorType, is_square: bool) -> Result<(), OpError> {
    if !x.is_float() {
        return Err(OpError::dtype(format!("{name} takes f32 matrices, found {x} (C1)")));
    }
    let [.., rows, columns] = x.shape.as_slice() else {
        return Err(OpError::shape(format!("{name} takes matrices, found {x} (C1)")));
    };
    let (Some(n), Some(k)) = (rows.as_known(), columns.as_known()) else {
        return Err(OpError::limit(format!("{name} takes matrices of extents known at compile time, found {x} (C2)")));
    };
    if is_square && n != k {
        return Err(OpError::shape(format!("{name} takes square matrices, found {x} (C1)")));
    }
    if n < k {
        return Err(OpError::shape(format!("{name} takes matrices with no more columns than rows, found {x} (C1)")));
    }
    if k == 0 || n > MAX_EXTENT {
        return Err(OpError::limit(format!("{name} takes matrices of extents 1 to {MAX_EXTENT}, found {x} (C2)")));
    }
    Ok(())
}

/// Leading axes stay apart, the elements of a matrix meet.
pub(super) fn of_matrices(types: Types<'_>) -> Locality {
    let rank = types.result.rank();
    let leading = |axis: usize| if axis + 2 < rank { Along::Apart(axis) } else { Along::Mixed };
    Locality::Axes(vec![(0..rank).map(leading).collect()])
}

/// As many multiplications as a product of the matrices takes.
pub(super) fn cubic(extents: Extents<'_>) -> Work<'static> {
    let columns = extents.operands[0].last().copied().unwrap_or(1) as f64;
    Work::Products { flops: extents.largest() * columns }
}

/// `f` of the matrices at each position of the leading axes.
pub(super) fn each_matrix<T: Element>(
    operands: &[&ArrayD<T>],
    result: &TensorType,
    f: impl Fn(&[Array2<f64>]) -> Array2<f64>,
) -> ArrayD<T> {
    let shape = extents(result);
    let leading: usize = shape[..shape.len() - 2].iter().product();
    let stacked: Vec<_> = operands
        .iter()
        .map(|x| {
            let (rows, columns) = (x.shape()[x.ndim() - 2], x.shape()[x.ndim() - 1]);
            let values = x.iter().map(|value| value.as_f64()).collect();
            ArrayD::from_shape_vec(IxDyn(&[leading, rows, columns]), values).expect("internal: as many elements")
        })
        .collect();
    let mut elements = Vec::with_capacity(shape.iter().product());
    for at in 0..leading {
        let own = |x: &ArrayD<f64>| {
            x.index_axis(Axis(0), at).to_owned().into_dimensionality::<Ix2>().expect("internal: (C1) holds")
        };
        let matrices: Vec<Array2<f64>> = stacked.iter().map(own).collect();
        elements.extend(f(&matrices).iter().map(|value| T::of(*value)));
    }
    ArrayD::from_shape_vec(IxDyn(&shape), elements).expect("internal: one value an element")
}

/// A part of each matrix; the rest is 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Triangle {
    Lower,
    StrictlyLower,
    Upper,
}

pub(crate) fn triangle(b: &mut Builder<'_>, x: NodeId, part: Triangle) -> NodeId {
    let shape = b.shape(x).to_vec();
    let rank = shape.len();
    let ty = TensorType::new(DType::I32, shape);
    let row = b.emit(Iota { axis: rank - 2, ty: ty.clone() }, &[]);
    let column = b.emit(Iota { axis: rank - 1, ty }, &[]);
    let kept = match part {
        Triangle::Lower => b.emit(LessEqual, &[column, row]),
        Triangle::StrictlyLower => b.emit(Less, &[column, row]),
        Triangle::Upper => b.emit(LessEqual, &[row, column]),
    };
    let zero = b.zeros_like(x);
    b.emit(Select, &[kept, x, zero])
}

/// Each matrix transposed.
pub(crate) fn transposed(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let rank = b.shape(x).len();
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    b.emit(Transpose { permutation }, &[x])
}
