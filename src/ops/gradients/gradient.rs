//! `z = ∂(Σ y)/∂x`: a derivative that is asked for, not yet written out.
//!
//! Operands/Results: `y: f32[...]`, `x: f32[...]` → the type of `x`. Constraints: (C1) both are of floats.
//! The `differentiate` pass replaces every one of them, so neither derivative rules nor evaluation are ever reached.
//! Gradients flow through `y`, since the derivative depends on all that `y` does.

use crate::ops::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Gradient;

impl Primitive for Gradient {
    const NAME: &'static str = "gradient";
    primitive!(bare, kernel, mixing, sizeless, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [y, x] = take(Self::NAME, operands)?;
        if !y.is_float() || !x.is_float() {
            return Err(OpError::dtype(format!("grad takes f32 values, found {y} and {x} (C1)")));
        }
        Ok(x.clone())
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Differentiable } else { Flow::Zero }
    }

    fn vjp(&self, _b: &mut Builder<'_>, _site: Site<'_>, _cotangent: NodeId, _slot: usize) -> NodeId {
        panic!("internal: a gradient node is replaced before it is differentiated")
    }

    fn jvp(&self, _b: &mut Builder<'_>, _site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
        panic!("internal: a gradient node is replaced before it is differentiated")
    }

    fn evaluate<T: Element>(&self, _operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        panic!("internal: a gradient node is replaced before it is evaluated")
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::ALL
    }
}
