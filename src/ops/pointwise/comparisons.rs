//! Comparisons, element by element: `z[i] = x[i] ⋈ y[i]`.
//!
//! Operands/Results: `x: T[...]`, `y: T[...]` → `bool[...]`. Constraints: (C1) equal shapes; (C2) equal element types;
//! (C3) floats or ints, or bools for `equal`. No gradient passes: the result is constant wherever it is continuous.
//! The other comparisons are these with operands swapped or the result negated.

use super::BinaryCode;
use super::binary::infer_pair;
use crate::ops::prelude::*;

macro_rules! comparison {
    ($($(#[$doc:meta])* $op:ident $name:literal $accepts_bool:literal $algebra:ident $compare:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl Primitive for $op {
            const NAME: &'static str = $name;
            const ALGEBRA: Algebra = Algebra::$algebra;
            primitive!(bare, elementwise, flat, sizeless, plain);

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let ty = infer_pair(Self::NAME, operands)?;
                if ty.dtype == DType::Bool && !$accepts_bool {
                    return Err(OpError::dtype(format!("{} takes numbers, found {ty} (C3)", Self::NAME)));
                }
                Ok(TensorType::new(DType::Bool, ty.shape))
            }

            fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
                Tensor::Bool(match (operands[0], operands[1]) {
                    (Tensor::Int(x), Tensor::Int(y)) => zip(x, y, $compare),
                    (Tensor::Bool(x), Tensor::Bool(y)) => zip(x, y, $compare),
                    (x, y) => zip(x.float(), y.float(), $compare),
                })
            }

            fn pointwise(&self) -> Option<Pointwise> {
                Some(Pointwise::binary(BinaryCode::$op))
            }

            fn bounds(&self, _ranges: &Ranges<'_>) -> Interval {
                Interval::UNIT
            }
        }
    )* };
}

comparison! {
    /// `x < y`; false where either is NaN.
    Less "less" false NONE |x, y| x.lt(&y);
    /// `x ≤ y`; false where either is NaN.
    LessEqual "less_equal" false NONE |x, y| x <= y;
    /// `x = y`; false where either is NaN.
    Equal "equal" true COMMUTATIVE |x, y| x == y;
}
