//! Splitting by slicing: the prediction program is what the outputs need, with every `by_mode` node replaced by its value at
//! prediction.
//!
//! A target in that slice is the user's mistake; [`Split::target_paths`] are the ways by which it got there. What only the
//! value at training needs is no part of the slice, so a target behind it is no mistake. [`resolve_training`] is the other
//! half: the training program with `by_mode` nodes replaced by their value at training. Neither result has `by_mode` nodes, nor have
//! the bodies of its loops.

use super::prune::NeededLoops;
use crate::ir::{Copier, Graph, Node, NodeId, Operands, Output, Role};
use crate::ops::scan::Body;
use crate::ops::{ByMode, InputKind, Op, Scan};
use smallvec::smallvec;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What splitting finds.
#[derive(Debug)]
pub struct Split {
    /// The prediction program.
    pub predict: Graph,
    /// For each output that depends on a target: the nodes from the output back to the target, in the original graph.
    pub target_paths: Vec<Vec<NodeId>>,
}

/// The state that is read in a param's place at prediction, by the nodes of both.
pub type StandIns = BTreeMap<NodeId, NodeId>;

/// Slices the prediction program out of a lowered graph.
pub fn split(graph: &Graph, stand_ins: &StandIns) -> Split {
    let target_paths = graph
        .outputs
        .iter()
        .filter(|output| output.role == Role::Output)
        .filter_map(|output| path_to_target(graph, output.node))
        .collect();
    let predict = resolve(graph, ByMode::PREDICTION, |output| output.role == Role::Output, stand_ins);
    Split { predict, target_paths }
}

/// The prediction program with named values of the spec as further outputs. A value that depends on a target, or on a derivative
/// that is yet to be written out, is left out.
pub fn split_values<'v>(
    graph: &Graph,
    values: impl IntoIterator<Item = (&'v Arc<str>, &'v NodeId)>,
    stand_ins: &StandIns,
) -> Graph {
    let resolved = with_resolved_bodies(graph, ByMode::PREDICTION);
    let mut is_beyond = vec![false; graph.len()];
    for id in resolved.ids() {
        let is_source = match resolved.op(id) {
            Op::Input(input) => input.kind == InputKind::Target,
            op => matches!(op, Op::Gradient(_)),
        };
        let operands = operands_in_mode(&resolved, id, ByMode::PREDICTION);
        is_beyond[id.index()] = is_source || operands.iter().any(|operand| is_beyond[operand.index()]);
    }
    let mut graph = graph.clone();
    for (name, node) in values {
        if !is_beyond[node.index()] {
            graph.add_output(Role::Output, name.clone(), *node);
        }
    }
    resolve(&graph, ByMode::PREDICTION, |output| output.role == Role::Output, stand_ins)
}

/// The part of a graph that its outputs need at training.
pub fn resolve_training(graph: &Graph) -> Graph {
    resolve(graph, ByMode::TRAINING, |_| true, &StandIns::new())
}

/// The part of a graph that the kept outputs need, with `by_mode` nodes replaced by their value at prediction: how losses and
/// metrics are evaluated.
pub fn resolve_prediction(graph: &Graph, keep: impl Fn(&Output) -> bool, stand_ins: &StandIns) -> Graph {
    resolve(graph, ByMode::PREDICTION, keep, stand_ins)
}

/// The operands that count in one mode: of a `by_mode` node only that at `slot`.
fn operands_in_mode(graph: &Graph, id: NodeId, slot: usize) -> Operands {
    if let Op::ByMode(_) = graph.op(id) { smallvec![graph.operands(id)[slot]] } else { graph.read_by(id) }
}

/// The graph with `by_mode` nodes replaced inside the bodies of loops.
fn with_resolved_bodies(graph: &Graph, slot: usize) -> Cow<'_, Graph> {
    let is_open = |id: NodeId| matches!(graph.op(id), Op::Scan(scan) if has_mode(scan.body.graph()));
    if !graph.ids().any(is_open) {
        return Cow::Borrowed(graph);
    }
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        match graph.op(id) {
            Op::Scan(scan) if has_mode(scan.body.graph()) => {
                let body = Body::new(resolve(scan.body.graph(), slot, |_| true, &StandIns::new()));
                let operands = copier.operands(id);
                let node = Node { op: Scan { body, ..scan.clone() }.into(), ..graph.node(id).clone() };
                let copy = copier.target.push(node, &operands);
                copier.set(id, copy);
            }
            _ => {
                copier.copy(id);
            }
        }
    }
    Cow::Owned(copier.finish(|_| true))
}

/// Whether a `by_mode` node stands in the graph or in the body of one of its loops.
fn has_mode(graph: &Graph) -> bool {
    graph.ids().any(|id| match graph.op(id) {
        Op::ByMode(_) => true,
        Op::Scan(scan) => has_mode(scan.body.graph()),
        _ => false,
    })
}

/// What the kept outputs need in one mode, with `by_mode` nodes replaced, and params by what stands for them.
fn resolve(graph: &Graph, slot: usize, keep: impl Fn(&Output) -> bool, stand_ins: &StandIns) -> Graph {
    let graph = &*with_resolved_bodies(graph, slot);
    let mut needed = vec![false; graph.len()];
    let mut stack: Vec<NodeId> = graph.outputs.iter().filter(|output| keep(output)).map(|output| output.node).collect();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut needed[id.index()], true) {
            stack.extend(operands_in_mode(graph, id, slot));
            stack.extend(stand_ins.get(&id));
        }
    }
    let loops = NeededLoops::of(graph, &needed);
    let mut copier = Copier::new(graph);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        if let Op::ByMode(_) = graph.op(id) {
            let chosen = copier.get(graph.operands(id)[slot]).expect("internal: operands are copied first");
            copier.set(id, chosen);
        } else if let Some(state) = stand_ins.get(&id) {
            // A leaf, so it can be copied before its turn.
            let copy = copier.get(*state).unwrap_or_else(|| copier.copy(*state));
            copier.set(id, copy);
        } else if copier.get(id).is_none() {
            loops.copy(&mut copier, id);
        }
    }
    copier.finish(keep)
}

/// A shortest path from a node to a target leaf, along the operands that count at prediction.
fn path_to_target(graph: &Graph, from: NodeId) -> Option<Vec<NodeId>> {
    // What a step reads at training only is no way. Ids stay as they are.
    let graph = &*with_resolved_bodies(graph, ByMode::PREDICTION);
    let is_target = |id: NodeId| matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Target);
    graph.path_back(from, is_target, |id| operands_in_mode(graph, id, ByMode::PREDICTION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{SourceId, Span};
    use crate::ir::{Builder, DType, Provenance, TensorType, print, verify};
    use crate::ops::{Input, Neg};

    fn leaf(b: &mut Builder<'_>, name: &str, kind: InputKind) -> NodeId {
        b.set_provenance(Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) });
        b.emit(Input { kind, ty: TensorType::scalar(DType::F32) }, &[])
    }

    /// `output y = -by_mode(training, prediction)` and a loss of it, where one of the two is a target.
    fn graph(training: InputKind, prediction: InputKind) -> Graph {
        let mut graph = Graph::new();
        let mut b = Builder::new(&mut graph, Provenance { name: "y".into(), span: Span::new(SourceId::NOWHERE, 0, 0) });
        let (t, p) = (leaf(&mut b, "t", training), leaf(&mut b, "p", prediction));
        let value = b.emit(ByMode, &[t, p]);
        let twice = b.emit(ByMode, &[value, p]);
        let y = b.emit(Neg, &[twice]);
        graph.add_output(Role::Output, "y", y);
        graph.add_output(Role::Loss, "l", twice);
        graph
    }

    #[test]
    fn each_program_has_its_own_value() {
        let graph = graph(InputKind::Target, InputKind::Input);
        let split = split(&graph, &StandIns::new());
        let train = resolve_training(&graph);
        assert!(split.target_paths.is_empty(), "the target is behind the value at training only");
        for (program, leaf) in [(&split.predict, "input p"), (&train, "target t")] {
            verify(program).unwrap();
            let text = print(program, "program");
            assert_eq!(program.len(), 2, "{text}");
            assert!(text.contains(leaf), "{text}");
        }
        assert_eq!(train.outputs.len(), 2);
        assert!(matches!(train.op(train.output(Role::Loss, "l").unwrap()), Op::Input(_)));
    }

    #[test]
    fn a_target_at_prediction_is_found() {
        let graph = graph(InputKind::Input, InputKind::Target);
        let paths = split(&graph, &StandIns::new()).target_paths;
        let ops: Vec<&str> = paths[0].iter().map(|id| graph.op(*id).name()).collect();
        assert_eq!(ops, ["neg", "by_mode", "input"]);
    }
}
