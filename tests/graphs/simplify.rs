//! The simplifier: each rule by a case where it fires and one where it must not; values kept on random graphs.

mod cases;

use crate::common::random_graph::{Ops, build, choices, leaf_value, provenance, sizes};
use anabranch::ir::{Graph, bind, print, verify};
use anabranch::ops::Tensor;
use anabranch::ops::reference::evaluate;
use anabranch::passes::gradients;
use anabranch::passes::simplify::{TABLES, simplify, simplify_reporting, trace, trace_with_looks};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The outputs of a graph, with values for its leaves made from their names.
fn values(graph: &Graph) -> Vec<Tensor<f64>> {
    let bound = bind(graph, &sizes());
    evaluate(&bound, |id| leaf_value(&bound.node(id).provenance.name, bound.ty(id), 0))
}

fn is_near(a: f64, b: f64, scale: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-12 * scale * a.abs().max(1.0)
}

/// Compares outputs; `scale` allows for the size of what was added up on the way.
fn check_values(before: &Graph, after: &Graph, scale: f64) -> Result<(), String> {
    for (x, y) in values(before).iter().zip(values(after)) {
        let is_equal = match (x, &y) {
            (Tensor::Float(x), Tensor::Float(y)) => {
                x.shape() == y.shape() && x.iter().zip(y).all(|(x, y)| is_near(*x, *y, scale))
            }
            (x, y) => x == y,
        };
        if !is_equal {
            return Err(format!("{x:?}\nbecame\n{y:?}\nby\n{}{}", print(before, "before"), print(after, "after")));
        }
    }
    Ok(())
}

#[test]
fn every_rule_fires_where_it_should_and_not_beside() {
    for case in cases::all() {
        let (firing, missing) = (cases::graph(case.fires), cases::graph(case.misses));
        for graph in [&firing, &missing] {
            let (simple, _) = trace(graph);
            assert_eq!(verify(&simple), Ok(()), "{}", case.rule);
            check_values(graph, &simple, 10.0).unwrap_or_else(|error| panic!("{}: {error}", case.rule));
        }
        let fired = |graph| trace(graph).1.iter().any(|applied| applied.rule == case.rule);
        assert!(fired(&firing), "{} does not fire:\n{}", case.rule, print(&simplify(&firing), "after"));
        assert!(!fired(&missing), "{} fires:\n{}", case.rule, print(&missing, "before"));
    }
}

#[test]
fn every_rule_has_a_case() {
    let rules = TABLES.iter().flat_map(|(_, rules)| rules.iter()).map(|rule| rule.name);
    let mut names = BTreeSet::new();
    assert!(rules.clone().all(|name| names.insert(name)), "names are distinct");
    let cases: BTreeSet<&str> = cases::all().into_iter().map(|case| case.rule).collect();
    assert_eq!(names, cases);
}

#[test]
fn the_documentation_lists_the_rules() {
    let mut text = String::new();
    for (kind, rules) in TABLES {
        text += &format!("\n## {kind}\n\n| rule | before → after |\n|---|---|\n");
        for rule in *rules {
            text += &format!("| `{}` | {} |\n", rule.name, rule.doc);
        }
    }
    let page = include_str!("../../docs/simplifier.md");
    let listed = page.find("\n## ").map(|start| &page[start..]);
    assert!(listed == Some(text.as_str()), "docs/simplifier.md should end with:\n{text}");
}

#[test]
fn stable_forms_are_reported_and_stop_at_a_clip() {
    let reported = |graph: &Graph| -> Vec<(&str, String)> {
        let (_, applied) = simplify_reporting(graph);
        applied.into_iter().map(|applied| (applied.rule, applied.provenance.name.to_string())).collect()
    };
    let open = cases::graph(|k| k.log(k.sigmoid(k.x)));
    assert_eq!(reported(&open), [("log-sigmoid", "k".to_string())]);
    let clipped = cases::graph(|k| k.log(k.min(k.num(1.0 - 1e-7), k.max(k.num(1e-7), k.sigmoid(k.x)))));
    assert_eq!(reported(&clipped), []);
}

#[test]
fn the_logarithm_of_softmax_needs_no_quotient() {
    let graph = cases::graph(|k| {
        let shifted = k.exp(k.sub(k.x, k.rows(k.max_reduce(k.x, &[1]))));
        k.log(k.div(shifted, k.rows(k.sum(shifted, &[1]))))
    });
    let simple = simplify(&graph);
    assert!(simple.ids().all(|id| simple.op(id).name() != "div"), "{}", print(&simple, "after"));
    check_values(&graph, &simple, 1.0).unwrap();
}

#[test]
fn a_value_and_its_cotangent_keep_the_values_name() {
    let graph = cases::graph(|k| {
        k.rename("d.loss");
        let cotangent = k.sub(k.num(1.0), k.x);
        k.rename("loss");
        let value = k.sub(k.num(1.0), k.x);
        k.mul(k.tanh(cotangent), value)
    });
    assert!(print(&simplify(&graph), "after").contains("  loss.sub = sub(1.0, x)"));
}

#[test]
fn equal_leaves_stay_apart() {
    let graph = cases::graph(|k| k.sub(k.x, k.y));
    assert_eq!(simplify(&graph).len(), 3);
}

fn config(cases: u32) -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(7);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

/// Simplified: lawful, equal in value, and as simple as it gets.
fn check_simplified(graph: &Graph, scale: f64) -> Result<(), TestCaseError> {
    let simple = simplify(graph);
    prop_assert_eq!(verify(&simple), Ok(()));
    check_values(graph, &simple, scale).map_err(TestCaseError::fail)?;
    prop_assert_eq!(print(&simplify(&simple), "g"), print(&simple, "g"));
    Ok(())
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn values_are_kept(choices in choices()) {
        check_simplified(&build(&choices, Ops::All), 100.0)?;
    }

    #[test]
    fn gradients_are_kept(choices in choices()) {
        let mut graph = build(&choices, Ops::All);
        let y = graph.outputs[0].node;
        let xs: Vec<_> = graph.ids().filter(|id| graph.op(*id).name() == "input").collect();
        for (i, gradient) in gradients(&mut graph, y, &xs).into_iter().enumerate() {
            graph.add_output(anabranch::ir::Role::Gradient, format!("d{i}"), gradient);
        }
        check_simplified(&graph, 1e4)?;
    }
}

/// A chain of so many nodes, five of them a link.
fn chain(n_nodes: usize) -> Graph {
    let mut graph = Graph::new();
    let mut b = anabranch::ir::Builder::new(&mut graph, provenance("n"));
    let ty = anabranch::ir::TensorType::f32(vec![anabranch::ir::Dim::batch()]);
    let leaf = anabranch::ops::Input { kind: anabranch::ops::InputKind::Param, ty };
    let mut x = b.emit(leaf, &[]);
    let start = x;
    for i in 0..n_nodes / 5 {
        let c = b.constant_like(1.0 + i as f64, x);
        let product = b.mul(c, start);
        let negated = b.neg(product);
        let sum = b.add2(x, negated);
        x = b.emit(anabranch::ops::Tanh, &[sum]);
    }
    graph.add_output(anabranch::ir::Role::Output, "y", x);
    graph
}

#[test]
fn work_grows_with_a_graph_and_not_with_its_square() {
    let looks = |n_nodes: usize| {
        let graph = chain(n_nodes);
        let traced = trace_with_looks(&graph);
        assert!(traced.graph.len() < graph.len());
        traced.looks as f64 / n_nodes as f64
    };
    let (small, large) = (looks(500), looks(4_000));
    assert!(small > 1.0 && large < 1.1 * small, "{small} looks a node in a small graph, {large} in a large one");
}

#[test]
fn the_train_step_of_the_first_example_shrinks() {
    let text = include_str!("../../examples/localizer/localizer.anb");
    let mut sources = anabranch::diag::SourceMap::default();
    let spec = sources.add("localizer.anb", text);
    let compiled = anabranch::pipeline::compile(&mut sources, spec, &Default::default()).expect("the example compiles");
    let (before, after) = (&compiled.train, &compiled.simplified.train);
    let n_ops = |graph: &Graph| graph.ids().filter(|id| graph.op(*id).name() != "constant").count();
    let text = print(after, "train");
    assert!(n_ops(after) * 10 < n_ops(before) * 9, "{} ops became {}:\n{text}", n_ops(before), n_ops(after));
    // Every objective's cotangent is one number for the whole batch until it meets a tensor.
    assert!(!text.contains("stop("), "{text}");
}
