//! What a program costs, roughly: enough to choose between two programs that compute the same.
//!
//! Takes a simplified graph; gives its arithmetic operations and the bytes that its steps read and write, with elementwise
//! ops that feed each other counted as one step, as the plan fuses them. Sizes known only at run time count as
//! [`NOMINAL_SIZE`]. [`Cost::total`] weighs both by what kernels reach on one core of a present machine.

use crate::ir::{Dim, DimSizes, Graph, NodeId};
use crate::ops::Op;
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
    let mut sizes = DimSizes::new();
    for name in graph.ids().flat_map(|id| graph.ty(id).shape.iter().flat_map(Dim::symbols)) {
        sizes.insert(name, NOMINAL_SIZE);
    }
    let elements = |id: NodeId| -> f64 {
        graph.ty(id).shape.iter().map(|dim| dim.evaluate(&sizes).unwrap_or(NOMINAL_SIZE) as f64).product()
    };
    // A value stays in registers when all that read it run in the same loop.
    let is_fused = |id: NodeId| {
        let same_loop = |user: &(NodeId, usize)| weight(graph.op(user.0)).is_some() && elements(user.0) == elements(id);
        weight(graph.op(id)).is_some() && graph.users(id).iter().all(same_loop)
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
        match graph.op(id) {
            Op::Input(_) | Op::Constant(_) | Op::Size(_) | Op::Broadcast(_) | Op::Reshape(_) => Cost::default(),
            Op::StopGradient(_) | Op::ByMode(_) | Op::Gradient(_) => Cost::default(),
            Op::MatMul(op) => {
                let x = &graph.ty(operands[0]).shape;
                let inner = &x[if op.transpose_x { x.len() - 2 } else { x.len() - 1 }];
                let inner = inner.evaluate(&sizes).unwrap_or(NOMINAL_SIZE) as f64;
                Cost { product_flops: 2.0 * inner * elements(id), ..moved }
            }
            // Each element of the input meets each element of the kernel of its group about once an output position.
            Op::Convolution(_) => Cost { product_flops: window_flops(graph, &elements, operands[1], id), ..moved },
            Op::ConvolutionInputGradient(_) => {
                Cost { product_flops: window_flops(graph, &elements, operands[1], operands[0]), ..moved }
            }
            Op::ConvolutionKernelGradient(_) => {
                Cost { product_flops: window_flops(graph, &elements, id, operands[1]), ..moved }
            }
            // Each result of a loop is a node of its own; the loop runs once for all of them, so this is too much rather than
            // too little.
            Op::Scan(scan) => {
                let steps = scan.length.evaluate(&sizes).unwrap_or(NOMINAL_SIZE) as f64;
                let step = cost(scan.body.graph());
                Cost {
                    product_flops: steps * step.product_flops,
                    other_flops: steps * step.other_flops,
                    bytes: steps * step.bytes + moved.bytes,
                }
            }
            op => {
                let work = operands.iter().map(|operand| elements(*operand)).fold(elements(id), f64::max);
                Cost { other_flops: weight(op).unwrap_or(1.0) * work, ..moved }
            }
        }
    };
    graph.ids().map(of).fold(Cost::default(), Cost::add)
}

/// `2 · output elements · kernel elements / output channels`
fn window_flops(graph: &Graph, elements: &dyn Fn(NodeId) -> f64, kernel: NodeId, output: NodeId) -> f64 {
    let channels = graph.ty(kernel).shape.last().and_then(Dim::as_known).unwrap_or(1).max(1);
    2.0 * elements(output) * elements(kernel) / channels as f64
}

/// Whether reading a value reads memory; repeats are read as what they repeat, numbers not at all.
fn is_read(graph: &Graph, id: NodeId) -> bool {
    !matches!(graph.op(id), Op::Constant(_) | Op::Size(_) | Op::Broadcast(_))
}

/// The weight of an element of an elementwise op; `None` for other ops.
fn weight(op: &Op) -> Option<f64> {
    match op {
        Op::Exp(_) | Op::Expm1(_) | Op::Log(_) | Op::Log1p(_) | Op::Tanh(_) | Op::Sigmoid(_) | Op::Softplus(_) => {
            Some(12.0)
        }
        Op::Sin(_) | Op::Cos(_) | Op::Tan(_) | Op::Erf(_) | Op::Pow(_) | Op::Atan2(_) | Op::Rem(_) => Some(16.0),
        Op::Asin(_) | Op::Acos(_) | Op::Atan(_) | Op::Sinh(_) | Op::Cosh(_) => Some(16.0),
        Op::Asinh(_) | Op::Acosh(_) | Op::Atanh(_) => Some(16.0),
        Op::Div(_) | Op::Sqrt(_) | Op::Rsqrt(_) => Some(4.0),
        op => super::rows::is_elementwise(op).then_some(1.0),
    }
}
