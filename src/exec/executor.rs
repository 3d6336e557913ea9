//! A bound program, an engine for it, and the buffers that are fed and read.

use super::engine::{Buffers, Engine, entry};
use super::reference::examine;
use super::{Bound, Carried, Clock, ExecutorOptions, Feed, Fetch, Store, StoreError, Values};
use crate::diag::Diagnostics;
use crate::ir::{DimSizes, Graph, Role};
use crate::ops::Element;
use crate::ops::reference::Visit;
use crate::plan::Plan;

/// A program, ready to be fed and run.
#[derive(Debug)]
pub struct Executor<T: Element> {
    program: Bound,
    engine: Box<dyn Engine<T>>,
    feeds: Vec<Values<T>>,
    results: Vec<Values<T>>,
}

impl<T: Element> Executor<T> {
    /// Prepares a bound program.
    ///
    /// # Errors
    /// Those of [`Engine::prepare`].
    pub fn of(program: Bound, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        (entry().prepare)(program, options)
    }

    /// Binds a program to sizes of its run-time dims, and prepares it.
    ///
    /// # Errors
    /// Those of [`Bound::new`] and [`Executor::of`].
    pub fn new(graph: &Graph, sizes: &DimSizes, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        Self::of(Bound::new(graph, sizes)?, options)
    }

    /// Prepares a plan that was made of a bound graph; one that the plan's checker refuses is never run.
    ///
    /// # Errors
    /// What the checker finds, or that there is no memory.
    #[doc(hidden)]
    pub fn of_plan(graph: &Graph, plan: Plan, options: &ExecutorOptions) -> Result<Self, String> {
        Self::of(Bound::with_plan(graph, plan)?, options).map_err(|findings| format!("{findings:?}"))
    }

    pub(super) fn with(engine: Box<dyn Engine<T>>, program: Bound) -> Result<Self, Diagnostics> {
        let zeros = |dtype, shape: &[usize], name: &str| Values::try_zeros(dtype, shape, &format!("`{name}`"));
        let feeds = program.feeds().iter().map(|feed| zeros(feed.dtype, &feed.shape, &feed.name));
        let feeds = feeds.collect::<Result<_, _>>()?;
        // Next params and states are written to the store.
        let shape = |fetch: &Fetch| if is_carried(fetch.role) { vec![0] } else { fetch.shape.clone() };
        let results = program.fetches().iter().map(|fetch| zeros(fetch.dtype, &shape(fetch), &fetch.name));
        let results = results.collect::<Result<_, _>>()?;
        Ok(Self { program, engine, feeds, results })
    }

    /// The program that it runs.
    pub fn program(&self) -> &Bound {
        &self.program
    }

    /// The bound graph that is run.
    pub(crate) fn graph(&self) -> &Graph {
        self.program.graph()
    }

    /// Evaluates the program by the reference on what was fed last, and changes nothing; `visit` is shown every node.
    pub(crate) fn examine(&self, store: &Store<T>, clock: Clock, visit: &mut Visit<'_, T>) {
        examine(&self.program, &self.feeds, store, clock, visit);
    }

    /// What to feed, in order.
    pub fn feeds(&self) -> &[Feed] {
        self.program.feeds()
    }

    /// The params and states that the program reads or gives new values.
    pub fn carried(&self) -> &[Carried] {
        self.program.carried()
    }

    /// The buffer of a feed of floats; `None` when it is of another type, or there is no such feed.
    pub fn feed_float(&mut self, feed: usize) -> Option<&mut [T]> {
        match self.feeds.get_mut(feed)? {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// The buffer of a feed of ints, or of bools as 0 and 1; `None` when it is of another type, or there is no such feed.
    pub fn feed_int(&mut self, feed: usize) -> Option<&mut [i32]> {
        match self.feeds.get_mut(feed)? {
            Values::Int(values) => Some(values),
            Values::Float(_) => None,
        }
    }

    /// The results, in order.
    pub fn fetches(&self) -> &[Fetch] {
        self.program.fetches()
    }

    /// The position of a result.
    pub fn fetch(&self, role: Role, name: &str) -> Option<usize> {
        self.fetches().iter().position(|fetch| fetch.role == role && &*fetch.name == name)
    }

    /// A result of the last run; `None` when there is no such result. Of next params and states there are no elements here: they are
    /// in the store.
    pub fn result(&self, fetch: usize) -> Option<&Values<T>> {
        self.results.get(fetch)
    }

    /// Every result of the last run.
    pub fn results(&self) -> impl Iterator<Item = (&Fetch, &Values<T>)> {
        self.fetches().iter().zip(&self.results)
    }

    /// The values of a result that is known by its role and name.
    pub fn find(&self, role: Role, name: &str) -> Option<&Values<T>> {
        self.result(self.fetch(role, name)?)
    }

    /// The first number of a result of the last run; `None` when there is no such result, or it has no elements.
    pub fn scalar(&self, fetch: usize) -> Option<f64> {
        match self.results.get(fetch)? {
            Values::Float(values) => values.first().map(|value| value.as_f64()),
            Values::Int(values) => values.first().map(|value| f64::from(*value)),
        }
    }

    /// Runs a program that gives a model's first params and states.
    ///
    /// # Errors
    /// E0702 when they do not fit in memory.
    pub fn initial_store(&mut self, clock: Clock) -> Result<Store<T>, Diagnostics> {
        let mut store = Store::zeros(self.carried())?;
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
        mut after: impl FnMut(usize),
    ) -> Result<(), StoreError> {
        (entry().run)(self, store, clock, &mut after)
    }

    pub(super) fn run_by_engine(
        &mut self,
        store: &mut Store<T>,
        clock: Clock,
        after: &mut dyn FnMut(usize),
    ) -> Result<(), StoreError> {
        let buffers = Buffers { feeds: &mut self.feeds, results: &mut self.results };
        self.engine.run(&self.program, buffers, store, clock, after)
    }
}

fn is_carried(role: Role) -> bool {
    matches!(role, Role::Param | Role::State)
}
