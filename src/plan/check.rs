//! An independent proof that a plan's memory is right: replays the plan on a shadow of the memory.
//!
//! The shadow remembers which buffer last wrote each stretch. A step may read a buffer only where the shadow still
//! holds it, whole; what it writes may overlap what it reads only where a group says `over`, and then only the very
//! same stretch read element by element. Uses nothing of the planner but the finished plan.

use super::loops::check_loop;
use super::{BufferId, Place, Plan, Storage, Work};
use std::collections::BTreeMap;

/// Who holds what: stretches by their start, per storage, never overlapping.
#[derive(Default)]
struct Shadow(BTreeMap<usize, (usize, BufferId)>);

impl Shadow {
    fn holds(&self, offset: usize, len: usize, buffer: BufferId) -> bool {
        len == 0 || self.0.get(&offset) == Some(&(len, buffer))
    }

    fn write(&mut self, offset: usize, len: usize, buffer: BufferId) {
        if len == 0 {
            return;
        }
        let overlapping: Vec<usize> = self
            .0
            .range(..offset + len)
            .rev()
            .take_while(|(start, (len, _))| **start + *len > offset || **start >= offset)
            .map(|(start, _)| *start)
            .collect();
        for start in overlapping {
            self.0.remove(&start);
        }
        self.0.insert(offset, (len, buffer));
    }
}

/// Proves the memory of a plan right; the message names the first step that is not.
pub fn check(plan: &Plan) -> Result<(), String> {
    let mut shadows = [Shadow::default(), Shadow::default()];
    let mut written_leaves: Vec<BufferId> = Vec::new();
    let which = |storage: Storage| usize::from(storage == Storage::Int);
    for (i, step) in plan.steps.iter().enumerate() {
        let fail = |what: String| Err(format!("step {i} ({}): {what}", step.name));
        for id in step.reads() {
            let buffer = &plan.buffers[id.0];
            if let Place::Arena { offset } = buffer.place
                && !shadows[which(buffer.storage)].holds(offset, buffer.len, id)
            {
                return fail(format!("reads buffer {} after it was overwritten or before it was written", id.0));
            }
        }
        for id in step.writes() {
            let buffer = &plan.buffers[id.0];
            let end = match &buffer.place {
                Place::Arena { offset } => offset + buffer.len,
                Place::Leaf { .. } => {
                    if written_leaves.contains(&id) {
                        return fail(format!("writes the carried buffer {} twice", id.0));
                    }
                    written_leaves.push(id);
                    continue;
                }
                Place::Constant(_) => return fail(format!("writes the constant buffer {}", id.0)),
            };
            let limit = if buffer.storage == Storage::Int { plan.int_len } else { plan.float_len };
            if end > limit {
                return fail(format!("buffer {} ends at {end}, the arena at {limit}", id.0));
            }
        }
        if let Work::Loop(work) = &step.work
            && let Err(mistake) = check_loop(plan, work)
        {
            return fail(mistake);
        }
        overlaps(plan, i)?;
        for id in step.writes() {
            let buffer = &plan.buffers[id.0];
            if let Place::Arena { offset } = buffer.place {
                shadows[which(buffer.storage)].write(offset, buffer.len, id);
            }
        }
    }
    for output in &plan.outputs {
        let buffer = &plan.buffers[output.buffer.0];
        if let Place::Arena { offset } = buffer.place
            && !shadows[which(buffer.storage)].holds(offset, buffer.len, output.buffer)
        {
            return Err(format!("output {} is overwritten before the end", output.output));
        }
    }
    Ok(())
}

/// The stretch of memory of a buffer: a table and a range. Leaves are tables of their own.
fn stretch(plan: &Plan, id: BufferId) -> Option<(usize, usize, usize)> {
    let buffer = &plan.buffers[id.0];
    match &buffer.place {
        _ if buffer.len == 0 => None,
        Place::Arena { offset } => Some((usize::from(buffer.storage == Storage::Int), *offset, *offset + buffer.len)),
        Place::Leaf { .. } => Some((2 + id.0, 0, buffer.len)),
        Place::Constant(_) => None,
    }
}

fn overlap(a: (usize, usize, usize), b: (usize, usize, usize)) -> bool {
    a.0 == b.0 && a.1 < b.2 && b.1 < a.2
}

/// Within one step: results apart from each other and, but for `over`, from operands.
fn overlaps(plan: &Plan, step: usize) -> Result<(), String> {
    let name = &plan.steps[step].name;
    let writes = plan.steps[step].writes();
    let reads = plan.steps[step].reads();
    for (w, write) in writes.iter().enumerate() {
        let Some(to) = stretch(plan, *write) else { continue };
        if writes[..w].iter().filter_map(|other| stretch(plan, *other)).any(|other| overlap(to, other)) {
            return Err(format!("step {step} ({name}): two results share memory"));
        }
        for (r, read) in reads.iter().enumerate() {
            let Some(from) = stretch(plan, *read) else { continue };
            if !overlap(to, from) {
                continue;
            }
            let allowed = match &plan.steps[step].work {
                Work::Group(group) => {
                    group.stores[w].over == Some(r)
                        && to == from
                        && group.loads[r].map.is_identity()
                        && group.stores[w].sum_inner.is_none()
                }
                _ => false,
            };
            if !allowed {
                return Err(format!("step {step} ({name}): a result overwrites an operand"));
            }
        }
    }
    Ok(())
}
