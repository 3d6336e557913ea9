//! Prediction by a run folder: the saved program or a part of it, its params, and data. No spec is read.

use super::fields::Fields;
use super::folder::params_of;
use super::outputs::{is_by_rows, predict, to_numbers};
use super::program::Program;
use super::ranges::Ranges;
use super::reading::Reading;
use super::saved::{SavedProgram, broken};
use super::slice::Part;
use crate::data::params::{self, Coverage, ParamsSource};
use crate::data::{Dataset, Field, FieldSpec, Flaw, Numbers};
use crate::diag::{Diagnostics, Span};
use crate::exec::{Carried, Clock, ExecutorOptions, Store, StoreKind, Values};
use crate::ir::{DType, Graph, Role, TensorType};
use crate::ops::{Element, InputKind, Op};
use crate::pipeline::Simple;
use indexmap::IndexMap;
use std::path::Path;
use std::sync::Arc;

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
    is_by_rows: bool,
    reading: Reading,
    store: Store<T>,
    clock: Clock,
}

impl<T: Element> Predictor<T> {
    /// Reads the params that go with a saved program, to give all its outputs.
    ///
    /// # Errors
    /// E0608 when the program is broken, E0601 and E0606 when the params cannot be read or do not fit.
    pub fn open(
        folder: &Path,
        saved: &SavedProgram,
        span: Span,
        options: &ExecutorOptions,
    ) -> Result<Self, Diagnostics> {
        Self::open_part(folder, saved, &Part::default(), span, options)
    }

    /// As [`Predictor::open`], of the part of the program that leads from some values to some outputs.
    ///
    /// # Errors
    /// Those of [`Predictor::open`], and E0201 for names that the program does not have.
    pub fn open_part(
        folder: &Path,
        saved: &SavedProgram,
        part: &Part,
        span: Span,
        options: &ExecutorOptions,
    ) -> Result<Self, Diagnostics> {
        let graph = part.of(&saved.graph(span)?, &saved.values)?;
        let mut fields = Fields::default();
        for input in &saved.inputs {
            fields.add_input(&input.name, input.ty.clone(), input.fills);
        }
        for name in &part.from {
            if let Some(ty) = leaf_type(&graph, name).filter(|_| !fields.names().contains(&name.as_str())) {
                fields.add_input(name, ty, false);
            }
        }
        let fields = fields.read_by(&graph);
        let reading = Reading::new(fields, saved.inputs.iter(), saved.precision, Ranges::of(&graph, []))?;
        let (store, moment) = read_store(&[&graph], &params_of(folder))?;
        let is_by_rows = is_by_rows(&graph);
        let program = Program::new(Simple::of(graph), options.clone());
        let clock = clock_at(saved, moment);
        Ok(Self { program, is_by_rows, reading, store, clock })
    }

    /// The names of the fields that it reads from data.
    pub fn inputs(&self) -> Vec<&str> {
        self.reading.names()
    }

    /// The fields that have the value which the run gave them.
    pub fn fed(&self) -> &[(String, Field)] {
        self.reading.fed()
    }

    /// The names of the outputs that it gives.
    pub fn outputs(&self) -> Vec<&str> {
        self.program.graph().outputs.iter().map(|output| &*output.name).collect()
    }

    /// Whether each output has a value for each row. When one has not, it may depend on all rows together.
    pub fn is_by_rows(&self) -> bool {
        self.is_by_rows
    }

    /// Whether an output has a value for each row.
    pub fn has_rows(&self, output: &str) -> bool {
        let graph = self.program.graph();
        let node = graph.output(Role::Output, output);
        node.is_some_and(|node| graph.ty(node).shape.first().is_some_and(crate::ir::Dim::is_batch))
    }

    /// What a data file must hold.
    pub fn specs(&self) -> Vec<FieldSpec> {
        self.reading.specs()
    }

    /// What in a dataset lies outside of what the program indexes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.reading.review(data)
    }

    /// The outputs for every row of a dataset. Random draws differ from batch to batch, and are the same at each first call: later calls
    /// go on from them, so that data may come in several datasets.
    ///
    /// # Errors
    /// E0602 for a batch size of 0, E0603 for data without rows, E0610 for whole numbers outside of what they index, and those
    /// of [`Program::run`].
    pub fn predict(&mut self, data: &Dataset, batch_size: u32) -> Result<IndexMap<Arc<str>, Prediction>, Diagnostics> {
        if let Some(flaw) = self.reading.review(data)?.into_iter().next() {
            return Err(flaw.without_file(data).into());
        }
        let Self { program, reading, store, clock, .. } = self;
        let outputs = predict(program, reading.fields(), store, clock, data, batch_size)?;
        let prediction = |(shape, values)| Prediction { shape, values: to_numbers(&values, reading.precision()) };
        Ok(outputs.into_iter().map(|(name, output)| (name, prediction(output))).collect())
    }
}

/// The type of an input.
fn leaf_type(graph: &Graph, name: &str) -> Option<TensorType> {
    graph.ids().find_map(|id| match graph.op(id) {
        Op::Input(leaf) if leaf.kind == InputKind::Input && *graph.node(id).provenance.name == *name => {
            Some(leaf.ty.clone())
        }
        _ => None,
    })
}

/// Steps and epochs, where a file says how many led to it.
pub(super) type Moment = Option<(i32, i32)>;

/// The clock that a program is run with.
pub(super) fn clock_at(saved: &SavedProgram, moment: Moment) -> Clock {
    let clock = Clock::from(saved.clock);
    moment.map_or(clock, |(step, epoch)| Clock { step, epoch, ..clock })
}

/// The params and states that programs read, and what led to them.
pub(super) fn read_store<T: Element>(graphs: &[&Graph], path: &Path) -> Result<(Store<T>, Moment), Diagnostics> {
    let mut wanted: Vec<(StoreKind, Arc<str>, DType, Vec<usize>)> = Vec::new();
    for (graph, id) in graphs.iter().flat_map(|graph| graph.ids().map(move |id| (*graph, id))) {
        let Op::Input(leaf) = graph.op(id) else { continue };
        let kind = match leaf.kind {
            InputKind::Param => StoreKind::Param,
            InputKind::State => StoreKind::State,
            _ => continue,
        };
        let name = graph.node(id).provenance.name.clone();
        let shape = leaf.ty.known_shape();
        let shape = shape.ok_or_else(|| broken(format!("`{name}` is {}, which has no fixed size", leaf.ty)))?;
        let found = (kind, name, leaf.ty.dtype, shape);
        if !wanted.contains(&found) {
            wanted.push(found);
        }
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
