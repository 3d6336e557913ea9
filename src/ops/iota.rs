//! Positions along an axis: `y[..., i, ...] = i`, counted from 0.
//!
//! Results: `i32[...]` or `f32[...]`. Constraints: (C1) the axis exists.

use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Iota {
    pub axis: usize,
    pub ty: TensorType,
}

impl Primitive for Iota {
    const NAME: &'static str = "iota";

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

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Zero
    }

    fn vjp(&self, _b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        cotangent
    }

    fn jvp(&self, _b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        tangent
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let shape = ndarray::IxDyn(&super::tensor::extents(result));
        match result.dtype {
            DType::I32 => Tensor::Int(ndarray::ArrayD::from_shape_fn(shape, |index| index[self.axis] as i32)),
            _ => Tensor::Float(ndarray::ArrayD::from_shape_fn(shape, |index| T::of(index[self.axis] as f64))),
        }
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { axis: self.axis, ty: self.ty.bind(sizes) }
    }
}
