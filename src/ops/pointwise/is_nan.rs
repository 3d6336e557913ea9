//! `y[i]` = whether `x[i]` is NaN: how missing values are told apart.
//!
//! Operands/Results: `x: f32[...]` → `bool[...]`. Constraints: (C1) `x` is of floats. No gradient passes.

use super::BinaryCode;
use crate::ops::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct IsNan;

impl Primitive for IsNan {
    const NAME: &'static str = "is_nan";
    const ALGEBRA: Algebra = Algebra::NONE;
    primitive!(bare, flat, elementwise, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("is_nan takes f32, found {x} (C1)")));
        }
        Ok(TensorType::new(DType::Bool, x.shape.clone()))
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Bool(map(operands[0].float(), |x| x.is_nan()))
    }

    fn pointwise(&self) -> Option<Pointwise> {
        // NaN alone differs from itself.
        Some(Pointwise::Binary(BinaryCode::NotEqual, [&Pointwise::Operand(0); 2]))
    }

    fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
        Interval::UNIT
    }
}
