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

use super::footprint::fits;
use super::store::{Carried, StoreError};
use super::{Clock, ExecutorOptions, Feed, Store, Values};
use crate::diag::Diagnostics;
use crate::ir::{Graph, Role};
use crate::ops::Element;
use crate::plan::{BufferId, Plan, plan};
use anabranch_kernels::{Context, Level, Pool};
use kernel::Kernel;
pub(super) use routine::runs_by_definition;
use tables::Tables;

/// A plan with its kernels and memory.
#[derive(Debug)]
pub(super) struct Planned<T: Element> {
    pub plan: Plan,
    kernels: Vec<Kernel<T>>,
    tables: Tables<T>,
    /// the outputs of the graph that are not carried, and where they are after a run
    results: Vec<(usize, BufferId)>,
    pool: std::sync::Arc<Pool>,
    level: Level,
}

impl<T: Element> Planned<T> {
    /// Plans a bound graph and makes it ready to run.
    ///
    /// # Errors
    /// E0702 when the program and what goes with it take more than the options allow.
    ///
    /// # Panics
    /// When the plan's checker finds a mistake in the plan: a bug in the planner.
    pub fn new(
        graph: &Graph,
        options: &ExecutorOptions,
        feeds: &[Feed],
        carried: &[Carried],
    ) -> Result<Self, Diagnostics> {
        let plan = plan(graph);
        fits(&plan, graph, feeds, carried, size_of::<T>(), options.memory)?;
        if let Err(mistake) = crate::plan::check(&plan, graph) {
            panic!("internal: the plan is wrong: {mistake}");
        }
        Self::of(plan, graph, options, feeds, carried)
    }

    /// Makes a plan of a bound graph ready to run, which the plan's checker has accepted.
    pub(super) fn of(
        plan: Plan,
        graph: &Graph,
        options: &ExecutorOptions,
        feeds: &[Feed],
        carried: &[Carried],
    ) -> Result<Self, Diagnostics> {
        let pool = options.pool()?;
        let level = options.level.unwrap_or_else(Level::detect);
        let context = Context { level, pool: &pool };
        let (kernels, workspace) = compile::compile(&plan, &context);
        let tables = Tables::new(&plan, &kernels, workspace, feeds, carried)?;
        let is_carried = |output: usize| matches!(graph.outputs[output].role, Role::Param | Role::State);
        let results = plan.outputs.iter().filter(|output| !is_carried(output.output));
        let results = results.map(|output| (output.output, output.buffer)).collect();
        Ok(Self { plan, kernels, tables, results, pool, level })
    }

    /// Runs the plan once. `after` is called with the number of each step when it is done; `results` are those of the graph's
    /// outputs, of which the carried ones end in the store alone.
    ///
    /// # Errors
    /// When the store lacks a param or state of the program, or has it in another type or shape. Nothing has run then.
    pub fn run(
        &mut self,
        feeds: &mut [Values<T>],
        store: &mut Store<T>,
        clock: Clock,
        mut after: impl FnMut(usize),
        results: &mut [Values<T>],
    ) -> Result<(), StoreError> {
        let resolved = self.tables.resolve(feeds, store, clock);
        if resolved.is_ok() {
            let context = Context { level: self.level, pool: &self.pool };
            for (step, kernel) in self.kernels.iter().enumerate() {
                kernel.run(&context, &mut self.tables);
                after(step);
            }
            for (output, buffer) in &self.results {
                self.tables.copy_out(*buffer, &mut results[*output]);
            }
        }
        self.tables.release();
        resolved
    }
}
