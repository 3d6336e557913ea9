//! Gradients where a formula as it is written is 0 / 0 or cancels: stable forms stand in before derivatives are taken.

use crate::common::values::{self, Feeds, compiled, executor, feed, floats, initial};
use anabranch::exec::{Clock, Mode};
use anabranch::ir::Role;

/// `∂ Σ formula / ∂ x` at some rows of `x: f32[batch, WIDTH]`, as an output and as the gradient of an objective.
fn slopes(formula: &str, width: usize, x: &[f64]) -> Vec<f64> {
    let rows = x.len() / width;
    let spec = compiled(&format!("input x: f32[batch, {width}]\noutput slope = grad(sum({formula}), x)"));
    let mut store = initial::<f64>(&spec, Mode::Planned);
    let mut program = executor::<f64>(&spec.simplified.predict, rows, Mode::Planned);
    feed(&mut program, &Feeds::from([("x".into(), x.to_vec())]));
    program.run(&mut store, Clock::default()).unwrap();
    let written = floats(program.result(program.fetch(Role::Output, "slope").unwrap()).unwrap());

    let trained = compiled(&format!(
        "input unused: f32[batch]
         param x: f32[{rows}, {width}] = 0
         loss total = sum({formula}) + 0 * sum(unused)
         train {{ minimize total  optimizer sgd(lr=1) }}"
    ));
    let mut store = initial::<f64>(&trained, Mode::Planned);
    values::set(&mut store, anabranch::exec::StoreKind::Param, "x", x);
    let mut program = executor::<f64>(&trained.simplified.gradients, 1, Mode::Planned);
    feed(&mut program, &Feeds::from([("unused".into(), vec![0.0])]));
    program.run(&mut store, Clock::default()).unwrap();
    let found = floats(program.result(program.fetch(Role::Gradient, "x").unwrap()).unwrap());
    assert_eq!(found, written, "{formula}");
    found
}

#[track_caller]
fn holds(formula: &str, width: usize, x: &[f64], wanted: &[f64]) {
    let found = slopes(formula, width, x);
    let near = found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-12);
    assert!(near && found.len() == wanted.len(), "{formula} at {x:?}: {found:?}, not {wanted:?}");
}

#[test]
fn logarithms_of_sigmoids() {
    holds("log(sigmoid(x))", 1, &[-1000.0, 0.0, 1000.0], &[1.0, 0.5, 0.0]);
    holds("log(1 - sigmoid(x))", 1, &[-1000.0, 0.0, 1000.0], &[0.0, -0.5, -1.0]);
    holds("log(1 + exp(x))", 1, &[-1000.0, 0.0, 1000.0], &[0.0, 0.5, 1.0]);
}

#[test]
fn sigmoids_and_softmaxes_by_hand() {
    holds("1 / (1 + exp(-x))", 1, &[-1000.0, 0.0, 1000.0], &[0.0, 0.25, 0.0]);
    holds("exp(x) / (1 + exp(x))", 1, &[-1000.0, 0.0, 1000.0], &[0.0, 0.25, 0.0]);
    holds("log(1 / (1 + exp(-x)))", 1, &[-1000.0, 0.0, 1000.0], &[1.0, 0.5, 0.0]);
    holds("log(cosh(x))", 1, &[-1000.0, 0.0, 1000.0], &[-1.0, 0.0, 1.0]);
    holds("(exp(x) - exp(-x)) / (exp(x) + exp(-x))", 1, &[-1000.0, 0.0, 1000.0], &[0.0, 1.0, 0.0]);
    let softmax = "(exp(x) / sum(exp(x), axes=1, keep=true))[:, 0]";
    holds(softmax, 2, &[1000.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.25, -0.25]);
}

#[test]
fn the_angle_of_the_origin() {
    holds("atan2(x[:, 0], x[:, 1])", 2, &[0.0, 0.0, 0.0, 2.0, 2.0, 0.0], &[0.0, 0.0, 0.5, 0.0, 0.0, -0.5]);
}

/// Logits with one large number added to all say what those without it say, to the digits of floats.
#[test]
fn logarithms_of_softmax_at_an_offset() {
    let formulas = [
        "log_softmax(x)",
        "log(softmax(x))",
        "log(exp(x) / sum(exp(x), axes=-1, keep=true))",
        "x - logsumexp(x, axes=-1)[:, none]",
    ];
    for formula in formulas {
        let spec = compiled(&format!("input x: f32[batch, 3]\noutput y = {formula}"));
        let values = |x: &[f64]| {
            let mut store = initial::<f32>(&spec, Mode::Planned);
            let mut program = executor::<f32>(&spec.simplified.predict, 3, Mode::Planned);
            feed(&mut program, &Feeds::from([("x".into(), x.to_vec())]));
            program.run(&mut store, Clock::default()).unwrap();
            floats(program.result(program.fetch(Role::Output, "y").unwrap()).unwrap())
        };
        let x = [0.0, 1.0, -2.0, 3.0, 3.0, 3.0, -8.0, 0.5, 1.0];
        let wanted = values(&x);
        for offset in [1e4, 1e6] {
            let found = values(&x.map(|x| x + offset));
            let near = found.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + b.abs()));
            assert!(near, "{formula} at {offset}: {found:?}, not {wanted:?}");
        }
    }
}

#[test]
fn cross_entropy_of_a_sigmoid() {
    for (target, x, wanted) in [(0.0, 200.0, 1.0), (1.0, -200.0, -1.0), (0.0, -200.0, 0.0), (1.0, 200.0, 0.0)] {
        let formula = format!("-({target} * log(sigmoid(x)) + (1 - {target}) * log(1 - sigmoid(x)))");
        holds(&formula, 1, &[x], &[wanted]);
    }
}

#[test]
fn logarithms_of_softmax() {
    // Only the first class is asked for, so the other's probability pulls.
    for softmax in ["softmax(x)", "(exp(x) / sum(exp(x), axes=-1, keep=true))"] {
        let formula = format!("log({softmax})[:, 0]");
        holds(&formula, 2, &[1e3, -1e3, -1e3, 1e3, 0.0, 0.0], &[0.0, 0.0, 1.0, -1.0, 0.5, -0.5]);
    }
    holds("log(sum(exp(x), axes=-1))", 2, &[1e3, -1e3, 1e3, 1e3], &[1.0, 0.0, 0.5, 0.5]);
}

#[test]
fn the_value_by_which_is_differentiated_is_not_looked_into() {
    let spec = compiled(
        "input x: f32[batch]
         let p = sigmoid(x)
         output slope = grad(log(p), p)",
    );
    let mut store = initial::<f64>(&spec, Mode::Planned);
    let mut program = executor::<f64>(&spec.simplified.predict, 2, Mode::Planned);
    feed(&mut program, &Feeds::from([("x".into(), vec![0.0, 3.0])]));
    program.run(&mut store, Clock::default()).unwrap();
    let found = floats(program.result(program.fetch(Role::Output, "slope").unwrap()).unwrap());
    let wanted = [2.0, 1.0 + (-3.0f64).exp()];
    assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
}
