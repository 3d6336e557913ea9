//! Memory plan: gives every intermediate value a place in the arena of its storage.
//!
//! Takes a plan whose steps are in order; fills in offsets and arena lengths. Establishes: values alive at the same
//! step never overlap, except a group's result that takes over the memory of an operand that ends there and is read
//! element by element. `check` proves this afterwards with nothing from this file.
//! Method: a walk over the steps with a list of free stretches, best fit, neighbours joined; near-linear.
//! Leaves and constants are not planned: they outlive the run.

use super::{BufferId, Place, Plan, Storage, Work};

/// Offsets are multiples of this many elements: 64 bytes of f32, a cache line.
const ALIGNMENT: usize = 16;

/// A stretch of free memory.
#[derive(Clone, Copy, Debug)]
struct Free {
    offset: usize,
    len: usize,
}

/// One arena during the walk.
#[derive(Debug, Default)]
struct Arena {
    free: Vec<Free>,
    end: usize,
}

impl Arena {
    fn take(&mut self, len: usize) -> usize {
        let len = len.next_multiple_of(ALIGNMENT);
        let fits = |free: &&Free| free.len >= len;
        let best = self.free.iter().filter(fits).min_by_key(|free| (free.len, free.offset)).map(|free| free.offset);
        if let Some(offset) = best
            && let Some(at) = self.free.iter().position(|free| free.offset == offset)
        {
            let free = &mut self.free[at];
            free.offset += len;
            free.len -= len;
            if free.len == 0 {
                self.free.remove(at);
            }
            return offset;
        }
        // A free stretch at the end is made longer rather than left behind.
        let offset = match self.free.last() {
            Some(last) if last.offset + last.len == self.end => {
                let offset = last.offset;
                self.free.pop();
                offset
            }
            _ => self.end,
        };
        self.end = offset + len;
        offset
    }

    fn give_back(&mut self, offset: usize, len: usize) {
        let len = len.next_multiple_of(ALIGNMENT);
        let at = self.free.partition_point(|free| free.offset < offset);
        self.free.insert(at, Free { offset, len });
        if at + 1 < self.free.len() && offset + len == self.free[at + 1].offset {
            self.free[at].len += self.free[at + 1].len;
            self.free.remove(at + 1);
        }
        if at > 0 && self.free[at - 1].offset + self.free[at - 1].len == self.free[at].offset {
            self.free[at - 1].len += self.free[at].len;
            self.free.remove(at);
        }
    }
}

/// Gives every arena buffer its offset. Buffers in `alive` are kept to the end.
pub(super) fn assign(plan: &mut Plan, alive: &[BufferId]) {
    const NEVER: usize = usize::MAX;
    let mut last_use = vec![0; plan.buffers.len()];
    for (i, step) in plan.steps.iter().enumerate() {
        for buffer in step.reads().into_iter().chain(step.writes()) {
            last_use[buffer.0] = i;
        }
    }
    for buffer in alive {
        last_use[buffer.0] = NEVER;
    }
    let mut placed = vec![false; plan.buffers.len()];
    let mut arenas = [Arena::default(), Arena::default()];
    let index = |storage: Storage| usize::from(storage == Storage::Int);
    for i in 0..plan.steps.len() {
        let taken_over = take_over(plan, i, &last_use, &mut placed);
        let writes = plan.steps[i].writes();
        for buffer in &writes {
            if !is_arena(plan, *buffer) || std::mem::replace(&mut placed[buffer.0], true) {
                continue;
            }
            let (storage, len) = (plan.buffers[buffer.0].storage, plan.buffers[buffer.0].len);
            let offset = arenas[index(storage)].take(len);
            plan.buffers[buffer.0].place = Place::Arena { offset };
        }
        let mut ended: Vec<BufferId> = plan.steps[i].reads().into_iter().chain(writes).collect();
        ended.sort_unstable();
        ended.dedup();
        for buffer in ended.into_iter().filter(|buffer| last_use[buffer.0] == i && !taken_over.contains(buffer)) {
            if let Place::Arena { offset } = plan.buffers[buffer.0].place {
                arenas[index(plan.buffers[buffer.0].storage)].give_back(offset, plan.buffers[buffer.0].len);
            }
        }
    }
    plan.float_len = arenas[0].end;
    plan.int_len = arenas[1].end;
}

fn is_arena(plan: &Plan, buffer: BufferId) -> bool {
    matches!(plan.buffers[buffer.0].place, Place::Arena { .. })
}

/// Lets results of a group take the memory of operands that end there. Gives the operands whose memory went on.
fn take_over(plan: &mut Plan, step: usize, last_use: &[usize], placed: &mut [bool]) -> Vec<BufferId> {
    let mut taken = Vec::new();
    let Work::Group(group) = &plan.steps[step].work else { return taken };
    let mut changes: Vec<(usize, usize)> = Vec::new();
    for (w, write) in group.writes.iter().enumerate() {
        // A group of one element reads numbers, which are computed with once and not in place.
        if group.n == 1
            || write.over.is_some()
            || write.sum_inner.is_some()
            || !is_arena(plan, write.buffer)
            || placed[write.buffer.0]
        {
            continue;
        }
        let len = plan.buffers[write.buffer.0].len;
        let candidate = group.loads.iter().enumerate().find(|(_, load)| {
            let buffer = &plan.buffers[load.buffer.0];
            load.map.is_identity()
                && !load.is_int
                && is_arena(plan, load.buffer)
                && buffer.len == len
                && last_use[load.buffer.0] == step
                && !taken.contains(&load.buffer)
                && group.loads.iter().filter(|other| other.buffer == load.buffer).count() == 1
        });
        if let Some((l, load)) = candidate {
            taken.push(load.buffer);
            changes.push((w, l));
        }
    }
    for (w, l) in changes {
        let Work::Group(group) = &mut plan.steps[step].work else { continue };
        group.writes[w].over = Some(l);
        let (to, from) = (group.writes[w].buffer, group.loads[l].buffer);
        plan.buffers[to.0].place = plan.buffers[from.0].place.clone();
        placed[to.0] = true;
    }
    taken
}
