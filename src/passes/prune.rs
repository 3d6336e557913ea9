//! The part of a graph that some outputs need.

use crate::ir::{Copier, Graph, Node, NodeId, Operands, Output};
use crate::ops::{LoopResult, Op, Scan};
use std::collections::HashMap;

/// The part of a graph that the outputs accepted by `keep` need. Loops keep what their needed results need.
pub fn prune(graph: &Graph, keep: impl Fn(&Output) -> bool) -> Graph {
    let needed = graph.needed_by(graph.outputs.iter().filter(|output| keep(output)).map(|output| output.node));
    let loops = NeededLoops::of(graph, &needed);
    let mut copier = Copier::new(graph);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        loops.copy(&mut copier, id);
    }
    copier.finish(keep)
}

/// The loops of a graph of which only some nodes are needed, reduced to the results of these.
#[derive(Debug)]
pub(super) struct NeededLoops {
    /// by node: the reduced op, and the slots of the operands that are left. Only looked up, never walked.
    reduced: HashMap<NodeId, (Scan, Vec<usize>)>,
}

impl NeededLoops {
    pub fn of(graph: &Graph, needed: &[bool]) -> Self {
        let mut groups: Vec<Vec<NodeId>> = Vec::new();
        let mut group_of: HashMap<(Scan, Operands), usize> = HashMap::new();
        for id in graph.ids().filter(|id| needed[id.index()]) {
            if let Op::Scan(scan) = graph.op(id) {
                let group = *group_of.entry((scan.loop_key(), graph.operands(id))).or_insert(groups.len());
                groups.resize(groups.len().max(group + 1), Vec::new());
                groups[group].push(id);
            }
        }
        let mut reduced = HashMap::new();
        for group in groups {
            let scans: Vec<&Scan> = group.iter().filter_map(|id| as_scan(graph, *id)).collect();
            let mut results: Vec<LoopResult> = scans.iter().map(|scan| scan.result).collect();
            results.sort_unstable();
            let Some(first) = scans.first() else { continue };
            if first.is_narrow(&results, graph.operands(group[0]).len()) {
                continue;
            }
            let (narrow, slots) = first.narrowed(&results);
            for (id, scan) in group.iter().zip(&scans) {
                reduced.insert(*id, (narrow.with(scan.renumbered(&results, scan.result)), slots.clone()));
            }
        }
        Self { reduced }
    }

    /// Copies a node, a loop in its reduced form.
    pub fn copy(&self, copier: &mut Copier<'_>, id: NodeId) {
        let Some((scan, slots)) = self.reduced.get(&id) else {
            copier.copy(id);
            return;
        };
        let source = copier.source();
        let operands = source.operands(id);
        let copied = |slot: &usize| copier.get(operands[*slot]).expect("internal: operands are copied first");
        let operands: Vec<NodeId> = slots.iter().map(copied).collect();
        let node = Node { op: scan.clone().into(), ..source.node(id).clone() };
        let copy = copier.target.push(node, &operands);
        copier.set(id, copy);
    }
}

fn as_scan(graph: &Graph, id: NodeId) -> Option<&Scan> {
    match graph.op(id) {
        Op::Scan(scan) => Some(scan),
        _ => None,
    }
}
