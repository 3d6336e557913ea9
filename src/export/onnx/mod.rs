//! ONNX: a prediction program as a model for other runtimes.
//!
//! Takes a program with its params; gives the bytes of a model with open run-time dims. The operator set is 21, the file format
//! IR version 10. Floats are `f32`, whatever the run's precision, since runtimes lack functions in `f64`. An op that has no form is
//! a finding at the value that uses it. docs/export.md lists what is exact, what is near, and what has no form.
//!
//! `proto` writes the bytes, `scope` holds the nodes, and the files beside it have a row for each op of the table.

mod elementwise;
mod index;
mod layout;
mod loops;
mod op;
mod proto;
mod reduce;
mod scope;
mod windows;

pub use proto::{Constant, Elements};

use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::{Dim, Graph, NodeId, Role, TensorType};
use crate::ops::{InputKind, Op};
use scope::{Refused, Scopes, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What a model is made of besides its program.
pub struct Source<'s> {
    pub name: &'s str,
    /// the inputs of the spec, in order, read by the program or not
    pub inputs: Vec<(&'s str, &'s TensorType)>,
    /// the elements of a param or state, or a number of the clock or the seed
    pub stored: &'s dyn Fn(InputKind, &str) -> Option<Constant>,
    /// pairs of key and value
    pub metadata: Vec<(String, String)>,
    /// where the spec says the value of a name by an op, for findings
    pub place: &'s dyn Fn(&str, &str) -> Option<Span>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

/// The most bytes of a protobuf message.
const LARGEST: usize = i32::MAX as usize;

/// The model of a program whose outputs are all of role `output`.
///
/// # Errors
/// E0703 for each value whose op has no form; E0701 for a model that is too large for one file.
pub fn onnx(program: &Graph, source: &Source<'_>) -> Result<Vec<u8>, Diagnostics> {
    let read = |name: &str| {
        let is_it = |id: &NodeId| matches!(program.op(*id), Op::Input(leaf) if leaf.kind == InputKind::Input);
        program.ids().any(|id| is_it(&id) && *program.node(id).provenance.name == *name)
    };
    // An input that the program does not read is one of the model's where only it has the size of a run-time dim.
    let wanted: Vec<Arc<str>> =
        program.ids().flat_map(|id| program.ty(id).shape.iter().flat_map(Dim::symbols)).collect();
    let mut symbols: HashMap<Arc<str>, (String, usize)> = HashMap::new();
    let mut inputs: Vec<(String, TensorType)> = Vec::new();
    for only_read in [true, false] {
        for (name, ty) in source.inputs.iter().filter(|(name, _)| read(name) == only_read) {
            let axes = ty.shape.iter().enumerate();
            let brought: Vec<(Arc<str>, usize)> =
                axes.filter_map(|(axis, dim)| Some((dim.as_symbol()?.into(), axis))).collect();
            let is_new = |symbol: &Arc<str>| wanted.contains(symbol) && !symbols.contains_key(symbol);
            if only_read || brought.iter().any(|(symbol, _)| is_new(symbol)) {
                inputs.push((name.to_string(), (*ty).clone()));
                for (symbol, axis) in brought {
                    symbols.entry(symbol).or_insert_with(|| (name.to_string(), axis));
                }
            }
        }
    }
    let mut lowering = Lowering { scopes: Scopes::new(symbols), source, refused: Vec::new() };
    let values = lowering.graph(program, &[]);
    let mut outputs = Vec::new();
    for output in program.outputs.iter().filter(|output| output.role == Role::Output) {
        let Some(value) = &values[output.node.index()] else { continue };
        lowering.scopes.set_provenance(&output.name);
        match lowering.scopes.plain(value) {
            Ok(tensor) => {
                let is_taken = inputs.iter().any(|(name, _)| **name == *output.name);
                let name = if is_taken { format!("{}_output", output.name) } else { output.name.to_string() };
                lowering.scopes.named("Identity", &[&tensor], &name);
                outputs.push((name, value.ty.clone()));
            }
            Err(refused) => lowering.refuse(program, output.node, refused),
        }
    }
    if !lowering.refused.is_empty() {
        return Err(Diagnostics(lowering.refused));
    }
    let model = lowering.scopes.finish(source.name, inputs, outputs);
    let bytes = proto::model(&model, &source.metadata);
    if bytes.len() > LARGEST {
        return Err(Diagnostic::error(Code::E0701, "the model is too large for an ONNX file")
            .with_note(format!("found: {} bytes; expected: at most {LARGEST}", bytes.len()))
            .into());
    }
    Ok(bytes)
}

/// A program on its way into nodes.
struct Lowering<'s> {
    scopes: Scopes,
    source: &'s Source<'s>,
    refused: Vec<Diagnostic>,
}

impl Lowering<'_> {
    /// The values of a graph's nodes; none where an op has no form, or reads a value that has none. `ports` are what a loop hands
    /// to its body.
    fn graph(&mut self, graph: &Graph, ports: &[Value]) -> Vec<Option<Value>> {
        let needed = graph.needed_by(graph.outputs.iter().map(|output| output.node));
        let mut values: Vec<Option<Value>> = vec![None; graph.len()];
        let mut loops = HashMap::new();
        for id in graph.ids().filter(|id| needed[id.index()]) {
            let operands: Vec<Option<Value>> =
                graph.operands(id).iter().map(|operand| values[operand.index()].clone()).collect();
            // A part of a loop that its result does not need may have no form.
            let is_complete = match graph.op(id) {
                Op::Scan(scan) => (0..operands.len()).all(|slot| !scan.reads(slot) || operands[slot].is_some()),
                _ => operands.iter().all(Option::is_some),
            };
            if !is_complete {
                continue;
            }
            self.scopes.set_provenance(&graph.node(id).provenance.name);
            let lowered = match graph.op(id) {
                Op::Scan(scan) => self.scan(graph, id, scan, &operands, &mut loops),
                op => {
                    let operands: Vec<Value> = operands.into_iter().flatten().collect();
                    self.op(op, &graph.node(id).provenance.name, &operands, graph.ty(id), ports)
                }
            };
            match lowered {
                Ok(value) => values[id.index()] = Some(value),
                Err(refused) => self.refuse(graph, id, refused),
            }
        }
        values
    }

    fn refuse(&mut self, graph: &Graph, id: NodeId, Refused(reason): Refused) {
        let (name, op) = (&graph.node(id).provenance.name, graph.op(id).name());
        let mut finding = Diagnostic::error(Code::E0703, format!("`{name}` has no form in ONNX"))
            .with_note(format!("found: {reason}"))
            .with_help("export the outputs that do not need it: `--outputs NAMES`");
        if let Some(span) = (self.source.place)(name, op) {
            finding = finding.at(span, format!("computed by `{op}`"));
        }
        if !self.refused.contains(&finding) {
            self.refused.push(finding);
        }
    }
}
