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
    /// the nodes of the loop, with the buffers of their values
    pub results: Vec<(NodeId, BufferId)>,
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
    pub results: &'s [(LoopResult, NodeId, BufferId)],
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
    let result = |wanted: LoopResult| results.iter().find(|(result, ..)| *result == wanted).map(|(.., buffer)| *buffer);
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
    for (result, _, buffer) in results {
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
    let results = results.iter().map(|(_, node, buffer)| (*node, *buffer)).collect();
    let reverse = scan.reverse;
    (Loop { step, length, reverse, carries, inputs, incoming, stacked, scratch, results }, flops, elements)
}
