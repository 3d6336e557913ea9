//! Runs a plan: every step by its kernel, on buffers laid out beforehand. The step loop allocates nothing.
//!
//! Takes a plan; [`compile`] gives each step its kernel with extents, strides and workspace worked out once. A run
//! then only looks up where buffers are and calls the kernels in order.
//!
//! This folder hands out parts of the arena to kernels, which needs `unsafe`: the plan's checker has proved that what a
//! step writes overlaps nothing else that it reads or writes, but for results declared `over` an operand.

mod compile;
mod kernel;
mod tables;

use super::kernels::{Context, Level, Pool};
use super::{Clock, ExecutorOptions, Store, Values};
use crate::ir::Graph;
use crate::ops::Element;
use crate::plan::{Plan, plan};
use kernel::Kernel;
use tables::Tables;

/// A plan with its kernels and memory.
#[derive(Debug)]
pub(super) struct Planned<T: Element> {
    pub plan: Plan,
    kernels: Vec<Kernel<T>>,
    tables: Tables<T>,
    pool: std::sync::Arc<Pool>,
    level: Level,
}

impl<T: Element> Planned<T> {
    /// Plans a bound graph and makes it ready to run.
    ///
    /// # Panics
    /// When the plan's checker finds a mistake in the plan: a bug in the planner.
    pub fn new(graph: &Graph, options: &ExecutorOptions, feeds: &[super::Feed]) -> Self {
        let plan = plan(graph);
        if let Err(mistake) = crate::plan::check(&plan) {
            panic!("internal: the plan is wrong: {mistake}");
        }
        let pool = options.pool();
        let level = Level::detect();
        let context = Context { level, pool: &pool };
        let (kernels, workspace) = compile::compile(&plan, &context);
        let tables = Tables::new(&plan, feeds, workspace);
        Self { plan, kernels, tables, pool, level }
    }

    /// Runs the plan once.
    pub fn run(&mut self, feeds: &mut [Values<T>], store: &mut Store<T>, clock: Clock) {
        self.tables.resolve(feeds, store, clock);
        let context = Context { level: self.level, pool: &self.pool };
        for kernel in &self.kernels {
            kernel.run(&context, &mut self.tables);
        }
    }

    /// Copies a buffer's elements into a result.
    pub fn read(&self, buffer: crate::plan::BufferId, result: &mut Values<T>) {
        self.tables.read(buffer, result);
    }
}
