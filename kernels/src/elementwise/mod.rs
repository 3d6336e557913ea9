//! Fused elementwise programs: a register machine over blocks that fit the first-level cache.
//!
//! A [`GroupBuilder`] takes a straight line of loads, operations and stores over one index range `0..n`, written as values:
//! every call returns the [`Value`] it defines. [`GroupBuilder::finish`] turns it into a [`Program`]: it fuses
//! multiplications into the additions that consume them, finds what is the same at every index (computed once a run),
//! gives values registers, lets operations read operand buffers and write result buffers in place where that is safe.
//! [`Program::run`] executes it for a range of `n` elements, block by block, each operation one vectorised loop.
//!
//! What the one who fills a program has to know:
//!
//! - **Sources and destinations** are two tables of buffers given at run time; a load names a row of the first, a store
//!   a row of the second.
//! - **Access** says how a load finds element `i` of the index range (see [`Access`]). Broadcasts need no copy.
//! - **In place**: a destination may be the very buffer of one contiguous load, and the store must then say so
//!   (`over`). The buffer is then one source, loaded contiguously only. Every other overlap of a destination with a
//!   source or a destination is forbidden.
//! - **Masks** are numbers: comparisons and logical operations give 1 and 0, and any number but 0 counts as true.
//! - **Sums**: [`GroupBuilder::store_sum`] stores the sums over runs of `inner` consecutive elements instead of the
//!   elements; `n` must be a multiple of `inner`.
//!
//! Establishes: element `i` of a result depends on nothing but element `i` of the operands, and a sum is taken in an
//! order fixed by `inner`, so neither blocks nor threads change a bit.

mod compile;
mod fill;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
mod loops;
#[allow(unsafe_code, reason = "buffers that are read and written in place")]
mod run;
mod update;

use super::Real;

pub use run::{Destination, Source};

/// A value of a program under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value(usize);

/// How a load finds its element for index `i`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Element `i`.
    Contiguous,
    /// Element 0: the operand is one number.
    Scalar,
    /// Element `i % period`: broadcast along leading axes, as a bias is.
    Cyclic { period: usize },
    /// Element `i / inner`: broadcast along trailing axes, as a row's maximum is.
    Stretched { inner: usize },
    /// Element `offset + Σ index[d] * stride[d]`, the indices being those of `i` in row-major order. The products of
    /// the extents is `n`.
    Strided { offset: usize, dims: Vec<(usize, isize)> },
}

/// Operations on one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    Neg,
    Abs,
    /// -1, 0 or 1; zeros and NaN stay as they are.
    Sign,
    Exp,
    Log,
    Log1p,
    Expm1,
    Sqrt,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `1 / x`
    Reciprocal,
    Square,
    Sin,
    Cos,
    Tanh,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `ln(1 + exp(x))`
    Softplus,
    Erf,
    Floor,
    /// 1 where the operand is 0, else 0.
    Not,
}

/// Operations on two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    /// The larger; NaN if an operand is NaN.
    Max,
    /// The smaller; NaN if an operand is NaN.
    Min,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    And,
    Or,
}

/// Operations on three operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ternary {
    /// `a * b + c`, rounded once where the instruction set can.
    MulAdd,
    /// `a * b - c`
    MulSub,
    /// `c - a * b`
    SubFromMul,
    /// `b` where `a` is not 0, else `c`.
    Select,
}

/// An operand: where it is and how it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Load {
    source: usize,
    access: Access,
    integers: bool,
}

impl Load {
    /// Whether steps can read the buffer itself.
    fn in_place(&self) -> bool {
        self.access == Access::Contiguous && !self.integers
    }
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
enum Node<T> {
    Constant(T),
    Load(Load),
    Unary(Unary, Value),
    Binary(Binary, [Value; 2]),
    Ternary(Ternary, [Value; 3]),
    Fused(Fused, [Value; 4]),
}

/// What optimizers compute of every parameter, each in one pass instead of two or three. Made by the compiler; `s` and
/// `t` are the same at every index. The rounding is that of the operations they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fused {
    /// `a * s + b * t` of `[a, s, b, t]`
    WeightedSum,
    /// `a * s + (b * b) * t` of `[a, s, b, t]`
    WeightedSquare,
    /// `a / (sqrt(b) + s)` of `[a, s, b, s]`
    RootRatio,
}

/// A value that leaves the program.
#[derive(Debug, Clone, Copy)]
struct Output {
    destination: usize,
    value: Value,
    over: Option<Value>,
    /// Sums over runs of this length instead of elements.
    sum_inner: Option<usize>,
}

/// Collects the values of a program.
#[derive(Debug, Clone, Default)]
pub struct GroupBuilder<T> {
    nodes: Vec<Node<T>>,
    outputs: Vec<Output>,
}

impl<T: Real> GroupBuilder<T> {
    /// A program without values.
    pub fn new() -> Self {
        GroupBuilder { nodes: Vec::new(), outputs: Vec::new() }
    }

    fn push(&mut self, node: Node<T>) -> Value {
        self.nodes.push(node);
        Value(self.nodes.len() - 1)
    }

    /// A number known now.
    pub fn constant(&mut self, number: T) -> Value {
        self.push(Node::Constant(number))
    }

    /// An operand of numbers: row `source` of the table of sources. The same operand is one value, however often it is
    /// loaded.
    pub fn load(&mut self, source: usize, access: Access) -> Value {
        self.push_load(Load { source, access, integers: false })
    }

    /// An operand of integers, each converted to the nearest number.
    pub fn load_integers(&mut self, source: usize, access: Access) -> Value {
        self.push_load(Load { source, access, integers: true })
    }

    fn push_load(&mut self, load: Load) -> Value {
        let node = Node::Load(load);
        match self.nodes.iter().position(|known| *known == node) {
            Some(known) => Value(known),
            None => self.push(node),
        }
    }

    /// An operation on one value.
    pub fn unary(&mut self, operation: Unary, a: Value) -> Value {
        self.push(Node::Unary(operation, a))
    }

    /// An operation on two values.
    pub fn binary(&mut self, operation: Binary, a: Value, b: Value) -> Value {
        self.push(Node::Binary(operation, [a, b]))
    }

    /// An operation on three values.
    pub fn ternary(&mut self, operation: Ternary, a: Value, b: Value, c: Value) -> Value {
        self.push(Node::Ternary(operation, [a, b, c]))
    }

    /// Stores element by element to row `destination` of the table of destinations. `over` is the contiguous load
    /// whose buffer the destination is, if it is one.
    pub fn store(&mut self, destination: usize, value: Value, over: Option<Value>) {
        self.outputs.push(Output { destination, value, over, sum_inner: None });
    }

    /// Stores the sum of every run of `inner` elements (at least 1) to row `destination` of the table.
    pub fn store_sum(&mut self, destination: usize, value: Value, inner: usize) {
        self.outputs.push(Output { destination, value, over: None, sum_inner: Some(inner) });
    }

    /// The program, ready to run.
    ///
    /// # Panics
    /// Where a value is used before it is defined, `over` is no contiguous load, a period, `inner` or extent is 0, or
    /// two sums have different lengths.
    #[inline]
    pub fn finish(self) -> Program<T> {
        T::finish_program(self)
    }

    pub(crate) fn run_finish(self) -> Program<T> {
        compile::compile(self)
    }
}

/// A program that can be run.
#[derive(Debug, Clone)]
pub struct Program<T> {
    /// Numbers that are the same at every index: constants, scalar loads, and what is computed from them.
    uniforms: Vec<Uniform<T>>,
    /// What computes those of them that are computed: executed once, each on one element.
    uniform_steps: Vec<Step>,
    /// Executed for every block.
    steps: Vec<Step>,
    loads: Vec<Load>,
    /// The destination of every place that is written in place of a register, and of every copy and sum.
    stores: Vec<usize>,
    registers: usize,
    sum_inner: Option<usize>,
}

impl<T> Program<T> {
    /// How many operations a run executes for each block: a measure of its cost.
    pub fn steps(&self) -> usize {
        let loops = |step: &Step| if matches!(step, Step::Adam(_)) { update::LOOPS } else { 1 };
        self.steps.iter().map(loops).sum()
    }

    /// How many loops a run makes over each block: one for all operations of an update.
    pub fn loops(&self) -> usize {
        self.steps.len()
    }
}

/// A number computed once a run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Uniform<T> {
    Constant(T),
    Load { source: usize, integers: bool },
    Computed(Step),
}

/// Where an operand of a step is, or a result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Register(usize),
    /// A contiguous load's buffer, read in place.
    Load(usize),
    /// A row of `stores`, written and read in place.
    Store(usize),
    Uniform(usize),
}

/// One loop over a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Copies a load that is not read in place into a register.
    Fill {
        load: usize,
        to: usize,
    },
    Unary(Unary, Place, Place),
    Binary(Binary, [Place; 2], Place),
    Ternary(Ternary, [Place; 3], Place),
    Fused(Fused, [Place; 4], Place),
    Adam(update::Adam),
    Copy {
        from: Place,
        to: Place,
    },
    Sum {
        from: Place,
        store: usize,
        inner: usize,
    },
}
