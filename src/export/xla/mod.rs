//! StableHLO: programs as text that XLA compiles for any device, one module for a set of sizes.
//!
//! Takes a program whose sizes are put in; gives the text of a module, and what its function takes and gives, in order. The
//! arguments are the same for every program of a spec, read or not: params, states, inputs, targets, then of the clock step, epoch,
//! epoch_end, epochs, steps_per_epoch, total_steps, and the seed. Floats are `f32` or `f64` as the module says. Numbers differ from a
//! run's by rounding alone, and random numbers not at all.
//!
//! `text` writes lines; the files beside it have a row for each op of the table.

mod dense;
mod loops;
mod op;
mod random;
mod special;
mod text;
mod windows;

pub use text::Width;

use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, Operands, Role, TensorType};
use crate::ops::{InputKind, Op, Scan};
use op::{element, extents};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use text::{Text, Value};

/// Why an op has no form.
struct Refused(String);

/// What a program may read besides the clock.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    pub params: Vec<(String, TensorType)>,
    pub states: Vec<(String, TensorType)>,
    pub inputs: Vec<(String, TensorType)>,
    pub targets: Vec<(String, TensorType)>,
}

/// An argument or result of a module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slot {
    /// `param`, `state`, `input`, `target`, the clock's `step`, …, `seed`; of results the role
    pub kind: String,
    pub name: String,
    pub dtype: String,
    pub shape: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    pub text: String,
    pub arguments: Vec<Slot>,
    pub results: Vec<Slot>,
}

/// The loops of a graph, by what they are and read.
type Loops = HashMap<(Scan, Operands), Vec<Value>>;

/// A module on its way into text.
struct Emitter {
    text: Text,
    /// by name
    functions: BTreeMap<String, String>,
}

/// The clock and the seed, as they stand behind the fields.
const CLOCK: [(InputKind, &str); 7] = [
    (InputKind::Step, "step"),
    (InputKind::Epoch, "epoch"),
    (InputKind::EpochEnd, "epoch_end"),
    (InputKind::Epochs, "epochs"),
    (InputKind::StepsPerEpoch, "steps_per_epoch"),
    (InputKind::TotalSteps, "total_steps"),
    (InputKind::Seed, "seed"),
];

/// The module of a bound program. Its results are the program's outputs in their order.
///
/// # Errors
/// E0703 at the value whose op has no form.
pub fn stablehlo(program: &Graph, interface: &Interface, width: Width, is_highest: bool) -> Result<Module, Diagnostic> {
    let mut emitter = Emitter { text: Text::new(width, is_highest), functions: BTreeMap::new() };
    let mut arguments: Vec<Slot> = Vec::new();
    let mut leaves: HashMap<(InputKind, String), Value> = HashMap::new();
    let mut add = |kind: InputKind, word: &str, name: &str, ty: &TensorType| {
        let value =
            Value { name: format!("%arg{}", arguments.len()), element: element(ty.dtype), shape: extents(&ty.shape) };
        let slot = Slot {
            kind: word.to_string(),
            name: name.to_string(),
            dtype: ty.dtype.as_str().to_string(),
            shape: value.shape.clone(),
        };
        arguments.push(slot);
        let key = if CLOCK.iter().any(|(other, _)| *other == kind) { String::new() } else { name.to_string() };
        leaves.insert((kind, key), value);
    };
    for (kind, fields) in [
        (InputKind::Param, &interface.params),
        (InputKind::State, &interface.states),
        (InputKind::Input, &interface.inputs),
        (InputKind::Target, &interface.targets),
    ] {
        fields.iter().for_each(|(name, ty)| add(kind, kind.as_str(), name, ty));
    }
    let number = TensorType::scalar(crate::ir::DType::I32);
    CLOCK.iter().for_each(|(kind, word)| add(*kind, word, word, &number));
    let values = emitter.graph(program, &|kind, name| {
        let key = if CLOCK.iter().any(|(other, _)| *other == kind) { String::new() } else { name.to_string() };
        leaves.get(&(kind, key)).cloned()
    })?;
    let outputs: Vec<(Role, &str, Value)> = (program.outputs.iter())
        .filter_map(|output| Some((output.role, &*output.name, values[output.node.index()].clone()?)))
        .collect();
    let results: Vec<Slot> = (outputs.iter())
        .map(|(role, name, value)| Slot {
            kind: role.as_str().to_string(),
            name: name.to_string(),
            dtype: match value.element {
                text::Element::Bool => "bool",
                text::Element::I32 => "i32",
                _ => "f32",
            }
            .to_string(),
            shape: value.shape.clone(),
        })
        .collect();
    let returned: Vec<Value> = outputs.into_iter().map(|(_, _, value)| value).collect();
    let text = emitter.module(&leaves_in_order(&arguments, &leaves), &returned);
    Ok(Module { text, arguments, results })
}

/// The arguments as values, in order.
fn leaves_in_order(arguments: &[Slot], leaves: &HashMap<(InputKind, String), Value>) -> Vec<Value> {
    let mut values: Vec<&Value> = leaves.values().collect();
    values.sort_by_key(|value| value.name[4..].parse::<usize>().unwrap_or(0));
    values.into_iter().take(arguments.len()).cloned().collect()
}

impl Emitter {
    /// The values of all nodes that an output needs.
    fn graph(
        &mut self,
        graph: &Graph,
        leaf: &dyn Fn(InputKind, &str) -> Option<Value>,
    ) -> Result<Vec<Option<Value>>, Diagnostic> {
        let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
        let mut values: Vec<Option<Value>> = vec![None; graph.len()];
        let mut loops = Loops::new();
        for id in graph.ids().filter(|id| needed[id.index()]) {
            let node = graph.node(id);
            let operands: Vec<Value> =
                graph.operands(id).iter().filter_map(|operand| values[operand.index()].clone()).collect();
            let name = &node.provenance.name;
            self.text.line(format!("// {}", name.replace('\n', " ")));
            let value = match &node.op {
                Op::Input(input) => leaf(input.kind, name)
                    .ok_or_else(|| Refused(format!("the {} `{name}` is not listed", input.kind.as_str()))),
                Op::Scan(scan) => self.scan(graph, id, scan, &operands, &mut loops),
                op => self.op(op, &operands, &node.ty),
            };
            let value = value.map_err(|Refused(reason)| {
                Diagnostic::error(Code::E0703, format!("`{name}` has no form in StableHLO"))
                    .at(node.provenance.span, format!("computed by `{}`", node.op.name()))
                    .with_note(format!("found: {reason}"))
            })?;
            values[id.index()] = Some(value);
        }
        Ok(values)
    }

    /// The outputs of a loop's body.
    fn body(&mut self, body: &Graph, ports: &[Value]) -> Result<Vec<Value>, Refused> {
        let port = |kind: InputKind, _: &str| match kind {
            InputKind::Port(port) => ports.get(port).cloned(),
            _ => None,
        };
        let values = self.graph(body, &port).map_err(|finding| Refused(finding.notes.join(" ")))?;
        let outputs = body.outputs.iter().map(|output| values[output.node.index()].clone());
        outputs.collect::<Option<Vec<Value>>>().ok_or_else(|| Refused("a body without values".to_string()))
    }

    fn module(mut self, arguments: &[Value], results: &[Value]) -> String {
        let lines = self.text.close();
        let head: Vec<String> =
            arguments.iter().map(|argument| format!("{}: {}", argument.name, self.text.ty(argument))).collect();
        let types = self.text.types(results);
        let body: String = lines.iter().map(|line| format!("    {}\n", line.replace('\n', "\n    "))).collect();
        let functions: String = self.functions.values().map(String::as_str).collect();
        format!(
            "module @anabranch {{\n  func.func public @main({}) -> ({types}) {{\n{body}    func.return {} : {types}\n  }}\n{functions}}}\n",
            head.join(", "),
            text::names(results)
        )
    }
}
