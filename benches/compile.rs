//! The time from a spec's text to its programs: a long spec as people write them, chains of many operations, and the workloads.
//!
//! `cargo bench --bench compile -- long` runs a part.

use anabranch::diag::SourceMap;
use anabranch::exec::{Executor, ExecutorOptions};
use anabranch::ir::DimSizes;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use divan::Bencher;
use std::fmt::Write as _;

fn main() {
    divan::main();
}

fn compiled(text: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("spec.anb", text);
    compile(&mut sources, id, &Options::default()).unwrap_or_else(|findings| panic!("{findings}"))
}

/// A spec of about `n_lines` lines: blocks of a function, a layer, a branch with its loss and a metric.
fn long_spec(n_lines: usize) -> String {
    const LINES_OF_A_BLOCK: usize = 25;
    let mut text = String::from("input x: f32[batch, 16]\ntarget y: f32[batch, 4]\nconst width = 16\n\n");
    let n_blocks = n_lines / LINES_OF_A_BLOCK;
    for i in 0..n_blocks {
        let _ = write!(
            text,
            "
# A bounded distance, and how steep it is.
fn distance_{i}(y, p, delta=1.0) {{
    let e = abs(y - p)
    let near = 0.5 * e ** 2
    let far = delta * (e - 0.5 * delta)
    return where(e <= delta, near, far)
}}

# Two products with a way around them.
layer block_{i}(x: f32[batch, N], units: int, activation=tanh) {{
    let hidden = x |> dense(units=units, activation=activation)
    let gate = x |> dense(units=N, activation=sigmoid)
    return gate * x + (1 - gate) * dense(hidden, units=N)
}}

let features_{i} = x |> block_{i}(units=width)
output branch_{i} = features_{i} |> dense(units=4)
loss error_{i} = distance_{i}(y, branch_{i}, delta=0.5) |> mean(axes=[1])
metric worst_{i} = max(abs(y - branch_{i}), axes=[1])


"
        );
    }
    let losses: Vec<String> = (0..n_blocks).map(|i| format!("error_{i}")).collect();
    let _ = write!(text, "loss total = uncertainty({})\n\ntrain {{\n", losses.join(", "));
    text.push_str("    minimize total\n    optimizer sgd(lr=0.01)\n}\n");
    text
}

/// A chain of `n_operations` before differentiation.
fn chain(n_operations: usize) -> String {
    let mut text =
        String::from("input x: f32[batch, 8]\ntarget y: f32[batch, 8]\nparam w: f32[8] = 1\nlet a0 = x * w\n");
    // A sum, a product and a function a line, with the constants and repetitions they need.
    const OPERATIONS_OF_A_LINE: usize = 5;
    let n_lines = n_operations / OPERATIONS_OF_A_LINE;
    for i in 1..n_lines {
        let _ = writeln!(text, "let a{i} = tanh(0.5 * a{} + w)", i - 1);
    }
    let _ = write!(text, "output o = a{}\nloss l = mean_squared_error(y, o)\n", n_lines - 1);
    text.push_str("train { minimize l optimizer sgd(lr=0.1) }\n");
    text
}

#[divan::bench(args = [1_000, 5_000], sample_count = 5, sample_size = 1)]
fn long_spec_of_lines(bencher: Bencher<'_, '_>, n_lines: usize) {
    let text = long_spec(n_lines);
    bencher.bench(|| compiled(&text));
}

#[divan::bench(args = [1_000, 10_000, 100_000], sample_count = 3, sample_size = 1)]
fn chain_of_operations(bencher: Bencher<'_, '_>, n_operations: usize) {
    let text = chain(n_operations);
    bencher.bench(|| compiled(&text));
}

const WORKLOADS: [(&str, &str); 6] = [
    ("w1", include_str!("compare/specs/w1.anb")),
    ("w2", include_str!("../tests/oracle/w2.anb")),
    ("w3", include_str!("../tests/oracle/w3.anb")),
    ("w4", include_str!("../tests/oracle/w4.anb")),
    ("w5", include_str!("../tests/oracle/w5.anb")),
    ("w6", include_str!("../tests/oracle/w6.anb")),
];

/// From text to kernels with their memory, for the training step of a batch of 8, or of all the points where a spec names them.
#[divan::bench(args = WORKLOADS.map(|row| row.0), sample_count = 20, sample_size = 1)]
fn workload_to_plan(bencher: Bencher<'_, '_>, name: &str) {
    let text = WORKLOADS.iter().find(|row| row.0 == name).unwrap().1;
    let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
    let sizes = DimSizes::from([("batch".into(), if name == "w6" { 2_200 } else { 8 })]);
    bencher.bench(|| Executor::<f32>::new(&compiled(text).simplified.train, &sizes, &options).unwrap());
}
