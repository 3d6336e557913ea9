//! Values that go into a model and come out of it.

use super::error::Error;
use crate::data::{Numbers, shape_text};
use crate::diag::{Code, Diagnostic};
use ndarray::{ArrayBase, ArrayD, Dimension, IxDyn};
use std::sync::Arc;

/// Numbers in a shape, the last axis innermost.
///
/// Made from arrays of `ndarray`, from vectors and slices (one axis), or from a shape and its numbers:
///
/// ```
/// use anabranch::{Tensor, ndarray::array};
///
/// assert_eq!(Tensor::from(array![[1.0_f32, 2.0], [3.0, 4.0]]).shape(), [2, 2]);
/// assert_eq!(Tensor::from(vec![1_i32, 2, 3]).shape(), [3]);
/// assert_eq!(Tensor::new([3, 1], vec![1.0_f64, 2.0, 3.0])?.shape(), [3, 1]);
/// let refused = Tensor::new([3, 2], vec![1.0_f64, 2.0, 3.0]).unwrap_err();
/// assert_eq!(refused.findings().next().map(|finding| finding.code()), Some("E0603"));
/// # Ok::<(), anabranch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub(super) shape: Vec<usize>,
    pub(super) numbers: Numbers,
}

/// Element types of a [`Tensor`]: `f32`, `f64`, the integers up to 64 bits, and `bool`.
pub trait Number: Copy + sealed::Sealed {
    #[doc(hidden)]
    fn numbers(values: Vec<Self>) -> Numbers;
    #[doc(hidden)]
    fn of(value: f64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

/// Types that are kept as they are, or as one of the others that holds every value of theirs.
macro_rules! numbers {
    ($($type:ty => $variant:ident $convert:expr, $of:expr;)*) => {$(
        impl sealed::Sealed for $type {}
        impl Number for $type {
            fn numbers(values: Vec<Self>) -> Numbers {
                Numbers::$variant(values.into_iter().map($convert).collect())
            }
            fn of(value: f64) -> Self {
                ($of)(value)
            }
        }
    )*};
}

numbers! {
    f32 => F32 |value| value, |value: f64| value as f32;
    f64 => F64 |value| value, |value: f64| value;
    i32 => I32 |value| value, |value: f64| value as i32;
    i16 => I32 i32::from, |value: f64| value as i16;
    i8 => I32 i32::from, |value: f64| value as i8;
    u16 => I32 i32::from, |value: f64| value as u16;
    u8 => I32 i32::from, |value: f64| value as u8;
    bool => I32 i32::from, |value: f64| value != 0.0;
    u32 => F64 f64::from, |value: f64| value as u32;
    // Whole numbers beyond the range of i32 are refused when they are used, and all below it are exact.
    i64 => F64 |value| value as f64, |value: f64| value as i64;
    u64 => F64 |value| value as f64, |value: f64| value as u64;
    usize => F64 |value| value as f64, |value: f64| value as usize;
}

impl Tensor {
    /// Numbers in a shape.
    ///
    /// # Errors
    /// E0603 when there are not as many numbers as the shape says.
    pub fn new<T: Number>(shape: impl Into<Vec<usize>>, values: Vec<T>) -> Result<Self, Error> {
        let shape = shape.into();
        let wanted = shape.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent));
        if wanted != Some(values.len()) {
            let finding = Diagnostic::error(Code::E0603, "the numbers do not fill the shape")
                .with_note(format!("found: {} numbers", values.len()))
                .with_note(format!("expected: as many as {} holds", shape_text(&shape)));
            return Err(Error::new(finding, &Arc::default()));
        }
        Ok(Self { shape, numbers: T::numbers(values) })
    }

    /// The extents of its axes; none for a single number.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many numbers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The type that the numbers are kept in: `f32`, `f64` or `i32`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        self.numbers.type_name()
    }

    /// The numbers in order, in the type that is asked for: rounded, and cut to its range, where it is a narrower one.
    #[must_use]
    pub fn to_vec<T: Number>(&self) -> Vec<T> {
        (0..self.len()).map(|at| T::of(self.numbers.get(at))).collect()
    }

    /// The numbers as an array of `ndarray`, in the type that is asked for.
    ///
    /// # Panics
    /// Never: it holds as many numbers as its shape says.
    #[must_use]
    pub fn to_array<T: Number>(&self) -> ArrayD<T> {
        ArrayD::from_shape_vec(IxDyn(&self.shape), self.to_vec()).expect("internal: as many numbers as the shape says")
    }
}

impl<T: Number, S: ndarray::Data<Elem = T>, D: Dimension> From<&ArrayBase<S, D>> for Tensor {
    fn from(array: &ArrayBase<S, D>) -> Self {
        Self { shape: array.shape().to_vec(), numbers: T::numbers(array.iter().copied().collect()) }
    }
}

impl<T: Number, S: ndarray::Data<Elem = T>, D: Dimension> From<ArrayBase<S, D>> for Tensor {
    fn from(array: ArrayBase<S, D>) -> Self {
        Self::from(&array)
    }
}

impl<T: Number> From<Vec<T>> for Tensor {
    fn from(values: Vec<T>) -> Self {
        Self { shape: vec![values.len()], numbers: T::numbers(values) }
    }
}

impl<T: Number> From<&[T]> for Tensor {
    fn from(values: &[T]) -> Self {
        Self::from(values.to_vec())
    }
}

impl<T: Number, const N: usize> From<[T; N]> for Tensor {
    fn from(values: [T; N]) -> Self {
        Self::from(values.to_vec())
    }
}

/// Rows of equal length.
impl<T: Number, const N: usize, const M: usize> From<[[T; M]; N]> for Tensor {
    fn from(rows: [[T; M]; N]) -> Self {
        Self { shape: vec![N, M], numbers: T::numbers(rows.as_flattened().to_vec()) }
    }
}
