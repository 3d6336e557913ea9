//! Builds the plan: units in order, a buffer for every value that outlives its unit, then memory.

use super::group::{Group, Instruction, Load, Reference, Write};
use super::index_map::IndexMap;
use super::loops::{Surroundings, plan_loop};
use super::memory;
use super::order::{Class, Levels, Unit, count, levels, tail_inner, units};
use super::recompute::recompute;
use super::{Bias, Buffer, BufferId, ConstantValue, Operand, Place, Plan, PlannedOutput, Step, Storage, Work};
use crate::ir::{DType, Graph, NodeId, Role};
use crate::ops::{Extents, InputKind, LoopResult, Op, Scan, behind, elementwise};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Plans a bound, simplified graph.
pub fn plan(graph: &Graph) -> Plan {
    let levels = levels(graph);
    let units = units(graph, &levels);
    let mut builder = Planner::new(graph, levels);
    builder.find_stored(&units);
    for unit in &units {
        match unit {
            Unit::Group { n, nodes, tails } => builder.group(*n, nodes, tails),
            Unit::Kernel(id) => builder.kernel(*id),
            Unit::Loop(nodes) => builder.repeat(nodes),
        }
    }
    builder.finish()
}

struct Planner<'g> {
    graph: &'g Graph,
    levels: Levels,
    /// the unit that computes a node
    unit_of: Vec<Option<usize>>,
    /// values that somebody outside their unit reads
    stored: Vec<bool>,
    buffers: Vec<Buffer>,
    /// the buffer of a node's value
    buffer_of: BTreeMap<NodeId, BufferId>,
    steps: Vec<Step>,
    /// bools of leaves as kernels read them
    masks: BTreeMap<BufferId, BufferId>,
}

impl<'g> Planner<'g> {
    fn new(graph: &'g Graph, levels: Levels) -> Self {
        Self {
            graph,
            masks: BTreeMap::new(),
            levels,
            unit_of: vec![None; graph.len()],
            stored: vec![false; graph.len()],
            buffers: Vec::new(),
            buffer_of: BTreeMap::new(),
            steps: Vec::new(),
        }
    }

    /// Which values need memory: those read by another unit, and those that outputs view.
    fn find_stored(&mut self, units: &[Unit]) {
        for (i, unit) in units.iter().enumerate() {
            match unit {
                Unit::Group { nodes, tails, .. } => {
                    for id in nodes.iter().chain(tails) {
                        self.unit_of[id.index()] = Some(i);
                    }
                }
                Unit::Kernel(id) => self.unit_of[id.index()] = Some(i),
                Unit::Loop(nodes) => nodes.iter().for_each(|id| self.unit_of[id.index()] = Some(i)),
            }
        }
        for id in self.graph.ids().filter(|id| self.levels.needed[id.index()]) {
            if matches!(self.levels.class[id.index()], Class::View | Class::Given | Class::Absorbed) {
                continue;
            }
            for operand in self.levels.reading.operands(id) {
                let value = self.levels.views.source(*operand);
                let is_same_unit = self.unit_of[value.index()] == self.unit_of[id.index()];
                if !is_same_unit || !self.levels.views.is_plain(*operand) {
                    self.stored[value.index()] = true;
                }
            }
        }
        for output in &self.graph.outputs {
            let value = self.levels.views.source(output.node);
            self.stored[value.index()] = true;
        }
    }

    fn add_buffer(&mut self, id: NodeId, place: Place) -> BufferId {
        let ty = self.graph.ty(id);
        let storage = match &place {
            // What a loop hands in was computed by the plan around it.
            Place::Leaf { kind: InputKind::Port(_), .. } => Storage::of(ty.dtype),
            Place::Leaf { .. } if ty.dtype == DType::Bool => Storage::Int,
            _ => Storage::of(ty.dtype),
        };
        let buffer = Buffer { storage, len: count(self.graph, id), place, node: id, is_bool: ty.dtype == DType::Bool };
        self.buffers.push(buffer);
        let buffer = BufferId(self.buffers.len() - 1);
        self.buffer_of.insert(id, buffer);
        buffer
    }

    /// The buffer that holds a value, made on first use for leaves and constants.
    fn buffer(&mut self, id: NodeId) -> BufferId {
        let id = self.levels.views.source(id);
        if let Some(buffer) = self.buffer_of.get(&id) {
            return *buffer;
        }
        let node = self.graph.node(id);
        let place = match &node.op {
            Op::Input(input) => Place::Leaf { kind: input.kind, name: node.provenance.name.clone() },
            Op::Constant(constant) => Place::Constant(ConstantValue::Splat(constant.value.0)),
            Op::Size(size) => Place::Constant(ConstantValue::Splat(size.dim.as_known().unwrap_or(0) as f64)),
            Op::Iota(iota) => {
                let extents: Vec<usize> = node.ty.shape.iter().map(|dim| dim.as_known().unwrap_or(0)).collect();
                let inner = extents[iota.axis + 1..].iter().product();
                Place::Constant(ConstantValue::Iota { extent: extents[iota.axis], inner })
            }
            // Offsets are given when all lifetimes are known.
            elementwise!() | behind!() | Op::Random(_) => Place::Arena { offset: 0 },
        };
        self.add_buffer(id, place)
    }

    fn operand(&mut self, id: NodeId) -> Operand {
        let ty = self.graph.ty(id);
        let shape = ty.known_shape().unwrap_or_default();
        Operand { buffer: self.whole(id), shape, dtype: ty.dtype }
    }

    /// The buffer of a value that is read as a whole: bools that are fed or carried become floats first.
    fn whole(&mut self, id: NodeId) -> BufferId {
        let buffer = self.buffer(id);
        if self.graph.ty(id).dtype != DType::Bool || self.buffers[buffer.0].storage == Storage::Float {
            return buffer;
        }
        if let Some(mask) = self.masks.get(&buffer) {
            return *mask;
        }
        let len = self.buffers[buffer.0].len;
        let place = Place::Arena { offset: 0 };
        self.buffers.push(Buffer { storage: Storage::Float, len, place, node: id, is_bool: true });
        let mask = BufferId(self.buffers.len() - 1);
        let group = Group {
            n: len,
            loads: vec![Load { buffer, map: IndexMap::identity(len), is_int: true }],
            instructions: Vec::new(),
            writes: vec![Write { buffer: mask, value: Reference::Load(0), node: id, sum_inner: None, over: None }],
        };
        let name = self.graph.node(id).provenance.name.clone();
        self.steps.push(Step { work: Work::Group(group), name, flops: 0, elements: 2 * len as u64 });
        self.masks.insert(buffer, mask);
        mask
    }

    fn kernel(&mut self, id: NodeId) {
        let fused = self.levels.reading.fused(id);
        let read = self.levels.reading.operands(id).to_vec();
        let mut operands: Vec<Operand> = read.into_iter().map(|operand| self.operand(operand)).collect();
        let result = self.buffer(id);
        // A sum may be a reshaped view of its product.
        let computed = fused.map_or(id, |fused| fused.product);
        let shape = self.graph.ty(computed).known_shape().unwrap_or_default();
        let op = self.graph.op(computed).clone();
        let read: usize = operands.iter().map(|operand| self.buffers[operand.buffer.0].len).sum();
        let elements = (read + self.buffers[result.0].len) as u64;
        let bias = fused.and_then(|fused| operands.pop().map(|bias| Bias { buffer: bias.buffer, relu: fused.relu }));
        let step = Step {
            flops: kernel_flops(&op, &operands, &shape),
            elements,
            name: self.graph.node(id).provenance.name.clone(),
            work: Work::Kernel { op, operands, bias, result, shape, node: id },
        };
        self.steps.push(step);
    }

    /// The nodes of one loop as one step that computes their results and no others.
    fn repeat(&mut self, nodes: &[NodeId]) {
        let graph = self.graph;
        let scans = nodes.iter().filter_map(|id| match graph.op(*id) {
            Op::Scan(scan) => Some(scan),
            _ => None,
        });
        let scans: Vec<&Scan> = scans.collect();
        let mut wanted: Vec<LoopResult> = scans.iter().map(|scan| scan.result).collect();
        wanted.sort_unstable();
        let (narrow, slots) = scans[0].narrowed(&wanted);
        let operands = graph.operands(nodes[0]);
        let operands: Vec<BufferId> = slots.iter().map(|slot| self.whole(operands[*slot])).collect();
        let mut results = Vec::with_capacity(nodes.len());
        for (id, scan) in nodes.iter().zip(&scans) {
            results.push((scan.renumbered(&wanted, scan.result), *id, self.buffer(*id)));
        }
        let node = nodes[0];
        let buffers = &mut self.buffers;
        let mut add = |storage: Storage, len: usize| {
            buffers.push(Buffer { storage, len, place: Place::Arena { offset: 0 }, node, is_bool: false });
            BufferId(buffers.len() - 1)
        };
        let around = Surroundings { operands: &operands, results: &results, add: &mut add };
        let (work, flops, elements) = plan_loop(&narrow, around);
        self.steps.push(Step {
            name: graph.node(node).provenance.name.clone(),
            work: Work::Loop(Box::new(work)),
            flops,
            elements,
        });
    }

    fn group(&mut self, n: usize, nodes: &[NodeId], tails: &[NodeId]) {
        let mut group = Group { n, ..Group::default() };
        let mut at: BTreeMap<NodeId, usize> = BTreeMap::new();
        for &id in nodes {
            let operands = self.levels.reading.operands(id).to_vec();
            let references: Vec<Reference> =
                operands.into_iter().map(|operand| self.reference(&mut group, &at, operand)).collect();
            at.insert(id, group.instructions.len());
            let node = self.graph.node(id);
            group.instructions.push(Instruction {
                op: node.op.clone(),
                operands: references,
                node: id,
                name: node.provenance.name.clone(),
            });
        }
        let stored: Vec<NodeId> = nodes.iter().copied().filter(|id| self.stored[id.index()]).collect();
        for id in stored {
            let buffer = self.buffer(id);
            let value = Reference::Instruction(at[&id]);
            group.writes.push(Write { buffer, value, node: id, sum_inner: None, over: None });
        }
        for &id in tails {
            let value = self.levels.views.source(self.graph.operands(id)[0]);
            let buffer = self.buffer(id);
            let sum_inner = tail_inner(self.graph, id);
            let value = Reference::Instruction(at[&value]);
            group.writes.push(Write { buffer, value, node: id, sum_inner, over: None });
        }
        let loaded: usize = group.loads.iter().map(|load| self.buffers[load.buffer.0].len.min(n)).sum();
        let stored: usize = group.writes.iter().map(|write| self.buffers[write.buffer.0].len).sum();
        self.steps.push(Step {
            flops: (n * (group.instructions.len() + tails.len())) as u64,
            elements: (loaded + stored) as u64,
            name: self.graph.node(nodes[nodes.len() - 1]).provenance.name.clone(),
            work: Work::Group(group),
        });
    }

    /// How an instruction of a group reads an operand.
    fn reference(&mut self, group: &mut Group, at: &BTreeMap<NodeId, usize>, operand: NodeId) -> Reference {
        let source = self.levels.views.source(operand);
        match self.graph.op(source) {
            Op::Constant(constant) => return Reference::Constant(constant.value.0),
            Op::Size(size) => return Reference::Constant(size.dim.as_known().unwrap_or(0) as f64),
            _ => {}
        }
        if let Some(&instruction) = at.get(&source)
            && self.levels.views.is_plain(operand)
        {
            return Reference::Instruction(instruction);
        }
        let map = self.levels.views.map(operand, group.n);
        let buffer = self.buffer(source);
        let load = Load { buffer, map, is_int: self.buffers[buffer.0].storage == Storage::Int };
        let position = group.loads.iter().position(|other| *other == load).unwrap_or_else(|| {
            group.loads.push(load);
            group.loads.len() - 1
        });
        Reference::Load(position)
    }

    fn finish(mut self) -> Plan {
        let outputs: Vec<PlannedOutput> = (0..self.graph.outputs.len())
            .map(|output| PlannedOutput { buffer: self.buffer(self.graph.outputs[output].node), output })
            .collect();
        let mut plan = Plan { buffers: self.buffers, steps: self.steps, outputs, float_len: 0, int_len: 0 };
        recompute(&mut plan);
        let carried = carry(self.graph, &mut plan);
        memory::assign(&mut plan, &carried);
        plan
    }
}

/// Makes next params and states end in their leaves: written in place by the group that computes them where nothing
/// reads the old value later, else copied at the end. Gives the buffers that must stay alive to the end.
fn carry(graph: &Graph, plan: &mut Plan) -> Vec<BufferId> {
    let leaf_of = |plan: &Plan, kind: InputKind, name: &str| {
        plan.buffers
            .iter()
            .position(|buffer| matches!(&buffer.place, Place::Leaf { kind: k, name: n } if *k == kind && **n == *name))
    };
    let mut alive = Vec::new();
    let mut copies = Vec::new();
    for planned in plan.outputs.clone() {
        let output = &graph.outputs[planned.output];
        let kind = match output.role {
            Role::Param => InputKind::Param,
            Role::State => InputKind::State,
            Role::Output
            | Role::Loss
            | Role::Metric
            | Role::Weight
            | Role::Sum
            | Role::Objective
            | Role::Term
            | Role::Gradient
            | Role::Observed => {
                alive.push(planned.buffer);
                continue;
            }
        };
        let leaf = match leaf_of(plan, kind, &output.name) {
            Some(leaf) => BufferId(leaf),
            None => {
                // A value that the program writes but never reads still ends in the store.
                let buffer = &plan.buffers[planned.buffer.0];
                let is_bool = buffer.is_bool;
                plan.buffers.push(Buffer {
                    storage: if is_bool { Storage::Int } else { buffer.storage },
                    len: buffer.len,
                    place: Place::Leaf { kind, name: output.name.clone() },
                    node: output.node,
                    is_bool,
                });
                BufferId(plan.buffers.len() - 1)
            }
        };
        if leaf == planned.buffer {
            continue;
        }
        if !redirect(plan, planned.buffer, leaf) {
            alive.push(planned.buffer);
            copies.push((planned.buffer, leaf, output.name.clone()));
        }
    }
    // Copies come last. What one reads another may write, where a value goes from leaf to leaf, and so may a result that
    // is the old value of a leaf: these are set aside first.
    let written: Vec<BufferId> = copies.iter().map(|(_, to, _)| *to).collect();
    for (from, _, name) in copies.iter_mut().filter(|(from, ..)| written.contains(from)) {
        *from = set_aside(plan, *from, name);
    }
    for at in 0..plan.outputs.len() {
        let PlannedOutput { buffer, output } = plan.outputs[at].clone();
        let output = &graph.outputs[output];
        if !matches!(output.role, Role::Param | Role::State) && written.contains(&buffer) {
            let aside = set_aside(plan, buffer, &output.name);
            plan.outputs[at].buffer = aside;
            alive.push(aside);
        }
    }
    for (from, to, name) in &copies {
        copy(plan, *from, *to, name);
    }
    alive
}

/// A copy of a leaf that keeps its old value.
fn set_aside(plan: &mut Plan, leaf: BufferId, name: &Arc<str>) -> BufferId {
    let aside = Buffer { place: Place::Arena { offset: 0 }, ..plan.buffers[leaf.0].clone() };
    plan.buffers.push(aside);
    let to = BufferId(plan.buffers.len() - 1);
    copy(plan, leaf, to, name);
    to
}

fn copy(plan: &mut Plan, from: BufferId, to: BufferId, name: &Arc<str>) {
    let elements = 2 * plan.buffers[to.0].len as u64;
    plan.steps.push(Step { work: Work::Copy { from, to }, name: name.clone(), flops: 0, elements });
}

/// Lets the step that writes `buffer` write the leaf instead, when that is safe.
fn redirect(plan: &mut Plan, buffer: BufferId, leaf: BufferId) -> bool {
    let is_computed = matches!(plan.buffers[buffer.0].place, Place::Arena { .. });
    if !is_computed || plan.buffers[buffer.0].storage != plan.buffers[leaf.0].storage {
        return false;
    }
    let outputs = plan.outputs.iter().filter(|output| output.buffer == buffer || output.buffer == leaf).count();
    let Some(writer) = plan.steps.iter().position(|step| step.writes().contains(&buffer)) else { return false };
    let read_later = plan.steps[writer + 1..].iter().any(|step| step.reads().contains(&leaf));
    if outputs != 1 || read_later {
        return false;
    }
    let Work::Group(group) = &mut plan.steps[writer].work else {
        // A kernel reads its operands while it writes: it must not read the leaf itself.
        return redirect_kernel(plan, writer, buffer, leaf);
    };
    let reads: Vec<usize> = (0..group.loads.len()).filter(|load| group.loads[*load].buffer == leaf).collect();
    let over = match reads.as_slice() {
        [] => None,
        [load] if group.loads[*load].map.is_identity() => Some(*load),
        _ => return false,
    };
    let Some(write) = group.writes.iter_mut().find(|write| write.buffer == buffer) else { return false };
    if write.sum_inner.is_some() && over.is_some() {
        return false;
    }
    write.buffer = leaf;
    write.over = over;
    replace_reads(plan, buffer, leaf);
    true
}

fn redirect_kernel(plan: &mut Plan, writer: usize, buffer: BufferId, leaf: BufferId) -> bool {
    if plan.steps[writer].reads().contains(&leaf) {
        return false;
    }
    let Work::Kernel { result, .. } = &mut plan.steps[writer].work else { return false };
    *result = leaf;
    replace_reads(plan, buffer, leaf);
    true
}

/// What read the computed value reads the leaf from now on.
fn replace_reads(plan: &mut Plan, buffer: BufferId, leaf: BufferId) {
    for output in plan.outputs.iter_mut().filter(|output| output.buffer == buffer) {
        output.buffer = leaf;
    }
    for step in &mut plan.steps {
        match &mut step.work {
            Work::Group(group) => {
                group.loads.iter_mut().filter(|load| load.buffer == buffer).for_each(|load| load.buffer = leaf);
            }
            Work::Kernel { operands, bias, .. } => {
                operands.iter_mut().filter(|operand| operand.buffer == buffer).for_each(|o| o.buffer = leaf);
                bias.iter_mut().filter(|bias| bias.buffer == buffer).for_each(|bias| bias.buffer = leaf);
            }
            Work::Loop(work) => work.reads_mut().filter(|read| **read == buffer).for_each(|read| *read = leaf),
            Work::Copy { from, .. } if *from == buffer => *from = leaf,
            Work::Copy { .. } => {}
        }
    }
}

/// Floating-point operations of a kernel.
fn kernel_flops(op: &Op, operands: &[Operand], shape: &[usize]) -> u64 {
    let operands: Vec<Vec<usize>> = operands.iter().map(|operand| operand.shape.clone()).collect();
    op.work(Extents { operands: &operands, result: shape }).flops() as u64
}
