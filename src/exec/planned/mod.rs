//! Runs a plan: every step by its kernel, on buffers laid out beforehand. The step loop allocates nothing.
//!
//! Takes a plan; [`compile`] gives each step its kernel with extents, strides and workspace worked out once. A run
//! then only looks up where buffers are and calls the kernels in order.
//!
//! [`tables`] hands out parts of the arena to kernels, the only `unsafe` of this crate.

mod compile;
mod kernel;
mod loops;
mod routine;
#[allow(unsafe_code, reason = "hands out parts of one arena, whose places it compares")]
mod tables;

use super::footprint::{Claim, Footprint, bytes_of, with_largest};
use super::{Bound, Buffers, Clock, Engine, ExecutorOptions, Store, StoreError};
use crate::diag::Diagnostics;
use crate::ir::Role;
use crate::ops::Element;
use crate::plan::{BufferId, Place, Plan, Storage};
use anabranch_kernels::{Context, Level, Pool};
use kernel::Kernel;
pub(super) use routine::runs_by_definition;
use tables::Tables;

/// The kernels of a plan's steps, and their memory.
#[derive(Debug)]
pub(super) struct Planned<T: Element> {
    kernels: Vec<Kernel<T>>,
    tables: Tables<T>,
    /// the outputs of the graph that are not carried, and where they are after a run
    results: Vec<(usize, BufferId)>,
    pool: std::sync::Arc<Pool>,
    level: Level,
    _claim: Claim,
}

/// The bytes of a plan's arenas, constants and workspace, with those of its loops' bodies, and of what an op's definition takes
/// while it runs.
fn memory_of<T: Element>(plan: &Plan, kernels: &[Kernel<T>], workspace: usize) -> u64 {
    let float = size_of::<T>() as u64;
    let size =
        |storage: Storage, len: usize| (len as u64).saturating_mul(if storage == Storage::Int { 4 } else { float });
    let arenas = size(Storage::Float, plan.float_len).saturating_add(size(Storage::Int, plan.int_len));
    let constants = plan.buffers.iter().filter(|buffer| matches!(buffer.place, Place::Constant(_)));
    let constants = constants.map(|buffer| size(buffer.storage, buffer.len)).fold(0, u64::saturating_add);
    let of_kernel = |kernel: &Kernel<T>| match kernel {
        Kernel::Definition { operands, ty, .. } => {
            let operands = operands.iter().map(|operand| bytes_of(operand.dtype, &operand.shape, float as usize));
            let result = bytes_of(ty.dtype, &ty.known_shape().unwrap_or_default(), float as usize);
            operands.fold(result, u64::saturating_add)
        }
        _ => 0,
    };
    let definitions = kernels.iter().map(of_kernel).max().unwrap_or(0);
    let bodies = kernels.iter().filter_map(|kernel| match kernel {
        Kernel::Loop(work) => Some(work.memory()),
        _ => None,
    });
    let all = [size(Storage::Float, workspace), constants, definitions].into_iter().chain(bodies);
    all.fold(arenas, u64::saturating_add)
}

impl<T: Element> Engine<T> for Planned<T> {
    /// Plans the program and gives each step its kernel.
    fn prepare(program: &Bound, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        let plan = program.plan();
        let pool = options.pool()?;
        let level = options.level.unwrap_or_else(Level::detect);
        let context = Context { level, pool: &pool };
        let (kernels, workspace) = compile::compile(plan, &context);
        let float = size_of::<T>();
        let values = memory_of(plan, &kernels, workspace);
        let claim = options.budget().claim(Footprint::around(program, values, float), |finding| {
            let nodes = plan.buffers.iter().map(|buffer| buffer.node);
            with_largest(finding, program.graph(), nodes, float)
        })?;
        let tables = Tables::new(plan, &kernels, workspace, program.feeds(), program.carried())?;
        let is_carried = |output: usize| matches!(program.fetches()[output].role, Role::Param | Role::State);
        let results = plan.outputs.iter().filter(|output| !is_carried(output.output));
        let results = results.map(|output| (output.output, output.buffer)).collect();
        Ok(Self { kernels, tables, results, pool, level, _claim: claim })
    }

    fn run(
        &mut self,
        _: &Bound,
        buffers: Buffers<'_, T>,
        store: &mut Store<T>,
        clock: Clock,
        after: &mut dyn FnMut(usize),
    ) -> Result<(), StoreError> {
        let resolved = self.tables.resolve(buffers.feeds, store, clock);
        if resolved.is_ok() {
            let context = Context { level: self.level, pool: &self.pool };
            for (step, kernel) in self.kernels.iter().enumerate() {
                kernel.run(&context, &mut self.tables);
                after(step);
            }
            for (output, buffer) in &self.results {
                self.tables.copy_out(*buffer, &mut buffers.results[*output]);
            }
        }
        self.tables.release();
        resolved
    }
}
