//! Operators of elements, and those that ONNX lacks made of those that it has.

use super::Lowering;
use super::scope::{Refused, Value};
use crate::ir::{DType, TensorType};

type Lowered = Result<Value, Refused>;

impl Lowering<'_> {
    /// An operator of elements, in the layout that its operands have where they agree. Operands that repeat stay small.
    pub(super) fn elementwise(&mut self, op: &'static str, operands: &[Value], ty: &TensorType) -> Lowered {
        let (tensors, result) = self.elementwise_operands(operands, ty)?;
        let tensors: Vec<&str> = tensors.iter().map(String::as_str).collect();
        let name = self.scopes.node(op, &tensors, &[]);
        Ok(Value { name, ..result })
    }

    /// The tensors of operands in one layout, and what an operator of their elements gives, without its name.
    fn elementwise_operands(&mut self, operands: &[Value], ty: &TensorType) -> Result<(Vec<String>, Value), Refused> {
        let whole: Vec<&Value> = operands.iter().filter(|operand| operand.is_whole).collect();
        let layout = match whole.first() {
            Some(first) if whole.iter().all(|other| other.layout == first.layout) => first.layout.clone(),
            Some(_) => (0..ty.rank()).collect(),
            // All repeat: so does the result.
            None => {
                let layouts = operands.iter().map(|operand| &operand.layout);
                layouts.max_by_key(|layout| layout.len()).cloned().unwrap_or_default()
            }
        };
        let tensors = operands.iter().map(|operand| self.scopes.tensor(operand, &layout, false));
        let tensors: Vec<String> = tensors.collect::<Result<_, _>>()?;
        let is_whole = !whole.is_empty() || ty.is_scalar();
        Ok((tensors, Value { name: String::new(), ty: ty.clone(), is_whole, layout, constant: None }))
    }

    /// A number that repeats.
    fn number(&mut self, value: f64, ty: &TensorType) -> Value {
        let name = self.scopes.number(value, ty.dtype);
        Value { name, ty: ty.clone(), is_whole: ty.is_scalar(), layout: Vec::new(), constant: None }
    }

    fn bools(ty: &TensorType) -> TensorType {
        TensorType::new(DType::Bool, ty.shape.clone())
    }

    fn choose(&mut self, mask: Value, then: Value, otherwise: Value, ty: &TensorType) -> Lowered {
        self.elementwise("Where", &[mask, then, otherwise], ty)
    }

    fn binary(&mut self, op: &'static str, x: &Value, y: &Value, ty: &TensorType) -> Lowered {
        self.elementwise(op, &[x.clone(), y.clone()], ty)
    }

    fn unary(&mut self, op: &'static str, x: &Value, ty: &TensorType) -> Lowered {
        self.elementwise(op, std::slice::from_ref(x), ty)
    }

    fn is(&mut self, op: &'static str, x: &Value, y: &Value) -> Lowered {
        let bools = Self::bools(&x.ty);
        self.binary(op, x, y, &bools)
    }

    /// `|x| < 1`
    fn is_small(&mut self, x: &Value, one: &Value) -> Lowered {
        let size = self.unary("Abs", x, &x.ty)?;
        self.is("Less", &size, one)
    }

    /// `e^x - 1`: near 0 by `2 t / (1 - t)` with `t = tanh(x / 2)`, which keeps its digits.
    pub(super) fn expm1(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = &operands[0];
        let (half, one, two) = (self.number(0.5, ty), self.number(1.0, ty), self.number(2.0, ty));
        let halved = self.binary("Mul", x, &half, ty)?;
        let tanh = self.unary("Tanh", &halved, ty)?;
        let (twice, rest) = (self.binary("Mul", &tanh, &two, ty)?, self.binary("Sub", &one, &tanh, ty)?);
        let near = self.binary("Div", &twice, &rest, ty)?;
        let power = self.unary("Exp", x, ty)?;
        let far = self.binary("Sub", &power, &one, ty)?;
        let mask = self.is_small(x, &one)?;
        self.choose(mask, near, far, ty)
    }

    /// `ln(1 + x)`: near 0 by `x ln(u) / (u - 1)` with `u = 1 + x` as it is rounded (Kahan).
    pub(super) fn log1p(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let x = &operands[0];
        let one = self.number(1.0, ty);
        let sum = self.binary("Add", x, &one, ty)?;
        let log = self.unary("Log", &sum, ty)?;
        let rounded = self.binary("Sub", &sum, &one, ty)?;
        let scaled = self.binary("Mul", x, &log, ty)?;
        let quotient = self.binary("Div", &scaled, &rounded, ty)?;
        let zero = self.number(0.0, ty);
        let is_lost = self.is("Equal", &rounded, &zero)?;
        let near = self.choose(is_lost, x.clone(), quotient, ty)?;
        let mask = self.is_small(x, &one)?;
        self.choose(mask, near, log, ty)
    }

    /// A divisor of integers that no machine stops at, and where the quotient is 0.
    fn safe(&mut self, x: &Value, y: &Value) -> Result<(Value, Value), Refused> {
        let (zero, one) = (self.number(0.0, &y.ty), self.number(1.0, &y.ty));
        let (least, minus) = (self.number(f64::from(i32::MIN), &x.ty), self.number(-1.0, &y.ty));
        let is_zero = self.is("Equal", y, &zero)?;
        let (is_least, is_minus) = (self.is("Equal", x, &least)?, self.is("Equal", y, &minus)?);
        let bools = Self::bools(&x.ty);
        let overflows = self.binary("And", &is_least, &is_minus, &bools)?;
        let is_bad = self.binary("Or", &is_zero, &overflows, &bools)?;
        Ok((self.choose(is_bad.clone(), one, y.clone(), &y.ty)?, is_bad))
    }

    /// `x / y`; of integers cut off towards 0, and 0 where there is none.
    pub(super) fn quotient(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let [x, y] = operands else { return Err(Refused("div of other than two operands".to_string())) };
        if ty.dtype != DType::I32 {
            return self.binary("Div", x, y, ty);
        }
        let (divisor, is_bad) = self.safe(x, y)?;
        let quotient = self.binary("Div", x, &divisor, ty)?;
        let zero = self.number(0.0, ty);
        self.choose(is_bad, zero, quotient, ty)
    }

    /// The floored modulo.
    pub(super) fn remainder(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let [x, y] = operands else { return Err(Refused("rem of other than two operands".to_string())) };
        let zero = self.number(0.0, ty);
        if ty.dtype == DType::I32 {
            let (divisor, is_bad) = self.safe(x, y)?;
            let rest = self.binary("Mod", x, &divisor, ty)?;
            return self.choose(is_bad, zero, rest, ty);
        }
        // `Mod` of floats has C's sign, that of x.
        let truncated = self.with_attribute("Mod", ("fmod", 1), &[x.clone(), y.clone()], ty)?;
        let moved = self.binary("Add", &truncated, y, ty)?;
        let (rest_sign, divisor_sign) = (self.is("Less", &truncated, &zero)?, self.is("Less", y, &zero)?);
        let bools = Self::bools(ty);
        let is_other = self.binary("Xor", &rest_sign, &divisor_sign, &bools)?;
        let is_zero = self.is("Equal", &truncated, &zero)?;
        let is_some = self.unary("Not", &is_zero, &bools)?;
        let mask = self.binary("And", &is_other, &is_some, &bools)?;
        self.choose(mask, moved, truncated, ty)
    }

    /// The angle of `(x, y)`, by quadrants.
    pub(super) fn atan2(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let [y, x] = operands else { return Err(Refused("atan2 of other than two operands".to_string())) };
        let (zero, pi) = (self.number(0.0, ty), self.number(std::f64::consts::PI, ty));
        let (up, down) = (self.number(std::f64::consts::FRAC_PI_2, ty), self.number(-std::f64::consts::FRAC_PI_2, ty));
        let slope = self.binary("Div", y, x, ty)?;
        let angle = self.unary("Atan", &slope, ty)?;
        let (raised, lowered) = (self.binary("Add", &angle, &pi, ty)?, self.binary("Sub", &angle, &pi, ty)?);
        let is_below = self.is("Less", y, &zero)?;
        let turned = self.choose(is_below.clone(), lowered, raised, ty)?;
        let is_left = self.is("Less", x, &zero)?;
        let angle = self.choose(is_left, turned, angle, ty)?;
        let is_above = self.is("Greater", y, &zero)?;
        let upright = self.choose(is_below, down, zero.clone(), ty)?;
        let upright = self.choose(is_above, up, upright, ty)?;
        let is_upright = self.is("Equal", x, &zero)?;
        self.choose(is_upright, upright, angle, ty)
    }

    /// A comparison; of bools as integers.
    pub(super) fn compare(&mut self, op: &'static str, operands: &[Value], ty: &TensorType) -> Lowered {
        let mut numbers = Vec::new();
        for operand in operands {
            if operand.ty.dtype == DType::Bool {
                numbers.push(self.cast(operand, &TensorType::new(DType::I32, operand.ty.shape.clone()))?);
            } else {
                numbers.push(operand.clone());
            }
        }
        self.elementwise(op, &numbers, ty)
    }

    /// One of two values by a mask; of bools by logic, as runtimes do not select them.
    pub(super) fn select(&mut self, operands: &[Value], ty: &TensorType) -> Lowered {
        let [mask, then, otherwise] = operands else { return Err(Refused("select of other than three".to_string())) };
        if ty.dtype != DType::Bool {
            return self.elementwise("Where", operands, ty);
        }
        let unmasked = self.unary("Not", mask, ty)?;
        let then = self.binary("And", mask, then, ty)?;
        let otherwise = self.binary("And", &unmasked, otherwise, ty)?;
        self.binary("Or", &then, &otherwise, ty)
    }

    /// Another element type; floats to integers saturate, and NaN gives 0, which ONNX leaves open.
    pub(super) fn cast(&mut self, x: &Value, ty: &TensorType) -> Lowered {
        let to = super::proto::element_type(ty.dtype);
        if (x.ty.dtype, ty.dtype) != (DType::F32, DType::I32) {
            return if x.ty.dtype == ty.dtype {
                Ok(x.clone())
            } else {
                self.with_attribute("Cast", ("to", to), std::slice::from_ref(x), ty)
            };
        }
        // The largest float below 2^31, so that every cast is one that all runtimes agree on.
        let (low, high) = (self.number(-2_147_483_648.0, &x.ty), self.number(2_147_483_520.0, &x.ty));
        let zero = self.number(0.0, &x.ty);
        let bools = Self::bools(&x.ty);
        let is_nan = self.unary("IsNaN", x, &bools)?;
        let known = self.choose(is_nan, zero, x.clone(), &x.ty)?;
        let above = self.binary("Max", &known, &low, &x.ty)?;
        let within = self.binary("Min", &above, &high, &x.ty)?;
        let cast = self.with_attribute("Cast", ("to", to), &[within], ty)?;
        let is_beyond = self.is("Greater", &known, &high)?;
        let most = self.number(f64::from(i32::MAX), ty);
        self.choose(is_beyond, most, cast, ty)
    }

    /// An operator of elements with an attribute.
    fn with_attribute(
        &mut self,
        op: &'static str,
        (attribute, value): (&'static str, i64),
        operands: &[Value],
        ty: &TensorType,
    ) -> Lowered {
        let like = self.elementwise_operands(operands, ty)?;
        let tensors: Vec<&str> = like.0.iter().map(String::as_str).collect();
        let name = self.scopes.node(op, &tensors, &[(attribute, super::proto::Attribute::Int(value))]);
        Ok(Value { name, ..like.1 })
    }
}
