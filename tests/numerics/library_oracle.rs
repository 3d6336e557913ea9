//! Definitions of the standard library against PyTorch and scikit-learn in float64: `tests/oracle/library.json`, whose cases are
//! specs with what goes in, what comes out, and the gradients of `total` by inputs and params.

#![allow(clippy::print_stdout, reason = "the count of cases, for those who ask with --nocapture")]

use crate::common::values::{
    Feeds, compiled, difference, disturb_largest, extents, feed, flat, floats, initial, options, set,
};
use anabranch::exec::{Clock, Executor, Mode, StoreKind};
use anabranch::ir::{DimSizes, Graph, NodeId, Role};
use anabranch::ops::{InputKind, Op};
use anabranch::passes::{gradients, prune, resolve_prediction, simplify};
use anabranch::pipeline::Compiled;
use serde_json::Value;

fn leaf(graph: &Graph, name: &str) -> NodeId {
    let is_leaf = |id: &NodeId| {
        matches!(graph.op(*id), Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Param))
            && &*graph.node(*id).provenance.name == name
    };
    graph.ids().find(is_leaf).unwrap_or_else(|| panic!("no leaf {name}"))
}

/// The outputs of a case's spec at prediction, and the gradients of `total` that it asks for.
fn program(compiled: &Compiled, wanted: &[&String]) -> Graph {
    let kept = |role: Role| matches!(role, Role::Output | Role::Loss);
    let mut graph = resolve_prediction(&compiled.module.graph, |output| kept(output.role), &compiled.module.stand_ins);
    let total = graph.output(Role::Loss, "total").expect("a loss `total`");
    let leaves: Vec<NodeId> = wanted.iter().map(|name| leaf(&graph, name)).collect();
    for (name, gradient) in wanted.iter().zip(gradients(&mut graph, total, &leaves)) {
        graph.add_output(Role::Gradient, name.as_str(), gradient);
    }
    simplify(&prune(&graph, |output| matches!(output.role, Role::Output | Role::Gradient)))
}

/// What differs in a case, with its relative difference.
fn differences(case: &Value, mode: Mode) -> Vec<(String, f64)> {
    let part = |key: &str| case[key].as_object().unwrap();
    let compiled = compiled(case["spec"].as_str().unwrap());
    let mut store = initial::<f64>(&compiled, mode);
    for (name, values) in part("weights") {
        set(&mut store, StoreKind::Param, name, &flat(values));
    }
    let graph = program(&compiled, &part("gradients").keys().collect::<Vec<_>>());
    let rows = part("feeds").values().next().map_or(1, |values| extents(values)[0]);
    let mut executor = Executor::<f64>::new(&graph, &DimSizes::from([("batch".into(), rows)]), &options(mode)).unwrap();
    feed(&mut executor, &part("feeds").iter().map(|(name, values)| (name.clone(), flat(values))).collect::<Feeds>());
    executor.run(&mut store, Clock::default()).unwrap();
    let outputs = part("outputs").iter().map(|(name, values)| (Role::Output, name, values));
    let gradients = part("gradients").iter().map(|(name, values)| (Role::Gradient, name, values));
    let compared = outputs.chain(gradients).map(|(role, name, wanted)| {
        let fetch = executor.fetch(role, name).unwrap_or_else(|| panic!("no {role:?} {name}"));
        (format!("{role:?} {name}"), difference(&floats(executor.result(fetch).unwrap()), &flat(wanted)))
    });
    compared.filter(|(_, difference)| *difference > 1e-9).collect()
}

fn cases() -> Vec<Value> {
    let path = format!("{}/tests/oracle/library.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_library_computes_what_others_do() {
    let cases = cases();
    let mut failed = Vec::new();
    for case in &cases {
        for mode in [Mode::Planned, Mode::Reference] {
            for (what, by) in differences(case, mode) {
                failed.push(format!("{} {mode:?}: {what} differs by {by:.1e}", case["name"]));
            }
        }
    }
    assert!(failed.is_empty(), "of {} cases:\n{}", cases.len(), failed.join("\n"));
    println!("{} cases agree", cases.len());
}

#[test]
fn a_wrong_number_of_the_library_is_seen() {
    for mut case in cases() {
        for part in ["outputs", "gradients"] {
            let Some(wanted) = case[part].as_object_mut().unwrap().values_mut().next() else { continue };
            disturb_largest(wanted, 1e-8);
        }
        let seen = differences(&case, Mode::Planned).len();
        let wrong = 1 + usize::from(!case["gradients"].as_object().unwrap().is_empty());
        assert_eq!(seen, wrong, "{}", case["name"]);
    }
}
