//! Positions along an axis: `y[..., i, ...] = i`, counted from 0.
//!
//! Results: `i32[...]` or `f32[...]`. Constraints: (C1) the axis exists.

use crate::ops::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Iota {
    pub axis: usize,
    pub ty: TensorType,
}

impl Primitive for Iota {
    const NAME: &'static str = "iota";
    primitive!(leaf, kernel, mixing, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [] = take(Self::NAME, operands)?;
        if self.axis >= self.ty.rank() {
            return Err(OpError::constraint(format!("iota: axis {} of {} (C1)", self.axis, self.ty)));
        }
        Ok(self.ty.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let shape = ndarray::IxDyn(&extents(result));
        match result.dtype {
            DType::I32 => Tensor::Int(ndarray::ArrayD::from_shape_fn(shape, |index| index[self.axis] as i32)),
            _ => Tensor::Float(ndarray::ArrayD::from_shape_fn(shape, |index| T::of(index[self.axis] as f64))),
        }
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { axis: self.axis, ty: self.ty.bind(sizes) }
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        let last = self.ty.shape[self.axis].as_known().map(|extent| extent.saturating_sub(1) as f64);
        Interval::new(0.0, last.unwrap_or(f64::from(i32::MAX)))
    }
}
