//! Plans: what is fused, and that a planned run computes what the ops' definitions say.

use crate::common::random_graph::{Ops, build, choices, leaf_value, sizes};
use anabranch::diag::{SourceMap, render_plain};
use anabranch::exec::{Carried, Clock, Executor, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::ir::{DimSizes, Graph, bind};
use anabranch::lower::Options;
use anabranch::ops::{InputKind, Op, Tensor};
use anabranch::pipeline::compile;
use anabranch::plan::{Plan, Work, check, plan};
use anabranch_kernels::Level;
use proptest::prelude::*;

fn training_plan(text: &str) -> Plan {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let compiled = compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)));
    let bound = bind(&compiled.simplified.train, &DimSizes::from([("batch".into(), 6)]));
    let graph = anabranch::passes::simplify(&bound);
    let plan = plan(&graph);
    assert_eq!(check(&plan, &graph), Ok(()));
    plan
}

/// The ops with an epilogue, and whether each has a rectifier.
fn epilogues(plan: &Plan) -> Vec<(&'static str, bool)> {
    let epilogue = |step: &anabranch::plan::Step| match &step.work {
        Work::Kernel { op, bias: Some(bias), .. } => Some((op.name(), bias.relu)),
        _ => None,
    };
    plan.steps.iter().filter_map(epilogue).collect()
}

/// The comparisons in the plan's groups.
fn comparisons(plan: &Plan) -> usize {
    let in_group = |step: &anabranch::plan::Step| match &step.work {
        Work::Group(group) => {
            group.instructions.iter().filter(|instruction| matches!(instruction.op, Op::Less(_))).count()
        }
        _ => 0,
    };
    plan.steps.iter().map(in_group).sum()
}

#[test]
fn products_take_bias_and_rectifier_along() {
    let plan = training_plan(
        "input x: f32[batch, 6, 6, 2]
         target y: f32[batch, 3]
         output z = x |> conv2d(filters=4, kernel=3, activation=relu) |> flatten |> dense(units=5, activation=relu) |> dense(units=3)
         loss l = mean_squared_error(y, z)
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    assert_eq!(epilogues(&plan), [("convolution", true), ("matmul", true), ("matmul", false)]);
    // The two rectifiers' derivatives compare their results: nothing before the rectifier is kept.
    assert_eq!(comparisons(&plan), 2);
}

#[test]
fn a_product_under_another_shape_takes_its_bias_along() {
    let plan = training_plan(
        "input x: f32[batch, 5, 4]
         target y: f32[batch, 5, 3]
         output z = x |> dense(units=3)
         loss l = mean_squared_error(y, z) |> mean(axes=1)
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    assert_eq!(epilogues(&plan), [("matmul", false)]);
}

/// What the group with the hyperbolic tangent stores, the product before it being stored by its own kernel.
fn stores_beside_a_tangent(units: usize) -> usize {
    let plan = training_plan(&format!(
        "input x: f32[batch, 4]
         target y: f32[batch, 1]
         output z = x |> dense(units={units}) |> gelu(approximate=true) |> dense(units=1)
         loss l = mean_squared_error(y, z)
         train {{ minimize l optimizer sgd(lr=0.1) }}"
    ));
    let stores = |step: &anabranch::plan::Step| match &step.work {
        Work::Group(group) => {
            let has_tangent = group.instructions.iter().any(|instruction| matches!(instruction.op, Op::Tanh(_)));
            has_tangent.then_some(group.writes.len())
        }
        _ => None,
    };
    plan.steps.iter().find_map(stores).unwrap()
}

#[test]
fn a_large_derivative_computes_cheap_values_again() {
    // The tangent and the result; every sum and product between them is computed again.
    assert_eq!(stores_beside_a_tangent(4096), 2);
    // Small values stay in the cache, so nothing is gained.
    assert!(stores_beside_a_tangent(64) > 2);
}

#[test]
fn a_product_that_others_read_keeps_its_own_step() {
    let plan = training_plan(
        "input x: f32[batch, 4]
         target y: f32[batch, 3]
         param kernel: f32[4, 3] = glorot_uniform()
         param bias: f32[3] = zeros()
         let product = x @ kernel
         output z = relu(product + bias) + product
         loss l = mean_squared_error(y, z)
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    assert_eq!(epilogues(&plan), []);
}

#[test]
fn a_sum_that_others_read_takes_no_rectifier() {
    let plan = training_plan(
        "input x: f32[batch, 4]
         target y: f32[batch, 3]
         param kernel: f32[4, 3] = glorot_uniform()
         param bias: f32[3] = zeros()
         let sum = x @ kernel + bias
         output z = relu(sum) + tanh(sum)
         loss l = mean_squared_error(y, z)
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    assert_eq!(epilogues(&plan), [("matmul", false)]);
}

/// The results of a graph of params, run in one mode.
fn results(graph: &Graph, options: &ExecutorOptions) -> Vec<Values<f64>> {
    let mut store = Store::new();
    let bound = bind(graph, &sizes());
    for id in bound.ids() {
        let node = bound.node(id);
        if let Op::Input(input) = &node.op
            && input.kind == InputKind::Param
        {
            let Tensor::Float(value) = leaf_value(&node.provenance.name, &node.ty, 1) else {
                panic!("params are floats")
            };
            let values = Values::Float(value.iter().copied().collect());
            let (kind, name, dtype) = (StoreKind::Param, node.provenance.name.clone(), node.ty.dtype);
            store.insert(Carried { kind, name, dtype, shape: value.shape().to_vec() }, values).unwrap();
        }
    }
    let mut executor = Executor::<f64>::new(graph, &sizes(), options).expect("the sizes fit");
    executor.run(&mut store, Clock::default()).unwrap();
    // A second run finds the memory as the first one left it.
    executor.run(&mut store, Clock::default()).unwrap();
    (0..executor.fetches().len()).map(|fetch| executor.result(fetch).unwrap().clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn planned_runs_of_random_graphs_match_the_definitions(choices in choices()) {
        let graph = build(&choices, Ops::All);
        let options = |mode, threads, level| ExecutorOptions { mode, threads, level, ..ExecutorOptions::default() };
        let expected = results(&graph, &options(Mode::Reference, 1, None));
        for level in Level::available() {
            let planned = results(&graph, &options(Mode::Planned, 1, Some(level)));
            prop_assert_eq!(&planned, &results(&graph, &options(Mode::Planned, 2, Some(level))));
            for (found, expected) in planned.iter().zip(&expected) {
                prop_assert_eq!(found.len(), expected.len());
                for (x, y) in found.floats().iter().zip(expected.floats()) {
                    let close = (x - y).abs() <= 1e-8 * (1.0 + y.abs()) || (x.is_nan() && y.is_nan()) || x == y;
                    prop_assert!(close, "{}: {} against {}", level.name(), x, y);
                }
            }
        }
    }
}
