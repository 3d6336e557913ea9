//! The steps of a plan as calls of kernels.

use super::loops::LoopKernel;
use super::tables::{Memory, Tables, View, ViewMut};
use crate::exec::Values;
use crate::ir::DType;
use crate::ops::{Element, Op, Random, Tensor};
use crate::plan::{BufferId, Operand};
use anabranch_kernels::conv::{self, ConvGeometry};
use anabranch_kernels::elementwise::Program;
use anabranch_kernels::gemm::{self, Epilogue, Matrix, MatrixMut, Shape};
use anabranch_kernels::index::{self, Along};
use anabranch_kernels::integers::{self, Arithmetic, Comparison};
use anabranch_kernels::pooling::{self, PoolGeometry};
use anabranch_kernels::reduce::{self, Reduction, Softmax};
use anabranch_kernels::{Context, Pool, layout};

/// One matrix operand: strides of the batch, of rows and of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct MatrixOperand {
    pub buffer: BufferId,
    pub batch_stride: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl MatrixOperand {
    fn matrix<'a, T>(&self, data: View<'a, T>) -> Matrix<'a, T> {
        let Self { batch_stride, row_stride, column_stride, .. } = *self;
        Matrix { data: data.floats(), batch_stride, row_stride, column_stride }
    }
}

/// One strided copy.
#[derive(Clone, Debug)]
pub(super) struct CopyPart {
    pub from: BufferId,
    pub dims: Vec<layout::Dim>,
    pub from_offset: usize,
    pub to_offset: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum ConvolutionPass {
    Forward,
    InputGradient,
    KernelGradient,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum PoolPass {
    Max,
    MaxScatter,
    MaxSelect,
    Average,
    AverageScatter,
}

/// What goes along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowKernel {
    pub work: RowWork,
    pub from: BufferId,
    pub to: BufferId,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum RowWork {
    /// along the last axis
    ArgMax {
        row: usize,
    },
    /// along the last axis
    Softmax {
        kind: Softmax,
        row: usize,
    },
    CumulativeSum {
        dims: [usize; 3],
        reverse: bool,
        exclusive: bool,
    },
}

/// Elements picked from, or put to, where indices say.
#[derive(Clone, Copy, Debug)]
pub(super) struct IndexKernel {
    pub work: IndexWork,
    pub indices: BufferId,
    pub values: BufferId,
    pub to: BufferId,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum IndexWork {
    GatherRows { row: usize, fill: f64 },
    ScatterAddRows { row: usize },
    TakeAlong { along: Along, fill: f64 },
    PutAlong { along: Along },
}

/// Ints, and floats that become ints.
#[derive(Clone, Copy, Debug)]
pub(super) enum IntKernel {
    Compare {
        comparison: Comparison,
        operands: [BufferId; 2],
        to: BufferId,
    },
    Arithmetic {
        operation: Arithmetic,
        operands: [BufferId; 2],
        to: BufferId,
    },
    Select {
        mask: BufferId,
        operands: [BufferId; 2],
        to: BufferId,
    },
    /// towards zero; carried bools, which are 0 and 1, become ints by it too
    Truncate {
        from: BufferId,
        to: BufferId,
    },
}

/// A step, ready to run.
#[derive(Debug)]
pub(super) enum Kernel<T> {
    Group {
        program: Program<T>,
        n: usize,
        sources: Vec<(BufferId, bool)>,
        destinations: Vec<BufferId>,
        workspace: usize,
    },
    Gemm {
        shape: Shape,
        x: MatrixOperand,
        y: MatrixOperand,
        bias: Option<crate::plan::Bias>,
        to: BufferId,
        workspace: usize,
    },
    Convolution {
        pass: ConvolutionPass,
        geometry: ConvGeometry,
        operands: [BufferId; 2],
        bias: Option<crate::plan::Bias>,
        to: BufferId,
        workspace: usize,
    },
    Pool {
        pass: PoolPass,
        geometry: PoolGeometry,
        operands: Vec<BufferId>,
        to: BufferId,
    },
    Reduce {
        reduction: Reduction,
        dims: Vec<(usize, bool)>,
        from: BufferId,
        to: BufferId,
    },
    /// strided copies into one result, zeroed first if they do not cover it
    Copies {
        parts: Vec<CopyPart>,
        zero: bool,
        to: BufferId,
    },
    Row(RowKernel),
    Index(IndexKernel),
    Int(IntKernel),
    Random {
        op: Random,
        seed: BufferId,
        step: BufferId,
        time: Option<BufferId>,
        to: BufferId,
    },
    Loop(Box<LoopKernel<T>>),
    /// an op without a kernel of its own, by its definition; allocates
    Definition {
        op: Op,
        operands: Vec<Operand>,
        to: BufferId,
        ty: crate::ir::TensorType,
    },
}

impl<T: Element> Kernel<T> {
    /// Runs the step.
    pub fn run(&self, context: &Context<'_>, tables: &mut Tables<T>) {
        match self {
            Self::Group { program, n, sources, destinations, workspace } => {
                let memory = tables.group(sources, destinations);
                let workspace = &mut memory.workspace[..*workspace];
                program.run(context, *n, memory.sources, memory.destinations, workspace);
            }
            Self::Gemm { shape, x, y, bias, to, workspace } => {
                let added = bias.map_or(x.buffer, |bias| bias.buffer);
                let memory = tables.step([x.buffer, y.buffer, added], *to);
                run_gemm(context, *shape, [x, y], bias.map(|bias| bias.relu), memory, *workspace);
            }
            Self::Convolution { pass, geometry, operands: [a, b], bias, to, workspace } => {
                let added = bias.map_or(*a, |bias| bias.buffer);
                let memory = tables.step([*a, *b, added], *to);
                let relu = bias.map(|bias| bias.relu);
                run_convolution(context, *pass, geometry, relu, memory, *workspace);
            }
            Self::Pool { pass, geometry, operands, to } => {
                let second = operands.get(1).unwrap_or(&operands[0]);
                run_pool(context, *pass, geometry, tables.step([operands[0], *second], *to));
            }
            Self::Reduce { reduction, dims, from, to } => {
                let Memory { reads: [x], write, .. } = tables.step([*from], *to);
                reduce::reduce(context, *reduction, dims, x.floats(), write.floats());
            }
            Self::Copies { parts, zero, to } => run_copies(context.pool, tables, parts, *zero, *to),
            Self::Row(kernel) => kernel.run(context, tables),
            Self::Index(kernel) => kernel.run(tables),
            Self::Int(kernel) => kernel.run(tables),
            Self::Random { op, seed, step, time, to } => {
                let Memory { reads: [seed, step, at], write, .. } =
                    tables.step([*seed, *step, time.unwrap_or(*step)], *to);
                let time = time.map_or(0, |_| at.ints()[0]);
                op.fill(seed.ints()[0], step.ints()[0], time, write.floats());
            }
            Self::Loop(work) => work.run(context, tables),
            Self::Definition { op, operands, to, ty } => run_definition(tables, op, operands, *to, ty),
        }
    }
}

/// `relu` says whether there is a bias, the last operand, and whether a ReLU follows.
fn run_gemm<T: Element>(
    context: &Context<'_>,
    shape: Shape,
    operands: [&MatrixOperand; 2],
    relu: Option<bool>,
    memory: Memory<'_, T, 3>,
    workspace: usize,
) {
    let [x, y, bias] = memory.reads;
    let data = memory.write.floats();
    let c = MatrixMut { data, batch_stride: shape.rows * shape.columns, row_stride: shape.columns };
    let epilogue = match relu {
        Some(true) => Epilogue::BiasRelu(bias.floats()),
        Some(false) => Epilogue::Bias(bias.floats()),
        None => Epilogue::None,
    };
    let operands = [operands[0].matrix(x), operands[1].matrix(y)];
    gemm::gemm(context, shape, operands, T::zero(), c, epilogue, &mut memory.workspace[..workspace]);
}

/// `relu` as for [`run_gemm`].
fn run_convolution<T: Element>(
    context: &Context<'_>,
    pass: ConvolutionPass,
    geometry: &ConvGeometry,
    relu: Option<bool>,
    memory: Memory<'_, T, 3>,
    workspace: usize,
) {
    let [a, b, bias] = memory.reads.map(View::floats);
    let (to, workspace) = (memory.write.floats(), &mut memory.workspace[..workspace]);
    match pass {
        ConvolutionPass::Forward => {
            let bias = (relu.map(|_| bias), relu.unwrap_or(false));
            conv::forward(context, geometry, a, b, bias, to, workspace);
        }
        ConvolutionPass::InputGradient => conv::input_gradient(context, geometry, a, b, to, workspace),
        ConvolutionPass::KernelGradient => conv::kernel_gradient(context, geometry, a, b, to, workspace),
    }
}

fn run_pool<T: Element>(context: &Context<'_>, pass: PoolPass, geometry: &PoolGeometry, memory: Memory<'_, T, 2>) {
    let [x, second] = memory.reads.map(View::floats);
    let to = memory.write.floats();
    match pass {
        PoolPass::Max => pooling::max_forward(context, geometry, x, to),
        PoolPass::MaxScatter => pooling::max_scatter(context, geometry, x, second, to),
        PoolPass::MaxSelect => pooling::max_select(context, geometry, x, second, to),
        PoolPass::Average => pooling::average_forward(context, geometry, x, to),
        PoolPass::AverageScatter => pooling::average_scatter(context, geometry, x, to),
    }
}

impl RowKernel {
    fn run<T: Element>(&self, context: &Context<'_>, tables: &mut Tables<T>) {
        let Memory { reads: [x], write, .. } = tables.step([self.from], self.to);
        let x = x.floats();
        match self.work {
            RowWork::ArgMax { row } => reduce::argmax(x, row, write.ints()),
            RowWork::Softmax { kind, row } => reduce::softmax(context, kind, row, x, write.floats()),
            RowWork::CumulativeSum { dims, reverse, exclusive } => {
                reduce::cumulative_sum(dims, reverse, exclusive, x, write.floats());
            }
        }
    }
}

impl IndexKernel {
    fn run<T: Element>(&self, tables: &mut Tables<T>) {
        let Memory { reads: [indices, values], write, .. } = tables.step([self.indices, self.values], self.to);
        let (at, values, to) = (indices.ints(), values.floats(), write.floats());
        match self.work {
            IndexWork::GatherRows { row, fill } => index::gather_rows(row, values, at, T::of(fill), to),
            IndexWork::ScatterAddRows { row } => index::scatter_add_rows(row, at, values, to),
            IndexWork::TakeAlong { along, fill } => index::take_along(along, values, at, T::of(fill), to),
            IndexWork::PutAlong { along } => index::put_along(along, at, values, to),
        }
    }
}

impl IntKernel {
    fn run<T: Element>(&self, tables: &mut Tables<T>) {
        match *self {
            Self::Compare { comparison, operands, to } => {
                let Memory { reads: [x, y], write, .. } = tables.step(operands, to);
                integers::compare(comparison, x.ints(), y.ints(), write.floats());
            }
            Self::Arithmetic { operation, operands, to } => {
                let Memory { reads: [x, y], write, .. } = tables.step(operands, to);
                integers::arithmetic(operation, x.ints(), y.ints(), write.ints());
            }
            Self::Select { mask, operands: [x, y], to } => {
                let Memory { reads: [mask, x, y], write, .. } = tables.step([mask, x, y], to);
                integers::select(mask.floats(), x.ints(), y.ints(), write.ints());
            }
            Self::Truncate { from, to } => {
                let Memory { reads: [x], write, .. } = tables.step([from], to);
                integers::truncate(x.floats(), write.ints());
            }
        }
    }
}

fn run_copies<T: Element>(pool: &Pool, tables: &mut Tables<T>, parts: &[CopyPart], zero: bool, to: BufferId) {
    if zero {
        match tables.step([], to).write {
            ViewMut::Float(result) => result.fill(T::zero()),
            ViewMut::Int(result) => result.fill(0),
        }
    }
    for CopyPart { from, dims, from_offset, to_offset } in parts {
        let Memory { reads: [from], write, .. } = tables.step([*from], to);
        match write {
            ViewMut::Float(to) => layout::copy_shared(pool, dims, from.floats(), *from_offset, to, *to_offset),
            ViewMut::Int(to) => layout::copy_shared(pool, dims, from.ints(), *from_offset, to, *to_offset),
        }
    }
}

/// An op by its own definition.
fn run_definition<T: Element>(
    tables: &mut Tables<T>,
    op: &Op,
    operands: &[Operand],
    to: BufferId,
    ty: &crate::ir::TensorType,
) {
    let tensor = |operand: &Operand| {
        let values = match (tables.read(operand.buffer), operand.dtype) {
            (View::Float(masks), DType::Bool) => {
                Values::Int(masks.iter().map(|m| i32::from(*m != T::zero())).collect())
            }
            (View::Float(values), _) => Values::Float(values.to_vec()),
            (View::Int(values), _) => Values::Int(values.to_vec()),
        };
        values.to_tensor(operand.dtype, &operand.shape)
    };
    let tensors: Vec<Tensor<T>> = operands.iter().map(tensor).collect();
    let references: Vec<&Tensor<T>> = tensors.iter().collect();
    let result = op.evaluate(&references, ty);
    let to = tables.step([], to).write;
    match result {
        Tensor::Float(array) => to.floats().iter_mut().zip(array.iter()).for_each(|(to, value)| *to = *value),
        Tensor::Int(array) => to.ints().iter_mut().zip(array.iter()).for_each(|(to, value)| *to = *value),
        Tensor::Bool(array) => {
            let masks = to.floats().iter_mut().zip(array.iter());
            masks.for_each(|(to, value)| *to = if *value { T::one() } else { T::zero() });
        }
    }
}
