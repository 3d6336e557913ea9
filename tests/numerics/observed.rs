//! What a run may see of how losses are combined: weights, lengths and cosines of gradients, each held against what is computed
//! here or against what the step did.

use crate::common::run::{Run, compile};
use anabranch::diag::render_plain;
use anabranch::ir::{Graph, Role, print};
use anabranch::lower::{Observe, Options};
use anabranch::ops::Op;
use anabranch::passes::{prune, simplify};
use std::collections::BTreeMap;

const J: [[f64; 3]; 3] = [[1.0, 0.5, -2.0], [-0.5, 2.0, 1.0], [0.25, -1.0, 1.5]];

const ALL: Observe = Observe { weights: true, norms: true, cosines: true, layers: true, fixed: false };

/// Three losses that are linear in `p`, `u.part.q` and a param of their own each.
fn spec(total: &str) -> String {
    let mut text = "input x: f32[batch]\nparam p: f32[2] = [0.3, -0.2]\nlayer part(x) {\n    param q: f32 = 0.4\n    return x * q\n}\n\
                    let u = part(mean(x))\n"
        .to_string();
    for (i, g) in J.iter().enumerate() {
        let name = ["a", "b", "c"][i];
        text += &format!(
            "param h{i}: f32 = 40\nloss {name} = sum(p * stack([{}, {}])) + {} * u + h{i}\n",
            g[0], g[1], g[2]
        );
    }
    text + &format!("{total}\ntrain {{ minimize total optimizer sgd(lr=1) }}\n")
}

fn program(text: &str, observe: Observe) -> Graph {
    let (sources, compiled) = compile(text, &[], &Options { observe, ..Options::default() });
    let compiled = compiled.unwrap_or_else(|errors| panic!("{text}\n{}", render_plain(&errors.0, &sources)));
    Graph::clone(&compiled.simplified.train)
}

/// What a step of the observed program reports under names that begin so.
fn seen(text: &str, n_steps: usize) -> (Run, BTreeMap<String, f64>) {
    let mut run = Run::with_options(text, &[], &Options { observe: ALL, ..Options::default() });
    let graph = Graph::clone(&run.compiled.simplified.train);
    run.feed("x", &[1.0]);
    let mut found = BTreeMap::new();
    for _ in 0..n_steps {
        found = run.run(&graph, 1).into_iter().map(|(name, values)| (name, values[0])).collect();
        run.clock.step += 1;
    }
    (run, found)
}

fn near(found: f64, wanted: f64, what: &str) {
    assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{what}: {found}, not {wanted}");
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn weights_are_those_that_heads_follow() {
    let own = |name: &str| match name {
        "weighted" => "weights=[0.5, 2, 1]".to_string(),
        _ => "heads=\"weighted\"".to_string(),
    };
    for call in ["upgrad", "mgda", "nash_mtl", "gradnorm", "gradnorm_ratio", "excess"] {
        let text = spec(&format!("loss total = {call}(a, b, c, {})", own(call)));
        let before = 40.0;
        let (run, found) = seen(&text, 1);
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            let moved = before - run.param(&format!("h{i}"))[0];
            near(found[&format!("weight/total/{name}")], moved, &format!("{call} {name}"));
        }
    }
    for call in ["log_sum(a, b, c)", "uncertainty(a, b, c)", "softadapt(a, b, c)", "dwa(a, b, c)", "relobralo(a, b, c)"]
    {
        let text = spec(&format!("loss total = {call}"));
        let (run, found) = seen(&text, 1);
        for (i, name) in ["a", "b", "c"].iter().enumerate() {
            let moved = 40.0 - run.param(&format!("h{i}"))[0];
            // Where the weights are trained or states, they are shown all the same.
            if let Some(weight) = found.get(&format!("weight/total/{name}")) {
                near(*weight, moved, &format!("{call} {name}"));
            } else {
                assert!(["uncertainty"].iter().all(|other| !call.starts_with(other)), "{call} is not shown");
            }
        }
    }
}

/// With raw heads the shared params alone follow the weights, also where the direction is made of running means.
#[test]
fn weights_of_directions_are_those_they_are_combined_by() {
    let (run, found) = seen(&spec("loss total = upgrad(a, b, c)"), 1);
    let weights: Vec<f64> = ["a", "b", "c"].iter().map(|name| found[&format!("weight/total/{name}")]).collect();
    let moved = [0.3 - run.param("p")[0], -0.2 - run.param("p")[1], 0.4 - run.param("u.part.q")[0]];
    for (j, moved) in moved.iter().enumerate() {
        near(*moved, (0..3).map(|i| weights[i] * J[i][j]).sum(), "upgrad");
    }
    near(40.0 - run.param("h0")[0], 1.0, "a head is raw");
    let (run, found) = seen(&spec("loss total = moco(a, b, c)"), 3);
    let weights: Vec<f64> = ["a", "b", "c"].iter().map(|name| found[&format!("weight/total/{name}")]).collect();
    assert_eq!(weights, run.state("total.weights"), "the state is what is applied");
    // Elements of all gradients are mixed: there is no weight of a loss.
    for call in ["trimmed_mean", "graddrop"] {
        let (_, found) = seen(&spec(&format!("loss total = {call}(a, b, c)")), 1);
        assert!(!found.keys().any(|name| name.starts_with("weight/total")), "{call}: {found:?}");
        assert!(found.contains_key("norm/total/a"));
    }
}

#[test]
fn lengths_and_cosines_are_those_of_the_shared_params() {
    let (_, found) = seen(&spec("loss total = upgrad(a, b, c)"), 1);
    let names = ["a", "b", "c"];
    let parts: [(&str, std::ops::Range<usize>); 3] = [("", 0..3), ("/p", 0..2), ("/u.part", 2..3)];
    for (suffix, part) in parts {
        for i in 0..3 {
            let own = &J[i][part.clone()];
            near(found[&format!("norm/total/{}{suffix}", names[i])], dot(own, own).sqrt(), "a length");
            for j in (i + 1)..3 {
                let other = &J[j][part.clone()];
                let wanted = dot(own, other) / (dot(own, own) * dot(other, other)).sqrt();
                near(found[&format!("cosine/total/{}/{}{suffix}", names[i], names[j])], wanted, "a cosine");
            }
        }
    }
    // A head is in none of them.
    assert!(!found.keys().any(|name| name.contains("h0")));
}

#[test]
fn totals_within_totals_have_weights_of_their_own() {
    let (_, found) = seen(&spec("loss mixed = log_sum(a, b)\nloss total = uw_so(mixed, c)"), 1);
    let weights: Vec<&str> = found.keys().filter(|name| name.starts_with("weight/")).map(String::as_str).collect();
    assert_eq!(weights, ["weight/mixed/a", "weight/mixed/b", "weight/total/c", "weight/total/mixed"]);
    // Gradients are those of the losses that are made of no other.
    assert!(found.contains_key("cosine/total/a/c") && !found.contains_key("norm/total/mixed"));
}

/// A loss without a gradient by the shared params has the length 0 and no angle.
#[test]
fn a_gradient_of_zero_is_finite() {
    let text = "input x: f32[batch]\nparam p: f32 = 1\nparam q: f32 = 1\nloss a = square(p * x)\nloss b = square(p * x - 1)\n\
                loss total = upgrad(a, b) + 0 * q\ntrain { minimize total optimizer sgd(lr=0) }";
    let (_, found) = seen(text, 1);
    assert_eq!((found["norm/total/a"], found["norm/total/b"], found["cosine/total/a/b"]), (2.0, 0.0, 0.0));
}

/// K losses on a trunk of two layers cost one forward pass and a backward pass each: 2 + K products, then for each loss those by its head's
/// kernel and input, by either kernel of the trunk and by what is between them. Nothing is differentiated again for the combined gradient.
#[test]
fn the_combined_gradient_is_made_of_those_that_are_there() {
    let spec = |k: usize, call: &str| {
        let mut text =
            "input x: f32[batch, 7]\nlet h = x |> dense(units=6, activation=relu) |> dense(units=5, activation=relu)\n"
                .to_string();
        for i in 0..k {
            text += &format!(
                "target t{i}: f32[batch, 2]\noutput y{i} = h |> dense(units=2)\nloss l{i} = mean_squared_error(t{i}, y{i})\n"
            );
        }
        let losses: Vec<String> = (0..k).map(|i| format!("l{i}")).collect();
        text + &format!("loss total = {call}\ntrain {{ minimize total optimizer adam() }}")
            .replace("LOSSES", &losses.join(", "))
    };
    let count = |k: usize, call: &str| products(&program(&spec(k, call), Observe::default()));
    for k in [2, 8] {
        let plain = (2 + k) + 2 * k + 3;
        for call in ["unweighted(LOSSES)", "uncertainty(LOSSES)", "log_sum(LOSSES)"] {
            assert_eq!(count(k, call), plain, "{call} of {k}");
        }
        let each = (2 + k) + 5 * k;
        for call in [
            "upgrad(LOSSES)",
            "upgrad(LOSSES, heads=\"weighted\")",
            "mgda(LOSSES)",
            "nash_mtl(LOSSES)",
            "gradnorm(LOSSES)",
            "excess(LOSSES)",
            "db_mtl(LOSSES)",
        ] {
            assert_eq!(count(k, call), each, "{call} of {k}");
        }
    }
}

fn without_observed(graph: &Graph) -> Graph {
    simplify(&prune(graph, |output| output.role != Role::Observed))
}

fn products(graph: &Graph) -> usize {
    graph.ids().filter(|id| matches!(graph.op(*id), Op::MatMul(_))).count()
}

/// What is not asked for has no node; what is asked for changes nothing else, and takes what the combiner has already.
#[test]
fn nothing_is_paid_for_what_is_not_asked_for() {
    for call in ["upgrad(a, b)", "uncertainty(a, b)", "unweighted(a, b)", "amortised(a, b, inner=mgda)"] {
        let text = format!(
            "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\nlet h = x |> dense(units=4, activation=tanh)\n\
             output y = h |> dense(units=2)\noutput z = h |> dense(units=2)\nloss a = mean_squared_error(t, y)\n\
             loss b = mean_absolute_error(t, z)\nloss total = {call}\ntrain {{ minimize total optimizer adam() }}"
        );
        let off = program(&text, Observe::default());
        assert!(!off.outputs.iter().any(|output| output.role == Role::Observed));
        let on = program(&text, ALL);
        assert!(on.outputs.iter().any(|output| output.role == Role::Observed), "{call}");
        assert_eq!(print(&without_observed(&on), "train"), print(&off, "train"), "{call}");
        if call.starts_with("upgrad") {
            assert_eq!(products(&on), products(&off), "the gradients are those that the combiner has");
        }
        // A weight costs no product.
        assert_eq!(products(&program(&text, Observe::WEIGHTS)), products(&off), "{call}");
    }
}
