//! `anabranch suggest` on problems whose trouble is known, and on one that has none.

use super::support::{Project, ramp};

const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz }
batch_size: 8
epochs: 2
output: runs/model
";

/// Two heads on one trunk; `a` and `b` are the losses, `total` what is minimized.
fn project(a: &str, b: &str, total: &str) -> Project {
    let spec = format!(
        "input  x: f32[batch, 2]\n\
         target y: f32[batch]\n\
         target z: f32[batch]\n\
         let hidden = x |> dense(units=6, activation=tanh)\n\
         output near = hidden |> dense(units=1) |> squeeze(axes=1)\n\
         output far = hidden |> dense(units=1) |> squeeze(axes=1)\n\
         loss a = {a}\n\
         loss b = {b}\n\
         loss total = {total}\n\
         train {{ minimize total optimizer adam(lr=0.001) }}\n"
    );
    let project = Project::new(&spec, CONFIG);
    let x: Vec<f32> = ramp(128).iter().map(|x| (7.0 * x).sin()).collect();
    let y: Vec<f32> = x.chunks(2).map(|x| x[0] - 0.5 * x[1]).collect();
    let z: Vec<f32> = x.chunks(2).map(|x| x[0] + 0.4 * x[1] + 0.3).collect();
    project.arrays("data.npz", &[("x", &[64, 2], &x), ("y", &[64], &y), ("z", &[64], &z)]);
    project
}

#[test]
fn a_healthy_pair_is_left_alone() {
    let project = project("square(y - near)", "square(z - far)", "unweighted(a, b)");
    let before = project.entries();
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "120"]);
    assert!(text.contains("no trouble") && text.contains("leave the weights as they are"), "{text}");
    assert!(!text.contains("try"), "{text}");
    assert_eq!(project.entries(), before, "nothing is written");
}

#[test]
fn a_loss_that_drowns_the_other_is_weighed_down() {
    let project = project("100 * square(y - near)", "square(z - far)", "unweighted(a, b)");
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "120"]);
    assert!(text.contains("magnitude: `a` pulls") && text.contains("times as hard as `b`"), "{text}");
    let call = text.lines().find_map(|line| line.trim().strip_prefix("try fixed weights: loss total = ")).unwrap();
    assert!(!text.contains("try a method"), "the figures ask for none: {text}");
    let weights = call.split_once("weights=[").unwrap().1.trim_end_matches("])");
    let weights: Vec<f64> = weights.split(", ").map(|weight| weight.parse().unwrap()).collect();
    assert!((10.0..500.0).contains(&(weights[1] / weights[0])), "{text}");
    // With the weights that it proposes there is no such trouble any more.
    let spec = project.read("model.anb").replace("unweighted(a, b)", call);
    project.write("model.anb", &spec);
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "120"]);
    assert!(text.contains("no trouble"), "{text}");
}

#[test]
fn losses_that_conflict_ask_for_a_method() {
    // One head must be y and -y at once.
    let project = project("square(y - near)", "square(y + near) + 0.01 * square(z - far)", "unweighted(a, b)");
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "120"]);
    assert!(text.contains("direction: `a` and `b` pull against each other"), "{text}");
    assert!(text.contains("try a method: loss total = upgrad(a, b)"), "{text}");
    assert!(!text.contains("magnitude"), "{text}");
    let spec = project.read("model.anb").replace("unweighted(a, b)", "upgrad(a, b)");
    project.write("model.anb", &spec);
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "120"]);
    assert!(text.contains("looks at gradients already") && !text.contains("try a method"), "{text}");
}

#[test]
fn losses_that_share_nothing_have_nothing_to_weigh() {
    let project = project("square(y - near)", "mean(square(x), axes=1)", "a + 0 * mean(b)");
    let text = project.succeeds(&["suggest", "run.yaml", "--steps", "5"]);
    assert!(text.contains("nothing to weigh"), "{text}");
    let message = project.fails(&["suggest", "none.yaml"]);
    assert!(message.contains("E0601"), "{message}");
}
