//! The closed set of primitive ops: one file and one row in `table!` each.
//!
//! An op's file holds its attributes, shape rule, derivative rules, reference evaluation and documentation. The trait
//! [`Primitive`] has no defaults, so an op that lacks one does not compile. Layers, losses and optimizers are not ops:
//! they are written in the language over these (`src/std`).
//!
//! Derivative rules build nodes of the same set, so derivatives can be printed, simplified and differentiated again.

mod algebra;
mod along;
mod classes;
pub mod dense;
mod domain;
mod element;
mod error;
mod gradients;
mod index;
mod interval;
mod layout;
mod leaves;
mod locality;
pub mod pointwise;
mod prelude;
mod products;
mod ranges;
mod reductions;
pub mod reference;
pub mod scan;
mod tensor;
pub mod windows;
mod work;

pub use algebra::{Algebra, Parity};
pub use along::*;
pub use dense::{Cholesky, Eigh, NonnegQp, Orthonormal, Pinv, SimplexQp, Solve, TriangularSolve};
pub use domain::Domain;
pub use element::{Element, Family};
pub use error::{OpError, OpErrorKind};
pub(crate) use error::{check_axes, one_float, one_number, show_list, take};
pub use gradients::*;
pub use index::*;
pub use interval::Interval;
pub use layout::*;
pub use leaves::*;
pub use locality::{Along, Locality, Types};
pub use pointwise::*;
pub use products::*;
pub use ranges::Ranges;
pub use reductions::*;
pub use scan::{LoopResult, Scan};
pub use tensor::Tensor;
pub use windows::{AveragePool, AveragePoolScatter, MaxPool, MaxPoolScatter, MaxPoolSelect};
pub use work::{Extents, Work};

use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};

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

    /// What the operand at `slot` has to be for the op's value and derivative to be finite numbers; `None` when it may be anything.
    /// Overflow is not counted. `operands` are the bounds of all of them.
    fn domain(&self, _slot: usize, _operands: &[Interval]) -> Option<Domain> {
        None
    }

    /// For an exponential, the largest exponent within the bounds of the operands: its value is beyond `f32` from 89 on.
    fn exponent(&self, _operands: &[Interval]) -> Option<f64> {
        None
    }

    /// The cotangent of the operand at `slot`, given the result's. Called for `Flow::Differentiable` slots only.
    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId;

    /// What a tangent of the operand at `slot` contributes to the result's. Called for differentiable slots only.
    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId;

    /// The reference evaluation: short, obviously right ndarray code. `result` has known extents.
    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T>;

    /// The op with run-time sizes put into its attributes.
    fn bind(&self, sizes: &DimSizes) -> Self;

    /// The laws that rewrites make use of.
    const ALGEBRA: Algebra;

    /// Where positions along the operands' axes go.
    fn locality(&self, types: Types<'_>) -> Locality;

    /// The op in the operations of the register machine that runs fused groups; `None` when it has a kernel of its own.
    fn pointwise(&self) -> Option<Pointwise>;

    /// What whole numbers one of its operands must hold, when it is one of indices.
    fn demand(&self, types: Types<'_>) -> Option<Indexed>;

    /// The bounds of the result's elements, given those of the operands' elements (see [`Interval`]).
    fn bounds(&self, ranges: &Ranges<'_>) -> Interval;

    /// The arithmetic of one evaluation.
    fn work(&self, extents: Extents<'_>) -> Work<'_>;
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
    ($($before:ident,)*; $($elementwise:ident,)*; $($behind:ident,)*) => {
        table!($($before,)* $($elementwise,)* $($behind,)*);

        /// The pattern of the ops that stand in the table behind those of elements.
        macro_rules! behind {
            () => { $($crate::ops::Op::$behind(_))|* };
        }
        pub(crate) use behind;

        /// The pattern of the ops of elements, for matches over all ops.
        macro_rules! elementwise {
            () => { $($crate::ops::Op::$elementwise(_))|* };
        }
        pub(crate) use elementwise;
    };
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

            pub fn domain(&self, slot: usize, operands: &[Interval]) -> Option<Domain> {
                match self { $(Op::$op(op) => op.domain(slot, operands),)* }
            }

            pub fn exponent(&self, operands: &[Interval]) -> Option<f64> {
                match self { $(Op::$op(op) => op.exponent(operands),)* }
            }

            pub fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
                match self { $(Op::$op(op) => op.vjp(b, site, cotangent, slot),)* }
            }

            pub fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
                match self { $(Op::$op(op) => op.jvp(b, site, tangent, slot),)* }
            }

            /// By the op's definition; compiled once for each element type, in this crate.
            pub fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
                T::evaluate(self, operands, result)
            }

            fn evaluate_definition<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
                match self { $(Op::$op(op) => op.evaluate(operands, result),)* }
            }

            pub fn bind(&self, sizes: &DimSizes) -> Op {
                match self { $(Op::$op(op) => Op::$op(op.bind(sizes)),)* }
            }

            pub fn algebra(&self) -> Algebra {
                match self { $(Op::$op(_) => <$op as Primitive>::ALGEBRA,)* }
            }

            pub fn locality(&self, types: Types<'_>) -> Locality {
                match self { $(Op::$op(op) => op.locality(types),)* }
            }

            pub fn demand(&self, types: Types<'_>) -> Option<Indexed> {
                match self { $(Op::$op(op) => op.demand(types),)* }
            }

            pub fn pointwise(&self) -> Option<Pointwise> {
                match self { $(Op::$op(op) => op.pointwise(),)* }
            }

            pub fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
                let found = match self { $(Op::$op(op) => op.bounds(ranges),)* };
                match ranges.types.result.dtype {
                    DType::F32 => found,
                    DType::I32 => found.whole(),
                    DType::Bool => found.clamp(Interval::UNIT),
                }
            }

            pub fn work(&self, extents: Extents<'_>) -> Work<'_> {
                match self { $(Op::$op(op) => op.work(extents),)* }
            }
        }
    };
}

table! {
    // leaves
    Input, Constant, Size, Iota, Random,
    ;
    // element by element
    Neg, Abs, Sign, Exp, Expm1, Log, Log1p, Sqrt, Rsqrt, Sin, Cos, Tan, Asin, Acos, Atan, Sinh, Cosh, Tanh, Asinh, Acosh,
    Atanh, Sigmoid, Softplus, Erf, Floor, Ceil, Round,
    Add, Sub, Mul, Div, Rem, Pow, Max, Min, Atan2,
    LogGamma, Polygamma, ErfInverse,
    Less, LessEqual, Equal, IsNan, And, Or, Not, Select, Cast,
    ;
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
    Cholesky, TriangularSolve, Orthonormal, Solve, Eigh, Pinv, SimplexQp, NonnegQp,
    // gradients, training and prediction
    ByMode,
    StopGradient, Gradient, Directed,
}
