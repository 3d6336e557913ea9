//! The laws of a graph: what `verify` catches, and what copying keeps.

use crate::common::random_graph::{Ops, build, choices, provenance, sizes};
use anabranch::ir::{Builder, Dim, Graph, NodeId, Role, TensorType, bind, print, verify};
use anabranch::ops::{Input, InputKind};
use anabranch::passes::prune;
use proptest::prelude::*;

fn leaf(graph: &mut Graph, name: &str, kind: InputKind, extent: usize) -> NodeId {
    let ty = TensorType::f32(vec![Dim::known(extent)]);
    Builder::new(graph, provenance(name)).emit(Input { kind, ty }, &[])
}

fn broken_law(graph: &Graph) -> String {
    verify(graph).expect_err("a law is broken")
}

#[test]
fn leaves_of_one_kind_have_distinct_names() {
    let mut graph = Graph::new();
    leaf(&mut graph, "kernel", InputKind::Param, 3);
    leaf(&mut graph, "kernel", InputKind::State, 3);
    assert_eq!(verify(&graph), Ok(()));
    leaf(&mut graph, "kernel", InputKind::Param, 3);
    assert_eq!(broken_law(&graph), "G3: two param leaves are named kernel");
}

#[test]
fn outputs_of_one_role_have_distinct_names() {
    let mut graph = Graph::new();
    let x = leaf(&mut graph, "x", InputKind::Input, 3);
    graph.add_output(Role::Output, "y", x);
    graph.add_output(Role::Metric, "y", x);
    assert_eq!(verify(&graph), Ok(()));
    graph.add_output(Role::Output, "y", x);
    assert_eq!(broken_law(&graph), "G4: two output outputs are named y");
}

#[test]
fn a_carried_value_keeps_its_type() {
    let mut graph = Graph::new();
    let x = leaf(&mut graph, "x", InputKind::Input, 4);
    let kernel = leaf(&mut graph, "kernel", InputKind::Param, 3);
    graph.add_output(Role::Param, "kernel", kernel);
    assert_eq!(verify(&graph), Ok(()));
    let mut graph = prune(&graph, |_| true);
    assert_eq!(graph.len(), 1);
    let x_again = leaf(&mut graph, "x", InputKind::Input, 4);
    graph.outputs.clear();
    graph.add_output(Role::Param, "kernel", x_again);
    assert_eq!(broken_law(&graph), "G5: kernel is f32[3] before the step and f32[4] after");
    let _ = x;
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 128,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_graphs_obey_the_laws_and_print_stably(choices in choices()) {
        let graph = build(&choices, Ops::All);
        prop_assert_eq!(verify(&graph), Ok(()));
        prop_assert_eq!(verify(&bind(&graph, &sizes())), Ok(()));
        prop_assert_eq!(print(&graph, "g"), print(&build(&choices, Ops::All), "g"));
    }

    #[test]
    fn pruning_keeps_outputs_and_drops_the_rest(choices in choices()) {
        let graph = build(&choices, Ops::All);
        let pruned = prune(&graph, |_| true);
        prop_assert_eq!(verify(&pruned), Ok(()));
        prop_assert_eq!(graph.outputs.len(), pruned.outputs.len());
        for (before, after) in graph.outputs.iter().zip(&pruned.outputs) {
            prop_assert_eq!((before.role, &before.name), (after.role, &after.name));
            prop_assert_eq!(graph.node(before.node), pruned.node(after.node));
        }
        let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
        prop_assert_eq!(pruned.len(), needed.into_iter().filter(|needed| *needed).count());
        prop_assert_eq!(print(&pruned, "g"), print(&prune(&pruned, |_| true), "g"));
        let first = prune(&graph, |output| &*output.name == "y0");
        prop_assert_eq!(first.outputs.len(), 1);
    }
}
