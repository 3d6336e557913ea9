//! Gradients of single losses as values: bundles, directions that are handed in, and combiners over combiners.

use crate::common::run::{Run, compile, errors};
use anabranch::lower::Options;

fn near(found: &[f64], wanted: &[f64], what: &str) {
    let scale = wanted.iter().fold(1e-9, |scale: f64, x| scale.max(x.abs()));
    let is_near = found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= 1e-9 * scale);
    assert!(is_near, "{what}: {found:?}, not {wanted:?}");
}

/// Two losses over a trunk of two params, with heads of their own: a = (u + 2 v + p)² + p, b = u² v + 3 q.
fn spec(body: &str, call: &str) -> String {
    format!(
        "combiner mine(losses...: f32) {{ {body} }}
        input x: f32[batch]
        param u: f32[2] = 0.5
        param v: f32 = -1
        param p: f32 = 2
        param q: f32 = 1
        loss a = square(sum(u) + 2 * v + p) + p + 0 * mean(x)
        loss b = sum(square(u)) * v + 3 * q
        loss total = {call}
        train {{ minimize total optimizer sgd(lr=1) }}"
    )
}

/// ∂a/∂(u, v), ∂b/∂(u, v), ∂a/∂p, ∂b/∂q at the spec's first params.
const A: [f64; 3] = [2.0, 2.0, 4.0];
const B: [f64; 3] = [-1.0, -1.0, 0.5];
const HEADS: [f64; 2] = [3.0, 3.0];

/// How far u, v, p and q went in a step, and what was reported.
fn steps(text: &str, n: usize) -> (Vec<f64>, f64) {
    let mut run = Run::new(text);
    run.feed("x", &[1.0]);
    let mut reported = 0.0;
    let before: Vec<f64> = ["u", "v", "p", "q"].iter().flat_map(|name| run.param(name)).collect();
    for _ in 0..n {
        reported = run.step(1)["total"];
    }
    let after = ["u", "v", "p", "q"].iter().flat_map(|name| run.param(name));
    (before.iter().zip(after).map(|(a, b)| a - b).collect(), reported)
}

#[test]
fn a_direction_trains_shared_params_along_it_and_heads_by_their_rule() {
    let rows: [(&str, [f64; 3], [f64; 2], f64); 6] = [
        ("return direction(gradients(losses)[0], losses)", A, HEADS, 5.5),
        (
            "return direction(combine(gradients(losses), [2, 3]), losses, weights=[2, 3])",
            [2.0 * A[0] + 3.0 * B[0], 2.0 * A[1] + 3.0 * B[1], 2.0 * A[2] + 3.0 * B[2]],
            [6.0, 9.0],
            5.5,
        ),
        (
            "let g = gradients(losses) return direction(sign(g[1]), losses, reported=losses[0])",
            [-1.0, -1.0, 1.0],
            HEADS,
            3.0,
        ),
        (
            "let g = gradients(losses) return direction(g[0] / sqrt(sum(square(g[0]))) - 0.5 * g[1], losses)",
            [2.0 / 24f64.sqrt() + 0.5, 2.0 / 24f64.sqrt() + 0.5, 4.0 / 24f64.sqrt() - 0.25],
            HEADS,
            5.5,
        ),
        // The inner products of bundles are those of `gram`.
        (
            "let g = gradients(losses) let w = gram(g) - gram(losses) return direction(combine(g, 1 + w[0]), losses)",
            [1.0, 1.0, 4.5],
            HEADS,
            5.5,
        ),
        // By chosen params: what is left out follows the sum of the losses.
        ("return direction(combine(gradients(losses, over=[v]), [0, 0]), losses)", [1.0, 1.0, 0.0], HEADS, 5.5),
    ];
    for (body, shared, heads, reported) in rows {
        let (found, value) = steps(&spec(body, "mine(a, b)"), 1);
        near(&found, &[&shared[..], &heads[..]].concat(), body);
        near(&[value], &[reported], body);
    }
}

#[test]
fn bundles_have_states() {
    let body = "let g = gradients(losses)
        state each = [zeros_like(l) for l in g]
        state sum_of_all = zeros_like(g[0])
        let next = [combine([each[i], g[i]], [0.9, 1]) for i in range(0, K)]
        update each = next
        update sum_of_all = it + g[1]
        return direction(combine(next, [1, 1]), losses) + 0 * sum(stop(sum_of_all))";
    // Linear losses, so that each step has the same gradients.
    let text = format!(
        "combiner mine(losses...: f32) {{ {body} }}
        input x: f32[batch]\nparam u: f32[2] = 0\nparam p: f32 = 0
        loss a = u[0] + 2 * u[1] + p + 0 * mean(x)\nloss b = 3 * u[0] - u[1]
        loss total = mine(a, b)\ntrain {{ minimize total optimizer sgd(lr=1) }}"
    );
    let mut run = Run::new(&text);
    run.feed("x", &[1.0]);
    for n in 0..3 {
        let factor: f64 = (0..=n).map(|k| 0.9f64.powi(k)).sum();
        let before = run.param("u");
        run.step(1);
        let moved: Vec<f64> = before.iter().zip(run.param("u")).map(|(a, b)| a - b).collect();
        near(&moved, &[4.0 * factor, factor], "momentum of each loss");
    }
    near(&run.state("total.sum_of_all.u"), &[9.0, -3.0], "a state of a bundle");
    near(&run.state("total.each.1.u"), &[3.0 * 2.71, -2.71], "a state in a list of bundles");
}

/// By a value within the model, whose params then follow through it.
#[test]
fn a_direction_may_be_for_a_value_within_the_model() {
    let text =
        "combiner mine(losses...: f32, h) { return direction(combine(gradients(losses, over=h), [1, -1]), losses) }
        input x: f32[batch]\nparam w: f32 = 2\nparam p: f32 = 1\nparam q: f32 = 1
        let h = w * x\nloss a = mean(p * h)\nloss b = mean(square(q * h))
        loss total = mine(a, b, h=h)\ntrain { minimize total optimizer sgd(lr=1) }";
    let mut run = Run::new(text);
    run.feed("x", &[1.0, 3.0]);
    run.step(2);
    // ∂a/∂w = mean(x) = 2, ∂b/∂w = mean(2 w x²) = 20.
    near(&[run.param("w")[0], run.param("p")[0], run.param("q")[0]], &[2.0 + 18.0, 1.0 - 4.0, 1.0 - 40.0], "a value");
}

#[test]
fn heads_follow_their_own_gradient_or_the_weighted_one() {
    let call = |heads: &str| format!("nash_mtl(a, b, heads=\"{heads}\")");
    let (raw, _) = steps(&spec("return sum(losses)", &call("raw")), 1);
    let (weighted, value) = steps(&spec("return sum(losses)", &call("weighted")), 1);
    near(&raw[..3], &weighted[..3], "the shared params");
    near(&raw[3..], &HEADS, "raw heads");
    // The weights are those that are reported.
    let w = [weighted[3] / 3.0, weighted[4] / 3.0];
    near(&[value], &[w[0] * 3.0 + w[1] * 2.5], "the total");
    let combined: Vec<f64> = (0..3).map(|i| w[0] * A[i] + w[1] * B[i]).collect();
    near(&weighted[..3], &combined, "the weights");
    // The defaults are those of the methods' authors.
    for (method, is_raw) in [("upgrad", true), ("mgda", true), ("nash_mtl", false), ("fairgrad", false)] {
        let (found, _) = steps(&spec("return sum(losses)", &format!("{method}(a, b)")), 1);
        assert_eq!((found[3] - 3.0).abs() < 1e-9 && (found[4] - 3.0).abs() < 1e-9, is_raw, "{method}: {found:?}");
    }
}

#[test]
fn amortised_weights_are_kept_and_smoothed_ones_follow() {
    let text = |call: &str| {
        format!(
            "input x: f32[batch]\nparam u: f32[2] = [1, 2]\nparam p: f32 = 0\nparam q: f32 = 0
            loss a = 0.5 * square(u[0]) + u[1] + p + 0 * mean(x)\nloss b = square(u[1]) - u[0] + q
            loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=0.1) }}"
        )
    };
    let weights = |call: &str, n: usize| {
        let mut run = Run::new(&text(call));
        run.feed("x", &[1.0]);
        let mut found = Vec::new();
        for _ in 0..n {
            let before = [run.param("p")[0], run.param("q")[0]];
            run.step(1);
            found.push([(before[0] - run.param("p")[0]) / 0.1, (before[1] - run.param("q")[0]) / 0.1]);
        }
        found
    };
    let kept = weights("amortised(a, b, inner=nash_mtl, every=3)", 7);
    for (n, w) in kept.iter().enumerate() {
        near(w, &kept[n / 3 * 3], "kept between");
        assert!(n == 0 || n % 3 != 0 || (w[0] - kept[n - 1][0]).abs() > 1e-6, "new at {n}");
    }
    near(&kept[0], &weights("nash_mtl(a, b)", 1)[0], "those of the inner combiner");
    near(
        &weights("amortised(a, b, inner=upgrad, every=1)", 4)[3],
        &weights("upgrad(a, b, heads=\"weighted\")", 4)[3],
        "each step",
    );
    // An inner one with options, and one that has states: its clock counts its own steps.
    near(
        &weights("amortised(a, b, inner=cagrad(c=0.2), every=2)", 1)[0],
        &weights("cagrad(a, b, c=0.2, heads=\"weighted\")", 1)[0],
        "options",
    );
    let smooth = weights("smoothed(a, b, inner=nash_mtl, alpha=0.75)", 1);
    near(&smooth[0], &kept[0], "begins at the first");
    let two = weights("smoothed(a, b, inner=nash_mtl, alpha=1)", 3);
    near(&two[2], &kept[0], "alpha = 1 keeps the first");
}

#[test]
fn what_cannot_be_is_said() {
    let of = |body: &str| errors(&spec(body, "mine(a, b)"), &Options::default());
    for (body, wanted) in [
        ("return direction(sum(losses), losses)", "`direction` is along a bundle"),
        ("return direction(gradients(losses)[0], [losses[0]])", "gradients of 1 losses"),
        ("return direction(combine(gradients(losses), [1, 2, 3]), losses)", "3 weights of 2"),
        ("return direction(combine(losses, [1, 2]), losses)", "`combine` of a list"),
        ("let g = gradients(losses) return gram([g[0], losses[0]])[0, 0]", "gradients of"),
        (
            "let g = gradients(losses) state m = zeros_like(g[0]) update m = g return sum(losses)",
            "`m` and its update are made of different parts",
        ),
        ("return weights_of(stack(losses), losses)[0]", "loss `total` is f32[2]"),
    ] {
        let found = of(body);
        assert!(
            found.iter().any(|headline| headline.starts_with(wanted)) || wanted == "gradients of",
            "{body}: {found:?}"
        );
        assert!(!found.is_empty(), "{body}");
    }
    let outside = errors(
        "fn f(a) { return call_every(2, upgrad, [a, a]) }\ninput x: f32[batch]\nloss l = f(x)",
        &Options::default(),
    );
    assert_eq!(outside, ["`call_every` stands in a combiner's body only"]);
}

/// The verdict is on what is reported.
#[test]
fn lints_judge_what_a_direction_reports() {
    let verdict = |text: &str| {
        let (_, compiled) = compile(text, &[], &Options::default());
        let findings = compiled.unwrap().findings;
        findings.iter().map(|finding| finding.code.title().to_string()).collect::<Vec<_>>()
    };
    let text = |call: &str| {
        format!(
            "input x: f32[batch, 3]\ntarget s: f32[batch]\ntarget t: f32[batch]\nlet h = tanh(x |> dense(units=4))
            loss a = square((h |> dense(units=1) |> squeeze(axes=1)) - s)
            loss b = square((h |> dense(units=1) |> squeeze(axes=1)) - t)
            loss c = square((h |> dense(units=1) |> squeeze(axes=1)) - s * t)
            loss total = {call}\ntrain {{ minimize total optimizer adam(lr=0.01) }}"
        )
    };
    for method in ["mgda", "pcgrad", "gradvac", "cagrad", "nash_mtl", "fairgrad", "upgrad", "dualproj", "gradnorm"] {
        for heads in ["raw", "weighted"] {
            assert_eq!(verdict(&text(&format!("{method}(a, b, c, heads=\"{heads}\")"))), [""; 0], "{method} {heads}");
        }
    }
    for method in ["imtl_g", "config", "aligned_mtl"] {
        for heads in ["raw", "weighted"] {
            let found = verdict(&text(&format!("{method}(a, b, c, heads=\"{heads}\")")));
            assert_eq!(found, ["loss-can-rise"], "{method} {heads}");
        }
    }
    for call in ["amortised(a, b, c, inner=upgrad)", "smoothed(a, b, c, inner=nash_mtl)"] {
        assert_eq!(verdict(&text(call)), [""; 0], "{call}");
    }
}

/// Labels that are missing, against losses that are masked by hand; in the last batch one loss has no label at all.
#[test]
fn missing_labels_are_as_if_masked_by_hand() {
    let spec = |losses: &str, call: &str| {
        format!(
            "input x: f32[batch, 2]\n{losses}
            param w: f32[2, 3] = [[0.4, -0.3, 0.2], [0.1, 0.5, -0.6]]\nparam p: f32[3] = [0.3, 0.1, -0.2]
            param q: f32[3] = [-0.1, 0.4, 0.3]\nlet h = tanh(x @ w)
            loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=0.1) }}"
        )
    };
    // Lets may stand below what they are made of only: the losses come last.
    let order = |text: String| {
        let (head, tail) = text.split_once("loss total").unwrap();
        let (data, losses): (Vec<&str>, Vec<&str>) =
            head.lines().partition(|line| !line.trim_start().starts_with("loss "));
        format!("{}\n{}\nloss total{tail}", data.join("\n"), losses.join("\n"))
    };
    let missing = "target s: f32[batch]?\ntarget t: f32[batch]?
        loss a = square(sum(h * p, axes=1) - s)\nloss b = square(sum(h * q, axes=1) - t)";
    let masked = "target s: f32[batch]\ntarget t: f32[batch]\ninput sm: f32[batch]\ninput tm: f32[batch]
        loss a = sum(sm * square(sum(h * p, axes=1) - s)) / maximum(sum(sm), 1)
        loss b = sum(tm * square(sum(h * q, axes=1) - t)) / maximum(sum(tm), 1)";
    let x = [0.3, -1.0, 0.8, 0.5, -0.7, 0.2, 1.1, -0.4];
    let batches = [
        ([1.0, f64::NAN, -0.5, 0.2], [f64::NAN, 0.7, f64::NAN, -1.0]),
        ([f64::NAN; 4], [0.5, 0.7, -0.3, -1.0]),
        ([1.0, 0.3, -0.5, 0.2], [f64::NAN; 4]),
    ];
    for call in [
        "upgrad(a, b)",
        "nash_mtl(a, b)",
        "mgda(a, b)",
        "cagrad(a, b)",
        "pcgrad(a, b, order=\"fixed\")",
        "config(a, b)",
        "imtl_g(a, b)",
        "aligned_mtl(a, b)",
        "dualproj(a, b)",
        "db_mtl(a, b)",
        "moco(a, b)",
        "excess(a, b)",
        "autobalance(a, b)",
        "trimmed_mean(a, b, trim=0)",
    ] {
        let mut ours = Run::new(&order(spec(missing, call)));
        let mut theirs = Run::new(&order(spec(masked, call)));
        for (s, t) in &batches {
            let mask = |values: &[f64]| values.iter().map(|x| f64::from(u8::from(!x.is_nan()))).collect::<Vec<f64>>();
            let filled =
                |values: &[f64]| values.iter().map(|x| if x.is_nan() { 0.0 } else { *x }).collect::<Vec<f64>>();
            ours.feed("x", &x);
            theirs.feed("x", &x);
            ours.feed("s", s);
            ours.feed("t", t);
            theirs.feed("s", &filled(s));
            theirs.feed("t", &filled(t));
            theirs.feed("sm", &mask(s));
            theirs.feed("tm", &mask(t));
            ours.step(4);
            theirs.step(4);
            for name in ["w", "p", "q"] {
                let (found, wanted) = (ours.param(name), theirs.param(name));
                assert!(found.iter().all(|x| x.is_finite()), "{call}: `{name}` is {found:?}");
                near(&found, &wanted, &format!("{call}: `{name}`"));
            }
        }
    }
}
