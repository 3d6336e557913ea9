//! The laws of a graph, checked.
//!
//! (G1) Every operand stands before its user: id order is topological.
//! (G2) A node's type is the one its op's shape rule gives for its operands' types.
//! (G3) Leaves of one kind have distinct names: a graph reads each param, state, input and target once.
//! (G4) Outputs of one role have distinct names.
//! (G5) Outputs that carry a state or param from step to step keep its type.

use super::graph::{Graph, Role};
use crate::ops::{InputKind, Op};
use std::collections::BTreeMap;

/// Checks the laws; the message names the first node that breaks one. A failure is a bug in anabranch.
pub fn verify(graph: &Graph) -> Result<(), String> {
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
        if let Op::Input(input) = &node.op
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
