//! A compiled spec as a table: what it declares, its layers, and what its losses train.

use super::table::Table;
use crate::analyse::{LossSummary, Summary, SummaryRow, summary};
use crate::ir::{Output, Role};
use crate::pipeline::Compiled;
use serde_json::json;
use std::sync::Arc;

/// Paths of layers count to `depth` names.
pub(crate) fn summary_of(compiled: &Compiled, depth: usize) -> Summary {
    summary(&compiled.module, [&compiled.simplified.predict, &compiled.simplified.train], depth)
}

/// The summary for people.
pub(crate) fn table_text(compiled: &Compiled, summary: &Summary) -> String {
    let declared: String = declarations(compiled).iter().map(|line| format!("{line}\n")).collect();
    format!("{declared}\n{}\n{}{}", layers(summary), losses(summary), totals(compiled, summary))
}

fn declarations(compiled: &Compiled) -> Vec<String> {
    let module = &compiled.module;
    let mut lines = Vec::new();
    for (what, infos) in [("input", &module.inputs), ("target", &module.targets)] {
        lines.extend(infos.iter().map(|(name, info)| format!("{what:<9}{name}: {}", info.ty)));
    }
    for output in &compiled.predict.outputs {
        lines.push(format!("output   {}: {}", output.name, compiled.predict.ty(output.node)));
    }
    let of_role = |role: Role| module.graph.outputs.iter().filter(move |output| output.role == role);
    let is_by_batch = |output: &Output| {
        let finals = &compiled.simplified.evaluate_metrics;
        module.batch_metrics.contains(&output.name) && finals.output(Role::Metric, &output.name).is_none()
    };
    for (what, role) in [("loss", Role::Loss), ("metric", Role::Metric), ("minimize", Role::Objective)] {
        lines.extend(of_role(role).map(|output| {
            let note = if role == Role::Metric && is_by_batch(output) { " (the mean of its batches)" } else { "" };
            format!("{what:<9}{}{note}", output.name)
        }));
    }
    lines
}

fn layers(summary: &Summary) -> String {
    let mut table = Table::new(["layer", "gives", "trained by", "params", "FLOPs"].map(String::from).to_vec());
    for row in &summary.rows {
        table.push(vec![
            row.name.to_string(),
            row.ty.to_string(),
            row.trained_by.join(", "),
            params(row),
            size(row.flops),
        ]);
    }
    for (path, n_params, trained_by) in &summary.elsewhere {
        table.push(vec![path.to_string(), String::new(), trained_by.join(", "), n_params.to_string(), String::new()]);
    }
    table.to_text(3)
}

fn params(row: &SummaryRow) -> String {
    match (row.n_params, row.is_again) {
        (0, false) => String::new(),
        (0, true) => "again".to_string(),
        (n_params, _) => n_params.to_string(),
    }
}

/// A line for each loss, where there are several.
fn losses(summary: &Summary) -> String {
    if summary.losses.len() < 2 {
        return String::new();
    }
    let line = |loss: &LossSummary| {
        format!("{} trains {} numbers, {} of them alone\n", loss.name, loss.n_trained, loss.n_alone)
    };
    summary.losses.iter().map(line).collect::<String>() + "\n"
}

fn totals(compiled: &Compiled, summary: &Summary) -> String {
    let n_tensors = compiled.module.params.len();
    let tensors = if n_tensors == 1 { "tensor" } else { "tensors" };
    let fixed = if summary.n_fixed > 0 { format!(", {} of them fixed", summary.n_fixed) } else { String::new() };
    let mut lines = vec![format!(
        "params   {n_tensors} {tensors}, {} numbers{fixed}, {}B in f32",
        summary.n_params,
        size(4.0 * summary.n_params as f64)
    )];
    for (name, cost) in [("predict", summary.predict), ("train", summary.train)] {
        if cost.flops() > 0.0 {
            let (flops, bytes) = (size(cost.flops()), size(cost.bytes));
            lines.push(format!("{name:<9}{flops}FLOPs, {bytes}B read and written: a batch of 128 rows"));
        }
    }
    lines.join("\n") + "\n"
}

/// A count with three digits and a power of ten: `20.5 k`.
fn size(count: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    match units.iter().find(|(unit, _)| count >= *unit) {
        Some((unit, letter)) => {
            let scaled = count / unit;
            let digits = if scaled >= 100.0 { 0 } else { 1 };
            format!("{scaled:.digits$}{letter}")
        }
        None if count == 0.0 => String::new(),
        None => format!("{count:.0} "),
    }
}

fn names(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// The summary as JSON.
pub(crate) fn json_text(summary: &Summary) -> String {
    let rows: Vec<_> = summary
        .rows
        .iter()
        .map(|row| {
            json!({ "layer": *row.name, "gives": row.ty.to_string(), "params": row.n_params, "again": row.is_again,
                "flops": row.flops, "trained_by": names(&row.trained_by), "outputs": names(&row.outputs) })
        })
        .collect();
    let losses: Vec<_> = summary
        .losses
        .iter()
        .map(|loss| json!({ "loss": *loss.name, "trains": loss.n_trained, "alone": loss.n_alone }))
        .collect();
    let elsewhere: Vec<_> = summary
        .elsewhere
        .iter()
        .map(|(path, n_params, by)| json!({ "param": **path, "numbers": n_params, "trained_by": names(by) }))
        .collect();
    let document = json!({ "layers": rows, "losses": losses, "other_params": elsewhere,
        "params": summary.n_params, "fixed": summary.n_fixed });
    format!("{document:#}\n")
}
