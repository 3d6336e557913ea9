//! The plan of a program: what is computed in which order, and where every value lives.
//!
//! Takes a graph whose run-time dims are bound; gives a [`Plan`]. Fixed before the first step: the order, which
//! element-wise nodes run as one fused group, which buffers are shared or written in place, and the peak of memory.
//! The plan knows no element type and no kernel: it is data that prints ([`print`]) and that `check` proves right
//! with code of its own.
//!
//! Storage: floats and bools (as 0 and 1) lie in an arena of floats, ints in an arena of their own.
//! Offsets and lengths count elements.

mod build;
mod check;
mod group;
mod index_map;
mod loops;
mod memory;
mod order;
mod print;
mod reading;
mod recompute;
mod views;

pub use build::plan;
pub use check::check;
pub use group::{Group, Instruction, Load, Reference, Write};
pub use index_map::{IndexMap, Pattern};
pub use loops::{Loop, LoopCarry, LoopInput};
pub use print::print;

use crate::ir::{DType, NodeId};
use crate::ops::{InputKind, Op};
use std::sync::Arc;

/// A buffer of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BufferId(pub usize);

/// Which arena or table holds a buffer's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Storage {
    /// floats, and bools as 0 and 1
    Float,
    /// ints
    Int,
}

impl Storage {
    pub fn of(dtype: DType) -> Self {
        match dtype {
            DType::F32 | DType::Bool => Self::Float,
            DType::I32 => Self::Int,
        }
    }
}

/// Where a buffer lives.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// in the arena of its storage, from this element on
    Arena { offset: usize },
    /// an input leaf: fed, carried in the store, or the clock
    Leaf { kind: InputKind, name: Arc<str> },
    /// a value known when the plan is made: an index along an axis, or one number repeated
    Constant(ConstantValue),
}

/// Contents of a constant buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstantValue {
    Splat(f64),
    /// positions along an axis: `index / inner % extent`
    Iota {
        extent: usize,
        inner: usize,
    },
}

/// One value in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    pub storage: Storage,
    /// elements
    pub len: usize,
    pub place: Place,
    /// the node whose value it holds
    pub node: NodeId,
    /// bools that are fed or carried are stored as ints
    pub is_bool: bool,
}

/// One unit of work.
#[derive(Clone, Debug, PartialEq)]
pub enum Work {
    /// Fused element-wise operations.
    Group(Group),
    /// One primitive op by its own kernel; operands and result have the graph's shapes. With a bias, `node` is the sum, or
    /// ReLU of it, and the op and shape are those of the product in it.
    Kernel { op: Op, operands: Vec<Operand>, bias: Option<Bias>, result: BufferId, shape: Vec<usize>, node: NodeId },
    /// A body run once for each slice of its sequences.
    Loop(Box<Loop>),
    /// The new value of a carried leaf, or a result, copied to where it is read after the run.
    Copy { from: BufferId, to: BufferId },
}

/// An operand of a kernel: a whole buffer under a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Operand {
    pub buffer: BufferId,
    pub shape: Vec<usize>,
    pub dtype: DType,
}

/// What a product adds to its numbers before it writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bias {
    /// one number a column
    pub buffer: BufferId,
    /// whether the larger of the sum and 0 is taken
    pub relu: bool,
}

/// One step of the plan with what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub work: Work,
    /// the name it prints under
    pub name: Arc<str>,
    /// floating-point operations, transcendental functions counted once
    pub flops: u64,
    /// elements read and written
    pub elements: u64,
}

/// A program's result.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedOutput {
    pub buffer: BufferId,
    /// position among the graph's outputs
    pub output: usize,
}

/// An executable plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub buffers: Vec<Buffer>,
    pub steps: Vec<Step>,
    pub outputs: Vec<PlannedOutput>,
    /// elements of the arena of floats
    pub float_len: usize,
    /// elements of the arena of ints
    pub int_len: usize,
}

impl Step {
    /// The buffers it reads, with repetitions.
    pub fn reads(&self) -> Vec<BufferId> {
        match &self.work {
            Work::Group(group) => group.loads.iter().map(|load| load.buffer).collect(),
            Work::Kernel { operands, bias, .. } => {
                let bias = bias.iter().map(|bias| bias.buffer);
                operands.iter().map(|operand| operand.buffer).chain(bias).collect()
            }
            Work::Loop(work) => work.reads(),
            Work::Copy { from, .. } => vec![*from],
        }
    }

    /// The buffers it writes.
    pub fn writes(&self) -> Vec<BufferId> {
        match &self.work {
            Work::Group(group) => group.writes.iter().map(|write| write.buffer).collect(),
            Work::Kernel { result, .. } => vec![*result],
            Work::Loop(work) => work.writes(),
            Work::Copy { to, .. } => vec![*to],
        }
    }
}
