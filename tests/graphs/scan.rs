//! Loops over time: as unrolled ones in value and gradient, for any number of steps, and transparent to every analysis.

use crate::common::values::{self, compiled, floats, initial, options};
use anabranch::analyse::{Cell, flow};
use anabranch::diag::{Code, SourceId, SourceMap, Span, render_plain};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Mode, Store, StoreKind};
use anabranch::export::program::Document;
use anabranch::ir::{DimSizes, Graph, Role, bind, print, verify};
use anabranch::lower::Options;
use anabranch::ops::Op;
use anabranch::passes::simplify;
use anabranch::pipeline::{Compiled, compile};
use anabranch::plan::{Work, check, plan};
use proptest::prelude::*;

/// A spec around a recurrence; `LOOP` stands for `scan` or `unroll`.
fn spec(kind: &str, time: &str, reverse: bool) -> String {
    format!(
        "input x: f32[batch, {time}, 3]
         target y: f32[batch, 2]
         param w: f32[3, 2] = glorot_uniform()
         param u: f32[2, 2] = orthogonal()
         param b: f32[2] = [0.1, -0.2]
         param start: f32[2] = [0.3, 0.5]
         fn cell(x, carry, bias) {{
             let h = tanh(x @ w + carry[0] @ u + bias)
             return [h, carry[1] + h * carry[0]]
         }}
         let first = start + full([batch, 2], 0)
         let run = {kind}(cell, x, [first, first], rest=[b], reverse={reverse})
         output last = run[0][1]
         output all = run[1]
         loss error = mean_squared_error(y, last) + mean(run[1] ** 2, axes=[1, 2])
         train {{
             minimize error
             optimizer sgd(lr=0.1)
         }}"
    )
}

/// Losses, outputs and params after some steps on made-up data.
fn trained(compiled: &Compiled, length: usize, mode: Mode, threads: usize) -> Vec<f64> {
    let mut store: Store<f64> = initial(compiled, Mode::Reference);
    let sizes = DimSizes::from([("batch".into(), 4), ("T".into(), length)]);
    let options = ExecutorOptions { mode, threads, ..ExecutorOptions::default() };
    let mut seen = Vec::new();
    for graph in [&compiled.simplified.train, &compiled.simplified.gradients, &compiled.simplified.predict] {
        let mut executor =
            Executor::<f64>::new(graph, &sizes, &options).unwrap_or_else(|found| panic!("{:?}", found.0));
        for step in 0..2 {
            for feed in 0..executor.feeds().len() {
                if let Some(values) = executor.feed_float(feed) {
                    for (i, value) in values.iter_mut().enumerate() {
                        *value = (0.7 * i as f64 + feed as f64 + f64::from(step)).sin();
                    }
                }
            }
            executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
            for (at, fetch) in executor.fetches().iter().enumerate() {
                if !matches!(fetch.role, Role::Param | Role::State) {
                    seen.extend(floats(executor.result(at).unwrap()));
                }
            }
        }
    }
    seen.extend(store.entries().flat_map(|entry| floats(entry.values())));
    seen
}

fn near(found: &[f64], wanted: &[f64]) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-10 * (1.0 + b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 8,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(3),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_loop_is_what_it_unrolls_to(length in 1usize..7, reverse in any::<bool>()) {
        let unrolled = trained(&compiled(&spec("unroll", &length.to_string(), reverse)), length, Mode::Reference, 1);
        for time in ["T", &length.to_string()] {
            let looped = compiled(&spec("scan", time, reverse));
            let planned = trained(&looped, length, Mode::Planned, 1);
            prop_assert_eq!(&planned, &trained(&looped, length, Mode::Planned, 2));
            prop_assert!(near(&planned, &unrolled), "{:?}\n{:?}", planned, unrolled);
            prop_assert!(near(&trained(&looped, length, Mode::Reference, 1), &unrolled));
        }
    }
}

#[test]
fn without_a_step_the_last_carry_is_the_first() {
    let text = "input x: f32[batch, T, 2]
        param start: f32[2] = [0.3, 0.5]
        fn cell(x, carry) { return [carry[0] + x] }
        let run = scan(cell, x, [start + full([batch, 2], 0)])
        output last = run[0][0]
        output all = run[1]";
    let compiled = compiled(text);
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let sizes = DimSizes::from([("batch".into(), 2), ("T".into(), 0)]);
        let mut executor = Executor::<f64>::new(&compiled.simplified.predict, &sizes, &options(mode)).unwrap();
        executor.run(&mut store, Clock::default()).unwrap();
        let fetch = |name| executor.fetch(Role::Output, name).unwrap();
        assert_eq!(floats(executor.result(fetch("last")).unwrap()), [0.3, 0.5, 0.3, 0.5]);
        assert!(floats(executor.result(fetch("all")).unwrap()).is_empty());
    }
}

fn scans(graph: &Graph) -> usize {
    graph.ids().filter(|id| matches!(graph.op(*id), Op::Scan(_))).count()
}

#[test]
fn a_graph_does_not_grow_with_time_and_compiles_once() {
    let size = |time: &str| {
        let compiled = compiled(&spec("scan", time, false));
        (compiled.simplified.train.len(), compiled.simplified.predict.len())
    };
    assert_eq!(size("7"), size("2000"));
    // An open number of steps adds what divides by it.
    let open = compiled(&spec("scan", "T", false));
    assert!(open.simplified.train.len() <= size("7").0 + 4);
    for length in [0, 1, 5] {
        let sizes = DimSizes::from([("batch".into(), 3), ("T".into(), length)]);
        assert!(Executor::<f64>::new(&open.simplified.train, &sizes, &options(Mode::Planned)).is_ok());
    }
}

fn loops(graph: &Graph, length: usize) -> usize {
    let sizes = DimSizes::from([("batch".into(), 3), ("T".into(), length)]);
    let graph = simplify(&bind(graph, &sizes));
    let plan = plan(&graph);
    assert_eq!(check(&plan, &graph), Ok(()));
    plan.steps.iter().filter(|step| matches!(step.work, Work::Loop(_))).count()
}

#[test]
fn all_results_of_a_loop_are_one_step_of_the_plan() {
    let compiled = compiled(&spec("scan", "T", false));
    assert!(scans(&compiled.simplified.train) > 2);
    assert_eq!(loops(&compiled.simplified.predict, 5), 1);
    // One forwards, one back for all params together.
    assert_eq!(loops(&compiled.simplified.train, 5), 2);
    let lstm = values::compiled(
        "input x: f32[batch, T, 3]
         target y: f32[batch, 2]
         output z = lstm(x, units=2)
         loss l = mean_squared_error(y, z)
         train { minimize l optimizer adam(lr=0.1) }",
    );
    assert_eq!(loops(&lstm.simplified.train, 5), 2);
    assert_eq!(loops(&lstm.simplified.predict, 5), 1);
}

#[test]
fn a_program_with_a_loop_reads_back() {
    let compiled = compiled(&spec("scan", "T", true));
    for graph in [&compiled.simplified.predict, &compiled.simplified.train] {
        let span = Span::new(SourceId::NOWHERE, 0, 0);
        let json = serde_json::to_string(&Document::of(graph)).unwrap();
        let read: Document = serde_json::from_str(&json).unwrap();
        let read = read.graph(span).unwrap();
        assert_eq!(verify(&read), Ok(()));
        assert_eq!(print(&read, "p"), print(graph, "p"));
        let yaml = anabranch::export::yaml(graph);
        let read: Document = serde_yaml::from_str(&yaml).unwrap();
        assert_eq!(print(&read.graph(span).unwrap(), "p"), print(graph, "p"));
        // A body whose leaf is no port is refused.
        let broken = json.replace("\"port\":0", "\"port\":77");
        assert_ne!(broken, json);
        let read: Document = serde_json::from_str(&broken).unwrap();
        let refused = read.graph(span).unwrap_err();
        assert_eq!(refused.code, Code::E0608);
        assert!(refused.notes.iter().any(|note| note.contains("port")), "{:?}", refused.notes);
    }
}

#[test]
fn a_loop_and_its_derivative_print() {
    let compiled = compiled(
        "input x: f32[batch, T]
         target y: f32[batch]
         param decay: f32 = 0.5
         fn cell(x, carry, decay) { return [decay * carry[0] + x ** 2] }
         output level = scan(cell, x, [full([batch], 0)], rest=[decay])[0][0]
         loss l = mean_squared_error(y, level)
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    let text = print(&compiled.simplified.predict, "predict") + &print(&compiled.simplified.train, "train");
    insta::assert_snapshot!(text);
}

#[test]
fn gradients_are_seen_through_a_step() {
    let compiled = compiled(
        "input x: f32[batch, T, 2]
         target y: f32[batch, 2]
         param open: f32[2, 2] = orthogonal()
         param closed: f32[2, 2] = orthogonal()
         param idle: f32[2] = zeros()
         fn cell(x, carry, open, closed) { return [tanh(x + carry[0] @ open + stop(carry[0] @ closed)), carry[1] + idle] }
         let start = full([batch, 2], 0)
         output z = scan(cell, x, [start, start], rest=[open, closed])[0][0]
         loss l = mean_squared_error(y, z)
         assert l trains only open
         train { minimize l optimizer sgd(lr=0.1) }",
    );
    let table = flow(&compiled.module);
    let row = &table.rows[0];
    let cell = |name: &str| row.cells[table.params.iter().position(|param| &**param == name).unwrap()];
    assert_eq!([cell("open"), cell("closed"), cell("idle")], [Cell::Path, Cell::Stopped, Cell::None]);
}

fn findings(text: &str) -> String {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    match compile(&mut sources, id, &Options::default()) {
        Ok(_) => "none".to_string(),
        Err(findings) => render_plain(&findings.0, &sources),
    }
}

#[test]
fn a_broken_contract_points_into_the_step() {
    let text = findings(
        "input x: f32[batch, T, 2]
         target y: f32[batch, 2]
         param w: f32[2, 2] = orthogonal()
         fn cell(x, carry) { return [tanh(x + stop(carry[0] @ w))] }
         output z = scan(cell, x, [full([batch, 2], 0)])[0][0]
         loss l = mean_squared_error(y, z)
         assert l trains w",
    );
    insta::assert_snapshot!(text);
}

#[test]
fn mistakes_in_a_step_are_findings() {
    let step = |step: &str, rest: &str| {
        findings(&format!(
            "input x: f32[batch, T, 2]
target m: f32[batch, 2]?
state s: f32 = 0
fn one(x, carry) {{ {step} }}
layer two(x, carry) {{ {step} }}
output z = scan({rest})[0][0]"
        ))
    };
    let start = "[full([batch, 2], 0)]";
    let text = [
        step("return [concat([carry[0], x])]", &format!("one, x, {start}")),
        step("return [sum(x, axes=[1])]", &format!("one, x, {start}")),
        step("return carry[0]", &format!("one, x, {start}")),
        step("return [x, x]", &format!("one, x, {start}")),
        step("return [x > 0]", "one, x, [full([batch, 2], 0) > 1]"),
        step("update s = 1 return [x]", &format!("two, x, {start}")),
        step("return [x]", &format!("one, [x, x[:, 1:]], {start}")),
        step("return [x]", "one, x[:, 0, 0], [full([batch], 0)]"),
        step("return [x + m]", &format!("one, x, {start}")),
        step("return [x @ x]", &format!("one, x, {start}")),
    ]
    .join("\n");
    insta::assert_snapshot!(text);
}

#[test]
fn draws_differ_from_step_to_step_and_are_the_same_on_the_way_back() {
    let text = "input x: f32[batch, T, 3]
        param w: f32[3] = ones()
        fn cell(x, carry) { return [w * random_uniform([batch, 3])] }
        let run = scan(cell, x, [full([batch, 3], 0)])
        output all = run[1]
        loss l = sum(run[1], axes=[1, 2])
        train { minimize l optimizer sgd(lr=0) }";
    let compiled = compiled(text);
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let sizes = DimSizes::from([("batch".into(), 1), ("T".into(), 4)]);
        let mut run = |graph: &Graph, role: Role, name: &str| {
            let mut executor = Executor::<f64>::new(graph, &sizes, &options(mode)).unwrap();
            executor.run(&mut store, Clock::default()).unwrap();
            floats(executor.result(executor.fetch(role, name).unwrap()).unwrap())
        };
        let draws = run(&compiled.simplified.predict, Role::Output, "all");
        let gradient = run(&compiled.simplified.gradients, Role::Gradient, "w");
        assert_eq!(draws.len(), 12);
        assert!((0..9).all(|i| draws[i] != draws[i + 3]), "{draws:?}");
        for (column, gradient) in gradient.iter().enumerate() {
            let sum: f64 = (0..4).map(|time| draws[3 * time + column]).sum();
            assert!((gradient - sum).abs() < 1e-12, "{gradient} against {sum}");
        }
    }
}

#[test]
fn each_program_has_its_own_mode_inside_a_step() {
    // What only training reads, here a target, is no part of the prediction.
    let compiled = compiled(
        "input x: f32[batch, T, 2]
         target y: f32[batch, T, 2]
         fn cell(now, carry) { return [by_mode(now[1], carry[0]) + now[0]] }
         output z = scan(cell, [x, y], [full([batch, 2], 0)])[0][0]
         loss l = sum(z, axes=[1])",
    );
    let reads = |graph: &Graph| print(graph, "p").contains("target y");
    assert!(!reads(&compiled.simplified.predict) && !reads(&compiled.predict));
    assert!(reads(&compiled.train));
    assert_eq!(verify(&compiled.predict), Ok(()));
}

#[test]
fn missing_samples_stay_apart_in_a_loop() {
    let spec = |kind: &str| {
        format!(
            "input x: f32[batch, 3]
             target y: f32[batch, 3, 2]?
             param w: f32[2] = ones()
             fn cell(y, carry) {{ return [carry[0] * 0.5 + (y - w) ** 2] }}
             output z = x
             loss l = sum({kind}(cell, y, [full([batch, 2], 0)])[0][0], axes=[1])
             train {{ minimize l optimizer sgd(lr=0.1) }}"
        )
    };
    let values = |kind: &str| {
        let compiled = compiled(&spec(kind));
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let mut executor = values::executor::<f64>(&compiled.simplified.train, 2, Mode::Planned);
        let y = [vec![f64::NAN, 1.0, 2.0, 3.0, 4.0, 5.0], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]].concat();
        values::feed(&mut executor, &values::Feeds::from([("x".into(), vec![0.0; 6]), ("y".into(), y)]));
        executor.run(&mut store, Clock::default()).unwrap();
        let loss = executor.scalar(executor.fetch(Role::Loss, "l").unwrap()).unwrap();
        (loss, floats(store.find(StoreKind::Param, "w").unwrap()))
    };
    let (loss, w) = values("scan");
    assert!(loss.is_finite() && w.iter().all(|w| w.is_finite()));
    assert_eq!((loss, w), values("unroll"));
}

#[test]
fn a_mask_by_time_is_read_step_by_step() {
    let text = "input x: f32[batch, T, 2]
        input seen: bool[batch, T]
        fn cell(now, carry) { return [where(now[1][:, none], carry[0] + now[0], carry[0])] }
        output z = scan(cell, [x, seen], [full([batch, 2], 0)])[0][0]";
    let compiled = compiled(text);
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let sizes = DimSizes::from([("batch".into(), 2), ("T".into(), 3)]);
        let mut executor = Executor::<f64>::new(&compiled.simplified.predict, &sizes, &options(mode)).unwrap();
        let x: Vec<f64> = (0..12).map(f64::from).collect();
        values::feed(
            &mut executor,
            &values::Feeds::from([("x".into(), x), ("seen".into(), vec![1., 0., 1., 0., 0., 1.])]),
        );
        executor.run(&mut store, Clock::default()).unwrap();
        assert_eq!(floats(executor.result(0).unwrap()), [4.0, 6.0, 10.0, 11.0], "{mode:?}");
    }
}

#[test]
fn loops_nest() {
    let spec = |kind: &str, outer: &str, inner: &str| {
        format!(
            "input x: f32[batch, {outer}, {inner}, 2]
             target y: f32[batch, 2]
             param w: f32[2, 2] = orthogonal()
             fn inner(x, carry) {{ return [tanh(x + carry[0] @ w)] }}
             fn outer(x, carry) {{ return [{kind}(inner, x, carry)[0][0] * 0.5 + carry[0]] }}
             output z = {kind}(outer, x, [full([batch, 2], 0)])[0][0]
             loss l = mean_squared_error(y, z)
             train {{ minimize l optimizer sgd(lr=0.1) }}"
        )
    };
    let run = |text: &str, mode: Mode| {
        let compiled = compiled(text);
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let sizes = DimSizes::from([("batch".into(), 2), ("T".into(), 3), ("S".into(), 4)]);
        let mut executor = Executor::<f64>::new(&compiled.simplified.train, &sizes, &options(mode)).unwrap();
        for feed in 0..executor.feeds().len() {
            let values = executor.feed_float(feed).unwrap();
            values.iter_mut().enumerate().for_each(|(i, value)| *value = (1.3 * i as f64).cos());
        }
        (0..2).for_each(|step| executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap());
        floats(store.find(StoreKind::Param, "w").unwrap())
    };
    let wanted = run(&spec("unroll", "3", "4"), Mode::Reference);
    for mode in [Mode::Planned, Mode::Reference] {
        let found = run(&spec("scan", "T", "S"), mode);
        assert!(near(&found, &wanted), "{found:?} {wanted:?}");
    }
}

#[test]
fn a_gradient_of_a_gradient_goes_through_loops() {
    // Bend the recurrence so that its slope at the input is small: the second derivative by `w` is needed.
    let spec = |kind: &str, time: &str| {
        format!(
            "input x: f32[batch, {time}]
             param w: f32 = 0.7
             fn cell(x, carry) {{ return [tanh(w * carry[0] + x * w)] }}
             output z = {kind}(cell, x, [full([batch], 0)])[0][0]
             loss l = sum(grad(z, x) ** 2, axes=[1])
             train {{ minimize l optimizer sgd(lr=0.1) }}"
        )
    };
    let wanted = trained(&compiled(&spec("unroll", "4")), 4, Mode::Reference, 1);
    let looped = compiled(&spec("scan", "T"));
    for mode in [Mode::Planned, Mode::Reference] {
        let found = trained(&looped, 4, mode, 1);
        assert!(near(&found, &wanted), "{found:?}\n{wanted:?}");
    }
}

#[test]
fn carries_that_change_places_are_set_aside() {
    let text = "input x: f32[batch, T]
        fn cell(x, carry) { return [carry[1], carry[0], x, carry[2]] }
        let zero = full([batch], 0)
        let run = scan(cell, x, [zero + 1, zero + 2, zero, zero])
        output z = concat([run[0][0][:, none], run[0][1][:, none], run[0][2][:, none], run[0][3][:, none]])";
    let compiled = compiled(text);
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let sizes = DimSizes::from([("batch".into(), 1), ("T".into(), 3)]);
        let mut executor = Executor::<f64>::new(&compiled.simplified.predict, &sizes, &options(mode)).unwrap();
        values::feed(&mut executor, &values::Feeds::from([("x".into(), vec![5.0, 6.0, 7.0])]));
        executor.run(&mut store, Clock::default()).unwrap();
        assert_eq!(floats(executor.result(0).unwrap()), [2.0, 1.0, 7.0, 6.0], "{mode:?}");
    }
}

#[test]
fn states_that_change_places_are_set_aside() {
    let text = "input x: f32[batch]
        state a: f32 = 1
        state b: f32 = 2
        update a = b
        update b = a
        output z = x
        param w: f32 = 0
        loss l = (x - w) ** 2
        train { minimize l optimizer sgd(lr=0.1) }";
    let compiled = compiled(text);
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store: Store<f64> = initial(&compiled, Mode::Reference);
        let mut executor = values::executor::<f64>(&compiled.simplified.train, 1, mode);
        executor.run(&mut store, Clock::default()).unwrap();
        let state = |name| floats(store.find(StoreKind::State, name).unwrap())[0];
        assert_eq!([state("a"), state("b")], [2.0, 1.0], "{mode:?}");
    }
}
