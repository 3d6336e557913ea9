//! Verdicts of the lints: on mistakes seen in public code (`field/`, each with its corrected twin), on the standard
//! combiners, and on other ways to write the same thing.

use crate::common::run::{self, compile};
use anabranch::analyse::LINTS;
use anabranch::diag::{Diagnostic, render_plain};
use anabranch::lower::{Options, Watched};
use std::collections::BTreeSet;

fn name(finding: &Diagnostic) -> String {
    let lint = LINTS.iter().find(|lint| lint.code == finding.code);
    lint.map_or_else(|| finding.code.to_string(), |lint| lint.name.to_string())
}

/// The names of the lints that fire, or the codes of the errors.
fn verdict(text: &str) -> BTreeSet<String> {
    match compile(text, &[], &Options::default()).1 {
        Ok(compiled) => compiled.findings.iter().map(name).collect(),
        Err(errors) => errors.0.iter().map(name).collect(),
    }
}

/// As [`verdict`], of what `check` finds.
fn check_verdict(text: &str) -> BTreeSet<String> {
    run::check(text, &Options::default()).1.iter().map(name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

/// What a case of the field is told, which must be what it says it expects.
fn told(text: &str) -> Result<String, String> {
    let said = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let expected = said("# expect:").ok_or("the case does not say what it expects")?;
    let watched = said("# monitor:").map(|name| Watched { name: name.to_string(), span: None });
    let (sources, findings) = run::check(text, &Options { watched, ..Options::default() });
    let found: BTreeSet<String> = findings.iter().map(name).collect();
    let expected = if expected == "nothing" { BTreeSet::new() } else { set(&expected.split(", ").collect::<Vec<_>>()) };
    let rendered = render_plain(&findings, &sources);
    if found == expected { Ok(rendered) } else { Err(format!("{found:?}, not {expected:?}:\n{rendered}")) }
}

#[test]
fn mistakes_of_the_field_are_caught_and_their_corrections_are_clean() {
    insta::glob!("../field", "*.anb", |path| {
        let text = std::fs::read_to_string(path).expect("the case is readable");
        let rendered = told(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if !rendered.is_empty() {
            insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(rendered); });
        }
    });
}

/// The classes of mistakes that `field/CLASS` holds, each as people write it, beside honest specs that look like it.
const CLASSES: &[&str] = &[
    "ascending-step",
    "averaged-before-weights",
    "decayed-weight",
    "moving-monitor",
    "single-class",
    "swapped-arguments",
    "unstable",
    "wrong-scale",
    "zero-path",
];

#[test]
fn mistakes_of_a_class_are_caught_however_they_are_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    let mut wrong = Vec::new();
    for class in CLASSES {
        let mut counts = [0, 0];
        let cases = std::fs::read_dir(folder.join(class)).expect("the class has a folder");
        let mut paths: Vec<_> = cases.map(|case| case.expect("the case is readable").path()).collect();
        paths.sort();
        let texts = run::each(&paths, |path| std::fs::read_to_string(path).expect("the case is readable"));
        for text in &texts {
            counts[usize::from(text.starts_with("# expect: nothing"))] += 1;
        }
        for (path, outcome) in paths.iter().zip(run::each(&texts, |text| told(text))) {
            wrong.extend(outcome.err().map(|error| format!("{}: {error}", path.display())));
        }
        assert!(counts[0] >= 10 && counts[1] >= 10, "{class}: {counts:?}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_class_of_the_field_is_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field");
    let entries = std::fs::read_dir(folder).expect("the folder is readable").filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.path().is_dir());
    let found: BTreeSet<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let elsewhere = set(crate::proofs::CLASSES);
    assert_eq!(found, set(CLASSES).union(&elsewhere).cloned().collect());
}

#[test]
fn a_case_that_expects_something_else_fails() {
    let silent = "input x: f32[batch]\noutput y = x\n";
    assert_eq!(told(&format!("# expect: nothing\n{silent}")), Ok(String::new()));
    assert!(told(&format!("# expect: unused\n{silent}")).is_err_and(|error| error.starts_with("{}, not")));
    let idle = "input x: f32[batch]\noutput y = x\nlet z = 2 * x\n";
    assert!(told(&format!("# expect: unused\n{idle}")).is_ok());
    for other in ["nothing", "unused, unstable", "unstable"] {
        let outcome = told(&format!("# expect: {other}\n{idle}"));
        assert!(outcome.is_err_and(|error| error.starts_with("{\"unused\"}, not")), "{other}");
    }
    assert_eq!(told(idle), Err("the case does not say what it expects".to_string()));
}

/// A model with two losses `a` and `b`, and what combines them.
fn model(rest: &str) -> String {
    format!(
        "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\ntarget u: f32[batch, 4]
        output y = x |> dense(units=2)\noutput z = x |> dense(units=4)
        loss a = mean_squared_error(t, y)\nloss b = mean_squared_error(u, z)\n{rest}
        train {{ minimize total optimizer sgd }}"
    )
}

#[test]
fn the_first_element_of_an_exclusive_sum_is_no_element() {
    let can_rise = |weight: &str| {
        let rest = "param v: f32[2] = 1 in [1, 2]\nloss c = sum(v ** 2)";
        let found = verdict(&model(&format!("{rest}\nloss total = ({weight} - 0.5) * a + b + c")));
        assert!(!found.iter().any(|name| name.starts_with('E')), "{found:?}");
        found.contains("loss-can-rise")
    };
    assert!(!can_rise("cumulative_sum(stop(v), axis=0)[0]"));
    assert!(can_rise("cumulative_sum(stop(v), axis=0, exclusive=true)[0]"));
}

#[test]
fn weights_of_a_bounded_minimum_are_at_least_their_bound() {
    let can_rise = |bound: &str| {
        let found = verdict(&format!(
            "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\ntarget u: f32[batch, 4]
            let trunk = x |> dense(units=5)\noutput y = trunk |> dense(units=2)\noutput z = trunk |> dense(units=4)
            loss a = mean_squared_error(t, y)\nloss b = mean_squared_error(u, z)
            combiner bare(losses...: f32) {{ return sum(nonneg_qp(gram(losses), {bound}) * stack(losses)) }}
            loss total = bare(a, b)
            train {{ minimize total optimizer sgd }}"
        ));
        assert!(!found.iter().any(|name| name.starts_with('E')), "{found:?}");
        found.contains("loss-can-rise")
    };
    assert!(!can_rise("full([2], 0)") && !can_rise("full([2], 0.5)") && !can_rise("[0.2, 0.8]"));
    assert!(can_rise("full([2], -0.5)") && can_rise("[-0.1, 0.8]"));
}

/// The carry of a loop lies within what its step keeps, so it weighs like any other value.
#[test]
fn a_weight_that_a_loop_computes_is_bounded() {
    let can_rise = |next: &str| {
        let rest = format!(
            "fn smooth(x, carry) {{ return [{next}] }}\n\
             let weight = mean(scan(smooth, stop(sigmoid(x)), [full([batch], 0.5)])[0][0])\nloss total = weight * a + b"
        );
        let found = verdict(&model(&rest));
        assert!(!found.iter().any(|name| name.starts_with('E')), "{found:?}");
        found.contains("loss-can-rise")
    };
    assert!(!can_rise("0.9 * carry[0] + 0.1 * x"));
    assert!(can_rise("carry[0] - x"));
}

#[test]
fn a_sum_of_samples_is_not_bounded_by_a_batch_of_some_size() {
    let can_rise = |weight: &str| verdict(&model(&format!("loss total = {weight} * a + b"))).contains("loss-can-rise");
    assert!(can_rise("(10 - sum(sigmoid(stop(x)), axes=[0, 1]))"));
    assert!(!can_rise("(10 - mean(sigmoid(stop(x)), axes=[0, 1]))"));
}

/// `w L / stop(Σw) + λ Σ |w_i L_i - w_{i+1} L_{i+1}|` raises a loss iff Σw > 1 / (2λ) of three losses and more, 1 / λ of two.
#[test]
fn the_threshold_from_which_a_loss_is_raised_is_found() {
    let readme = include_str!("../../README.md");
    let combiner = readme.split("```anb\n").find(|part| part.starts_with("combiner even(")).expect("README shows it");
    let combiner = combiner.split("```").next().unwrap_or_default();
    let told = |k: usize, lambda: f64, weights: &str| {
        let each = |text: &dyn Fn(usize) -> String| (0..k).map(text).collect::<String>();
        let names = (0..k).map(|i| format!("l{i}")).collect::<Vec<_>>().join(", ");
        let text = format!(
            "input x: f32[batch, 4]\nlet h = x |> dense(units=6, activation=tanh)\n{}{}{}\nloss total = even({names}, lambda={lambda})\n\
             train {{ minimize total\n optimizer adam() }}\n",
            each(&|i| format!("target t{i}: f32[batch, 1]\n")),
            each(&|i| format!("output p{i} = h |> dense(units=1)\nloss l{i} = mean_squared_error(t{i}, p{i})\n")),
            combiner.replace("f32[K] = 1 in [0.01, 10]", weights),
        );
        let (sources, findings) = run::check(&text, &Options::default());
        let rendered = render_plain(&findings, &sources);
        assert!(rendered.contains("L0002"), "{rendered}");
        let at =
            rendered.split("a loss is raised where ").nth(1).map(|rest| rest.split(',').next().unwrap_or_default());
        at.map(ToString::to_string)
    };
    let bounded = "f32[K] = 1 in [0.01, 10]";
    for (k, lambda, at) in
        [(2, 1.0, "1"), (3, 1.0, "0.5"), (4, 1.0, "0.5"), (2, 0.25, "4"), (3, 0.25, "2"), (3, 2.0, "0.25")]
    {
        assert_eq!(told(k, lambda, bounded), Some(format!("sum(total.weights) > {at}")), "{k} losses, {lambda}");
    }
    assert_eq!(told(3, 1.0, "f32[K] = 1 in non_negative"), Some("sum(total.weights) > 0.5".to_string()));
    assert!(readme.contains("a loss is raised where sum(total.weights) > 0.5, for some losses"));
    // With weights of either sign a loss is raised wherever one is below 0: no sum tells.
    assert_eq!(told(3, 1.0, "f32[K] = 1"), None);
}

#[test]
fn the_first_example_is_clean() {
    assert_eq!(verdict(include_str!("../../examples/localizer/localizer.anb")), set(&[]));
}

#[test]
fn the_standard_combiners_are_clean() {
    let calls = [
        "unweighted(a, b)",
        "average(a, b)",
        "weighted(a, b, weights=[0.3, 0.7])",
        "tradeoff(a, b, alpha=0.3)",
        "tradeoff(a, b, alpha=cosine(step, from=1, to=0, over=100))",
        "balanced(a, b)",
        "balanced(a, b, distance=abs, normalise=false)",
        "balanced(a, b, a + b)",
        "balanced_per_sample(a, b)",
        "uncertainty(a, b)",
        "uncertainty(a, b, form=\"half\")",
        "revised_uncertainty(a, b)",
        "geometric(a, b)",
        "log_sum(a, b)",
        "random_weights(a, b)",
        "imtl_l(a, b)",
        "chebyshev(a, b)",
        "softadapt(a, b)",
        "relobralo(a, b)",
        "dwa(a, b)",
        "uw_so(a, b)",
        "cov(a, b)",
        "stch(a, b)",
        "go4align(a, b)",
        "causal(a, b)",
    ];
    for call in calls {
        assert_eq!(verdict(&model(&format!("loss total = {call}"))), set(&[]), "{call}");
    }
    // By their formulas these two may raise a loss, to come nearer to a ray.
    for call in ["cosmos(a, b, preference=[0.3, 0.7])", "pbi(a, b, preference=[0.3, 0.7])"] {
        assert_eq!(verdict(&model(&format!("loss total = {call}"))), set(&["loss-can-rise"]), "{call}");
    }
}

/// Two branches on one trunk, for combiners that compare gradients, and `k`, `c`, the labels of losses.
fn shared(rest: &str) -> String {
    format!(
        "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\ntarget u: f32[batch, 4]\ntarget k: i32[batch]\ntarget c: f32[batch]
        let h = x |> dense(units=5, activation=tanh)\noutput y = h |> dense(units=2)\noutput z = h |> dense(units=4)
        loss a = mean_squared_error(t, y)\nloss b = mean_squared_error(u, z)
        metric used = sum(f32(k)) + sum(c)\n{rest}"
    )
}

#[test]
fn the_standard_losses_optimizers_and_gradient_combiners_are_stable() {
    let losses = [
        "mean_absolute_percentage_error(t, y)",
        "mean_squared_logarithmic_error(t, y)",
        "log_cosh(t, y)",
        "huber(t, y)",
        "poisson(t, exp(y))",
        "cosine_distance(t, y)",
        "binary_crossentropy(t, sigmoid(y))",
        "binary_focal_crossentropy(t, sigmoid(y), balanced=true)",
        "binary_focal_crossentropy(t, y, from_logits=true, gamma=0.5)",
        "categorical_crossentropy(t, softmax(y), from_logits=false)",
        "categorical_focal_crossentropy(t, y, from_logits=true, gamma=0.5)",
        "sparse_categorical_crossentropy(k, softmax(y), from_logits=false)",
        "softmax_crossentropy(t, y)",
        "generalized_crossentropy(k, softmax(y))",
        "kl_divergence(t, softmax(y))",
        "squared_hinge(t, y)",
        "categorical_hinge(t, y)",
        "pairwise_ranking(t, y)",
        "listnet(t, y)",
        "dice(t, sigmoid(y))",
        "tversky(t, sigmoid(y))",
        "giou(u, z)",
        "triplet(y, 2 * y, t)",
        "contrastive(c, y, t)",
        "circle(y, t)",
        "root_mean_squared_error(t, y)",
        "1 - pearson_correlation(t, y)",
        "ctc(i32(u), reshape(z, [batch, 2, 2]))",
    ];
    let optimizers = [
        "sgd(momentum=0.9, nesterov=true)",
        "adam(amsgrad=true)",
        "adamw()",
        "nadam()",
        "adamax()",
        "rmsprop(centered=true)",
        "adagrad()",
        "adadelta()",
        "lion()",
        "lamb()",
        "ftrl()",
        "adafactor()",
        "muon()",
        "accumulated(adam())",
        "averaging(adam())",
    ];
    let combiners = [
        "mgda", "pcgrad", "gradvac", "cagrad", "imtl_g", "config", "nash_mtl", "fairgrad", "upgrad", "dualproj",
        "gradnorm",
    ];
    let train = |optimizer: &str| format!("train {{ minimize total optimizer {optimizer} }}");
    let losses = losses.map(|loss| format!("loss total = mean({loss}) + mean(a) + mean(b)\n{}", train("sgd")));
    let optimizers = optimizers.map(|optimizer| format!("loss total = a + b\n{}", train(optimizer)));
    let combiners = combiners.map(|name| format!("loss total = {name}(a, b)\n{}", train("sgd")));
    for rest in losses.into_iter().chain(optimizers).chain(combiners) {
        let found = check_verdict(&shared(&rest));
        let wrong = found.iter().any(|name| name.starts_with('E') || ["unstable", "ascending-step"].contains(&&**name));
        assert!(!wrong, "{rest}: {found:?}");
    }
}

#[test]
fn the_standard_layers_are_clean() {
    let calls = [
        "lstm(seq, units=17)",
        "lstm(seq, units=3, mask=mask, initial_state=[h, h], bias=false, recurrent_dropout=0.2)",
        "gru(seq, units=22, reset_after=false, mask=mask, initial_state=h22)",
        "simple_rnn(seq, units=65, return_state=true)[1]",
        "bidirectional(seq, units=3, mask=mask, cell=gru)",
        "layer_norm(image, axes=[1, 2])",
        "multi_head_attention(seq, heads=2, rotary=true, mask=mask, return_scores=true)[0]",
        "attention(seq, seq, seq, mask=mask)[0]",
        "additive_attention(seq, seq, seq, mask=mask)[0]",
        "rotary_positions(seq)",
        "depthwise_conv1d(seq, kernel=2)",
        "separable_conv1d(seq, filters=3, kernel=2)",
        "adaptive_average_pool2d(image, [2, 3])",
        "adaptive_max_pool2d(image, 4)",
        "adaptive_average_pool1d(seq, 2)",
        "adaptive_max_pool1d(seq, 2)",
        "global_average_pool2d(image, keep=true)",
        "resize2d(image, [9, 4])",
        "resize2d(image, [9, 4], interpolation=\"bilinear\")",
        "resize2d(image, [9, 4], interpolation=\"bicubic\", align_corners=true)",
        "resize1d(seq, 3)",
        "pad2d(image, 2, mode=\"reflect\")",
        "pad1d(seq, [1, 2], mode=\"wrap\")",
        "pad1d(seq, [1, 2], mode=\"edge\")",
    ];
    // Lists of one value a task.
    let lists =
        ["mmoe(x, tasks=2, units=3)", "ple(x, tasks=2, units=3)", "mtan(x, tasks=2)", "cross_stitch(listed(x, 2 * x))"];
    let lists = lists.map(|call| format!("tasks[0] + tasks[1]\nlet tasks = {call}"));
    for call in calls.into_iter().map(ToString::to_string).chain(lists) {
        let lets = match call.split_once('\n') {
            Some((sum, list)) => format!("{list}\nlet v = {sum}"),
            None => format!("let v = {call}"),
        };
        let text = format!(
            "input x: f32[batch, 6]\ninput seq: f32[batch, 5, 4]\ninput image: f32[batch, 6, 6, 2]
             input mask: bool[batch, 5]\ninput h: f32[batch, 3]\ninput h22: f32[batch, 22]\ntarget t: f32[batch, 1]
             {lets}
             let others = sum(x, axes=1) + sum(seq, axes=[1, 2]) + sum(image, axes=[1, 2, 3]) + sum(h, axes=1)
             output y = dense(flatten(v), units=1) + (others + sum(h22, axes=1) + sum(f32(mask), axes=1))[:, none]
             loss l = mean_squared_error(t, y)
             train {{ minimize l optimizer adam() }}"
        );
        assert_eq!(verdict(&text), set(&[]), "{call}");
    }
}

#[test]
fn a_plain_trained_factor_collapses_however_it_is_written() {
    let linear = [
        "param w: f32 = 0.5 in [0, 1]\nloss total = w * a + (1 - w) * b",
        "param q: f32 = 0.5 in [0, 1]\nlet beta = 1 - q\nloss total = beta * mean(b) + q * mean(a)",
        "param w: f32 = 0.5 in [0, 1]\nloss total = mean(b) + w * (mean(a) - mean(b))",
        "combiner c(first: f32, second: f32) {\n param w: f32 = 0.5 in [0, 1]\n return w * first + (1 - w) * second\n}\nloss total = c(a, b)",
        "param w: f32[2] = 0.5 in [0, 1]\nloss total = sum(w * [mean(a), mean(b)])",
        "param w: f32[2] = 0.5 in simplex\nloss total = sum(w * [mean(a), mean(b)])",
    ];
    for rest in linear {
        assert_eq!(verdict(&model(rest)), set(&["weight-collapse"]), "{rest}");
    }
    let anonymous = "input x: f32[batch, 3]\ntarget t: f32[batch, 3]\noutput y = x |> dense(units=3)
        param w: f32 = 0.5 in [0, 1]
        loss total = w * mean_squared_error(t, y) + (1 - w) * mean_absolute_error(t, y)
        train { minimize total optimizer sgd }";
    assert_eq!(verdict(anonymous), set(&["weight-collapse"]));
}

#[test]
fn the_distance_alone_can_raise_a_loss_however_it_is_written() {
    let square = [
        "param w: f32 = 0.5 in [0, 1]\nloss total = square(w * mean(a) - (1 - w) * mean(b))",
        "param q: f32 = 0.5 in [0, 1]\nlet p = 1 - q\nloss total = (p * mean(b) - q * mean(a)) ** 2",
        "loss total = square(mean(a) - mean(b))",
        "loss total = a - 0.1 * b",
    ];
    for rest in square {
        assert_eq!(verdict(&model(rest)), set(&["loss-can-rise"]), "{rest}");
    }
}

#[test]
fn values_that_nothing_reads_and_formulas_that_underflow() {
    let rest = "input extra: f32[batch]\ntarget more: f32[batch, Tmie]\nlet idle = 2 * x\nloss total = a + b";
    assert_eq!(verdict(&model(rest)), set(&["unused", "once-named-dim"]));
    for risky in
        ["log(softmax(y))", "log(sigmoid(y))", "log(1 - sigmoid(y))", "log(sum(exp(y), axes=1, keep=true)) * t"]
    {
        let rest = format!("loss total = mean(t * {risky}, axes=1) + a + b");
        assert!(verdict(&model(&rest)).contains("unstable"), "{risky}");
    }
    let safe = "loss total = mean(t * log(clip(softmax(y), 1e-7, 1)) - log_softmax(y) + logsumexp(y)[:, none], axes=1) + a + b";
    assert!(!verdict(&model(safe)).contains("unstable"));
}

#[test]
fn a_lint_is_allowed_by_name_or_denied() {
    let linear = "loss total = w * a + (1 - w) * b";
    let allowed = format!("@allow(weight-collapse)\nparam w: f32 = 0.5 in [0, 1]\n{linear}");
    assert_eq!(verdict(&model(&allowed)), set(&[]));
    let elsewhere = format!("param w: f32 = 0.5 in [0, 1]\n@allow(loss-can-rise)\n{linear}");
    assert_eq!(verdict(&model(&elsewhere)), set(&["weight-collapse"]));
    let unknown = format!("@allow(weight-colapse)\nparam w: f32 = 0.5 in [0, 1]\n{linear}");
    assert_eq!(verdict(&model(&unknown)), set(&["E0201", "weight-collapse"]));
    let deny = |name: &str| Options { deny: vec![name.to_string()], ..Options::default() };
    let text = model(&format!("param w: f32 = 0.5 in [0, 1]\n{linear}"));
    assert_eq!(run::errors(&text, &deny("weight-collapse")), ["training `w` switches a loss off"]);
    assert_eq!(run::errors(&text, &deny("unused")), Vec::<String>::new());
    assert_eq!(run::errors(&text, &deny("weight")), ["`--deny weight`: no lint has this name"]);
}
