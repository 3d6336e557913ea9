//! Chains of views: whatever stands between two computed values, a planned run reads the elements that the graph says.

use crate::common::random_views::{build, choices};
use crate::common::values::{Feeds, compiled, executor, feed, floats, initial};
use anabranch::exec::{Carried, Clock, Executor, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::ir::{DType, DimSizes, Graph, Role, print};
use anabranch::ops::{InputKind, Op};
use anabranch_kernels::Level;
use proptest::prelude::*;

/// A number for each element, without ties, within 1.2.
fn number(seed: usize, i: usize) -> f64 {
    1.2 * (seed as f64 * 0.618 + (i as f64 + 1.0) * 2.399).sin()
}

/// Runs a bound graph twice; gives the results and what the store holds then.
fn run(graph: &Graph, mode: Mode) -> Vec<(String, Vec<f64>)> {
    let options = ExecutorOptions { mode, threads: 2, level: Some(Level::detect()), ..ExecutorOptions::default() };
    let mut store = Store::<f64>::new();
    for id in graph.ids() {
        let Op::Input(input) = graph.op(id) else { continue };
        let kind = match input.kind {
            InputKind::Param => StoreKind::Param,
            InputKind::State => StoreKind::State,
            _ => continue,
        };
        let shape = input.ty.known_shape().unwrap();
        let values = (0..shape.iter().product()).map(|i| number(id.index(), i)).collect();
        let (name, dtype) = (graph.node(id).provenance.name.clone(), graph.ty(id).dtype);
        store.insert(Carried { kind, name, dtype, shape }, Values::Float(values)).unwrap();
    }
    let mut executor = Executor::<f64>::new(graph, &DimSizes::new(), &options).expect("it fits");
    for i in 0..executor.feeds().len() {
        let is_mask = executor.feeds()[i].dtype == DType::Bool;
        if let Some(values) = executor.feed_float(i) {
            values.iter_mut().enumerate().for_each(|(at, value)| *value = number(i, at));
        } else if let Some(values) = executor.feed_int(i) {
            let whole = |at: usize| (number(i, at) * 3.0) as i32;
            values.iter_mut().enumerate().for_each(|(at, value)| {
                *value = if is_mask { i32::from(whole(at) > 0) } else { whole(at) };
            });
        }
    }
    // The second run finds the memory as the first one left it.
    (0..2).for_each(|_| executor.run(&mut store, Clock::default()).unwrap());
    let mut found = Vec::new();
    for (at, fetch) in executor.fetches().iter().enumerate() {
        if !matches!(fetch.role, Role::Param | Role::State) {
            found.push((format!("{} {}", fetch.role.as_str(), fetch.name), floats(executor.result(at).unwrap())));
        }
    }
    found.extend(store.entries().map(|entry| (entry.name().to_string(), floats(entry.values()))));
    found
}

fn equal(x: f64, y: f64, is_exact: bool) -> bool {
    x == y || (x.is_nan() && y.is_nan()) || (!is_exact && (x - y).abs() <= 1e-9 * (1.0 + y.abs()))
}

/// How many chains are tried: 300, or as many as `VIEW_CHAINS` says.
fn cases() -> u32 {
    std::env::var("VIEW_CHAINS").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn planned_chains_of_views_match_the_definitions(choices in choices()) {
        let (graph, is_exact) = build(&choices);
        let (planned, expected) = (run(&graph, Mode::Planned), run(&graph, Mode::Reference));
        for ((name, found), (_, expected)) in planned.iter().zip(&expected) {
            prop_assert_eq!(found.len(), expected.len());
            for (i, (x, y)) in found.iter().zip(expected).enumerate() {
                prop_assert!(
                    equal(*x, *y, is_exact),
                    "{}[{}]: {} against {}\n{}", name, i, x, y, print(&graph, "chain")
                );
            }
        }
    }
}

/// The outputs of a spec without params, by plan and by definition.
fn same(text: &str, n_elements: usize) {
    let compiled = compiled(text);
    let run = |mode| {
        let mut store = initial::<f64>(&compiled, Mode::Reference);
        let mut executor = executor::<f64>(&compiled.simplified.predict, 2, mode);
        let x = (0..n_elements).map(|i| number(3, i)).collect();
        feed(&mut executor, &Feeds::from([("x".into(), x)]));
        executor.run(&mut store, Clock::default()).unwrap();
        floats(executor.result(0).unwrap())
    };
    let (planned, expected) = (run(Mode::Planned), run(Mode::Reference));
    assert_eq!(planned.len(), expected.len(), "{text}");
    assert!(planned.iter().zip(&expected).all(|(x, y)| equal(*x, *y, false)), "{text}\n{planned:?}\n{expected:?}");
}

#[test]
fn an_upsampled_image_is_read_by_what_follows() {
    let image = |rest: &str| same(&format!("input x: f32[batch, 3, 4, 2]\noutput y = {rest}"), 2 * 3 * 4 * 2);
    image("relu(upsample2d(x))");
    image("upsample2d(x) + 1");
    image("upsample2d(x) |> batch_norm");
    image("tanh(upsample2d(upsample2d(x)))");
    same("input x: f32[batch, 3, 2]\noutput y = tanh(upsample1d(upsample1d(x)))", 2 * 3 * 2);
    same("input x: f32[batch, 3, 2]\noutput y = upsample1d(tanh(upsample1d(x))) * 2", 2 * 3 * 2);
}

#[test]
fn two_broadcasts_with_a_reshape_between_train_on_the_right_numbers() {
    let compiled = compiled(
        "input x: f32[batch, 12, 2]
         target y: f32[batch]
         param p: f32[3] = normal(std=1.0)
         param k: f32 = 1
         output a = reshape(broadcast(p, [batch, 4, 3]), [batch, 12])[:, :, none] + x
         loss l = mean((y[:, none, none] - a * k) ** 2, axes=[1, 2])
         train { minimize l
          optimizer sgd(lr=0.1) }",
    );
    let losses = |mode| {
        let mut store = initial::<f64>(&compiled, Mode::Reference);
        let mut executor = executor::<f64>(&compiled.simplified.train, 5, mode);
        let feeds = Feeds::from([
            ("x".into(), (0..5 * 12 * 2).map(|i| number(1, i)).collect()),
            ("y".into(), (0..5).map(|i| number(2, i)).collect()),
        ]);
        feed(&mut executor, &feeds);
        let loss = executor.fetch(Role::Loss, "l").unwrap();
        let step = |step| {
            executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
            executor.scalar(loss).unwrap()
        };
        (0..5).map(step).collect::<Vec<f64>>()
    };
    let (planned, expected) = (losses(Mode::Planned), losses(Mode::Reference));
    assert!(planned.iter().zip(&expected).all(|(x, y)| equal(*x, *y, false)), "{planned:?} against {expected:?}");
    assert!(expected[4] < expected[0]);
}
