//! An independent proof that a plan computes its graph: replays the plan on a shadow of the memory.
//!
//! The shadow remembers of each stretch which *value* of the graph it holds ([`values`]). A step may read only stretches
//! that hold, whole, the values that the graph says its results are made of: a group's loads by the index map of the
//! views between ([`maps`]), its instructions, sums and what it writes one by one, a kernel's operands under the graph's
//! shapes, the bias and ReLU of a product, a loop by the graph of its step. So every value is the right one, in the right
//! place, at the right time; whatever overwrites, swaps or shifts something leaves the wrong value behind, which the next
//! reader finds. What a step writes may overlap what it reads only where a group says `over`, and then only the very same
//! stretch read element by element ([`memory`]).
//!
//! Takes the graph and the finished plan, and from the plan no more than the claim which node each instruction, kernel
//! and write computes; a false claim is found out like any other mistake. Shares no code with the planner. Near-linear in
//! the size of plan and graph.
//! Does not judge what a plan costs: `flops` and `elements` are for people.

mod groups;
mod kernels;
mod loops;
mod maps;
mod memory;
mod values;

use super::{Buffer, BufferId, Place, Plan, Step, Storage, Work};
use crate::ir::{DType, Graph, NodeId, Output, Role};
use crate::ops::{InputKind, Op};
use memory::{Shadow, overlaps};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use values::{Content, Values};

/// Proves a plan of a bound graph right; the message names the first step that is not.
pub fn check(plan: &Plan, graph: &Graph) -> Result<(), String> {
    let mut checker = Checker::new(plan, graph)?;
    let mut seen = BTreeSet::new();
    for (id, buffer) in plan.buffers.iter().enumerate() {
        if let Place::Leaf { kind, name } = &buffer.place {
            if !seen.insert((*kind, name)) {
                return Err(format!("two buffers are the {} {name}", kind.as_str()));
            }
            checker.bind_leaf(BufferId(id), *kind, name)?;
        }
    }
    let first = checker.leaves.clone();
    checker.replay()?;
    checker.carried(&first)?;
    checker.outputs()
}

/// A plan during the proof.
struct Checker<'p> {
    plan: &'p Plan,
    graph: &'p Graph,
    values: Values<'p>,
    /// what the two arenas hold
    arenas: [Shadow; 2],
    /// what each leaf holds, by its buffer
    leaves: Vec<Option<Content>>,
}

impl<'p> Checker<'p> {
    fn new(plan: &'p Plan, graph: &'p Graph) -> Result<Self, String> {
        for (i, step) in plan.steps.iter().enumerate() {
            let mut ids = step.reads().into_iter().chain(step.writes());
            if let Some(id) = ids.find(|id| id.0 >= plan.buffers.len()) {
                return Err(format!("step {i} ({}): there is no buffer {}", step.name, id.0));
            }
        }
        let leaves = vec![None; plan.buffers.len()];
        Ok(Self { plan, graph, values: Values::of(graph), arenas: Default::default(), leaves })
    }

    fn buffer(&self, id: BufferId) -> &'p Buffer {
        &self.plan.buffers[id.0]
    }

    fn arena(&self, storage: Storage) -> &Shadow {
        &self.arenas[usize::from(storage == Storage::Int)]
    }

    /// Says what a leaf of the graph holds before the first step.
    fn bind_leaf(&mut self, id: BufferId, kind: InputKind, name: &Arc<str>) -> Result<(), String> {
        let Some(leaf) = self.values.leaf(kind, name) else {
            // A param or state may be written and never read.
            let is_next = |output: &Output| carried_kind(output.role) == Some(kind) && output.name == *name;
            let is_known = self.graph.outputs.iter().any(is_next);
            return if is_known { Ok(()) } else { Err(format!("there is no {} {name}", kind.as_str())) };
        };
        let storage = if self.graph.ty(leaf).dtype == DType::F32 { Storage::Float } else { Storage::Int };
        self.has_size(id, leaf, storage).map_err(|mistake| format!("{} {name}: {mistake}", kind.as_str()))?;
        self.leaves[id.0] = Some(Content::Node(leaf));
        Ok(())
    }

    /// Whether a buffer has room for a node's value, and no more, in its storage.
    fn has_size(&self, id: BufferId, node: NodeId, storage: Storage) -> Result<(), String> {
        let (buffer, wanted) = (self.buffer(id), self.values.count(node));
        if buffer.len != wanted {
            return Err(format!("buffer {} has {} elements, the value {wanted}", id.0, buffer.len));
        }
        if buffer.storage != storage {
            return Err(format!("buffer {} is in the storage of the other element type", id.0));
        }
        Ok(())
    }

    /// Runs all steps on the shadow.
    fn replay(&mut self) -> Result<(), String> {
        for (i, step) in self.plan.steps.iter().enumerate() {
            self.step(step).map_err(|mistake| format!("step {i} ({}): {mistake}", step.name))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &'p Step) -> Result<(), String> {
        let results = match &step.work {
            Work::Group(group) => self.group(group)?,
            Work::Kernel { op, operands, bias, result, shape, node } => {
                self.kernel(op, operands, *bias, shape, *node)?;
                self.has_size(*result, *node, Storage::of(self.graph.ty(*node).dtype))?;
                vec![(*result, self.values.content(*node))]
            }
            Work::Loop(work) => self.run_loop(work)?,
            Work::Copy { from, to } => vec![(*to, self.copy(*from, *to)?)],
        };
        overlaps(self.plan, step)?;
        for (to, content) in results {
            self.write(to, content)?;
        }
        Ok(())
    }

    /// What a buffer holds now. An empty one holds every empty value.
    fn read(&self, id: BufferId) -> Result<Content, String> {
        let buffer = self.buffer(id);
        if buffer.len == 0 {
            return Ok(Content::Nothing);
        }
        let held = match &buffer.place {
            Place::Arena { offset } => self.arena(buffer.storage).holds(*offset, buffer.len),
            Place::Leaf { .. } => self.leaves[id.0],
            Place::Constant(value) => Some(Content::of_constant(value)),
        };
        held.ok_or_else(|| format!("reads buffer {} after it was overwritten or before it was written", id.0))
    }

    /// Whether a buffer holds, element by element, the value of a node.
    fn holds(&self, id: BufferId, node: NodeId) -> Result<(), String> {
        let (found, wanted) = (self.read(id)?, self.values.content(node));
        if found == wanted || (found == Content::Nothing && self.values.count(node) == 0) {
            return Ok(());
        }
        Err(format!("buffer {} holds {found:?}, not the value of {node:?}", id.0))
    }

    fn write(&mut self, id: BufferId, content: Content) -> Result<(), String> {
        let buffer = self.buffer(id);
        match &buffer.place {
            Place::Arena { offset } => {
                let limit = if buffer.storage == Storage::Int { self.plan.int_len } else { self.plan.float_len };
                if offset.checked_add(buffer.len).is_none_or(|end| end > limit) {
                    return Err(format!("buffer {} goes beyond the end of its arena, {limit}", id.0));
                }
                self.arenas[usize::from(buffer.storage == Storage::Int)].write(*offset, buffer.len, content);
            }
            Place::Leaf { kind: InputKind::Param | InputKind::State, .. } => self.leaves[id.0] = Some(content),
            Place::Leaf { kind, name } => return Err(format!("writes the {} {name}", kind.as_str())),
            Place::Constant(_) => return Err(format!("writes the constant buffer {}", id.0)),
        }
        Ok(())
    }

    /// A copy keeps the value; bools may go from floats to ints.
    fn copy(&self, from: BufferId, to: BufferId) -> Result<Content, String> {
        let content = self.read(from)?;
        let (source, target) = (self.buffer(from), self.buffer(to));
        if source.len != target.len {
            return Err(format!("copies {} elements to {}", source.len, target.len));
        }
        let is_bool = matches!(content, Content::Node(node) if self.graph.ty(node).dtype == DType::Bool);
        match (source.storage, target.storage) {
            (Storage::Float, Storage::Int) if is_bool => {}
            (a, b) if a == b => {}
            _ => return Err("copies between floats and ints".to_string()),
        }
        Ok(content)
    }

    /// Params and states hold their next values at the end, or their first where the program gives none.
    fn carried(&self, first: &[Option<Content>]) -> Result<(), String> {
        let mut next: BTreeMap<(InputKind, &str), NodeId> = BTreeMap::new();
        for output in &self.graph.outputs {
            if let Some(kind) = carried_kind(output.role) {
                next.insert((kind, &output.name), output.node);
            }
        }
        for (i, buffer) in self.plan.buffers.iter().enumerate() {
            let Place::Leaf { kind, name } = &buffer.place else { continue };
            match next.remove(&(*kind, &**name)) {
                Some(node) => {
                    let storage = if self.graph.ty(node).dtype == DType::F32 { Storage::Float } else { Storage::Int };
                    self.has_size(BufferId(i), node, storage)
                        .and_then(|()| self.holds(BufferId(i), node))
                        .map_err(|mistake| format!("the next {} {name}: {mistake}", kind.as_str()))?;
                }
                None if self.leaves[i] != first[i] => return Err(format!("overwrites the {} {name}", kind.as_str())),
                None => {}
            }
        }
        next.keys().next().map_or(Ok(()), |(kind, name)| Err(format!("the next {} {name} is missing", kind.as_str())))
    }

    /// What is returned is there at the end, every output once.
    fn outputs(&self) -> Result<(), String> {
        let mut is_given = vec![false; self.graph.outputs.len()];
        for planned in &self.plan.outputs {
            let at = planned.output;
            let wanted = self.graph.outputs.get(at).ok_or_else(|| format!("there is no output {at}"))?;
            if planned.buffer.0 >= self.plan.buffers.len() || std::mem::replace(&mut is_given[at], true) {
                return Err(format!("output {at} ({}) has two buffers, or none", wanted.name));
            }
            if carried_kind(wanted.role).is_some() {
                // It is read from its leaf.
                continue;
            }
            let dtype = self.graph.ty(wanted.node).dtype;
            let storage = match dtype {
                DType::Bool => self.buffer(planned.buffer).storage,
                dtype => Storage::of(dtype),
            };
            self.has_size(planned.buffer, wanted.node, storage)
                .and_then(|()| self.holds(planned.buffer, wanted.node))
                .map_err(|mistake| format!("output {at} ({}): {mistake}", wanted.name))?;
        }
        let missing = is_given.iter().position(|given| !given);
        missing.map_or(Ok(()), |at| Err(format!("output {at} ({}) is missing", self.graph.outputs[at].name)))
    }
}

/// The leaf that a result is the next value of.
fn carried_kind(role: Role) -> Option<InputKind> {
    match role {
        Role::Param => Some(InputKind::Param),
        Role::State => Some(InputKind::State),
        Role::Output
        | Role::Loss
        | Role::Metric
        | Role::Weight
        | Role::Sum
        | Role::Objective
        | Role::Term
        | Role::Gradient
        | Role::Observed => None,
    }
}

/// Whether two ops are one.
fn same_op(found: &Op, wanted: &Op) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("computes {}, the graph says {}", found.name(), wanted.name())) }
}
