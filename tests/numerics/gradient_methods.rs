//! The library's combiners that need more than one Gramian, each held against its rule computed here: those with states, those
//! that act on the gradients' elements, and those that look at a loss after the step.

use crate::common::run::{Run, compile};
use anabranch::diag::SourceMap;
use anabranch::lower::{Library, Options, library_index};

const J: [[f64; 4]; 4] =
    [[1.0, 0.5, -2.0, 0.25], [-0.5, 2.0, 1.0, 0.75], [0.25, -1.0, 1.5, -1.25], [2.0, 1.0, 0.5, -0.5]];

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn near(found: &[f64], wanted: &[f64], what: &str) {
    let scale = wanted.iter().fold(1e-9, |scale: f64, x| scale.max(x.abs()));
    let is_near = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-7 * scale);
    assert!(is_near, "{what}: {found:?}, not {wanted:?}");
}

/// `Σ w_i g_i`
fn combined(weights: &[f64], gradients: &[[f64; 4]]) -> Vec<f64> {
    (0..4).map(|j| weights.iter().zip(gradients).map(|(w, g)| w * g[j]).sum()).collect()
}

fn lengths(gradients: &[[f64; 4]]) -> Vec<f64> {
    gradients.iter().map(|g| dot(g, g).sqrt()).collect()
}

/// Losses that are linear in `theta` and in a param of their own, with the gradients of J.
fn spec(call: &str, train: &str) -> String {
    let mut text = "input x: f32[batch]\nparam theta: f32[4] = [0.3, -0.2, 0.1, 0.4]\n".to_string();
    for (i, gradient) in J.iter().enumerate() {
        text += &format!("param h{i}: f32 = 40\nloss l{i} = sum(theta * stack({gradient:?})) + h{i} + 0 * mean(x)\n");
    }
    text + &format!("loss total = {}\ntrain {{ {train} }}\n", call.replace("LOSSES", "l0, l1, l2, l3"))
}

/// For each of some steps: the losses before it, how far the shared params went, and how far those of one loss each.
fn steps(call: &str, n: usize) -> Vec<(Vec<f64>, Vec<f64>, Vec<f64>)> {
    let mut run = Run::new(&spec(call, "minimize total optimizer sgd(lr=1)"));
    run.feed("x", &[1.0]);
    let own = |run: &Run| (0..4).flat_map(|i| run.param(&format!("h{i}"))).collect::<Vec<f64>>();
    let moved = |before: &[f64], after: Vec<f64>| before.iter().zip(after).map(|(a, b)| a - b).collect::<Vec<f64>>();
    (0..n)
        .map(|_| {
            let (theta, heads) = (run.param("theta"), own(&run));
            let losses = J.iter().zip(&heads).map(|(g, h)| dot(g, &theta) + h).collect();
            run.step(1);
            (losses, moved(&theta, run.param("theta")), moved(&heads, own(&run)))
        })
        .collect()
}

/// The nearest point of the simplex, by bisection of the threshold.
fn simplex(x: &[f64]) -> Vec<f64> {
    let (mut low, mut high) = (-10.0, 10.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        let sum: f64 = x.iter().map(|x| (x - middle).max(0.0)).sum();
        if sum > 1.0 { low = middle } else { high = middle }
    }
    x.iter().map(|x| (x - low).max(0.0)).collect()
}

#[test]
fn krum_takes_the_gradients_that_are_near_to_others() {
    let distance = |i: usize, j: usize| (0..4).map(|k| (J[i][k] - J[j][k]).powi(2)).sum::<f64>().sqrt();
    let mut scores: Vec<(f64, usize)> = (0..4)
        .map(|i| {
            let others = (0..4).filter(|j| *j != i).map(|j| distance(i, j));
            (others.fold(f64::INFINITY, f64::min), i)
        })
        .collect();
    scores.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    for selected in 1..=4 {
        let mut weights = [0.0; 4];
        scores[..selected].iter().for_each(|(_, i)| weights[*i] = 1.0 / selected as f64);
        let (_, shared, heads) = steps(&format!("krum(LOSSES, n_far=1, selected={selected})"), 1).remove(0);
        near(&shared, &combined(&weights, &J), "krum");
        near(&heads, &[1.0; 4], "heads");
    }
}

#[test]
fn a_trimmed_mean_leaves_the_ends_of_each_element_out() {
    for trim in [0, 1] {
        let wanted: Vec<f64> = (0..4)
            .map(|j| {
                let mut column: Vec<f64> = J.iter().map(|g| g[j]).collect();
                column.sort_by(f64::total_cmp);
                let kept = &column[trim..4 - trim];
                kept.iter().sum::<f64>() / kept.len() as f64
            })
            .collect();
        near(&steps(&format!("trimmed_mean(LOSSES, trim={trim})"), 1)[0].1, &wanted, "trimmed mean");
    }
}

#[test]
fn graddrop_keeps_one_sign_in_each_element() {
    let mut seen = [false; 2];
    for (_, shared, heads) in steps("graddrop(LOSSES)", 20) {
        near(&heads, &[1.0; 4], "heads");
        for (j, found) in shared.iter().enumerate() {
            let part = |sign: f64| J.iter().map(|g| (sign * g[j]).max(0.0)).sum::<f64>() * sign;
            let (positive, negative) = (part(1.0), part(-1.0));
            let is = |wanted: f64| (found - wanted).abs() < 1e-9;
            assert!(is(positive) || is(negative), "{found} is neither {positive} nor {negative}");
            seen[usize::from(is(positive))] = true;
        }
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn weights_by_lengths_follow_their_running_means() {
    let length = lengths(&J);
    let mean = length.iter().sum::<f64>() / 4.0;
    let mut weights = [1.0; 4];
    for (_, shared, heads) in steps("gradnorm_ratio(LOSSES, momentum=0.7, every=1)", 3) {
        weights = std::array::from_fn(|i| 0.7 * weights[i] + 0.3 * mean / length[i]);
        near(&shared, &combined(&weights, &J), "gradnorm_ratio");
        near(&heads, &weights, "gradnorm_ratio's heads");
    }
    let kept = steps("gradnorm_ratio(LOSSES, every=2)", 4);
    near(&kept[1].2, &kept[0].2, "kept between");
    assert!((kept[2].2[0] - kept[1].2[0]).abs() > 1e-6);

    let size: Vec<f64> = J.iter().map(|g| g.iter().map(|x| x.abs()).sum::<f64>() / 4.0).collect();
    let largest = J[0].iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    for (reference, target) in [("mean", size[0]), ("max", largest)] {
        let mut weights = [1.0; 4];
        let call = format!("lr_annealing(LOSSES, rate=0.2, reference=\"{reference}\")");
        for (_, shared, heads) in steps(&call, 3) {
            let moved = |i: usize| if i == 0 { 1.0 } else { 0.8 * weights[i] + 0.2 * target / (size[i] + 1e-8) };
            weights = std::array::from_fn(moved);
            near(&shared, &combined(&weights, &J), &call);
            near(&heads, &weights, &call);
        }
    }
}

#[test]
fn excess_risks_are_relative_to_the_first() {
    let mut weights = [1.0; 4];
    let mut squares = [[0.0; 4]; 4];
    let mut first = [0.0; 4];
    for (n, (_, shared, heads)) in steps("excess(LOSSES, rate=0.5)", 4).into_iter().enumerate() {
        let mut risks = [0.0; 4];
        for i in 0..4 {
            for j in 0..4 {
                squares[i][j] += J[i][j] * J[i][j];
                risks[i] += J[i][j] * J[i][j] / (squares[i][j] + 1e-7_f64).sqrt();
            }
        }
        if n == 0 {
            first = risks;
        } else {
            let grown: Vec<f64> = (0..4).map(|i| weights[i] * (0.5 * risks[i] / first[i]).exp()).collect();
            let sum: f64 = grown.iter().sum();
            weights = std::array::from_fn(|i| 4.0 * grown[i] / sum);
        }
        near(&shared, &combined(&weights, &J), "excess");
        near(&heads, &weights, "excess's heads");
    }
}

#[test]
fn running_gradients_are_brought_to_one_length() {
    let mut means = [[0.0; 4]; 4];
    for (losses, shared, heads) in steps("db_mtl(LOSSES, beta=0.6)", 3) {
        for i in 0..4 {
            for j in 0..4 {
                means[i][j] = 0.6 * means[i][j] + 0.4 * J[i][j] / (losses[i] + 1e-8);
            }
        }
        let length = lengths(&means);
        let longest = length.iter().copied().fold(0.0, f64::max);
        let weights: Vec<f64> = length.iter().map(|own| longest / own).collect();
        near(&shared, &combined(&weights, &means), "db_mtl");
        near(&heads, &losses.iter().map(|l| 1.0 / (l + 1e-8)).collect::<Vec<_>>(), "heads by ln L");
    }
}

#[test]
fn moco_follows_running_gradients() {
    let mut means = [[0.0; 4]; 4];
    let mut weights = vec![0.25; 4];
    for (n, (_, shared, heads)) in steps("moco(LOSSES, beta=0.5, gamma=0.3, rho=0.1)", 4).into_iter().enumerate() {
        let fall = 1.0 / ((n + 1) as f64).sqrt();
        for i in 0..4 {
            for j in 0..4 {
                means[i][j] += 0.5 * fall * (J[i][j] - means[i][j]);
            }
        }
        let along = combined(&weights, &means);
        let moved: Vec<f64> =
            (0..4).map(|i| weights[i] - 0.3 * fall * (dot(&means[i], &along) + 0.1 * weights[i])).collect();
        weights = simplex(&moved);
        near(&shared, &combined(&weights, &means), "moco");
        near(&heads, &[1.0; 4], "heads");
    }
}

/// The same as objectives with an Adam each, whose steps are added.
#[test]
fn autobalance_adds_the_steps_of_an_adam_for_each_loss() {
    let train = "minimize l0 minimize l1 minimize l2 minimize l3
        optimizer adam(lr=1, epsilon=1e-8) per objective for theta\noptimizer sgd(lr=1)";
    let mut other = Run::new(&spec("l0 + l1 + l2 + l3", train));
    other.feed("x", &[1.0]);
    for (_, shared, heads) in steps("autobalance(LOSSES)", 3) {
        let before = other.param("theta");
        other.step(1);
        let moved: Vec<f64> = before.iter().zip(other.param("theta")).map(|(a, b)| a - b).collect();
        near(&shared, &moved, "autobalance");
        near(&heads, &[1.0; 4], "heads");
    }
}

#[test]
fn famo_weighs_by_how_much_each_loss_fell() {
    // Losses 2 and 4, which the first step takes to 1.8 and 3.9: the published step by hand.
    let text = "input x: f32[batch]\nparam p: f32 = 2\nparam q: f32 = 4
        loss a = p + 0 * mean(x)\nloss b = q\nloss total = famo(a, b, decay=0)\ntrain { minimize total optimizer sgd(lr=0.3) }";
    let mut run = Run::new(text);
    run.feed("x", &[1.0]);
    run.step(1);
    near(&[run.param("p")[0], run.param("q")[0]], &[1.8, 3.9], "the weighted step");
    let logits = run.state("total.logits");
    let shares = [1.0 / (1.0 + (logits[1] - logits[0]).exp()), 1.0 / (1.0 + (logits[0] - logits[1]).exp())];
    assert!((shares[0] - 0.487503).abs() < 1e-6 && (shares[1] - 0.512497).abs() < 1e-6, "{shares:?}");
    near(
        &run.state("total.mean_slope"),
        &[0.1 * 0.25 * (2f64 / 1.8 / (4.0 / 3.9)).ln(), -0.1 * 0.25 * (2f64 / 1.8 / (4.0 / 3.9)).ln()],
        "its slope",
    );
}

#[test]
fn weighted_losses_are_held_together() {
    let text = |call: &str| {
        format!("input x: f32[batch]\nparam p: f32 = 2\nparam q: f32 = 4\nparam r: f32 = 1
        loss a = p + 0 * mean(x)\nloss b = q\nloss c = r\nloss total = {call}\ntrain {{ minimize total optimizer sgd(lr=1) }}")
    };
    // w = ½ each: parts 1, 2, ½; |1 - 2| + |2 - ½| = 2.5.
    for (stops, is_published) in [("false", true), ("true", false)] {
        let mut run = Run::new(&text(&format!("ldc(a, b, c, strength=0.3, stops={stops})")));
        run.feed("x", &[1.0]);
        let value = run.step(1)["total"];
        near(&[value], &[3.5 / 1.5 + 0.3 * 2.5], "ldc");
        let found = [2.0 - run.param("p")[0], 4.0 - run.param("q")[0], 1.0 - run.param("r")[0]];
        // The slopes of the gaps: -1 for a, 2 for b, -1 for c, times w.
        let gaps = if is_published { [-0.5, 1.0, -0.5] } else { [0.0; 3] };
        near(&found, &gaps.map(|gap| 0.5 / 1.5 + 0.3 * gap), "ldc's losses");
        let slopes = [-2.0, 8.0, -1.0];
        let of_first = if is_published { [2.0 / 1.5, 4.0 / 1.5, 1.0 / 1.5] } else { [0.0; 3] };
        let wanted: Vec<f64> = (0..3).map(|i| -0.25 * (of_first[i] + 0.3 * slopes[i])).collect();
        near(&run.param("total.logits"), &wanted, "ldc's weights");
    }
}

/// Rows of the batch are gradients of their own: l_i[b] = x_i[b] · θ.
fn by_rows(call: &str) -> (Run, [[[f64; 2]; 3]; 2]) {
    let text = format!(
        "input x: f32[batch, 2]\ninput y: f32[batch, 2]\nparam theta: f32[2] = 0\nparam p: f32 = 0\nparam q: f32 = 0
        loss a = sum(x * theta, axes=1) + p\nloss b = sum(y * theta, axes=1) + q
        loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=1) }}"
    );
    let rows = [[[1.0, 0.5], [0.25, -1.0], [2.0, 1.0]], [[-0.5, 1.0], [1.5, 0.5], [-1.0, 0.75]]];
    let mut run = Run::new(&text);
    run.feed("x", &rows[0].concat());
    run.feed("y", &rows[1].concat());
    (run, rows)
}

#[test]
fn thirds_of_a_batch_are_gradients_of_their_own() {
    let of = |g: &[f64; 2], h: &[f64; 2]| g[0] * h[0] + g[1] * h[1];
    let (mut run, rows) = by_rows("modo(a, b, gamma=0.2)");
    run.step(3);
    let followed = [0.5 * (rows[0][1][0] + rows[1][1][0]), 0.5 * (rows[0][1][1] + rows[1][1][1])];
    let weights = simplex(&[0.5 - 0.2 * of(&rows[0][0], &followed), 0.5 - 0.2 * of(&rows[1][0], &followed)]);
    let wanted: Vec<f64> = (0..2).map(|j| -(weights[0] * rows[0][2][j] + weights[1] * rows[1][2][j])).collect();
    near(&run.param("theta"), &wanted, "modo");
    near(&[run.param("p")[0], run.param("q")[0]], &[-1.0, -1.0], "heads");

    let (mut run, rows) = by_rows("sdmgrad(a, b, strength=0.3, rounds=200)");
    run.step(3);
    // Where it rests: a fixed point of the projected step.
    let found = run.state("total.weights");
    let products: Vec<Vec<f64>> = (0..2).map(|i| (0..2).map(|j| of(&rows[i][0], &rows[j][1])).collect()).collect();
    let moved: Vec<f64> =
        (0..2).map(|i| found[i] - 0.01 * (0..2).map(|j| products[i][j] * (found[j] + 0.15)).sum::<f64>()).collect();
    near(&simplex(&moved), &found, "sdmgrad rests");
    let wanted: Vec<f64> =
        (0..2).map(|j| -((found[0] + 0.15) * rows[0][2][j] + (found[1] + 0.15) * rows[1][2][j]) / 1.3).collect();
    near(&run.param("theta"), &wanted, "sdmgrad");
}

/// Of one row the estimate is the trace.
#[test]
fn tangent_kernels_balance_their_traces() {
    let text = "input x: f32[batch]\nparam u: f32 = 1\nparam v: f32 = 2\nparam p: f32 = 3\nparam q: f32 = 1
        loss a = square(u * x + 2 * v + p)\nloss b = square(u * v * x + q)
        loss total = ntk(a, b)\ntrain { minimize total optimizer sgd(lr=1e-3) }";
    let mut run = Run::new(text);
    run.feed("x", &[3.0]);
    let before = [run.param("p")[0], run.param("q")[0]];
    run.step(1);
    let traces = [9.0 + 4.0, 36.0 + 9.0];
    let residuals = [3.0 + 4.0 + 3.0, 6.0 + 1.0];
    let wanted: Vec<f64> = (0..2).map(|i| 1e-3 * (58.0 / traces[i]) * 2.0 * residuals[i]).collect();
    near(&[before[0] - run.param("p")[0], before[1] - run.param("q")[0]], &wanted, "ntk");
}

/// The derivative of the validation loss after the step, by the weights of this step, against differences of two whole steps; through plain
/// descent, and through an optimizer with moments, decay and clipping.
#[test]
fn weights_follow_the_validation_loss_through_the_step() {
    for optimizer in
        ["optimizer sgd(lr=0.3)", "optimizer sgd(lr=0.3, momentum=0.9)", "clip norm=0.4 optimizer adamw(lr=0.1)"]
    {
        let text = format!(
            "input x: f32[batch]\nparam p: f32 = 0.7\nparam q: f32 = -0.4\nloss a = square(p * x - 1)\nloss b = square(tanh(q * x) + p)
            loss total = auto_lambda(a, b, start=0.5, targets=[1, 0.25])\ntrain {{ minimize total {optimizer} }}"
        );
        let start = |weights: &[f64]| {
            let mut run = Run::new(&text);
            run.feed("x", &[1.0, 0.5, 2.0]);
            run.feed("validation.x", &[0.25, -1.0, 1.5]);
            // Not the first step: moments are not 0.
            run.step(3);
            run.set_state("total.weights", weights);
            run.set_state("total.mean_slope", &[0.0, 0.0]);
            run
        };
        let after = |weights: [f64; 2]| {
            let mut run = start(&weights);
            run.step(3);
            run.feed("x", &[0.25, -1.0, 1.5]);
            let values = run.evaluate(3);
            values["a"] + 0.25 * values["b"]
        };
        let mut run = start(&[0.5, 0.3]);
        run.step(3);
        let found: Vec<f64> = run.state("total.mean_slope").iter().map(|x| 10.0 * x).collect();
        let h = 1e-5;
        let wanted = [
            (after([0.5 + h, 0.3]) - after([0.5 - h, 0.3])) / (2.0 * h),
            (after([0.5, 0.3 + h]) - after([0.5, 0.3 - h])) / (2.0 * h),
        ];
        assert!(wanted.iter().any(|slope| slope.abs() > 1e-3), "{optimizer}: {wanted:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6 + 1e-5 * wanted.abs(), "{optimizer}: {found} is not {wanted}");
        }
    }
}

/// What a step does not depend on has no derivative through it.
#[test]
fn a_derivative_through_a_step_must_reach_it() {
    let of = |update: &str| {
        let text = format!(
            "input x: f32[batch]\nparam p: f32 = 1\nstate s: f32 = 0.5\nloss a = square(p * x - 1)\nloss total = s * a\n\
             {update}\ntrain {{ minimize total optimizer sgd(lr=0.1) }}"
        );
        let (_, compiled) = compile(&text, &[], &Options::default());
        compiled.err().map(|errors| errors.0[0].headline.clone())
    };
    assert_eq!(of("update s = s - 0.1 * grad(after(mean(a)), s)"), None);
    let stopped = of("state r: f32 = 0\nupdate r = grad(after(mean(a)), r)");
    assert_eq!(stopped.as_deref(), Some("`grad(after(value), x)` where the step does not depend on x"));
}

#[test]
fn lints_leave_the_methods_alone() {
    let verdict = |call: &str| {
        let text = format!(
            "input x: f32[batch, 3]\ntarget s: f32[batch]\ntarget t: f32[batch]\nlet h = tanh(x |> dense(units=4))
            loss a = square((h |> dense(units=1) |> squeeze(axes=1)) - s)
            loss b = square((h |> dense(units=1) |> squeeze(axes=1)) - t)
            loss c = square((h |> dense(units=1) |> squeeze(axes=1)) - s * t)
            loss d = square((h |> dense(units=1) |> squeeze(axes=1)) - s + t)
            loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=0.01) }}"
        );
        let (_, compiled) = compile(&text, &[], &Options::default());
        let findings = compiled.unwrap_or_else(|errors| panic!("{call}: {errors:?}")).findings;
        findings.iter().map(|finding| finding.code.title().to_string()).collect::<Vec<_>>()
    };
    let library = Library::whole(&mut SourceMap::default()).expect("the library is whole");
    let index = library_index(&library);
    let of_gradients = index.iter().filter(|entry| {
        let is_of_gradients = ["std/gramians.anb", "std/directions.anb"].contains(&entry.file);
        entry.kind == "combiner" && is_of_gradients && !entry.signature.contains("inner")
    });
    let methods: Vec<&str> = of_gradients.map(|entry| &*entry.name).chain(["famo"]).collect();
    assert!(methods.len() > 20, "{methods:?}");
    for method in methods {
        // The first three by their formula, the last since nothing bounds its weights from below.
        let may_raise = ["imtl_g", "config", "aligned_mtl", "auto_lambda"].contains(&method);
        let expected = if may_raise { vec!["loss-can-rise"] } else { vec![] };
        assert_eq!(verdict(&format!("{method}(a, b, c, d)")), expected, "{method}");
    }
    assert_eq!(verdict("ldc(a, b, c, d, stops=true)"), [""; 0]);
    // As published both are true of it.
    assert_eq!(verdict("ldc(a, b, c, d)"), ["weight-collapse"]);
    assert!(verdict("ldc(a, b, c, d, strength=10)").contains(&"loss-can-rise".to_string()));
}
