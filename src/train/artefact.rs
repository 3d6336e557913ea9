//! A run as an artefact for XLA: modules for each size of batch, what they take and give, first params, and the data that the run
//! reads, checked. Another program trains by it; see `xla/` and docs/export.md.

use super::config::RunConfig;
use super::fields::Fields;
use super::folder::{EVALUATION_FILE, PROGRAM_FILE, saved_evaluation, saved_program};
use super::outputs::Precision;
use super::run::RunData;
use super::trainer::{Trainer, count_rows, fold_seed};
use crate::data::{Batcher, Dataset, Existing, NumbersRef, TensorRef, write_npz_where};
use crate::diag::{Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Values};
use crate::export::interface::ProductForm;
use crate::export::xla::{Interface, Slot, Width, stablehlo};
use crate::export::{Programs, programs};
use crate::ir::{BATCH, DimSizes, Graph, Role, TensorType};
use crate::ops::Element;
use crate::pipeline::{self, Compiled};
use indexmap::IndexMap;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// The version of the artefact's form.
const VERSION: u32 = 1;

/// What the artefact is, for who trains by it.
#[derive(Debug, Serialize)]
struct Manifest {
    version: u32,
    anabranch: &'static str,
    programs_version: u32,
    spec_hash: String,
    precision: &'static str,
    matmul: &'static str,
    /// as the programs take it
    seed: i32,
    epochs: u32,
    batch_size: u32,
    drop_last: bool,
    /// the seed of the order of rows
    shuffle: Option<u64>,
    steps_per_epoch: usize,
    evaluate_every: u32,
    /// rows of each part
    parts: IndexMap<&'static str, usize>,
    /// the losses and metrics that a history shows
    reported: Vec<String>,
    /// fields with a value for all rows
    without_rows: Vec<String>,
    modules: IndexMap<&'static str, Vec<ModuleForm>>,
    train_products: Vec<ProductForm>,
    evaluate_products: Vec<ProductForm>,
}

/// A module for batches of so many rows; of programs of sums, for any.
#[derive(Debug, Serialize)]
struct ModuleForm {
    rows: Option<usize>,
    file: String,
    arguments: Vec<Slot>,
    results: Vec<Slot>,
}

/// Writes a file of the artefact, by its name in the folder.
pub type WriteFile<'w> = dyn FnMut(&str, &[u8]) -> Result<(), Diagnostic> + 'w;

/// How an artefact is made.
#[derive(Clone, Copy, Debug)]
pub struct ArtefactOptions {
    /// whether products are taken in the full precision of their operands, on every device
    pub is_highest: bool,
    pub existing: Existing,
}

/// Writes the files of an artefact into a folder.
///
/// # Errors
/// E0605; E0703 for what has no form; those of binding and of reading params.
pub fn write_artefact<T: Element>(
    folder: &Path,
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    spec_hash: &str,
    options: ArtefactOptions,
    write: &mut WriteFile<'_>,
) -> Result<(), Diagnostics> {
    let settings = config.settings(compiled);
    let fields = Fields::of(&compiled.module);
    let sizes = fields.sizes(&data.train)?;
    let parts = [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", data.test.as_ref())];
    let parts: Vec<(&'static str, &Dataset)> =
        parts.into_iter().filter_map(|(part, data)| Some((part, data?))).collect();
    let batcher = |data: &Dataset, is_training: bool| -> Result<Batcher, Diagnostics> {
        Ok(Batcher {
            rows: count_rows(data.rows, settings.batch_size)?,
            batch_size: settings.batch_size,
            shuffle: settings.shuffle.filter(|_| is_training),
            drop_last: settings.drop_last && is_training,
        })
    };
    let training = batcher(&data.train, true)?;
    let mut evaluated: Vec<usize> = Vec::new();
    for (part, data) in &parts {
        if *part != "train" {
            evaluated.extend(batcher(data, false)?.sizes());
        }
    }
    evaluated.sort_unstable();
    evaluated.dedup();
    let mut modules = Modules { compiled, config, sizes, options, write, forms: IndexMap::new() };
    let simplified = &compiled.simplified;
    modules.add("train", &simplified.train, &training.sizes())?;
    modules.add("evaluate", &simplified.evaluate, &evaluated)?;
    modules.add_finals("train_metrics", &simplified.train_metrics, &simplified.train)?;
    modules.add_finals("evaluate_metrics", &simplified.evaluate_metrics, &simplified.evaluate)?;
    let forms = modules.forms;
    let mut trainer = Trainer::<T>::new(compiled, config.seed, &ExecutorOptions::default())?;
    if let Some(source) = &config.params {
        trainer.start_from(source)?;
    }
    write_params(folder, &trainer, options)?;
    for (part, data) in &parts {
        write_data(&folder.join(format!("{part}.npz")), &fields, data, options)?;
    }
    let without_rows = fields.specs().into_iter().filter(|spec| spec.whole);
    let manifest = Manifest {
        version: VERSION,
        anabranch: env!("CARGO_PKG_VERSION"),
        programs_version: programs::VERSION,
        spec_hash: spec_hash.to_string(),
        precision: if config.precision == Precision::F64 { "f64" } else { "f32" },
        matmul: if options.is_highest { "highest" } else { "default" },
        seed: fold_seed(config.seed),
        epochs: settings.epochs,
        batch_size: settings.batch_size,
        drop_last: settings.drop_last,
        shuffle: settings.shuffle,
        steps_per_epoch: training.batches_per_epoch(),
        evaluate_every: settings.evaluate_every,
        parts: parts.iter().map(|(part, data)| (*part, data.rows)).collect(),
        reported: trainer.reported().iter().map(|reported| reported.name.to_string()).collect(),
        without_rows: without_rows.map(|spec| spec.name).collect(),
        modules: forms,
        train_products: simplified.train_products.iter().map(ProductForm::from).collect(),
        evaluate_products: simplified.evaluate_products.iter().map(ProductForm::from).collect(),
    };
    let n_steps = u64::from(settings.epochs) * training.batches_per_epoch() as u64;
    let predict = saved_program(compiled, config, (n_steps, settings.epochs), training.batches_per_epoch());
    write("manifest.json", &json(&manifest))?;
    write(PROGRAM_FILE, &json(&predict))?;
    write(EVALUATION_FILE, &json(&saved_evaluation(compiled, config)))?;
    write("programs.json", Programs::of(compiled, spec_hash).to_json().as_bytes())?;
    Ok(())
}

/// Values as JSON; writing to a string fails on no value of these types.
fn json(value: &impl Serialize) -> Vec<u8> {
    (serde_json::to_string_pretty(value).unwrap_or_default() + "\n").into_bytes()
}

/// The modules as they are written.
struct Modules<'a> {
    compiled: &'a Compiled,
    config: &'a RunConfig,
    /// of the run-time dims but for the batch
    sizes: DimSizes,
    options: ArtefactOptions,
    write: &'a mut WriteFile<'a>,
    forms: IndexMap<&'static str, Vec<ModuleForm>>,
}

impl Modules<'_> {
    /// A module for each size of batch.
    fn add(&mut self, name: &'static str, program: &Graph, sizes: &[usize]) -> Result<(), Diagnostics> {
        let module = &self.compiled.module;
        let typed = |(name, ty): (&Arc<str>, &TensorType)| (name.to_string(), ty.clone());
        for rows in sizes {
            let mut known = self.sizes.clone();
            known.insert(BATCH.into(), *rows);
            let bound = |(name, ty): (String, TensorType)| (name, ty.bind(&known));
            let interface = Interface {
                params: module.params.iter().map(|(name, info)| typed((name, &info.ty))).map(bound).collect(),
                states: module.states.iter().map(|(name, info)| typed((name, &info.ty))).map(bound).collect(),
                inputs: module.inputs.iter().map(|(name, info)| typed((name, &info.ty))).map(bound).collect(),
                targets: module.targets.iter().map(|(name, info)| typed((name, &info.ty))).map(bound).collect(),
            };
            self.write(name, program, &known, &interface, Some(*rows))?;
        }
        Ok(())
    }

    /// A program of sums, which are its inputs.
    fn add_finals(&mut self, name: &'static str, finals: &Graph, program: &Graph) -> Result<(), Diagnostics> {
        if finals.outputs.is_empty() {
            return Ok(());
        }
        let module = &self.compiled.module;
        let known = self.sizes.clone();
        let sums = program.outputs.iter().filter(|output| output.role == Role::Sum);
        let interface = Interface {
            params: module.params.iter().map(|(name, info)| (name.to_string(), info.ty.clone())).collect(),
            states: module.states.iter().map(|(name, info)| (name.to_string(), info.ty.clone())).collect(),
            inputs: sums.map(|sum| (sum.name.to_string(), program.ty(sum.node).bind(&known))).collect(),
            targets: Vec::new(),
        };
        self.write(name, finals, &known, &interface, None)
    }

    fn write(
        &mut self,
        name: &'static str,
        program: &Graph,
        sizes: &DimSizes,
        interface: &Interface,
        rows: Option<usize>,
    ) -> Result<(), Diagnostics> {
        let width = if self.config.precision == Precision::F64 { Width::F64 } else { Width::F32 };
        let bound = pipeline::bind(program, sizes)?;
        let module = stablehlo(bound.graph(), interface, width, self.options.is_highest)?;
        let file = rows.map_or_else(|| format!("{name}.mlir"), |rows| format!("{name}_{rows}.mlir"));
        (self.write)(&file, module.text.as_bytes())?;
        let form = ModuleForm { rows, file, arguments: module.arguments, results: module.results };
        self.forms.entry(name).or_default().push(form);
        Ok(())
    }
}

/// `params.npz`: `param/NAME` and `state/NAME` as they begin.
fn write_params<T: Element>(folder: &Path, trainer: &Trainer<T>, options: ArtefactOptions) -> Result<(), Diagnostic> {
    let named: Vec<(String, Vec<f64>)> = (trainer.store().entries())
        .map(|entry| {
            let floats = match entry.values() {
                Values::Float(values) => values.iter().map(|value| value.as_f64()).collect(),
                Values::Int(_) => Vec::new(),
            };
            (format!("{}/{}", entry.kind().as_str(), entry.name()), floats)
        })
        .collect();
    let tensors: Vec<TensorRef<'_>> = (named.iter().zip(trainer.store().entries()))
        .map(|((name, floats), entry)| {
            let values = match entry.values() {
                Values::Float(_) => NumbersRef::F64(floats),
                Values::Int(values) => NumbersRef::I32(values),
            };
            TensorRef { name, shape: entry.shape(), values }
        })
        .collect();
    write_npz_where(&folder.join("params.npz"), options.existing, &tensors)
}

/// The fields of a part under the spec's names, all rows.
fn write_data(path: &Path, fields: &Fields, data: &Dataset, options: ArtefactOptions) -> Result<(), Diagnostic> {
    let named: Vec<(String, Vec<usize>, NumbersRef<'_>)> = (fields.specs().into_iter())
        .filter_map(|spec| {
            let field = data.fields.get(spec.name.as_str())?;
            let values = NumbersRef::from(&field.values);
            // A value for all rows stands once.
            let shape = if spec.whole { field.shape.clone() } else { [&[data.rows], &field.shape[..]].concat() };
            Some((spec.name, shape, values))
        })
        .collect();
    let tensors: Vec<TensorRef<'_>> =
        named.iter().map(|(name, shape, values)| TensorRef { name, shape, values: *values }).collect();
    write_npz_where(path, options.existing, &tensors)
}
