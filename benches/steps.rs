//! Whole training steps, and the time from a spec's text to a plan that is ready to run.
//!
//! `cargo bench --bench steps -- step` runs a part.

use anabranch::diag::SourceMap;
use anabranch::exec::{Clock, Executor, ExecutorOptions, Store};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use divan::Bencher;

fn main() {
    divan::main();
}

/// Name, spec, rows of a batch.
const SPECS: [(&str, &str, usize); 6] = [
    ("w1", include_str!("compare/specs/w1.anb"), 7),
    ("w2", include_str!("compare/specs/w2.anb"), 128),
    ("w3", include_str!("compare/specs/w3.anb"), 64),
    ("w4", include_str!("../tests/oracle/w4.anb"), 32),
    ("w5", include_str!("../tests/oracle/w5.anb"), 16),
    ("w6", include_str!("../tests/oracle/w6.anb"), 2200),
];

fn spec(name: &str) -> (&'static str, usize) {
    let row = SPECS.iter().find(|row| row.0 == name).unwrap();
    (row.1, row.2)
}

fn compiled(text: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("spec.anb", text);
    compile(&mut sources, id, &Options::default()).unwrap()
}

fn executor(compiled: &Compiled, batch: usize, options: &ExecutorOptions) -> Executor<f32> {
    let sizes = DimSizes::from([("batch".into(), batch)]);
    Executor::new(&compiled.simplified.train, &sizes, options).unwrap()
}

/// The params' first values, by the spec's own initializers.
fn first_values(compiled: &Compiled, options: &ExecutorOptions) -> Store<f32> {
    let mut init = Executor::<f32>::new(&compiled.simplified.init, &DimSizes::new(), options).unwrap();
    init.initial_store(Clock::default()).unwrap()
}

fn step(bencher: Bencher<'_, '_>, name: &str, threads: usize) {
    let (text, batch) = spec(name);
    let compiled = compiled(text);
    let options = ExecutorOptions { threads, ..ExecutorOptions::default() };
    let mut store = first_values(&compiled, &options);
    let mut executor = executor(&compiled, batch, &options);
    for feed in 0..executor.feeds().len() {
        if let Some(values) = executor.feed_float(feed) {
            values.iter_mut().enumerate().for_each(|(i, value)| *value = ((i * 7919) % 1000) as f32 / 1000.0);
        }
    }
    let mut step = 0;
    bencher.bench_local(|| {
        executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
        step += 1;
    });
}

#[divan::bench(args = SPECS.map(|row| row.0))]
fn step_1_thread(bencher: Bencher<'_, '_>, name: &str) {
    step(bencher, name, 1);
}

#[divan::bench(args = SPECS.map(|row| row.0))]
fn step_2_threads(bencher: Bencher<'_, '_>, name: &str) {
    step(bencher, name, 2);
}

/// Everything from text to kernels with their memory, for the training step of one batch size.
#[divan::bench(args = SPECS.map(|row| row.0))]
fn text_to_plan(bencher: Bencher<'_, '_>, name: &str) {
    let (text, batch) = spec(name);
    let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
    bencher.bench(|| executor(&compiled(text), batch, &options));
}
