//! A graph as text: one line a node, names first, stable to the byte.
//!
//! ```text
//! box.matmul = matmul(image.reshape, box.dense.kernel) : f32[batch, 2]
//! ```
//!
//! Constants print in place, as numbers; what they repeat to fill follows from the result's type. Any other node prints under the path of the value it belongs to, with the op's name where the value has several nodes; a
//! number tells equal names apart.

use super::graph::{Graph, NodeId};
use crate::ops::Op;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The printed name of every node of a graph.
#[derive(Clone, Debug)]
pub struct Names(Vec<String>);

impl Names {
    pub fn of(graph: &Graph) -> Self {
        let mut count: BTreeMap<String, usize> = BTreeMap::new();
        // Leaves have their name to themselves, wherever they stand.
        for id in graph.ids().filter(|id| matches!(graph.op(*id), Op::Input(_))) {
            count.insert(graph.node(id).provenance.name.to_string(), 1);
        }
        let names = graph.ids().map(|id| {
            let node = graph.node(id);
            let path = &node.provenance.name;
            let base = match &node.op {
                Op::Input(_) => return path.to_string(),
                Op::Constant(constant) => return constant.to_string(),
                op if path.is_empty() => op.name().to_string(),
                op => format!("{path}.{}", op.name()),
            };
            let used = count.entry(base.clone()).or_insert(0);
            *used += 1;
            if *used == 1 { base } else { format!("{base}.{used}") }
        });
        Self(names.collect())
    }

    pub fn get(&self, id: NodeId) -> &str {
        &self.0[id.index()]
    }
}

/// The graph as text. `title` heads it.
pub fn print(graph: &Graph, title: &str) -> String {
    let names = Names::of(graph);
    let mut text = format!("{title} {{\n");
    for id in graph.ids().filter(|id| !matches!(graph.op(*id), Op::Constant(_))) {
        let node = graph.node(id);
        let operands: Vec<&str> = graph.operands(id).into_iter().map(|operand| names.get(operand)).collect();
        let attributes: Vec<String> =
            node.op.attributes().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let _ = match &node.op {
            Op::Input(input) => writeln!(text, "  {} {} : {}", input.kind.as_str(), names.get(id), node.ty),
            op => {
                let call = [operands.join(", "), attributes.join(", ")];
                let call: Vec<&str> = call.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
                writeln!(text, "  {} = {}({}) : {}", names.get(id), op.name(), call.join("; "), node.ty)
            }
        };
    }
    for output in &graph.outputs {
        let _ = writeln!(text, "  return {} {} = {}", output.role.as_str(), output.name, names.get(output.node));
    }
    text.push_str("}\n");
    text
}
