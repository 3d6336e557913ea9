//! `z[..., i, j] = Σ_k x[..., i, k] y[..., k, j]`, either operand read transposed in its last two axes.
//!
//! Operands/Results: `x: f32[B..., M, K]`, `y: f32[B..., K, N]` → `f32[B..., M, N]`; with `transpose_x` `x: [B..., K, M]`,
//! with `transpose_y` `y: [B..., N, K]`. Constraints: (C1) floats of rank ≥ 2 and equal leading axes; (C2) the contracted
//! extents are equal. Gradient: two matmuls, `dx = g yᵀ`, `dy = xᵀ g`.

use crate::ops::prelude::*;
use ndarray::{ArrayD, ArrayView2, Axis, Ix2, IxDyn};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct MatMul {
    pub transpose_x: bool,
    pub transpose_y: bool,
}

impl MatMul {
    /// The axis of `x` that is summed over.
    fn inner(&self, rank: usize) -> usize {
        if self.transpose_x { rank - 2 } else { rank - 1 }
    }
}

impl Primitive for MatMul {
    const NAME: &'static str = "matmul";
    primitive!(linear, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, y] = take(Self::NAME, operands)?;
        if !x.is_float() || !y.is_float() {
            return Err(OpError::dtype(format!("cannot multiply matrices {x} and {y}: both must be f32 (C1)")));
        }
        let (rank, other) = (x.rank(), y.rank());
        if rank < 2 || other != rank || x.shape[..rank - 2] != y.shape[..rank - 2] {
            return Err(OpError::shape(format!("cannot multiply matrices {x} and {y} (C1)")));
        }
        let flip = |transpose: bool| if transpose { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
        let ((rows, inner_x), (inner_y, columns)) = (flip(self.transpose_x), flip(self.transpose_y));
        if x.shape[inner_x] != y.shape[inner_y] {
            return Err(OpError::shape(format!(
                "cannot multiply matrices {x} and {y}: {} against {} (C2)",
                x.shape[inner_x], y.shape[inner_y]
            )));
        }
        let mut shape = x.shape[..rank - 2].to_vec();
        shape.extend([x.shape[rows].clone(), y.shape[columns].clone()]);
        Ok(TensorType::f32(shape))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let flag = |name, on: bool| on.then(|| (name, "true".to_string()));
        [flag("transpose_x", self.transpose_x), flag("transpose_y", self.transpose_y)].into_iter().flatten().collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let (x, y, g) = (site.operands[0], site.operands[1], cotangent);
        let mut product =
            |left, right, transpose_x, transpose_y| b.emit(MatMul { transpose_x, transpose_y }, &[left, right]);
        match (slot, self.transpose_x, self.transpose_y) {
            (0, false, transposed) => product(g, y, false, !transposed),
            (0, true, transposed) => product(y, g, transposed, true),
            (_, transposed, false) => product(x, g, !transposed, false),
            (_, transposed, true) => product(g, x, true, transposed),
        }
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let extents = extents(result);
        let (rows, columns) = (extents[extents.len() - 2], extents[extents.len() - 1]);
        let batch: usize = extents[..extents.len() - 2].iter().product();
        let as_matrices = |array: &ArrayD<T>| {
            let shape = array.shape();
            let matrix = (batch, shape[shape.len() - 2], shape[shape.len() - 1]);
            array.as_standard_layout().into_owned().into_shape_with_order(matrix).expect("internal: same element count")
        };
        let (x, y) = (as_matrices(operands[0].float()), as_matrices(operands[1].float()));
        let mut product = ndarray::Array3::<T>::zeros((batch, rows, columns));
        fn flip<T>(view: ArrayView2<'_, T>, transpose: bool) -> ArrayView2<'_, T> {
            if transpose { view.reversed_axes() } else { view }
        }
        for i in 0..batch {
            let left = flip(x.index_axis(Axis(0), i), self.transpose_x);
            let right = flip(y.index_axis(Axis(0), i), self.transpose_y);
            product
                .index_axis_mut(Axis(0), i)
                .assign(&left.dot(&right).into_dimensionality::<Ix2>().expect("internal: 2 axes"));
        }
        Tensor::Float(product.into_shape_with_order(IxDyn(&extents)).expect("internal: same element count"))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let rank = types.result.rank();
        let rows = if self.transpose_x { rank - 1 } else { rank - 2 };
        let columns = if self.transpose_y { rank - 2 } else { rank - 1 };
        let along = |outer: usize, to: usize| {
            let of = |axis: usize| match axis {
                axis if axis < rank - 2 => Along::Apart(axis),
                axis if axis == outer => Along::Apart(to),
                _ => Along::Added,
            };
            (0..rank).map(of).collect()
        };
        Locality::Axes(vec![along(rows, rank - 2), along(columns, rank - 1)])
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let rank = ranges.types.result.rank();
        let product = ranges.of(0) * ranges.of(1);
        match ranges.known_count(0, &[self.inner(rank)]) {
            Some(count) => product.sum(count),
            None => product.sums_from(0),
        }
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        let inner = extents.operands[0][self.inner(extents.result.len())] as f64;
        Work::Products { flops: 2.0 * inner * extents.result_elements() }
    }
}
