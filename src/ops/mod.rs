//! The closed set of primitive ops: one file and one row in [`table!`] each.
//!
//! An op's file holds its attributes, shape rule, derivative rules, reference evaluation and documentation. The trait
//! [`Primitive`] has no defaults, so an op that lacks one does not compile. Layers, losses and optimizers are not ops:
//! they are written in the language over these (`src/std`).
//!
//! Derivative rules build nodes of the same set, so derivatives can be printed, simplified and differentiated again.

mod argmax;
mod argsort;
pub mod binary;
mod broadcast;
mod by_mode;
mod cast;
pub mod compare;
mod concat;
mod constant;
pub mod convolution;
mod cumulative_sum;
pub mod dense;
mod element;
mod gather;
mod gradient;
mod input;
mod iota;
mod is_nan;
mod linear_recurrence;
mod log_softmax;
mod log_sum_exp;
pub mod logic;
mod matmul;
mod max_reduce;
mod pad;
pub mod pooling;
mod product;
mod put_along;
mod random;
pub mod reference;
mod reshape;
mod reverse;
pub mod scan;
mod scatter_add;
mod select;
mod size;
mod slice;
mod softmax;
mod sort;
mod stop;
mod sum;
mod take_along;
mod tensor;
mod transpose;
pub mod unary;

pub use argmax::ArgMax;
pub use argsort::ArgSort;
pub use binary::{Add, Atan2, Div, Max, Min, Mul, Pow, Rem, Sub};
pub use broadcast::Broadcast;
pub use by_mode::ByMode;
pub use cast::Cast;
pub use compare::{Equal, Less, LessEqual};
pub use concat::Concat;
pub use constant::{Constant, Scalar};
pub use convolution::{Convolution, ConvolutionInputGradient, ConvolutionKernelGradient};
pub use cumulative_sum::CumulativeSum;
pub use dense::{NonnegQp, SimplexQp, Solve};
pub use element::Element;
pub use gather::Gather;
pub use gradient::Gradient;
pub use input::{Input, InputKind};
pub use iota::Iota;
pub use is_nan::IsNan;
pub use linear_recurrence::LinearRecurrence;
pub use log_softmax::LogSoftmax;
pub use log_sum_exp::LogSumExp;
pub use logic::{And, Not, Or};
pub use matmul::MatMul;
pub use max_reduce::MaxReduce;
pub use pad::Pad;
pub use pooling::{AveragePool, AveragePoolScatter, MaxPool, MaxPoolScatter, MaxPoolSelect};
pub use product::Product;
pub use put_along::PutAlong;
pub use random::{Distribution, Random};
pub use reshape::Reshape;
pub use reverse::Reverse;
pub use scan::{LoopResult, Scan};
pub use scatter_add::ScatterAdd;
pub use select::Select;
pub use size::Size;
pub use slice::Slice;
pub use softmax::Softmax;
pub use sort::Sort;
pub use stop::StopGradient;
pub use sum::Sum;
pub use take_along::TakeAlong;
pub use tensor::Tensor;
pub use transpose::Transpose;
pub use unary::{
    Abs, Acos, Acosh, Asin, Asinh, Atan, Atanh, Ceil, Cos, Cosh, Erf, Exp, Expm1, Floor, Log, Log1p, Neg, Round, Rsqrt,
    Sigmoid, Sign, Sin, Sinh, Softplus, Sqrt, Tan, Tanh,
};

use crate::ir::{Builder, DimSizes, NodeId, TensorType};

/// Why an op does not accept its operands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct OpError {
    pub kind: OpErrorKind,
    pub message: String,
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpErrorKind {
    /// operands' shapes do not fit together
    Shape,
    /// an operand has the wrong element type
    DType,
    /// an attribute or extent breaks a rule of the op
    Constraint,
    /// beyond what the compiler accepts
    Limit,
}

impl OpError {
    pub fn shape(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Shape, message: message.into(), help: None }
    }

    pub fn dtype(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::DType, message: message.into(), help: None }
    }

    pub fn constraint(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Constraint, message: message.into(), help: None }
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Self { kind: OpErrorKind::Limit, message: message.into(), help: None }
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// How gradients pass from a result to one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The derivative rule gives the operand's cotangent.
    Differentiable,
    /// The derivative is zero everywhere it exists (comparisons, rounding, ints).
    Zero,
    /// The user closed the path with `stop`.
    Stopped,
}

/// One use of an op: what its derivative rules may read.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub operands: &'a [NodeId],
    pub result: NodeId,
}

/// All there is to say about a primitive op.
pub trait Primitive: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash {
    /// The op's name in prints.
    const NAME: &'static str;

    /// The result's type, or which rule the operands break.
    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError>;

    /// The attributes, for prints: name and value.
    fn attributes(&self) -> Vec<(&'static str, String)>;

    /// Whether a gradient passes to the operand at `slot`.
    fn flow(&self, slot: usize) -> Flow;

    /// The cotangent of the operand at `slot`, given the result's. Called for `Flow::Differentiable` slots only.
    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId;

    /// What a tangent of the operand at `slot` contributes to the result's. Called for differentiable slots only.
    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId;

    /// The reference evaluation: short, obviously right ndarray code. `result` has known extents.
    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T>;

    /// The op with run-time sizes put into its attributes.
    fn bind(&self, sizes: &DimSizes) -> Self;
}

impl Op {
    /// Whether the value depends on the operand at `slot`. One result of a loop may need a part of the loop only.
    pub fn reads(&self, slot: usize) -> bool {
        match self {
            Op::Scan(scan) => scan.reads(slot),
            _ => true,
        }
    }
}

macro_rules! table {
    ($($op:ident,)*) => {
        /// A primitive op with its attributes.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Op { $($op($op),)* }

        $(impl From<$op> for Op {
            fn from(op: $op) -> Op { Op::$op(op) }
        })*

        impl Op {
            /// The names of all ops, in the table's order.
            pub const NAMES: &'static [&'static str] = &[$(<$op as Primitive>::NAME,)*];

            pub fn name(&self) -> &'static str {
                match self { $(Op::$op(_) => <$op as Primitive>::NAME,)* }
            }

            pub fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                match self { $(Op::$op(op) => op.infer(operands),)* }
            }

            pub fn attributes(&self) -> Vec<(&'static str, String)> {
                match self { $(Op::$op(op) => op.attributes(),)* }
            }

            pub fn flow(&self, slot: usize) -> Flow {
                match self { $(Op::$op(op) => op.flow(slot),)* }
            }

            pub fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
                match self { $(Op::$op(op) => op.vjp(b, site, cotangent, slot),)* }
            }

            pub fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
                match self { $(Op::$op(op) => op.jvp(b, site, tangent, slot),)* }
            }

            pub fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
                match self { $(Op::$op(op) => op.evaluate(operands, result),)* }
            }

            pub fn bind(&self, sizes: &DimSizes) -> Op {
                match self { $(Op::$op(op) => Op::$op(op.bind(sizes)),)* }
            }
        }
    };
}

table! {
    // leaves
    Input, Constant, Size, Iota, Random,
    // element by element
    Neg, Abs, Sign, Exp, Expm1, Log, Log1p, Sqrt, Rsqrt, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh,
    Atanh, Sigmoid, Softplus, Erf, Floor, Ceil, Round,
    Add, Sub, Mul, Div, Rem, Pow, Max, Min, Atan2,
    Less, LessEqual, Equal, IsNan, And, Or, Not, Select, Cast,
    // products
    MatMul, Convolution, ConvolutionInputGradient, ConvolutionKernelGradient,
    // windows
    MaxPool, MaxPoolScatter, MaxPoolSelect, AveragePool, AveragePoolScatter,
    // reductions
    Sum, Product, MaxReduce, LogSumExp, ArgMax,
    // along an axis
    CumulativeSum, LinearRecurrence, Softmax, LogSoftmax, Sort, ArgSort,
    // layout
    Reshape, Transpose, Broadcast, Concat, Slice, Pad, Reverse,
    // by index
    Gather, ScatterAdd, TakeAlong, PutAlong,
    // loops
    Scan,
    // small dense matrices
    Solve, SimplexQp, NonnegQp,
    // training or prediction
    ByMode,
    // gradients
    StopGradient, Gradient,
}

/// Checks the number of operands. Lowering checks calls, so a miss here is a bug.
pub(crate) fn take<'a, const N: usize>(
    name: &str,
    operands: &[&'a TensorType],
) -> Result<[&'a TensorType; N], OpError> {
    let noun = if N == 1 { "operand" } else { "operands" };
    operands.try_into().map_err(|_| OpError::constraint(format!("{name} takes {N} {noun}, got {}", operands.len())))
}

/// Checks that axes are in range, distinct and ascending.
pub(crate) fn check_axes(name: &str, axes: &[usize], rank: usize) -> Result<(), OpError> {
    if let Some(axis) = axes.iter().find(|axis| **axis >= rank) {
        return Err(OpError::constraint(format!("{name}: axis {axis} of a value of rank {rank} (C1)")));
    }
    if !axes.is_sorted_by(|a, b| a < b) {
        return Err(OpError::constraint(format!("{name}: axes {axes:?} must be distinct and in order (C1)")));
    }
    Ok(())
}

pub(crate) fn show_list(values: &[usize]) -> String {
    format!("{values:?}")
}
