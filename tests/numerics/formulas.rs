//! Values elsewhere and patterns in formulas, against PyTorch in float64: `tests/oracle/formulas.json`.

use crate::common::run::{Run, errors};
use anabranch::lower::Options;
use serde_json::Value;

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/oracle/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

fn assert_near(what: &str, found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{what}: found {found}, wanted {wanted}");
}

/// The spec with the params and data of the oracle.
fn started(spec: &str, oracle: &Value) -> Run {
    let mut run = Run::new(spec);
    for (name, values) in oracle["params"].as_object().unwrap() {
        run.set_param(name, &numbers(values));
        run.set_state(&name.replace("trunk", "slow"), &numbers(values));
    }
    for (name, values) in oracle["feeds"].as_object().unwrap() {
        run.feed(name, &numbers(values));
    }
    run
}

#[test]
fn values_elsewhere_are_those_of_torch() {
    let oracle: Value = serde_json::from_str(&file("formulas.json")).unwrap();
    let mut run = started(&file("formulas.anb"), &oracle);
    let found = run.step(5);
    for (name, wanted) in oracle["metrics"].as_object().unwrap() {
        assert_near(name, found[name], wanted.as_f64().unwrap());
    }
    run.step(5);
    run.step(5);
    for (name, wanted) in oracle["slow"].as_object().unwrap() {
        for (found, wanted) in run.state(name).into_iter().zip(numbers(wanted)) {
            assert_near(name, found, wanted);
        }
    }
    assert_near("slow_output", run.step(5)["slow_output"], oracle["slow_output"].as_f64().unwrap());
}

#[test]
fn at_evaluation_validation_is_the_data_at_hand() {
    let oracle: Value = serde_json::from_str(&file("formulas.json")).unwrap();
    let mut run = started(&file("formulas.anb"), &oracle);
    let found = run.evaluate(5);
    assert_near("validated", found["validated"], found["total"] - 0.01 * found["kernels"]);
    let wanted = oracle["metrics"]["next"].as_f64().unwrap();
    assert_near("next", found["next"], wanted);
    assert_near("next_validated", found["next_validated"], wanted);
}

const HEAD: &str = "input x: f32[batch, 2]\ntarget y: f32[batch]\nlayer net = dense(units=1)\nlet p = net(x)[:, 0]\noutput o = p\nloss l = square(p - y)\n";
const TRAIN: &str = "\ntrain { minimize l optimizer sgd(lr=0.1) }\n";

fn spec(body: &str) -> String {
    format!("{HEAD}{body}{TRAIN}")
}

#[test]
fn what_replaces_nothing_is_said() {
    for (body, wanted) in [
        ("metric m = at(l)", "`at` replaces nothing"),
        ("metric m = at(l, head.* = it)", "`head.*` names no param"),
        ("metric m = at(y, net.* = it)", "`at(value, …)` where the value does not depend on what is replaced"),
        ("metric m = at(l, net.kernel = [1, 2])", "`net.kernel` is f32[2, 1], what takes its place f32[2]"),
        (
            "metric m = on(validation, net.kernel[0, 0])",
            "`on(validation, value)` where the value does not depend on the data",
        ),
        ("metric m = on(test, l)", "the first argument of `on` says which data"),
        ("metric m = after(y)", "`after(value)` where the value depends on no param that is trained"),
        ("metric m = after(after(l))", "`after` of a value that is after the step already"),
        ("update net.* = 0.9 * it", "`net.kernel` is trained, and has an `update`"),
        ("state slow.* = net.*\nupdate slow.* = it + 1\nupdate slow.kernel = it", "`slow.kernel` is updated twice"),
        ("let a, b, c = unstack(x, axis=1)\nmetric m = a + b", "3 names for a list of 2"),
        ("metric m = mean(net.* + x)", "cannot add [2, 1] and [batch, 2]"),
        ("metric m = sum(net.* + *.kernel)", "a pattern that names 1 params beside one that names 2"),
    ] {
        let found = errors(&spec(body), &Options::default());
        assert!(found.first().is_some_and(|first| first.starts_with(wanted)), "{body}: {found:?}");
    }
    let objective = "input x: f32[batch]\nparam w: f32 = 1\nloss l = square(w * x - 1)\nloss total = l + after(l)\ntrain { minimize total optimizer sgd(lr=0.1) }";
    assert_eq!(errors(objective, &Options::default()), ["a step depends on a value after it"]);
}

/// A step by SGD is linear in the gradient, so objectives that step by themselves add up to those that are added before; a
/// step by Adam is not.
#[test]
fn objectives_may_step_by_themselves() {
    let spec = |optimizer: &str| {
        format!(
            "input x: f32[batch]\nparam w: f32 = 1\nloss a = square(w * x - 1)\nloss b = 3 * w\noutput o = w * x\ntrain {{ minimize a minimize b optimizer {optimizer} }}"
        )
    };
    let after = |optimizer: &str| {
        let mut run = Run::new(&spec(optimizer));
        run.feed("x", &[1.0, 2.0]);
        run.step(2);
        run.param("w")[0]
    };
    // d a = mean(2 x (w x - 1)) = 2, d b = 3
    assert_near("added", after("sgd(lr=0.1)"), 0.5);
    assert_near("apart", after("sgd(lr=0.1) per objective"), 0.5);
    let adam = |gradient: f64| 0.1 * gradient / (gradient.abs() + 1e-7);
    assert_near("adam added", after("adam(lr=0.1, epsilon=1e-7)"), 1.0 - adam(5.0));
    assert_near("adam apart", after("adam(lr=0.1, epsilon=1e-7) per objective"), 1.0 - adam(2.0) - adam(3.0));
    // Each objective's gradients are limited by themselves.
    let mut run = Run::new(&spec("sgd(lr=0.1) per objective clip norm=1"));
    run.feed("x", &[1.0, 2.0]);
    run.step(2);
    assert_near("clipped apart", run.param("w")[0], 0.8);
}

#[test]
fn the_clock_and_the_batch_are_floats_beside_floats() {
    let mut run = Run::new(
        "input x: f32[batch]\nparam w: f32 = 1\nlet p = w * x\noutput o = p\nloss l = square(p)\nlet n = i32(batch)\nmetric rows = f32(n) + 0.5 * step\nmetric whole = f32(step * 2 + n % 2)\nmetric s = sum(stack([1, 2], axis=0)) + [10, 20][-1] + len(range(3)) + range(10, 0, -2)[1]\ntrain { minimize l optimizer sgd(lr=0.1) }",
    );
    run.feed("x", &[1.0, 2.0, 3.0]);
    run.step(3);
    let found = run.step(3);
    assert_eq!((found["rows"], found["whole"], found["s"]), (3.5, 3.0, 34.0));
}

/// A rise to a schedule that has not begun is a rise to its first value.
#[test]
fn a_rise_goes_before_a_schedule() {
    let text = "input x: f32[batch]\nparam w: f32 = 1\noutput o = w * x\nloss l = square(o)\nmetric rate = warm_up(step, after=cosine(step - 500, from=5, to=0, over=9500), over=500)\nmetric until_end = linear(step, from=1, to=0, over=total_steps)\nmetric beyond = cosine(step, from=1, to=0.25, over=100)\ntrain { minimize l optimizer sgd(lr=0.1) }";
    let mut run = Run::new(text);
    run.feed("x", &[1.0]);
    run.clock.step = 250;
    (run.clock.epochs, run.clock.steps_per_epoch) = (10, 100);
    let found = run.step(1);
    assert_near("rate", found["rate"], 2.5);
    assert_near("until_end", found["until_end"], 0.75);
    assert_near("beyond", found["beyond"], 0.25);
}
