//! `z[i] = x[i] where mask[i], else y[i]`
//!
//! Operands/Results: `mask: bool[...]`, `x: T[...]`, `y: T[...]` → `T[...]`. Constraints: (C1) equal shapes; (C2) `x` and `y`
//! of one element type; (C3) the mask of bools. Gradient: to `x` where the mask holds, to `y` elsewhere.

use crate::ops::prelude::*;
use ndarray::{ArrayD, Zip};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Select;

impl Select {
    fn differential(&self, b: &mut Builder<'_>, site: Site<'_>, v: NodeId, slot: usize) -> NodeId {
        let mask = site.operands[0];
        let zero = b.zeros_like(v);
        if slot == 1 { b.select(mask, v, zero) } else { b.select(mask, zero, v) }
    }
}

impl Primitive for Select {
    const NAME: &'static str = "where";
    const ALGEBRA: Algebra = Algebra::NONE;
    primitive!(bare, elementwise, diagonal, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [mask, x, y] = take(Self::NAME, operands)?;
        if mask.dtype != DType::Bool {
            return Err(OpError::dtype(format!("where takes a bool mask, found {mask} (C3)")));
        }
        if x.dtype != y.dtype {
            return Err(OpError::dtype(format!("where cannot choose between {x} and {y}: element types differ (C2)")));
        }
        if x.shape != y.shape || mask.shape != x.shape {
            return Err(OpError::shape(format!("where cannot choose between {x} and {y} by {mask} (C1)")));
        }
        Ok(x.clone())
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Zero } else { Flow::Differentiable }
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        fn choose<E: Copy>(mask: &ArrayD<bool>, x: &ArrayD<E>, y: &ArrayD<E>) -> ArrayD<E> {
            Zip::from(mask).and(x).and(y).map_collect(|mask, x, y| if *mask { *x } else { *y })
        }
        let mask = operands[0].bool();
        match (operands[1], operands[2]) {
            (Tensor::Int(x), Tensor::Int(y)) => Tensor::Int(choose(mask, x, y)),
            (Tensor::Bool(x), Tensor::Bool(y)) => Tensor::Bool(choose(mask, x, y)),
            (x, y) => Tensor::Float(choose(mask, x.float(), y.float())),
        }
    }

    fn pointwise(&self) -> Option<Pointwise> {
        Some(Pointwise::Select([&Pointwise::Operand(0), &Pointwise::Operand(1), &Pointwise::Operand(2)]))
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        match ranges.of(0) {
            always if always.low == 1.0 => ranges.of(1),
            never if never.high == 0.0 => ranges.of(2),
            _ => ranges.of(1).hull(ranges.of(2)),
        }
    }
}
