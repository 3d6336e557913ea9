//! What formulas see of a run: its length, its validation data, its losses by name.

use super::support::{Project, ramp};

const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, validation: other.npz }
batch_size: 4
epochs: 2
output: runs/model
";

/// Ten rows of y = x to train on, and as many of y = -x beside them.
fn project(spec: &str, config: &str) -> Project {
    let project = Project::new(spec, config);
    let x: Vec<f32> = ramp(10).iter().map(|x| x + 0.5).collect();
    let opposed: Vec<f32> = x.iter().map(|x| -x).collect();
    project.arrays("data.npz", &[("x", &[10], &x), ("y", &[10], &x)]);
    project.arrays("other.npz", &[("x", &[10], &x), ("y", &[10], &opposed)]);
    project
}

#[test]
fn the_length_of_the_run_is_known_when_its_folder_is_read() {
    let project = project(
        "input x: f32[batch]\n\
         target y: f32[batch]\n\
         param w: f32 = 1\n\
         output p = w * x\n\
         output length = 0 * x + total_steps\n\
         loss fit = square(p - y)\n\
         metric planned = f32(100 * epochs + steps_per_epoch)\n\
         train { minimize fit optimizer sgd(lr=linear(step, from=0.01, to=0, over=total_steps)) }\n",
        CONFIG,
    );
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["predict", "runs/model", "--data", "data.npz", "-o", "out.npz"]);
    assert_eq!(project.array("out.npz", "length").1, [6.0; 10]);
    let evaluated = project.succeeds(&["evaluate", "runs/model", "--data", "data.npz"]);
    assert!(evaluated.contains("203"), "{evaluated}");
}

/// The column of `history.csv` with this name.
fn column(project: &Project, name: &str) -> Vec<f64> {
    let text = project.read("runs/model/history.csv");
    let mut lines = text.lines();
    let at = lines.next().unwrap().split(',').position(|other| other == name).unwrap();
    lines.filter_map(|line| line.split(',').nth(at)?.parse().ok()).collect()
}

fn plateau(watched: &str) -> Vec<f64> {
    let spec = format!(
        "input x: f32[batch]\n\
         target y: f32[batch]\n\
         param w: f32 = 0.1\n\
         output p = w * x\n\
         loss fit = square(p - y)\n\
         let rate = reduce_on_plateau({watched}, from=0.01, patience=1)\n\
         metric rate_now = rate\n\
         train {{ minimize fit optimizer sgd(lr=rate) }}\n"
    );
    let project = project(&spec, &CONFIG.replace("epochs: 2", "epochs: 4").replace("batch_size: 4", "batch_size: 5"));
    project.succeeds(&["run", "run.yaml"]);
    column(&project, "train/rate_now")
}

#[test]
fn a_rate_falls_by_what_validation_data_say() {
    // The training loss falls in every epoch, whose batches are of one size; the validation loss rises.
    let (by_validation, by_training) = (plateau("on(validation, fit)"), plateau("fit"));
    assert!(by_validation.windows(2).all(|pair| pair[1] <= pair[0]) && by_validation[3] < 0.006, "{by_validation:?}");
    assert!(by_training.iter().all(|rate| (rate - 0.01).abs() < 1e-8), "{by_training:?}");
}

#[test]
fn losses_and_values_have_metrics_by_name() {
    let project = project(
        "input x: f32[batch]\n\
         target y: f32[batch]\n\
         layer net = dense(units=2)\n\
         output p, q = unstack(net(x[:, none]), axis=1)\n\
         let size = abs(p)\n\
         loss total = balanced(square(p - y), square(q - y), square(p - q))\n\
         metric first = total.weights[0]\n\
         metric sum_of_weights = sum(total.weights)\n\
         metric magnitude = size\n\
         metric same = mean(abs(p))\n\
         train { minimize total optimizer sgd(lr=0.01) }\n",
        CONFIG,
    );
    project.succeeds(&["run", "run.yaml"]);
    let first = column(&project, "train/first");
    assert!((first[0] - 1.0 / 3.0).abs() < 0.2 && first.iter().all(|w| (0.0..=1.0).contains(w)), "{first:?}");
    assert!(column(&project, "train/sum_of_weights").iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    let (magnitude, same) = (column(&project, "train/magnitude"), column(&project, "train/same"));
    assert!(
        magnitude.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-5 * a.abs().max(1.0)),
        "{magnitude:?} {same:?}"
    );
}

#[test]
fn losses_that_are_all_0_end_no_run() {
    for call in ["balanced(a, b)", "balanced(a, b, 0 * a)"] {
        let project = project(
            &format!(
                "input x: f32[batch]\n\
                 target y: f32[batch]\n\
                 param w: f32 = 1\n\
                 output p = w * x\n\
                 loss a = square(p - y)\n\
                 loss b = 2 * square(p - y)\n\
                 loss total = {call}\n\
                 train {{ minimize total optimizer sgd(lr=0.01) }}\n"
            ),
            &CONFIG.replace("other.npz", "data.npz"),
        );
        project.succeeds(&["run", "run.yaml"]);
        assert_eq!(column(&project, "train/total"), [0.0, 0.0], "{call}");
    }
}

#[test]
fn a_target_that_no_row_has_shows_a_dash() {
    let project = Project::new(
        "input x: f32[batch]\n\
         target y: f32[batch]\n\
         target z: f32[batch]?\n\
         param w: f32 = 0.5\n\
         param v: f32 = 0.5\n\
         output p = w * x\n\
         output q = v * x\n\
         loss a = square(p - y)\n\
         loss b = square(q - z)\n\
         train { minimize a + fill_missing(b, 0) optimizer sgd(lr=0.01) }\n",
        &CONFIG.replace("other.npz", "data.npz"),
    );
    let x = ramp(10);
    project.arrays("data.npz", &[("x", &[10], &x), ("y", &[10], &x), ("z", &[10], &[f32::NAN; 10])]);
    project.succeeds(&["run", "run.yaml"]);
    assert!(!project.read("runs/model/history.csv").to_lowercase().contains("nan"));
    assert!(column(&project, "train/b").is_empty() && column(&project, "train/a").len() == 2);
}

#[test]
fn what_the_run_was_fed_can_be_fed_anew() {
    let project = project(
        "input alpha: f32\n\
         input x: f32[batch]\n\
         target y: f32[batch]\n\
         param w: f32 = 1\n\
         output p = alpha * w * x\n\
         loss fit = square(p - y)\n\
         train { minimize fit optimizer sgd(lr=1e-9) }\n",
        &(CONFIG.to_string() + "feed: { alpha: 1 }\n"),
    );
    project.succeeds(&["run", "run.yaml"]);
    let predict = ["predict", "runs/model", "--data", "data.npz", "-o"];
    project.succeeds(&[&predict[..], &["as_fed.npz"]].concat());
    project.succeeds(&[&predict[..], &["anew.npz", "--feed", "alpha=3"]].concat());
    let (as_fed, anew) = (project.array("as_fed.npz", "p").1, project.array("anew.npz", "p").1);
    assert!(as_fed.iter().zip(&anew).all(|(a, b)| (3.0 * a - b).abs() < 1e-5), "{as_fed:?} {anew:?}");
    let evaluated = |more: &[&str]| {
        project.succeeds(&[&["evaluate", "runs/model", "--data", "data.npz", "--format", "json"], more].concat())
    };
    assert_ne!(evaluated(&[]), evaluated(&["--feed", "alpha=3"]));
    let refused = project.run(&[&predict[..], &["no.npz", "--feed", "alpa=3"]].concat());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("did you mean") && told.contains("alpha"), "{told}");
    assert!(!project.run(&[&predict[..], &["no.npz", "--feed", "x=3"]].concat()).status.success());
}
