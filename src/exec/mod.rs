//! Runs a program: a graph whose run-time dims have got sizes.
//!
//! Takes a simplified graph and the sizes; gives an [`Executor`] with buffers to feed and results to read. Params and
//! states live in a [`Store`] that outlives executors, so that a short last batch (another executor, other sizes)
//! goes on with the same params.

mod planned;
mod store;

pub use store::{Store, StoreKind, Values};

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, DimSizes, Graph, NodeId, Role, bind, check_bound};
use crate::ops::{Element, InputKind, Op, Tensor, reference};
use crate::passes::simplify;
use anabranch_kernels::{Level, Pool};
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// How a program is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// by a plan, without allocation in the step loop
    #[default]
    Planned,
    /// op by op, by each op's definition
    Reference,
}

/// Settings of an executor.
#[derive(Clone, Debug, Default)]
pub struct ExecutorOptions {
    pub mode: Mode,
    /// worker threads; 0 is as many as there are cores
    pub threads: usize,
    /// threads to share with other executors; made anew when left out
    pub pool: Option<Arc<Pool>>,
    /// the instruction set of the kernels; the best of this machine when left out
    pub level: Option<Level>,
}

impl ExecutorOptions {
    /// The threads to run on.
    pub fn pool(&self) -> Arc<Pool> {
        self.pool.clone().unwrap_or_else(|| {
            let cores = || std::thread::available_parallelism().map_or(1, usize::from);
            Arc::new(Pool::new(if self.threads == 0 { cores() } else { self.threads }))
        })
    }
}

/// Something that is fed before a run: an input or target that the program reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    pub kind: InputKind,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// A result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    pub role: Role,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// The training clock and the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub step: i32,
    pub epoch: i32,
    /// whether this is the last step of the epoch
    pub epoch_end: bool,
    pub seed: i32,
}

/// A program with its buffers.
#[derive(Debug)]
pub struct Executor<T: Element> {
    graph: Graph,
    planned: Option<planned::Planned<T>>,
    feeds: Vec<Feed>,
    feed_values: Vec<Values<T>>,
    fetches: Vec<Fetch>,
    results: Vec<Values<T>>,
}

impl<T: Element> Executor<T> {
    /// Prepares a program for given sizes of its run-time dims.
    ///
    /// # Errors
    /// E0303 when an operation does not take these sizes; E0702 when the program does not fit in memory.
    pub fn new(graph: &Graph, sizes: &DimSizes, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        let bound = bind(graph, sizes);
        check_bound(&bound).map_err(|(id, error)| refused(&bound, id, &error))?;
        let graph = simplify(&bound);
        let feeds: Vec<Feed> = feeds(&graph);
        let fetches: Vec<Fetch> = fetches(&graph);
        let feed_values = feeds.iter().map(|feed| Values::zeros(feed.dtype, feed.shape.iter().product())).collect();
        let results = fetches.iter().map(|fetch| Values::zeros(fetch.dtype, fetch.shape.iter().product())).collect();
        let planned = match options.mode {
            Mode::Planned => Some(planned::Planned::new(&graph, options, &feeds)?),
            Mode::Reference => None,
        };
        Ok(Self { graph, planned, feeds, feed_values, fetches, results })
    }

    /// The plan as text, when the program runs by one.
    pub fn plan_text(&self, title: &str) -> Option<String> {
        self.planned.as_ref().map(|planned| crate::plan::print(&planned.plan, &self.graph, title))
    }

    /// What to feed, in order.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// The buffer of a feed of floats; `None` when it is of another type.
    pub fn feed_float(&mut self, feed: usize) -> Option<&mut [T]> {
        match &mut self.feed_values[feed] {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// The buffer of a feed of ints, or of bools as 0 and 1.
    pub fn feed_int(&mut self, feed: usize) -> Option<&mut [i32]> {
        match &mut self.feed_values[feed] {
            Values::Int(values) => Some(values),
            Values::Float(_) => None,
        }
    }

    /// The results, in order.
    pub fn fetches(&self) -> &[Fetch] {
        &self.fetches
    }

    /// The position of a result.
    pub fn fetch(&self, role: Role, name: &str) -> Option<usize> {
        self.fetches.iter().position(|fetch| fetch.role == role && &*fetch.name == name)
    }

    /// A result of the last run. Next params and states are in the store instead.
    pub fn result(&self, fetch: usize) -> &Values<T> {
        &self.results[fetch]
    }

    /// A scalar result of the last run.
    pub fn scalar(&self, fetch: usize) -> f64 {
        match &self.results[fetch] {
            Values::Float(values) => values.first().map_or(f64::NAN, |value| value.as_f64()),
            Values::Int(values) => values.first().map_or(f64::NAN, |value| f64::from(*value)),
        }
    }

    /// Runs the program once. Params and states are read from the store; their next values are written to it.
    ///
    /// # Panics
    /// When the store lacks a param or state of the program, or has it in another shape.
    pub fn run(&mut self, store: &mut Store<T>, clock: Clock) {
        self.run_watched(store, clock, |_| ());
    }

    /// As [`Executor::run`]; `after` is called with the number of each step of the plan when it is done, which a profile
    /// is made of.
    ///
    /// # Panics
    /// As [`Executor::run`].
    pub fn run_watched(&mut self, store: &mut Store<T>, clock: Clock, after: impl FnMut(usize)) {
        if let Some(planned) = &mut self.planned {
            planned.run(&mut self.feed_values, store, clock, after);
            for output in &planned.plan.outputs {
                if !matches!(self.fetches[output.output].role, Role::Param | Role::State) {
                    planned.read(output.buffer, &mut self.results[output.output]);
                }
            }
            return;
        }
        let graph = &self.graph;
        let leaf = |id: NodeId| leaf_value(graph, id, &self.feeds, &self.feed_values, store, clock);
        let values = reference::evaluate(graph, leaf);
        for ((fetch, value), result) in self.fetches.iter().zip(values).zip(&mut self.results) {
            let value = Values::from_tensor(&value);
            match fetch.role {
                Role::Param => store.set(StoreKind::Param, &fetch.name, value),
                Role::State => store.set(StoreKind::State, &fetch.name, value),
                _ => *result = value,
            }
        }
    }
}

/// The sizes of the data do not suit an operation.
fn refused(graph: &Graph, id: NodeId, error: &crate::ops::OpError) -> Diagnostics {
    let provenance = &graph.node(id).provenance;
    Diagnostic::error(Code::E0303, format!("the sizes of the data do not fit the spec: {error}"))
        .at(provenance.span, format!("while computing `{}`", provenance.name))
        .into()
}

fn feeds(graph: &Graph) -> Vec<Feed> {
    let leaves = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target) => Some((id, input.kind)),
        _ => None,
    });
    leaves
        .map(|(id, kind)| Feed {
            kind,
            name: graph.node(id).provenance.name.clone(),
            dtype: graph.ty(id).dtype,
            shape: graph.ty(id).known_shape().unwrap_or_default(),
        })
        .collect()
}

fn fetches(graph: &Graph) -> Vec<Fetch> {
    let fetch = |output: &crate::ir::Output| {
        let ty = graph.ty(output.node);
        let shape = ty.known_shape().unwrap_or_default();
        Fetch { role: output.role, name: output.name.clone(), dtype: ty.dtype, shape }
    };
    graph.outputs.iter().map(fetch).collect()
}

/// The value of a leaf, for the reference executor.
fn leaf_value<T: Element>(
    graph: &Graph,
    id: NodeId,
    feeds: &[Feed],
    feed_values: &[Values<T>],
    store: &Store<T>,
    clock: Clock,
) -> Tensor<T> {
    let node = graph.node(id);
    let name = &node.provenance.name;
    let shape = node.ty.known_shape().unwrap_or_default();
    let kind = match &node.op {
        Op::Input(input) => input.kind,
        op => panic!("internal: {} is not a leaf", op.name()),
    };
    let scalar = |value: i32| Tensor::Int(ArrayD::from_elem(IxDyn(&[]), value));
    match kind {
        InputKind::Step => scalar(clock.step),
        InputKind::Epoch => scalar(clock.epoch),
        InputKind::EpochEnd => scalar(i32::from(clock.epoch_end)),
        InputKind::Seed => scalar(clock.seed),
        InputKind::Port(_) => panic!("internal: a port outside the body of a loop"),
        InputKind::Param => store.get(StoreKind::Param, name).to_tensor(node.ty.dtype, &shape),
        InputKind::State => store.get(StoreKind::State, name).to_tensor(node.ty.dtype, &shape),
        InputKind::Input | InputKind::Target => {
            let at = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            let at = at.expect("internal: every input leaf has a feed");
            feed_values[at].to_tensor(node.ty.dtype, &shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceMap;
    use crate::lower::Options;
    use crate::pipeline::compile;

    /// A store with the initial values of a spec.
    fn initial<T: Element>(init: &Graph, options: &ExecutorOptions) -> Store<T> {
        let mut executor = Executor::<T>::new(init, &DimSizes::new(), options).unwrap();
        let mut store = Store::new();
        for fetch in executor.fetches().to_vec() {
            let kind = if fetch.role == Role::Param { StoreKind::Param } else { StoreKind::State };
            let values = Values::zeros(fetch.dtype, fetch.shape.iter().product());
            store.insert(kind, fetch.name, fetch.shape, values);
        }
        executor.run(&mut store, Clock { seed: 3, ..Clock::default() });
        store
    }

    /// Runs some steps of a spec in one mode on made-up data; gives the store and the losses.
    fn train<T: Element>(text: &str, mode: Mode, batch: usize) -> (Store<T>, Vec<f64>) {
        let mut sources = SourceMap::default();
        let id = sources.add("test.anb", text);
        let compiled = compile(&mut sources, id, &Options::default())
            .unwrap_or_else(|findings| panic!("{}", crate::diag::render_plain(&findings.0, &sources)));
        let options = ExecutorOptions { mode, threads: 2, ..ExecutorOptions::default() };
        let mut store = initial::<T>(&compiled.simplified.init, &options);
        let sizes = DimSizes::from([("batch".into(), batch)]);
        let mut executor = Executor::<T>::new(&compiled.simplified.train, &sizes, &options).unwrap();
        let mut losses = Vec::new();
        for step in 0..5 {
            for feed in 0..executor.feeds().len() {
                let mut state = 17u32 + feed as u32 + step as u32 * 7;
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 8
                };
                if let Some(values) = executor.feed_float(feed) {
                    values.fill_with(|| T::of(f64::from(next() % 1000) / 1000.0));
                } else if let Some(values) = executor.feed_int(feed) {
                    values.fill_with(|| (next() % 10) as i32);
                }
            }
            executor.run(&mut store, Clock { step, ..Clock::default() });
            losses.extend((0..executor.fetches().len()).map(|fetch| executor.scalar(fetch)).filter(|x| !x.is_nan()));
        }
        (store, losses)
    }

    fn agree(text: &str, batch: usize) {
        let (planned, planned_losses) = train::<f64>(text, Mode::Planned, batch);
        let (reference, reference_losses) = train::<f64>(text, Mode::Reference, batch);
        for (a, b) in planned_losses.iter().zip(&reference_losses) {
            assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "losses {planned_losses:?} against {reference_losses:?}");
        }
        for (a, b) in planned.entries().zip(reference.entries()) {
            for (x, y) in a.values.floats().iter().zip(b.values.floats()) {
                assert!((x - y).abs() <= 1e-9 * (1.0 + y.abs()), "{}: {x} against {y}", a.name);
            }
        }
    }

    const LOCALIZER: &str = include_str!("../../examples/localizer/localizer.anb");

    #[test]
    fn plan_and_reference_agree_on_the_first_example() {
        agree(LOCALIZER, 7);
        agree(LOCALIZER, 1);
    }

    const TWO_HEADS: &str = "
        input x: f32[batch, 8, 8, 1]
        target label: i32[batch]
        target next: f32[batch, 3]
        let trunk = x |> conv2d(filters=4, kernel=3, padding=\"same\", activation=relu) |> max_pool2d(window=2) |> flatten
        let hidden = trunk |> dense(units=16, activation=tanh)
        output logits = hidden |> dense(units=10)
        output guess = hidden |> dense(units=3)
        loss first = sparse_categorical_crossentropy(label, logits)
        loss second = mean_squared_error(next, guess)
        loss total = uncertainty(first, second)
        metric hits = accuracy(label, logits)
        train {
            minimize total
            optimizer adam(lr=0.01)
            clip global_norm=1.0
        }";

    #[test]
    fn plan_and_reference_agree_on_a_convolutional_net_with_two_heads() {
        agree(TWO_HEADS, 5);
        agree(TWO_HEADS, 64);
    }

    #[test]
    fn floats_follow_doubles() {
        let (single, _) = train::<f32>(TWO_HEADS, Mode::Planned, 16);
        let (double, _) = train::<f64>(TWO_HEADS, Mode::Planned, 16);
        for (a, b) in single.entries().zip(double.entries()) {
            for (x, y) in a.values.floats().iter().zip(b.values.floats()) {
                assert!((f64::from(*x) - y).abs() <= 1e-3 * (1.0 + y.abs()), "{}: {x} against {y}", a.name);
            }
        }
    }

    #[test]
    fn a_program_too_large_for_memory_is_refused_before_it_is_made() {
        let text = "
            input x: f32[batch, 1000, 1000]
            output y = exp(x) @ exp(2 * x)";
        let mut sources = SourceMap::default();
        let id = sources.add("test.anb", text);
        let compiled = compile(&mut sources, id, &Options::default()).unwrap();
        let graph = bind(&compiled.simplified.predict, &DimSizes::from([("batch".into(), 10_000)]));
        let findings = planned::Planned::<f32>::new(&graph, &ExecutorOptions::default(), &feeds(&graph)).err();
        assert_eq!(findings.map(|findings| findings.0[0].code), Some(Code::E0702));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let text = "
            input x: f32[batch, T]
            output y = x[:, 0:4]";
        let mut sources = SourceMap::default();
        let id = sources.add("test.anb", text);
        let compiled = compile(&mut sources, id, &Options::default()).unwrap();
        let sizes = DimSizes::from([("batch".into(), 2), ("T".into(), 3)]);
        let refused = Executor::<f32>::new(&compiled.simplified.predict, &sizes, &ExecutorOptions::default());
        assert_eq!(refused.err().map(|findings| findings.0[0].code), Some(Code::E0303));
    }
}
