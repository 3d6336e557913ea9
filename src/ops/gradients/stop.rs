//! `y = x`, and no gradient through it (`stop(x)`; JAX's `stop_gradient`).
//!
//! Operands/Results: `x: T[...]` → `T[...]`. The reverse walk does not enter it: nothing is built behind it.

use crate::ops::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct StopGradient;

impl Primitive for StopGradient {
    const NAME: &'static str = "stop";
    const ALGEBRA: Algebra = Algebra::NONE;
    primitive!(bare, elementwise, sizeless, moving, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        Ok(x.clone())
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Stopped
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, _cotangent: NodeId, slot: usize) -> NodeId {
        b.zeros_like(site.operands[slot])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
        b.zeros_like(site.result)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        operands[0].clone()
    }

    fn pointwise(&self) -> Option<Pointwise> {
        Some(Pointwise::Operand(0))
    }
}
