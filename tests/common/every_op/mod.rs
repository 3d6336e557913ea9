//! Random graphs in which every op of the table occurs, with their values.
//!
//! A graph is built from a list of choices, so that a failing one shrinks well. Each node is computed as it is added, twice: by its
//! definition, and with every number on the way disturbed by [`NOISE`] of its tensor's size. A node is kept where both agree
//! about whole numbers and truth values and nearly agree about floats, which are finite and moderate. So no rounding error
//! can decide anything, and how far the two lie apart says what a result may differ by.

mod generators;
mod growth;
mod values;

pub use growth::{Draws, Growth};
pub use values::{Values, clock, evaluate_all, evaluate_outputs, evaluate_with, feed_values, leaf_value, spread};

use anabranch::ir::{DimSizes, Graph, Role};
use anabranch::ops::Op;
use anabranch::passes::{differentiate, resolve_training};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// One step: which op, and what its operands and attributes are drawn from.
pub type Choice = (u32, u32);

/// The disturbance of a number, of the largest one of its tensor: some thirty roundings of f32.
pub const NOISE: f64 = 2e-6;

pub fn choices() -> impl Strategy<Value = Vec<Choice>> {
    proptest::collection::vec(any::<Choice>(), 4..30)
}

/// A graph whose outputs are known.
#[derive(Debug)]
pub struct Grown {
    /// with `mode` and `gradient` nodes
    pub source: Graph,
    /// as it is trained: without them
    pub graph: Graph,
    pub sizes: DimSizes,
    /// of the outputs of `graph`, by its definitions
    pub exact: Vec<Values>,
    /// by how much each output may differ in f32 for rounding alone
    pub spread: Vec<f64>,
}

/// Grows a graph; its outputs are the nodes that nothing else reads, and a few others.
pub fn build(choices: &[Choice]) -> Grown {
    let mut growth = Growth::new([2, 3, 4, 8][choices.len() % 4]);
    for (op, seed) in choices {
        growth.step(Op::NAMES[*op as usize % Op::NAMES.len()], u64::from(*seed));
    }
    finish(growth)
}

fn finish(growth: Growth) -> Grown {
    let Growth { graph: mut source, pool, sizes, .. } = growth;
    for entry in &pool {
        if source.users(entry.id).is_empty() || entry.id.index() % 7 == 0 {
            source.add_output(Role::Output, format!("y{}", entry.id.index()), entry.id);
        }
    }
    let trained = |source: &Graph| differentiate(&resolve_training(source));
    // A derivative is differentiated together with the others, so what it may differ by is seen here.
    let graph = trained(&source);
    let exact = evaluate_outputs(&graph, &sizes, 0.0);
    let noisy = evaluate_outputs(&graph, &sizes, NOISE);
    let spreads: Vec<Option<f64>> = exact.iter().zip(&noisy).map(|(exact, noisy)| spread(exact, noisy)).collect();
    let mut position = 0;
    source.outputs.retain(|_| {
        position += 1;
        spreads[position - 1].is_some()
    });
    let graph = trained(&source);
    let kept = |at: &usize| spreads[*at].is_some();
    Grown {
        exact: (0..exact.len()).filter(kept).map(|at| exact[at].clone()).collect(),
        spread: spreads.into_iter().flatten().collect(),
        source,
        graph,
        sizes,
    }
}

/// The names of the ops in a graph and in the bodies of its loops.
pub fn names(graph: &Graph) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    for id in graph.ids() {
        found.insert(graph.op(id).name());
        if let Op::Scan(scan) = graph.op(id) {
            found.extend(names(scan.body.graph()));
        }
    }
    found
}
