//! The params and states of a model, and its programs run on them.
//!
//! [`Trainer`] relies on a compiled spec and on data loaded by its [`Fields`]. It establishes the clock: `step` counts the
//! training steps since the start, `epoch` the epochs that ended before this one.

use super::beside::Beside;
use super::divergence::{Origin, origin};
use super::evaluator::Evaluator;
use super::fields::Fields;
use super::outputs::{Outputs, predict};
use super::program::{Program, no_rows};
use super::ranges::Ranges;
use super::reported::{Places, Reported, replace, reported};
#[cfg(feature = "files")]
use super::start::Start;
#[cfg(feature = "files")]
use super::start_from::StartSource;
use super::state::ModelState;
use super::sums::Sums;
#[cfg(feature = "files")]
use crate::data::params::ParamsSource;
use crate::data::{Batcher, Dataset};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Claim, Clock, Executor, ExecutorOptions, Footprint, Store, StoreError, StoreKind, Values};
use crate::ir::{DimSizes, Role};
#[cfg(feature = "files")]
use crate::ir::{Graph, NodeId};
use crate::lower::Owner;
use crate::ops::Element;
#[cfg(feature = "files")]
use crate::ops::{InputKind, Op, Tensor};
use crate::pipeline::{Compiled, Simple};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A loss weight with more elements than this is not shown: it is a table, not a trade-off.
const MOST_WEIGHTS_SHOWN: usize = 8;

/// A trainable loss weight and its present value.
#[derive(Clone, Debug, PartialEq)]
pub struct LossWeight {
    pub name: Arc<str>,
    pub values: Vec<f64>,
}

/// Means over samples that come batch by batch, each value over the rows that have it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weighted {
    pub(super) sums: Vec<f64>,
    pub(super) weights: Vec<f64>,
}

impl Weighted {
    /// Takes the means of a batch and the number of rows that each is over.
    pub fn add(&mut self, means: &[f64], weights: &[f64]) {
        self.sums.resize(means.len(), 0.0);
        self.weights.resize(means.len(), 0.0);
        for (at, (mean, weight)) in means.iter().zip(weights).enumerate() {
            self.sums[at] += mean * weight;
            self.weights[at] += weight;
        }
    }

    /// Forgets what came.
    pub fn clear(&mut self) {
        self.sums.clear();
        self.weights.clear();
    }

    /// One of the means; none for a value that no row had, or that did not come.
    pub fn mean(&self, at: usize) -> Option<f64> {
        let (sum, weight) = (self.sums.get(at)?, *self.weights.get(at)?);
        (weight != 0.0).then(|| sum / weight)
    }

    /// The means; none for a value that no row had.
    pub fn means(&self) -> Vec<Option<f64>> {
        (0..self.sums.len()).map(|at| self.mean(at)).collect()
    }
}

/// Is shown a node and its value.
#[cfg(feature = "files")]
pub(super) type VisitNode<'v, T> = dyn FnMut(&Graph, NodeId, &Tensor<T>) + 'v;

/// A model in training.
#[derive(Debug)]
pub struct Trainer<T: Element> {
    fields: Fields,
    train: Program<T>,
    /// what a step reads beside its batch
    beside: Beside,
    evaluator: Evaluator<T>,
    gradients: Program<T>,
    /// of the training steps since the epoch began
    train_sums: Sums,
    options: ExecutorOptions,
    store: Store<T>,
    clock: Clock,
    /// that ended
    n_epochs: u32,
    reported: Vec<Reported>,
    values: Vec<f64>,
    /// the rows that each value is a mean over
    counts: Vec<f64>,
    /// of a training step, once one was made
    places: Option<Places>,
    weights: Vec<Arc<str>>,
    ranges: Ranges,
    /// of the dataset that was used last
    sizes: DimSizes,
}

impl<T: Element> Trainer<T> {
    /// A model with its initial params and states.
    ///
    /// # Errors
    /// E0701 when the options ask for too many threads; E0702 when the initial program does not fit in memory.
    pub fn new(compiled: &Compiled, seed: u64, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        let options = options.shared()?;
        let program = |graph: &Simple| Program::new(graph.clone(), options.clone());
        let clock = Clock { seed: fold_seed(seed), ..Clock::default() };
        let simplified = &compiled.simplified;
        let store = initial_store(program(&simplified.init), clock)?;
        let weights = weights_shown(compiled);
        let reported = reported(&simplified.train);
        let evaluate_sums = Sums::new(simplified.evaluate_metrics.clone(), simplified.evaluate_products.clone());
        let fields = Fields::of(&compiled.module);
        let ranges = Ranges::of(&compiled.module.graph, fields.optional());
        Ok(Self {
            fields,
            ranges,
            train: Program::resting(simplified.train.clone(), options.clone()),
            beside: Beside::of(&simplified.train, seed),
            evaluator: Evaluator::new(program(&simplified.evaluate), evaluate_sums),
            gradients: program(&simplified.gradients),
            train_sums: Sums::new(simplified.train_metrics.clone(), simplified.train_products.clone()),
            store,
            clock,
            n_epochs: 0,
            options: options.clone(),
            values: vec![f64::NAN; reported.len()],
            counts: vec![0.0; reported.len()],
            places: None,
            reported,
            weights: weights.into_iter().map(|(name, _)| name.into()).collect(),
            sizes: DimSizes::new(),
        })
    }

    /// The inputs and targets that data must hold.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    pub fn store(&self) -> &Store<T> {
        &self.store
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Training steps since the start.
    pub fn n_steps(&self) -> u64 {
        u64::from(self.clock.step as u32)
    }

    /// Epochs since the start.
    pub fn n_epochs(&self) -> u32 {
        self.n_epochs
    }

    /// Gives a param other values.
    ///
    /// # Errors
    /// When there is none of that name, or they are not of its type and number.
    pub fn set_param(&mut self, name: &str, values: Values<T>) -> Result<(), StoreError> {
        self.store.set(StoreKind::Param, name, values)
    }

    /// What the model is between two steps.
    pub fn state(&self) -> ModelState<T> {
        ModelState { store: self.store.clone(), n_steps: self.n_steps(), n_epochs: self.n_epochs }
    }

    /// Makes the model what it was between two steps, in this run or another one of the same spec.
    pub fn restore(&mut self, state: ModelState<T>) {
        self.store = state.store;
        self.clock.step = state.n_steps as u32 as i32;
        self.n_epochs = state.n_epochs;
        // As it stands after that epoch, until the next one begins.
        self.clock.epoch = i32::try_from(state.n_epochs.saturating_sub(1)).unwrap_or(i32::MAX);
        self.clock.epoch_end = state.n_epochs > 0;
    }

    /// Sets the clock within an epoch that was begun before, and the sums that its steps have come to.
    pub(super) fn reenter_epoch(&mut self, sums: BTreeMap<Arc<str>, Vec<f64>>) {
        self.clock.epoch = i32::try_from(self.n_epochs).unwrap_or(i32::MAX);
        self.train_sums.set(sums);
    }

    /// The sums of the present epoch that metrics are made of.
    pub(super) fn epoch_sums(&self) -> &BTreeMap<Arc<str>, Vec<f64>> {
        self.train_sums.get()
    }

    /// The outputs of a prediction program for every row of a dataset that holds its `inputs`.
    ///
    /// # Errors
    /// Those of [`Program::run`].
    pub fn predict(
        &mut self,
        program: &mut Program<T>,
        inputs: &Fields,
        data: &Dataset,
        batch_size: u32,
    ) -> Result<Outputs<T>, Diagnostics> {
        let epoch = i32::try_from(self.n_epochs).unwrap_or(i32::MAX);
        let mut clock = Clock { epoch, epoch_end: false, ..self.clock };
        predict(program, inputs, &mut self.store, &mut clock, data, batch_size)
    }

    /// Says whether the next step is the last of its epoch.
    pub fn set_epoch_end(&mut self, is_last: bool) {
        self.clock.epoch_end = is_last;
    }

    /// What each value of [`Trainer::step`] is.
    pub fn reported(&self) -> &[Reported] {
        &self.reported
    }

    /// What each value of [`Trainer::evaluate`] is: the losses and metrics.
    pub fn evaluated(&self) -> Vec<Reported> {
        self.evaluator.reported()
    }

    /// Takes params, and states, from a file instead of the spec's initial ones.
    ///
    /// # Errors
    /// E0601, E0606; the model is as it was then.
    #[cfg(feature = "files")]
    pub fn start_from(&mut self, source: &StartSource) -> Result<Start, Diagnostics> {
        let graph = self.evaluator.graph();
        let is_state = |id: &NodeId| matches!(graph.op(*id), Op::Input(leaf) if leaf.kind == InputKind::State);
        let of_model = graph.ids().filter(is_state).map(|id| graph.node(id).provenance.name.clone()).collect();
        let started = source.read(&self.store, &of_model)?;
        self.store = started.store;
        if let Some((n_steps, n_epochs)) = started.clock {
            self.clock.step = n_steps as u32 as i32;
            self.n_epochs = n_epochs;
        }
        Ok(started.start)
    }

    /// Replaces initial params by those of a file; params that the file lacks keep theirs.
    ///
    /// # Errors
    /// E0601, E0606.
    #[cfg(feature = "files")]
    pub fn load_params(&mut self, source: &ParamsSource) -> Result<Start, Diagnostics> {
        self.start_from(&StartSource::from(source.clone()))
    }

    /// Fixes the run-time sizes by a dataset; call it before the first step on it.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn attach(&mut self, data: &Dataset) -> Result<(), Diagnostics> {
        self.sizes = self.fields.sizes(data)?;
        Ok(())
    }

    /// Takes the validation data, of which `on(validation, …)` reads a batch at each step. Without it such a step is an error.
    ///
    /// # Errors
    /// E0603 when it has no rows, or its run-time sizes are not those of the data that was attached.
    pub fn attach_validation(&mut self, data: Option<&Dataset>) -> Result<(), Diagnostics> {
        let Some(data) = data.filter(|_| self.beside.is_read()) else { return Ok(()) };
        if self.fields.sizes(data)? != self.sizes {
            let finding = Diagnostic::error(Code::E0603, "the validation data has other sizes than the training data")
                .with_note("expected: one size for each run-time dim, as a step reads both");
            return Err(finding.into());
        }
        self.beside.take(data)
    }

    /// Says how many epochs the run has in all, and how many steps an epoch.
    pub fn set_run(&mut self, epochs: u32, steps_per_epoch: usize) {
        self.clock.epochs = i32::try_from(epochs).unwrap_or(i32::MAX);
        self.clock.steps_per_epoch = i32::try_from(steps_per_epoch).unwrap_or(i32::MAX);
    }

    /// Begins an epoch: sets the clock and forgets the sums that the metrics of an epoch are made of.
    pub fn begin_epoch(&mut self) {
        self.clock.epoch = i32::try_from(self.n_epochs).unwrap_or(i32::MAX);
        self.train_sums.clear();
    }

    /// Counts an epoch as done. Until the next one begins, its clock stands.
    pub fn end_epoch(&mut self) {
        self.n_epochs = self.n_epochs.saturating_add(1);
    }

    /// Puts the metrics that are functions of sums over all rows since [`Trainer::begin_epoch`] in the place of their batch
    /// means. `means` are those of what [`Trainer::reported`] lists.
    pub fn finish_epoch(&self, means: &mut [Option<f64>]) {
        let metrics = self.train_sums.metrics(&self.store, self.clock, &self.sizes);
        replace(&self.reported, &metrics, means);
    }

    /// One training step. Gives the batch means of what [`Trainer::reported`] lists, as they are before the update, and
    /// the number of rows that each is over.
    ///
    /// # Errors
    /// E0610 for whole numbers outside of what they index, and those of [`Program::run`].
    pub fn step(&mut self, data: &Dataset, rows: &[u32]) -> Result<(&[f64], &[f64]), Diagnostics> {
        self.ranges.set_sizes(&self.sizes);
        self.ranges.check(data, rows)?;
        let beside = self.beside.rows(self.clock.step, rows.len())?;
        let executor = self.train.fed_at(&[(data, rows), beside], &self.sizes, self.clock)?;
        executor.run(&mut self.store, self.clock)?;
        let places = self.places.get_or_insert_with(|| Places::of(executor));
        places.read(executor, rows.len(), &mut self.values, &mut self.counts);
        self.train_sums.add(executor);
        self.clock.step = self.clock.step.wrapping_add(1);
        Ok((&self.values, &self.counts))
    }

    /// Where a step on these rows, made so many steps ago by the clock, leaves the finite numbers, if it does. Nothing is changed
    /// by it.
    ///
    /// # Errors
    /// Those of [`Program::executor`].
    pub(super) fn origin(&mut self, data: &Dataset, rows: &[u32], ago: i32) -> Result<Option<Origin>, Diagnostics> {
        let clock = Clock { step: self.clock.step.wrapping_sub(ago), ..self.clock };
        let beside = self.beside.rows(clock.step, rows.len())?;
        let executor = self.train.fed(&[(data, rows), beside], &self.sizes)?;
        Ok(origin(executor, &self.store, clock, rows))
    }

    /// Evaluates a program by the reference on what the next step reads; `visit` is shown every node with its value.
    ///
    /// # Errors
    /// Those of [`Program::executor`].
    #[cfg(feature = "files")]
    pub(super) fn examine(
        &mut self,
        program: &mut Program<T>,
        data: &Dataset,
        rows: &[u32],
        visit: &mut VisitNode<'_, T>,
    ) -> Result<(), Diagnostics> {
        let beside = self.beside.rows(self.clock.step, rows.len())?;
        let executor: &Executor<T> = program.fed(&[(data, rows), beside], &self.sizes)?;
        let graph = executor.graph();
        executor.examine(&self.store, self.clock, &mut |id, _, value| visit(graph, id, value));
        Ok(())
    }

    /// Goes back to the params, states and sums before a step, which counts all the same.
    pub(super) fn undo(&mut self, store: &Store<T>, sums: BTreeMap<Arc<str>, Vec<f64>>) {
        self.store.clone_from(store);
        self.train_sums.set(sums);
    }

    /// Goes a part of the way from what the params were.
    ///
    /// # Errors
    /// None: the params are those of this model.
    pub(super) fn shorten(&mut self, before: &Store<T>, part: f64) -> Result<(), StoreError> {
        let params: Vec<Arc<str>> = self
            .store
            .entries()
            .filter(|entry| entry.kind() == StoreKind::Param)
            .map(|entry| entry.name().clone())
            .collect();
        for name in params {
            let (Some(Values::Float(new)), Some(Values::Float(old))) =
                (self.store.find(StoreKind::Param, &name), before.find(StoreKind::Param, &name))
            else {
                continue;
            };
            let values =
                old.iter().zip(new).map(|(old, new)| T::of(old.as_f64() + part * (new.as_f64() - old.as_f64())));
            let values = Values::Float(values.collect());
            self.store.set(StoreKind::Param, &name, values)?;
        }
        Ok(())
    }

    /// What [`Trainer::step`] gave the last time; NaN before the first.
    pub fn last_values(&self) -> (&[f64], &[f64]) {
        (&self.values, &self.counts)
    }

    /// Losses and metrics over a dataset, as if all its rows were one batch where a metric is a function of sums, and means
    /// over the rows of the batches' values else; none where no row has the value. Params and states stay as they are.
    ///
    /// # Errors
    /// E0602 for a batch size of 0, E0603 for data without rows, and those of [`Program::run`].
    pub fn evaluate(&mut self, data: &Dataset, batch_size: u32) -> Result<Vec<Option<f64>>, Diagnostics> {
        let sizes = self.fields.sizes(data)?;
        self.ranges.set_sizes(&sizes);
        self.evaluator.begin();
        let Self { evaluator, ranges, store, clock, .. } = self;
        evaluator.add(data, &sizes, ranges, store, *clock, batch_size)?;
        Ok(evaluator.means(store, *clock, &sizes))
    }

    /// The gradient of the objectives by each trained param on some rows, before any clipping.
    ///
    /// # Errors
    /// Those of [`Program::run`].
    pub fn gradients(&mut self, data: &Dataset, rows: &[u32]) -> Result<IndexMap<Arc<str>, Vec<f64>>, Diagnostics> {
        let sizes = self.fields.sizes(data)?;
        self.ranges.set_sizes(&sizes);
        self.ranges.check(data, rows)?;
        let executor = self.gradients.run(data, &sizes, rows, &mut self.store, self.clock)?;
        let gradients = executor.results().filter(|(fetch, _)| fetch.role == Role::Gradient);
        let numbers = |values: &Values<T>| values.floats().iter().map(|value| value.as_f64()).collect();
        Ok(gradients.map(|(fetch, values)| (fetch.name.clone(), numbers(values))).collect())
    }

    /// Prepares the programs for the batches of a dataset, so that what does not fit is found before the first step.
    /// `trains`: whether it is trained on, else evaluated.
    ///
    /// # Errors
    /// Those of [`Program::executor`].
    pub(super) fn prepare(&mut self, data: &Dataset, batches: &Batcher, trains: bool) -> Result<(), Diagnostics> {
        let sizes = self.fields.sizes(data)?;
        let program = if trains { &mut self.train } else { self.evaluator.program() };
        for n_rows in batches.sizes() {
            program.executor(n_rows, &sizes)?;
        }
        Ok(())
    }

    /// Takes memory for data, and for so many copies of the params and states.
    ///
    /// # Errors
    /// E0702 when there is not so much.
    pub(super) fn claim(&self, data: u64, n_copies: u64) -> Result<Claim, Diagnostics> {
        let footprint = Footprint { data, copies: self.store.bytes().saturating_mul(n_copies), ..Footprint::default() };
        self.options.budget().claim(footprint, |finding| finding.with_help("take less data or a smaller model"))
    }

    /// A program that runs beside those of the model, on its threads.
    pub fn program(&self, graph: impl Into<Simple>) -> Program<T> {
        Program::new(graph, self.options.clone())
    }

    /// Runs a program on rows of the dataset that was attached last, with the model's params, states and clock.
    ///
    /// # Errors
    /// Those of [`Program::run`].
    pub(super) fn run<'p>(
        &mut self,
        program: &'p mut Program<T>,
        data: &Dataset,
        rows: &[u32],
    ) -> Result<&'p Executor<T>, Diagnostics> {
        program.run(data, &self.sizes, rows, &mut self.store, self.clock)
    }

    /// The trainable loss weights: small params that combiners own.
    pub fn loss_weights(&self) -> Vec<LossWeight> {
        let weight = |name: &Arc<str>| {
            let values = self.store.find(StoreKind::Param, name).map_or(&[][..], Values::floats);
            LossWeight { name: name.clone(), values: values.iter().map(|value| value.as_f64()).collect() }
        };
        self.weights.iter().map(weight).collect()
    }

    /// Whether every param and state is a finite number.
    pub fn is_finite(&self) -> bool {
        self.store.entries().all(|entry| entry.values().floats().iter().all(|value| value.is_finite()))
    }
}

/// The loss weights that a run shows, each with its number of elements: small params that combiners own.
pub fn weights_shown(compiled: &Compiled) -> Vec<(String, usize)> {
    let weight = |(name, info): (&Arc<str>, &crate::lower::ParamInfo)| {
        let n_elements = info.ty.known_shape().unwrap_or_default().iter().product::<usize>();
        let is_shown = info.owner == Owner::Combiner && n_elements <= MOST_WEIGHTS_SHOWN;
        is_shown.then(|| (name.to_string(), n_elements))
    };
    compiled.module.params.iter().filter_map(weight).collect()
}

/// The number of rows that are to be visited in batches.
///
/// # Errors
/// E0603 when there are none or too many, E0602 when a batch is to have none.
pub(super) fn count_rows(n_rows: usize, batch_size: u32) -> Result<u32, Diagnostic> {
    if batch_size == 0 {
        return Err(Diagnostic::error(Code::E0602, "a batch size of 0")
            .with_note("found: 0")
            .with_note("expected: at least 1 row in a batch"));
    }
    match u32::try_from(n_rows) {
        Ok(0) => Err(no_rows("the data has no rows")),
        Ok(rows) => Ok(rows),
        Err(_) => Err(Diagnostic::error(Code::E0603, "the data has more rows than one run reads")
            .with_note(format!("found: {n_rows} rows"))
            .with_note(format!("expected: at most {}", u32::MAX))),
    }
}

/// Calls `visit` for the rows of each batch, in the order of the file.
///
/// # Errors
/// Those of [`count_rows`], and the first error of `visit`.
pub(super) fn for_each_batch(
    n_rows: usize,
    batch_size: u32,
    visit: impl FnMut(&[u32]) -> Result<(), Diagnostics>,
) -> Result<(), Diagnostics> {
    let rows = count_rows(n_rows, batch_size)?;
    let batcher = Batcher { rows, batch_size, shuffle: None, drop_last: false };
    let order = batcher.order(0);
    batcher.batches(&order).try_for_each(visit)
}

/// A seed as the programs take it. Both halves count.
pub(super) fn fold_seed(seed: u64) -> i32 {
    ((seed >> 32) as u32 ^ seed as u32) as i32
}

fn initial_store<T: Element>(mut init: Program<T>, clock: Clock) -> Result<Store<T>, Diagnostics> {
    init.executor(1, &DimSizes::new())?.initial_store(clock)
}
