//! One value at training, another at prediction (dropout, batch statistics).
//!
//! Operands/Results: `training: T[...]`, `prediction: T[...]` → `T[...]`. Constraints: (C1) equal types.
//! `split` puts the second in its place in the prediction program, `resolve_training` the first in the training program; where
//! neither was done, it is the first. Gradient: to the first, training never sees the second.

use crate::ops::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ByMode;

impl ByMode {
    pub const TRAINING: usize = 0;
    pub const PREDICTION: usize = 1;
}

impl Primitive for ByMode {
    const NAME: &'static str = "by_mode";
    primitive!(bare, kernel, sizeless, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [training, prediction] = take(Self::NAME, operands)?;
        if training != prediction {
            return Err(OpError::shape(format!(
                "a value is {training} at training and {prediction} at prediction (C1)"
            )));
        }
        Ok(training.clone())
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Differentiable } else { Flow::Zero }
    }

    fn vjp(&self, _b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        cotangent
    }

    fn jvp(&self, _b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        tangent
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        operands[0].clone()
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        // Element by element, but no function of its operands: the program says which of them it is.
        Locality::but(types, &[], Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.hull()
    }
}
