//! Functions of two numbers: `z[i] = f(x[i], y[i])`.
//!
//! Operands/Results: `x: T[...]`, `y: T[...]` → `T[...]`. Constraints: (C1) equal shapes: broadcasting is a node of its
//! own; (C2) both of floats, or both of ints where the function is one of them. Ints wrap on overflow.

use super::BinaryCode;
use crate::ops::prelude::*;
use crate::ops::{Equal, Less, Round};

/// What distinguishes one function of two numbers from another.
pub(super) trait Binary: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash + Default {
    const NAME: &'static str;
    /// the function of ints, where it is one
    const INTEGERS: Option<fn(i32, i32) -> i32>;
    const POINTWISE: Option<Pointwise>;
    const ALGEBRA: Algebra;
    /// what it costs, in additions
    const WEIGHT: f64;

    fn apply<T: Element>(x: T, y: T) -> T;

    fn bounds(ranges: &Ranges<'_>) -> Interval;

    /// Where value and derivative are finite; everywhere, unless a row says otherwise.
    fn domain(_slot: usize, _operands: &[Interval]) -> Option<Domain> {
        None
    }

    /// `v * ∂f/∂x` (`slot` 0) or `v * ∂f/∂y` (`slot` 1), where `z = f(x, y)`.
    fn differential(b: &mut Builder<'_>, operands: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId;
}

/// The type of a function of two values of one type: (C1) equal shapes.
pub(crate) fn infer_pair(name: &str, operands: &[&TensorType]) -> Result<TensorType, OpError> {
    let [x, y] = take(name, operands)?;
    let refusal = || match verb(name) {
        Some(verb) => format!("cannot {verb} {x} and {y}"),
        None => format!("{name} cannot take {x} and {y}"),
    };
    if x.dtype != y.dtype {
        return Err(OpError::dtype(format!("{}: element types differ (C2)", refusal())));
    }
    if x.shape != y.shape {
        return Err(OpError::shape(format!("{} (C1)", refusal())));
    }
    Ok(x.clone())
}

/// What people say for an op.
fn verb(name: &str) -> Option<&'static str> {
    Some(match name {
        "add" => "add",
        "sub" => "subtract",
        "mul" => "multiply",
        "div" => "divide",
        "less" | "less_equal" | "equal" => "compare",
        _ => return None,
    })
}

/// The type of a function of two numbers.
pub(super) fn infer_numbers(name: &str, takes_integers: bool, operands: &[&TensorType]) -> Result<TensorType, OpError> {
    let ty = infer_pair(name, operands)?;
    match ty.dtype {
        DType::Bool => Err(OpError::dtype(format!("{name} takes numbers, found {ty} (C2)"))),
        DType::I32 if !takes_integers => Err(OpError::dtype(format!("{name} takes f32, found {ty} (C2)"))),
        DType::I32 | DType::F32 => Ok(ty),
    }
}

/// The whole of [`Primitive`] for functions of two numbers.
macro_rules! binary_primitive {
    ($op:ident) => {
        impl Primitive for $op {
            const NAME: &'static str = <$op as $crate::ops::pointwise::binary::Binary>::NAME;
            const ALGEBRA: Algebra = <$op as $crate::ops::pointwise::binary::Binary>::ALGEBRA;
            primitive!(bare, elementwise, differentiable, diagonal, sizeless);

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let takes_integers = <$op as $crate::ops::pointwise::binary::Binary>::INTEGERS.is_some();
                $crate::ops::pointwise::binary::infer_numbers(<$op as Primitive>::NAME, takes_integers, operands)
            }

            fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
                use $crate::ops::pointwise::binary::Binary;
                match (operands[0], operands[1], <$op as Binary>::INTEGERS) {
                    (Tensor::Int(x), Tensor::Int(y), Some(apply)) => Tensor::Int(zip(x, y, apply)),
                    (x, y, _) => Tensor::Float(zip(x.float(), y.float(), <$op as Binary>::apply)),
                }
            }

            fn pointwise(&self) -> Option<Pointwise> {
                <$op as $crate::ops::pointwise::binary::Binary>::POINTWISE
            }

            fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
                <$op as $crate::ops::pointwise::binary::Binary>::bounds(ranges)
            }

            fn domain(&self, slot: usize, operands: &[Interval]) -> Option<Domain> {
                <$op as $crate::ops::pointwise::binary::Binary>::domain(slot, operands)
            }

            fn work(&self, extents: Extents<'_>) -> Work<'_> {
                Work::Elements {
                    count: extents.largest(),
                    weight: <$op as $crate::ops::pointwise::binary::Binary>::WEIGHT,
                }
            }
        }

        impl $op {
            fn differential(&self, b: &mut Builder<'_>, site: Site<'_>, v: NodeId, slot: usize) -> NodeId {
                let operands = [site.operands[0], site.operands[1]];
                <$op as $crate::ops::pointwise::binary::Binary>::differential(b, operands, site.result, v, slot)
            }
        }
    };
}
pub(super) use binary_primitive;

/// Functions as rows: name and weight; value; the function of ints; bounds; how the register machine computes it;
/// laws; and `v` times the derivative by the operand at `slot`, where `z` is the value.
macro_rules! binary {
    ($($(#[$doc:meta])* $op:ident $name:literal $weight:ident {
        $x:ident, $y:ident -> $apply:expr;
        integers $integers:expr;
        bounds |$ranges:ident| $bounds:expr;
        pointwise $pointwise:expr;
        algebra $algebra:expr;
        $(divisor $divisor:literal;)?
        derivative |$b:ident, $operands:pat, $z:ident, $v:ident, $slot:ident| $differential:expr;
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl Binary for $op {
            const NAME: &'static str = $name;
            const INTEGERS: Option<fn(i32, i32) -> i32> = $integers;
            const POINTWISE: Option<Pointwise> = $pointwise;
            const ALGEBRA: Algebra = $algebra;
            const WEIGHT: f64 = super::weight::$weight;

            fn apply<T: Element>($x: T, $y: T) -> T {
                $apply
            }

            fn bounds($ranges: &Ranges<'_>) -> Interval {
                $bounds
            }

            $(fn domain(slot: usize, _operands: &[Interval]) -> Option<Domain> {
                (slot == $divisor).then_some(Domain::NonZero)
            })?

            fn differential(
                $b: &mut Builder<'_>, $operands: [NodeId; 2], $z: NodeId, $v: NodeId, $slot: usize,
            ) -> NodeId {
                $differential
            }
        }

        binary_primitive!($op);
    )* };
}

binary! {
    /// `z = x + y`. Derivatives: 1, 1.
    Add "add" CHEAP {
        x, y -> x + y;
        integers Some(i32::wrapping_add);
        bounds |ranges| ranges.of(0) + ranges.of(1);
        pointwise Some(Pointwise::binary(BinaryCode::Add));
        algebra Algebra::COMMUTATIVE;
        derivative |_b, _operands, _z, v, _slot| v;
    }

    /// `z = x - y`. Derivatives: 1, -1.
    Sub "sub" CHEAP {
        x, y -> x - y;
        integers Some(i32::wrapping_sub);
        bounds |ranges| if ranges.are_twins { Interval::ZERO } else { ranges.of(0) - ranges.of(1) };
        pointwise Some(Pointwise::binary(BinaryCode::Sub));
        algebra Algebra::NONE;
        derivative |b, _operands, _z, v, slot| if slot == 0 { v } else { b.neg(v) };
    }

    /// `z = x y`. Derivatives: `y`, `x`.
    Mul "mul" CHEAP {
        x, y -> x * y;
        integers Some(i32::wrapping_mul);
        bounds |ranges| if ranges.are_twins { ranges.of(0).square() } else { ranges.of(0) * ranges.of(1) };
        pointwise Some(Pointwise::binary(BinaryCode::Mul));
        algebra Algebra::COMMUTATIVE;
        derivative |b, [x, y], _z, v, slot| b.mul(v, if slot == 0 { y } else { x });
    }

    /// `z = x / y`. Derivatives: `1/y`, `-z/y`. Ints round towards zero; division by 0 gives 0 there.
    Div "div" DIVISION {
        x, y -> x / y;
        integers Some(|x, y| x.checked_div(y).unwrap_or(0));
        bounds |ranges| match (ranges.types.result.dtype, ranges.are_twins) {
            (DType::F32, true) => Interval::point(1.0),
            (DType::F32, false) => ranges.of(0) / ranges.of(1),
            (_, true) => Interval::UNIT,
            // Divided by a integer no number grows.
            (_, false) => {
                let quotient = (ranges.of(0) / ranges.of(1)).truncated();
                let size = ranges.of(0).hull(-ranges.of(0)).hull(Interval::ZERO);
                quotient.hull(Interval::ZERO).clamp(size)
            }
        };
        pointwise Some(Pointwise::binary(BinaryCode::Div));
        algebra Algebra::NONE;
        divisor 1;
        derivative |b, [_x, y], z, v, slot| {
            if slot == 0 {
                return b.div(v, y);
            }
            let scaled = b.mul(v, z);
            let quotient = b.div(scaled, y);
            b.neg(quotient)
        };
    }

    /// `z = x - y ⌊x/y⌋`, the floored modulo: the sign of `y`. Derivatives: `1`, `-⌊x/y⌋`. Ints: modulo 0 is 0.
    Rem "rem" TRANSCENDENTAL {
        x, y -> {
            let truncated = x % y;
            if truncated != T::zero() && (truncated < T::zero()) != (y < T::zero()) { truncated + y } else { truncated }
        };
        integers Some(|x, y| {
            let truncated = x.checked_rem(y).unwrap_or(0);
            if truncated != 0 && (truncated < 0) != (y < 0) { truncated + y } else { truncated }
        });
        bounds |ranges| ranges.of(1).hull(Interval::ZERO);
        pointwise None;
        algebra Algebra::NONE;
        derivative |b, [x, y], z, v, slot| {
            if slot == 0 {
                return v;
            }
            // `⌊x/y⌋` from the result itself: a quotient rounded up to a integer would be off by one.
            let whole = b.sub(x, z);
            let quotient = b.div(whole, y);
            let quotient = b.emit(Round, &[quotient]);
            let product = b.mul(v, quotient);
            b.neg(product)
        };
    }

    /// `z = max(x, y)`. The derivative goes to the larger operand, at a tie to the second: `max(x, 0)` has slope 0 at 0. NaN wins.
    Max "max" CHEAP {
        x, y -> if x > y || x.is_nan() { x } else { y };
        integers Some(std::cmp::max);
        bounds |ranges| ranges.of(0).max(ranges.of(1));
        pointwise Some(Pointwise::binary(BinaryCode::Max));
        algebra Algebra::COMMUTATIVE.idempotent();
        derivative |b, [x, y], _z, v, slot| {
            let first = b.emit(Less, &[y, x]);
            let zero = b.zeros_like(v);
            if slot == 0 { b.select(first, v, zero) } else { b.select(first, zero, v) }
        };
    }

    /// `z = min(x, y)`. The derivative goes to the smaller operand, at a tie to the second. NaN wins.
    Min "min" CHEAP {
        x, y -> if x < y || x.is_nan() { x } else { y };
        integers Some(std::cmp::min);
        bounds |ranges| ranges.of(0).min(ranges.of(1));
        pointwise Some(Pointwise::binary(BinaryCode::Min));
        algebra Algebra::COMMUTATIVE.idempotent();
        derivative |b, [x, y], _z, v, slot| {
            let first = b.emit(Less, &[x, y]);
            let zero = b.zeros_like(v);
            if slot == 0 { b.select(first, v, zero) } else { b.select(first, zero, v) }
        };
    }

    /// `z = atan2(y, x)`, the angle of the point `(x, y)` in [-π, π]. Derivatives: `x/(x² + y²)`, `-y/(x² + y²)`; 0 at the
    /// origin, where there is none. Of floats only.
    Atan2 "atan2" TRANSCENDENTAL {
        y, x -> y.atan2(x);
        integers None;
        bounds |_ranges| Interval::new(-std::f64::consts::PI, std::f64::consts::PI);
        pointwise None;
        algebra Algebra::NONE;
        derivative |b, [y, x], _z, v, slot| {
            let squares = [x, y].map(|side| b.mul(side, side));
            let radius = b.add2(squares[0], squares[1]);
            let (zero, one) = (b.zeros_like(radius), b.constant_like(1.0, radius));
            let is_origin = b.emit(Equal, &[radius, zero]);
            let radius = b.select(is_origin, one, radius);
            let side = if slot == 0 { x } else { b.neg(y) };
            let product = b.mul(v, side);
            b.div(product, radius)
        };
    }
}
