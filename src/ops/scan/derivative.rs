//! Derivatives of loops: loops again.

use super::narrow::output_role;
use super::{Body, Draft, LoopResult, OperandKind, Scan, emit_loop};
use crate::diag::Span;
use crate::ir::{Builder, NodeId, Provenance, TensorType};
use crate::passes;

/// The ports of a body that is made from another one: carries, sequences and constants are added in this order.
struct Ports {
    draft: Draft,
    operands: Vec<NodeId>,
}

impl Ports {
    fn new() -> Self {
        Self { draft: Draft::new(), operands: Vec::new() }
    }

    /// The next port, which `operand` is handed to.
    fn add(&mut self, operand: NodeId, ty: &TensorType, provenance: &Provenance) -> NodeId {
        self.operands.push(operand);
        self.draft.port(self.operands.len() - 1, ty, provenance)
    }
}

/// What a port of the original body is called, and `d.NAME` for what is derived from it.
fn names(b: &Builder<'_>, scan: &Scan, operands: &[NodeId], slot: usize) -> (Provenance, Provenance) {
    let graph = scan.body.graph();
    let place = |name: String, span: Span| Provenance { name: name.into(), span };
    let own = match scan.body.port(slot) {
        Some(id) => graph.node(id).provenance.clone(),
        None => b.graph().node(operands[slot]).provenance.clone(),
    };
    let derived = if own.name.starts_with("d.") { own.name.to_string() } else { format!("d.{}", own.name) };
    let derived = place(derived, own.span);
    (own, derived)
}

/// Which carries change, directly or through others, when what enters at the given slots does.
fn moved(scan: &Scan, slots: &[bool]) -> Vec<bool> {
    let mut moved: Vec<bool> = (0..scan.carries).map(|carry| slots[carry]).collect();
    loop {
        let is_moved = |port: usize| if port < scan.carries { moved[port] } else { slots[port] };
        let next: Vec<bool> =
            (0..scan.carries).map(|carry| moved[carry] || scan.body.reached(carry, true).any(is_moved)).collect();
        if next == moved {
            return moved;
        }
        moved = next;
    }
}

fn is_float(scan: &Scan, carry: usize) -> bool {
    scan.body.graph().ty(scan.body.output(carry)).is_float()
}

/// The cotangents of the wanted operands, given those of some results of one loop. `None` where no gradient reaches.
///
/// The step of the new loop computes the step of `scan` again from the carries as they entered it. It carries their
/// cotangents and, for each wanted constant, the sum of its cotangents so far; those of slices are stacked.
pub(crate) fn pullback(
    b: &mut Builder<'_>,
    scan: &Scan,
    operands: &[NodeId],
    cotangents: &[(LoopResult, NodeId)],
    wanted: &[bool],
) -> Vec<Option<NodeId>> {
    let n = scan.carries;
    let results: Vec<LoopResult> = cotangents.iter().map(|(result, _)| *result).collect();
    let given = |wanted: LoopResult| cotangents.iter().find(|(result, _)| *result == wanted).map(|(_, node)| *node);
    let (reached, ports_reached) = scan.closure(&results, true);
    let slots: Vec<bool> = (0..operands.len()).map(|slot| wanted[slot] && b.ty(operands[slot]).is_float()).collect();
    let moved = moved(scan, &slots);
    let active: Vec<usize> = (0..n).filter(|i| reached[*i] && moved[*i] && is_float(scan, *i)).collect();
    let is_wanted = |slot: &usize| slots[*slot] && ports_reached.get(*slot).copied().unwrap_or(false);
    let of_kind = |kind: OperandKind| (n..operands.len()).filter(move |slot| scan.kind(*slot) == kind);
    let sums: Vec<usize> = of_kind(OperandKind::Constant).filter(|slot| is_wanted(slot)).collect();
    let slices: Vec<usize> = of_kind(OperandKind::Sequence).filter(|slot| is_wanted(slot)).collect();
    if active.is_empty() && sums.is_empty() && slices.is_empty() {
        return vec![None; operands.len()];
    }

    let types: Vec<TensorType> = (0..operands.len())
        .map(|slot| {
            let ty = b.ty(operands[slot]).clone();
            scan.port_type(slot, &ty).unwrap_or(ty)
        })
        .collect();
    let mut ports = Ports::new();
    let mut seeds: Vec<(usize, NodeId)> = Vec::new();
    for &carry in &active {
        let first = given(LoopResult::Carry(carry)).unwrap_or_else(|| b.zeros_like(operands[carry]));
        let port = ports.add(first, &types[carry], &names(b, scan, operands, carry).1);
        seeds.push((carry, port));
    }
    let mut sums_so_far = Vec::with_capacity(sums.len());
    for &slot in &sums {
        let zeros = b.zeros_like(operands[slot]);
        sums_so_far.push(ports.add(zeros, &types[slot], &names(b, scan, operands, slot).1));
    }
    let n_carries = ports.operands.len();
    // The carries as they entered, the sequences, and the cotangents of what is stacked.
    let mut own: Vec<Option<NodeId>> = vec![None; operands.len()];
    for (carry, own) in own.iter_mut().enumerate().take(n) {
        let entered = b.emit(scan.with(LoopResult::Incoming(carry)), operands);
        *own = Some(ports.add(entered, &types[carry], &names(b, scan, operands, carry).0));
    }
    for slot in of_kind(OperandKind::Sequence) {
        own[slot] = Some(ports.add(operands[slot], &types[slot], &names(b, scan, operands, slot).0));
    }
    let mut added: Vec<Option<NodeId>> = vec![None; n];
    for (result, node) in cotangents {
        let provenance = b.graph().node(*node).provenance.clone();
        match *result {
            LoopResult::Stacked(output) => {
                let ty = scan.body.graph().ty(scan.body.output(n + output)).clone();
                seeds.push((n + output, ports.add(*node, &ty, &provenance)));
            }
            LoopResult::Incoming(carry) if active.contains(&carry) => {
                added[carry] = Some(ports.add(*node, &types[carry], &provenance));
            }
            _ => {}
        }
    }
    let n_sequences = ports.operands.len() - n_carries;
    for slot in of_kind(OperandKind::Constant) {
        own[slot] = Some(ports.add(operands[slot], &types[slot], &names(b, scan, operands, slot).0));
    }

    let mut draft = ports.draft;
    let all = vec![true; scan.body.graph().len()];
    let became = draft.copy(&scan.body, |port| own[port], &all);
    let copied = |at: usize| became[scan.body.output(at).index()].expect("internal: every node is copied");
    let seeds: Vec<(NodeId, NodeId)> = seeds.into_iter().map(|(output, seed)| (copied(output), seed)).collect();
    let slots: Vec<usize> = active.iter().chain(&sums).chain(&slices).copied().collect();
    let xs: Vec<NodeId> = slots.iter().filter_map(|slot| own[*slot]).collect();
    let parts = passes::pullback(&mut draft.graph, &seeds, &xs);

    let mut outputs = Vec::with_capacity(parts.len());
    for (i, (&slot, part)) in slots.iter().zip(parts).enumerate() {
        let mut inner = Builder::new(&mut draft.graph, names(b, scan, operands, slot).1);
        let add = |inner: &mut Builder<'_>, part: Option<NodeId>, other: Option<NodeId>| match (part, other) {
            (Some(part), Some(other)) => Some(inner.add2(other, part)),
            (part, other) => part.or(other),
        };
        let output = match i.checked_sub(active.len()) {
            None => add(&mut inner, part, added[slot]),
            Some(sum) if sum < sums.len() => add(&mut inner, part, Some(sums_so_far[sum])),
            Some(_) => part,
        };
        outputs.push(output.unwrap_or_else(|| inner.constant(0.0, &types[slot])));
    }
    for (output, node) in outputs.iter().enumerate() {
        draft.graph.add_output(output_role(n_carries, output), output.to_string(), *node);
    }
    let back = Scan {
        body: Body::new(draft.graph),
        carries: n_carries,
        sequences: n_sequences,
        length: scan.length.clone(),
        reverse: !scan.reverse,
        result: LoopResult::Carry(0),
    };
    // Cotangents of carries that nobody asked for stay inside.
    let asked: Vec<(usize, LoopResult)> = slots
        .iter()
        .enumerate()
        .filter(|(_, slot)| **slot >= n || wanted[**slot])
        .map(|(i, slot)| (*slot, if i < n_carries { LoopResult::Carry(i) } else { LoopResult::Stacked(i - n_carries) }))
        .collect();
    let results: Vec<LoopResult> = asked.iter().map(|(_, result)| *result).collect();
    let mut found = vec![None; operands.len()];
    for ((slot, _), node) in asked.iter().zip(emit_loop(b, &back, &ports.operands, &results)) {
        found[*slot] = Some(node);
    }
    found
}

/// What a tangent of one operand contributes to the result's; `None` where it reaches nothing.
///
/// The step of the new loop computes the step of `scan` and carries the tangents of the carries beside them.
pub(crate) fn pushforward(
    b: &mut Builder<'_>,
    scan: &Scan,
    operands: &[NodeId],
    tangent: NodeId,
    slot: usize,
) -> Option<NodeId> {
    let n = scan.carries;
    let mut slots = vec![false; operands.len()];
    slots[slot] = true;
    let moved = moved(scan, &slots);
    let active: Vec<usize> = (0..n).filter(|carry| moved[*carry] && is_float(scan, *carry)).collect();
    let types: Vec<TensorType> = (0..operands.len())
        .map(|slot| {
            let ty = b.ty(operands[slot]).clone();
            scan.port_type(slot, &ty).unwrap_or(ty)
        })
        .collect();
    let mut ports = Ports::new();
    let mut own: Vec<Option<NodeId>> = vec![None; operands.len()];
    let mut tangents: Vec<(NodeId, NodeId)> = Vec::new();
    let kinds = [OperandKind::Carry, OperandKind::Sequence, OperandKind::Constant];
    let mut counts = Vec::new();
    for kind in kinds {
        for at in (0..operands.len()).filter(|at| scan.kind(*at) == kind) {
            own[at] = Some(ports.add(operands[at], &types[at], &names(b, scan, operands, at).0));
        }
        for at in (0..operands.len()).filter(|at| scan.kind(*at) == kind) {
            let first = match kind {
                OperandKind::Carry if active.contains(&at) && at != slot => b.zeros_like(operands[at]),
                _ if at == slot => tangent,
                _ => continue,
            };
            let port = ports.add(first, &types[at], &names(b, scan, operands, at).1);
            tangents.extend(own[at].map(|own| (own, port)));
        }
        counts.push(ports.operands.len());
    }
    let mut draft = ports.draft;
    let all = vec![true; scan.body.graph().len()];
    let became = draft.copy(&scan.body, |port| own[port], &all);
    let copied = |at: usize| became[scan.body.output(at).index()].expect("internal: every node is copied");
    let outputs: Vec<NodeId> = (0..scan.body.n_outputs()).map(copied).collect();
    let moved_outputs = passes::pushforward(&mut draft.graph, &tangents, &outputs);
    let mut next: Vec<NodeId> = outputs[..n].to_vec();
    let zeros_or = |draft: &mut Draft, node: Option<NodeId>, like: NodeId, at: usize| {
        let provenance = scan.body.graph().node(scan.body.output(at)).provenance.clone();
        node.unwrap_or_else(|| Builder::new(&mut draft.graph, provenance).zeros_like(like))
    };
    for &carry in &active {
        next.push(zeros_or(&mut draft, moved_outputs[carry], outputs[carry], carry));
    }
    let result = match scan.result {
        LoopResult::Carry(carry) => LoopResult::Carry(n + active.iter().position(|other| *other == carry)?),
        LoopResult::Incoming(carry) => LoopResult::Incoming(n + active.iter().position(|other| *other == carry)?),
        LoopResult::Stacked(output) => {
            next.push(zeros_or(&mut draft, moved_outputs[n + output], outputs[n + output], n + output));
            LoopResult::Stacked(0)
        }
    };
    for (output, node) in next.iter().enumerate() {
        draft.graph.add_output(output_role(counts[0], output), output.to_string(), *node);
    }
    let forward = Scan {
        body: Body::new(draft.graph),
        carries: counts[0],
        sequences: counts[1] - counts[0],
        length: scan.length.clone(),
        reverse: scan.reverse,
        result,
    };
    emit_loop(b, &forward, &ports.operands, &[result]).pop()
}
