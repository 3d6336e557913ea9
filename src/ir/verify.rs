//! The laws of a graph, checked.
//!
//! (G1) Every operand stands before its user: id order is topological.
//! (G2) A node's type is the one its op's shape rule gives for its operands' types.
//! (G3) Leaves of one kind have distinct names: a graph reads each param, state, input and target once.
//! (G4) Outputs of one role have distinct names.
//! (G5) Outputs that carry a state or param from step to step keep its type.
//! (G6) A program has no ports; the body of a loop has no other leaves that are fed, and is itself lawful.

use super::graph::{Graph, Role};
use crate::ops::{InputKind, Op};
use std::collections::BTreeMap;

/// Checks the laws; the message names the first node that breaks one. A failure is a bug in anabranch.
pub fn verify(graph: &Graph) -> Result<(), String> {
    check(graph, false)
}

/// Checks the laws of the body of a loop.
pub fn verify_body(graph: &Graph) -> Result<(), String> {
    check(graph, true)
}

fn check(graph: &Graph, is_body: bool) -> Result<(), String> {
    let mut leaves = BTreeMap::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let operands = graph.operands(id);
        if let Some(operand) = operands.iter().find(|operand| **operand >= id) {
            return Err(format!("G1: {id:?} ({}) reads {operand:?}", node.op.name()));
        }
        let types: Vec<_> = operands.iter().map(|operand| graph.ty(*operand)).collect();
        match node.op.infer(&types) {
            Ok(ty) if ty == node.ty => {}
            Ok(ty) => return Err(format!("G2: {id:?} ({}) has type {}, its rule says {ty}", node.op.name(), node.ty)),
            Err(error) => return Err(format!("G2: {id:?} ({}): {error}", node.op.name())),
        }
        if let Op::Scan(scan) = &node.op {
            verify_body(scan.body.graph()).map_err(|broken| format!("G6: the body of {id:?}: {broken}"))?;
        }
        if let Op::Input(input) = &node.op
            && matches!(input.kind, InputKind::Port(_)) != is_body
        {
            return Err(format!("G6: {id:?} is a {} leaf", input.kind.as_str()));
        }
        if let Op::Input(input) = &node.op
            && let InputKind::Port(_) = input.kind
        {
            if leaves.insert((input.kind, "".into()), id).is_some() {
                return Err(format!("G3: two leaves are one port, the second is {id:?}"));
            }
        } else if let Op::Input(input) = &node.op
            && leaves.insert((input.kind, node.provenance.name.clone()), id).is_some()
        {
            return Err(format!("G3: two {} leaves are named {}", input.kind.as_str(), node.provenance.name));
        }
    }
    let mut seen = BTreeMap::new();
    for output in &graph.outputs {
        if seen.insert((output.role, output.name.clone()), output.node).is_some() {
            return Err(format!("G4: two {} outputs are named {}", output.role.as_str(), output.name));
        }
        let kind = match output.role {
            Role::Param => InputKind::Param,
            Role::State => InputKind::State,
            _ => continue,
        };
        if let Some(leaf) = leaves.get(&(kind, output.name.clone()))
            && graph.ty(*leaf) != graph.ty(output.node)
        {
            return Err(format!(
                "G5: {} is {} before the step and {} after",
                output.name,
                graph.ty(*leaf),
                graph.ty(output.node)
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{SourceId, Span};
    use crate::ir::{DType, Dim, Node, NodeId, Provenance, TensorType};
    use crate::ops::scan::Body;
    use crate::ops::{Constant, Input, LoopResult, Neg, Scalar, Scan, Sum};

    fn node(op: impl Into<Op>, ty: TensorType) -> Node {
        Node {
            op: op.into(),
            ty,
            provenance: Provenance { name: "x".into(), span: Span::new(SourceId::NOWHERE, 0, 0) },
        }
    }

    /// A graph of `n_nodes` constants, for ids as much as for itself.
    fn constants(n_nodes: usize) -> (Graph, Vec<NodeId>) {
        let mut graph = Graph::new();
        let ty = TensorType::scalar(DType::F32);
        let add = |_| graph.push(node(Constant { value: Scalar(1.0), ty: ty.clone() }, ty.clone()), &[]);
        let ids = (0..n_nodes).map(add).collect();
        (graph, ids)
    }

    #[test]
    fn an_operand_must_stand_before_its_user() {
        let (mut graph, _) = constants(1);
        let (_, ids) = constants(2);
        graph.push(node(Neg, TensorType::scalar(DType::F32)), &[ids[1]]);
        assert_eq!(verify(&graph), Err("G1: %1 (neg) reads %1".to_string()));
    }

    #[test]
    fn a_type_must_be_the_rules() {
        let (mut graph, ids) = constants(1);
        graph.push(node(Neg, TensorType::f32(vec![Dim::known(2)])), &ids);
        assert_eq!(verify(&graph), Err("G2: %1 (neg) has type f32[2], its rule says f32".to_string()));
        let (mut graph, _) = constants(1);
        graph.push(node(Neg, TensorType::scalar(DType::F32)), &[]);
        assert_eq!(verify(&graph), Err("G2: %1 (neg): neg takes 1 operand, got 0".to_string()));
    }

    fn leaf(graph: &mut Graph, name: &str, kind: InputKind, extent: usize) -> NodeId {
        let ty = TensorType::f32(vec![Dim::known(extent)]);
        let mut node = node(Input { kind, ty: ty.clone() }, ty);
        node.provenance.name = name.into();
        graph.push(node, &[])
    }

    #[test]
    fn a_leaf_is_read_once() {
        for kind in [InputKind::Param, InputKind::State, InputKind::Input, InputKind::Target] {
            let mut graph = Graph::new();
            leaf(&mut graph, "a", kind, 3);
            leaf(&mut graph, "b", kind, 3);
            assert_eq!(verify(&graph), Ok(()));
            leaf(&mut graph, "a", kind, 3);
            assert_eq!(verify(&graph), Err(format!("G3: two {} leaves are named a", kind.as_str())));
        }
        // A port is told by its number, whatever it is called.
        let mut body = Graph::new();
        leaf(&mut body, "a", InputKind::Port(0), 3);
        leaf(&mut body, "a", InputKind::Port(1), 3);
        assert_eq!(verify_body(&body), Ok(()));
        leaf(&mut body, "b", InputKind::Port(1), 3);
        assert_eq!(verify_body(&body), Err("G3: two leaves are one port, the second is %2".to_string()));
    }

    #[test]
    fn an_output_has_a_name_of_its_own() {
        let (mut graph, ids) = constants(1);
        graph.add_output(Role::Loss, "l", ids[0]);
        graph.add_output(Role::Weight, "l", ids[0]);
        assert_eq!(verify(&graph), Ok(()));
        graph.add_output(Role::Loss, "l", ids[0]);
        assert_eq!(verify(&graph), Err("G4: two loss outputs are named l".to_string()));
    }

    #[test]
    fn a_carried_value_keeps_its_type() {
        for (role, kind) in [(Role::Param, InputKind::Param), (Role::State, InputKind::State)] {
            let mut graph = Graph::new();
            let before = leaf(&mut graph, "w", kind, 3);
            let other = leaf(&mut graph, "other", kind, 4);
            graph.add_output(role, "w", before);
            assert_eq!(verify(&graph), Ok(()));
            graph.outputs[0].node = other;
            assert_eq!(verify(&graph), Err("G5: w is f32[3] before the step and f32[4] after".to_string()));
        }
    }

    /// A program whose only node besides two leaves is a loop of this body, with one carry and one sequence.
    fn looped(body: Graph) -> Graph {
        let mut graph = Graph::new();
        let carry = leaf(&mut graph, "carry", InputKind::Param, 3);
        let ty = TensorType::f32(vec![Dim::known(2), Dim::known(3)]);
        let sequence = graph.push(node(Input { kind: InputKind::Input, ty: ty.clone() }, ty), &[]);
        let scan = Scan {
            body: Body::new(body),
            carries: 1,
            sequences: 1,
            length: Dim::known(2),
            reverse: false,
            result: LoopResult::Carry(0),
        };
        graph.push(node(scan, TensorType::f32(vec![Dim::known(3)])), &[carry, sequence]);
        graph
    }

    /// The ports of such a body.
    fn step() -> (Graph, [NodeId; 2]) {
        let mut body = Graph::new();
        let ports = [0, 1].map(|port| leaf(&mut body, "x", InputKind::Port(port), 3));
        (body, ports)
    }

    #[test]
    fn ports_stand_in_bodies_and_nothing_else_does() {
        let (body, _) = step();
        assert_eq!(verify_body(&body), Ok(()));
        assert_eq!(verify(&body), Err("G6: %0 is a port leaf".to_string()));
        let mut program = Graph::new();
        leaf(&mut program, "x", InputKind::Input, 3);
        assert_eq!(verify(&program), Ok(()));
        assert_eq!(verify_body(&program), Err("G6: %0 is a input leaf".to_string()));
    }

    #[test]
    fn the_body_of_a_loop_obeys_every_law() {
        let ty = || TensorType::f32(vec![Dim::known(3)]);
        let (mut body, ports) = step();
        let next = body.push(node(Neg, ty()), &[ports[0]]);
        body.add_output(Role::State, "0", next);
        assert_eq!(verify(&looped(body)), Ok(()));

        let (mut body, ports) = step();
        let next = body.push(node(Neg, TensorType::f32(vec![Dim::known(2)])), &[ports[0]]);
        body.add_output(Role::State, "0", ports[1]);
        body.add_output(Role::Output, "1", next);
        let broken = verify(&looped(body)).unwrap_err();
        assert_eq!(broken, "G6: the body of %2: G2: %2 (neg) has type f32[2], its rule says f32[3]");

        let (mut body, ports) = step();
        let (_, ids) = constants(4);
        body.push(node(Neg, ty()), &[ids[2]]);
        body.add_output(Role::State, "0", ports[0]);
        assert_eq!(verify(&looped(body)).unwrap_err(), "G6: the body of %2: G1: %2 (neg) reads %2");

        let (mut body, ports) = step();
        leaf(&mut body, "again", InputKind::Port(1), 3);
        body.add_output(Role::State, "0", ports[0]);
        let broken = verify(&looped(body)).unwrap_err();
        assert_eq!(broken, "G6: the body of %2: G3: two leaves are one port, the second is %2");

        let (mut body, ports) = step();
        body.add_output(Role::State, "0", ports[0]);
        body.add_output(Role::State, "0", ports[1]);
        assert_eq!(verify(&looped(body)).unwrap_err(), "G6: the body of %2: G4: two state outputs are named 0");

        // A carry of another type: the rule of the loop itself.
        let (mut body, ports) = step();
        let (sum, scalar) = (Sum { axes: vec![0] }, TensorType::scalar(DType::F32));
        let next = body.push(node(sum, scalar), &[ports[0]]);
        body.add_output(Role::State, "0", next);
        assert!(verify(&looped(body)).unwrap_err().starts_with("G2: %2 (scan): carry 0 of a scan is f32[3]"));
    }
}
