//! What a run folder says of its programs: the forms of `predict.json` and `evaluate.json`.
//!
//! Nothing in the folder is trusted: a graph is read through the shape rules and held against what its program may read and give.

use super::config::Fed;
use super::folder::{EVALUATION_FILE, PROGRAM_FILE, params_of};
use super::outputs::Precision;
use crate::data::{CellForm, ColumnSpec, DataSource, is_table, names_in};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::exec::Clock;
pub use crate::export::interface::{AcceptForm, ProductForm};
use crate::export::program::Document;
use crate::ir::{DType, Graph, Role, TensorType};
use crate::ops::{InputKind, Op};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Longer texts are refused before they are read.
const LONGEST_PROGRAM: u64 = 256 * 1024 * 1024;

/// A prediction program with all that is needed to run it but the params.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedProgram {
    pub precision: Precision,
    /// The training clock at the end of training, and the seed.
    pub clock: ClockForm,
    /// What stands before the inputs' names in `.npz` files.
    pub prefix: Option<String>,
    pub inputs: Vec<InputForm>,
    /// Outputs of the program that are given only when they are asked for: values of the spec.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What the numbers of an output stand for, from 0.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub labels: IndexMap<String, Vec<String>>,
    pub program: Document,
}

/// The program that gives losses and metrics; what else there is to know of it is beside the prediction program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationForm {
    pub targets: Vec<InputForm>,
    pub program: Document,
    /// (sums over all rows, params, states) → those metrics that are functions of sums
    pub finals: Document,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<ProductForm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockForm {
    pub step: i32,
    pub epoch: i32,
    pub seed: i32,
    /// how long the run is
    #[serde(default)]
    pub epochs: i32,
    #[serde(default)]
    pub steps_per_epoch: i32,
}

impl From<ClockForm> for Clock {
    fn from(form: ClockForm) -> Self {
        let ClockForm { step, epoch, seed, epochs, steps_per_epoch } = form;
        Self { step, epoch, seed, epochs, steps_per_epoch, ..Self::default() }
    }
}

/// An input, and the columns that held it in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputForm {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TensorType,
    /// whether values may be missing
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// the value for all rows that the run gave it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fed: Option<Fed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// how the cells of each column are read, where they are more than numbers
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<CellForm>,
    /// whether the program says what stands for values that are missing, NaN
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fills: bool,
    /// The whole numbers that it may hold, for who reads this file without the means to derive them from the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepts: Vec<AcceptForm>,
}

impl SavedProgram {
    /// Reads a run folder's program.
    ///
    /// # Errors
    /// E0601 when it cannot be read, E0608 when it is broken.
    pub fn read(folder: &Path) -> Result<Self, Diagnostic> {
        read_form(&folder.join(PROGRAM_FILE))
    }

    /// The files that a prediction by a folder reads: the program, and the params of the run or, while it has not ended, of its
    /// last checkpoint.
    pub fn files(folder: &Path) -> [PathBuf; 2] {
        [folder.join(PROGRAM_FILE), params_of(folder)]
    }

    /// The graph, held against what a prediction program may read and give; `span` becomes the place of every node.
    ///
    /// # Errors
    /// E0608 when it is no graph, or one that cannot predict.
    pub fn graph(&self, span: Span) -> Result<Graph, Diagnostics> {
        let graph = self.program.graph(span)?;
        check_program(&graph, &self.inputs)?;
        Ok(graph)
    }

    /// How to read a data file: by the `columns` that are given, else by those of training where the file has them, else under the
    /// fields' own names. `fields` are those that are read, of the inputs and of these `targets`.
    ///
    /// # Errors
    /// E0601 when the file cannot be read; E0201 when `columns` names a field that is not read.
    pub fn data_source(
        &self,
        path: &Path,
        fields: &[&str],
        targets: &[InputForm],
        mut columns: IndexMap<String, ColumnSpec>,
    ) -> Result<DataSource, Diagnostic> {
        if let Some(unknown) = columns.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(Diagnostic::error(
                Code::E0201,
                format!("`--columns {unknown}=…`: no field `{unknown}` is read"),
            )
            .with_note(format!("expected: one of {}", fields.join(", ")))
            .with_suggestion(unknown, fields.iter().copied()));
        }
        let names = names_in(path)?;
        let is_table = is_table(path);
        let prefix = self.prefix.as_deref().filter(|_| !is_table).unwrap_or_default();
        let mut forms = IndexMap::new();
        for form in self.inputs.iter().chain(targets).filter(|form| fields.contains(&form.name.as_str())) {
            if !form.cells.is_empty() {
                forms.insert(form.name.clone(), form.cells.clone());
            }
            if !columns.contains_key(&form.name) {
                columns.extend(form.columns_in(&names, prefix, is_table).map(|found| (form.name.clone(), found)));
            }
        }
        Ok(DataSource { columns, forms, by_flag: true, ..DataSource::new(path) })
    }
}

impl InputForm {
    /// What holds it in a file of these names: what did so in training, or its own name. None where neither is there.
    fn columns_in(&self, names: &[String], prefix: &str, is_table: bool) -> Option<ColumnSpec> {
        let has = |name: &String| names.contains(name);
        if is_table {
            let trained = !self.columns.is_empty() && self.columns.iter().all(has);
            // Without either, a message about the column of training says most.
            let wanted = trained || (!has(&self.name) && !self.columns.is_empty());
            return wanted.then(|| ColumnSpec::List(self.columns.clone()));
        }
        let trained = (self.columns.len() == 1).then(|| self.columns[0].as_str());
        let candidates = trained.into_iter().chain([self.name.as_str()]);
        let mut candidates = candidates.flat_map(|name| [format!("{prefix}{name}"), name.to_string()]);
        candidates.find(has).or_else(|| trained.map(|name| format!("{prefix}{name}"))).map(ColumnSpec::One)
    }
}

pub(super) fn broken(reason: String) -> Diagnostic {
    Diagnostic::error(Code::E0608, "the saved program cannot predict").with_note(format!("found: {reason}"))
}

/// Reads a form from a file of a run.
fn read_form<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Diagnostic> {
    let not_readable = |reason: String| {
        Diagnostic::error(Code::E0601, format!("cannot read `{}`", path.display()))
            .with_note(format!("found: {reason}"))
            .with_note("expected: a folder that `anabranch run` wrote")
    };
    let (file, len) = crate::data::open_regular(path).map_err(|error| not_readable(error.to_string()))?;
    if len > LONGEST_PROGRAM {
        return Err(not_readable(format!("it is longer than {} MiB", LONGEST_PROGRAM >> 20)));
    }
    let text = std::io::read_to_string(file).map_err(|error| not_readable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| {
        Diagnostic::error(Code::E0608, format!("`{}` is not a saved program", path.display()))
            .with_note(format!("found: {error}"))
    })
}

impl EvaluationForm {
    /// Reads a run folder's evaluation program.
    ///
    /// # Errors
    /// E0601 when it cannot be read, E0608 when it is broken.
    pub fn read(folder: &Path) -> Result<Self, Diagnostic> {
        read_form(&folder.join(EVALUATION_FILE))
    }

    /// The two graphs, held against what they may read and give.
    ///
    /// # Errors
    /// E0608 when one is no graph, or not one that evaluates.
    pub fn graphs(&self, inputs: &[InputForm], span: Span) -> Result<(Graph, Graph), Diagnostics> {
        let fields: Vec<&InputForm> = inputs.iter().chain(&self.targets).collect();
        let program = self.program.graph(span)?;
        check_leaves(&program, &fields)?;
        let is_of_rows = |role: Role| matches!(role, Role::Loss | Role::Metric | Role::Term | Role::Weight | Role::Sum);
        if let Some(output) = program.outputs.iter().find(|output| !is_of_rows(output.role)) {
            return Err(broken(format!("it gives the {} `{}`", output.role.as_str(), output.name)).into());
        }
        let finals = self.finals.graph(span)?;
        check_finals(&finals, &program, &fields)?;
        Ok((program, finals))
    }
}

/// The program of metrics reads sums that the other one gives, and no size that data does not bring.
fn check_finals(finals: &Graph, program: &Graph, fields: &[&InputForm]) -> Result<(), Diagnostic> {
    let symbols = |ty: &TensorType| ty.shape.iter().flat_map(crate::ir::Dim::symbols).collect::<Vec<_>>();
    let brought: Vec<_> = fields.iter().flat_map(|field| symbols(&field.ty)).collect();
    for id in finals.ids() {
        let name = &finals.node(id).provenance.name;
        if let Some(dim) =
            symbols(finals.ty(id)).iter().find(|dim| &***dim == crate::ir::BATCH || !brought.contains(dim))
        {
            return Err(broken(format!("`{name}` has the extent `{dim}`, which no data brings")));
        }
        match finals.op(id) {
            Op::Gradient(_) | Op::ByMode(_) => return Err(broken(format!("`{name}` is not written out"))),
            Op::Input(leaf)
                if matches!(leaf.kind, InputKind::Input | InputKind::Target)
                    && program.output(Role::Sum, name).is_none() =>
            {
                return Err(broken(format!("it reads the sum `{name}`, which is not there")));
            }
            _ => {}
        }
    }
    match finals.outputs.iter().find(|output| !finals.ty(output.node).is_scalar()) {
        Some(output) => Err(broken(format!("the metric `{}` is no single number", output.name))),
        None => Ok(()),
    }
}

/// The program reads nothing but the listed inputs, params, states and the clock, and gives outputs only.
fn check_program(graph: &Graph, inputs: &[InputForm]) -> Result<(), Diagnostics> {
    check_leaves(graph, &inputs.iter().collect::<Vec<_>>())?;
    let is_target = |op: &Op| matches!(op, Op::Input(leaf) if leaf.kind == InputKind::Target);
    if let Some(id) = graph.ids().find(|id| is_target(graph.op(*id))) {
        return Err(broken(format!("it reads the target `{}`", graph.node(id).provenance.name)).into());
    }
    match graph.outputs.iter().find(|output| output.role != Role::Output) {
        Some(output) => Err(broken(format!("it gives the {} `{}`", output.role.as_str(), output.name)).into()),
        None => Ok(()),
    }
}

/// A program's leaves are the listed fields, params, states and the clock.
fn check_leaves(graph: &Graph, fields: &[&InputForm]) -> Result<(), Diagnostic> {
    for id in graph.ids() {
        let (op, name) = (graph.op(id), &graph.node(id).provenance.name);
        match op {
            Op::Gradient(_) | Op::ByMode(_) => {
                return Err(broken(format!("`{name}` is a {}, which is not written out", op.name())));
            }
            Op::Input(leaf)
                if matches!(leaf.kind, InputKind::Input | InputKind::Target)
                    && !fields.iter().any(|field| *field.name == **name && field.ty == leaf.ty) =>
            {
                return Err(broken(format!("it reads `{name}` : {}, which is not listed", leaf.ty)));
            }
            Op::Input(leaf)
                if matches!(leaf.kind.as_str(), "clock" | "seed") && leaf.ty != TensorType::scalar(DType::I32) =>
            {
                return Err(broken(format!("`{name}` is {}, not i32", leaf.ty)));
            }
            _ => {}
        }
    }
    Ok(())
}
