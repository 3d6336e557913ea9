//! Values of the reference evaluation.

use super::Element;
use crate::ir::{DType, TensorType};
use ndarray::{ArrayD, IxDyn, Zip};

/// A tensor held by ndarray.
#[derive(Clone, Debug, PartialEq)]
pub enum Tensor<T> {
    Float(ArrayD<T>),
    Int(ArrayD<i32>),
    Bool(ArrayD<bool>),
}

/// The extents of a type whose dims are bound.
///
/// # Panics
/// When a dim is not bound: a bug in the caller, evaluation starts from a bound graph.
pub(crate) fn extents(ty: &TensorType) -> Vec<usize> {
    ty.known_shape().unwrap_or_else(|| panic!("internal: evaluation of the unbound type {ty}"))
}

/// `f` of every value. The function comes as a pointer, so that all functions of one type share one compiled loop: the reference
/// evaluation is there to be right, and a loop for each would be a tenth of the library's code.
#[inline(never)]
pub(crate) fn map<A: Copy, B>(x: &ArrayD<A>, f: fn(A) -> B) -> ArrayD<B> {
    x.mapv(f)
}

/// `f` of every pair of values, as [`map`].
#[inline(never)]
pub(crate) fn zip<A: Copy, B>(x: &ArrayD<A>, y: &ArrayD<A>, f: fn(A, A) -> B) -> ArrayD<B> {
    Zip::from(x).and(y).map_collect(|x, y| f(*x, *y))
}

impl<T: Element> Tensor<T> {
    pub fn dtype(&self) -> DType {
        match self {
            Self::Float(_) => DType::F32,
            Self::Int(_) => DType::I32,
            Self::Bool(_) => DType::Bool,
        }
    }

    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(array) => array.shape(),
            Self::Int(array) => array.shape(),
            Self::Bool(array) => array.shape(),
        }
    }

    /// A tensor of one value repeated; an int for `I32`, non-zero is true for `Bool`.
    pub fn full(ty: &TensorType, value: f64) -> Self {
        let shape = IxDyn(&extents(ty));
        match ty.dtype {
            DType::F32 => Self::Float(ArrayD::from_elem(shape, T::of(value))),
            DType::I32 => Self::Int(ArrayD::from_elem(shape, value as i32)),
            DType::Bool => Self::Bool(ArrayD::from_elem(shape, value != 0.0)),
        }
    }

    /// # Panics
    /// When the tensor is not of floats: the shape rules exclude it.
    pub fn float(&self) -> &ArrayD<T> {
        match self {
            Self::Float(array) => array,
            other => panic!("internal: expected floats, found {}", other.dtype().as_str()),
        }
    }

    /// # Panics
    /// When the tensor is not of ints.
    pub fn int(&self) -> &ArrayD<i32> {
        match self {
            Self::Int(array) => array,
            other => panic!("internal: expected i32, found {}", other.dtype().as_str()),
        }
    }

    /// # Panics
    /// When the tensor is not of bools.
    pub fn bool(&self) -> &ArrayD<bool> {
        match self {
            Self::Bool(array) => array,
            other => panic!("internal: expected bool, found {}", other.dtype().as_str()),
        }
    }

    /// Applies one rearrangement of elements, whatever the element type.
    pub(crate) fn rearrange(&self, f: impl Rearrange) -> Self {
        match self {
            Self::Float(array) => Self::Float(f.apply(array)),
            Self::Int(array) => Self::Int(f.apply(array)),
            Self::Bool(array) => Self::Bool(f.apply(array)),
        }
    }
}

/// `f` of each group of elements that differ in the given axes only, row-major within a group; the axes go away.
pub(crate) fn map_groups<T: Element>(x: &ArrayD<T>, axes: &[usize], f: impl Fn(&[T]) -> T) -> ArrayD<T> {
    let kept: Vec<usize> = (0..x.ndim()).filter(|axis| !axes.contains(axis)).collect();
    let shape: Vec<usize> = kept.iter().map(|axis| x.shape()[*axis]).collect();
    let grouped = x.view().permuted_axes(IxDyn(&[kept.as_slice(), axes].concat())).as_standard_layout().into_owned();
    let elements = grouped.into_raw_vec_and_offset().0;
    let count: usize = axes.iter().map(|axis| x.shape()[*axis]).product();
    let n_groups: usize = shape.iter().product();
    let results = (0..n_groups).map(|group| f(&elements[group * count..(group + 1) * count])).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), results).expect("internal: one value a group")
}

/// A rearrangement of elements that works for any element type.
pub(crate) trait Rearrange {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E>;
}
