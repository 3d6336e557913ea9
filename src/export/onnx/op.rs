//! A row for each op: the match has no other arm, so that an op without one does not compile.

use super::scope::{Refused, Value};
use super::{Constant, Elements, Lowering};
use crate::ir::{DType, TensorType};
use crate::ops::{InputKind, Op};
use std::sync::Arc;

type Lowered = Result<Value, Refused>;

impl Lowering<'_> {
    /// The value of a node. `ports` are what a loop hands to the body that the node stands in.
    pub(super) fn op(&mut self, op: &Op, name: &str, operands: &[Value], ty: &TensorType, ports: &[Value]) -> Lowered {
        let none = |why: &str| Err(Refused(format!("{} {why}", op.name())));
        match op {
            Op::Input(leaf) => match leaf.kind {
                InputKind::Port(port) => Ok(ports[port].clone()),
                InputKind::Input => Ok(whole(name, ty)),
                InputKind::Target => none("reads a target"),
                kind => self.stored(kind, name, ty),
            },
            Op::Constant(constant) => {
                let name = self.scopes.number(constant.value.0, ty.dtype);
                Ok(Value { name, ty: ty.clone(), is_whole: ty.is_scalar(), layout: Vec::new(), constant: None })
            }
            Op::Size(size) => {
                let size = self.scopes.size(&size.dim)?;
                let size = self.scopes.node("Squeeze", &[&size], &[]);
                Ok(whole(&self.scopes.cast_to(&size, DType::F32), ty))
            }
            Op::Iota(iota) => self.iota(iota.axis, ty),
            Op::Random(_) => none("draws random numbers, which runtimes draw in ways of their own"),

            Op::Neg(_) => self.elementwise("Neg", operands, ty),
            Op::Abs(_) => self.elementwise("Abs", operands, ty),
            Op::Sign(_) => self.elementwise("Sign", operands, ty),
            Op::Exp(_) => self.elementwise("Exp", operands, ty),
            Op::Expm1(_) => self.expm1(operands, ty),
            Op::Log(_) => self.elementwise("Log", operands, ty),
            Op::Log1p(_) => self.log1p(operands, ty),
            Op::Sqrt(_) => self.elementwise("Sqrt", operands, ty),
            Op::Rsqrt(_) => {
                let root = self.elementwise("Sqrt", operands, ty)?;
                self.elementwise("Reciprocal", &[root], ty)
            }
            Op::Sin(_) => self.elementwise("Sin", operands, ty),
            Op::Cos(_) => self.elementwise("Cos", operands, ty),
            Op::Tan(_) => self.elementwise("Tan", operands, ty),
            Op::Asin(_) => self.elementwise("Asin", operands, ty),
            Op::Acos(_) => self.elementwise("Acos", operands, ty),
            Op::Atan(_) => self.elementwise("Atan", operands, ty),
            Op::Sinh(_) => self.elementwise("Sinh", operands, ty),
            Op::Cosh(_) => self.elementwise("Cosh", operands, ty),
            Op::Tanh(_) => self.elementwise("Tanh", operands, ty),
            Op::Asinh(_) => self.elementwise("Asinh", operands, ty),
            Op::Acosh(_) => self.elementwise("Acosh", operands, ty),
            Op::Atanh(_) => self.elementwise("Atanh", operands, ty),
            Op::Sigmoid(_) => self.elementwise("Sigmoid", operands, ty),
            Op::Softplus(_) => self.elementwise("Softplus", operands, ty),
            Op::Erf(_) => self.elementwise("Erf", operands, ty),
            Op::Floor(_) => self.elementwise("Floor", operands, ty),
            Op::Ceil(_) => self.elementwise("Ceil", operands, ty),
            Op::Round(_) => self.elementwise("Round", operands, ty),
            Op::Add(_) => self.elementwise("Add", operands, ty),
            Op::Sub(_) => self.elementwise("Sub", operands, ty),
            Op::Mul(_) => self.elementwise("Mul", operands, ty),
            Op::Div(_) => self.quotient(operands, ty),
            Op::Rem(_) => self.remainder(operands, ty),
            Op::Pow(_) => self.elementwise("Pow", operands, ty),
            Op::Max(_) => self.elementwise("Max", operands, ty),
            Op::Min(_) => self.elementwise("Min", operands, ty),
            Op::Atan2(_) => self.atan2(operands, ty),
            Op::LogGamma(_) | Op::Polygamma(_) | Op::ErfInverse(_) => none("is no operator of ONNX"),
            Op::Less(_) => self.compare("Less", operands, ty),
            Op::LessEqual(_) => self.compare("LessOrEqual", operands, ty),
            Op::Equal(_) => self.compare("Equal", operands, ty),
            Op::IsNan(_) => self.elementwise("IsNaN", operands, ty),
            Op::And(_) => self.elementwise("And", operands, ty),
            Op::Or(_) => self.elementwise("Or", operands, ty),
            Op::Not(_) => self.elementwise("Not", operands, ty),
            Op::Select(_) => self.select(operands, ty),
            Op::Cast(_) => self.cast(&operands[0], ty),

            Op::MatMul(op) => self.matmul(op, operands, ty),
            Op::Convolution(op) => self.convolution(&op.attributes, operands, ty),
            Op::ConvolutionInputGradient(op) => self.convolution_transpose(&op.attributes, operands, ty),
            Op::ConvolutionKernelGradient(_) => none("is part of a derivative"),
            Op::MaxPool(op) => self.pool("MaxPool", &op.attributes, operands, ty),
            Op::MaxPoolScatter(_) | Op::MaxPoolSelect(_) => none("is part of a derivative"),
            Op::AveragePool(op) => self.pool("AveragePool", &op.attributes, operands, ty),
            Op::AveragePoolScatter(_) => none("is part of a derivative"),

            Op::Sum(op) => self.reduce("ReduceSum", &op.axes, operands, ty),
            Op::Product(op) => self.reduce("ReduceProd", &op.axes, operands, ty),
            Op::MaxReduce(op) => self.reduce("ReduceMax", &op.axes, operands, ty),
            Op::LogSumExp(op) => self.reduce("ReduceLogSumExp", &op.axes, operands, ty),
            Op::ArgMax(op) => self.argmax(op.axis, operands, ty),
            Op::CumulativeSum(op) => self.cumulative_sum(op, operands, ty),
            Op::LinearRecurrence(op) => self.linear_recurrence(op, operands, ty),
            Op::Softmax(op) => self.along("Softmax", op.axis, operands, ty),
            Op::LogSoftmax(op) => self.along("LogSoftmax", op.axis, operands, ty),
            Op::Sort(op) => Ok(self.sorted(op.axis, op.descending, operands, ty)?.0),
            Op::ArgSort(op) => Ok(self.sorted(op.axis, op.descending, operands, ty)?.1),

            Op::Reshape(op) => {
                let x = self.scopes.plain(&operands[0])?;
                Ok(whole(&self.scopes.reshape(&x, &op.shape)?, ty))
            }
            Op::Transpose(op) => Ok(transposed(&operands[0], &op.permutation, ty)),
            Op::Broadcast(op) => self.broadcast(op, operands, ty),
            Op::Concat(op) => self.concat(op.axis, operands, ty),
            Op::Slice(op) => self.slice(op, operands, ty),
            Op::Pad(op) => self.pad(op, operands, ty),
            Op::Reverse(op) => self.reverse(&op.axes, operands, ty),
            Op::Gather(op) => self.gather(op.fill.0, operands, ty),
            Op::ScatterAdd(op) => self.scatter_add(&op.rows, operands, ty),
            Op::TakeAlong(op) => self.take_along(op.axis, op.fill.0, operands, ty),
            Op::PutAlong(op) => self.put_along(op.axis, &op.extent, operands, ty),
            // Loops are lowered with the nodes that share them.
            Op::Scan(_) => none("stands alone"),
            Op::Cholesky(_)
            | Op::TriangularSolve(_)
            | Op::Orthonormal(_)
            | Op::Solve(_)
            | Op::Eigh(_)
            | Op::Pinv(_)
            | Op::SimplexQp(_)
            | Op::NonnegQp(_) => none("is no operator of ONNX"),
            // Training and prediction are told apart, and derivatives written out, before a program is saved.
            Op::ByMode(_) => Ok(operands[crate::ops::ByMode::PREDICTION].clone()),
            Op::StopGradient(_) => Ok(operands[0].clone()),
            Op::Directed(_) => Ok(operands[crate::ops::Directed::VALUE].clone()),
            Op::Gradient(_) => none("is a derivative that was not written out"),
        }
    }

    /// A param, state or number of the clock.
    fn stored(&mut self, kind: InputKind, name: &str, ty: &TensorType) -> Lowered {
        let found = (self.source.stored)(kind, name);
        let constant = found.ok_or_else(|| Refused(format!("nothing is stored for the {} `{name}`", kind.as_str())))?;
        let name = match kind {
            InputKind::Param | InputKind::State => format!("{}/{name}", kind.as_str()),
            _ => format!("{}/{kind:?}", kind.as_str()),
        };
        self.scopes.stored(&name, &constant);
        Ok(Value { constant: Some(Arc::new(constant)), ..whole(&name, ty) })
    }

    /// Positions along an axis, repeated along the others.
    fn iota(&mut self, axis: usize, ty: &TensorType) -> Lowered {
        let (zero, one) = (self.scopes.index(0), self.scopes.index(1));
        let extent = self.scopes.size(&ty.shape[axis])?;
        let extent = self.scopes.node("Squeeze", &[&extent], &[]);
        let positions = self.scopes.node("Range", &[&zero, &extent, &one], &[]);
        let mut positions = self.scopes.cast_to(&positions, ty.dtype);
        let rank = ty.rank();
        if rank > 1 {
            let shape: Vec<i64> = (0..rank).map(|at| if at == axis { -1 } else { 1 }).collect();
            let shape = self.scopes.indices(&shape);
            positions = self.scopes.node("Reshape", &[&positions, &shape], &[]);
        }
        Ok(Value { is_whole: rank == 1, ..whole(&positions, ty) })
    }
}

/// A tensor of the shape of its type.
pub(super) fn whole(name: &str, ty: &TensorType) -> Value {
    Value { name: name.to_string(), ty: ty.clone(), is_whole: true, layout: (0..ty.rank()).collect(), constant: None }
}

/// A transposition is another layout of the same tensor: axis `i` of the result is axis `permutation[i]` of `x`.
fn transposed(x: &Value, permutation: &[usize], ty: &TensorType) -> Value {
    let place = |axis: &usize| permutation.iter().position(|from| from == axis).unwrap_or(0);
    Value { layout: x.layout.iter().map(place).collect(), ty: ty.clone(), ..x.clone() }
}

impl Constant {
    /// One number of the clock.
    pub fn int(value: i32) -> Self {
        Self { shape: Vec::new(), elements: Elements::Int(vec![value]) }
    }
}
