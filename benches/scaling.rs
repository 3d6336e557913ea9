//! How the time of a training step grows with width, batch, depth and the number of losses, and that of compilation
//! with the length of the spec.
//!
//! `cargo bench --bench scaling -- width` draws one curve; without a name all are drawn. Each row is the least and the
//! median of the steps of half a second, and the least over that of the row above.

#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Store};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// A network of dense layers with one head and one loss each for `losses`.
#[derive(Clone, Copy)]
struct Net {
    width: usize,
    batch: usize,
    depth: usize,
    losses: usize,
}

const NET: Net = Net { width: 512, batch: 128, depth: 2, losses: 2 };

impl Net {
    fn spec(&self) -> String {
        let Net { width, depth, losses, .. } = *self;
        let mut text = String::from("input x: f32[batch, 784]\n");
        for i in 0..losses {
            let _ = writeln!(text, "target y{i}: f32[batch, 4]");
        }
        let layers = format!(" |> dense(units={width}, activation=relu)").repeat(depth);
        let _ = writeln!(text, "let trunk = x{layers}");
        for i in 0..losses {
            let _ = writeln!(text, "output head{i} = trunk |> dense(units=4)");
            let _ = writeln!(text, "loss loss{i} = mean_squared_error(y{i}, head{i})");
        }
        let all: Vec<String> = (0..losses).map(|i| format!("loss{i}")).collect();
        let _ = writeln!(text, "loss total = uncertainty({})", all.join(", "));
        text + "train {\n    minimize total\n    optimizer adam(lr=0.001)\n}\n"
    }
}

fn compiled(text: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("spec.anb", text);
    compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)))
}

fn executor(compiled: &Compiled, batch: usize) -> Executor<f32> {
    let sizes = DimSizes::from([("batch".into(), batch)]);
    Executor::new(&compiled.simplified.train, &sizes, &ExecutorOptions::default())
        .unwrap_or_else(|findings| panic!("{:?}", findings.0))
}

fn first_values(compiled: &Compiled) -> Store<f32> {
    let mut init = Executor::<f32>::new(&compiled.simplified.init, &DimSizes::new(), &ExecutorOptions::default())
        .unwrap_or_else(|findings| panic!("{:?}", findings.0));
    init.initial_store(Clock::default()).unwrap()
}

/// The least and the median time of a step, in microseconds.
fn step_times(net: Net) -> (f64, f64) {
    let compiled = compiled(&net.spec());
    let mut store = first_values(&compiled);
    let mut executor = executor(&compiled, net.batch);
    for feed in 0..executor.feeds().len() {
        if let Some(values) = executor.feed_float(feed) {
            values.iter_mut().enumerate().for_each(|(i, value)| *value = ((i * 7919) % 1000) as f32 / 1000.0);
        }
    }
    let mut times = Vec::new();
    let start = Instant::now();
    for step in 0.. {
        let before = Instant::now();
        executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
        times.push(before.elapsed().as_secs_f64() * 1e6);
        if start.elapsed() > Duration::from_millis(500) && step > 2 {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn curve(name: &str, values: &[usize], net: impl Fn(usize) -> Net) {
    println!("{name:>8} {:>12} {:>12} {:>8}", "least us", "median us", "growth");
    let mut above = f64::NAN;
    for value in values {
        let (least, median) = step_times(net(*value));
        println!("{value:8} {least:12.1} {median:12.1} {:8.2}", least / above);
        above = least;
    }
    println!();
}

/// A chain of elementwise ops, four a statement, from text to a plan with its memory. Nodes are those of the training
/// graph before it is simplified.
fn compile_times(lengths: &[usize]) {
    println!("{:>8} {:>8} {:>12} {:>12} {:>8}", "ops", "nodes", "compile ms", "plan ms", "growth");
    let mut above = f64::NAN;
    for length in lengths {
        let mut text = String::from("input x: f32[batch, 4]\nparam w: f32[4] = ones()\nlet v0 = x * w\n");
        let lines = length / 4;
        for i in 0..lines {
            let _ = writeln!(text, "let v{} = sin(sin(sin(sin(v{i}))))", i + 1);
        }
        let _ =
            writeln!(text, "loss total = mean(v{lines})\ntrain {{\n    minimize total\n    optimizer sgd(lr=0.1)\n}}");
        let start = Instant::now();
        let compiled = compiled(&text);
        let after_compile = start.elapsed().as_secs_f64() * 1e3;
        let _executor = executor(&compiled, 8);
        let all = start.elapsed().as_secs_f64() * 1e3;
        let nodes = compiled.train.len();
        println!("{length:8} {nodes:8} {after_compile:12.1} {:12.1} {:8.2}", all - after_compile, all / above);
        above = all;
    }
    println!();
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let draws = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
    if draws("width") {
        curve("width", &[64, 128, 256, 512, 1024, 2048], |width| Net { width, ..NET });
    }
    if draws("batch") {
        curve("batch", &[1, 4, 16, 64, 256, 1024], |batch| Net { batch, ..NET });
    }
    if draws("depth") {
        curve("depth", &[1, 2, 4, 8, 16, 32], |depth| Net { depth, width: 128, ..NET });
    }
    if draws("losses") {
        curve("losses", &[1, 2, 4, 8, 16, 32], |losses| Net { losses, width: 128, ..NET });
    }
    if draws("ops") {
        compile_times(&[100, 1_000, 10_000, 50_000]);
    }
}
