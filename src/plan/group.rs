//! Fused groups: element-wise nodes that run as one loop.
//!
//! A group is a straight line of instructions over one index range `0..n`. Its operands are buffers read by an
//! [`IndexMap`], its results buffers written element by element, or sums over runs of trailing elements.

use super::{BufferId, IndexMap};
use crate::ir::NodeId;
use crate::ops::Op;

/// What an instruction reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reference {
    Load(usize),
    Constant(f64),
    Instruction(usize),
}

/// One element-wise operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Instruction {
    pub op: Op,
    pub operands: Vec<Reference>,
    /// the node that it computes
    pub node: NodeId,
    pub name: std::sync::Arc<str>,
}

/// A buffer read by a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub buffer: BufferId,
    /// from the group's index range to the buffer's elements; canonical
    pub map: IndexMap,
    /// ints, converted as they are read
    pub is_int: bool,
}

/// A buffer written by a group.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub buffer: BufferId,
    pub value: Reference,
    /// the node whose value it writes
    pub node: NodeId,
    /// store sums over runs of this many elements instead of the elements
    pub sum_inner: Option<usize>,
    /// the contiguous load whose memory the buffer takes over
    pub over: Option<usize>,
}

/// A fused group.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Group {
    /// elements of the index range
    pub n: usize,
    pub loads: Vec<Load>,
    pub instructions: Vec<Instruction>,
    pub writes: Vec<Write>,
}
