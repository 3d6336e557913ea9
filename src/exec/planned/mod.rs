//! Runs a plan: every step by its kernel, on buffers laid out beforehand. The step loop allocates nothing.
//!
//! Takes a plan; [`compile`] gives each step its kernel with extents, strides and workspace worked out once. A run
//! then only looks up where buffers are and calls the kernels in order.
//!
//! This folder hands out parts of the arena to kernels, which needs `unsafe`: the plan's checker has proved that what a
//! step writes overlaps nothing else that it reads or writes, but for results declared `over` an operand.

mod compile;
mod kernel;
mod loops;
mod tables;

use super::{Clock, ExecutorOptions, Store, Values};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::Graph;
use crate::ops::Element;
use crate::plan::{Plan, plan};
use anabranch_kernels::{Context, Level, Pool};
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
    /// # Errors
    /// E0702 when the plan's peak is above the limit.
    ///
    /// # Panics
    /// When the plan's checker finds a mistake in the plan: a bug in the planner.
    pub fn new(graph: &Graph, options: &ExecutorOptions, feeds: &[super::Feed]) -> Result<Self, Diagnostics> {
        let plan = plan(graph);
        fits_memory(&plan, graph, size_of::<T>())?;
        if let Err(mistake) = crate::plan::check(&plan) {
            panic!("internal: the plan is wrong: {mistake}");
        }
        let pool = options.pool();
        let level = options.level.unwrap_or_else(Level::detect);
        let context = Context { level, pool: &pool };
        let (kernels, workspace) = compile::compile(&plan, &context);
        let tables = Tables::new(&plan, &kernels, feeds, workspace);
        Ok(Self { plan, kernels, tables, pool, level })
    }

    /// Runs the plan once. `after` is called with the number of each step when it is done.
    pub fn run(&mut self, feeds: &mut [Values<T>], store: &mut Store<T>, clock: Clock, mut after: impl FnMut(usize)) {
        self.tables.resolve(feeds, store, clock);
        let context = Context { level: self.level, pool: &self.pool };
        for (step, kernel) in self.kernels.iter().enumerate() {
            kernel.run(&context, &mut self.tables);
            after(step);
        }
    }

    /// Copies a buffer's elements into a result.
    pub fn read(&self, buffer: crate::plan::BufferId, result: &mut Values<T>) {
        self.tables.read(buffer, result);
    }
}

/// Bytes of intermediate values beyond which a program is refused before anything is allocated: 64 GiB.
const MEMORY_LIMIT: u64 = 1 << 36;

/// Refuses a plan whose intermediate values do not fit.
fn fits_memory(plan: &Plan, graph: &Graph, float_size: usize) -> Result<(), Diagnostics> {
    let bytes = plan.float_len as u64 * float_size as u64 + plan.int_len as u64 * 4;
    if bytes <= MEMORY_LIMIT {
        return Ok(());
    }
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1u32 << 30));
    let mut finding = Diagnostic::error(Code::E0702, format!("the program needs {} of memory", gib(bytes)))
        .with_note(format!("expected: at most {}", gib(MEMORY_LIMIT)))
        .with_help("take a smaller batch");
    let mut largest: Vec<_> = plan.buffers.iter().collect();
    largest.sort_by_key(|buffer| std::cmp::Reverse(buffer.len));
    for buffer in largest.into_iter().take(3) {
        let node = graph.node(buffer.node);
        let size = gib(buffer.len as u64 * float_size as u64);
        finding = finding.with_note(format!("`{}` is {}, {size}", node.provenance.name, node.ty));
    }
    if let Some(buffer) = plan.buffers.iter().max_by_key(|buffer| buffer.len) {
        finding = finding.at(graph.node(buffer.node).provenance.span, "the largest value");
    }
    Err(finding.into())
}
