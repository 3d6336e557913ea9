//! The shadow of an arena, and what steps may overlap.

use super::super::{BufferId, Place, Plan, Step, Storage, Work};
use super::values::Content;
use std::collections::BTreeMap;

/// What an arena holds: stretches by their start, never overlapping.
#[derive(Default)]
pub(super) struct Shadow(BTreeMap<usize, (usize, Content)>);

impl Shadow {
    /// What a stretch holds, when it is the very stretch that was written last.
    pub fn holds(&self, offset: usize, len: usize) -> Option<Content> {
        self.0.get(&offset).filter(|(held, _)| *held == len).map(|(_, content)| *content)
    }

    pub fn write(&mut self, offset: usize, len: usize, content: Content) {
        if len == 0 {
            return;
        }
        let overlapping: Vec<usize> = self
            .0
            .range(..offset + len)
            .rev()
            .take_while(|(start, (len, _))| **start + *len > offset)
            .map(|(start, _)| *start)
            .collect();
        for start in overlapping {
            self.0.remove(&start);
        }
        self.0.insert(offset, (len, content));
    }
}

/// A stretch of memory: a table, and a range in it. Leaves are tables of their own.
type Stretch = (usize, usize, usize);

fn stretch(plan: &Plan, id: BufferId) -> Option<Stretch> {
    let buffer = &plan.buffers[id.0];
    match &buffer.place {
        _ if buffer.len == 0 => None,
        Place::Arena { offset } => {
            Some((usize::from(buffer.storage == Storage::Int), *offset, offset.saturating_add(buffer.len)))
        }
        Place::Leaf { .. } => Some((2 + id.0, 0, buffer.len)),
        Place::Constant(_) => None,
    }
}

/// Within one step: results apart from each other and, but for `over`, from operands.
pub(super) fn overlaps(plan: &Plan, step: &Step) -> Result<(), String> {
    let (writes, reads) = (step.writes(), step.reads());
    let mut written: Vec<(Stretch, usize)> =
        writes.iter().enumerate().filter_map(|(at, write)| Some((stretch(plan, *write)?, at))).collect();
    written.sort_unstable();
    let shared = |pair: &[(Stretch, usize)]| pair[0].0.0 == pair[1].0.0 && pair[1].0.1 < pair[0].0.2;
    if written.windows(2).any(shared) {
        return Err("two results share memory".to_string());
    }
    let mut is_over: Vec<bool> = writes.iter().map(|_| false).collect();
    for (r, read) in reads.iter().enumerate() {
        let Some(from) = stretch(plan, *read) else { continue };
        // What is written is apart from each other, so it is sorted by its ends as well.
        let first = written.partition_point(|(to, _)| (to.0, to.2) <= (from.0, from.1));
        for (to, w) in written[first..].iter().take_while(|(to, _)| to.0 == from.0 && to.1 < from.2) {
            let allowed = match &step.work {
                Work::Group(group) => {
                    group.writes[*w].over == Some(r)
                        && *to == from
                        && group.loads[r].map.is_identity()
                        && group.writes[*w].sum_inner.is_none()
                }
                Work::Kernel { .. } | Work::Loop(_) | Work::Copy { .. } => false,
            };
            if !allowed {
                return Err("a result overwrites an operand".to_string());
            }
            is_over[*w] = true;
        }
    }
    if let Work::Group(group) = &step.work {
        let wrong = |(write, is_over): (&super::super::Write, &bool)| write.over.is_some() != *is_over;
        if group.writes.iter().zip(&is_over).any(wrong) && group.n > 0 {
            return Err("a result says that it takes the place of an operand that is elsewhere".to_string());
        }
    }
    Ok(())
}
