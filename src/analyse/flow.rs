//! Gradient flow: which loss trains which param.

use super::expression::expression;
use super::study::objective_studies;
use crate::autodiff::gradient_reach;
use crate::ir::NodeId;
use crate::lower::Module;
use std::fmt::Write as _;
use std::sync::Arc;

/// How a loss relates to a param.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// a differentiable path: the loss trains the param
    Path,
    /// the loss depends on the param, but every path is stopped or flat
    Stopped,
    /// the loss does not depend on the param
    None,
}

impl Cell {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "trains",
            Self::Stopped => "stopped",
            Self::None => "-",
        }
    }
}

/// Losses × params.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTable {
    pub params: Vec<Arc<str>>,
    pub rows: Vec<FlowRow>,
    /// by how much each loss counts in the gradient of each objective
    pub coefficients: Vec<Coefficient>,
}

/// ∂ objective / ∂ loss, in the spec's names.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficient {
    pub objective: Arc<str>,
    pub loss: Arc<str>,
    pub expression: String,
}

/// One loss, or one value that a contract speaks of.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowRow {
    pub name: Arc<str>,
    pub cells: Vec<Cell>,
}

/// The flow table: a row for each loss and for each asserted value, a column for each param.
pub fn flow(module: &Module) -> FlowTable {
    let mut subjects: Vec<(Arc<str>, NodeId)> =
        module.losses.iter().map(|(name, (node, _))| (name.clone(), *node)).collect();
    for contract in &module.contracts {
        let name = &module.graph.node(contract.subject).provenance.name;
        if !subjects.iter().any(|(_, node)| *node == contract.subject) {
            subjects.push((name.clone(), contract.subject));
        }
    }
    let rows = subjects.into_iter().map(|(name, subject)| {
        let depends = module.graph.needed_by([subject]);
        let reached = gradient_reach(&module.graph, subject);
        let cell = |param: NodeId| {
            if reached[param.index()] {
                Cell::Path
            } else if depends[param.index()] {
                Cell::Stopped
            } else {
                Cell::None
            }
        };
        FlowRow { name, cells: module.params.values().map(|param| cell(param.node)).collect() }
    });
    FlowTable {
        rows: rows.collect(),
        params: module.params.keys().cloned().collect(),
        coefficients: coefficients(module),
    }
}

fn coefficients(module: &Module) -> Vec<Coefficient> {
    let mut coefficients = Vec::new();
    for study in objective_studies(module) {
        let branches = study.branches.iter().map(|branch| (branch.node, branch.name.clone()));
        // The inner products of gradients have a name in the language, and formulas of a page.
        let gramians = module.gramians.iter().map(|gramian| (*gramian, "gram".into()));
        let names = gramians.chain(branches).collect();
        coefficients.extend(study.branches.iter().map(|branch| Coefficient {
            objective: study.name.clone(),
            loss: branch.name.clone(),
            expression: expression(&study.graph, branch.coefficient, &names),
        }));
    }
    coefficients
}

impl FlowTable {
    /// The table as text: a line a param, a column a loss, so that long lists of params stay readable.
    pub fn to_text(&self) -> String {
        let width = self.params.iter().map(|path| path.len()).max().unwrap_or(0).max("param".len());
        let columns: Vec<usize> = self.rows.iter().map(|row| row.name.len().max("stopped".len())).collect();
        let mut text = format!("{:width$}", "param");
        for (row, column) in self.rows.iter().zip(&columns) {
            let _ = write!(text, "  {:column$}", row.name);
        }
        let mut lines = vec![text];
        for (i, path) in self.params.iter().enumerate() {
            let mut line = format!("{path:width$}");
            for (row, column) in self.rows.iter().zip(&columns) {
                let _ = write!(line, "  {:column$}", row.cells[i].as_str());
            }
            lines.push(line);
        }
        let mut objective = "";
        for coefficient in &self.coefficients {
            if *coefficient.objective != *objective {
                objective = &coefficient.objective;
                lines.push(format!("\nthe gradient of {objective} is the sum of"));
            }
            lines.push(format!("  {} * d {}", coefficient.expression, coefficient.loss));
        }
        lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}
