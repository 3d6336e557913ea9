//! Values that are cheaper to compute again than to keep.
//!
//! Takes a plan before memory is given out. Where a large group loads what an earlier group stored, and sums and products
//! of what it loads anyway give the same value, it computes the value itself; a store that nobody reads any more is
//! dropped. An activation's derivative then reads the activation's operand and its one dear function, and not every
//! step between them. Every load that a group ends with, it began with, so no value lives longer.

use super::{BufferId, Group, IndexMap, Instruction, Load, Plan, Reference, Work, Write};
use crate::ops::Op;

/// Operands of smaller groups stay in the cache.
const LARGE: usize = 16 * 1024;
/// Instructions that may stand in the place of one load.
const MOST_INSTRUCTIONS: usize = 4;

pub(super) fn recompute(plan: &mut Plan) {
    let writers = writers(plan);
    for at in 0..plan.steps.len() {
        let Work::Group(group) = &plan.steps[at].work else { continue };
        if group.n < LARGE {
            continue;
        }
        let mut group = group.clone();
        let before = group.clone();
        while replace_a_load(plan, &writers, at, &mut group) {}
        if group != before {
            plan.steps[at].flops += (group.n * (group.instructions.len() - before.instructions.len())) as u64;
            let read = |group: &Group| elements(plan, group.loads.iter().map(|load| load.buffer), group.n);
            let (old, new) = (read(&before), read(&group));
            plan.steps[at].elements -= old - new;
            plan.steps[at].work = Work::Group(group);
        }
    }
    drop_unread(plan);
}

fn elements(plan: &Plan, buffers: impl Iterator<Item = BufferId>, n: usize) -> u64 {
    buffers.map(|buffer| plan.buffers[buffer.0].len.min(n) as u64).sum()
}

/// For each buffer the group that stores it element by element: its step and the row of its stores.
fn writers(plan: &Plan) -> Vec<Option<(usize, usize)>> {
    let mut writers = vec![None; plan.buffers.len()];
    for (at, step) in plan.steps.iter().enumerate() {
        if let Work::Group(group) = &step.work {
            for (row, write) in group.writes.iter().enumerate().filter(|(_, write)| write.sum_inner.is_none()) {
                writers[write.buffer.0] = Some((at, row));
            }
        }
    }
    writers
}

/// Replaces the first load that can be; whether there was one.
fn replace_a_load(plan: &Plan, writers: &[Option<(usize, usize)>], at: usize, group: &mut Group) -> bool {
    for load in 0..group.loads.len() {
        let Load { buffer, map, is_int: false } = &group.loads[load] else { continue };
        if !map.is_identity() {
            continue;
        }
        let Some((step, row)) = writers[buffer.0].filter(|(step, _)| *step < at) else { continue };
        let Work::Group(writer) = &plan.steps[step].work else { continue };
        let Reference::Instruction(value) = writer.writes[row].value else { continue };
        if writer.n != group.n {
            continue;
        }
        let mut source = Source { writer, group, replaced: load, instructions: Vec::new() };
        if let Some(value) = source.compute(value) {
            let instructions = source.instructions;
            replace(group, load, instructions, value);
            return true;
        }
    }
    false
}

/// A value of an earlier group, made from the loads of a later one.
struct Source<'a> {
    writer: &'a Group,
    group: &'a Group,
    /// the load that is to be replaced
    replaced: usize,
    /// in order; they refer to loads and to one another
    instructions: Vec<Instruction>,
}

impl Source<'_> {
    /// The instruction of the writer, computed again.
    fn compute(&mut self, at: usize) -> Option<Reference> {
        let instruction = &self.writer.instructions[at];
        if !matches!(instruction.op, Op::Add(_) | Op::Sub(_) | Op::Mul(_) | Op::Neg(_)) {
            return None;
        }
        let mut operands = Vec::with_capacity(instruction.operands.len());
        for operand in &instruction.operands {
            operands.push(self.operand(*operand)?);
        }
        if self.instructions.len() == MOST_INSTRUCTIONS {
            return None;
        }
        self.instructions.push(Instruction { operands, ..instruction.clone() });
        Some(Reference::Instruction(self.instructions.len() - 1))
    }

    fn operand(&mut self, operand: Reference) -> Option<Reference> {
        match operand {
            Reference::Constant(_) => Some(operand),
            Reference::Load(load) => self.loaded(&self.writer.loads[load]),
            Reference::Instruction(value) => {
                let is_value =
                    |write: &&Write| write.value == Reference::Instruction(value) && write.sum_inner.is_none();
                let stored = self.writer.writes.iter().find(is_value);
                let map = || IndexMap::identity(self.writer.n);
                let load = stored.map(|write| Load { buffer: write.buffer, map: map(), is_int: false });
                load.and_then(|load| self.loaded(&load)).or_else(|| self.compute(value))
            }
        }
    }

    fn loaded(&self, load: &Load) -> Option<Reference> {
        let found = self.group.loads.iter().position(|other| other == load);
        found.filter(|found| *found != self.replaced).map(Reference::Load)
    }
}

/// Puts instructions in front, and their value in the place of a load.
fn replace(group: &mut Group, load: usize, instructions: Vec<Instruction>, value: Reference) {
    let added = instructions.len();
    let moved = |reference: Reference| match reference {
        Reference::Load(other) if other == load => value,
        Reference::Instruction(other) => Reference::Instruction(other + added),
        other => other,
    };
    for operand in group.instructions.iter_mut().flat_map(|instruction| &mut instruction.operands) {
        *operand = moved(*operand);
    }
    for write in &mut group.writes {
        write.value = moved(write.value);
    }
    group.instructions.splice(0..0, instructions);
    group.loads.remove(load);
    let closed = |reference: &mut Reference| {
        if let Reference::Load(other) = reference {
            *other -= usize::from(*other > load);
        }
    };
    group.instructions.iter_mut().flat_map(|instruction| &mut instruction.operands).for_each(closed);
    group.writes.iter_mut().for_each(|write| closed(&mut write.value));
}

/// Drops element-wise stores of large groups that neither a step nor an output reads.
fn drop_unread(plan: &mut Plan) {
    let mut read = vec![false; plan.buffers.len()];
    let by_steps = plan.steps.iter().flat_map(|step| step.reads());
    for buffer in by_steps.chain(plan.outputs.iter().map(|output| output.buffer)) {
        read[buffer.0] = true;
    }
    for step in &mut plan.steps {
        let Work::Group(group) = &mut step.work else { continue };
        if group.n < LARGE {
            continue;
        }
        let n = group.n as u64;
        let before = group.writes.len();
        group.writes.retain(|write| write.sum_inner.is_some() || read[write.buffer.0]);
        step.elements -= n * (before - group.writes.len()) as u64;
    }
}
