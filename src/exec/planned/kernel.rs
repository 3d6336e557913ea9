//! The steps of a plan as calls of kernels.

use super::loops::LoopKernel;
use super::tables::Tables;
use crate::ops::{Element, Op, Random, Tensor};
use crate::plan::{BufferId, Operand, Storage};
use anabranch_kernels::conv::{self, ConvGeometry};
use anabranch_kernels::elementwise::{Destination, Program, Source};
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
        epilogue: Option<crate::plan::Epilogue>,
        to: BufferId,
        workspace: usize,
    },
    Convolution {
        pass: ConvolutionPass,
        geometry: ConvGeometry,
        operands: [BufferId; 2],
        epilogue: Option<crate::plan::Epilogue>,
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
    ArgMax {
        row: usize,
        from: BufferId,
        to: BufferId,
    },
    /// strided copies into one result, zeroed first if they do not cover it
    Copies {
        parts: Vec<CopyPart>,
        zero: bool,
        to: BufferId,
    },
    /// along the last axis
    Softmax {
        kind: Softmax,
        row: usize,
        from: BufferId,
        to: BufferId,
    },
    CumulativeSum {
        dims: [usize; 3],
        reverse: bool,
        exclusive: bool,
        from: BufferId,
        to: BufferId,
    },
    GatherRows {
        row: usize,
        fill: f64,
        table: BufferId,
        indices: BufferId,
        to: BufferId,
    },
    ScatterAddRows {
        row: usize,
        indices: BufferId,
        updates: BufferId,
        to: BufferId,
    },
    TakeAlong {
        along: Along,
        fill: f64,
        from: BufferId,
        indices: BufferId,
        to: BufferId,
    },
    PutAlong {
        along: Along,
        indices: BufferId,
        updates: BufferId,
        to: BufferId,
    },
    Random {
        op: Random,
        seed: BufferId,
        step: BufferId,
        time: Option<BufferId>,
        to: BufferId,
    },
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
    SelectInt {
        mask: BufferId,
        operands: [BufferId; 2],
        to: BufferId,
    },
    Truncate {
        from: BufferId,
        to: BufferId,
    },
    /// bools that are carried are stored as ints
    MaskToInt {
        from: BufferId,
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
    /// Runs the step. The plan's checker proved that what it writes is apart from what it reads.
    pub fn run(&self, context: &Context<'_>, tables: &mut Tables<T>) {
        // SAFETY (all blocks of this function): each step's results overlap none of its operands, and nothing else uses
        // the plan's memory while a step runs; groups that write over an operand say so to their program.
        match self {
            Self::Group { .. } => self.run_group(context, tables),
            Self::Gemm { shape, x, y, epilogue, to, workspace } => {
                let matrix = |operand: &MatrixOperand| Matrix {
                    // SAFETY: see above.
                    data: unsafe { tables.floats(operand.buffer) },
                    batch_stride: operand.batch_stride,
                    row_stride: operand.row_stride,
                    column_stride: operand.column_stride,
                };
                let (x, y) = (matrix(x), matrix(y));
                // SAFETY: see above.
                let data = unsafe { tables.floats_mut(*to) };
                let c = MatrixMut { data, batch_stride: shape.rows * shape.columns, row_stride: shape.columns };
                let epilogue = match epilogue {
                    // SAFETY: see above.
                    Some(e) if e.relu => Epilogue::BiasRelu(unsafe { tables.floats(e.bias) }),
                    // SAFETY: see above.
                    Some(e) => Epilogue::Bias(unsafe { tables.floats(e.bias) }),
                    None => Epilogue::None,
                };
                let workspace = &mut tables.workspace[..*workspace];
                gemm::gemm(context, *shape, [x, y], T::zero(), c, epilogue, workspace);
            }
            Self::Convolution { pass, geometry, operands, epilogue, to, workspace } => {
                // SAFETY: see above.
                let (a, b, to) =
                    unsafe { (tables.floats(operands[0]), tables.floats(operands[1]), tables.floats_mut(*to)) };
                // SAFETY: see above.
                let bias = epilogue.map(|epilogue| unsafe { tables.floats(epilogue.bias) });
                let relu = epilogue.is_some_and(|epilogue| epilogue.relu);
                let workspace = &mut tables.workspace[..*workspace];
                match pass {
                    ConvolutionPass::Forward => conv::forward(context, geometry, a, b, (bias, relu), to, workspace),
                    ConvolutionPass::InputGradient => conv::input_gradient(context, geometry, a, b, to, workspace),
                    ConvolutionPass::KernelGradient => conv::kernel_gradient(context, geometry, a, b, to, workspace),
                }
            }
            Self::Pool { pass, geometry, operands, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(operands[0]), tables.floats_mut(*to)) };
                // SAFETY: see above.
                let second = operands.get(1).map_or(x, |buffer| unsafe { tables.floats(*buffer) });
                match pass {
                    PoolPass::Max => pooling::max_forward(context, geometry, x, to),
                    PoolPass::MaxScatter => pooling::max_scatter(context, geometry, x, second, to),
                    PoolPass::MaxSelect => pooling::max_select(context, geometry, x, second, to),
                    PoolPass::Average => pooling::average_forward(context, geometry, x, to),
                    PoolPass::AverageScatter => pooling::average_scatter(context, geometry, x, to),
                }
            }
            Self::Reduce { reduction, dims, from, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(*from), tables.floats_mut(*to)) };
                reduce::reduce(context, *reduction, dims, x, to);
            }
            Self::ArgMax { row, from, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(*from), tables.ints_mut(*to)) };
                reduce::argmax(x, *row, to);
            }
            Self::Copies { parts, zero, to } => run_copies(context.pool, tables, parts, *zero, *to),
            Self::Loop(work) => work.run(context, tables),
            Self::Random { op, seed, step, time, to } => {
                // SAFETY: see above.
                let time = time.map_or(0, |time| unsafe { tables.ints(time) }[0]);
                // SAFETY: see above.
                let (seed, step, to) = unsafe { (tables.ints(*seed), tables.ints(*step), tables.floats_mut(*to)) };
                op.fill(seed[0], step[0], time, to);
            }
            _ => self.run_by_index(context, tables),
        }
    }

    fn run_group(&self, context: &Context<'_>, tables: &mut Tables<T>) {
        let Self::Group { program, n, sources, destinations, workspace } = self else { return };
        let (mut source_table, mut destination_table) =
            (std::mem::take(&mut tables.sources), std::mem::take(&mut tables.destinations));
        source_table.clear();
        destination_table.clear();
        for (buffer, is_int) in sources {
            source_table.push(if *is_int {
                // SAFETY: groups never write ints.
                Source::integers(unsafe { tables.ints(*buffer) })
            } else {
                let (start, len) = tables.raw(*buffer);
                // SAFETY: written only by a store declared over this load; the plan's checker proved it.
                unsafe { Source::shared(start, len) }
            });
        }
        for buffer in destinations {
            let (start, len) = tables.raw(*buffer);
            // SAFETY: as above, and no two stores share memory.
            destination_table.push(unsafe { Destination::shared(start, len) });
        }
        program.run(context, *n, &source_table, &mut destination_table, &mut tables.workspace[..*workspace]);
        (tables.sources, tables.destinations) = (source_table, destination_table);
    }

    fn run_by_index(&self, context: &Context<'_>, tables: &mut Tables<T>) {
        // SAFETY (all blocks of this function): as for `run`.
        match self {
            Self::Compare { comparison, operands, to } => {
                // SAFETY: see above.
                let (x, y, to) =
                    unsafe { (tables.ints(operands[0]), tables.ints(operands[1]), tables.floats_mut(*to)) };
                integers::compare(*comparison, x, y, to);
            }
            Self::Arithmetic { operation, operands, to } => {
                // SAFETY: see above.
                let (x, y, to) = unsafe { (tables.ints(operands[0]), tables.ints(operands[1]), tables.ints_mut(*to)) };
                integers::arithmetic(*operation, x, y, to);
            }
            Self::SelectInt { mask, operands, to } => {
                // SAFETY: see above.
                let (mask, x, y, to) = unsafe {
                    (tables.floats(*mask), tables.ints(operands[0]), tables.ints(operands[1]), tables.ints_mut(*to))
                };
                integers::select(mask, x, y, to);
            }
            Self::Truncate { from, to } | Self::MaskToInt { from, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(*from), tables.ints_mut(*to)) };
                integers::truncate(x, to);
            }
            Self::Softmax { kind, row, from, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(*from), tables.floats_mut(*to)) };
                reduce::softmax(context, *kind, *row, x, to);
            }
            Self::CumulativeSum { dims, reverse, exclusive, from, to } => {
                // SAFETY: see above.
                let (x, to) = unsafe { (tables.floats(*from), tables.floats_mut(*to)) };
                reduce::cumulative_sum(*dims, *reverse, *exclusive, x, to);
            }
            Self::GatherRows { row, fill, table, indices, to } => {
                // SAFETY: see above.
                let (table, at, to) = unsafe { (tables.floats(*table), tables.ints(*indices), tables.floats_mut(*to)) };
                index::gather_rows(*row, table, at, T::of(*fill), to);
            }
            Self::ScatterAddRows { row, indices, updates, to } => {
                // SAFETY: see above.
                let (at, from, to) =
                    unsafe { (tables.ints(*indices), tables.floats(*updates), tables.floats_mut(*to)) };
                index::scatter_add_rows(*row, at, from, to);
            }
            Self::TakeAlong { along, fill, from, indices, to } => {
                // SAFETY: see above.
                let (x, at, to) = unsafe { (tables.floats(*from), tables.ints(*indices), tables.floats_mut(*to)) };
                index::take_along(*along, x, at, T::of(*fill), to);
            }
            Self::PutAlong { along, indices, updates, to } => {
                // SAFETY: see above.
                let (at, from, to) =
                    unsafe { (tables.ints(*indices), tables.floats(*updates), tables.floats_mut(*to)) };
                index::put_along(*along, at, from, to);
            }
            Self::Definition { op, operands, to, ty } => run_definition(tables, op, operands, *to, ty),
            _ => {}
        }
    }
}

fn run_copies<T: Element>(pool: &Pool, tables: &mut Tables<T>, parts: &[CopyPart], zero: bool, to: BufferId) {
    match tables.storage(to) {
        Storage::Float => {
            // SAFETY: a step's result overlaps none of its operands.
            let result = unsafe { tables.floats_mut(to) };
            if zero {
                result.fill(T::zero());
            }
            for part in parts {
                // SAFETY: as above.
                let from = unsafe { tables.floats(part.from) };
                layout::copy_shared(pool, &part.dims, from, part.from_offset, result, part.to_offset);
            }
        }
        Storage::Int => {
            // SAFETY: as above.
            let result = unsafe { tables.ints_mut(to) };
            if zero {
                result.fill(0);
            }
            for part in parts {
                // SAFETY: as above.
                let from = unsafe { tables.ints(part.from) };
                layout::copy_shared(pool, &part.dims, from, part.from_offset, result, part.to_offset);
            }
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
    use crate::exec::Values;
    use crate::ir::DType;
    let tensors: Vec<Tensor<T>> = operands
        .iter()
        .map(|operand| {
            let values = match tables.storage(operand.buffer) {
                // SAFETY: nothing is written while operands are read.
                Storage::Float => Values::Float(unsafe { tables.floats(operand.buffer) }.to_vec()),
                // SAFETY: as above.
                Storage::Int => Values::Int(unsafe { tables.ints(operand.buffer) }.to_vec()),
            };
            match (&values, operand.dtype) {
                (Values::Float(masks), DType::Bool) => {
                    let whole = masks.iter().map(|mask| i32::from(*mask != T::zero())).collect();
                    Values::Int(whole).to_tensor(DType::Bool, &operand.shape)
                }
                _ => values.to_tensor(operand.dtype, &operand.shape),
            }
        })
        .collect();
    let references: Vec<&Tensor<T>> = tensors.iter().collect();
    match op.evaluate(&references, ty) {
        Tensor::Float(array) => {
            // SAFETY: operands are copies by now.
            let result = unsafe { tables.floats_mut(to) };
            result.iter_mut().zip(array.iter()).for_each(|(to, value)| *to = *value);
        }
        Tensor::Bool(array) => {
            // SAFETY: as above.
            let result = unsafe { tables.floats_mut(to) };
            result.iter_mut().zip(array.iter()).for_each(|(to, v)| *to = if *v { T::one() } else { T::zero() });
        }
        Tensor::Int(array) => {
            // SAFETY: as above.
            let result = unsafe { tables.ints_mut(to) };
            result.iter_mut().zip(array.iter()).for_each(|(to, value)| *to = *value);
        }
    }
}
