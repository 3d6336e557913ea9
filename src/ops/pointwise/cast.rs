//! `y[i] = x[i]` in another element type.
//!
//! Operands/Results: `x: T[...]` → `U[...]`. To `i32` floats round towards zero and saturate (NaN gives 0); to `bool` non-zero
//! is true; `true` is 1. Gradient: from floats to floats the cotangent as it is, else none: ints and bools
//! carry none.

use super::BinaryCode;
use crate::ops::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Cast {
    pub to: DType,
}

impl Primitive for Cast {
    const NAME: &'static str = "cast";
    const ALGEBRA: Algebra = Algebra::NONE;
    primitive!(elementwise, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        Ok(TensorType::new(self.to, x.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("to", self.to.as_str().to_string())]
    }

    fn flow(&self, _slot: usize) -> Flow {
        // To floats: the operand's type is not known here, but only a float operand can have a gradient asked of it.
        if self.to == DType::F32 { Flow::Differentiable } else { Flow::Zero }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        if b.ty(site.operands[slot]).is_float() { cotangent } else { b.zeros_like(site.operands[slot]) }
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        if b.ty(site.operands[slot]).is_float() { tangent } else { b.zeros_like(site.result) }
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let x = operands[0];
        match (self.to, x) {
            (DType::F32, Tensor::Int(x)) => Tensor::Float(map(x, |x| T::of(f64::from(x)))),
            (DType::F32, Tensor::Bool(x)) => Tensor::Float(map(x, |x| if x { T::one() } else { T::zero() })),
            (DType::I32, Tensor::Float(x)) => Tensor::Int(map(x, |x| x.as_f64() as i32)),
            (DType::I32, Tensor::Bool(x)) => Tensor::Int(map(x, i32::from)),
            (DType::Bool, Tensor::Float(x)) => Tensor::Bool(map(x, |x| x != T::zero())),
            (DType::Bool, Tensor::Int(x)) => Tensor::Bool(map(x, |x| x != 0)),
            (_, same) => same.clone(),
        }
    }

    fn pointwise(&self) -> Option<Pointwise> {
        match self.to {
            // Operands are numbers once they are read, and bools are 0 and 1.
            DType::F32 => Some(Pointwise::Operand(0)),
            DType::Bool => {
                Some(Pointwise::Binary(BinaryCode::NotEqual, [&Pointwise::Operand(0), &Pointwise::Number(0.0)]))
            }
            DType::I32 => None,
        }
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        match (self.to, ranges.types.operands[0].dtype) {
            (DType::Bool, DType::Bool) => ranges.of(0),
            (DType::Bool, _) if ranges.of(0).is_zero() => Interval::ZERO,
            (DType::Bool, _) => Interval::UNIT,
            (DType::I32, DType::F32) => ranges.of(0).truncated().hull(Interval::ZERO),
            (DType::F32 | DType::I32, _) => ranges.of(0),
        }
    }
}
