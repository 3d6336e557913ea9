//! Functions element by element.

use super::{Builtin, row};
use crate::diag::Code;
use crate::ir::DType;
use crate::lower::Lowered;
use crate::lower::arguments::Matched;
use crate::lower::emit::Emitter;
use crate::lower::value::{Frame, Value};
use crate::ops::{self, Op};

/// What tells the numbers that are missing from the others: `is_nan`.
pub(in crate::lower) fn is_missing() -> Op {
    ops::IsNan.into()
}

/// A function of one float: on compile-time numbers it is computed at once.
fn unary(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, op: impl Into<Op>, fold: fn(f64) -> f64) -> Lowered<Value> {
    if let Some((Value::Number { value, .. }, at)) = m.get(0) {
        let (result, at) = (fold(*value), *at);
        if result.is_nan() || (result.is_infinite() && value.is_finite()) {
            return Err(l.error(
                Code::E0303,
                at,
                format!("the function has no finite value at {value}"),
                "outside its domain",
            ));
        }
        return Ok(Value::Number { value: result, is_integer: false });
    }
    let x = l.tensor_argument(frame, m, 0)?;
    let op: Op = op.into();
    // An int is rounded as it is.
    if matches!(op, Op::Floor(_) | Op::Ceil(_) | Op::Round(_)) && l.ty(x).dtype == DType::I32 {
        return Ok(Value::Tensor(x));
    }
    l.add(frame, m.span, op, &[x]).map(Value::Tensor)
}

/// A function of one float that is computed in the graph.
fn function(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, op: Op) -> Lowered<Value> {
    let x = l.tensor_argument(frame, m, 0)?;
    l.add(frame, m.span, op, &[x]).map(Value::Tensor)
}

macro_rules! unary_rows {
    ($($name:literal $op:ident $fold:expr, $doc:literal;)*) => {
        &[$(row($name, &["x"], $doc, |l, frame, m| unary(l, frame, m, ops::$op, $fold)),)*
            row("maximum", &["x", "y"], "the larger of two, element by element; at a tie the gradient goes to `y`",
                |l, frame, m| pair(l, frame, m, ops::Max.into(), f64::max)),
            row("minimum", &["x", "y"], "the smaller of two, element by element; at a tie the gradient goes to `y`",
                |l, frame, m| pair(l, frame, m, ops::Min.into(), f64::min)),
            row("remainder", &["x", "y"], "what is left of x after whole multiples of y, with the sign of y",
                |l, frame, m| pair(l, frame, m, ops::Rem.into(), crate::lower::fold::floored_remainder)),
            row("atan2", &["y", "x"], "the angle of the point (x, y), in radians",
                |l, frame, m| pair(l, frame, m, ops::Atan2.into(), f64::atan2)),
            row("lgamma", &["x"], "the logarithm of the gamma function", |l, frame, m| function(l, frame, m, ops::LogGamma.into())),
            row("digamma", &["x"], "the derivative of `lgamma`", |l, frame, m| {
                function(l, frame, m, ops::Polygamma { order: 0 }.into())
            }),
            row("erfinv", &["x"], "the inverse of the error function, of -1 to 1", |l, frame, m| {
                function(l, frame, m, ops::ErfInverse.into())
            }),
            row("is_nan", &["x"], "whether the value is not a number", |l, frame, m| {
                let x = l.tensor_argument(frame, m, 0)?;
                l.add(frame, m.span, ops::IsNan, &[x]).map(Value::Tensor)
            }),
            row("where", &["mask", "x", "y"], "`x` where the mask holds, else `y`", choose),
            row("f32", &["x"], "the value as floats", |l, frame, m| cast(l, frame, m, DType::F32)),
            row("i32", &["x"], "the value as ints, rounded towards zero", |l, frame, m| cast(l, frame, m, DType::I32)),
            row("bool", &["x"], "whether the value is not 0", |l, frame, m| cast(l, frame, m, DType::Bool)),
        ]
    };
}

pub(super) static ROWS: &[Builtin] = unary_rows! {
    "abs" Abs f64::abs, "the magnitude";
    "sign" Sign |x| if x == 0.0 { 0.0 } else { x.signum() }, "-1, 0 or 1";
    "exp" Exp f64::exp, "e to the power of x";
    "expm1" Expm1 f64::exp_m1, "e^x - 1, accurate near 0";
    "log" Log f64::ln, "the natural logarithm";
    "log1p" Log1p f64::ln_1p, "ln(1 + x), accurate near 0";
    "sqrt" Sqrt f64::sqrt, "the square root";
    "rsqrt" Rsqrt |x| x.sqrt().recip(), "one over the square root";
    "sin" Sin f64::sin, "the sine, of radians";
    "cos" Cos f64::cos, "the cosine, of radians";
    "tanh" Tanh f64::tanh, "the hyperbolic tangent";
    "sigmoid" Sigmoid |x| 1.0 / (1.0 + (-x).exp()), "1 / (1 + e^-x)";
    "softplus" Softplus |x| x.max(0.0) + (-x.abs()).exp().ln_1p(), "ln(1 + e^x)";
    "erf" Erf libm::erf, "the error function";
    "floor" Floor f64::floor, "rounded down";
    "ceil" Ceil f64::ceil, "rounded up";
    "round" Round f64::round_ties_even, "rounded to the nearest integer, halves to the even one";
    "tan" Tan f64::tan, "the tangent, of radians";
    "asin" Asin f64::asin, "the inverse sine, in radians";
    "acos" Acos f64::acos, "the inverse cosine, in radians";
    "atan" Atan f64::atan, "the inverse tangent, in radians";
    "sinh" Sinh f64::sinh, "the hyperbolic sine";
    "cosh" Cosh f64::cosh, "the hyperbolic cosine";
    "asinh" Asinh f64::asinh, "the inverse hyperbolic sine";
    "acosh" Acosh f64::acosh, "the inverse hyperbolic cosine";
    "atanh" Atanh f64::atanh, "the inverse hyperbolic tangent";
};

fn pair(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, op: Op, fold: fn(f64, f64) -> f64) -> Lowered<Value> {
    let (Some(x), Some(y)) = (m.get(0).cloned(), m.get(1).cloned()) else { return Err(crate::lower::Reported) };
    if let (Value::Number { value: a, is_integer: i }, Value::Number { value: b, is_integer: j }) = (&x.0, &y.0) {
        return Ok(Value::Number { value: fold(*a, *b), is_integer: *i && *j });
    }
    let aligned = l.align(frame, "compare", vec![x, y], m.span)?;
    l.add(frame, m.span, op, &aligned).map(Value::Tensor)
}

fn choose(l: &mut Emitter<'_>, frame: &Frame, m: &Matched) -> Lowered<Value> {
    let mask = l.tensor_argument(frame, m, 0)?;
    let mask_span = m.get(0).map_or(m.span, |(_, at)| *at);
    let (Some(x), Some(y)) = (m.get(1).cloned(), m.get(2).cloned()) else { return Err(crate::lower::Reported) };
    let operands = vec![(Value::Tensor(mask), mask_span), x, y];
    let aligned = l.align(frame, "choose between", operands, m.span)?;
    l.add(frame, m.span, ops::Select, &aligned).map(Value::Tensor)
}

fn cast(l: &mut Emitter<'_>, frame: &Frame, m: &Matched, to: DType) -> Lowered<Value> {
    match (m.get(0), to) {
        (Some((Value::Number { value, .. }, _)), DType::F32) => Ok(Value::Number { value: *value, is_integer: false }),
        (Some((Value::Number { value, .. }, _)), DType::I32) => {
            Ok(Value::Number { value: value.trunc(), is_integer: true })
        }
        _ => {
            let x = l.tensor_argument(frame, m, 0)?;
            if l.ty(x).dtype == to {
                return Ok(Value::Tensor(x));
            }
            l.add(frame, m.span, ops::Cast { to }, &[x]).map(Value::Tensor)
        }
    }
}
