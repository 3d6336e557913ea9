//! Loops laid open: behind the nodes of a graph one step of each loop, so that what is asked of nodes is asked of its body too.
//!
//! In that step a carry is the loop's own last carry, whose bounds are those of every carry; a slice is the first of its
//! sequence; and a constant is the operand. So bounds, dependence and gradients are those of any step.

use crate::ir::{Builder, Dim, Graph, NodeId, Operands, Shape};
use crate::ops::scan::OperandKind;
use crate::ops::{LoopResult, Op, Reshape, Scan, Slice};
use std::collections::VecDeque;

/// Nodes beyond which no loop is opened.
const MOST_NODES: usize = 400_000;

/// A loop of a graph, and its step behind it.
#[derive(Clone, Debug)]
pub(super) struct OpenLoop {
    /// the nodes of the loop
    pub results: Vec<NodeId>,
    /// the position of the step's first node
    pub first: usize,
    /// what the step gives: the next carries, then what is stacked
    pub ends: Vec<NodeId>,
}

/// A graph with a step of each loop behind it. Ids stay as they are.
pub(super) fn opened(mut graph: Graph) -> (Graph, Vec<OpenLoop>) {
    let mut loops: Vec<(Scan, Operands, OpenLoop)> = Vec::new();
    let mut waiting: VecDeque<NodeId> = graph.ids().filter(|id| matches!(graph.op(*id), Op::Scan(_))).collect();
    while let Some(id) = waiting.pop_front() {
        let Op::Scan(scan) = graph.op(id) else { continue };
        let (key, operands) = (scan.loop_key(), graph.operands(id));
        if let Some((.., same)) = loops.iter_mut().find(|(other, ins, _)| *other == key && *ins == operands) {
            same.results.push(id);
            continue;
        }
        let is_empty = key.length.as_known() == Some(0);
        if is_empty || graph.len() + key.body.graph().len() > MOST_NODES {
            continue;
        }
        let first = graph.len();
        let (ends, inner) = append_step(&mut graph, id, &key, &operands);
        waiting.extend(inner);
        loops.push((key, operands, OpenLoop { results: vec![id], first, ends }));
    }
    (graph, loops.into_iter().map(|(.., one)| one).collect())
}

/// Appends a step of a loop: what it gives, and the loops in it.
fn append_step(graph: &mut Graph, id: NodeId, scan: &Scan, operands: &[NodeId]) -> (Vec<NodeId>, Vec<NodeId>) {
    let body = scan.body.graph();
    let provenance = graph.node(id).provenance.clone();
    let mut map: Vec<Option<NodeId>> = vec![None; body.len()];
    for (port, leaf) in scan.body.ports() {
        let mut b = Builder::new(graph, provenance.clone());
        map[leaf.index()] = Some(match scan.kind(port) {
            OperandKind::Carry => b.emit(scan.with(LoopResult::Carry(port)), operands),
            OperandKind::Sequence => first_slice(&mut b, operands[port]),
            OperandKind::Constant => operands[port],
        });
    }
    let mut inner = Vec::new();
    for node in body.ids() {
        if map[node.index()].is_some() {
            continue;
        }
        let ins: Vec<NodeId> = body
            .operands(node)
            .into_iter()
            .map(|operand| map[operand.index()].expect("internal: operands stand before"))
            .collect();
        let copy = graph.push(body.node(node).clone(), &ins);
        if let Op::Scan(_) = body.op(node) {
            inner.push(copy);
        }
        map[node.index()] = Some(copy);
    }
    let outputs = 0..scan.body.n_outputs();
    let ends = outputs.map(|at| map[scan.body.output(at).index()].expect("internal: outputs are nodes")).collect();
    (ends, inner)
}

/// `x[0]`
fn first_slice(b: &mut Builder<'_>, x: NodeId) -> NodeId {
    let shape: Shape = b.shape(x).to_vec();
    let rest: Shape = shape[1..].to_vec();
    let extents: Shape = std::iter::once(Dim::known(1)).chain(rest.iter().cloned()).collect();
    let slice = Slice { starts: vec![Dim::known(0); shape.len()], extents, strides: vec![1; shape.len()] };
    let row = b.emit(slice, &[x]);
    b.emit(Reshape { shape: rest }, &[row])
}
