//! Types of values: element type and shape.

use super::dim::{Dim, DimSizes};
use std::fmt;

/// The element type of a tensor. `F32` is *the* float of a spec: a run with `--precision f64` computes it in f64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DType {
    F32,
    I32,
    Bool,
}

impl DType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I32 => "i32",
            Self::Bool => "bool",
        }
    }
}

/// What a missing int or bool is in data that may lack it: the number itself is refused there.
pub const MISSING_INT: i32 = i32::MIN;

/// The extents of a tensor's axes, outermost first; empty for a scalar.
pub type Shape = Vec<Dim>;

/// Element type and shape.
#[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct TensorType {
    pub dtype: DType,
    pub shape: Shape,
}

impl TensorType {
    pub fn new(dtype: DType, shape: Shape) -> Self {
        Self { dtype, shape }
    }

    pub fn scalar(dtype: DType) -> Self {
        Self { dtype, shape: Vec::new() }
    }

    pub fn f32(shape: Shape) -> Self {
        Self { dtype: DType::F32, shape }
    }

    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    pub fn is_scalar(&self) -> bool {
        self.shape.is_empty()
    }

    pub fn is_float(&self) -> bool {
        self.dtype == DType::F32
    }

    /// `f32[batch]`: one number per sample.
    pub fn is_per_sample(&self) -> bool {
        matches!(self.shape.as_slice(), [dim] if dim.is_batch())
    }

    /// The extents as numbers, when every one is known.
    pub fn known_shape(&self) -> Option<Vec<usize>> {
        self.shape.iter().map(Dim::as_known).collect()
    }

    /// The type with run-time sizes put in.
    pub fn bind(&self, sizes: &DimSizes) -> TensorType {
        TensorType { dtype: self.dtype, shape: self.shape.iter().map(|dim| dim.bind(sizes)).collect() }
    }
}

/// The product of the extents; `None` beyond the limits.
pub fn element_count(shape: &[Dim]) -> Option<Dim> {
    shape.iter().try_fold(Dim::known(1), |product, dim| product.mul(dim))
}

/// `[batch, 3]`
pub fn show_shape(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(Dim::to_string).collect();
    format!("[{}]", dims.join(", "))
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype.as_str())?;
        if self.shape.is_empty() { Ok(()) } else { f.write_str(&show_shape(&self.shape)) }
    }
}

impl fmt::Debug for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
