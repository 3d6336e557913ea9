//! Loops: a body is a graph and is simplified like one; what is the same at every step is computed once, before the loop.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule, simplify};
use crate::ir::{Graph, NodeId};
use crate::ops::scan::{Body, Draft};
use crate::ops::{Constant, InputKind, Op, Scalar, Scan};

pub(super) const RULES: &[Rule] = &[
    Rule { name: "loop-body", doc: "scan(x; body) → scan(x; body simplified)", apply: body },
    Rule { name: "loop-constant", doc: "scan(…, c, …) over a constant → c in the body", apply: constant },
    Rule {
        name: "loop-invariant",
        doc: "f(w) in the body, of constants of the loop alone → a constant of the loop",
        apply: invariant,
    },
];

fn body(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Scan(scan) = view.op else { return None };
    if scan.body.is_simple() {
        return None;
    }
    let simple = rw.simple_bodies.get(&scan.body).cloned().unwrap_or_else(|| Body::new(simplify(scan.body.graph())));
    rw.simple_bodies.insert(scan.body.clone(), simple.clone());
    simple.set_simple();
    if simple == scan.body {
        scan.body.set_simple();
        return None;
    }
    Some(rw.emit(Scan { body: simple, ..scan.clone() }, view.operands))
}

fn constant(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Scan(scan) = view.op else { return None };
    let number = |slot: usize| rw.number(view.operands[slot]).filter(|_| slot >= scan.carries);
    let known: Vec<Option<f64>> = (0..view.operands.len()).map(number).collect();
    if !scan.body.ports().any(|(port, _)| known[port].is_some()) {
        return None;
    }
    let source = scan.body.graph();
    let mut draft = Draft::new();
    let leaves: Vec<Option<NodeId>> = (0..view.operands.len())
        .map(|port| {
            let node = source.node(scan.body.port(port)?);
            Some(match known[port] {
                Some(value) => {
                    let op = Constant { value: Scalar(value), ty: node.ty.clone() };
                    crate::ir::Builder::new(&mut draft.graph, node.provenance.clone()).emit(op, &[])
                }
                None => draft.port(port, &node.ty, &node.provenance),
            })
        })
        .collect();
    let became = draft.copy(&scan.body, |port| leaves[port], &vec![true; source.len()]);
    let body = finish(draft, scan, &became);
    Some(rw.emit(Scan { body, ..scan.clone() }, view.operands))
}

fn finish(mut draft: Draft, scan: &Scan, became: &[Option<NodeId>]) -> Body {
    for output in &scan.body.graph().outputs {
        let node = became[output.node.index()].expect("internal: every node is copied");
        draft.graph.add_output(output.role, output.name.clone(), node);
    }
    Body::new(draft.graph)
}

/// For each node of a body whether it is the same at every step, and whether it depends on a constant of the loop.
fn invariants(scan: &Scan) -> Vec<(bool, bool)> {
    let graph = scan.body.graph();
    let mut found: Vec<(bool, bool)> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let operands = graph.operands(id);
        found.push(match graph.op(id) {
            Op::Input(input) => match input.kind {
                InputKind::Port(port) => {
                    let is_constant = port >= scan.carries + scan.sequences;
                    (is_constant, is_constant)
                }
                _ => (false, false),
            },
            _ => (
                operands.iter().all(|operand| found[operand.index()].0),
                operands.iter().any(|operand| found[operand.index()].1),
            ),
        });
    }
    found
}

/// The invariant values that the rest of the body reads and that are worth a place of their own: not mere views.
fn worthwhile(scan: &Scan) -> Vec<NodeId> {
    let graph = scan.body.graph();
    let found = invariants(scan);
    let mut read: Vec<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
    for id in graph.ids().filter(|id| !found[id.index()].0) {
        read.extend(graph.operands(id));
    }
    let is_view = is!(Broadcast | Reshape | StopGradient);
    let mut worth: Vec<NodeId> = Vec::new();
    for mut id in read.into_iter().filter(|id| found[id.index()] == (true, true)) {
        while is_view(graph.op(id)) {
            id = graph.operands(id)[0];
        }
        if !matches!(graph.op(id), Op::Input(_)) {
            worth.push(id);
        }
    }
    worth.sort_unstable();
    worth.dedup();
    worth
}

fn invariant(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::Scan(scan) = view.op else { return None };
    let worth = worthwhile(scan);
    if worth.is_empty() {
        return None;
    }
    let source: &Graph = scan.body.graph();
    // Before the loop.
    let needed = source.slice_back(worth.iter().copied());
    let mut outside: Vec<Option<NodeId>> = vec![None; source.len()];
    for (port, id) in scan.body.ports() {
        outside[id.index()] = Some(view.operands[port]);
    }
    for id in source.ids().filter(|id| needed[id.index()] && !matches!(source.op(*id), Op::Input(_))) {
        let operands: Option<Vec<NodeId>> =
            source.operands(id).iter().map(|operand| outside[operand.index()]).collect();
        outside[id.index()] = Some(rw.emit(source.op(id).clone(), &operands?));
    }
    // In the loop a port stands for each.
    let mut operands = view.operands.to_vec();
    let mut draft = Draft::new();
    let mut became: Vec<Option<NodeId>> = vec![None; source.len()];
    for (port, id) in scan.body.ports() {
        became[id.index()] = Some(draft.port(port, source.ty(id), &source.node(id).provenance));
    }
    for id in source.ids().filter(|id| !matches!(source.op(*id), Op::Input(_))) {
        let node = source.node(id);
        became[id.index()] = if worth.contains(&id) {
            operands.push(outside[id.index()]?);
            Some(draft.port(operands.len() - 1, &node.ty, &node.provenance))
        } else {
            let operands: Option<Vec<NodeId>> =
                source.operands(id).iter().map(|operand| became[operand.index()]).collect();
            Some(draft.graph.push(node.clone(), &operands?))
        };
    }
    let body = finish(draft, scan, &became);
    Some(rw.emit(Scan { body, ..scan.clone() }, &operands))
}
