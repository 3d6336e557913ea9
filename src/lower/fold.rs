//! Arithmetic on what is known at compile time: numbers, run-time extents, lists, and whether two values are the same.

use super::emit::Emitter;
use super::value::Value;
use super::{Lowered, Reported};
use crate::diag::{Code, Span};
use crate::ir::Dim;
use crate::syntax::ast::BinaryOp;

impl Emitter<'_> {
    /// Arithmetic on compile-time values; `None` when a tensor takes part.
    pub(super) fn fold(&mut self, op: BinaryOp, left: &Value, right: &Value, span: Span) -> Lowered<Option<Value>> {
        match (left, right) {
            (Value::Number { value: a, is_integer: i }, Value::Number { value: b, is_integer: j }) => {
                let folded = fold_numbers(op, *a, *b, *i && *j);
                match folded {
                    Some(Value::Number { value, .. }) if !value.is_finite() && a.is_finite() && b.is_finite() => {
                        Err(self.not_finite(op, (*a, *b), value, span))
                    }
                    Some(Value::Number { value, .. }) if value.is_nan() => {
                        Err(self.not_finite(op, (*a, *b), value, span))
                    }
                    _ => Ok(folded),
                }
            }
            (Value::Dim(_), Value::Dim(_) | Value::Number { is_integer: true, .. })
            | (Value::Number { is_integer: true, .. }, Value::Dim(_)) => self.fold_dims(op, left, right, span),
            // Whether an optional argument was given is known at compile time, whatever was given.
            (Value::Tensor(_), Value::None) | (Value::None, Value::Tensor(_)) => match op {
                BinaryOp::Equal => Ok(Some(Value::Bool(false))),
                BinaryOp::NotEqual => Ok(Some(Value::Bool(true))),
                _ => Ok(None),
            },
            (Value::Tensor(_), _) | (_, Value::Tensor(_)) => Ok(None),
            _ => match op {
                BinaryOp::Equal => Ok(same(left, right).map(Value::Bool)),
                BinaryOp::NotEqual => Ok(same(left, right).map(|same| Value::Bool(!same))),
                BinaryOp::Add => Ok(match (left, right) {
                    (Value::List(a), Value::List(b)) if !self.holds_tensor(a) && !self.holds_tensor(b) => {
                        Some(Value::List(a.iter().chain(b).cloned().collect()))
                    }
                    _ => None,
                }),
                _ => Ok(None),
            },
        }
    }

    /// Arithmetic on numbers that gives none, or one beyond all.
    fn not_finite(&mut self, op: BinaryOp, (a, b): (f64, f64), value: f64, span: Span) -> Reported {
        let is = if value.is_nan() { "no number" } else { "not finite" };
        self.error(Code::E0304, span, format!("`{a} {} {b}` is {is}", op.symbol()), "computed here")
    }

    fn holds_tensor(&self, items: &[Value]) -> bool {
        items.iter().any(|item| matches!(item, Value::Tensor(_)))
    }

    /// Arithmetic on run-time extents.
    fn fold_dims(&mut self, op: BinaryOp, left: &Value, right: &Value, span: Span) -> Lowered<Option<Value>> {
        let (Some(a), Some(b)) = (as_dim(left), as_dim(right)) else { return Ok(None) };
        let result = match op {
            BinaryOp::Add => a.add(&b),
            BinaryOp::Subtract => a.sub(&b),
            BinaryOp::Multiply => a.mul(&b),
            BinaryOp::Divide => match a.div_exact(&b) {
                Some(dim) => Some(dim),
                None => return Ok(None),
            },
            BinaryOp::FloorDivide if b.as_known().is_some_and(|divisor| divisor > 0) => {
                a.div_floor(b.as_known().unwrap_or(1))
            }
            BinaryOp::Remainder if a.div_exact(&b).is_some() => Some(Dim::known(0)),
            BinaryOp::Equal if a == b => return Ok(Some(Value::Bool(true))),
            BinaryOp::NotEqual if a == b => return Ok(Some(Value::Bool(false))),
            _ => {
                return Err(self.error(
                    Code::E0305,
                    span,
                    format!("`{}` of `{a}` and `{b}` is not known at compile time", op.symbol()),
                    "run-time dims can be added, subtracted and multiplied",
                ));
            }
        };
        match result {
            Some(dim) => Ok(Some(Value::dim(&dim))),
            None => Err(self.error(Code::E0701, span, "this extent is beyond the limits", "too large")),
        }
    }
}

fn as_dim(value: &Value) -> Option<Dim> {
    match value {
        Value::Dim(dim) => Some(dim.clone()),
        Value::Number { value, is_integer: true } => {
            // Negative numbers enter by subtraction from zero.
            let magnitude = Dim::known(value.abs() as usize);
            if *value < 0.0 { Dim::known(0).sub(&magnitude) } else { Some(magnitude) }
        }
        _ => None,
    }
}

/// What is left of `a` after whole multiples of `b`, with the sign of `b`.
pub(super) fn floored_remainder(a: f64, b: f64) -> f64 {
    let rest = a % b;
    if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
}

fn fold_numbers(op: BinaryOp, a: f64, b: f64, integers: bool) -> Option<Value> {
    let number = |value: f64| Value::Number { value, is_integer: integers && value.fract() == 0.0 };
    Some(match op {
        BinaryOp::Add => number(a + b),
        BinaryOp::Subtract => number(a - b),
        BinaryOp::Multiply => number(a * b),
        BinaryOp::Divide => number(a / b),
        BinaryOp::FloorDivide => number((a / b).floor()),
        BinaryOp::Remainder => number(floored_remainder(a, b)),
        BinaryOp::Power => number(a.powf(b)),
        BinaryOp::Equal => Value::Bool(a == b),
        BinaryOp::NotEqual => Value::Bool(a != b),
        BinaryOp::Less => Value::Bool(a < b),
        BinaryOp::LessEqual => Value::Bool(a <= b),
        BinaryOp::Greater => Value::Bool(a > b),
        BinaryOp::GreaterEqual => Value::Bool(a >= b),
        BinaryOp::And | BinaryOp::Or | BinaryOp::MatMul => return None,
    })
}

/// Whether two compile-time values are the same; `None` when that is not decided at compile time.
fn same(left: &Value, right: &Value) -> Option<bool> {
    Some(match (left, right) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number { value: a, .. }, Value::Number { value: b, .. }) => a == b,
        (Value::Dim(a), Value::Dim(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).map(|(a, b)| same(a, b)).collect::<Option<Vec<_>>>()?.into_iter().all(|same| same)
        }
        (Value::Definition(a), Value::Definition(b)) => std::sync::Arc::ptr_eq(a, b),
        (Value::Builtin(a), Value::Builtin(b)) => a.name == b.name,
        (Value::Instance(a), Value::Instance(b)) => std::sync::Arc::ptr_eq(a, b),
        (Value::Partial(a), Value::Partial(b)) => std::sync::Arc::ptr_eq(a, b),
        (Value::None, Value::None) => true,
        (Value::Tensor(_) | Value::Group(_) | Value::Poison, _)
        | (_, Value::Tensor(_) | Value::Group(_) | Value::Poison) => return None,
        // Two of different kinds.
        (
            Value::Text(_)
            | Value::Bool(_)
            | Value::Number { .. }
            | Value::Dim(_)
            | Value::List(_)
            | Value::Definition(_)
            | Value::Builtin(_)
            | Value::Instance(_)
            | Value::Partial(_)
            | Value::None,
            _,
        ) => false,
    })
}
