//! A graph as text: one line a node, names first, stable to the byte.
//!
//! ```text
//! box.matmul = matmul(image.reshape, box.dense.kernel) : f32[batch, 2]
//! ```
//!
//! Constants print in place, as numbers; what they repeat to fill follows from the result's type. Any other node prints under the path of the value it belongs to, with the op's name where the value has several nodes; a
//! number tells equal names apart.

use super::graph::{Graph, NodeId};
use crate::ops::scan::Body;
use crate::ops::{Input, InputKind, Op};
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

/// The graph as text. `title` heads it. The bodies of loops follow, numbered; equal ones are one.
pub fn print(graph: &Graph, title: &str) -> String {
    let mut bodies: Vec<Body> = Vec::new();
    let mut text = block(graph, title, &mut bodies);
    let mut at = 0;
    while let Some(body) = bodies.get(at).cloned() {
        at += 1;
        text += &block(body.graph(), &format!("body {at}"), &mut bodies);
    }
    text
}

fn block(graph: &Graph, title: &str, bodies: &mut Vec<Body>) -> String {
    let names = Names::of(graph);
    let mut text = format!("{title} {{\n");
    for id in graph.ids().filter(|id| !matches!(graph.op(*id), Op::Constant(_))) {
        let node = graph.node(id);
        let operands: Vec<&str> = graph.operands(id).into_iter().map(|operand| names.get(operand)).collect();
        let mut attributes: Vec<String> =
            node.op.attributes().into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        if let Op::Scan(scan) = &node.op {
            attributes.insert(0, format!("body={}", number(bodies, &scan.body)));
        }
        let _ = match &node.op {
            Op::Input(Input { kind: InputKind::Port(port), .. }) => {
                writeln!(text, "  port {port} {} : {}", names.get(id), node.ty)
            }
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

/// The number of a body, from 1.
fn number(bodies: &mut Vec<Body>, body: &Body) -> usize {
    let known = bodies.iter().position(|other| other == body);
    1 + known.unwrap_or_else(|| {
        bodies.push(body.clone());
        bodies.len() - 1
    })
}
