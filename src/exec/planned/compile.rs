//! Steps of a plan to kernels: extents, strides and workspace worked out once.

use super::kernel::{
    ConvolutionPass, CopyPart, IndexKernel, IndexWork, IntKernel, Kernel, MatrixOperand, PoolPass, RowKernel, RowWork,
};
use super::loops::LoopKernel;
use crate::ir::{DType, TensorType};
use crate::ops::convolution::{ConvolutionAttributes, Windows};
use crate::ops::pooling::PoolAttributes;
use crate::ops::{Element, MatMul, Op};
use crate::plan::{BufferId, Epilogue, Group, Instruction, Operand, Pattern, Plan, Reference, Storage, Work};
use anabranch_kernels::conv::{self, ConvGeometry};
use anabranch_kernels::elementwise::{self, Binary, GroupBuilder, Ternary, Unary, Value};
use anabranch_kernels::gemm::{self, Shape};
use anabranch_kernels::index::Along;
use anabranch_kernels::integers::{Arithmetic, Comparison};
use anabranch_kernels::layout::Dim;
use anabranch_kernels::pooling::{self, PoolGeometry};
use anabranch_kernels::reduce::{Reduction, Softmax};
use anabranch_kernels::{Context, layout};

/// The kernels of a plan's steps, and how many elements of workspace they need at most.
pub(super) fn compile<T: Element>(plan: &Plan, context: &Context<'_>) -> (Vec<Kernel<T>>, usize) {
    let (mut most, mut n_loops) = (0, 0);
    let kernels: Vec<Kernel<T>> = plan
        .steps
        .iter()
        .map(|step| match &step.work {
            Work::Group(group) => compile_group(group, context),
            Work::Copy { from, to } => compile_copy(plan, *from, *to),
            Work::Loop(work) => {
                n_loops += 1;
                Kernel::Loop(Box::new(LoopKernel::new(work, n_loops - 1, context)))
            }
            Work::Kernel { op, operands, epilogue, result, shape } => {
                let storage = plan.buffers[result.0].storage;
                compile_kernel(op, operands, *epilogue, *result, shape, storage, context)
            }
        })
        .inspect(|kernel| most = most.max(workspace(kernel)))
        .collect();
    (kernels, most)
}

fn workspace<T>(kernel: &Kernel<T>) -> usize {
    match kernel {
        Kernel::Group { workspace, .. } | Kernel::Gemm { workspace, .. } | Kernel::Convolution { workspace, .. } => {
            *workspace
        }
        _ => 0,
    }
}

fn compile_copy<T: Element>(plan: &Plan, from: BufferId, to: BufferId) -> Kernel<T> {
    if plan.buffers[from.0].storage == Storage::Float && plan.buffers[to.0].storage == Storage::Int {
        return Kernel::Int(IntKernel::Truncate { from, to });
    }
    let dims = vec![Dim { extent: plan.buffers[to.0].len, from: 1, to: 1 }];
    Kernel::Copies { parts: vec![CopyPart { from, dims, from_offset: 0, to_offset: 0 }], zero: false, to }
}

fn compile_group<T: Element>(group: &Group, context: &Context<'_>) -> Kernel<T> {
    let mut builder = GroupBuilder::<T>::new();
    let loads: Vec<Value> = group
        .loads
        .iter()
        .enumerate()
        .map(|(source, load)| {
            // What a store writes over is read in place, be it a single number.
            let is_replaced = group.stores.iter().any(|store| store.over == Some(source));
            let access = match load.map.pattern() {
                _ if is_replaced => elementwise::Access::Contiguous,
                Pattern::Contiguous => elementwise::Access::Contiguous,
                Pattern::Scalar => elementwise::Access::Scalar,
                Pattern::Cyclic { period } => elementwise::Access::Cyclic { period },
                Pattern::Stretched { inner } => elementwise::Access::Stretched { inner },
                Pattern::Strided(dims) => elementwise::Access::Strided {
                    offset: 0,
                    dims: dims.into_iter().map(|(extent, stride)| (extent, stride as isize)).collect(),
                },
            };
            if load.is_int { builder.load_integers(source, access) } else { builder.load(source, access) }
        })
        .collect();
    let mut values: Vec<Value> = Vec::with_capacity(group.instructions.len());
    for instruction in &group.instructions {
        let operands: Vec<Value> = instruction
            .operands
            .iter()
            .map(|reference| match reference {
                Reference::Load(load) => loads[*load],
                Reference::Constant(value) => builder.constant(T::of(*value)),
                Reference::Instruction(value) => values[*value],
            })
            .collect();
        values.push(instruction_value(&mut builder, instruction, &operands));
    }
    for (destination, store) in group.stores.iter().enumerate() {
        let value = match store.value {
            Reference::Load(load) => loads[load],
            Reference::Constant(value) => builder.constant(T::of(value)),
            Reference::Instruction(value) => values[value],
        };
        match store.sum_inner {
            Some(inner) => builder.store_sum(destination, value, inner),
            None => builder.store(destination, value, store.over.map(|load| loads[load])),
        }
    }
    let program = builder.finish();
    Kernel::Group {
        workspace: program.workspace_len(context, group.n),
        program,
        n: group.n,
        sources: group.loads.iter().map(|load| (load.buffer, load.is_int)).collect(),
        destinations: group.stores.iter().map(|store| store.buffer).collect(),
    }
}

/// One op in the terms of the register machine.
fn instruction_value<T: Element>(
    builder: &mut GroupBuilder<T>,
    instruction: &Instruction,
    operands: &[Value],
) -> Value {
    let unary = match &instruction.op {
        Op::Neg(_) => Some(Unary::Neg),
        Op::Abs(_) => Some(Unary::Abs),
        Op::Sign(_) => Some(Unary::Sign),
        Op::Exp(_) => Some(Unary::Exp),
        Op::Expm1(_) => Some(Unary::Expm1),
        Op::Log(_) => Some(Unary::Log),
        Op::Log1p(_) => Some(Unary::Log1p),
        Op::Sqrt(_) => Some(Unary::Sqrt),
        Op::Rsqrt(_) => Some(Unary::Rsqrt),
        Op::Sin(_) => Some(Unary::Sin),
        Op::Cos(_) => Some(Unary::Cos),
        Op::Tanh(_) => Some(Unary::Tanh),
        Op::Sigmoid(_) => Some(Unary::Sigmoid),
        Op::Softplus(_) => Some(Unary::Softplus),
        Op::Erf(_) => Some(Unary::Erf),
        Op::Floor(_) => Some(Unary::Floor),
        Op::Not(_) => Some(Unary::Not),
        _ => None,
    };
    if let Some(unary) = unary {
        return builder.unary(unary, operands[0]);
    }
    let binary = match &instruction.op {
        Op::Add(_) => Some(Binary::Add),
        Op::Sub(_) => Some(Binary::Sub),
        Op::Mul(_) => Some(Binary::Mul),
        Op::Div(_) => Some(Binary::Div),
        Op::Pow(_) => Some(Binary::Pow),
        Op::Max(_) => Some(Binary::Max),
        Op::Min(_) => Some(Binary::Min),
        Op::Less(_) => Some(Binary::Less),
        Op::LessEqual(_) => Some(Binary::LessEqual),
        Op::Equal(_) => Some(Binary::Equal),
        Op::And(_) => Some(Binary::And),
        Op::Or(_) => Some(Binary::Or),
        _ => None,
    };
    if let Some(binary) = binary {
        // A square is an operation of its own: optimizers' moments are recognised by it.
        if binary == Binary::Mul && operands[0] == operands[1] {
            return builder.unary(Unary::Square, operands[0]);
        }
        return builder.binary(binary, operands[0], operands[1]);
    }
    match &instruction.op {
        Op::Select(_) => builder.ternary(Ternary::Select, operands[0], operands[1], operands[2]),
        Op::Ceil(_) => {
            let negated = builder.unary(Unary::Neg, operands[0]);
            let floor = builder.unary(Unary::Floor, negated);
            builder.unary(Unary::Neg, floor)
        }
        Op::Tan(_) => {
            let (sin, cos) = (builder.unary(Unary::Sin, operands[0]), builder.unary(Unary::Cos, operands[0]));
            builder.binary(Binary::Div, sin, cos)
        }
        // NaN alone differs from itself.
        Op::IsNan(_) => builder.binary(Binary::NotEqual, operands[0], operands[0]),
        Op::Cast(cast) if cast.to == DType::Bool => {
            let zero = builder.constant(T::zero());
            builder.binary(Binary::NotEqual, operands[0], zero)
        }
        // Casts to floats happened when the operand was read; masks are numbers already.
        _ => operands[0],
    }
}

fn compile_kernel<T: Element>(
    op: &Op,
    operands: &[Operand],
    epilogue: Option<Epilogue>,
    to: BufferId,
    shape: &[usize],
    storage: Storage,
    context: &Context<'_>,
) -> Kernel<T> {
    let first = operands.first().map(|operand| operand.buffer);
    let pair = || [operands[0].buffer, operands[1].buffer];
    let kernel = match op {
        Op::MatMul(matmul) => Some(compile_matmul(matmul, operands, epilogue, to, shape, context)),
        Op::Convolution(op) => {
            let geometry = convolution_geometry(&op.attributes, &operands[0].shape, &operands[1].shape);
            let workspace = conv::forward_workspace_len::<T>(context, &geometry);
            let pass = ConvolutionPass::Forward;
            Some(Kernel::Convolution { pass, geometry, operands: pair(), epilogue, to, workspace })
        }
        Op::ConvolutionInputGradient(op) => {
            let geometry = convolution_geometry(&op.attributes, shape, &operands[1].shape);
            let workspace = conv::input_gradient_workspace_len::<T>(context, &geometry);
            Some(Kernel::Convolution {
                pass: ConvolutionPass::InputGradient,
                geometry,
                operands: pair(),
                epilogue: None,
                to,
                workspace,
            })
        }
        Op::ConvolutionKernelGradient(op) => {
            let geometry = convolution_geometry(&op.attributes, &operands[0].shape, shape);
            let workspace = conv::kernel_gradient_workspace_len::<T>(context, &geometry);
            Some(Kernel::Convolution {
                pass: ConvolutionPass::KernelGradient,
                geometry,
                operands: pair(),
                epilogue: None,
                to,
                workspace,
            })
        }
        Op::MaxPool(op) => compile_pool(PoolPass::Max, &op.attributes, &operands[0].shape, operands, to),
        Op::MaxPoolScatter(op) => compile_pool(PoolPass::MaxScatter, &op.attributes, &operands[0].shape, operands, to),
        Op::MaxPoolSelect(op) => compile_pool(PoolPass::MaxSelect, &op.attributes, &operands[0].shape, operands, to),
        Op::AveragePool(op) => compile_pool(PoolPass::Average, &op.attributes, &operands[0].shape, operands, to),
        Op::AveragePoolScatter(op) => compile_pool(PoolPass::AverageScatter, &op.attributes, shape, operands, to),
        Op::Sum(sum) if storage == Storage::Float => compile_reduce(Reduction::Sum, &sum.axes, &operands[0], to),
        Op::MaxReduce(max) => compile_reduce(Reduction::Max, &max.axes, &operands[0], to),
        Op::ArgMax(argmax) if argmax.axis + 1 == operands[0].shape.len() => {
            let work = RowWork::ArgMax { row: operands[0].shape[argmax.axis] };
            first.map(|from| Kernel::Row(RowKernel { work, from, to }))
        }
        Op::Product(product) => compile_reduce(Reduction::Product, &product.axes, &operands[0], to),
        op @ (Op::Softmax(_)
        | Op::LogSoftmax(_)
        | Op::LogSumExp(_)
        | Op::CumulativeSum(_)
        | Op::Gather(_)
        | Op::ScatterAdd(_)
        | Op::TakeAlong(_)
        | Op::PutAlong(_)) => compile_along(op, operands, to),
        Op::Random(random) => {
            let [seed, step] = pair();
            Some(Kernel::Random { op: random.clone(), seed, step, time: operands.get(2).map(|time| time.buffer), to })
        }
        Op::Cast(_) if storage == Storage::Int && operands[0].dtype != DType::I32 => {
            first.map(|from| Kernel::Int(IntKernel::Truncate { from, to }))
        }
        op => compile_integers(op, operands, to).or_else(|| compile_layout(op, operands, to, shape)),
    };
    kernel.unwrap_or_else(|| {
        let dtype = definition_dtype(op, operands, storage);
        let ty = TensorType::new(dtype, shape.iter().map(|extent| crate::ir::Dim::known(*extent)).collect());
        Kernel::Definition { op: op.clone(), operands: operands.to_vec(), to, ty }
    })
}

/// The element type of an op that runs by its definition.
fn definition_dtype(op: &Op, operands: &[Operand], storage: Storage) -> DType {
    let types: Vec<TensorType> = operands
        .iter()
        .map(|o| TensorType::new(o.dtype, o.shape.iter().map(|extent| crate::ir::Dim::known(*extent)).collect()))
        .collect();
    let references: Vec<&TensorType> = types.iter().collect();
    match op.infer(&references) {
        Ok(ty) => ty.dtype,
        Err(_) if storage == Storage::Int => DType::I32,
        Err(_) => DType::F32,
    }
}

fn compile_integers<T: Element>(op: &Op, operands: &[Operand], to: BufferId) -> Option<Kernel<T>> {
    if operands.iter().all(|operand| operand.dtype != DType::I32) {
        return None;
    }
    let comparison = match op {
        Op::Equal(_) => Some(Comparison::Equal),
        Op::Less(_) => Some(Comparison::Less),
        Op::LessEqual(_) => Some(Comparison::LessEqual),
        _ => None,
    };
    if let Some(comparison) = comparison {
        let operands = [operands[0].buffer, operands[1].buffer];
        return Some(Kernel::Int(IntKernel::Compare { comparison, operands, to }));
    }
    let operation = match op {
        Op::Add(_) => Arithmetic::Add,
        Op::Sub(_) => Arithmetic::Sub,
        Op::Mul(_) => Arithmetic::Mul,
        Op::Div(_) => Arithmetic::Div,
        Op::Pow(_) => Arithmetic::Pow,
        Op::Max(_) => Arithmetic::Max,
        Op::Min(_) => Arithmetic::Min,
        Op::Select(_) => {
            let mask = operands[0].buffer;
            let operands = [operands[1].buffer, operands[2].buffer];
            return Some(Kernel::Int(IntKernel::Select { mask, operands, to }));
        }
        _ => return None,
    };
    let operands = [operands[0].buffer, operands[1].buffer];
    Some(Kernel::Int(IntKernel::Arithmetic { operation, operands, to }))
}

fn compile_matmul<T: Element>(
    matmul: &MatMul,
    operands: &[Operand],
    epilogue: Option<Epilogue>,
    to: BufferId,
    shape: &[usize],
    context: &Context<'_>,
) -> Kernel<T> {
    let rank = shape.len();
    let batch: usize = shape[..rank - 2].iter().product();
    let operand = |operand: &Operand, transposed: bool| {
        let (rows, columns) = (operand.shape[rank - 2], operand.shape[rank - 1]);
        let (row_stride, column_stride) = if transposed { (1, columns) } else { (columns, 1) };
        MatrixOperand { buffer: operand.buffer, batch_stride: rows * columns, row_stride, column_stride }
    };
    let x = operand(&operands[0], matmul.transpose_x);
    let y = operand(&operands[1], matmul.transpose_y);
    let inner = operands[0].shape[if matmul.transpose_x { rank - 2 } else { rank - 1 }];
    let shape = Shape { batch, rows: shape[rank - 2], inner, columns: shape[rank - 1] };
    let workspace =
        gemm::workspace_len::<T>(context, shape, (x.row_stride, x.column_stride), (y.row_stride, y.column_stride));
    Kernel::Gemm { shape, x, y, epilogue, to, workspace }
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
fn compile_pool<T: Element>(
    pass: PoolPass,
    attributes: &PoolAttributes,
    x: &[usize],
    operands: &[Operand],
    to: BufferId,
) -> Option<Kernel<T>> {
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
    Some(Kernel::Pool { pass, geometry, operands: operands.iter().map(|operand| operand.buffer).collect(), to })
}

fn compile_reduce<T: Element>(
    reduction: Reduction,
    axes: &[usize],
    operand: &Operand,
    to: BufferId,
) -> Option<Kernel<T>> {
    let mut dims: Vec<(usize, bool)> = Vec::new();
    for (axis, extent) in operand.shape.iter().enumerate() {
        let reduced = axes.contains(&axis);
        match dims.last_mut() {
            Some((last, kind)) if *kind == reduced => *last *= extent,
            _ => dims.push((*extent, reduced)),
        }
    }
    (dims.len() <= 16).then_some(Kernel::Reduce { reduction, dims, from: operand.buffer, to })
}

/// Ops along one axis and by index.
fn compile_along<T: Element>(op: &Op, operands: &[Operand], to: BufferId) -> Option<Kernel<T>> {
    let x = &operands[0];
    let row = |work| Kernel::Row(RowKernel { work, from: x.buffer, to });
    let by_index = |work, indices: &Operand, values: &Operand| {
        Some(Kernel::Index(IndexKernel { work, indices: indices.buffer, values: values.buffer, to }))
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

/// Row-major strides.
fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Ops that only move elements.
fn compile_layout<T: Element>(op: &Op, operands: &[Operand], to: BufferId, shape: &[usize]) -> Option<Kernel<T>> {
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
    Some(Kernel::Copies { parts, zero, to })
}
