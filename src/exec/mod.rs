//! Runs a program: a graph whose run-time dims have got sizes.
//!
//! Takes a simplified graph and the sizes; gives an [`Executor`] with buffers to feed and results to read. Params and
//! states live in a [`Store`] that outlives executors, so that a short last batch (another executor, other sizes)
//! goes on with the same params.

mod footprint;
mod memory;
mod planned;
mod store;

pub use anabranch_kernels::Level;
pub use store::{Carried, Entry, Store, StoreError, StoreKind, Values};

use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, DimSizes, Graph, NodeId, Role, bind, check_bound};
use crate::ops::{Element, Input, InputKind, Op, Tensor, reference};
use crate::passes::simplify;
use anabranch_kernels::Pool;
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

/// Threads beyond this only wait for each other.
const MOST_THREADS_A_CORE: usize = 4;

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
    /// bytes that a program may take with its params, states, inputs and results; 64 GiB when left out
    pub memory: Option<u64>,
}

impl ExecutorOptions {
    /// The threads to run on.
    ///
    /// # Errors
    /// E0701 when more are asked for than any machine of so many cores has use for.
    pub fn pool(&self) -> Result<Arc<Pool>, Diagnostics> {
        if let Some(pool) = &self.pool {
            return Ok(pool.clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = MOST_THREADS_A_CORE * cores;
        if self.threads > most {
            let finding = Diagnostic::error(Code::E0701, format!("{} threads are too many", self.threads))
                .with_note(format!("expected: at most {most} on this machine, {MOST_THREADS_A_CORE} for each core"))
                .with_help("0 takes as many as there are cores");
            return Err(finding.into());
        }
        Ok(Arc::new(Pool::new(if self.threads == 0 { cores } else { self.threads })))
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
    carried: Vec<Carried>,
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
        let carried = carried(&graph);
        let planned = match options.mode {
            Mode::Planned => Some(planned::Planned::new(&graph, options, &feeds, &carried)?),
            Mode::Reference => None,
        };
        Self::with(graph, planned, feeds, carried)
    }

    /// Prepares a plan that was made of a bound graph; one that the plan's checker refuses is never run.
    ///
    /// # Errors
    /// What the checker finds, or that there is no memory.
    #[doc(hidden)]
    pub fn of_plan(graph: &Graph, plan: crate::plan::Plan, options: &ExecutorOptions) -> Result<Self, String> {
        crate::plan::check(&plan, graph)?;
        let (feeds, carried) = (feeds(graph), carried(graph));
        let planned = planned::Planned::of(plan, graph, options, &feeds, &carried);
        let executor = planned.and_then(|planned| Self::with(graph.clone(), Some(planned), feeds, carried));
        executor.map_err(|findings| format!("{findings:?}"))
    }

    fn with(
        graph: Graph,
        planned: Option<planned::Planned<T>>,
        feeds: Vec<Feed>,
        carried: Vec<Carried>,
    ) -> Result<Self, Diagnostics> {
        let fetches: Vec<Fetch> = fetches(&graph);
        let zeros =
            |dtype, shape: &[usize], name: &str| Values::try_zeros(dtype, n_elements(shape), &format!("`{name}`"));
        let feed_values =
            feeds.iter().map(|feed| zeros(feed.dtype, &feed.shape, &feed.name)).collect::<Result<_, _>>()?;
        let results = fetches.iter().map(|fetch| zeros(fetch.dtype, &fetch.shape, &fetch.name));
        let results = results.collect::<Result<_, _>>()?;
        Ok(Self { graph, planned, feeds, feed_values, fetches, results, carried })
    }

    /// The plan as text, when the program runs by one.
    pub fn plan_text(&self, title: &str) -> Option<String> {
        self.planned
            .as_ref()
            .map(|planned| crate::plan::print(&planned.plan, &self.graph, title, planned::runs_by_definition))
    }

    /// The bound graph that is run.
    pub(crate) fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Evaluates the program by the reference on what was fed last, and changes nothing; `visit` is shown every node.
    pub(crate) fn examine(&self, store: &Store<T>, clock: Clock, visit: &mut reference::Visit<'_, T>) {
        let leaf = |id: NodeId| leaf_value(&self.graph, id, &self.feeds, &self.feed_values, store, clock);
        reference::evaluate_watched(&self.graph, leaf, visit);
    }

    /// What to feed, in order.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// The params and states that the program reads or gives new values.
    pub fn carried(&self) -> &[Carried] {
        &self.carried
    }

    /// The buffer of a feed of floats; `None` when it is of another type, or there is no such feed.
    pub fn feed_float(&mut self, feed: usize) -> Option<&mut [T]> {
        match self.feed_values.get_mut(feed)? {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// The buffer of a feed of ints, or of bools as 0 and 1; `None` when it is of another type, or there is no such feed.
    pub fn feed_int(&mut self, feed: usize) -> Option<&mut [i32]> {
        match self.feed_values.get_mut(feed)? {
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

    /// Runs a program that gives a model's first params and states.
    ///
    /// # Errors
    /// E0702 when they do not fit in memory.
    pub fn initial_store(&mut self, clock: Clock) -> Result<Store<T>, Diagnostics> {
        let mut store = Store::zeros(&self.carried)?;
        self.run(&mut store, clock)?;
        Ok(store)
    }

    /// Runs the program once. Params and states are read from the store; their next values are written to it.
    ///
    /// # Errors
    /// When the store lacks one of [`Executor::carried`], or has it in another type or shape. Nothing has run then.
    pub fn run(&mut self, store: &mut Store<T>, clock: Clock) -> Result<(), StoreError> {
        self.run_watched(store, clock, |_| ())
    }

    /// As [`Executor::run`]; `after` is called with the number of each step of the plan when it is done, which a profile
    /// is made of.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_watched(
        &mut self,
        store: &mut Store<T>,
        clock: Clock,
        after: impl FnMut(usize),
    ) -> Result<(), StoreError> {
        if let Some(planned) = &mut self.planned {
            return planned.run(&mut self.feed_values, store, clock, after, &mut self.results);
        }
        self.carried.iter().try_for_each(|what| store.get(what).map(|_| ()))?;
        let graph = &self.graph;
        let leaf = |id: NodeId| leaf_value(graph, id, &self.feeds, &self.feed_values, store, clock);
        let values = reference::evaluate(graph, leaf);
        for ((fetch, value), result) in self.fetches.iter().zip(values).zip(&mut self.results) {
            let value = Values::from_tensor(&value);
            match fetch.role {
                Role::Param => store.set(StoreKind::Param, &fetch.name, value)?,
                Role::State => store.set(StoreKind::State, &fetch.name, value)?,
                _ => *result = value,
            }
        }
        Ok(())
    }
}

fn n_elements(shape: &[usize]) -> usize {
    shape.iter().copied().fold(1, usize::saturating_mul)
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

/// What a graph reads from the store, and what it writes there.
fn carried(graph: &Graph) -> Vec<Carried> {
    let mut carried: Vec<Carried> = Vec::new();
    let leaves = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(Input { kind: InputKind::Param, .. }) => {
            Some((StoreKind::Param, &graph.node(id).provenance.name, id))
        }
        Op::Input(Input { kind: InputKind::State, .. }) => {
            Some((StoreKind::State, &graph.node(id).provenance.name, id))
        }
        _ => None,
    });
    let outputs = graph.outputs.iter().filter_map(|output| match output.role {
        Role::Param => Some((StoreKind::Param, &output.name, output.node)),
        Role::State => Some((StoreKind::State, &output.name, output.node)),
        _ => None,
    });
    for (kind, name, id) in leaves.chain(outputs) {
        let what = Carried {
            kind,
            name: name.clone(),
            dtype: graph.ty(id).dtype,
            shape: graph.ty(id).known_shape().unwrap_or_default(),
        };
        if !carried.contains(&what) {
            carried.push(what);
        }
    }
    carried
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
    let stored = |kind: StoreKind| {
        let values = store.find(kind, name).expect("internal: the store holds what the program carries");
        values.to_tensor(node.ty.dtype, &shape)
    };
    match kind {
        InputKind::Step => scalar(clock.step),
        InputKind::Epoch => scalar(clock.epoch),
        InputKind::EpochEnd => scalar(i32::from(clock.epoch_end)),
        InputKind::Seed => scalar(clock.seed),
        InputKind::Port(_) => panic!("internal: a port outside the body of a loop"),
        InputKind::Param => stored(StoreKind::Param),
        InputKind::State => stored(StoreKind::State),
        InputKind::Input | InputKind::Target => {
            let at = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            let at = at.expect("internal: every input leaf has a feed");
            feed_values[at].to_tensor(node.ty.dtype, &shape)
        }
    }
}
