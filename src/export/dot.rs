//! DOT, the language of Graphviz: a node a line, operands as edges, outputs as doubled boxes.

use crate::ir::{Graph, Names};
use crate::ops::Op;
use std::fmt::Write as _;

/// The graph as a DOT digraph named `title`. Constants are drawn into the node that reads them.
pub fn dot(graph: &Graph, title: &str) -> String {
    let names = Names::of(graph);
    let mut text =
        format!("digraph {} {{\n  rankdir=TB;\n  node [shape=box, fontname=\"monospace\"];\n", quoted(title));
    for id in graph.ids().filter(|id| !matches!(graph.op(*id), Op::Constant(_))) {
        let node = graph.node(id);
        let constants = graph.operands(id).into_iter().enumerate();
        let constants = constants.filter(|(_, operand)| matches!(graph.op(*operand), Op::Constant(_)));
        let mut label = match &node.op {
            Op::Input(input) => format!("{} {}", input.kind.as_str(), names.get(id)),
            op => format!("{}\n{}", names.get(id), op.name()),
        };
        for (slot, operand) in constants {
            let _ = write!(label, "\n[{slot}] = {}", names.get(operand));
        }
        let style = if matches!(node.op, Op::Input(_)) { ", style=rounded" } else { "" };
        let _ = writeln!(text, "  n{} [label={}{style}];", id.index(), quoted(&format!("{label}\n{}", node.ty)));
        for (slot, operand) in graph.operands(id).into_iter().enumerate() {
            if !matches!(graph.op(operand), Op::Constant(_)) {
                let _ = writeln!(text, "  n{} -> n{} [taillabel=\"{slot}\"];", operand.index(), id.index());
            }
        }
    }
    for (position, output) in graph.outputs.iter().enumerate() {
        let label = match graph.op(output.node) {
            Op::Constant(_) => format!("{} {} = {}", output.role.as_str(), output.name, names.get(output.node)),
            _ => format!("{} {}", output.role.as_str(), output.name),
        };
        let _ = writeln!(text, "  o{position} [label={}, peripheries=2];", quoted(&label));
        if !matches!(graph.op(output.node), Op::Constant(_)) {
            let _ = writeln!(text, "  n{} -> o{position};", output.node.index());
        }
    }
    text.push_str("}\n");
    text
}

/// A DOT string: quotes and backslashes escaped, lines broken by `\n`.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}
