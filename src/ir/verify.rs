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
    use crate::ops::{Constant, Neg, Scalar};

    fn node(op: impl Into<Op>, ty: TensorType) -> Node {
        Node { op: op.into(), ty, provenance: Provenance { name: "x".into(), span: Span::new(SourceId(0), 0, 0) } }
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
}
