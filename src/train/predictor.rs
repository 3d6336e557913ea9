//! Prediction by a run folder: the saved program, its params, and data.
//!
//! [`SavedProgram`] is what a folder says (`predict.json`); [`Predictor`] runs it. Neither reads a spec. Nothing in the
//! folder is trusted: a graph is read through the shape rules, params are held against its leaves.

use super::fields::Fields;
use super::folder::{PROGRAM_FILE, params_of};
use super::outputs::{Precision, predict, to_numbers};
use super::program::Program;
use super::ranges::Ranges;
use crate::data::params::{self, Coverage, ParamsSource};
use crate::data::{ColumnSpec, DataSource, Dataset, FieldSpec, Flaw, Numbers};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::exec::{Carried, Clock, ExecutorOptions, Store, StoreKind, Values};
use crate::export::program::Document;
use crate::ir::{DType, Graph, Role, TensorType};
use crate::ops::{Element, InputKind, Op};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    pub program: Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockForm {
    pub step: i32,
    pub epoch: i32,
    pub seed: i32,
}

/// An input, and the columns that held it in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputForm {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TensorType,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The whole numbers that it may hold, for who reads this file without the means to derive them from the program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepts: Vec<AcceptForm>,
}

/// The whole numbers that some elements of a row may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptForm {
    /// by the axes of a row: start, extent and stride, or none for all of it
    pub elements: Vec<Option<(usize, usize, usize)>>,
    /// closed intervals
    pub intervals: Vec<(i64, i64)>,
    pub role: String,
}

impl SavedProgram {
    /// Reads a run folder's program.
    ///
    /// # Errors
    /// E0601 when it cannot be read, E0608 when it is broken.
    pub fn read(folder: &Path) -> Result<Self, Diagnostic> {
        let path = folder.join(PROGRAM_FILE);
        let not_readable = |reason: String| {
            Diagnostic::error(Code::E0601, format!("cannot read `{}`", path.display()))
                .with_note(format!("found: {reason}"))
                .with_note("expected: a folder that `anabranch run` wrote")
        };
        let (file, len) = crate::data::open_regular(&path).map_err(|error| not_readable(error.to_string()))?;
        if len > LONGEST_PROGRAM {
            return Err(not_readable(format!("it is longer than {} MiB", LONGEST_PROGRAM >> 20)));
        }
        let text = std::io::read_to_string(file).map_err(|error| not_readable(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| {
            Diagnostic::error(Code::E0608, format!("`{}` is not a saved program", path.display()))
                .with_note(format!("found: {error}"))
        })
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

    /// How to read a data file: by the columns of training where the file is a table, under the inputs' names else.
    pub fn data_source(&self, path: &Path) -> DataSource {
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mapped = self.inputs.iter().filter(|input| !input.columns.is_empty());
        let columns = mapped.map(|input| (input.name.clone(), ColumnSpec::List(input.columns.clone())));
        let prefix = self.prefix.clone().filter(|_| !is_csv);
        DataSource { prefix, columns: columns.collect(), ..DataSource::new(path) }
    }
}

/// One output, all rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    pub shape: Vec<usize>,
    pub values: Numbers,
}

/// A model that predicts.
#[derive(Debug)]
pub struct Predictor<T: Element> {
    program: Program<T>,
    fields: Fields,
    store: Store<T>,
    clock: Clock,
    precision: Precision,
    ranges: Ranges,
}

impl<T: Element> Predictor<T> {
    /// Reads the params that go with a saved program.
    ///
    /// # Errors
    /// E0608 when the program is broken, E0601 and E0606 when the params cannot be read or do not fit.
    pub fn open(
        folder: &Path,
        saved: &SavedProgram,
        span: Span,
        options: &ExecutorOptions,
    ) -> Result<Self, Diagnostics> {
        let graph = saved.graph(span)?;
        let mut fields = Fields::default();
        for input in &saved.inputs {
            fields.add_input(&input.name, input.ty.clone());
        }
        let (store, moment) = read_store(&graph, &params_of(folder))?;
        let ranges = Ranges::of(&graph, []);
        let ClockForm { step, epoch, seed } = saved.clock;
        let (step, epoch) = moment.unwrap_or((step, epoch));
        let (program, clock) = (Program::new(graph, options.clone()), Clock { step, epoch, epoch_end: false, seed });
        Ok(Self { program, fields, store, clock, precision: saved.precision, ranges })
    }

    /// What a data file must hold.
    ///
    /// # Errors
    /// E0603 for an input without a batch axis.
    pub fn specs(&self) -> Result<Vec<FieldSpec>, Diagnostics> {
        self.fields.specs_within(self.precision.largest())
    }

    /// What in a dataset lies outside of what the program indexes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.ranges.set_sizes(&self.fields.sizes(data)?);
        Ok(self.ranges.flaws(data))
    }

    /// The outputs for every row of a dataset. Random draws differ from batch to batch and are the same at each call.
    ///
    /// # Errors
    /// E0602 for a batch size of 0, E0603 for data without rows, E0610 for whole numbers outside of what they index, and those
    /// of [`Program::run`].
    pub fn predict(&mut self, data: &Dataset, batch_size: u32) -> Result<IndexMap<Arc<str>, Prediction>, Diagnostics> {
        let sizes = self.fields.sizes(data)?;
        self.ranges.set_sizes(&sizes);
        if let Some(flaw) = self.ranges.flaws(data).into_iter().next() {
            return Err(flaw.without_file(data).into());
        }
        let Self { program, fields, store, clock, precision, .. } = self;
        let outputs = predict(program, fields, store, *clock, data, batch_size)?;
        let prediction = |(shape, values)| Prediction { shape, values: to_numbers(&values, *precision) };
        Ok(outputs.into_iter().map(|(name, output)| (name, prediction(output))).collect())
    }
}

fn broken(reason: String) -> Diagnostic {
    Diagnostic::error(Code::E0608, "the saved program cannot predict").with_note(format!("found: {reason}"))
}

/// The program reads nothing but the listed inputs, params, states and the clock, and gives outputs only.
fn check_program(graph: &Graph, inputs: &[InputForm]) -> Result<(), Diagnostics> {
    for id in graph.ids() {
        let (op, name) = (graph.op(id), &graph.node(id).provenance.name);
        match op {
            Op::Gradient(_) | Op::ByMode(_) => {
                return Err(broken(format!("`{name}` is a {}, which is not written out", op.name())).into());
            }
            Op::Input(leaf) if leaf.kind == InputKind::Target => {
                return Err(broken(format!("it reads the target `{name}`")).into());
            }
            Op::Input(leaf)
                if leaf.kind == InputKind::Input
                    && !inputs.iter().any(|input| *input.name == **name && input.ty == leaf.ty) =>
            {
                return Err(broken(format!("it reads `{name}` : {}, which is not listed", leaf.ty)).into());
            }
            Op::Input(leaf)
                if matches!(leaf.kind, InputKind::Step | InputKind::Epoch | InputKind::EpochEnd | InputKind::Seed)
                    && leaf.ty != TensorType::scalar(DType::I32) =>
            {
                return Err(broken(format!("`{name}` is {}, not i32", leaf.ty)).into());
            }
            _ => {}
        }
    }
    match graph.outputs.iter().find(|output| output.role != Role::Output) {
        Some(output) => Err(broken(format!("it gives the {} `{}`", output.role.as_str(), output.name)).into()),
        None => Ok(()),
    }
}

/// Steps and epochs, where a file says how many led to it.
type Moment = Option<(i32, i32)>;

/// The params and states that the program reads, and what led to them.
fn read_store<T: Element>(graph: &Graph, path: &Path) -> Result<(Store<T>, Moment), Diagnostics> {
    let mut wanted: Vec<(StoreKind, Arc<str>, DType, Vec<usize>)> = Vec::new();
    for id in graph.ids() {
        let Op::Input(leaf) = graph.op(id) else { continue };
        let kind = match leaf.kind {
            InputKind::Param => StoreKind::Param,
            InputKind::State => StoreKind::State,
            _ => continue,
        };
        let name = graph.node(id).provenance.name.clone();
        let shape = leaf.ty.known_shape();
        let shape = shape.ok_or_else(|| broken(format!("`{name}` is {}, which has no fixed size", leaf.ty)))?;
        wanted.push((kind, name, leaf.ty.dtype, shape));
    }
    let source = ParamsSource::new(path);
    let mut tensors = params::read(&source)?;
    let keys: Vec<String> = wanted.iter().map(|(kind, name, _, _)| stored_name(*kind, name)).collect();
    tensors.tensors.retain(|name, _| keys.contains(name));
    let shapes: Vec<(&str, &[usize])> =
        keys.iter().zip(&wanted).map(|(key, (_, _, _, shape))| (key.as_str(), shape.as_slice())).collect();
    tensors.check(&source, &shapes, Coverage::Complete)?;
    // A state may begin at infinity, as the least value so far does.
    let is_state = |name: &str| name.starts_with(&stored_name(StoreKind::State, ""));
    tensors.check_finite(&source, |name, value| {
        let value = T::of(value);
        value.is_finite() || (is_state(name) && !value.is_nan())
    })?;
    let mut store = Store::new();
    for (key, (kind, name, dtype, shape)) in keys.iter().zip(wanted) {
        let Some(tensor) = tensors.tensors.get(key) else { continue };
        let values = match (&tensor.values, dtype) {
            (Numbers::I32(values), DType::I32 | DType::Bool) => Values::Int(values.clone()),
            (values, DType::F32) => Values::Float((0..values.len()).map(|at| T::of(values.get(at))).collect()),
            (values, _) => return Err(broken(format!("`{key}` holds {}, not i32", values.type_name())).into()),
        };
        store.insert(Carried { kind, name, dtype, shape }, values)?;
    }
    let count = |key: &str| tensors.metadata.get(key)?.parse::<i32>().ok();
    Ok((store, count("steps").zip(count("epochs"))))
}

/// A param's or state's name in `params.safetensors`.
pub(super) fn stored_name(kind: StoreKind, name: &str) -> String {
    match kind {
        StoreKind::Param => format!("param/{name}"),
        StoreKind::State => format!("state/{name}"),
    }
}
