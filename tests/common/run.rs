//! A compiled spec with values: feed it, run a step, read what came out. By the reference executor, in f64.

use anabranch::diag::{Diagnostic, Diagnostics, SourceMap, render_plain};
use anabranch::exec::{Carried, Clock, Executor, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::ir::{DType, Graph, Role};
use anabranch::lower::Options;
use anabranch::ops::{Tensor, reference};
use anabranch::pipeline::{Compiled, check_with, compile_with};
use std::collections::BTreeMap;

pub fn compile(text: &str, files: &[(&str, &str)], options: &Options) -> (SourceMap, Result<Compiled, Diagnostics>) {
    let mut sources = SourceMap::default();
    let spec = sources.add("spec.anb", text);
    let read = |path: &str| {
        let file = files.iter().find(|(name, _)| *name == path);
        file.map(|(_, text)| text.to_string()).ok_or_else(|| std::io::Error::other("no such file"))
    };
    let compiled = compile_with(&mut sources, spec, options, &read);
    (sources, compiled)
}

/// What `check` finds in a spec that stands alone.
pub fn check(text: &str, options: &Options) -> (SourceMap, Vec<Diagnostic>) {
    let mut sources = SourceMap::default();
    let spec = sources.add("spec.anb", text);
    let none = |_: &str| Err(std::io::Error::other("no such file"));
    let findings = match check_with(&mut sources, spec, options, &none) {
        Ok(findings) => findings,
        Err(errors) => errors.0,
    };
    (sources, findings)
}

/// The headlines of the errors.
pub fn errors(text: &str, options: &Options) -> Vec<String> {
    headlines(compile(text, &[], options).1)
}

pub fn errors_with_files(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    headlines(compile(text, files, &Options::default()).1)
}

fn headlines(compiled: Result<Compiled, Diagnostics>) -> Vec<String> {
    compiled
        .err()
        .map(|errors| errors.0.into_iter().filter(|error| error.is_error()).map(|error| error.headline).collect())
        .unwrap_or_default()
}

pub struct Run {
    pub compiled: Compiled,
    /// for the number of rows of the last step
    stepper: Option<(usize, Executor<f64>)>,
    initial: Store<f64>,
    store: Store<f64>,
    pub clock: Clock,
    floats: BTreeMap<String, Vec<f64>>,
    ints: BTreeMap<String, Vec<i32>>,
}

impl Run {
    pub fn new(text: &str) -> Self {
        Self::with_files(text, &[])
    }

    pub fn with_files(text: &str, files: &[(&str, &str)]) -> Self {
        Self::with_options(text, files, &Options::default())
    }

    pub fn with_options(text: &str, files: &[(&str, &str)], options: &Options) -> Self {
        let (sources, compiled) = compile(text, files, options);
        Self::of(compiled.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.0, &sources))))
    }

    pub fn of(compiled: Compiled) -> Self {
        let mut store = Store::new();
        let init = &compiled.simplified.init;
        let zero = |_| Tensor::Int(ndarray::ArrayD::zeros(ndarray::IxDyn(&[])));
        for (output, value) in init.outputs.iter().zip(reference::evaluate::<f64>(init, zero)) {
            let kind = if output.role == Role::Param { StoreKind::Param } else { StoreKind::State };
            let shape = init.ty(output.node).known_shape().expect("params have known shapes");
            let values = match value {
                Tensor::Float(array) => Values::Float(array.iter().copied().collect()),
                Tensor::Int(array) => Values::Int(array.iter().copied().collect()),
                Tensor::Bool(array) => Values::Int(array.iter().map(|value| i32::from(*value)).collect()),
            };
            let dtype = init.ty(output.node).dtype;
            store.insert(Carried { kind, name: output.name.clone(), dtype, shape }, values).unwrap();
        }
        Self {
            compiled,
            stepper: None,
            initial: store.clone(),
            store,
            clock: Clock::default(),
            floats: BTreeMap::new(),
            ints: BTreeMap::new(),
        }
    }

    pub fn params(&self) -> Vec<String> {
        self.compiled.module.params.keys().map(ToString::to_string).collect()
    }

    pub fn feed(&mut self, name: &str, values: &[f64]) {
        self.floats.insert(name.to_string(), values.to_vec());
    }

    pub fn feed_int(&mut self, name: &str, values: &[i32]) {
        self.ints.insert(name.to_string(), values.to_vec());
    }

    pub fn param(&self, name: &str) -> Vec<f64> {
        self.store.find(StoreKind::Param, name).map(|values| values.floats().to_vec()).unwrap_or_default()
    }

    pub fn state(&self, name: &str) -> Vec<f64> {
        self.store.find(StoreKind::State, name).map(|values| values.floats().to_vec()).unwrap_or_default()
    }

    pub fn set_state(&mut self, name: &str, values: &[f64]) {
        self.store.set(StoreKind::State, name, Values::Float(values.to_vec())).unwrap();
    }

    pub fn set_param(&mut self, name: &str, values: &[f64]) {
        self.store.set(StoreKind::Param, name, Values::Float(values.to_vec())).unwrap();
    }

    /// Params, states and clock as they began.
    pub fn restart(&mut self) {
        self.store = self.initial.clone();
        self.clock = Clock::default();
    }

    /// Params, states and clock.
    pub fn saved(&self) -> (Store<f64>, Clock) {
        (self.store.clone(), self.clock)
    }

    pub fn restore(&mut self, saved: &(Store<f64>, Clock)) {
        (self.store, self.clock) = saved.clone();
    }

    /// Losses and metrics by name, sample weights as `weight NAME`.
    pub fn step(&mut self, batch: usize) -> BTreeMap<String, f64> {
        let executor = match self.stepper.take() {
            Some((rows, executor)) if rows == batch => executor,
            _ => self.executor(&self.compiled.simplified.train.clone(), batch),
        };
        let (out, executor) = self.run_by(executor);
        self.stepper = Some((batch, executor));
        self.clock.step += 1;
        scalars(out)
    }

    pub fn evaluate(&mut self, batch: usize) -> BTreeMap<String, f64> {
        let graph = self.compiled.simplified.evaluate.clone();
        scalars(self.run(&graph, batch))
    }

    pub fn predict(&mut self, batch: usize) -> BTreeMap<String, Vec<f64>> {
        let graph = self.compiled.simplified.predict.clone();
        self.run(&graph, batch)
    }

    pub fn run(&mut self, graph: &Graph, batch: usize) -> BTreeMap<String, Vec<f64>> {
        let executor = self.executor(graph, batch);
        self.run_by(executor).0
    }

    fn executor(&self, graph: &Graph, batch: usize) -> Executor<f64> {
        let options = ExecutorOptions { mode: Mode::Planned, ..ExecutorOptions::default() };
        let sizes = BTreeMap::from([("batch".into(), batch)]);
        Executor::<f64>::new(graph, &sizes, &options).expect("fits")
    }

    fn run_by(&mut self, mut executor: Executor<f64>) -> (BTreeMap<String, Vec<f64>>, Executor<f64>) {
        for (at, feed) in executor.feeds().to_vec().into_iter().enumerate() {
            if feed.dtype == DType::F32 {
                let values = &self.floats[&*feed.name];
                executor.feed_float(at).expect("floats").copy_from_slice(values);
            } else {
                executor.feed_int(at).expect("ints").copy_from_slice(&self.ints[&*feed.name]);
            }
        }
        executor.run(&mut self.store, self.clock).unwrap();
        let mut out = BTreeMap::new();
        for (at, fetch) in executor.fetches().to_vec().into_iter().enumerate() {
            let name = match fetch.role {
                Role::Param | Role::State | Role::Objective | Role::Gradient => continue,
                Role::Weight => format!("weight {}", fetch.name),
                _ => fetch.name.to_string(),
            };
            out.insert(name, executor.result(at).unwrap().floats().to_vec());
        }
        (out, executor)
    }
}

fn scalars(out: BTreeMap<String, Vec<f64>>) -> BTreeMap<String, f64> {
    out.into_iter().map(|(name, values)| (name, values.first().copied().unwrap_or(f64::NAN))).collect()
}

/// What a function makes of each item, in their order, by as many threads as there are.
pub fn each<T: Sync, R: Send>(items: &[T], function: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let size = items.len().div_ceil(threads).max(1);
    let function = &function;
    std::thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || <[T]>::iter(part).map(function).collect::<Vec<R>>());
        let parts: Vec<_> = items.chunks(size).map(spawn).collect();
        parts.into_iter().flat_map(|part| part.join().expect("no part panics")).collect()
    })
}
