//! The standard library's definitions that no other engine's numbers cover, held against their formulas.

use crate::common::values::{self, Feeds, compiled, difference, executor, feed, floats, initial};
use anabranch::diag::{Code, SourceMap};
use anabranch::exec::{Clock, Executor, Mode, Store, StoreKind};
use anabranch::ir::{DimSizes, Role};
use anabranch::lower::Options;
use anabranch::pipeline::compile;
use std::collections::BTreeMap;

/// The outputs of a spec for one batch, by name, with its initial params.
fn predict(text: &str, batch: usize, feeds: &[(&str, Vec<f64>)]) -> impl Fn(&str) -> Vec<f64> + use<> {
    let compiled = compiled(text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut program = executor::<f64>(&compiled.simplified.predict, batch, Mode::Planned);
    feed(&mut program, &feeds.iter().map(|(name, values)| (name.to_string(), values.clone())).collect::<Feeds>());
    program.run(&mut store, Clock::default()).unwrap();
    move |name| {
        floats(program.result(program.fetch(Role::Output, name).unwrap_or_else(|| panic!("no {name}"))).unwrap())
    }
}

/// A spec after some training steps: its params and states.
fn train(text: &str, batch: usize, n_steps: i32, feeds: &Feeds) -> Store<f64> {
    let compiled = compiled(text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, batch, Mode::Planned);
    feed(&mut step, feeds);
    for i in 0..n_steps {
        step.run(&mut store, Clock { step: i, ..Clock::default() }).unwrap();
    }
    store
}

fn param(store: &Store<f64>, name: &str) -> Vec<f64> {
    floats(store.find(StoreKind::Param, name).unwrap_or_else(|| panic!("no {name}")))
}

fn close(found: &[f64], wanted: &[f64]) {
    assert!(difference(found, wanted) <= 1e-9, "{found:?} is not {wanted:?}");
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    mean(&values.iter().map(|value| (value - centre).powi(2)).collect::<Vec<_>>()).sqrt()
}

/// Made-up numbers within ±1.
fn numbers(n: usize) -> Vec<f64> {
    (0..n).map(|i| ((i * 37 + 11) % 101) as f64 / 50.0 - 1.0).collect()
}

#[test]
fn initializers_have_their_spread() {
    let names = ["glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform"];
    let wanted = [2.0 / 180.0, 2.0 / 180.0, 2.0 / 100.0, 2.0 / 100.0, 1.0 / 100.0, 1.0 / 100.0];
    for (name, variance) in names.into_iter().zip(wanted) {
        let compiled = compiled(&format!("param w: f32[100, 80] = {name}()"));
        let store = initial::<f64>(&compiled, Mode::Planned);
        let values = param(&store, "w");
        let spread = f64::sqrt(variance);
        assert!((deviation(&values) / spread - 1.0).abs() < 0.03, "{name}: {} not {spread}", deviation(&values));
        assert!(mean(&values).abs() < 0.05 * spread, "{name} has mean {}", mean(&values));
        // Twice the widened deviation of a truncated normal; √3 times that of a uniform.
        let reach = values.iter().fold(0.0, |reach: f64, value| reach.max(value.abs())) / spread;
        assert!(reach < if name.ends_with("normal") { 2.0 / 0.879 } else { 1.7321 }, "{name} reaches {reach}");
    }
}

#[test]
fn orthogonal_initial_values_are_orthogonal() {
    // One block of reflections, a full one, several, the last one short; square, tall, wide and of four axes.
    let shapes: [&[usize]; 8] =
        [&[12, 5], &[3, 8], &[1, 1], &[1, 3], &[64, 64], &[128, 128], &[65, 260], &[3, 3, 9, 70]];
    for shape in shapes {
        let compiled = compiled(&format!("param w: f32{shape:?} = orthogonal(gain=2)"));
        let values = param(&initial::<f64>(&compiled, Mode::Planned), "w");
        let columns = shape[shape.len() - 1];
        let rows = values.len() / columns;
        let (short, long) = (rows.min(columns), rows.max(columns));
        let at = |i: usize, k: usize| if rows < columns { values[i * columns + k] } else { values[k * columns + i] };
        for i in 0..short {
            for j in 0..short {
                let product: f64 = (0..long).map(|k| at(i, k) * at(j, k)).sum();
                let wanted = if i == j { 4.0 } else { 0.0 };
                assert!((product - wanted).abs() < 1e-12, "{shape:?}: {i} and {j} have the product {product}");
            }
        }
    }
}

#[test]
fn orthogonal_initial_values_have_no_preferred_direction() {
    // Uniformly distributed, each element has mean 0 and variance 1 / n; those on the diagonal too.
    let compiled = compiled("param w: f32[200, 200] = orthogonal()");
    let values = param(&initial::<f64>(&compiled, Mode::Planned), "w");
    let diagonal: Vec<f64> = (0..200).map(|i| values[i * 201]).collect();
    assert!(mean(&values).abs() < 5.0 / 200.0_f64.powf(1.5), "{}", mean(&values));
    assert!(mean(&diagonal).abs() < 4.0 / 200.0, "{}", mean(&diagonal));
    assert!((deviation(&diagonal) * 200.0_f64.sqrt() - 1.0).abs() < 0.25, "{}", deviation(&diagonal));
}

#[test]
fn recurrent_layers_drop_the_same_units_at_all_steps() {
    // Of a state of ones that nothing else changes, three steps leave 0 or 1 / 0.75³.
    let kept = 0.75_f64.powi(-3);
    let text = format!(
        "input x: f32[batch, 3, 1]
         let h = simple_rnn(x, units=400, bias=false, activation=identity, init=zeros, recurrent_init=identity_matrix,
             recurrent_dropout=0.25, initial_state=full([batch, 400], 1))
         output y = h
         loss total = 0 * mean(x) + mean(h, axes=1)
         metric between = mean(abs(h * ({kept} - h)), axes=1)
         metric share = mean(f32(h > 0), axes=1)
         train {{ minimize total optimizer sgd(lr=0) }}"
    );
    let compiled = compiled(&text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, 5, Mode::Planned);
    feed(&mut step, &Feeds::from([("x".into(), vec![0.0; 15])]));
    step.run(&mut store, Clock::default()).unwrap();
    let metric = |name: &str| mean(&floats(step.result(step.fetch(Role::Metric, name).unwrap()).unwrap()));
    assert!((metric("share") - 0.75).abs() < 0.05, "{}", metric("share"));
    assert!(metric("between").abs() < 1e-12, "{}", metric("between"));
    close(&predict(&text, 5, &[("x", vec![0.0; 15])])("y"), &[1.0; 2000]);
}

#[test]
fn recurrent_dropout_is_of_training_alone() {
    for layer in ["lstm", "gru", "gru(reset_after=false)"] {
        let spec = |rate: f64| {
            let options = format!("units=50, recurrent_dropout={rate}, recurrent_init=identity_matrix");
            let call = match layer.strip_suffix(')') {
                Some(call) => format!("{}, {options})", call.replace('(', "(x, ")),
                None => format!("{layer}(x, {options})"),
            };
            format!(
                "input x: f32[batch, 3, 1]\noutput y = {call}\nloss l = mean(y, axes=1)\nmetric m = l\ntrain {{ minimize l optimizer sgd(lr=0) }}"
            )
        };
        let value = |rate: f64| {
            let compiled = compiled(&spec(rate));
            let mut store = initial::<f64>(&compiled, Mode::Planned);
            let mut step = executor::<f64>(&compiled.simplified.train, 1, Mode::Planned);
            feed(&mut step, &Feeds::from([("x".into(), vec![1.0, -2.0, 0.5])]));
            step.run(&mut store, Clock::default()).unwrap();
            floats(step.result(step.fetch(Role::Metric, "m").unwrap()).unwrap())[0]
        };
        assert!((value(0.0) - value(0.4)).abs() > 1e-4, "{layer}");
        let predicted = |rate: f64| predict(&spec(rate), 1, &[("x", vec![1.0, -2.0, 0.5])])("y");
        close(&predicted(0.4), &predicted(0.0));
    }
}

/// A schedule's value at a step.
fn schedule(call: &str, step: i32) -> f64 {
    let text = format!(
        "input x: f32[batch]\nparam w: f32 = 1\nstate s: f32 = 0\nupdate s = {call}\nloss l = w * x\n
         train {{ minimize l  optimizer sgd(lr=s) }}"
    );
    let compiled = compiled(&text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut program = executor::<f64>(&compiled.simplified.train, 1, Mode::Planned);
    program.run(&mut store, Clock { step, ..Clock::default() }).unwrap();
    floats(store.find(StoreKind::State, "s").unwrap())[0]
}

#[test]
fn schedules_follow_their_formulas() {
    let pi = std::f64::consts::PI;
    let half_cosine = |t: f64| 0.5 * (1.0 + (pi * t).cos());
    let cases = [
        ("linear(step, from=1, to=0.2, over=10)", 5, 0.6),
        ("linear(step, from=1, to=0.2, over=10)", 50, 0.2),
        ("stepwise(step, from=1, rate=0.5, every=10)", 29, 0.25),
        ("exponential(step, from=2, rate=0.5, every=10)", 5, 2.0 * 0.5_f64.sqrt()),
        ("inverse_time(step, from=1, rate=0.5, every=10)", 20, 0.5),
        ("polynomial(step, from=1, to=0.1, over=10, power=2)", 5, 0.9 * 0.25 + 0.1),
        ("cosine(step, from=1, to=0.1, over=10)", 4, 0.1 + 0.9 * half_cosine(0.4)),
        ("piecewise(step, [10, 20], [1, 0.5, 0.1])", 10, 1.0),
        ("piecewise(step, [10, 20], [1, 0.5, 0.1])", 11, 0.5),
        ("piecewise(step, [10, 20], [1, 0.5, 0.1])", 21, 0.1),
        // Cycles of 10, 20, 40 steps: step 25 is at three quarters of the second.
        ("cosine_restarts(step, from=1, over=10, decay=0.5)", 25, 0.5 * half_cosine(0.75)),
        ("cosine_restarts(step, from=1, over=10, growth=1, decay=0.5)", 25, 0.25 * half_cosine(0.5)),
        ("warm_up(step, 2, over=10)", 5, 1.0),
        ("warm_up(step, cosine(step, from=1, to=0, over=100), over=10)", 50, 0.5),
        ("one_cycle(step, peak=1, over=100)", 0, 0.04),
        ("one_cycle(step, peak=1, over=100)", 30, 1.0),
        ("one_cycle(step, peak=1, over=100)", 100, 0.04 / 1e4),
        ("inverse_square_root(step, peak=1, over=100)", 399, 0.5),
        // Before their start schedules have their first value, so they compose.
        ("linear(step - 100, from=1, to=0.2, over=10)", 7, 1.0),
        ("polynomial(step - 100, from=1, to=0.2, over=10)", 7, 1.0),
        ("exponential(step - 100, from=2, rate=0.5, every=10)", 7, 2.0),
        ("stepwise(step - 100, from=2, rate=0.5, every=10)", 7, 2.0),
        ("inverse_time(step - 100, from=2, rate=0.5, every=10)", 7, 2.0),
        ("cosine_restarts(step - 100, from=2, over=10)", 7, 2.0),
        ("one_cycle(step - 100, peak=1, over=100)", 7, 0.04),
        ("inverse_square_root(step - 100, peak=1, over=100)", 7, 0.01),
        ("warm_up(step, after=cosine(step - 100, from=5, to=0, over=1000), over=100)", 50, 2.5),
        ("warm_up(step, after=cosine(step - 100, from=5, to=0, over=1000), over=100)", 600, 2.5),
        ("warm_up(step, after=3, over=0)", 0, 3.0),
        ("linear(step, from=1, to=0.2, over=0)", 1, 0.2),
    ];
    for (call, step, wanted) in cases {
        let found = schedule(call, step);
        assert!((found - wanted).abs() <= 1e-12 * (1.0 + wanted), "{call} at {step} is {found}, not {wanted}");
    }
}

#[test]
fn losses_follow_their_formulas() {
    let value = |call: &str, x: Vec<f64>, y: Vec<f64>, n: usize| {
        let text = format!("input x: f32[batch, {n}]\ninput y: f32[batch, {n}]\noutput z = {call}");
        let batch = x.len() / n;
        predict(&text, batch, &[("x", x), ("y", y)])("z")
    };
    close(&value("quantile(x, y, q=0.9)", vec![1.0, 0.0], vec![0.0, 1.0], 2), &[(0.9 + 0.1) / 2.0]);
    // Two boxes of 4 that share 1, in an enclosing box of 9; and two apart.
    let boxes = vec![0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0];
    let others = vec![1.0, 1.0, 3.0, 3.0, 2.0, 0.0, 3.0, 1.0];
    let found = value("giou(x, y)", boxes, others, 4);
    assert!((found[0] - (1.0 - 1.0 / 7.0 + 2.0 / 9.0)).abs() < 1e-6 && (found[1] - (1.0 + 1.0 / 3.0)).abs() < 1e-6);
    let found = value("triplet(x, y, -y, margin=0.5)", vec![1.0, 0.0], vec![0.8, 0.6], 2);
    let (near, far) = ((0.04_f64 + 0.36).sqrt(), (1.8_f64.powi(2) + 0.36).sqrt());
    assert!((found[0] - (near - far + 0.5).max(0.0)).abs() < 1e-9);
    close(&value("contrastive(1, x, y)", vec![3.0, 4.0], vec![0.0, 0.0], 2), &[25.0]);
    let found = value("contrastive(0, x, y, margin=6)", vec![3.0, 4.0], vec![0.0, 0.0], 2);
    assert!((found[0] - 1.0).abs() < 1e-9);
    // One similarity each: ln(1 + exp(γ (push (n - m) - pull (p - (1 - m))))).
    let (p, n, m, scale): (f64, f64, f64, f64) = (0.6, 0.3, 0.25, 4.0);
    let logit = scale * ((n + m) * (n - m) - (1.0 + m - p) * (p - (1.0 - m)));
    close(&value("circle(x, y, scale=4)", vec![p], vec![n], 1), &[logit.exp().ln_1p()]);
}

/// The output `z` and its derivatives `d` by `p`.
fn slopes(text: &str, n: usize, p: Vec<f64>, t: Vec<f64>, label: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
    let rows = p.len() / n;
    let text = format!(
        "input p: f32[batch, {n}]\ninput t: f32[batch, {n}]\ninput label: i32[batch]\nlet l = {text}
         output z = l + 0 * f32(label) + 0 * sum(t, axes=1)\noutput d = grad(sum(l), p)"
    );
    let found = predict(&text, rows, &[("p", p), ("t", t), ("label", label)]);
    (found("z"), found("d"))
}

#[test]
fn losses_are_finite_at_the_ends() {
    let (p, t) = (vec![0.0, 1.0, 0.0, 1.0], vec![0.0, 1.0, 1.0, 0.0]);
    for gamma in ["0.5", "0", "2"] {
        for logits in ["p", "p * 1000", "(p - 0.5) * 2000"] {
            let from_logits = logits != "p";
            let call = format!("binary_focal_crossentropy(t, {logits}, gamma={gamma}, from_logits={from_logits})");
            let (value, slope) = slopes(&call, 1, p.clone(), t.clone(), vec![0.0; 4]);
            assert!(value.iter().chain(&slope).all(|x| x.is_finite()), "{call}: {value:?} {slope:?}");
        }
    }
    let rows = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    for call in [
        "categorical_focal_crossentropy(t, p, gamma=0.5)",
        "categorical_focal_crossentropy(t, p * 1000, gamma=0.5, from_logits=true)",
        "generalized_crossentropy(label, p)",
        "generalized_crossentropy(label, p, q=0.1)",
    ] {
        let t = vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        let (value, slope) = slopes(call, 3, rows.to_vec(), t, vec![1.0, 1.0]);
        assert!(value.iter().chain(&slope).all(|x| x.is_finite()), "{call}: {value:?} {slope:?}");
    }
    // From logits nothing is held: a sure mistake costs the logit.
    let (value, slope) =
        slopes("binary_focal_crossentropy(t, p, gamma=0.5, from_logits=true)", 1, vec![300.0], vec![0.0], vec![0.0]);
    close(&value, &[300.0]);
    close(&slope, &[1.0]);
}

#[test]
fn exponential_activations_have_their_slopes_at_zero() {
    let text = "input x: f32[batch]
        output of_elu = grad(sum(elu(x)), x)
        output of_half = grad(sum(elu(x, alpha=0.5)), x)
        output of_selu = grad(sum(selu(x)), x)
        output of_celu = grad(sum(celu(x, alpha=2)), x)";
    let found = predict(text, 3, &[("x", vec![0.0, 1.0, -1.0])]);
    let e = (-1.0_f64).exp();
    let (scale, alpha) = (1.0507009873554805, 1.6732632423543772);
    close(&found("of_elu"), &[1.0, 1.0, e]);
    close(&found("of_half"), &[0.5, 1.0, 0.5 * e]);
    close(&found("of_selu"), &[scale * alpha, scale, scale * alpha * e]);
    close(&found("of_celu"), &[1.0, 1.0, (-0.5_f64).exp()]);
}

#[test]
fn an_overlap_is_of_the_classes_that_occur() {
    let of = |target: Vec<f64>, prediction: Vec<f64>| {
        let text = "input t: f32[batch]\ninput p: f32[batch]\noutput y = broadcast(binary_iou(t, p), [batch])";
        let rows = target.len();
        predict(text, rows, &[("t", target), ("p", prediction)])("y")[0]
    };
    close(&[of(vec![0.0, 0.0], vec![0.1, 0.2])], &[1.0]);
    close(&[of(vec![1.0, 1.0], vec![0.9, 0.7])], &[1.0]);
    close(&[of(vec![0.0, 0.0], vec![0.1, 0.9])], &[0.25]);
    close(&[of(vec![1.0, 0.0, 1.0], vec![0.9, 0.7, 0.1])], &[1.0 / 6.0]);
}

#[test]
fn class_weights_scale_losses() {
    let text = "input x: f32[batch]\ninput label: i32[batch]\noutput z = class_weighted(x, label, [1, 3])";
    let found = predict(text, 3, &[("x", vec![1.0, 1.0, 2.0]), ("label", vec![0.0, 1.0, 1.0])]);
    close(&found("z"), &[1.0, 3.0, 6.0]);
}

#[test]
fn labels_are_smoothed_towards_all_classes() {
    let text = "input x: f32[batch, 3]\ninput t: f32[batch, 3]\ninput b: f32[batch, 1]
        output c = categorical_crossentropy(t, x, from_logits=true, label_smoothing=0.3)
        output d = binary_crossentropy(b, x[:, 0:1], from_logits=true, label_smoothing=0.2)";
    let x = [0.5, -1.0, 2.0];
    let found = predict(text, 1, &[("x", x.to_vec()), ("t", vec![0.0, 1.0, 0.0]), ("b", vec![1.0])]);
    let total: f64 = x.iter().map(|x: &f64| x.exp()).sum();
    let entropy = |t: [f64; 3]| -t.iter().zip(x).map(|(t, x)| t * (x - total.ln())).sum::<f64>();
    close(&found("c"), &[entropy([0.1, 0.8, 0.1])]);
    let p = 1.0 / (1.0 + (-x[0]).exp());
    close(&found("d"), &[-(0.9 * p.ln() + 0.1 * (1.0 - p).ln())]);
}

#[test]
fn epsilon_stands_before_or_after_the_correction() {
    // The first step of Adam by a gradient g: m̂ = g and v̂ = g², and with t = 1 the correction of sqrt(v) is sqrt(1 - β2).
    let (g, epsilon): (f64, f64) = (0.5, 0.1);
    for name in ["adam", "adamw"] {
        let step = |mode: &str| {
            let decay = if name == "adamw" { ", weight_decay=0" } else { "" };
            let text = format!(
                "input x: f32[batch]\nparam w: f32 = 0\nloss l = w * x
                 train {{ minimize l  optimizer {name}(lr=1, epsilon={epsilon}, epsilon_mode=\"{mode}\"{decay}) }}"
            );
            param(&train(&text, 1, 1, &Feeds::from([("x".to_string(), vec![g])])), "w")
        };
        close(&step("post_correction"), &[-g / (g + epsilon)]);
        let correction = (1.0 - 0.999_f64).sqrt();
        close(&step("pre_correction"), &[-g * correction / (g * correction + epsilon)]);
    }
}

#[test]
fn a_plateau_lowers_the_rate() {
    let compiled = compiled(
        "input x: f32[batch]
         param w: f32 = 0
         loss total = x + 0 * w
         train { minimize total  optimizer sgd(lr=reduce_on_plateau(total, from=0.1, patience=2, to=0.03)) }",
    );
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, 2, Mode::Planned);
    let state = compiled.module.states.keys().find(|name| name.ends_with("rate")).unwrap().clone();
    let mut rates = Vec::new();
    // Two steps an epoch, whose mean counts.
    for (epoch, loss) in [5.0, 4.0, 4.0, 4.00001, 3.0, 3.0, 2.99999].into_iter().enumerate() {
        for (half, value) in [(0, loss - 1.0), (1, loss + 1.0)] {
            feed(&mut step, &Feeds::from([("x".to_string(), vec![value; 2])]));
            let clock =
                Clock { step: 2 * epoch as i32 + half, epoch: epoch as i32, epoch_end: half == 1, ..Clock::default() };
            step.run(&mut store, clock).unwrap();
        }
        rates.push(floats(store.find(StoreKind::State, &state).unwrap())[0]);
    }
    assert_eq!(rates, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25]);
}

/// The params and states after `n` steps of batches of `rows` rows out of 24, by name.
fn carried_after(optimizer: &str, rows: usize, n: usize) -> BTreeMap<String, Vec<f64>> {
    let text = format!(
        "input x: f32[batch, 2]
         target t: f32[batch]
         param w: f32[2] = stack([0.5, -0.25])
         param b: f32 = 0.1
         loss total = square(sum(x * w, axes=1) + b - t)
         optimizer again(param, grad, inner, every: int) {{
             state total = zeros_like(param)
             let sum_so_far = total + grad
             update total = where(remainder(step + 1, every) == 0, 0, sum_so_far)
             return step_every(every, inner, param, sum_so_far / every)
         }}
         train {{ minimize total  optimizer {optimizer} }}"
    );
    let compiled = compiled(&text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, rows, Mode::Planned);
    for i in 0..n {
        let x = (2 * i * rows..2 * (i + 1) * rows).map(|k| (k as f64 * 0.7).sin()).collect();
        let t = (i * rows..(i + 1) * rows).map(|k| (k as f64 * 1.3).cos()).collect();
        feed(&mut step, &Feeds::from([("x".to_string(), x), ("t".to_string(), t)]));
        step.run(&mut store, Clock { step: i as i32, ..Clock::default() }).unwrap();
    }
    store.entries().map(|entry| (entry.name().to_string(), floats(entry.values()))).collect()
}

#[test]
fn accumulated_batches_are_one_large_batch() {
    // What counts its steps (adam, nadam), what keeps momentum, what is wrapped twice.
    for inner in ["sgd(lr=0.1, momentum=0.9)", "adam(lr=0.05)", "nadam(lr=0.05)", "adafactor(lr=0.05)"] {
        let large = carried_after(inner, 6, 4);
        let small = carried_after(&format!("accumulated({inner}, every=3)"), 2, 12);
        let twice = carried_after(&format!("again(accumulated({inner}, every=2), every=3)"), 1, 24);
        for (name, wanted) in &large {
            for (found, below) in [(&small, "accumulated."), (&twice, "again.accumulated.")] {
                let own = name.replacen('.', &format!(".{below}"), 1);
                let found = &found[&own];
                let error = difference(found, wanted);
                assert!(error < 1e-12, "{own} of {inner}: {found:?} is not {wanted:?}");
            }
        }
    }
    // Between its steps the param and the inner states rest.
    let (at_4, at_5) = (
        carried_after("accumulated(adam(lr=0.05), every=4)", 2, 4),
        carried_after("accumulated(adam(lr=0.05), every=4)", 2, 5),
    );
    for name in ["w", "b", "w.accumulated.adam.m", "w.accumulated.adam.v"] {
        assert_eq!(at_4[name], at_5[name]);
    }
    assert_eq!(at_4["w.accumulated.total"], [0.0, 0.0]);
    assert_ne!(at_5["w.accumulated.total"], [0.0, 0.0]);
}

#[test]
fn only_optimizers_are_accumulated_and_only_in_optimizers() {
    for (optimizer, value, code) in [
        ("accumulated(dense, every=2)", "w * x", Code::E0406),
        ("accumulated(sgd(lr=1), every=0)", "w * x", Code::E0304),
        ("accumulated(accumulated(sgd(lr=1)))", "w * x", Code::E0205),
        ("sgd(lr=1)", "step_every(2, sgd, w, w) * x", Code::E0402),
        ("sgd(lr=1)", "predicted_by(w, w, w) * x", Code::E0402),
        ("by_gradient()", "w * x", Code::E0402),
    ] {
        let text = format!(
            "optimizer by_gradient(param, grad) {{ return predicted_by(param, grad, param) }}\n\
             input x: f32[batch]\nparam w: f32 = 0\nloss l = {value}\ntrain {{ minimize l  optimizer {optimizer} }}\n"
        );
        let mut sources = SourceMap::default();
        let id = sources.add("test.anb", text);
        let findings = compile(&mut sources, id, &Options::default()).unwrap_err().0;
        assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [code], "{optimizer}");
    }
}

#[test]
fn averaged_params_predict_by_their_running_mean() {
    let text = "input x: f32[batch]
        layer line(x: f32[batch]) {
            param w: f32 = 1
            return x * averaged(w, decay=0.5)
        }
        output y = line(x)
        loss l = y
        train { minimize l  optimizer sgd(lr=1) }";
    let compiled = compiled(text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, 1, Mode::Planned);
    feed(&mut step, &Feeds::from([("x".to_string(), vec![1.0])]));
    for i in 0..3 {
        step.run(&mut store, Clock { step: i, ..Clock::default() }).unwrap();
    }
    // The param falls by 1 a step: steps start from 1, 0, -1.
    close(&param(&store, "y.line.w"), &[-2.0]);
    let mut program = executor::<f64>(&compiled.simplified.predict, 1, Mode::Planned);
    feed(&mut program, &Feeds::from([("x".to_string(), vec![1.0])]));
    program.run(&mut store, Clock::default()).unwrap();
    close(
        &floats(program.result(program.fetch(Role::Output, "y").unwrap()).unwrap()),
        &[0.5 * (0.5 * 1.0 + 0.5 * 0.0) - 0.5],
    );
}

#[test]
fn averaging_predicts_and_evaluates_by_running_means() {
    let text = "input x: f32[batch, 2]
        target t: f32[batch]
        let hidden = x |> dense(units=1, init=ones())
        output y = hidden |> reshape([batch])
        loss l = t * y
        train { minimize l  optimizer averaging(sgd(lr=1), decay=0.5) }";
    let compiled = compiled(text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    let mut step = executor::<f64>(&compiled.simplified.train, 1, Mode::Planned);
    let feeds = Feeds::from([("x".to_string(), vec![1.0, 2.0]), ("t".to_string(), vec![1.0])]);
    feed(&mut step, &feeds);
    for i in 0..3 {
        step.run(&mut store, Clock { step: i, ..Clock::default() }).unwrap();
    }
    // The kernel falls by x a step, the bias by 1. Steps start from 1, 0, -1; from 1, -1, -3; from 0, -1, -2.
    close(&param(&store, "hidden.dense.kernel"), &[-2.0, -5.0]);
    let mean = |values: [f64; 3]| values.iter().fold(values[0], |mean, value| 0.5 * mean + 0.5 * value);
    let wanted = mean([1.0, 0.0, -1.0]) + 2.0 * mean([1.0, -1.0, -3.0]) + mean([0.0, -1.0, -2.0]);
    for (program, role, name) in
        [(&compiled.simplified.predict, Role::Output, "y"), (&compiled.simplified.evaluate, Role::Loss, "l")]
    {
        let mut program = executor::<f64>(program, 1, Mode::Planned);
        feed(&mut program, &feeds);
        program.run(&mut store, Clock::default()).unwrap();
        close(&floats(program.result(program.fetch(role, name).unwrap()).unwrap()), &[wanted]);
    }
}

#[test]
fn noise_is_of_training_alone() {
    let calls = [
        ("dropout(x, rate=0.25)", 1.0, 0.02),
        ("spatial_dropout2d(x, rate=0.25)", 1.0, 0.1),
        ("gaussian_noise(x, std=0.5)", 1.0, 0.02),
        ("gaussian_dropout(x, rate=0.2)", 1.0, 0.02),
        ("alpha_dropout(x - 1, rate=0.2) + 1", 1.0, 0.05),
    ];
    for (call, wanted, slack) in calls {
        let text = format!(
            "input x: f32[batch, 10, 10, 40]\nparam w: f32 = 0\nstate seen: f32 = 0\noutput y = {call}
             update seen = mean(y)\nloss l = mean(y * w, axes=[1, 2, 3])
             train {{ minimize l  optimizer sgd() }}"
        );
        let x = vec![1.0; 4 * 4000];
        assert_eq!(predict(&text, 4, &[("x", x.clone())])("y"), x, "{call} in prediction");
        let store = train(&text, 4, 1, &Feeds::from([("x".to_string(), x)]));
        let seen = floats(store.find(StoreKind::State, "seen").unwrap())[0];
        assert!((seen - wanted).abs() < slack && seen != wanted, "{call} has mean {seen} in training");
    }
}

#[test]
fn causal_attention_does_not_look_ahead() {
    let text = "input x: f32[batch, 5, 8]\noutput y = multi_head_attention(x, heads=4, key_heads=2, causal=true)";
    let first = numbers(40);
    let mut second = first.clone();
    second[24..].iter_mut().for_each(|value| *value += 1.0);
    let (a, b) = (predict(text, 1, &[("x", first)])("y"), predict(text, 1, &[("x", second)])("y"));
    close(&a[..24], &b[..24]);
    assert!(difference(&a[24..], &b[24..]) > 1e-3);
}

#[test]
fn a_simple_recurrence_follows_its_formula() {
    let text = "input x: f32[batch, 3, 2]
        output h = simple_rnn(x, units=1, sequences=true, init=constant(0.5), recurrent_init=constant(0.25))
        output last = simple_rnn(x, units=1, reverse=true, init=constant(0.5), recurrent_init=constant(0.25))";
    let x = numbers(6);
    let now = |t: usize, h: f64| (0.5 * (x[2 * t] + x[2 * t + 1]) + 0.25 * h).tanh();
    let (first, backwards) = (now(0, 0.0), now(2, 0.0));
    let found = predict(text, 1, &[("x", x.clone())]);
    close(&found("h"), &[first, now(1, first), now(2, now(1, first))]);
    close(&found("last"), &[now(0, now(1, backwards))]);
}

#[test]
fn masked_keys_are_not_read() {
    let text = "input x: f32[batch, 3, 4]\ninput keep: f32[batch, 3]
        output y = multi_head_attention(x, heads=2, mask=keep > 0.5)";
    let first = numbers(12);
    let mut second = first.clone();
    second[8..].iter_mut().for_each(|value| *value -= 0.7);
    let keep = vec![1.0, 1.0, 0.0];
    let a = predict(text, 1, &[("x", first), ("keep", keep.clone())])("y");
    let b = predict(text, 1, &[("x", second), ("keep", keep)])("y");
    close(&a[..8], &b[..8]);
}

#[test]
fn spectral_norm_leaves_a_largest_singular_value_of_one() {
    let text = "input x: f32[batch, 2]
        layer normal_dense(x: f32[batch, N], units: int) {
            param kernel: f32[N, units] = constant(3)
            return x @ spectral_norm(kernel)
        }
        output y = normal_dense(x, units=3)
        loss l = 0 * sum(y, axes=1)
        train { minimize l  optimizer sgd(lr=0) }";
    // A matrix of equal elements has one singular value, here 3 √6, and its image of (1, 1) is 2 / √6 times ones.
    let found = predict(text, 1, &[("x", vec![1.0, 1.0])])("y");
    close(&found, &[2.0 / 6.0_f64.sqrt(); 3]);
}

#[test]
fn muon_steps_are_nearly_orthogonal() {
    let text = "input x: f32[batch, 3]
        param w: f32[3, 3] = zeros()
        param b: f32[3] = zeros()
        loss l = sum((x @ w + b) * x ** 3, axes=1)
        train { minimize l  optimizer muon(lr=1, momentum=0, nesterov=false) }";
    let store = train(text, 4, 1, &Feeds::from([("x".to_string(), numbers(12))]));
    let w = param(&store, "w");
    // Singular values between about 0.7 and 1.2: the squares of the columns sum to between 3 · 0.45 and 3 · 1.5.
    let total: f64 = w.iter().map(|value| value * value).sum();
    assert!((1.35..4.5).contains(&total), "{w:?}");
    assert!(param(&store, "b").iter().all(|value| (value.abs() - 0.001).abs() < 1e-6));
}

#[test]
fn adafactor_keeps_rows_and_columns_of_matrices() {
    let text = "input x: f32[batch, 2]
        param w: f32[2, 3] = ones()
        loss l = sum(x @ w, axes=1)
        train { minimize l  optimizer adafactor(lr=0.1) }";
    let store = train(text, 1, 1, &Feeds::from([("x".to_string(), vec![1.0, 2.0])]));
    // The squares 1 and 4 of a rank-one gradient are known exactly from rows and columns: each step is 0.1 rms(w).
    close(&param(&store, "w"), &[0.9; 6]);
}

#[test]
fn einsum_sums_over_named_axes() {
    let text = "input a: f32[batch, 2, 3]\ninput b: f32[batch, 3, 2]
        output product = einsum(\"bij,bjk->bki\", a, b)\noutput trace = einsum(\"bij,bji->b\", a, b)
        output sums = einsum(\"bij->jb\", a)\noutput outer = einsum(\"bij,bkl->bikjl\", a, b)
        output lonely = einsum(\"bij,bkl->bil\", a, b)";
    let (a, b) = (numbers(6), numbers(12)[6..].to_vec());
    let found = predict(text, 1, &[("a", a.clone()), ("b", b.clone())]);
    let at = |i: usize, j: usize| a[i * 3 + j];
    let to = |j: usize, k: usize| b[j * 2 + k];
    let entry = |i: usize, k: usize| (0..3).map(|j| at(i, j) * to(j, k)).sum::<f64>();
    close(&found("product"), &[entry(0, 0), entry(1, 0), entry(0, 1), entry(1, 1)]);
    close(&found("trace"), &[entry(0, 0) + entry(1, 1)]);
    close(&found("sums"), &[at(0, 0) + at(1, 0), at(0, 1) + at(1, 1), at(0, 2) + at(1, 2)]);
    close(&found("outer")[..4], &[at(0, 0) * to(0, 0), at(0, 0) * to(0, 1), at(0, 1) * to(0, 0), at(0, 1) * to(0, 1)]);
    let (row, column) = ((0..3).map(|j| at(0, j)).sum::<f64>(), (0..3).map(|k| to(k, 0)).sum::<f64>());
    close(&found("lonely")[..1], &[row * column]);
}

#[test]
fn activations_follow_their_formulas() {
    let text = "input x: f32[batch, 4]\noutput s = sparsemax(x)\noutput g = glu(x)\noutput h = hard_shrink(x)
        output o = soft_shrink(x)\noutput t = thresholded_relu(x)\noutput l = log_sigmoid(x)\noutput p = sinusoidal_positions(reshape(x, [batch, 2, 2]))";
    let found = predict(text, 1, &[("x", vec![2.0, 1.5, -1.0, 0.2])]);
    close(&found("s"), &[0.75, 0.25, 0.0, 0.0]);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    close(&found("g"), &[2.0 * sigmoid(-1.0), 1.5 * sigmoid(0.2)]);
    close(&found("h"), &[2.0, 1.5, -1.0, 0.0]);
    close(&found("o"), &[1.5, 1.0, -0.5, 0.0]);
    close(&found("t"), &[2.0, 1.5, 0.0, 0.0]);
    close(&found("l")[..1], &[sigmoid(2.0).ln()]);
    close(&found("p"), &[2.0, 2.5, -1.0 + 1.0_f64.sin(), 0.2 + 1.0_f64.cos()]);
}

/// -log of the summed probability of all ways to write `labels` in the frames, by trying every sequence of classes.
fn ctc_by_enumeration(log_probabilities: &[Vec<f64>], labels: &[i32], blank: usize) -> f64 {
    let classes = log_probabilities[0].len();
    let mut total = 0.0;
    for mut way in 0..classes.pow(log_probabilities.len() as u32) {
        let (mut spelled, mut last, mut log) = (Vec::new(), blank, 0.0);
        for frame in log_probabilities {
            let class = way % classes;
            way /= classes;
            log += frame[class];
            if class != last && class != blank {
                spelled.push(class as i32);
            }
            last = class;
        }
        if spelled == labels {
            total += log.exp();
        }
    }
    -f64::ln(total)
}

#[test]
fn ctc_sums_over_all_alignments() {
    // Different labels, a repeated one, a shorter text, an empty one, fewer frames than there are.
    let labels: [&[i32]; 5] = [&[1, 2], &[2, 2], &[2], &[], &[1, 2]];
    let frames = [5, 5, 5, 5, 3];
    let (n_frames, classes) = (5, 3);
    let logits: Vec<f64> = (0..5 * n_frames * classes).map(|i| (1.7 * i as f64).sin() * 2.0).collect();
    let spec = |frames: &str| {
        format!(
            "input labels: i32[batch, L]
             input logits: f32[batch, T, 3]
             input frames: i32[batch]
             param shift: f32[3] = [0.1, -0.2, 0.3]
             output l = ctc(labels, logits + shift{frames}) + f32(frames) * 0
             loss total = l
             train {{ minimize total optimizer sgd(lr=1) }}"
        )
    };
    let padded: Vec<f64> =
        labels.iter().flat_map(|labels| (0..2).map(|i| labels.get(i).copied().map_or(0.0, f64::from))).collect();
    let feeds = Feeds::from([
        ("labels".into(), padded),
        ("logits".into(), logits.clone()),
        ("frames".into(), frames.map(f64::from).to_vec()),
    ]);
    let wanted = |shift: &[f64]| -> Vec<f64> {
        let of_sample = |(sample, labels): (usize, &&[i32])| {
            let frame = |time: usize| -> Vec<f64> {
                let at = (sample * n_frames + time) * classes;
                let row: Vec<f64> = (0..classes).map(|class| logits[at + class] + shift[class]).collect();
                let norm = row.iter().map(|x| x.exp()).sum::<f64>().ln();
                row.into_iter().map(|x| x - norm).collect()
            };
            let rows: Vec<Vec<f64>> = (0..frames[sample] as usize).map(frame).collect();
            ctc_by_enumeration(&rows, labels, 0)
        };
        labels.iter().enumerate().map(of_sample).collect()
    };
    let sizes = DimSizes::from([("batch".into(), 5), ("T".into(), n_frames), ("L".into(), 2)]);
    let compiled = compiled(&spec(", frames=frames"));
    for mode in [Mode::Planned, Mode::Reference] {
        let mut store = initial::<f64>(&compiled, mode);
        let mut program = Executor::<f64>::new(&compiled.simplified.predict, &sizes, &values::options(mode)).unwrap();
        feed(&mut program, &feeds);
        program.run(&mut store, Clock::default()).unwrap();
        close(&floats(program.result(0).unwrap()), &wanted(&[0.1, -0.2, 0.3]));
        let mut program = Executor::<f64>::new(&compiled.simplified.gradients, &sizes, &values::options(mode)).unwrap();
        feed(&mut program, &feeds);
        program.run(&mut store, Clock::default()).unwrap();
        let mean = |shift: [f64; 3]| wanted(&shift).iter().sum::<f64>() / 5.0;
        let slope = |class: usize| {
            let moved = |by: f64| std::array::from_fn(|i| [0.1, -0.2, 0.3][i] + if i == class { by } else { 0.0 });
            (mean(moved(1e-5)) - mean(moved(-1e-5))) / 2e-5
        };
        let found = floats(program.result(0).unwrap());
        let slopes: Vec<f64> = (0..3).map(slope).collect();
        assert!(difference(&found, &slopes) <= 1e-7, "{found:?} is not {slopes:?}");
    }
}

/// The code of the first finding of a spec that must fail.
fn refused(text: &str) -> Code {
    let mut sources = SourceMap::default();
    let id = sources.add("test.anb", text);
    let Err(findings) = compile(&mut sources, id, &Options::default()) else { panic!("compiles: {text}") };
    findings.0[0].code
}

#[test]
fn mistakes_in_arguments_are_explained() {
    let x = "input x: f32[batch, T, 3]\noutput y = ";
    assert_eq!(refused(&format!("{x}einsum(\"bij->bii\", x)")), Code::E0304);
    assert_eq!(refused(&format!("{x}einsum(\"bi->b\", x)")), Code::E0301);
    assert_eq!(refused(&format!("{x}einsum(\"bij,bij->b\", x)")), Code::E0304);
    assert_eq!(refused(&format!("{x}einsum(\"bij,bkj->bik\", x, x[:, 0:2, 0:2])")), Code::E0301);
    assert_eq!(refused(&format!("{x}unroll(relu, x, [x[:, 0]])")), Code::E0305);
    assert_eq!(refused(&format!("{x}pad(x, [1, 2])")), Code::E0304);
    assert_eq!(refused(&format!("{x}repeat_elements(x, 2, axis=7)")), Code::E0303);
    assert_eq!(refused("const n = 20000\ninput x: f32[batch]\noutput y = x * len(range(0, n))"), Code::E0701);
}

#[test]
fn tensors_are_reduced_scattered_and_ranked() {
    let x = [3.0, -1.0, 2.0, 0.5, 4.0, -2.0];
    let text = "input x: f32[batch, 3]
        input at: i32[batch, 3]
        output whole = broadcast(product(x), [batch])
        output by_row = product(x, axes=1)
        output slope = grad(product(x), x)
        output kept = x * product(x, axes=1, keep=true)
        output spread = variance(x, axes=1)
        output all_spread = broadcast(variance(x), [batch])
        output two = top_k(x, 2)[0]
        output places = f32(top_k(x, k=2)[1])
        output table = broadcast(scatter_add(at, x, 4), [batch, 4])
        output spread_slope = grad(sum(square(scatter_add(at, x, 4))), x)";
    // The last index is outside the table, so its value is left out.
    let at = vec![0.0, 2.0, 0.0, 2.0, 3.0, 7.0];
    let found = predict(text, 2, &[("x", x.to_vec()), ("at", at)]);
    let whole: f64 = x.iter().product();
    close(&found("whole"), &[whole; 2]);
    close(&found("by_row"), &[-6.0, -4.0]);
    close(&found("slope"), &x.map(|x| whole / x));
    close(&found("kept"), &[-18.0, 6.0, -12.0, -2.0, -16.0, 8.0]);
    let spread = |x: &[f64]| {
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64
    };
    close(&found("spread"), &[spread(&x[0..3]), spread(&x[3..6])]);
    close(&found("all_spread"), &[spread(&x); 2]);
    close(&found("two"), &[3.0, 2.0, 4.0, 0.5]);
    close(&found("places"), &[0.0, 2.0, 1.0, 0.0]);
    close(&found("table"), &[5.0, 0.0, -0.5, 4.0, 5.0, 0.0, -0.5, 4.0]);
    close(&found("spread_slope"), &[10.0, -1.0, 10.0, -1.0, 8.0, 0.0]);
}

#[test]
fn bernoulli_draws_are_zeros_and_ones() {
    let found = predict(
        "input x: f32[batch, 1000]\noutput y = random_bernoulli([batch, 1000], p=0.3) + 0 * x",
        4,
        &[("x", vec![0.0; 4000])],
    )("y");
    assert!(found.iter().all(|value| *value == 0.0 || *value == 1.0));
    let share = found.iter().sum::<f64>() / 4000.0;
    assert!((share - 0.3).abs() < 0.03, "{share}");
}

#[test]
fn transposed_convolutions_are_the_derivatives_of_convolutions() {
    // By its input, at the cotangent c, with the kernel that the transposed layer has.
    let ramp = "initializer ramp(shape) { return reshape(sin(f32(positions(product(shape)))), shape) }\n";
    let cases = [
        ("conv1d_transpose", "5, 3", "11, 2", "[3, 2, 3]", "kernel=3, stride=2", "strides=2"),
        ("conv1d_transpose", "4, 3", "8, 2", "[3, 2, 3]", "kernel=3, dilation=2", "dilation=2"),
        ("conv3d_transpose", "2, 3, 1, 2", "4, 6, 3, 3", "[2, 2, 3, 3, 2]", "kernel=[2, 2, 3], stride=2", "strides=2"),
    ];
    for (layer, from, to, kernel, given, convolution) in cases {
        let size =
            |extents: &str| extents.split(", ").map(|extent| extent.parse::<usize>().unwrap()).product::<usize>();
        let filters = to.rsplit(", ").next().unwrap();
        let text = format!(
            "{ramp}input c: f32[batch, {from}]
             input z: f32[batch, {to}]
             param k: f32{kernel} = ramp()
             output ours = {layer}(c, filters={filters}, {given}, bias=false, init=ramp)
             output theirs = grad(sum(convolution(z, k, {convolution}) * c), z)"
        );
        let numbers = |n: usize| (0..n).map(|i| (0.37 * i as f64).cos()).collect::<Vec<_>>();
        let found = predict(&text, 2, &[("c", numbers(2 * size(from))), ("z", numbers(2 * size(to)))]);
        close(&found("ours"), &found("theirs"));
    }
}

#[test]
fn one_and_three_axes_are_padded_cropped_and_repeated() {
    let text = "input x: f32[batch, 3, 1]
        input v: f32[batch, 2, 1, 2, 1]
        output longer = upsample1d(x)
        output larger = upsample3d(v, size=[1, 2, 3])
        output padded = zero_pad1d(x, padding=[1, 2])
        output cropped = crop1d(x)
        output first = crop1d(x, cropping=[0, 2])
        output back = crop3d(zero_pad3d(v, padding=[[1, 0], 2, 3]), cropping=[[1, 0], 2, 3])
        output around = zero_pad3d(v, padding=[[1, 0], 0, [0, 1]])";
    let found = predict(text, 1, &[("x", vec![1.0, 2.0, 3.0]), ("v", vec![1.0, 2.0, 3.0, 4.0])]);
    close(&found("longer"), &[1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
    let row = |a: f64, b: f64| [a, a, a, b, b, b, a, a, a, b, b, b];
    close(&found("larger"), &[row(1.0, 2.0), row(3.0, 4.0)].concat());
    close(&found("padded"), &[0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
    close(&found("cropped"), &[2.0]);
    close(&found("first"), &[1.0]);
    close(&found("back"), &[1.0, 2.0, 3.0, 4.0]);
    close(&found("around"), &[0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
}
