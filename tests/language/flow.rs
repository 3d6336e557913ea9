//! What `flow` shows: which loss trains which param, and by how much each loss counts.

use crate::common::run::Run;
use anabranch::analyse::{SummaryRow, flow, model_html, model_svg, summary, weight_steps};

const MODEL: &str = "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\ntarget u: f32[batch, 4]
    layer trunk = dense(units=3, bias=false)
    output y = trunk(x) |> dense(units=2, bias=false)
    output z = stop(trunk(x)) |> dense(units=4, bias=false)
    loss a = mean_squared_error(t, y)\nloss b = mean_squared_error(u, z)\n";

fn coefficients(total: &str) -> Vec<String> {
    let run = Run::new(&format!("{MODEL}loss total = {total}\ntrain {{ minimize total optimizer sgd }}"));
    let table = flow(&run.compiled.module);
    table.coefficients.iter().map(|c| format!("{}: {}", c.loss, c.expression)).collect()
}

#[test]
fn the_first_example_flows() {
    let run = Run::new(include_str!("../../examples/localizer/localizer.anb"));
    insta::assert_snapshot!(flow(&run.compiled.module).to_text());
}

#[test]
fn coefficients_are_said_in_the_specs_names() {
    assert_eq!(coefficients("0.25 * a + 0.75 * b"), ["a: 0.25 / batch", "b: 0.75 / batch"]);
    assert_eq!(
        coefficients("uncertainty(a, b)"),
        ["a: exp(-total.log_var[0]) / batch", "b: exp(-total.log_var[1]) / batch"]
    );
    assert_eq!(coefficients("balanced(a, b)"), ["a: total.alpha / batch", "b: (1 - total.alpha) / batch"]);
    let scheduled = coefficients("tradeoff(a, b, alpha=linear(step, from=0, to=1, over=10))");
    assert_eq!(scheduled[0], "a: min(max(0.1 * step, 0), 1) / batch");
}

#[test]
fn different_elements_read_differently() {
    let of = |first: &str, second: &str| {
        let text = format!(
            "{MODEL}param v: f32[2] = 1\nparam m: f32[2, 2] = 1\nloss total = {first} * a + {second} * b
            train {{ minimize total optimizer sgd }}"
        );
        let table = flow(&Run::new(&text).compiled.module);
        table.coefficients.into_iter().map(|c| c.expression).collect::<Vec<_>>()
    };
    assert_eq!(
        of("cumulative_sum(v, axis=0)[0]", "cumulative_sum(v, axis=0)[1]"),
        ["cumulative_sum(v)[0] / batch", "cumulative_sum(v)[1] / batch"]
    );
    assert_eq!(of("softmax(v)[0]", "softmax(v)[1]"), ["softmax(v)[0] / batch", "softmax(v)[1] / batch"]);
    assert_eq!(of("m[1, 0]", "exp(m)[0, 1]"), ["m[1, 0] / batch", "exp(m[0, 1]) / batch"]);
    assert_eq!(
        of("softmax(m, axis=1)[1, 0]", "sum(m, axes=[0])[1]"),
        ["softmax(m)[1, 0] / batch", "sum(m)[1] / batch"]
    );
}

#[test]
fn inner_products_of_gradients_are_called_by_their_name() {
    let of = |weight: &str| {
        let text = format!(
            "{MODEL}let g = gram([a, b], over=*)\nloss total = stop({weight}) * a + b\ntrain {{ minimize total optimizer sgd }}"
        );
        flow(&Run::new(&text).compiled.module).coefficients[0].expression.clone()
    };
    assert_eq!(of("g[0, 1]"), "gram[0, 1] / batch");
    assert_eq!(of("exp(g[1, 1])"), "exp(gram[1, 1]) / batch");
}

#[test]
fn the_drawing_shows_paths_and_stops() {
    let svg_of = |total: &str| {
        let run = Run::new(&format!("{MODEL}loss total = {total}\ntrain {{ minimize total optimizer sgd }}"));
        let module = &run.compiled.module;
        assert_eq!(model_svg(module), model_svg(module));
        (model_svg(module), model_html(module, "a <model>"))
    };
    let (svg, page) = svg_of("balanced(a, b)");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(page.contains("<title>a &lt;model&gt;</title>") && page.contains(&svg));
    for name in
        [">trunk<", ">y.dense<", ">z.dense<", ">a<", ">b<", ">total<", "gradient of a,", "f32[batch, 3] · 9 params"]
    {
        assert!(svg.contains(name), "{name}:\n{svg}");
    }
    // `b` ends at the stop before `z`; `alpha_loss` takes both losses as they are, `model_loss` alpha.
    assert!(svg.contains("no gradient of b passes"), "{svg}");
    let (open, _) = svg_of("a + b");
    assert_eq!(open.matches("class=\"stop\"").count(), 2, "one and its legend:\n{open}");
    assert!(svg.matches("class=\"stop\"").count() > 2);
}

/// Boxes of a model's layers, as `summary` and the drawing fold them.
fn rows(text: &str) -> Vec<(String, usize, Vec<String>)> {
    let run = Run::new(text);
    let programs = [&*run.compiled.simplified.predict, &*run.compiled.simplified.train];
    let summary = summary(&run.compiled.module, programs, usize::MAX);
    let row = |row: &SummaryRow| {
        let trained_by = row.trained_by.iter().map(|loss| loss.to_string()).collect();
        (row.name.to_string(), row.n_params, trained_by)
    };
    summary.rows.iter().map(row).collect()
}

#[test]
fn a_summary_says_which_loss_trains_which_layer() {
    let found = rows(&format!("{MODEL}loss total = balanced(a, b)\ntrain {{ minimize total optimizer sgd }}"));
    let row = |name: &str, n: usize, by: &[&str]| {
        (name.to_string(), n, by.iter().map(|by| by.to_string()).collect::<Vec<_>>())
    };
    // The trunk is called twice: the second time its params are those of the first.
    let expected = [
        row("x", 0, &[]),
        row("trunk", 9, &["a"]),
        row("y.dense", 6, &["a"]),
        row("trunk", 0, &["a"]),
        row("z.dense", 12, &["b"]),
    ];
    assert_eq!(found.iter().filter(|row| row.0 != "z.stop").cloned().collect::<Vec<_>>(), expected);
    let frozen = rows(&format!("{MODEL}train {{ minimize a over trunk.* optimizer sgd }}"));
    assert_eq!(frozen[2], row("y.dense", 6, &[]));
}

#[test]
fn a_summary_counts_params_and_arithmetic() {
    let run = Run::new(&format!("{MODEL}loss total = balanced(a, b)\ntrain {{ minimize total optimizer sgd }}"));
    let programs = [&*run.compiled.simplified.predict, &*run.compiled.simplified.train];
    let found = summary(&run.compiled.module, programs, usize::MAX);
    // 3 x 3, 3 x 2, 3 x 4 and alpha; a product of m, k, n takes 2 m k n.
    assert_eq!((found.n_params, found.n_fixed), (9 + 6 + 12 + 1, 0));
    let flops: f64 = found.rows.iter().map(|row| row.flops).sum();
    assert_eq!(flops, 2.0 * (9.0 + 6.0 + 9.0 + 12.0));
    let losses: Vec<_> = found.losses.iter().map(|loss| (&*loss.name, loss.n_trained, loss.n_alone)).collect();
    assert_eq!(losses, [("a", 15, 15), ("b", 12, 12)]);
    assert_eq!(found.elsewhere.iter().map(|(path, n, _)| (&**path, *n)).collect::<Vec<_>>(), [("total.alpha", 1)]);
    assert!(found.train.flops() > found.predict.flops());
    let shallow = summary(&run.compiled.module, programs, 1);
    assert_eq!(shallow.rows.iter().map(|row| &*row.name).filter(|name| name.contains("dense")).count(), 0);
}

#[test]
fn a_weights_safe_step_follows_from_the_losses() {
    let of = |call: &str| {
        let text = format!(
            "input x: f32[batch]\nparam p: f32 = 8\nparam q: f32 = 2\nloss a = p * x\nloss b = q * x
            loss total = {call}\ntrain {{ minimize total optimizer sgd(lr=0.01) }}"
        );
        let mut run = Run::new(&text);
        run.feed("x", &[1.0]);
        let steps = weight_steps(&run.compiled.module)?;
        let found = run.run(&steps.graph, 1);
        let of = |name: &str| found[&*format!("total.alpha.{name}")][0];
        Some((of("curvature"), of("step"), of("multiplier")))
    };
    // 2 (a + b)², so the largest safe step is 1 / (a + b)² = 0.01; divided by the squared sum it is 1 whatever the scale.
    assert_eq!(of("balanced(a, b, normalise=false)"), Some((200.0, 0.01, -1.0)));
    assert_eq!(of("balanced(a, b)"), Some((2.0, 0.01, 0.98)));
    assert_eq!(of("a + b"), None);
}
