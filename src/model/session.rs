//! A model in use: its params and states, trained and predicted with.

use super::compiler::Model;
use super::data::Data;
use super::error::{Error, Finding};
use super::fit::{Best, Epoch, Fit, FitEvent, History};
use super::tensor::Tensor;
use crate::analyse::weight_steps;
use crate::data::{Numbers, shape_text};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Entry, ExecutorOptions, Mode, StoreKind, Values};
use crate::ir::{DType, Role};
use crate::ops::Element;
#[cfg(feature = "files")]
use crate::train::checkpoint;
use crate::train::{
    self, Event, Fields, Finished, Parts, Precision, Program, Ranges, Reported, Settings, Trainer, WeightWatch,
    to_numbers,
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
    pub(super) model: Model,
    seed: u64,
    #[cfg(feature = "files")]
    pub(super) options: ExecutorOptions,
    pub(super) typed: Typed,
    pub(super) past: Past,
}

/// What a session did before.
#[derive(Default)]
pub(super) struct Past {
    /// all epochs, the state before the first one too
    pub history: train::History,
    /// of the last fitting
    pub settings: Option<Settings>,
    pub best: Option<train::Best>,
    pub stopped_early: bool,
    /// of the run that the session goes on with
    #[cfg(feature = "files")]
    pub config: Option<Box<train::config::RunConfig>>,
}

impl Past {
    /// Adds a fitting that began after the epoch of its first record.
    fn add(&mut self, settings: Settings, history: train::History) {
        let begun = history.epochs.first().map_or(0, |record| record.epoch);
        // Where the best params were kept, what came after them is no part of the model's past.
        self.history.epochs.retain(|record| record.epoch <= begun);
        let is_known = |record: &train::EpochRecord| record.epoch == begun;
        let known = usize::from(self.history.epochs.last().is_some_and(is_known));
        self.history.epochs.extend(history.epochs.into_iter().skip(known));
        self.settings = Some(settings);
    }
}

/// The float type is chosen at run time.
pub(super) enum Typed {
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
#[cfg(feature = "files")]
pub(super) use either;

/// A trainer, and the program that predicts by what it trains.
pub(super) struct Running<T: Element> {
    pub trainer: Trainer<T>,
    predict: Program<T>,
    inputs: Fields,
    /// of the inputs, as the prediction program demands them
    ranges: Ranges,
}

impl<T: Element> Running<T> {
    fn new(model: &Model, seed: u64, options: &ExecutorOptions) -> Result<Box<Self>, Diagnostics> {
        let trainer = Trainer::new(&model.compiled, seed, options)?;
        let predict = trainer.program(model.compiled.simplified.predict.clone());
        let inputs = trainer.fields().inputs().read_by(predict.graph());
        let ranges = Ranges::of(predict.graph(), inputs.optional());
        Ok(Box::new(Self { trainer, predict, inputs, ranges }))
    }

    fn fit(
        &mut self,
        model: &Model,
        seed: u64,
        past: &mut Past,
        (data, settings): (&Data, &Fit<'_>),
        told: &mut dyn FnMut(FitEvent<'_>) -> ControlFlow<()>,
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
                epochs.last().map_or(ControlFlow::Continue(()), |epoch| told(FitEvent::Epoch(epoch)))
            }
            Event::Started { epochs, steps_per_epoch, .. } => {
                told(FitEvent::Started { last_epoch: epochs, steps_per_epoch })
            }
            Event::Step(values) => told(FitEvent::Step(values)),
            Event::Finding(diagnostic) => told(FitEvent::Finding(Finding { diagnostic, sources: &model.sources })),
            Event::Begun(_) => ControlFlow::Continue(()),
        };
        let finished = train::fit(&mut self.trainer, watch, &settings_checked, parts, &mut observe)?;
        let Finished { store, n_steps, n_epochs, best, stopped_early, diverged, history, .. } = finished;
        self.trainer.restore(train::ModelState { store, n_steps, n_epochs });
        past.add(settings_checked, history);
        (past.best, past.stopped_early) = (best.clone(), stopped_early);
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

    fn gradients(&mut self, model: &Model, data: &Data) -> Result<IndexMap<String, Tensor>, Diagnostics> {
        trains(model)?;
        let data = data.checked(&self.trainer.fields().specs())?;
        let rows: Vec<u32> = (0..u32::try_from(data.rows).unwrap_or(u32::MAX)).collect();
        let gradients = self.trainer.gradients(&data, &rows)?;
        let shape = |path: &str| {
            let param = self.trainer.store().entries().find(|entry| is_param(entry, path));
            param.map_or_else(Vec::new, |param| param.shape().to_vec())
        };
        let tensor = |(path, values): (std::sync::Arc<str>, Vec<f64>)| {
            let numbers = match precision::<T>() {
                Precision::F32 => Numbers::F32(values.into_iter().map(|value| value as f32).collect()),
                Precision::F64 => Numbers::F64(values),
            };
            (path.to_string(), Tensor { shape: shape(&path), numbers })
        };
        Ok(gradients.into_iter().map(tensor).collect())
    }

    fn set_param(&mut self, path: &str, tensor: &Tensor) -> Result<(), Diagnostics> {
        let wrong = |headline: String| Diagnostic::error(Code::E0606, headline);
        let store = self.trainer.store();
        let Some(param) = store.entries().find(|entry| is_param(entry, path)) else {
            let params = || store.entries().filter(|entry| entry.kind() == StoreKind::Param);
            let names = params().map(|entry| &**entry.name());
            return Err(wrong(format!("there is no param `{path}`")).with_suggestion(path, names).into());
        };
        if param.shape() != tensor.shape() {
            let finding = wrong(format!("`{path}` has another shape"));
            let finding = finding.with_note(format!("found: {}", shape_text(tensor.shape())));
            return Err(finding.with_note(format!("expected: {}", shape_text(param.shape()))).into());
        }
        let numbers = (0..tensor.len()).map(|at| tensor.numbers.get(at));
        let values = match param.dtype() {
            DType::F32 => Values::Float(numbers.map(T::of).collect()),
            DType::I32 | DType::Bool => Values::Int(numbers.map(|value| value as i32).collect()),
        };
        if let Some(value) = values.floats().iter().find(|value| !value.is_finite()) {
            let finding = wrong(format!("`{path}` is to have values that are no finite numbers"));
            return Err(finding.with_note(format!("found: {}", value.as_f64())).into());
        }
        Ok(self.trainer.set_param(path, values)?)
    }

    fn param(&self, path: &str) -> Option<Tensor> {
        let mut entries = self.trainer.store().entries();
        let entry = entries.find(|entry| is_param(entry, path))?;
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

fn is_param<T>(entry: &Entry<T>, path: &str) -> bool {
    entry.kind() == StoreKind::Param && **entry.name() == *path
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
        let mode = match options.engine {
            Engine::Planned => Mode::Planned,
            Engine::Reference => Mode::Reference,
        };
        let executor = ExecutorOptions { mode, threads: options.threads, ..ExecutorOptions::default() };
        let typed = match options.precision {
            Precision::F32 => Running::new(model, options.seed, &executor).map(Typed::F32),
            Precision::F64 => Running::new(model, options.seed, &executor).map(Typed::F64),
        };
        let typed = typed.map_err(|findings| model.error(findings))?;
        Ok(Self {
            model: model.clone(),
            seed: options.seed,
            #[cfg(feature = "files")]
            options: executor,
            typed,
            past: Past::default(),
        })
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

    /// The seed of the first params and of all random draws.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
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
        self.fit_observed(data, settings, |event| match event {
            FitEvent::Epoch(epoch) => each_epoch(epoch),
            _ => ControlFlow::Continue(()),
        })
    }

    /// As [`Session::fit`]; `told` is told of every step too, and of what is found on the way. It may end the fitting at any of
    /// these: the session is then left as it is after the last step.
    ///
    /// ```
    /// use anabranch::{Data, Fit, FitEvent, Model};
    /// use std::ops::ControlFlow;
    ///
    /// let model = Model::compile("
    ///     input x: f32[batch, 1]
    ///     target y: f32[batch, 1]
    ///     output line = x |> dense(units=1)
    ///     loss error = mean_squared_error(y, line)
    ///     train { minimize error  optimizer sgd(lr=0.5) }")?;
    /// let data = Data::from([("x", [[0.0], [0.5], [1.0]]), ("y", [[1.0], [2.0], [3.0]])]);
    /// let (mut session, mut n_steps) = (model.session()?, 0);
    /// session.fit_observed(&data, &Fit { batch_size: 1, ..Fit::default() }, |event| {
    ///     n_steps += u32::from(matches!(event, FitEvent::Step(_)));
    ///     if n_steps == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// })?;
    /// assert_eq!((session.n_steps(), session.n_epochs()), (4, 1));
    /// # Ok::<(), anabranch::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Session::fit`].
    pub fn fit_observed(
        &mut self,
        data: &Data,
        settings: &Fit<'_>,
        mut told: impl FnMut(FitEvent<'_>) -> ControlFlow<()>,
    ) -> Result<History, Error> {
        let Self { model, seed, typed, past, .. } = self;
        let history = either!(typed, running => running.fit(model, *seed, past, (data, settings), &mut told));
        history.map_err(|findings| self.model.error(findings))
    }

    /// All epochs that the session was fitted for, the state before the first one too.
    #[must_use]
    pub fn history(&self) -> History {
        let Past { history, best, stopped_early, .. } = &self.past;
        let best = best.as_ref().map(|best| Best { epoch: best.epoch, value: best.value });
        History { epochs: history.epochs.iter().map(Epoch::of).collect(), best, stopped_early: *stopped_early }
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

    /// The gradient of what is minimised by each trained param, over all samples as one batch, before any clipping.
    ///
    /// # Errors
    /// Those of [`Session::step`].
    pub fn gradients(&mut self, batch: &Data) -> Result<IndexMap<String, Tensor>, Error> {
        let Self { model, typed, .. } = self;
        either!(typed, running => running.gradients(model, batch)).map_err(|findings| self.model.error(findings))
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

    /// Gives a param other values.
    ///
    /// # Errors
    /// E0606 when there is none of that path, the shape is another one, or a value is no finite number.
    pub fn set_param(&mut self, path: &str, values: impl Into<Tensor>) -> Result<(), Error> {
        let values = values.into();
        either!(&mut self.typed, running => running.set_param(path, &values))
            .map_err(|findings| self.model.error(findings))
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
            .map_err(|findings| self.model.error(findings))?;
        self.past = Past::default();
        Ok(())
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
