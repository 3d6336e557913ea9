//! The extent of a run-time dim as a number, known when the program is bound to sizes.
//!
//! Results: `f32`.

use crate::ops::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Size {
    pub dim: Dim,
}

impl Primitive for Size {
    const NAME: &'static str = "size";
    primitive!(leaf, kernel, mixing, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [] = take(Self::NAME, operands)?;
        Ok(TensorType::scalar(DType::F32))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("dim", self.dim.to_string())]
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let extent = self.dim.as_known().unwrap_or_else(|| panic!("internal: {} is not bound", self.dim));
        Tensor::full(result, extent as f64)
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { dim: self.dim.bind(sizes) }
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.nominal_extent(&self.dim).map_or(Interval::NOT_NEGATIVE, |extent| Interval::point(extent as f64))
    }
}
