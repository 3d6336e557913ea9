//! A program on the steps on which the clock says that something is not due.
//!
//! Takes a bound graph. Looks for the condition of a choice (`where`) that the clock alone decides, and that spares much
//! arithmetic when it is known: the gradients of the single losses, where a combiner's weights are found anew every ten steps.
//! Gives the condition as a program of the clock, and the whole program with the condition's value put in. What the other choice
//! alone needs is then needed no longer, so simplification takes it out. Both programs have the same outputs.

use crate::ir::{Copier, DType, Graph, Node, NodeId, Role, TensorType};
use crate::ops::{Constant, Extents, InputKind, Op, Scalar, Work};

/// Two programs for one, by a condition of the clock.
#[derive(Clone, Debug)]
pub struct Rest {
    /// (clock) → the condition, as the metric `due`
    pub condition: Graph,
    /// the value of the condition under which `graph` stands for the whole
    pub holds: bool,
    pub graph: Graph,
}

/// A part of the arithmetic that is worth a program of its own.
const WORTH: f64 = 0.1;

/// The program for the steps on which most is spared, if that is worth it.
pub fn rest(graph: &Graph) -> Option<Rest> {
    let found = conditions(graph);
    if found.is_empty() {
        return None;
    }
    let work: Vec<f64> = graph.ids().map(|id| flops(graph, id)).collect();
    let total: f64 = work.iter().sum();
    let spared = |condition: NodeId, holds: bool| {
        let needed = needed(graph, condition, holds);
        work.iter().zip(&needed).filter(|(_, needed)| !**needed).map(|(work, _)| work).sum::<f64>()
    };
    let cases = found.into_iter().flat_map(|condition| [(condition, false), (condition, true)]);
    let cases = cases.map(|(condition, holds)| (condition, holds, spared(condition, holds)));
    // Of equals the first, so that the choice is the same on every run.
    let best = cases.reduce(|best, next| if next.2 > best.2 { next } else { best })?;
    let (condition, holds, spared) = best;
    (spared > WORTH * total).then(|| Rest {
        condition: alone(graph, condition),
        holds,
        graph: with(graph, condition, holds),
    })
}

/// The bools that the clock alone decides and that a choice is made by.
fn conditions(graph: &Graph) -> Vec<NodeId> {
    let mut of_clock = vec![false; graph.len()];
    let mut fixed = vec![false; graph.len()];
    for id in graph.ids() {
        let operands = graph.operands(id);
        let known = |id: &NodeId| of_clock[id.index()] || fixed[id.index()];
        (of_clock[id.index()], fixed[id.index()]) = match graph.op(id) {
            Op::Input(input) => (is_clock(input.kind), false),
            Op::Constant(_) => (false, true),
            Op::Random(_) => (false, false),
            _ if operands.is_empty() || !operands.iter().all(known) => (false, false),
            _ => {
                let moves = operands.iter().any(|operand| of_clock[operand.index()]);
                (moves, !moves)
            }
        };
    }
    let mut found = Vec::new();
    for id in graph.ids() {
        if let Op::Select(_) = graph.op(id) {
            let condition = source(graph, graph.operands(id)[0]);
            if of_clock[condition.index()] && graph.ty(condition).is_scalar() && !found.contains(&condition) {
                found.push(condition);
            }
        }
    }
    found
}

fn is_clock(kind: InputKind) -> bool {
    use InputKind::{Epoch, EpochEnd, Epochs, Step, StepsPerEpoch, TotalSteps};
    matches!(kind, Step | Epoch | EpochEnd | Epochs | StepsPerEpoch | TotalSteps)
}

/// What a condition is before it is spread to a shape.
fn source(graph: &Graph, mut id: NodeId) -> NodeId {
    while let Op::Broadcast(_) | Op::Reshape(_) = graph.op(id) {
        id = graph.operands(id)[0];
    }
    id
}

/// What the outputs need where the condition is known.
fn needed(graph: &Graph, condition: NodeId, holds: bool) -> Vec<bool> {
    let mut needed = vec![false; graph.len()];
    let mut stack: Vec<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut needed[id.index()], true) {
            continue;
        }
        let operands = graph.operands(id);
        match graph.op(id) {
            Op::Select(_) if source(graph, operands[0]) == condition => stack.push(operands[if holds { 1 } else { 2 }]),
            _ => stack.extend(graph.read_by(id)),
        }
    }
    needed
}

/// Floating-point operations; of a loop those of all its steps.
fn flops(graph: &Graph, id: NodeId) -> f64 {
    let shape = |id: NodeId| graph.ty(id).known_shape().unwrap_or_default();
    let operands: Vec<Vec<usize>> = graph.operands(id).into_iter().map(shape).collect();
    match graph.op(id).work(Extents { operands: &operands, result: &shape(id) }) {
        Work::Loop { body, length } => {
            let step: f64 = body.ids().map(|id| flops(body, id)).sum();
            step * length.as_known().unwrap_or(1) as f64
        }
        work => work.flops(),
    }
}

/// The condition as a program of its own.
fn alone(graph: &Graph, condition: NodeId) -> Graph {
    let needed = graph.slice_back([condition]);
    let mut copier = Copier::new(graph);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        copier.copy(id);
    }
    let node = copier.get(condition).expect("internal: it needs itself");
    let mut alone = copier.finish(|_| false);
    alone.add_output(Role::Metric, "due", node);
    alone
}

/// The program with the condition's value in its place.
fn with(graph: &Graph, condition: NodeId, holds: bool) -> Graph {
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        if id == condition {
            let ty = TensorType::scalar(DType::Bool);
            let op = Constant { value: Scalar(f64::from(u8::from(holds))), ty: ty.clone() }.into();
            let node = Node { op, ty, provenance: graph.node(id).provenance.clone() };
            let copy = copier.target.push(node, &[]);
            copier.set(id, copy);
        } else {
            copier.copy(id);
        }
    }
    copier.finish(|_| true)
}
