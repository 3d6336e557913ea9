//! A plan as text: groups, places, costs.

use super::{BufferId, ConstantValue, IndexMap, Pattern, Place, Plan, Reference, Storage, Work};
use crate::ir::Graph;
use std::fmt::Write as _;

/// The plan as text, stable to the byte. `graph` is the graph that was planned, `is_slow` tells of a plan's step whether its op
/// has no kernel and runs by its definition. Bytes are those of an f32 run.
pub fn print(plan: &Plan, graph: &Graph, title: &str, is_slow: impl Fn(&Plan, &Work) -> bool) -> String {
    let mut text = format!("{title} {{\n");
    let flops: u64 = plan.steps.iter().map(|step| step.flops).sum();
    let elements: u64 = plan.steps.iter().map(|step| step.elements).sum();
    let groups = plan.steps.iter().filter(|step| matches!(step.work, Work::Group(_))).count();
    let _ = writeln!(
        text,
        "  steps {} (fused groups {groups}), {flops} flop, {} bytes moved",
        plan.steps.len(),
        4 * elements
    );
    let _ = writeln!(text, "  peak {} bytes of floats, {} bytes of ints", 4 * plan.float_len, 4 * plan.int_len);
    steps(&mut text, plan, "", &is_slow);
    for output in &plan.outputs {
        let named = &graph.outputs[output.output];
        let _ = writeln!(text, "  return {} {} = {}", named.role.as_str(), named.name, place(plan, output.buffer));
    }
    text.push_str("}\n");
    text
}

/// The steps of a plan or of the body of a loop.
fn steps(text: &mut String, plan: &Plan, indent: &str, is_slow: &impl Fn(&Plan, &Work) -> bool) {
    for (i, step) in plan.steps.iter().enumerate() {
        let cost = format!("{} flop, {} bytes", step.flops, 4 * step.elements);
        match &step.work {
            Work::Kernel { op, operands, bias, result, shape, .. } => {
                let operands: Vec<String> = operands
                    .iter()
                    .map(|operand| format!("{}{:?}", place(plan, operand.buffer), operand.shape))
                    .collect();
                let after = bias.map_or(String::new(), |bias| {
                    let relu = if bias.relu { ", then max(0)" } else { "" };
                    format!(" + {}{relu}", place(plan, bias.buffer))
                });
                let how = if is_slow(plan, &step.work) { " by definition" } else { "" };
                let _ = writeln!(
                    text,
                    "{indent}  {i:3} {} {}{shape:?} = {}({}){how}{after}  # {cost}",
                    step.name,
                    place(plan, *result),
                    op.name(),
                    operands.join(", ")
                );
            }
            Work::Loop(work) => {
                let back = if work.reverse { " backwards" } else { "" };
                let _ = writeln!(text, "{indent}  {i:3} {} loop of {}{back}  # {cost}", step.name, work.length);
                for (at, carry) in work.carries.iter().enumerate() {
                    let (first, home) = (place(plan, carry.first), place(plan, carry.home));
                    let _ = writeln!(text, "{indent}        carry {at} {home} = {first}");
                }
                for input in &work.inputs {
                    let what = if input.is_sequence { "slice of" } else { "all of" };
                    let leaf = place(&work.step, input.leaf);
                    let _ = writeln!(text, "{indent}        {leaf} = {what} {}", place(plan, input.from));
                }
                for (carry, to) in &work.incoming {
                    let _ = writeln!(text, "{indent}        slice of {} = carry {carry}", place(plan, *to));
                }
                for (leaf, to) in &work.stacked {
                    let leaf = place(&work.step, *leaf);
                    let _ = writeln!(text, "{indent}        slice of {} = {leaf}", place(plan, *to));
                }
                steps(text, &work.step, &format!("{indent}        "), is_slow);
            }
            Work::Copy { from, to } => {
                let _ = writeln!(
                    text,
                    "{indent}  {i:3} {} {} = copy({})  # {cost}",
                    step.name,
                    place(plan, *to),
                    place(plan, *from)
                );
            }
            Work::Group(group) => {
                let _ = writeln!(text, "{indent}  {i:3} {} group over {}  # {cost}", step.name, group.n);
                for (l, load) in group.loads.iter().enumerate() {
                    let kind = if load.is_int { " as float" } else { "" };
                    let _ = writeln!(
                        text,
                        "{indent}        l{l} = load {}{}{kind}",
                        place(plan, load.buffer),
                        pattern(&load.map)
                    );
                }
                for (v, instruction) in group.instructions.iter().enumerate() {
                    let operands: Vec<String> = instruction.operands.iter().map(reference).collect();
                    let _ = writeln!(
                        text,
                        "{indent}        v{v} = {}({})  # {}",
                        instruction.op.name(),
                        operands.join(", "),
                        instruction.name
                    );
                }
                for write in &group.writes {
                    let value = match write.sum_inner {
                        Some(inner) => format!("sum({} by {inner})", reference(&write.value)),
                        None => reference(&write.value),
                    };
                    let over = write.over.map_or(String::new(), |load| format!(" over l{load}"));
                    let _ = writeln!(text, "{indent}        store {} = {value}{over}", place(plan, write.buffer));
                }
            }
        }
    }
}

fn place(plan: &Plan, id: BufferId) -> String {
    let buffer = &plan.buffers[id.0];
    match &buffer.place {
        Place::Arena { offset } => {
            let table = if buffer.storage == Storage::Int { "int" } else { "float" };
            format!("{table}@{offset}+{}", buffer.len)
        }
        Place::Leaf { kind, name } => format!("{} {name}", kind.as_str()),
        Place::Constant(ConstantValue::Splat(value)) => format!("{value:?}"),
        Place::Constant(ConstantValue::Iota { extent, inner }) => format!("positions({extent} by {inner})"),
    }
}

fn pattern(map: &IndexMap) -> String {
    match map.pattern() {
        Pattern::Contiguous => String::new(),
        Pattern::Scalar => " scalar".to_string(),
        Pattern::Cyclic { period } => format!(" every {period}"),
        Pattern::Stretched { inner } => format!(" each for {inner}"),
        Pattern::Strided(dims) => format!(" strided {dims:?}"),
    }
}

fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Load(load) => format!("l{load}"),
        Reference::Constant(value) => format!("{value:?}"),
        Reference::Instruction(instruction) => format!("v{instruction}"),
    }
}
