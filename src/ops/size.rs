//! The extent of a run-time dim as a number, known when the program is bound to sizes.
//!
//! Results: `f32`.

use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DType, Dim, DimSizes, NodeId, TensorType};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Size {
    pub dim: Dim,
}

impl Primitive for Size {
    const NAME: &'static str = "size";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [] = take(Self::NAME, operands)?;
        Ok(TensorType::scalar(DType::F32))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("dim", self.dim.to_string())]
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
        let extent = self.dim.as_known().unwrap_or_else(|| panic!("internal: {} is not bound", self.dim));
        Tensor::full(result, extent as f64)
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { dim: self.dim.bind(sizes) }
    }
}
