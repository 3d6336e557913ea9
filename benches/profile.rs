//! Where the time of a training step goes: every step of the plan with the least and the median time of many runs.
//!
//! `cargo bench --bench profile -- w5 2` prints W5 on two threads, the longest step first. With `total` as a third word
//! it prints the whole steps' least and median time alone, for comparing two builds in turns.

#![allow(clippy::print_stdout, reason = "a report is what this program is for")]

use anabranch::diag::SourceMap;
use anabranch::exec::{Clock, Executor, ExecutorOptions, Store};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use std::time::{Duration, Instant};

/// Name, spec, rows of a batch.
const SPECS: [(&str, &str, usize); 6] = [
    ("w1", include_str!("compare/specs/w1.anb"), 7),
    ("w2", include_str!("compare/specs/w2.anb"), 128),
    ("w3", include_str!("compare/specs/w3.anb"), 64),
    ("w4", include_str!("../tests/oracle/w4.anb"), 32),
    ("w5", include_str!("../tests/oracle/w5.anb"), 16),
    ("w6", include_str!("../tests/oracle/w6.anb"), 2200),
];

/// For each workload.
const TIME: Duration = Duration::from_secs(2);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let threads = words.iter().find_map(|word| word.parse().ok()).unwrap_or(1);
    let total = words.iter().any(|word| word == "total");
    for (name, text, batch) in SPECS {
        let named = words.iter().any(|word| word.starts_with('w'));
        if !named || words.iter().any(|word| word == name) {
            profile(name, text, batch, threads, total);
        }
    }
}

fn profile(name: &str, text: &str, batch: usize, threads: usize, total: bool) {
    let mut sources = SourceMap::default();
    let id = sources.add("spec.anb", text);
    let compiled = compile(&mut sources, id, &Options::default()).unwrap();
    let options = ExecutorOptions { threads, ..ExecutorOptions::default() };
    let mut store = first_values(&compiled, &options);
    let sizes = DimSizes::from([("batch".into(), batch)]);
    let mut executor = Executor::<f32>::new(&compiled.simplified.train, &sizes, &options).unwrap();
    for feed in 0..executor.feeds().len() {
        if let Some(values) = executor.feed_float(feed) {
            values.iter_mut().enumerate().for_each(|(i, value)| *value = ((i * 7919) % 1000) as f32 / 1000.0);
        }
    }
    let (begun, mut step) = (Instant::now(), 0);
    let (mut each, mut whole): (Vec<Vec<Duration>>, Vec<Duration>) = (Vec::new(), Vec::new());
    while begun.elapsed() < TIME {
        let start = Instant::now();
        let mut last = start;
        let ran = executor.run_watched(&mut store, Clock { step, ..Clock::default() }, |at| {
            if total {
                return;
            }
            let now = Instant::now();
            if at == each.len() {
                each.push(Vec::new());
            }
            each[at].push(now - last);
            last = now;
        });
        ran.unwrap();
        whole.push(start.elapsed());
        step += 1;
    }
    whole.sort();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name}, threads {threads}: least {:.4} ms, tenth {:.4} ms, median {:.4} ms of {} runs",
        milliseconds(whole[0]),
        milliseconds(whole[whole.len() / 10]),
        milliseconds(whole[whole.len() / 2]),
        whole.len()
    );
    if total {
        return;
    }
    each.iter_mut().for_each(|times| times.sort());
    let least: Vec<Duration> = each.iter().map(|times| times[0]).collect();
    let median: Vec<Duration> = each.iter().map(|times| times[times.len() / 2]).collect();
    let (least_sum, median_sum) = (least.iter().sum(), median.iter().sum());
    println!("  sums of the steps' least {:.4} ms, median {:.4} ms", milliseconds(least_sum), milliseconds(median_sum));
    let plan = executor.program().plan_text(name);
    let lines: Vec<&str> = plan.lines().filter(|line| line.contains(" flop, ")).skip(1).collect();
    let mut order: Vec<usize> = (0..least.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(least[*at]));
    for at in order {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let line = lines.get(at).unwrap_or(&"");
        println!("{:9.1} {:9.1} us {line}", microseconds(least[at]), microseconds(median[at]));
    }
}

/// The params' first values, by the spec's own initializers.
fn first_values(compiled: &Compiled, options: &ExecutorOptions) -> Store<f32> {
    let mut init = Executor::<f32>::new(&compiled.simplified.init, &DimSizes::new(), options).unwrap();
    init.initial_store(Clock::default()).unwrap()
}
