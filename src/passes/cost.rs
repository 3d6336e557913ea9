//! What a program costs, roughly: enough to choose between two programs that compute the same.
//!
//! Takes a simplified graph; gives its arithmetic operations and the bytes that its steps read and write, with elementwise
//! ops that feed each other counted as one step, as the plan fuses them. Sizes known only at run time count as
//! [`NOMINAL_SIZE`]. [`Cost::total`] weighs both by what kernels reach on one core of a present machine.

use crate::ir::{Dim, DimSizes, Graph, NodeId};
use crate::ops::{Extents, Locality, Op, Types, Work};
use std::ops::Add;

/// What a run-time dim counts as.
pub const NOMINAL_SIZE: usize = 128;

/// Products run at about so many operations in the time of one elementwise operation that reads and writes cache.
const PRODUCT_SPEED: f64 = 8.0;
/// A byte between steps takes the time of so many elementwise operations.
const BYTE: f64 = 0.25;

/// The cost of one run of a program, in f32.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// multiplications and additions of matrix products and convolutions
    pub product_flops: f64,
    /// operations of everything else; a transcendental function counts as several
    pub other_flops: f64,
    /// read and written between steps
    pub bytes: f64,
}

impl Cost {
    pub fn flops(self) -> f64 {
        self.product_flops + self.other_flops
    }

    /// One number to compare by: elementwise operations that take as long.
    pub fn total(self) -> f64 {
        self.product_flops / PRODUCT_SPEED + self.other_flops + BYTE * self.bytes
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            product_flops: self.product_flops + other.product_flops,
            other_flops: self.other_flops + other.other_flops,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// The cost of a graph: that of all its nodes.
pub fn cost(graph: &Graph) -> Cost {
    costs(graph, &DimSizes::new()).into_iter().fold(Cost::default(), Cost::add)
}

/// The cost of each node; a run-time dim that `sizes` does not know counts as 128.
pub fn costs(graph: &Graph, sizes: &DimSizes) -> Vec<Cost> {
    let mut sizes = sizes.clone();
    for name in graph.ids().flat_map(|id| graph.ty(id).shape.iter().flat_map(Dim::symbols)) {
        sizes.entry(name).or_insert(NOMINAL_SIZE);
    }
    let extents: Vec<Vec<usize>> = graph.ids().map(|id| extents(&graph.ty(id).shape, &sizes)).collect();
    let elements = |id: NodeId| extents[id.index()].iter().map(|extent| *extent as f64).product::<f64>();
    let types = |id: NodeId| graph.operands(id).into_iter().map(|operand| graph.ty(operand)).collect::<Vec<_>>();
    let is_pointwise =
        |id: NodeId| graph.op(id).locality(Types { operands: &types(id), result: graph.ty(id) }) == Locality::Pointwise;
    let is_pointwise: Vec<bool> = graph.ids().map(is_pointwise).collect();
    // A value stays in registers when all that read it run in the same loop.
    let is_fused = |id: NodeId| {
        let same_loop = |user: &(NodeId, usize)| is_pointwise[user.0.index()] && elements(user.0) == elements(id);
        is_pointwise[id.index()] && graph.users(id).iter().all(same_loop)
    };
    let mut is_output = vec![false; graph.len()];
    graph.outputs.iter().for_each(|output| is_output[output.node.index()] = true);
    let stays: Vec<bool> = graph.ids().map(|id| is_fused(id) && !is_output[id.index()]).collect();
    let of = |id: NodeId| {
        let operands = graph.operands(id);
        let read = operands.iter().filter(|operand| is_read(graph, **operand) && !stays[operand.index()]);
        let read: f64 = read.map(|operand| elements(*operand)).sum();
        let written = if stays[id.index()] { 0.0 } else { elements(id) };
        let moved = Cost { bytes: 4.0 * (read + written), ..Cost::default() };
        let shapes: Vec<Vec<usize>> = operands.iter().map(|operand| extents[operand.index()].clone()).collect();
        let op = graph.op(id);
        match op.work(Extents { operands: &shapes, result: &extents[id.index()] }) {
            Work::Free => Cost::default(),
            Work::Products { flops } => Cost { product_flops: flops, ..moved },
            Work::Elements { count, weight } => Cost { other_flops: weight * count, ..moved },
            // Each result of a loop is a node of its own; the loop runs once for all of them, so this is too much rather than
            // too little.
            Work::Loop { body, length } => {
                let steps = length.evaluate(&sizes).unwrap_or(NOMINAL_SIZE) as f64;
                let step = cost(body);
                Cost {
                    product_flops: steps * step.product_flops,
                    other_flops: steps * step.other_flops,
                    bytes: steps * step.bytes + moved.bytes,
                }
            }
        }
    };
    graph.ids().map(of).collect()
}

fn extents(shape: &[Dim], sizes: &DimSizes) -> Vec<usize> {
    shape.iter().map(|dim| dim.evaluate(sizes).unwrap_or(NOMINAL_SIZE)).collect()
}

/// Whether reading a value reads memory; repeats are read as what they repeat, numbers not at all.
fn is_read(graph: &Graph, id: NodeId) -> bool {
    !matches!(graph.op(id), Op::Constant(_) | Op::Size(_) | Op::Broadcast(_))
}
