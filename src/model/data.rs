//! Data from memory.

use super::tensor::Tensor;
use crate::data::{Dataset, FieldSpec, NamedArray, from_memory};
use crate::diag::Diagnostics;
use indexmap::IndexMap;

/// Named tensors, the inputs and targets of a model, whose first axis counts the samples.
///
/// A tensor may be of any element type that holds the values: a target of `i32` takes whole numbers of every type. What a missing
/// value of an optional target is: NaN.
///
/// ```
/// use anabranch::{Data, ndarray::array};
///
/// let data = Data::new().with("x", array![[0.0_f32], [0.5], [1.0]]).with("label", [0_i64, 1, 1]);
/// assert_eq!(data.get("x").unwrap().shape(), [3, 1]);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    tensors: IndexMap<String, Tensor>,
}

impl Data {
    /// Data without a field.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The data with one more field, or another one of that name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, tensor: impl Into<Tensor>) -> Self {
        self.tensors.insert(name.into(), tensor.into());
        self
    }

    /// A field by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The fields in the order in which they were given.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// What a program reads, held against what it asks for. Fields that it does not read are left out.
    pub(super) fn checked(&self, wanted: &[FieldSpec]) -> Result<Dataset, Diagnostics> {
        let arrays: Vec<NamedArray<'_>> =
            self.tensors.iter().map(|(name, tensor)| (name.as_str(), &*tensor.shape, &tensor.numbers)).collect();
        from_memory(&arrays, wanted)
    }
}

impl<N: Into<String>, T: Into<Tensor>> FromIterator<(N, T)> for Data {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(fields: I) -> Self {
        Self { tensors: fields.into_iter().map(|(name, tensor)| (name.into(), tensor.into())).collect() }
    }
}

impl<N: Into<String>, T: Into<Tensor>, const K: usize> From<[(N, T); K]> for Data {
    fn from(fields: [(N, T); K]) -> Self {
        fields.into_iter().collect()
    }
}
