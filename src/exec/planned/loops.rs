//! Loops: the kernels of a body, run once for each slice.

use super::compile::compile;
use super::kernel::Kernel;
use super::memory_of;
use super::tables::{Address, Tables};
use crate::diag::Diagnostics;
use crate::ops::Element;
use crate::plan::{BufferId, Loop, Plan};
use anabranch_kernels::Context;

/// A loop, ready to run.
#[derive(Debug)]
pub(super) struct LoopKernel<T> {
    work: Loop,
    kernels: Vec<Kernel<T>>,
    /// elements of workspace that the body's kernels need
    workspace: usize,
    /// position among the loops of its plan
    at: usize,
}

impl<T: Element> LoopKernel<T> {
    pub fn new(work: &Loop, at: usize, context: &Context<'_>) -> Self {
        let (kernels, workspace) = compile(&work.step, context);
        Self { work: work.clone(), kernels, workspace, at }
    }

    /// The memory of the body: its arenas are buffers of the plan that the loop stands in.
    ///
    /// # Errors
    /// E0702 when the system has no memory for it.
    pub fn tables(&self, outer: &Tables<T>) -> Result<Tables<T>, Diagnostics> {
        let arenas = self.work.scratch.map(|scratch| outer.address(scratch));
        Tables::inside(self.plan(), &self.kernels, self.workspace, arenas)
    }

    /// The bytes of the body beside its arenas, which lie in the plan around it.
    pub fn memory(&self) -> u64 {
        let float = size_of::<T>() as u64;
        let arenas = self.plan().float_len as u64 * float + self.plan().int_len as u64 * 4;
        memory_of(self.plan(), &self.kernels, self.workspace).saturating_sub(arenas)
    }

    fn plan(&self) -> &Plan {
        &self.work.step
    }

    /// Runs the loop. Allocates nothing.
    pub fn run(&self, context: &Context<'_>, outer: &mut Tables<T>) {
        let mut inner = outer.loops[self.at].take().expect("internal: a body is back before its loop runs again");
        let work = &self.work;
        for carry in &work.carries {
            outer.copy(outer.address(carry.first), outer.address(carry.home));
            if let Some(leaf) = carry.leaf {
                inner.place(leaf, outer.address(carry.home));
            }
        }
        for input in work.inputs.iter().filter(|input| !input.is_sequence) {
            inner.place(input.leaf, outer.address(input.from));
        }
        for step in 0..work.length {
            let time = if work.reverse { work.length - 1 - step } else { step };
            for input in work.inputs.iter().filter(|input| input.is_sequence) {
                inner.place(input.leaf, self.slice(outer, input.from, time));
            }
            for (leaf, to) in &work.stacked {
                inner.place(*leaf, self.slice(outer, *to, time));
            }
            for (carry, to) in &work.incoming {
                let home = outer.address(work.carries[*carry].home);
                outer.copy(home, self.slice(outer, *to, time));
            }
            for kernel in &self.kernels {
                kernel.run(context, &mut inner);
            }
        }
        outer.loops[self.at] = Some(inner);
    }

    /// The part of a buffer that belongs to a step.
    fn slice(&self, outer: &Tables<T>, buffer: BufferId, time: usize) -> Address {
        outer.address(buffer).part(time, self.work.length)
    }
}
