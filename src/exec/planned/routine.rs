//! The kernel table: which op runs by which kernel, and which by its definition.
//!
//! Knows no element type and allocates no memory. An op without a kernel, or with extents that its kernel does not take, runs by the
//! definition that it has in [`crate::ops`], which is slow and allocates; the printed plan says so.

use super::kernel::{ConvolutionPass, CopyPart, IndexKernel, IndexWork, IntKernel, PoolPass, RowKernel, RowWork};
use crate::ir::DType;
use crate::ops::convolution::{ConvolutionAttributes, Windows};
use crate::ops::windows::PoolAttributes;
use crate::ops::{
    BinaryCode, Broadcast, Concat, CumulativeSum, Op, Pad, Pointwise, Random, Reverse, Slice, Transpose, elementwise,
};
use crate::plan::{BufferId, Operand, Plan, Storage, Work};
use anabranch_kernels::conv::{self, ConvGeometry};
use anabranch_kernels::index::Along;
use anabranch_kernels::integers::{Arithmetic, Comparison};
use anabranch_kernels::layout::{self, Dim};
use anabranch_kernels::pooling::{self, PoolGeometry};
use anabranch_kernels::reduce::{Reduction, Softmax};

/// How an op runs.
pub(super) enum Routine {
    /// whether each operand is transposed
    MatMul([bool; 2]),
    Convolution {
        pass: ConvolutionPass,
        geometry: ConvGeometry,
    },
    Pool {
        pass: PoolPass,
        geometry: PoolGeometry,
    },
    Reduce {
        reduction: Reduction,
        dims: Vec<(usize, bool)>,
    },
    Row(RowKernel),
    Index(IndexKernel),
    Int(IntKernel),
    Copies {
        parts: Vec<CopyPart>,
        zero: bool,
    },
    Random(Random),
    Definition,
}

/// Whether a step of a plan runs by its op's definition.
pub(in crate::exec) fn runs_by_definition(plan: &Plan, work: &Work) -> bool {
    match work {
        Work::Kernel { op, operands, result, shape, .. } => {
            let storage = plan.buffers[result.0].storage;
            matches!(routine(op, operands, *result, shape, storage), Routine::Definition)
        }
        Work::Group(_) | Work::Loop(_) | Work::Copy { .. } => false,
    }
}

/// How an op that is a step of its own runs on operands of these shapes.
pub(super) fn routine(op: &Op, operands: &[Operand], to: BufferId, shape: &[usize], storage: Storage) -> Routine {
    let convolution = |pass, attributes: &ConvolutionAttributes, x: &[usize], kernel: &[usize]| {
        Some(Routine::Convolution { pass, geometry: convolution_geometry(attributes, x, kernel) })
    };
    let x = || &*operands[0].shape;
    let routine = match op {
        Op::MatMul(op) => Some(Routine::MatMul([op.transpose_x, op.transpose_y])),
        Op::Convolution(op) => convolution(ConvolutionPass::Forward, &op.attributes, x(), &operands[1].shape),
        Op::ConvolutionInputGradient(op) => {
            convolution(ConvolutionPass::InputGradient, &op.attributes, shape, &operands[1].shape)
        }
        Op::ConvolutionKernelGradient(op) => convolution(ConvolutionPass::KernelGradient, &op.attributes, x(), shape),
        Op::MaxPool(op) => pool(PoolPass::Max, &op.attributes, x()),
        Op::MaxPoolScatter(op) => pool(PoolPass::MaxScatter, &op.attributes, x()),
        Op::MaxPoolSelect(op) => pool(PoolPass::MaxSelect, &op.attributes, x()),
        Op::AveragePool(op) => pool(PoolPass::Average, &op.attributes, x()),
        Op::AveragePoolScatter(op) => pool(PoolPass::AverageScatter, &op.attributes, shape),
        Op::Sum(op) if storage == Storage::Float => reduce(Reduction::Sum, &op.axes, &operands[0]),
        Op::MaxReduce(op) if storage == Storage::Float => reduce(Reduction::Max, &op.axes, &operands[0]),
        Op::Product(op) => reduce(Reduction::Product, &op.axes, &operands[0]),
        Op::ArgMax(op) if op.axis + 1 == x().len() && operands[0].dtype == DType::F32 => {
            let work = RowWork::ArgMax { row: x()[op.axis] };
            Some(Routine::Row(RowKernel { work, from: operands[0].buffer, to }))
        }
        Op::Softmax(op) => softmax(Softmax::Probabilities, &[op.axis], &operands[0], to),
        Op::LogSoftmax(op) => softmax(Softmax::Logarithms, &[op.axis], &operands[0], to),
        Op::LogSumExp(op) => softmax(Softmax::LogSum, &op.axes, &operands[0], to),
        Op::CumulativeSum(op) if storage == Storage::Float => Some(cumulative_sum(op, &operands[0], to)),
        Op::Gather(op) => {
            let work = IndexWork::GatherRows { row: x()[1..].iter().product(), fill: op.fill.0 };
            by_index(work, [&operands[1], &operands[0]], to)
        }
        Op::ScatterAdd(_) => {
            let row = operands[1].shape[x().len()..].iter().product();
            by_index(IndexWork::ScatterAddRows { row }, [&operands[0], &operands[1]], to)
        }
        Op::TakeAlong(op) => {
            let along = picks(op.axis, x(), x()[op.axis], operands[1].shape[op.axis]);
            by_index(IndexWork::TakeAlong { along, fill: op.fill.0 }, [&operands[1], &operands[0]], to)
        }
        Op::PutAlong(op) => op.extent.as_known().and_then(|extent| {
            let along = picks(op.axis, x(), extent, x()[op.axis]);
            by_index(IndexWork::PutAlong { along }, [&operands[0], &operands[1]], to)
        }),
        Op::Random(op) => Some(Routine::Random(op.clone())),
        Op::Cast(_) if storage == Storage::Int && operands[0].dtype != DType::I32 => {
            Some(Routine::Int(IntKernel::Truncate { from: operands[0].buffer, to }))
        }
        Op::Transpose(op) => copies(&[transpose(op, &operands[0], shape)], false, shape),
        Op::Broadcast(op) => copies(&[broadcast(op, &operands[0], shape)], false, shape),
        Op::Reverse(op) => copies(&[reverse(op, &operands[0], shape)], false, shape),
        Op::Slice(op) => slice(op, &operands[0], shape).and_then(|part| copies(&[part], false, shape)),
        Op::Pad(op) => pad(op, &operands[0], shape).and_then(|part| copies(&[part], true, shape)),
        Op::Concat(op) => copies(&concat(op, operands, shape), false, shape),
        // Floats run in groups, where these have an instruction.
        elementwise!() => op.pointwise().and_then(|pointwise| ints(&pointwise, operands, to)),
        // Ints, and what no kernel is written for.
        Op::Sum(_)
        | Op::MaxReduce(_)
        | Op::CumulativeSum(_)
        | Op::ArgMax(_)
        | Op::LinearRecurrence(_)
        | Op::Sort(_)
        | Op::ArgSort(_)
        | Op::Cholesky(_)
        | Op::TriangularSolve(_)
        | Op::Orthonormal(_)
        | Op::Solve(_)
        | Op::Eigh(_)
        | Op::Pinv(_)
        | Op::SimplexQp(_)
        | Op::NonnegQp(_) => None,
        // Steps of another kind, or of no program: leaves, views, loops, and what is resolved before there is a plan.
        Op::Input(_)
        | Op::Constant(_)
        | Op::Size(_)
        | Op::Iota(_)
        | Op::Reshape(_)
        | Op::Scan(_)
        | Op::ByMode(_)
        | Op::StopGradient(_)
        | Op::Gradient(_)
        | Op::Directed(_) => None,
    };
    routine.unwrap_or(Routine::Definition)
}

fn convolution_geometry(attributes: &ConvolutionAttributes, x: &[usize], kernel: &[usize]) -> ConvGeometry {
    let n = attributes.windows.n_axes();
    let dims: Vec<conv::Dim> = (0..n)
        .map(|axis| conv::Dim {
            input: x[axis + 1],
            kernel: kernel[axis],
            stride: attributes.windows.strides[axis],
            dilation: attributes.windows.dilation[axis],
            padding: attributes.windows.padding[axis],
        })
        .collect();
    ConvGeometry::new(x[0], (x[n + 1], kernel[n + 1]), attributes.groups, &dims)
}

/// `None` where windows may lie in the padding altogether, or are dilated: those run by definition.
fn pool(pass: PoolPass, attributes: &PoolAttributes, x: &[usize]) -> Option<Routine> {
    let Windows { strides, dilation, padding } = &attributes.windows;
    let n = attributes.windows.n_axes();
    let fits = |axis: usize| {
        let (low, high) = padding[axis];
        dilation[axis] == 1 && low < attributes.window[axis] && high < attributes.window[axis]
    };
    if !(0..n).all(fits) || x.contains(&0) {
        return None;
    }
    let dims: Vec<pooling::Dim> = (0..n)
        .map(|axis| pooling::Dim {
            input: x[axis + 1],
            window: attributes.window[axis],
            stride: strides[axis],
            padding: padding[axis],
        })
        .collect();
    let geometry = PoolGeometry::new(x[0], x[n + 1], &dims);
    Some(Routine::Pool { pass, geometry })
}

fn reduce(reduction: Reduction, axes: &[usize], operand: &Operand) -> Option<Routine> {
    let mut dims: Vec<(usize, bool)> = Vec::new();
    for (axis, extent) in operand.shape.iter().enumerate() {
        let reduced = axes.contains(&axis);
        match dims.last_mut() {
            Some((last, kind)) if *kind == reduced => *last *= extent,
            _ => dims.push((*extent, reduced)),
        }
    }
    (dims.len() <= 16).then_some(Routine::Reduce { reduction, dims })
}

/// `None` for other axes than the last, which have no kernel.
fn softmax(kind: Softmax, axes: &[usize], x: &Operand, to: BufferId) -> Option<Routine> {
    let [axis] = *axes else { return None };
    let is_last = axis + 1 == x.shape.len() && !x.shape.contains(&0);
    let work = RowWork::Softmax { kind, row: x.shape[axis] };
    is_last.then_some(Routine::Row(RowKernel { work, from: x.buffer, to }))
}

/// The extents before an axis and behind it.
fn around(shape: &[usize], axis: usize) -> (usize, usize) {
    (shape[..axis].iter().product(), shape[axis + 1..].iter().product())
}

fn cumulative_sum(op: &CumulativeSum, x: &Operand, to: BufferId) -> Routine {
    let (outer, inner) = around(&x.shape, op.axis);
    let dims = [outer, x.shape[op.axis], inner];
    let work = RowWork::CumulativeSum { dims, reverse: op.reverse, exclusive: op.exclusive };
    Routine::Row(RowKernel { work, from: x.buffer, to })
}

fn by_index(work: IndexWork, [indices, values]: [&Operand; 2], to: BufferId) -> Option<Routine> {
    Some(Routine::Index(IndexKernel { work, indices: indices.buffer, values: values.buffer, to }))
}

/// So many picks out of `extent` positions along an axis of a shape.
fn picks(axis: usize, shape: &[usize], extent: usize, picks: usize) -> Along {
    let (outer, inner) = around(shape, axis);
    Along { outer, extent, inner, picks }
}

/// An op on ints, by the operation of the register machine that it is on floats.
fn ints(pointwise: &Pointwise, operands: &[Operand], to: BufferId) -> Option<Routine> {
    if operands.iter().all(|operand| operand.dtype != DType::I32) {
        return None;
    }
    let code = match pointwise {
        Pointwise::Binary(code, [Pointwise::Operand(0), Pointwise::Operand(1)]) => code,
        Pointwise::Select([Pointwise::Operand(0), Pointwise::Operand(1), Pointwise::Operand(2)]) => {
            let mask = operands[0].buffer;
            let operands = [operands[1].buffer, operands[2].buffer];
            return Some(Routine::Int(IntKernel::Select { mask, operands, to }));
        }
        Pointwise::Operand(_)
        | Pointwise::Number(_)
        | Pointwise::Unary(..)
        | Pointwise::Binary(..)
        | Pointwise::Select(_) => return None,
    };
    let operands = [operands[0].buffer, operands[1].buffer];
    let arithmetic = |operation| Some(Routine::Int(IntKernel::Arithmetic { operation, operands, to }));
    let compare = |comparison| Some(Routine::Int(IntKernel::Compare { comparison, operands, to }));
    match code {
        BinaryCode::Add => arithmetic(Arithmetic::Add),
        BinaryCode::Sub => arithmetic(Arithmetic::Sub),
        BinaryCode::Mul => arithmetic(Arithmetic::Mul),
        BinaryCode::Div => arithmetic(Arithmetic::Div),
        BinaryCode::Pow => arithmetic(Arithmetic::Pow),
        BinaryCode::Max => arithmetic(Arithmetic::Max),
        BinaryCode::Min => arithmetic(Arithmetic::Min),
        BinaryCode::Equal => compare(Comparison::Equal),
        BinaryCode::Less => compare(Comparison::Less),
        BinaryCode::LessEqual => compare(Comparison::LessEqual),
        BinaryCode::NotEqual | BinaryCode::And | BinaryCode::Or => None,
    }
}

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Elements that are moved by strided copies. `zero`: they do not cover the result.
fn copies(parts: &[CopyPart], zero: bool, shape: &[usize]) -> Option<Routine> {
    (shape.len() <= layout::MOST_DIMS).then(|| Routine::Copies { parts: parts.to_vec(), zero })
}

/// A copy from one operand; `dim` gives the strides of an axis of the result in the operand and in the result.
fn part(
    operand: &Operand,
    extents: &[usize],
    (from_offset, to_offset): (usize, usize),
    dim: impl Fn(usize) -> (isize, usize),
) -> CopyPart {
    let axis = |(axis, extent): (usize, &usize)| {
        let (from, to) = dim(axis);
        Dim { extent: *extent, from, to: to as isize }
    };
    let dims = extents.iter().enumerate().map(axis).collect();
    CopyPart { from: operand.buffer, dims, from_offset, to_offset }
}

fn known(dims: &[crate::ir::Dim]) -> Option<Vec<usize>> {
    dims.iter().map(crate::ir::Dim::as_known).collect()
}

/// `Σ starts[i] strides[i]`
fn offset(starts: &[usize], strides: &[usize]) -> usize {
    starts.iter().zip(strides).map(|(start, stride)| start * stride).sum()
}

fn transpose(op: &Transpose, x: &Operand, shape: &[usize]) -> CopyPart {
    let (from, to) = (strides(&x.shape), strides(shape));
    part(x, shape, (0, 0), |axis| (from[op.permutation[axis]] as isize, to[axis]))
}

fn broadcast(op: &Broadcast, x: &Operand, shape: &[usize]) -> CopyPart {
    let (from, to) = (strides(&x.shape), strides(shape));
    let step = |axis: usize| op.axes.iter().position(|a| *a == axis).map_or(0, |i| from[i]);
    part(x, shape, (0, 0), |axis| (step(axis) as isize, to[axis]))
}

fn reverse(op: &Reverse, x: &Operand, shape: &[usize]) -> CopyPart {
    let (from, to) = (strides(&x.shape), strides(shape));
    let is_turned = |axis: usize| op.axes.contains(&axis);
    let last = |axis: usize| if is_turned(axis) { shape[axis].saturating_sub(1) * from[axis] } else { 0 };
    let start = (0..shape.len()).map(last).sum();
    let step = |axis: usize| if is_turned(axis) { -(from[axis] as isize) } else { from[axis] as isize };
    part(x, shape, (start, 0), |axis| (step(axis), to[axis]))
}

/// `None` where a start is not known.
fn slice(op: &Slice, x: &Operand, shape: &[usize]) -> Option<CopyPart> {
    let (from, to) = (strides(&x.shape), strides(shape));
    let start = offset(&known(&op.starts)?, &from);
    Some(part(x, shape, (start, 0), |axis| ((from[axis] * op.strides[axis]) as isize, to[axis])))
}

/// As for [`slice`].
fn pad(op: &Pad, x: &Operand, shape: &[usize]) -> Option<CopyPart> {
    let (from, to) = (strides(&x.shape), strides(shape));
    let start = offset(&known(&op.starts)?, &to);
    Some(part(x, &x.shape, (0, start), |axis| (from[axis] as isize, to[axis] * op.strides[axis])))
}

fn concat(op: &Concat, operands: &[Operand], shape: &[usize]) -> Vec<CopyPart> {
    let to = strides(shape);
    let mut start = 0;
    let next = |x: &Operand| {
        let from = strides(&x.shape);
        let copied = part(x, &x.shape, (0, start * to[op.axis]), |axis| (from[axis] as isize, to[axis]));
        start += x.shape[op.axis];
        copied
    };
    operands.iter().map(next).collect()
}
