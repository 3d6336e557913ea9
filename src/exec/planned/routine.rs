//! The kernel table: which op runs by which kernel, and which by its definition.
//!
//! Knows no element type and allocates no memory. An op without a kernel, or with extents that its kernel does not take, runs by the
//! definition that it has in [`crate::ops`], which is slow and allocates; the printed plan says so.

use super::kernel::{ConvolutionPass, CopyPart, IndexKernel, IndexWork, IntKernel, PoolPass, RowKernel, RowWork};
use crate::ir::DType;
use crate::ops::convolution::{ConvolutionAttributes, Windows};
use crate::ops::windows::PoolAttributes;
use crate::ops::{BinaryCode, Op, Pointwise, Random, elementwise};
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
        Op::MaxReduce(op) => reduce(Reduction::Max, &op.axes, &operands[0]),
        Op::Product(op) => reduce(Reduction::Product, &op.axes, &operands[0]),
        Op::ArgMax(op) if op.axis + 1 == x().len() => {
            let work = RowWork::ArgMax { row: x()[op.axis] };
            Some(Routine::Row(RowKernel { work, from: operands[0].buffer, to }))
        }
        Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::LogSumExp(_)
        | Op::CumulativeSum(_)
        | Op::Gather(_)
        | Op::ScatterAdd(_)
        | Op::TakeAlong(_)
        | Op::PutAlong(_) => along(op, operands, to),
        Op::Random(op) => Some(Routine::Random(op.clone())),
        Op::Cast(_) if storage == Storage::Int && operands[0].dtype != DType::I32 => {
            Some(Routine::Int(IntKernel::Truncate { from: operands[0].buffer, to }))
        }
        Op::Transpose(_) | Op::Broadcast(_) | Op::Concat(_) | Op::Slice(_) | Op::Pad(_) | Op::Reverse(_) => {
            copies(op, operands, shape)
        }
        // Floats run in groups, where these have an instruction.
        elementwise!() => op.pointwise().and_then(|pointwise| ints(&pointwise, operands, to)),
        // Sums of ints, and what no kernel is written for.
        Op::Sum(_)
        | Op::ArgMax(_)
        | Op::LinearRecurrence(_)
        | Op::Sort(_)
        | Op::ArgSort(_)
        | Op::Solve(_)
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
        | Op::Gradient(_) => None,
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

/// Ops along one axis and by index.
fn along(op: &Op, operands: &[Operand], to: BufferId) -> Option<Routine> {
    let x = &operands[0];
    let row = |work| Routine::Row(RowKernel { work, from: x.buffer, to });
    let by_index = |work, indices: &Operand, values: &Operand| {
        Some(Routine::Index(IndexKernel { work, indices: indices.buffer, values: values.buffer, to }))
    };
    let softmax = |kind, axis: usize| {
        let is_last = axis + 1 == x.shape.len() && !x.shape.contains(&0);
        is_last.then(|| row(RowWork::Softmax { kind, row: x.shape[axis] }))
    };
    let around = |shape: &[usize], axis: usize| (shape[..axis].iter().product(), shape[axis + 1..].iter().product());
    match op {
        Op::Softmax(op) => softmax(Softmax::Probabilities, op.axis),
        Op::LogSoftmax(op) => softmax(Softmax::Logarithms, op.axis),
        Op::LogSumExp(op) if op.axes.len() == 1 => softmax(Softmax::LogSum, op.axes[0]),
        Op::CumulativeSum(op) => {
            let (outer, inner) = around(&x.shape, op.axis);
            let dims = [outer, x.shape[op.axis], inner];
            Some(row(RowWork::CumulativeSum { dims, reverse: op.reverse, exclusive: op.exclusive }))
        }
        Op::Gather(op) => {
            let row = x.shape[1..].iter().product();
            by_index(IndexWork::GatherRows { row, fill: op.fill.0 }, &operands[1], x)
        }
        Op::ScatterAdd(_) => {
            let row = operands[1].shape[x.shape.len()..].iter().product();
            by_index(IndexWork::ScatterAddRows { row }, x, &operands[1])
        }
        Op::TakeAlong(op) => {
            let (outer, inner) = around(&x.shape, op.axis);
            let along = Along { outer, extent: x.shape[op.axis], inner, picks: operands[1].shape[op.axis] };
            by_index(IndexWork::TakeAlong { along, fill: op.fill.0 }, &operands[1], x)
        }
        Op::PutAlong(op) => {
            let (outer, inner) = around(&x.shape, op.axis);
            let along = Along { outer, extent: op.extent.as_known()?, inner, picks: x.shape[op.axis] };
            by_index(IndexWork::PutAlong { along }, x, &operands[1])
        }
        _ => None,
    }
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

/// Ops that only move elements.
fn copies(op: &Op, operands: &[Operand], shape: &[usize]) -> Option<Routine> {
    if shape.len() > layout::MOST_DIMS {
        return None;
    }
    let to_strides = strides(shape);
    let known = |dims: &[crate::ir::Dim]| -> Option<Vec<usize>> { dims.iter().map(crate::ir::Dim::as_known).collect() };
    let (mut zero, mut parts) = (false, Vec::new());
    match op {
        Op::Transpose(transpose) => {
            let from = strides(&operands[0].shape);
            let axis = |(i, axis): (usize, &usize)| Dim {
                extent: shape[i],
                from: from[*axis] as isize,
                to: to_strides[i] as isize,
            };
            let dims = transpose.permutation.iter().enumerate().map(axis).collect();
            parts.push(CopyPart { from: operands[0].buffer, dims, from_offset: 0, to_offset: 0 });
        }
        Op::Broadcast(broadcast) => {
            let from = strides(&operands[0].shape);
            let step = |axis: usize| broadcast.axes.iter().position(|a| *a == axis).map_or(0, |i| from[i]);
            let axis = |i: usize| Dim { extent: shape[i], from: step(i) as isize, to: to_strides[i] as isize };
            parts.push(CopyPart {
                from: operands[0].buffer,
                dims: (0..shape.len()).map(axis).collect(),
                from_offset: 0,
                to_offset: 0,
            });
        }
        Op::Reverse(reverse) => {
            let from = strides(&operands[0].shape);
            let turned = |i: usize| reverse.axes.contains(&i);
            let axis = |i: usize| Dim {
                extent: shape[i],
                from: if turned(i) { -(from[i] as isize) } else { from[i] as isize },
                to: to_strides[i] as isize,
            };
            let last = |i: usize| if turned(i) { shape[i].saturating_sub(1) * from[i] } else { 0 };
            let dims = (0..shape.len()).map(axis).collect();
            let from_offset = (0..shape.len()).map(last).sum();
            parts.push(CopyPart { from: operands[0].buffer, dims, from_offset, to_offset: 0 });
        }
        Op::Slice(slice) => {
            let from = strides(&operands[0].shape);
            let starts = known(&slice.starts)?;
            let axis = |i: usize| Dim {
                extent: shape[i],
                from: (from[i] * slice.strides[i]) as isize,
                to: to_strides[i] as isize,
            };
            let from_offset = starts.iter().zip(&from).map(|(start, stride)| start * stride).sum();
            let dims = (0..shape.len()).map(axis).collect();
            parts.push(CopyPart { from: operands[0].buffer, dims, from_offset, to_offset: 0 });
        }
        Op::Pad(pad) => {
            zero = true;
            let operand = &operands[0];
            let from = strides(&operand.shape);
            let starts = known(&pad.starts)?;
            let axis = |i: usize| Dim {
                extent: operand.shape[i],
                from: from[i] as isize,
                to: (to_strides[i] * pad.strides[i]) as isize,
            };
            let to_offset = starts.iter().zip(&to_strides).map(|(start, stride)| start * stride).sum();
            let dims = (0..shape.len()).map(axis).collect();
            parts.push(CopyPart { from: operand.buffer, dims, from_offset: 0, to_offset });
        }
        Op::Concat(concat) => {
            let mut start = 0;
            for operand in operands {
                let from = strides(&operand.shape);
                let axis =
                    |i: usize| Dim { extent: operand.shape[i], from: from[i] as isize, to: to_strides[i] as isize };
                let dims = (0..shape.len()).map(axis).collect();
                let to_offset = start * to_strides[concat.axis];
                parts.push(CopyPart { from: operand.buffer, dims, from_offset: 0, to_offset });
                start += operand.shape[concat.axis];
            }
        }
        _ => return None,
    }
    Some(Routine::Copies { parts, zero })
}
