//! Operators: compile-time arithmetic, and element-wise ops on tensors with the language's alignment rule.
//!
//! Shapes of element-wise operands are equal; or one is a scalar; or they align at the trailing axes, where an operand
//! may have fewer axes, and an extent of 1 aligns with any. Where two of different rank would align without that 1, it was
//! left over: `[batch, 1]` against `[batch]` is an error and never a `[batch, batch]` matrix.

use super::Lowered;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, Shape, TensorType, show_shape};
use crate::ops::{self, Broadcast, Op, Reshape};
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

    /// Arithmetic on compile-time values; `None` when a tensor takes part.
    fn fold(&mut self, op: BinaryOp, left: &Value, right: &Value, span: Span) -> Lowered<Option<Value>> {
        match (left, right) {
            (Value::Number { value: a, is_integer: i }, Value::Number { value: b, is_integer: j }) => {
                Ok(fold_numbers(op, *a, *b, *i && *j))
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

    /// Operands as tensors of one shape and element type.
    pub(super) fn align(
        &mut self,
        frame: &Frame,
        verb: &str,
        operands: Vec<(Value, Span)>,
        span: Span,
    ) -> Lowered<Vec<TensorValue>> {
        let integers =
            operands.iter().any(|(value, _)| matches!(value, Value::Tensor(t) if self.ty(*t).dtype == DType::I32));
        let is_float = |value: &Value| match value {
            Value::Tensor(tensor) => self.ty(*tensor).is_float(),
            Value::Number { is_integer, .. } => !is_integer,
            _ => false,
        };
        let floats = operands.iter().any(|(value, _)| is_float(value));
        let mut tensors = Vec::with_capacity(operands.len());
        for (value, at) in operands {
            // An int beside tensors of ints is one of them, and so is a list of ints.
            let wanted = if integers && !floats { DType::I32 } else { DType::F32 };
            let mut tensor = self.to_tensor_of(frame, value, wanted, at)?;
            // One int beside floats, such as the clock, is a float.
            if floats && self.ty(tensor).dtype == DType::I32 && self.ty(tensor).is_scalar() {
                tensor = self.add(frame, at, ops::Cast { to: DType::F32 }, &[tensor])?;
            }
            tensors.push((tensor, at));
        }
        let mut shape: Shape = self.ty(tensors[0].0).shape.clone();
        for i in 1..tensors.len() {
            let other = self.ty(tensors[i].0).shape.clone();
            match aligned_shape(&shape, &other) {
                Some(result) => shape = result,
                None => return Err(self.shape_mismatch(verb, tensors[i - 1], tensors[i], span)),
            }
        }
        tensors.into_iter().map(|(tensor, at)| self.expand(frame, tensor, &shape, at)).collect()
    }

    fn shape_mismatch(
        &mut self,
        verb: &str,
        left: (TensorValue, Span),
        right: (TensorValue, Span),
        span: Span,
    ) -> super::Reported {
        let (a, b) = (self.ty(left.0).clone(), self.ty(right.0).clone());
        let mut finding = Diagnostic::error(
            Code::E0301,
            format!("cannot {verb} {} and {}", self.graphs.shape_text(left.0), self.graphs.shape_text(right.0)),
        )
        .at(span, "these shapes do not align")
        .with_label(left.1, a.to_string())
        .with_label(right.1, b.to_string());
        let (long, short) = if a.rank() > b.rank() { (&a, &b) } else { (&b, &a) };
        if long.rank() == short.rank() + 1 && long.shape.last().is_some_and(Dim::is_one) {
            finding = finding
                .with_note("shapes align at their trailing axes, where a 1 aligns with any extent")
                .with_help(format!(
                    "say which is meant: `[..., 0]` after {} drops its axis of extent 1, `[..., none]` after {} adds one",
                    show_shape(&long.shape),
                    show_shape(&short.shape)
                ));
        } else if a.rank() != b.rank() {
            finding = finding.with_note("shapes align at their trailing axes, where a 1 aligns with any extent");
        }
        self.report(finding)
    }

    /// A tensor repeated to a shape it aligns with.
    fn expand(&mut self, frame: &Frame, tensor: TensorValue, shape: &Shape, span: Span) -> Lowered<TensorValue> {
        let from = self.ty(tensor).shape.clone();
        if from == *shape {
            return Ok(tensor);
        }
        if let Op::Constant(constant) = self.current().op(tensor.node) {
            let (value, ty) = (constant.value.0, TensorType::new(constant.ty.dtype, shape.clone()));
            return Ok(self.constant(frame, span, value, &ty));
        }
        let offset = shape.len() - from.len();
        let axes: Vec<usize> = (0..from.len()).filter(|i| from[*i] == shape[i + offset]).map(|i| i + offset).collect();
        let kept: Shape = axes.iter().map(|axis| shape[*axis].clone()).collect();
        let squeezed =
            if kept.len() == from.len() { tensor } else { self.add(frame, span, Reshape { shape: kept }, &[tensor])? };
        self.add(frame, span, Broadcast { shape: shape.clone(), axes }, &[squeezed])
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

    /// `x @ y`: products over the last axis of `x` and the first (for a batch of matrices the second-last) of `y`.
    fn matmul(&mut self, frame: &Frame, left: (Value, Span), right: (Value, Span), span: Span) -> Lowered<TensorValue> {
        let x = self.to_tensor(frame, left.0, left.1)?;
        let y = self.to_tensor(frame, right.0, right.1)?;
        let (x_ty, y_ty) = (self.ty(x).clone(), self.ty(y).clone());
        if x_ty.rank() > 2 && y_ty.rank() == 2 {
            // Leading axes of x are rows alike.
            let rows = crate::ir::element_count(&x_ty.shape[..x_ty.rank() - 1]);
            let (Some(rows), Some(inner)) = (rows, x_ty.shape.last()) else {
                return Err(self.error(Code::E0701, span, "the product has too many rows", "too large"));
            };
            let flat = self.add(frame, left.1, Reshape { shape: vec![rows, inner.clone()] }, &[x])?;
            if *inner != y_ty.shape[0] {
                return Err(self.matmul_mismatch(&x_ty, &y_ty, left.1, right.1, span));
            }
            let product = self.add(frame, span, ops::MatMul::default(), &[flat, y])?;
            let mut shape = x_ty.shape[..x_ty.rank() - 1].to_vec();
            shape.push(y_ty.shape[1].clone());
            return self.add(frame, span, Reshape { shape }, &[product]);
        }
        let rank = x_ty.rank();
        if rank < 2
            || y_ty.rank() != rank
            || x_ty.shape[..rank - 2] != y_ty.shape[..rank - 2]
            || x_ty.shape[rank - 1] != y_ty.shape[rank - 2]
        {
            return Err(self.matmul_mismatch(&x_ty, &y_ty, left.1, right.1, span));
        }
        self.add(frame, span, ops::MatMul::default(), &[x, y])
    }

    fn matmul_mismatch(
        &mut self,
        x: &TensorType,
        y: &TensorType,
        left: Span,
        right: Span,
        span: Span,
    ) -> super::Reported {
        self.report(
            Diagnostic::error(
                Code::E0301,
                format!("cannot multiply matrices {} and {}", show_shape(&x.shape), show_shape(&y.shape)),
            )
            .at(span, "`@` contracts the last axis of the left side with the first of the right side's matrix")
            .with_label(left, x.to_string())
            .with_label(right, y.to_string()),
        )
    }
}

/// The common shape of two operands, by the alignment rule.
fn aligned_shape(a: &[Dim], b: &[Dim]) -> Option<Shape> {
    if a.is_empty() || b.is_empty() {
        return Some(if a.is_empty() { b.to_vec() } else { a.to_vec() });
    }
    let (long, short) = if a.len() >= b.len() { (a, b) } else { (b, a) };
    let offset = long.len() - short.len();
    let mut shape = long.to_vec();
    let mut grown = Vec::new();
    for (axis, dim) in (offset..).zip(short) {
        if *dim == long[axis] || dim.is_one() {
            continue;
        }
        if !long[axis].is_one() {
            return None;
        }
        shape[axis] = dim.clone();
        grown.push(axis);
    }
    // Where the two align without the written 1, it was left over: `[batch, 1]` against `[batch]`.
    let kept: Vec<&Dim> = (0..long.len()).filter(|axis| !grown.contains(axis)).map(|axis| &long[axis]).collect();
    let fits = |(dim, other): (&Dim, &&Dim)| dim == *other || dim.is_one();
    let is_left_over = offset > 0
        && !grown.is_empty()
        && kept.len() >= short.len()
        && short.iter().rev().zip(kept.iter().rev()).all(fits);
    if is_left_over { None } else { Some(shape) }
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

#[cfg(test)]
mod tests {
    use super::{Dim, aligned_shape};
    use crate::ir::show_shape;
    use proptest::prelude::*;

    fn dim(text: &str) -> Dim {
        match text {
            "batch" => Dim::batch(),
            text => text.parse().map_or_else(|_| Dim::symbol(text), Dim::known),
        }
    }

    fn shape(text: &str) -> Vec<Dim> {
        text.split_whitespace().map(dim).collect()
    }

    #[test]
    fn shapes_align_at_trailing_axes_and_by_ones() {
        for (a, b, wanted) in [
            ("batch 3", "3", Some("batch 3")),
            ("batch 3", "", Some("batch 3")),
            ("batch 3", "1 3", Some("batch 3")),
            ("batch 4 4 3", "1 1 3", Some("batch 4 4 3")),
            ("batch 1", "1 batch", Some("batch batch")),
            ("batch T 1", "3", Some("batch T 3")),
            ("batch T 1", "1 3", Some("batch T 3")),
            ("batch 3", "4", None),
            ("batch 1", "batch", None),
            ("4 1", "4", None),
            ("batch T 1", "T", None),
            ("batch 3 1", "batch 3", None),
            ("batch T", "batch", None),
        ] {
            let found = aligned_shape(&shape(a), &shape(b));
            assert_eq!(
                found.as_deref().map(show_shape),
                wanted.map(|text| show_shape(&shape(text))),
                "[{a}] and [{b}]"
            );
        }
    }

    proptest! {
        /// Whatever aligns does so either way round, and as NumPy says.
        #[test]
        fn alignment_is_that_of_numpy_or_none(a in shapes(), b in shapes()) {
            let (one, other) = (aligned_shape(&a, &b), aligned_shape(&b, &a));
            prop_assert_eq!(&one, &other);
            if let Some(found) = one {
                prop_assert_eq!(found.len(), a.len().max(b.len()));
                for at in 0..found.len() {
                    let of = |shape: &[Dim]| shape.iter().rev().nth(at).cloned().unwrap_or(Dim::known(1));
                    let (x, y, z) = (of(&a), of(&b), of(&found));
                    let wanted = if x.is_one() { &y } else { &x };
                    prop_assert_eq!(&z, wanted);
                    prop_assert!(x == y || x.is_one() || y.is_one());
                }
            }
        }
    }

    fn shapes() -> impl Strategy<Value = Vec<Dim>> {
        proptest::collection::vec(prop_oneof![Just("batch"), Just("T"), Just("1"), Just("3")].prop_map(dim), 0..4)
    }
}
