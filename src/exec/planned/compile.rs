//! Steps of a plan to kernels: extents, strides and workspace worked out once.

use super::kernel::{ConvolutionPass, CopyPart, IntKernel, Kernel, MatrixOperand};
use super::loops::LoopKernel;
use super::routine::{Routine, routine};
use crate::ir::{DType, TensorType};
use crate::ops::{BinaryCode, Element, Op, Pointwise, UnaryCode};
use crate::plan::{Bias, BufferId, Group, Operand, Pattern, Plan, Reference, Storage, Work};
use anabranch_kernels::Context;
use anabranch_kernels::conv;
use anabranch_kernels::elementwise::{self, GroupBuilder, Ternary, Value};
use anabranch_kernels::gemm::{self, Shape};
use anabranch_kernels::layout::Dim;

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
            Work::Kernel { op, operands, bias, result, shape, .. } => {
                let storage = plan.buffers[result.0].storage;
                compile_kernel(op, operands, *bias, *result, shape, storage, context)
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
        // A loop's body has a workspace of its own.
        Kernel::Pool { .. }
        | Kernel::Reduce { .. }
        | Kernel::Copies { .. }
        | Kernel::Row(_)
        | Kernel::Index(_)
        | Kernel::Int(_)
        | Kernel::Random { .. }
        | Kernel::Loop(_)
        | Kernel::Definition { .. } => 0,
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
            let is_replaced = group.writes.iter().any(|write| write.over == Some(source));
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
        let pointwise = instruction.op.pointwise().expect("internal: a group takes what the register machine computes");
        values.push(pointwise_value(&mut builder, &pointwise, &operands));
    }
    for (destination, write) in group.writes.iter().enumerate() {
        let value = match write.value {
            Reference::Load(load) => loads[load],
            Reference::Constant(value) => builder.constant(T::of(value)),
            Reference::Instruction(value) => values[value],
        };
        match write.sum_inner {
            Some(inner) => builder.store_sum(destination, value, inner),
            None => builder.store(destination, value, write.over.map(|load| loads[load])),
        }
    }
    let program = builder.finish();
    Kernel::Group {
        workspace: program.workspace_len(context, group.n),
        program,
        n: group.n,
        sources: group.loads.iter().map(|load| (load.buffer, load.is_int)).collect(),
        destinations: group.writes.iter().map(|write| write.buffer).collect(),
    }
}

/// An op in the operations of the register machine.
fn pointwise_value<T: Element>(builder: &mut GroupBuilder<T>, pointwise: &Pointwise, operands: &[Value]) -> Value {
    match pointwise {
        Pointwise::Operand(slot) => operands[*slot],
        Pointwise::Number(number) => builder.constant(T::of(*number)),
        Pointwise::Unary(code, x) => {
            let x = pointwise_value(builder, x, operands);
            builder.unary(*code, x)
        }
        Pointwise::Binary(code, sides) => {
            let [x, y] = sides.map(|side| pointwise_value(builder, side, operands));
            // A square is an operation of its own: optimizers' moments are recognised by it.
            if *code == BinaryCode::Mul && x == y {
                return builder.unary(UnaryCode::Square, x);
            }
            builder.binary(*code, x, y)
        }
        Pointwise::Select(parts) => {
            let [mask, x, y] = parts.map(|part| pointwise_value(builder, part, operands));
            builder.ternary(Ternary::Select, mask, x, y)
        }
    }
}

fn compile_kernel<T: Element>(
    op: &Op,
    operands: &[Operand],
    bias: Option<Bias>,
    to: BufferId,
    shape: &[usize],
    storage: Storage,
    context: &Context<'_>,
) -> Kernel<T> {
    let buffer = |operand: usize| operands[operand].buffer;
    match routine(op, operands, to, shape, storage) {
        Routine::MatMul(transposed) => compile_matmul(transposed, operands, bias, to, shape, context),
        Routine::Convolution { pass, geometry } => {
            let workspace = match pass {
                ConvolutionPass::Forward => conv::forward_workspace_len::<T>(context, &geometry),
                ConvolutionPass::InputGradient => conv::input_gradient_workspace_len::<T>(context, &geometry),
                ConvolutionPass::KernelGradient => conv::kernel_gradient_workspace_len::<T>(context, &geometry),
            };
            Kernel::Convolution { pass, geometry, operands: [buffer(0), buffer(1)], bias, to, workspace }
        }
        Routine::Pool { pass, geometry } => {
            Kernel::Pool { pass, geometry, operands: operands.iter().map(|operand| operand.buffer).collect(), to }
        }
        Routine::Reduce { reduction, dims } => Kernel::Reduce { reduction, dims, from: buffer(0), to },
        Routine::Row(kernel) => Kernel::Row(kernel),
        Routine::Index(kernel) => Kernel::Index(kernel),
        Routine::Int(kernel) => Kernel::Int(kernel),
        Routine::Copies { parts, zero } => Kernel::Copies { parts, zero, to },
        Routine::Random(op) => {
            let time = operands.get(2).map(|time| time.buffer);
            Kernel::Random { op, seed: buffer(0), step: buffer(1), time, to }
        }
        Routine::Definition => {
            let dtype = definition_dtype(op, operands, storage);
            let ty = TensorType::new(dtype, shape.iter().map(|extent| crate::ir::Dim::known(*extent)).collect());
            Kernel::Definition { op: op.clone(), operands: operands.to_vec(), to, ty }
        }
    }
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

fn compile_matmul<T: Element>(
    [transpose_x, transpose_y]: [bool; 2],
    operands: &[Operand],
    bias: Option<Bias>,
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
    let x = operand(&operands[0], transpose_x);
    let y = operand(&operands[1], transpose_y);
    let inner = operands[0].shape[if transpose_x { rank - 2 } else { rank - 1 }];
    let shape = Shape { batch, rows: shape[rank - 2], inner, columns: shape[rank - 1] };
    let workspace =
        gemm::workspace_len::<T>(context, shape, (x.row_stride, x.column_stride), (y.row_stride, y.column_stride));
    Kernel::Gemm { shape, x, y, bias, to, workspace }
}
