//! `y[i]` = whether `x[i]` is NaN: how missing values are told apart.
//!
//! Operands/Results: `x: f32[...]` → `bool[...]`. Constraints: (C1) `x` is of floats. No gradient passes.

use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct IsNan;

impl Primitive for IsNan {
    const NAME: &'static str = "is_nan";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("is_nan takes f32, found {x} (C1)")));
        }
        Ok(TensorType::new(DType::Bool, x.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Zero
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, _cotangent: NodeId, slot: usize) -> NodeId {
        b.zeros_like(site.operands[slot])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
        b.zeros_like(site.result)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Bool(operands[0].float().mapv(|x| x.is_nan()))
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
