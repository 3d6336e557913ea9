//! Loops in a plan: the nodes of one loop are one step, whose body is a plan of its own.
//!
//! The body's carries are leaves that are read and written as params are between training steps, so the same planner writes
//! them in place where nothing reads the old value later. Slices, constants and stacked outputs are leaves whose place is set
//! before each step. The body's arena is one buffer of the outer plan for each storage, alive during the loop only.

use super::build::plan;
use super::{BufferId, Place, Plan, Storage};
use crate::ir::{Copier, Graph, Node, NodeId, Role};
use crate::ops::{Input, InputKind, LoopResult, Op, Scan};

/// A loop over time.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// one step
    pub step: Plan,
    pub length: usize,
    pub reverse: bool,
    pub carries: Vec<LoopCarry>,
    pub inputs: Vec<LoopInput>,
    /// carries that are copied out before each step, with the buffers that hold all of them
    pub incoming: Vec<(usize, BufferId)>,
    /// buffers of the step that are results of it, with the buffers that hold those of all steps
    pub stacked: Vec<(BufferId, BufferId)>,
    /// the step's arenas of floats and of ints
    pub scratch: [BufferId; 2],
}

/// A value carried from step to step.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopCarry {
    /// its value before the first step
    pub first: BufferId,
    /// where it lives during the loop, and what is left at the end
    pub home: BufferId,
    /// the buffer of the step; none when the step neither reads nor writes it
    pub leaf: Option<BufferId>,
}

/// What a step reads from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopInput {
    pub from: BufferId,
    pub leaf: BufferId,
    /// whether each step reads the next slice, as long as the leaf
    pub is_sequence: bool,
}

impl Loop {
    pub fn reads(&self) -> Vec<BufferId> {
        let first = self.carries.iter().map(|carry| carry.first);
        first.chain(self.inputs.iter().map(|input| input.from)).collect()
    }

    pub fn writes(&self) -> Vec<BufferId> {
        let homes = self.carries.iter().map(|carry| carry.home);
        let results = self.incoming.iter().map(|(_, to)| *to).chain(self.stacked.iter().map(|(_, to)| *to));
        homes.chain(results).chain(self.scratch).collect()
    }

    /// The buffers read, to be replaced.
    pub(super) fn reads_mut(&mut self) -> impl Iterator<Item = &mut BufferId> {
        let first = self.carries.iter_mut().map(|carry| &mut carry.first);
        first.chain(self.inputs.iter_mut().map(|input| &mut input.from))
    }
}

fn carry_name(carry: usize) -> String {
    format!("carry {carry}")
}

fn stacked_name(output: usize) -> String {
    format!("stacked {output}")
}

/// The body as a program whose states are the carries and the stacked outputs.
fn step_graph(scan: &Scan) -> Graph {
    let body = scan.body.graph();
    let mut copier = Copier::new(body);
    for id in body.ids() {
        match body.op(id) {
            Op::Input(Input { kind: InputKind::Port(port), ty }) if *port < scan.carries => {
                let op = Input { kind: InputKind::State, ty: ty.clone() }.into();
                let mut provenance = body.node(id).provenance.clone();
                provenance.name = carry_name(*port).into();
                let copy = copier.target.push(Node { op, ty: ty.clone(), provenance }, &[]);
                copier.set(id, copy);
            }
            _ => {
                copier.copy(id);
            }
        }
    }
    let nodes: Vec<Option<NodeId>> = body.outputs.iter().map(|output| copier.get(output.node)).collect();
    let mut graph = copier.target;
    for (output, node) in nodes.into_iter().enumerate() {
        let name = match output.checked_sub(scan.carries) {
            None => carry_name(output),
            Some(stacked) => stacked_name(stacked),
        };
        graph.add_output(Role::State, name, node.expect("internal: every node is copied"));
    }
    graph
}

/// What the outer planner gives a loop: buffers of operands and of results, and a way to add buffers.
pub(super) struct Surroundings<'s> {
    pub operands: &'s [BufferId],
    pub results: &'s [(LoopResult, BufferId)],
    /// a new buffer of so many elements, alive during the loop
    pub add: &'s mut dyn FnMut(Storage, usize) -> BufferId,
}

/// Plans a loop whose results are those of `around`, and no others. Also gives the floating-point operations of a step and
/// the elements that it moves.
pub(super) fn plan_loop(scan: &Scan, around: Surroundings<'_>) -> (Loop, u64, u64) {
    let Surroundings { operands, results, add } = around;
    let length = scan.length.as_known().unwrap_or(0);
    let step = plan(&step_graph(scan));
    let leaf = |wanted: InputKind, wanted_name: &str| {
        let is_it = |place: &Place| matches!(place, Place::Leaf { kind, name } if *kind == wanted && (**name == *wanted_name || wanted_name.is_empty()));
        step.buffers.iter().position(|buffer| is_it(&buffer.place)).map(BufferId)
    };
    let result = |wanted: LoopResult| results.iter().find(|(result, _)| *result == wanted).map(|(_, buffer)| *buffer);
    let mut carries = Vec::with_capacity(scan.carries);
    for (carry, &first) in operands.iter().enumerate().take(scan.carries) {
        let ty = scan.body.graph().ty(scan.body.output(carry));
        let len = ty.known_shape().unwrap_or_default().iter().product();
        let home = result(LoopResult::Carry(carry)).unwrap_or_else(|| add(Storage::of(ty.dtype), len));
        let leaf = leaf(InputKind::State, &carry_name(carry));
        carries.push(LoopCarry { first, home, leaf });
    }
    let input = |slot: usize| {
        let leaf = leaf(InputKind::Port(slot), "")?;
        let is_sequence = slot < scan.carries + scan.sequences;
        Some(LoopInput { from: operands[slot], leaf, is_sequence })
    };
    let inputs = (scan.carries..operands.len()).filter_map(input).collect();
    let (mut incoming, mut stacked) = (Vec::new(), Vec::new());
    for (result, buffer) in results {
        match result {
            LoopResult::Carry(_) => {}
            LoopResult::Incoming(carry) => incoming.push((*carry, *buffer)),
            LoopResult::Stacked(output) => {
                let leaf = leaf(InputKind::State, &stacked_name(*output));
                stacked.push((leaf.expect("internal: what a step writes has a leaf"), *buffer));
            }
        }
    }
    let scratch = [add(Storage::Float, step.float_len), add(Storage::Int, step.int_len)];
    let flops = step.steps.iter().map(|step| step.flops).sum::<u64>() * length as u64;
    let elements = step.steps.iter().map(|step| step.elements).sum::<u64>() * length as u64;
    (Loop { step, length, reverse: scan.reverse, carries, inputs, incoming, stacked, scratch }, flops, elements)
}

/// Holds a loop against the plan that it stands in; the message says what is wrong.
pub(super) fn check_loop(outer: &Plan, it: &Loop) -> Result<(), String> {
    super::check(&it.step).map_err(|mistake| format!("in its body: {mistake}"))?;
    let inner = |id: BufferId| &it.step.buffers[id.0];
    let around = |id: BufferId| &outer.buffers[id.0];
    let mut bound = vec![0; it.step.buffers.len()];
    let mut same = |leaf: BufferId, other: BufferId, times: usize| {
        bound[leaf.0] += 1;
        let fits = inner(leaf).storage == around(other).storage && inner(leaf).len * times == around(other).len;
        if fits { Ok(()) } else { Err(format!("buffer {} of the body does not fit buffer {}", leaf.0, other.0)) }
    };
    for carry in &it.carries {
        let (first, home) = (around(carry.first), around(carry.home));
        if first.len != home.len || first.storage != home.storage {
            return Err(format!("a carry moves from buffer {} to buffer {}", carry.first.0, carry.home.0));
        }
        if let Some(leaf) = carry.leaf {
            same(leaf, carry.home, 1)?;
        }
    }
    for input in &it.inputs {
        same(input.leaf, input.from, if input.is_sequence { it.length } else { 1 })?;
    }
    for (leaf, to) in &it.stacked {
        same(*leaf, *to, it.length)?;
    }
    for (carry, to) in &it.incoming {
        let home = it.carries.get(*carry).map(|carry| around(carry.home));
        if home.is_none_or(|home| home.len * it.length != around(*to).len || home.storage != around(*to).storage) {
            return Err(format!("carry {carry} does not fit buffer {}", to.0));
        }
    }
    for (buffer, times) in it.step.buffers.iter().zip(bound) {
        let wanted = usize::from(matches!(buffer.place, Place::Leaf { .. }));
        if times != wanted {
            return Err(format!("a buffer of the body has {times} places outside, not {wanted}"));
        }
    }
    let scratch = it.scratch.map(|scratch| around(scratch).len);
    if scratch != [it.step.float_len, it.step.int_len] {
        return Err(format!("{scratch:?} elements for a body of {} and {}", it.step.float_len, it.step.int_len));
    }
    Ok(())
}
