//! Logic on bools, element by element.
//!
//! Operands/Results: `bool[...]` (two, or one for `not`) → `bool[...]`. Constraints: (C1) equal shapes; (C2) bools.
//! No gradient passes.

use super::binary::infer_pair;
use super::{BinaryCode, UnaryCode};
use crate::ops::prelude::*;

macro_rules! logic {
    ($(
        $(#[$doc:meta])*
        $op:ident $name:literal $code:expr, $algebra:expr, $infer:expr, $evaluate:expr, $bounds:expr;
    )*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl Primitive for $op {
            const NAME: &'static str = $name;
            const ALGEBRA: Algebra = $algebra;
            primitive!(bare, elementwise, flat, sizeless, plain);

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let infer: fn(&[&TensorType]) -> Result<TensorType, OpError> = $infer;
                let ty = infer(operands)?;
                if ty.dtype != DType::Bool {
                    return Err(OpError::dtype(format!("{} takes bool, found {ty} (C2)", Self::NAME)));
                }
                Ok(ty)
            }

            fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
                let evaluate: fn(&[&Tensor<T>]) -> ndarray::ArrayD<bool> = $evaluate;
                Tensor::Bool(evaluate(operands))
            }

            fn pointwise(&self) -> Option<Pointwise> {
                Some($code)
            }

            fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
                let bounds: fn(&Ranges<'_>) -> Interval = $bounds;
                bounds(ranges)
            }
        }
    )* };
}

logic! {
    /// `x and y`
    And "and" Pointwise::binary(BinaryCode::And), Algebra::COMMUTATIVE.idempotent(),
        |types| infer_pair("and", types),
        |values| zip(values[0].bool(), values[1].bool(), |x, y| x && y),
        |ranges| ranges.of(0).min(ranges.of(1));
    /// `x or y`
    Or "or" Pointwise::binary(BinaryCode::Or), Algebra::COMMUTATIVE.idempotent(),
        |types| infer_pair("or", types),
        |values| zip(values[0].bool(), values[1].bool(), |x, y| x || y),
        |ranges| ranges.of(0).max(ranges.of(1));
    /// `not x`
    Not "not" Pointwise::unary(UnaryCode::Not), Algebra::NONE,
        |types| take::<1>("not", types).map(|[x]| x.clone()),
        |values| map(values[0].bool(), |x| !x),
        |ranges| Interval::point(1.0) - ranges.of(0);
}
