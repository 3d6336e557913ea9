//! Loops without what no wanted result needs.

use super::{Body, Draft, LoopResult, Scan};
use crate::ir::{Builder, NodeId, Role};

impl Scan {
    /// The loop that computes the wanted results and nothing else, yielding the first of them, and the slots of the operands
    /// that it keeps. Carries, sequences and constants keep their order.
    pub(crate) fn narrowed(&self, results: &[LoopResult]) -> (Self, Vec<usize>) {
        let (carries, ports) = self.closure(results, false);
        let is_stacked = |output: usize| results.contains(&LoopResult::Stacked(output));
        let is_kept = |output: usize| match output.checked_sub(self.carries) {
            Some(stacked) => is_stacked(stacked),
            None => carries[output],
        };
        let reads = |slot: usize| ports.get(slot).copied().unwrap_or(false);
        let n_ports = ports.len().max(self.carries);
        let slots: Vec<usize> =
            (0..n_ports).filter(|slot| if *slot < self.carries { carries[*slot] } else { reads(*slot) }).collect();
        let source = self.body.graph();
        let kept: Vec<usize> = (0..self.body.n_outputs()).filter(|output| is_kept(*output)).collect();
        let needed = source.slice_back(kept.iter().map(|output| self.body.output(*output)));
        let mut draft = Draft::new();
        let leaves: Vec<Option<NodeId>> = slots
            .iter()
            .enumerate()
            .map(|(port, slot)| {
                let id = self.body.port(*slot).filter(|id| needed[id.index()])?;
                Some(draft.port(port, source.ty(id), &source.node(id).provenance))
            })
            .collect();
        let map = |port: usize| slots.iter().position(|slot| *slot == port).and_then(|at| leaves[at]);
        let became = draft.copy(&self.body, map, &needed);
        for output in &kept {
            let output = &source.outputs[*output];
            let node = became[output.node.index()].expect("internal: a kept output is copied");
            draft.graph.add_output(output.role, output.name.clone(), node);
        }
        let count = |range: std::ops::Range<usize>| slots.iter().filter(|slot| range.contains(slot)).count();
        let narrow = Self {
            body: Body::new(draft.graph),
            carries: count(0..self.carries),
            sequences: count(self.carries..self.carries + self.sequences),
            length: self.length.clone(),
            reverse: self.reverse,
            result: self.renumbered(results, results[0]),
        };
        (narrow, slots)
    }

    /// What a result is called in the loop narrowed to `results`.
    pub(crate) fn renumbered(&self, results: &[LoopResult], result: LoopResult) -> LoopResult {
        let (carries, _) = self.closure(results, false);
        let carry = |carry: usize| carries[..carry].iter().filter(|kept| **kept).count();
        match result {
            LoopResult::Carry(at) => LoopResult::Carry(carry(at)),
            LoopResult::Incoming(at) => LoopResult::Incoming(carry(at)),
            LoopResult::Stacked(at) => {
                LoopResult::Stacked((0..at).filter(|other| results.contains(&LoopResult::Stacked(*other))).count())
            }
        }
    }

    /// Whether narrowing to these results takes nothing away.
    pub(crate) fn is_narrow(&self, results: &[LoopResult], n_operands: usize) -> bool {
        let (carries, ports) = self.closure(results, false);
        carries.iter().all(|kept| *kept)
            && (self.carries..n_operands).all(|slot| ports.get(slot).copied().unwrap_or(false))
            && (0..self.n_stacked()).all(|output| results.contains(&LoopResult::Stacked(output)))
    }
}

/// Adds the nodes of a loop, one for each result, without what none of them needs.
pub(crate) fn emit_loop(b: &mut Builder<'_>, scan: &Scan, operands: &[NodeId], results: &[LoopResult]) -> Vec<NodeId> {
    if results.is_empty() {
        return Vec::new();
    }
    let (narrow, slots) = scan.narrowed(results);
    let operands: Vec<NodeId> = slots.iter().map(|slot| operands[*slot]).collect();
    results.iter().map(|result| b.emit(narrow.with(scan.renumbered(results, *result)), &operands)).collect()
}

/// The role of a body's output: a next carry, or what is stacked.
pub(crate) fn output_role(carries: usize, output: usize) -> Role {
    if output < carries { Role::State } else { Role::Output }
}
