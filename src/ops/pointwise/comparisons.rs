//! Comparisons, element by element: `z[i] = x[i] ⋈ y[i]`.
//!
//! Operands/Results: `x: T[...]`, `y: T[...]` → `bool[...]`. Constraints: (C1) equal shapes; (C2) equal element types;
//! (C3) floats or ints, or bools for `equal`. No gradient passes: the result is constant wherever it is continuous.
//! The other comparisons are these with operands swapped or the result negated.

use super::BinaryCode;
use super::binary::infer_pair;
use crate::ops::prelude::*;

/// What a comparison of numbers within bounds may say.
struct Outcomes {
    may_be_true: bool,
    may_be_false: bool,
}

/// Bounds as wide as rounding may make them.
fn rounded_outwards(found: Interval) -> Interval {
    let slack = |end: f64| if end.is_finite() { 1e-6 * end.abs() } else { 0.0 };
    Interval::new(found.low - slack(found.low), found.high + slack(found.high))
}

macro_rules! comparison {
    ($($(#[$doc:meta])* $op:ident $name:literal $accepts_bool:literal $algebra:ident $compare:expr, $bounds:expr;)*) => { $(
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

            fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
                let bounds: fn(Interval, Interval) -> Outcomes = $bounds;
                let is_float = ranges.types.operands[0].is_float();
                // Floats are rounded, and may be NaN, which compares with nothing: only ints surely do.
                let wide = |found: Interval| if is_float { rounded_outwards(found) } else { found };
                let found = bounds(wide(ranges.of(0)), wide(ranges.of(1)));
                let may_be_true = found.may_be_true && !(ranges.are_twins && Self::NAME == "less");
                Interval::new(
                    f64::from(u8::from(!found.may_be_false && !is_float)),
                    f64::from(u8::from(may_be_true)),
                )
            }
        }
    )* };
}

comparison! {
    /// `x < y`; false where either is NaN.
    Less "less" false NONE |x, y| x.lt(&y),
        |x, y| Outcomes { may_be_true: x.low < y.high, may_be_false: x.high >= y.low };
    /// `x ≤ y`; false where either is NaN.
    LessEqual "less_equal" false NONE |x, y| x <= y,
        |x, y| Outcomes { may_be_true: x.low <= y.high, may_be_false: x.high > y.low };
    /// `x = y`; false where either is NaN.
    Equal "equal" true COMMUTATIVE |x, y| x == y,
        |x, y| Outcomes { may_be_true: x.low <= y.high && y.low <= x.high, may_be_false: !(x.is_point() && x == y) };
}
