//! A model in use: its params and states, trained and predicted with.

use super::compiler::Model;
use super::data::Data;
use super::error::{Error, Finding};
use super::fit::{Best, Epoch, Fit, History};
use super::tensor::Tensor;
use crate::analyse::weight_steps;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Mode, StoreKind};
use crate::ir::Role;
use crate::ops::Element;
#[cfg(feature = "files")]
use crate::train::checkpoint;
use crate::train::{
    Event, Fields, Finished, Parts, Precision, Program, Ranges, Reported, Trainer, WeightWatch, to_numbers,
};
use indexmap::IndexMap;
use std::fmt;
use std::ops::ControlFlow;
#[cfg(feature = "files")]
use std::path::Path;

/// Rows that are evaluated or predicted at once.
const BATCH_SIZE: u32 = 256;

/// What runs a model's programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// by a plan made ahead, on all cores
    #[default]
    Planned,
    /// op by op, by each op's definition: slow and obvious
    Reference,
}

/// How a session computes.
///
/// ```
/// use anabranch::{Precision, SessionOptions};
///
/// let options = SessionOptions { precision: Precision::F64, seed: 7, ..SessionOptions::default() };
/// assert_eq!(options.threads, 0);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionOptions {
    /// The type that floats are computed in: `f32` unless said.
    pub precision: Precision,
    /// The seed of the first params and of all random draws.
    pub seed: u64,
    /// Threads to work with; 0 is as many as there are cores. Results do not depend on it.
    pub threads: usize,
    /// What runs the programs.
    pub engine: Engine,
}

/// A model with its params and states. It is trained, evaluated, asked for predictions, saved and loaded.
///
/// ```
/// use anabranch::{Data, Fit, Model, ndarray::array};
///
/// let model = Model::compile("
///     input x: f32[batch, 1]
///     target y: f32[batch, 1]
///     output line = x |> dense(units=1)
///     loss error = mean_squared_error(y, line)
///     train { minimize error  optimizer sgd(lr=0.5) }")?;
/// let mut session = model.session()?;
/// let data = Data::new().with("x", array![[0.0], [0.5], [1.0]]).with("y", array![[1.0], [2.0], [3.0]]);
/// let history = session.fit(&data, &Fit { epochs: 200, batch_size: 3, ..Fit::default() })?;
/// assert!(history.epochs.last().unwrap().train["error"] < 1e-3);
/// assert_eq!(session.n_steps(), 200);
/// # Ok::<(), anabranch::Error>(())
/// ```
pub struct Session {
    model: Model,
    seed: u64,
    typed: Typed,
}

/// The float type is chosen at run time.
enum Typed {
    F32(Box<Running<f32>>),
    F64(Box<Running<f64>>),
}

/// Does the same for either type of floats.
macro_rules! either {
    ($typed:expr, $running:ident => $body:expr) => {
        match $typed {
            Typed::F32($running) => $body,
            Typed::F64($running) => $body,
        }
    };
}

/// A trainer, and the program that predicts by what it trains.
struct Running<T: Element> {
    trainer: Trainer<T>,
    predict: Program<T>,
    inputs: Fields,
    /// of the inputs, as the prediction program demands them
    ranges: Ranges,
}

impl<T: Element> Running<T> {
    fn new(model: &Model, options: &SessionOptions) -> Result<Box<Self>, Diagnostics> {
        let mode = match options.engine {
            Engine::Planned => Mode::Planned,
            Engine::Reference => Mode::Reference,
        };
        let executor = ExecutorOptions { mode, threads: options.threads, ..ExecutorOptions::default() };
        let trainer = Trainer::new(&model.compiled, options.seed, &executor)?;
        let predict = trainer.program(model.compiled.simplified.predict.clone());
        let inputs = trainer.fields().inputs().read_by(predict.graph());
        let ranges = Ranges::of(predict.graph(), inputs.optional());
        Ok(Box::new(Self { trainer, predict, inputs, ranges }))
    }

    fn fit(
        &mut self,
        model: &Model,
        seed: u64,
        data: &Data,
        settings: &Fit<'_>,
        each_epoch: &mut dyn FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<History, Diagnostics> {
        trains(model)?;
        let evaluated = self.trainer.evaluated();
        let known: Vec<&str> = evaluated.iter().map(|reported| &*reported.name).collect();
        let settings_checked = settings.checked(seed, &known)?;
        let specs = self.trainer.fields().specs();
        let train = data.checked(&specs)?;
        let validation = settings.validation.map(|data| data.checked(&specs)).transpose()?;
        if settings.drop_last && train.rows < settings.batch_size as usize {
            return Err(Diagnostic::error(Code::E0602, "`drop_last` leaves no batch at all")
                .with_note(format!("found: {} rows in batches of {}", train.rows, settings.batch_size))
                .with_help("take a smaller `batch_size`")
                .into());
        }
        let watch = weight_steps(&model.compiled.module);
        let watch = watch.map(|steps| WeightWatch::new(&self.trainer, steps, model.compiled.policy.clone()));
        let parts = Parts { train: &train, validation: validation.as_ref(), test: None };
        let mut epochs = Vec::new();
        let mut observe = |event: Event<'_>| match event {
            Event::Epoch(record) => {
                epochs.push(Epoch::of(record));
                epochs.last().map_or(ControlFlow::Continue(()), &mut *each_epoch)
            }
            _ => ControlFlow::Continue(()),
        };
        let finished = crate::train::fit(&mut self.trainer, watch, &settings_checked, parts, &mut observe)?;
        let Finished { store, n_steps, n_epochs, best, stopped_early, diverged, .. } = finished;
        self.trainer.restore(crate::train::ModelState { store, n_steps, n_epochs });
        if let Some(finding) = diverged {
            let note = format!("the model is as it was after step {n_steps}");
            return Err(finding.with_note(note).into());
        }
        let best = best.map(|best| Best { epoch: best.epoch, value: best.value });
        Ok(History { epochs, best, stopped_early })
    }

    fn step(&mut self, model: &Model, data: &Data) -> Result<IndexMap<String, f64>, Diagnostics> {
        trains(model)?;
        let data = data.checked(&self.trainer.fields().specs())?;
        let rows: Vec<u32> = (0..u32::try_from(data.rows).unwrap_or(u32::MAX)).collect();
        self.trainer.attach(&data)?;
        self.trainer.begin_epoch();
        self.trainer.set_epoch_end(false);
        let (values, counts) = self.trainer.step(&data, &rows)?;
        let values: Vec<Option<f64>> =
            values.iter().zip(counts).map(|(value, count)| (*count != 0.0).then_some(*value)).collect();
        Ok(named(self.trainer.reported(), &values))
    }

    fn evaluate(&mut self, data: &Data) -> Result<IndexMap<String, f64>, Diagnostics> {
        let data = data.checked(&self.trainer.fields().specs())?;
        let values = self.trainer.evaluate(&data, BATCH_SIZE)?;
        Ok(named(&self.trainer.evaluated(), &values))
    }

    fn param(&self, path: &str) -> Option<Tensor> {
        let mut entries = self.trainer.store().entries();
        let entry = entries.find(|entry| entry.kind() == StoreKind::Param && **entry.name() == *path)?;
        Some(Tensor { shape: entry.shape().to_vec(), numbers: to_numbers(entry.values(), precision::<T>()) })
    }

    fn predict(&mut self, data: &Data) -> Result<IndexMap<String, Tensor>, Diagnostics> {
        let data = data.checked(&self.inputs.specs())?;
        self.ranges.set_sizes(&self.inputs.sizes(&data)?);
        if let Some(flaw) = self.ranges.flaws(&data).into_iter().next() {
            return Err(flaw.without_file(&data).into());
        }
        let outputs = self.trainer.predict(&mut self.predict, &self.inputs, &data, BATCH_SIZE)?;
        let tensor = |(shape, values)| Tensor { shape, numbers: to_numbers(&values, precision::<T>()) };
        Ok(outputs.into_iter().map(|(name, output)| (name.to_string(), tensor(output))).collect())
    }
}

fn precision<T: Element>() -> Precision {
    if size_of::<T>() == size_of::<f64>() { Precision::F64 } else { Precision::F32 }
}

/// Losses, objectives and metrics by name; those that no sample has are left out.
fn named(reported: &[Reported], values: &[Option<f64>]) -> IndexMap<String, f64> {
    let values = reported.iter().zip(values).filter(|(reported, _)| reported.role != Role::Term);
    values.filter_map(|(reported, value)| Some((reported.name.to_string(), (*value)?))).collect()
}

/// A spec without a `train` block has nothing to train.
fn trains(model: &Model) -> Result<(), Diagnostics> {
    if model.compiled.train.outputs.iter().any(|output| output.role == Role::Objective) {
        return Ok(());
    }
    Err(Diagnostic::error(Code::E0406, "the spec has no `train` block, so there is nothing to train")
        .with_help("add `train { minimize LOSS  optimizer adam() }`")
        .into())
}

impl Session {
    pub(super) fn new(model: &Model, options: &SessionOptions) -> Result<Self, Error> {
        let typed = match options.precision {
            Precision::F32 => Running::new(model, options).map(Typed::F32),
            Precision::F64 => Running::new(model, options).map(Typed::F64),
        };
        let typed = typed.map_err(|findings| model.error(findings))?;
        Ok(Self { model: model.clone(), seed: options.seed, typed })
    }

    /// The model that it is a session of.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The type that floats are computed in.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match self.typed {
            Typed::F32(_) => Precision::F32,
            Typed::F64(_) => Precision::F64,
        }
    }

    /// Training steps since the model's first params.
    #[must_use]
    pub fn n_steps(&self) -> u64 {
        either!(&self.typed, running => running.trainer.n_steps())
    }

    /// Epochs since the model's first params.
    #[must_use]
    pub fn n_epochs(&self) -> u32 {
        either!(&self.typed, running => running.trainer.n_epochs())
    }

    /// Trains on data that holds all inputs and targets, for so many more epochs.
    ///
    /// # Errors
    /// E0603 and E0604 when the data does not fit the spec, E0602 when the settings cannot be meant, E0406 when the spec trains
    /// nothing, E0702 when the program does not fit in memory. E0607 when a loss is no finite number any more: the session is left
    /// as it was after the last epoch in which all were.
    pub fn fit(&mut self, data: &Data, settings: &Fit<'_>) -> Result<History, Error> {
        self.fit_with(data, settings, |_| ControlFlow::Continue(()))
    }

    /// As [`Session::fit`]; `each_epoch` is told of the state before the first step and of every epoch, and may end the fitting.
    ///
    /// # Errors
    /// Those of [`Session::fit`].
    pub fn fit_with(
        &mut self,
        data: &Data,
        settings: &Fit<'_>,
        mut each_epoch: impl FnMut(&Epoch) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        let Self { model, seed, typed } = self;
        let history = either!(typed, running => running.fit(model, *seed, data, settings, &mut each_epoch));
        history.map_err(|findings| self.model.error(findings))
    }

    /// One training step on a batch. Gives the losses and metrics as they are before the update.
    ///
    /// # Errors
    /// Those of [`Session::fit`] but E0602 and E0607.
    pub fn step(&mut self, batch: &Data) -> Result<IndexMap<String, f64>, Error> {
        let Self { model, typed, .. } = self;
        either!(typed, running => running.step(model, batch)).map_err(|findings| self.model.error(findings))
    }

    /// The losses and metrics over all samples, as the model is used for predictions. Nothing is trained.
    ///
    /// # Errors
    /// E0603 and E0604 when the data does not fit the spec, E0702.
    pub fn evaluate(&mut self, data: &Data) -> Result<IndexMap<String, f64>, Error> {
        either!(&mut self.typed, running => running.evaluate(data)).map_err(|findings| self.model.error(findings))
    }

    /// The outputs for every sample, from data that holds the inputs.
    ///
    /// # Errors
    /// E0603 and E0604 when the data does not fit the spec, E0610 for whole numbers outside of what the spec indexes, E0702.
    pub fn predict(&mut self, inputs: &Data) -> Result<IndexMap<String, Tensor>, Error> {
        either!(&mut self.typed, running => running.predict(inputs)).map_err(|findings| self.model.error(findings))
    }

    /// The trained weights of losses and their present values.
    #[must_use]
    pub fn loss_weights(&self) -> IndexMap<String, Vec<f64>> {
        let weights = either!(&self.typed, running => running.trainer.loss_weights());
        weights.into_iter().map(|weight| (weight.name.to_string(), weight.values)).collect()
    }

    /// A param by its path, such as `dense.kernel`.
    #[must_use]
    pub fn param(&self, path: &str) -> Option<Tensor> {
        either!(&self.typed, running => running.param(path))
    }

    /// Writes the params, the states (of optimizers, running means and the like) and how far training has come as a `.safetensors`
    /// file: what `anabranch run` writes as `params.safetensors`. A file that stands there is replaced.
    ///
    /// # Errors
    /// E0605 when it cannot be written; then what stood there is as it was.
    #[cfg(feature = "files")]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let (path, spec) = (path.as_ref(), self.model.spec());
        either!(&self.typed, running => {
            let trainer = &running.trainer;
            checkpoint::write(path, trainer.store(), (trainer.n_steps(), trainer.n_epochs()), self.precision(), spec)
        })
        .map_err(|finding| self.model.error(finding))
    }

    /// Goes on from a file that [`Session::save`] or `anabranch run` wrote: params, states, steps and epochs.
    ///
    /// # Errors
    /// E0601 when it cannot be read, E0606 when it does not fit the model; then the session is as it was.
    #[cfg(feature = "files")]
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        either!(&mut self.typed, running => checkpoint::read(path, &mut running.trainer))
            .map_err(|findings| self.model.error(findings))
    }

    /// What the compiler warned of: see [`Model::warnings`].
    pub fn warnings(&self) -> impl ExactSizeIterator<Item = Finding<'_>> {
        self.model.warnings()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("model", &self.model)
            .field("precision", &self.precision())
            .field("n_steps", &self.n_steps())
            .finish_non_exhaustive()
    }
}
