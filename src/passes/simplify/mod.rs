//! Simplification: the same values by fewer and smaller nodes.
//!
//! Takes a differentiated graph; gives one that computes the same outputs. A round rebuilds the graph in id order; every
//! node, rebuilt or made by a rule, is first looked up among those that exist (common subexpressions become one),
//! then offered to the rules, and added only when no rule fits. Rounds follow until one changes nothing.
//! The stable forms also serve differentiation, which asks for them before it starts ([`prepare`]).
//! Relies on: derivatives being written out, for `stop` is taken out here. Establishes: no rule fits any node, no two nodes
//! are equal, and every node is needed.
//!
//! **What is kept.** For finite values each rewrite agrees with its original up to rounding: a few units in the last place
//! of the largest number that takes part. Constants are folded in f64. The sign of a zero is not kept. `x * 0` stays, as `x`
//! may be infinite; `x - x` and `x / x` stay for the same reason, and no rule moves a factor to where it could overflow on
//! its own. The rules of `stable` differ from their originals where those lose digits or overflow, so each use is reported.
//!
//! **Why it ends.** Order graphs by, in this sequence: (1) transcendental ops and divisions; (2) the number of elements that
//! elementwise ops and reductions produce and read; (3) nodes that are not negations; (4) the distance of negations,
//! reshapes and transposes from the outputs; (5) negations. Each rule makes the earliest of these that it touches smaller:
//! folding and identities (3), factors joined (3), a broadcast moved behind an op or a sum (2), a rectifier moved behind a
//! pooling (2), a convolution's factors moved into its kernel (2, in images of more places than the kernel), a negation moved outwards (4) or absorbed (5), layout merged (3). What leaves the body of a loop counts once
//! in place of once a step. Rules that would do work twice ask that the inner node is read once. The number of
//! rounds is bounded all the same.

mod choices;
mod constants;
mod convolutions;
mod identities;
mod layout;
mod loops;
mod pooling;
mod reductions;
mod rewriter;
mod signs;
mod stable;

pub use rewriter::{NodeView, Rewriter};

use super::prune;
use crate::ir::{Graph, NodeId, Output, Provenance};
use crate::ops::Op;
use std::collections::BTreeMap;

/// A rewrite of one node, by name.
#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    /// before → after
    pub doc: &'static str,
    /// What stands for the node, if the rule fits it.
    pub apply: fn(&mut Rewriter, NodeView<'_>) -> Option<NodeId>,
}

/// All rules by kind, in the order in which they are tried.
pub const TABLES: &[(&str, &[Rule])] = &[
    ("Constants", constants::RULES),
    ("Identities", identities::RULES),
    ("Choices and bools", choices::RULES),
    ("Signs", signs::RULES),
    ("Layout", layout::RULES),
    ("Reductions", reductions::RULES),
    ("Loops", loops::RULES),
    ("Convolutions", convolutions::RULES),
    ("Pooling", pooling::RULES),
    ("Stable forms", stable::RULES),
];

const ALL: &[&[Rule]] = &[
    constants::RULES,
    identities::RULES,
    choices::RULES,
    signs::RULES,
    layout::RULES,
    reductions::RULES,
    loops::RULES,
    convolutions::RULES,
    pooling::RULES,
    stable::RULES,
];

/// The rules that are applied before derivatives are taken.
const PREPARING: &[&[Rule]] = &[layout::PARTS, stable::RULES];

/// A use of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub rule: &'static str,
    /// The node that was rewritten.
    pub provenance: Provenance,
}

/// The same values by fewer and smaller nodes.
pub fn simplify(graph: &Graph) -> Graph {
    trace(graph).0
}

/// Simplifies, and lists where a formula was replaced by one that keeps more digits.
pub fn simplify_reporting(graph: &Graph) -> (Graph, Vec<Applied>) {
    let (graph, mut applied) = trace(graph);
    applied.retain(|applied| stable::RULES.iter().any(|rule| rule.name == applied.rule));
    (graph, applied)
}

/// Simplifies, and lists every use of a rule.
pub fn trace(graph: &Graph) -> (Graph, Vec<Applied>) {
    let Traced { graph, applied, .. } = trace_with_looks(graph);
    (graph, applied)
}

/// How simplification went.
#[derive(Clone, Debug)]
pub struct Traced {
    pub graph: Graph,
    /// every use of a rule
    pub applied: Vec<Applied>,
    /// How often rules looked at a node: the work that was done.
    pub looks: u64,
}

/// Simplifies, and says how that went.
pub fn trace_with_looks(graph: &Graph) -> Traced {
    // Far above what any spec needs: a spec with hundreds of layers settles in under ten.
    const MAX_ROUNDS: usize = 64;
    let mut graph = prune(graph, |_| true);
    let mut applied = Vec::new();
    let mut looks = 0;
    for n_rounds in 0..MAX_ROUNDS {
        // Equal nodes become one in the first round: only then are readers counted rightly.
        let (next, uses) = round(&graph, n_rounds > 0, &mut looks);
        if n_rounds > 0 && is_same(&graph, &next) {
            // What the rules left unread inside loops goes, and with it what only that needed.
            let pruned = prune(&graph, |_| true);
            if is_same(&graph, &pruned) {
                break;
            }
            graph = pruned;
            continue;
        }
        applied.extend(uses);
        graph = next;
    }
    Traced { graph, applied, looks }
}

/// What stands for `y` in derivatives by `xs`: `y` itself, or new nodes in which the formulas on the way from `xs` are stable
/// ones, and a part of a concatenation is read from the operand that it comes from, so that no derivative is taken of the
/// others. No rule looks into an `x`, for the derivative is by that very value.
pub fn prepare(graph: &mut Graph, y: NodeId, xs: &[NodeId]) -> NodeId {
    let active = crate::autodiff::downstream(graph, xs);
    let needed = graph.slice_back([y]);
    let is_candidate = |id: &NodeId| active[id.index()] && needed[id.index()] && !xs.contains(id);
    let on_the_way: Vec<NodeId> = graph.ids().filter(is_candidate).collect();
    let roots =
        |id: &NodeId| matches!(graph.op(*id), Op::Log(_) | Op::Log1p(_) | Op::Sub(_) | Op::Div(_) | Op::Slice(_));
    if !on_the_way.iter().any(roots) {
        return y;
    }
    let provenance = graph.node(y).provenance.clone();
    let mut rewriter = Rewriter::over(std::mem::take(graph), PREPARING, xs, provenance);
    let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for id in on_the_way {
        let mapped = |operand: &NodeId| map.get(operand).copied().unwrap_or(*operand);
        let operands: Vec<NodeId> = rewriter.operands(id).iter().map(mapped).collect();
        let revised = rewriter.revise(id, &operands);
        if revised != id {
            map.insert(id, revised);
        }
    }
    *graph = rewriter.into_graph();
    map.get(&y).copied().unwrap_or(y)
}

/// One rebuild.
fn round(graph: &Graph, counted: bool, looks: &mut u64) -> (Graph, Vec<Applied>) {
    let mut readers = vec![0; graph.len()];
    for id in graph.ids() {
        graph.operands(id).iter().for_each(|operand| readers[operand.index()] += 1);
    }
    graph.outputs.iter().for_each(|output| readers[output.node.index()] += 1);
    let Some(first) = graph.ids().next() else { return (graph.clone(), Vec::new()) };
    let mut rewriter = Rewriter::new(ALL, counted, graph.node(first).provenance.clone());
    let mut map: Vec<NodeId> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let operands: Vec<NodeId> = graph.operands(id).iter().map(|operand| map[operand.index()]).collect();
        map.push(rewriter.rebuild(graph.node(id), &operands, readers[id.index()]));
    }
    *looks += rewriter.looks();
    let outputs = graph.outputs.iter();
    rewriter.finish(outputs.map(|output| Output { node: map[output.node.index()], ..output.clone() }))
}

fn is_same(a: &Graph, b: &Graph) -> bool {
    a.len() == b.len()
        && a.outputs == b.outputs
        && a.ids().all(|id| a.node(id) == b.node(id) && a.operands(id) == b.operands(id))
}
