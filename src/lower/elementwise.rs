//! Operators on tensors, element by element. Operands are aligned (`align`); what is known at compile time is folded (`fold`).

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Value};
use crate::diag::Span;
use crate::ir::DType;
use crate::ops::{self, Op};
use crate::syntax::ast::BinaryOp;

impl Emitter<'_> {
    pub(super) fn binary(
        &mut self,
        frame: &Frame,
        op: BinaryOp,
        left: (Value, Span),
        right: (Value, Span),
        span: Span,
    ) -> Lowered<Value> {
        if matches!(left.0, Value::Group(_)) || matches!(right.0, Value::Group(_)) {
            return self.binary_each(frame, op, left, right, span);
        }
        if let Some(folded) = self.fold(op, &left.0, &right.0, span)? {
            return Ok(folded);
        }
        // What the closed set of ops lacks is written by it: `a > b` is `b < a`, `a != b` is `not (a == b)`.
        let (primitive, is_swapped, is_negated): (Op, bool, bool) = match op {
            BinaryOp::MatMul => return self.matmul(frame, left, right, span).map(Value::Tensor),
            BinaryOp::Power => return self.power(frame, left, right, span).map(Value::Tensor),
            BinaryOp::FloorDivide => return self.floor_divide(frame, left, right, span).map(Value::Tensor),
            BinaryOp::Add => (ops::Add.into(), false, false),
            BinaryOp::Subtract => (ops::Sub.into(), false, false),
            BinaryOp::Multiply => (ops::Mul.into(), false, false),
            BinaryOp::Divide => (ops::Div.into(), false, false),
            BinaryOp::Remainder => (ops::Rem.into(), false, false),
            BinaryOp::Less => (ops::Less.into(), false, false),
            BinaryOp::LessEqual => (ops::LessEqual.into(), false, false),
            BinaryOp::Greater => (ops::Less.into(), true, false),
            BinaryOp::GreaterEqual => (ops::LessEqual.into(), true, false),
            BinaryOp::Equal => (ops::Equal.into(), false, false),
            BinaryOp::NotEqual => (ops::Equal.into(), false, true),
            BinaryOp::And => (ops::And.into(), false, false),
            BinaryOp::Or => (ops::Or.into(), false, false),
        };
        let mut aligned = self.align(frame, verb(op), vec![left, right], span)?;
        if is_swapped {
            aligned.reverse();
        }
        let mut tensor = self.add(frame, span, primitive, &aligned)?;
        if is_negated {
            tensor = self.add(frame, span, ops::Not, &[tensor])?;
        }
        Ok(Value::Tensor(tensor))
    }

    fn power(
        &mut self,
        frame: &Frame,
        base: (Value, Span),
        exponent: (Value, Span),
        span: Span,
    ) -> Lowered<TensorValue> {
        if let Value::Number { value, .. } = exponent.0 {
            let x = self.to_tensor(frame, base.0.clone(), base.1)?;
            if self.ty(x).is_float() {
                // The special cases are exact and have simpler derivatives.
                if value == 1.0 {
                    return Ok(x);
                } else if value == 2.0 {
                    return self.add(frame, span, ops::Mul, &[x, x]);
                } else if value == 0.5 {
                    return self.add(frame, span, ops::Sqrt, &[x]);
                }
            }
        }
        let aligned = self.align(frame, "raise", vec![base, exponent], span)?;
        self.add(frame, span, ops::Pow, &aligned)
    }

    /// `x // y`: the quotient rounded down. The quotient of ints is rounded towards zero, one too high where the remainder
    /// has not the sign of the divisor.
    fn floor_divide(
        &mut self,
        frame: &Frame,
        left: (Value, Span),
        right: (Value, Span),
        span: Span,
    ) -> Lowered<TensorValue> {
        let aligned = self.align(frame, verb(BinaryOp::FloorDivide), vec![left, right], span)?;
        let quotient = self.add(frame, span, ops::Div, &aligned)?;
        if self.ty(quotient).is_float() {
            return self.add(frame, span, ops::Floor, &[quotient]);
        }
        let product = self.add(frame, span, ops::Mul, &[quotient, aligned[1]])?;
        let rest = self.add(frame, span, ops::Sub, &[aligned[0], product])?;
        let floored = self.add(frame, span, ops::Rem, &aligned)?;
        let is_exact = self.add(frame, span, ops::Equal, &[rest, floored])?;
        let is_rounded_up = self.add(frame, span, ops::Not, &[is_exact])?;
        let one_where_too_high = self.add(frame, span, ops::Cast { to: DType::I32 }, &[is_rounded_up])?;
        self.add(frame, span, ops::Sub, &[quotient, one_where_too_high])
    }
}

fn verb(op: BinaryOp) -> &'static str {
    match op {
        BinaryOp::Add => "add",
        BinaryOp::Subtract => "subtract",
        BinaryOp::Multiply => "multiply",
        BinaryOp::Divide | BinaryOp::FloorDivide => "divide",
        BinaryOp::Remainder => "take the remainder of",
        BinaryOp::Power => "raise",
        BinaryOp::MatMul => "multiply matrices",
        BinaryOp::And | BinaryOp::Or => "combine",
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::Less
        | BinaryOp::LessEqual
        | BinaryOp::Greater
        | BinaryOp::GreaterEqual => "compare",
    }
}
