//! Derivatives of loops: loops again.

use super::narrow::output_role;
use super::{Body, Draft, LoopResult, OperandKind, Scan, emit_loop};
use crate::autodiff;
use crate::diag::Span;
use crate::ir::{Builder, NodeId, Provenance, TensorType};

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

/// The types of what each operand hands to a step.
fn port_types(b: &Builder<'_>, scan: &Scan, operands: &[NodeId]) -> Vec<TensorType> {
    let port_type = |(slot, operand): (usize, &NodeId)| {
        let ty = b.ty(*operand).clone();
        scan.port_type(slot, &ty).unwrap_or(ty)
    };
    operands.iter().enumerate().map(port_type).collect()
}

/// What is differentiated, by slot.
struct Targets {
    /// carries with cotangents
    active: Vec<usize>,
    /// constants whose cotangents are summed
    sums: Vec<usize>,
    /// sequences whose slices' cotangents are stacked
    slices: Vec<usize>,
}

impl Targets {
    fn of(scan: &Scan, results: &[LoopResult], slots: &[bool]) -> Self {
        let (reached, ports) = scan.closure(results, true);
        let moved = moved(scan, slots);
        let is_wanted = |slot: &usize| slots[*slot] && ports.get(*slot).copied().unwrap_or(false);
        let of_kind = |kind: OperandKind| {
            (scan.carries..slots.len()).filter(|slot| scan.kind(*slot) == kind && is_wanted(slot)).collect()
        };
        Self {
            active: (0..scan.carries).filter(|i| reached[*i] && moved[*i] && is_float(scan, *i)).collect(),
            sums: of_kind(OperandKind::Constant),
            slices: of_kind(OperandKind::Sequence),
        }
    }

    fn slots(&self) -> Vec<usize> {
        self.active.iter().chain(&self.sums).chain(&self.slices).copied().collect()
    }
}

/// The ports of the step back.
struct Back {
    ports: Ports,
    /// an output of the original step and the port of its cotangent
    seeds: Vec<(usize, NodeId)>,
    /// the ports of the original step
    own: Vec<Option<NodeId>>,
    /// for each target the port of what is added to its cotangent: sums so far, cotangents of what entered
    added: Vec<Option<NodeId>>,
    carries: usize,
    sequences: usize,
}

impl Back {
    fn open(
        b: &mut Builder<'_>,
        scan: &Scan,
        operands: &[NodeId],
        cotangents: &[(LoopResult, NodeId)],
        targets: &Targets,
    ) -> Self {
        let n = scan.carries;
        let types = port_types(b, scan, operands);
        let of_kind = |kind: OperandKind| (0..operands.len()).filter(move |slot| scan.kind(*slot) == kind);
        let given = |wanted: LoopResult| cotangents.iter().find(|(result, _)| *result == wanted).map(|(_, node)| *node);
        let mut ports = Ports::new();
        let mut seeds: Vec<(usize, NodeId)> = Vec::new();
        let mut own: Vec<Option<NodeId>> = vec![None; operands.len()];
        let mut added: Vec<Option<NodeId>> = vec![None; operands.len()];
        for &carry in &targets.active {
            let last = given(LoopResult::Carry(carry)).unwrap_or_else(|| b.zeros_like(operands[carry]));
            seeds.push((carry, ports.add(last, &types[carry], &names(b, scan, operands, carry).1)));
        }
        for &slot in &targets.sums {
            let zeros = b.zeros_like(operands[slot]);
            added[slot] = Some(ports.add(zeros, &types[slot], &names(b, scan, operands, slot).1));
        }
        let carries = ports.operands.len();
        for carry in 0..n {
            let entered = b.emit(scan.with(LoopResult::Incoming(carry)), operands);
            own[carry] = Some(ports.add(entered, &types[carry], &names(b, scan, operands, carry).0));
        }
        for slot in of_kind(OperandKind::Sequence) {
            own[slot] = Some(ports.add(operands[slot], &types[slot], &names(b, scan, operands, slot).0));
        }
        for (result, node) in cotangents {
            let provenance = b.graph().node(*node).provenance.clone();
            match *result {
                LoopResult::Stacked(output) => {
                    let ty = scan.body.graph().ty(scan.body.output(n + output)).clone();
                    seeds.push((n + output, ports.add(*node, &ty, &provenance)));
                }
                LoopResult::Incoming(carry) if targets.active.contains(&carry) => {
                    added[carry] = Some(ports.add(*node, &types[carry], &provenance));
                }
                _ => {}
            }
        }
        let sequences = ports.operands.len() - carries;
        for slot in of_kind(OperandKind::Constant) {
            own[slot] = Some(ports.add(operands[slot], &types[slot], &names(b, scan, operands, slot).0));
        }
        Self { ports, seeds, own, added, carries, sequences }
    }

    /// The loop back, whose outputs are the cotangents of `slots`, and its operands.
    fn close(self, b: &Builder<'_>, scan: &Scan, operands: &[NodeId], slots: &[usize]) -> (Scan, Vec<NodeId>) {
        let Self { ports: Ports { mut draft, operands: handed }, seeds, own, added, carries, sequences } = self;
        let all = vec![true; scan.body.graph().len()];
        let became = draft.copy(&scan.body, |port| own[port], &all);
        let copied = |at: usize| became[scan.body.output(at).index()].expect("internal: every node is copied");
        let seeds: Vec<(NodeId, NodeId)> = seeds.into_iter().map(|(output, seed)| (copied(output), seed)).collect();
        let xs: Vec<NodeId> = slots.iter().filter_map(|slot| own[*slot]).collect();
        let parts = autodiff::pullback(&mut draft.graph, &seeds, &xs);
        let mut outputs = Vec::with_capacity(parts.len());
        for (&slot, part) in slots.iter().zip(parts) {
            let mut inner = Builder::new(&mut draft.graph, names(b, scan, operands, slot).1);
            let output = match (added[slot], part) {
                (Some(other), Some(part)) => Some(inner.add2(other, part)),
                (other, part) => other.or(part),
            };
            let ty = &port_types(b, scan, operands)[slot];
            outputs.push(output.unwrap_or_else(|| inner.constant(0.0, ty)));
        }
        for (output, node) in outputs.iter().enumerate() {
            draft.graph.add_output(output_role(carries, output), output.to_string(), *node);
        }
        let back = Scan {
            body: Body::new(draft.graph),
            carries,
            sequences,
            length: scan.length.clone(),
            reverse: !scan.reverse,
            result: LoopResult::Carry(0),
        };
        (back, handed)
    }
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
    let results: Vec<LoopResult> = cotangents.iter().map(|(result, _)| *result).collect();
    let wanted: Vec<bool> = (0..operands.len()).map(|slot| wanted[slot] && b.ty(operands[slot]).is_float()).collect();
    let targets = Targets::of(scan, &results, &wanted);
    let slots = targets.slots();
    let mut found = vec![None; operands.len()];
    if slots.is_empty() {
        return found;
    }
    let open = Back::open(b, scan, operands, cotangents, &targets);
    let (back, handed) = open.close(b, scan, operands, &slots);
    // Cotangents of carries that nobody asked for stay inside.
    let result = |output: usize| match output.checked_sub(back.carries) {
        None => LoopResult::Carry(output),
        Some(stacked) => LoopResult::Stacked(stacked),
    };
    let asked: Vec<usize> = (0..slots.len()).filter(|output| wanted[slots[*output]]).collect();
    let results: Vec<LoopResult> = asked.iter().map(|output| result(*output)).collect();
    for (output, node) in asked.iter().zip(emit_loop(b, &back, &handed, &results)) {
        found[slots[*output]] = Some(node);
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
    let types = port_types(b, scan, operands);
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
    let moved_outputs = autodiff::pushforward(&mut draft.graph, &tangents, &outputs);
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
