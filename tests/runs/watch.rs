//! What a run does by the value that it watches, and what it says of loss weights that overshoot.

use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// y = x is learned, and the other rows say y = -x: the better the model, the worse on those.
const SPEC: &str = "\
input x: f32[batch, 1]
target y: f32[batch, 1]
output guess = x |> dense(units=1, bias=false, init=zeros)
loss error = mean_squared_error(y, guess)
metric distance = mean_absolute_error(y, guess)
metric likeness = cosine_similarity(y, guess)
metric spread = mean(square(guess), axes=1)
train {
    minimize error
    optimizer sgd(lr=0.1)
}
";

fn project(spec: &str, config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("model.anb", spec);
    write("same.csv", "x,y\n1,1\n-1,-1\n2,2\n-2,-2\n");
    write("opposite.csv", "x,y\n1,-1\n-1,1\n2,-2\n-2,2\n");
    let head = "spec: model.anb\ndata: { train: same.csv, validation: opposite.csv }\nbatch_size: 4\noutput: run\n";
    write("run.yaml", &format!("{head}{config}"));
    folder
}

fn anabranch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap()
}

/// Standard output and standard error of a run.
#[track_caller]
fn run(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = anabranch(folder, &[&["run", "run.yaml"], arguments].concat());
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(0), "{error}");
    (out, error)
}

fn refused(config: &str) -> String {
    let folder = project(SPEC, config);
    let output = anabranch(folder.path(), &["run", "run.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder.path().join("run").exists());
    String::from_utf8(output.stderr).unwrap()
}

fn record(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join("run/record.json")).unwrap()).unwrap()
}

fn kernel(folder: &Path) -> Vec<u8> {
    let bytes = std::fs::read(folder.join("run/params.safetensors")).unwrap();
    bytes[bytes.len() - 4..].to_vec()
}

#[test]
fn a_run_ends_when_the_watched_value_no_longer_improves() {
    let folder = project(SPEC, "epochs: 50\nmonitor: { value: validation/error, patience: 3 }\n");
    let (out, _) = run(folder.path(), &[]);
    assert!(out.contains("stopped early; best validation/error: "), "{out}");
    let found = record(folder.path());
    // The run made four epochs, and its params are those of the first.
    assert_eq!((found["epochs"].as_u64(), found["steps"].as_u64()), (Some(4), Some(4)));
    assert_eq!((found["params"]["epoch"].as_u64(), found["params"]["step"].as_u64()), (Some(1), Some(1)));
    assert_eq!(found["last"]["validation/error"], found["best"]["value"]);
    assert_eq!(found["best"]["epoch"], 1);
    assert_eq!(found["stopped_early"], true);
    let best = kernel(folder.path());
    // The params are those of a run of one epoch, and with `keep: last` those of the last.
    let short = project(SPEC, "epochs: 1\n");
    run(short.path(), &[]);
    assert_eq!(best, kernel(short.path()));
    let last = project(SPEC, "epochs: 50\nmonitor: { value: validation/error, patience: 3, keep: last }\n");
    run(last.path(), &[]);
    assert_ne!(best, kernel(last.path()));
    assert_eq!(record(last.path())["steps"], 4);
}

#[test]
fn without_patience_the_best_epoch_is_kept_and_the_run_goes_on() {
    let folder = project(SPEC, "epochs: 6\nmonitor: { value: train/distance, better: higher }\n");
    let (out, _) = run(folder.path(), &[]);
    assert!(!out.contains("stopped early"), "{out}");
    let found = record(folder.path());
    assert_eq!((found["epochs"].as_u64(), found["best"]["epoch"].as_u64()), (Some(6), Some(1)));
    assert_eq!(found["best"]["watched"], "train/distance");
}

#[test]
fn when_a_metric_is_better_is_known_of_those_that_the_library_defines() {
    let best = |spec: &str, watched: &str| {
        let folder = project(spec, &format!("epochs: 6\nmonitor: {{ value: {watched} }}\n"));
        run(folder.path(), &[]);
        record(folder.path())["best"]["epoch"].as_u64().unwrap()
    };
    // Both of the training rows get better from epoch to epoch, the likeness being 0 before there is any guess.
    assert_eq!(best(SPEC, "train/distance"), 6);
    assert_eq!(best(SPEC, "train/likeness"), 2);
    // A spec may say it of its own.
    let own = |than: &str| {
        SPEC.replace("mean(square(guess), axes=1)", &format!("mean(square(guess), axes=1) |> better_when({than:?})"))
    };
    assert_eq!((best(&own("higher"), "train/spread"), best(&own("lower"), "train/spread")), (6, 1));
    let folder = project(&own("more"), "epochs: 1\n");
    let output = anabranch(folder.path(), &["run", "run.yaml"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("nothing is better when \"more\"") && message.contains("\"lower\" or \"higher\""),
        "{message}"
    );
    // What is made of one is another.
    let apart = SPEC.replace("cosine_similarity(y, guess)", "1 - cosine_similarity(y, guess)");
    let folder = project(&apart, "epochs: 1\nmonitor: { value: train/likeness }\n");
    let output = anabranch(folder.path(), &["run", "run.yaml"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("is better is not said"));
}

#[test]
fn epochs_that_are_not_evaluated_are_not_judged() {
    let watched = "monitor: { value: validation/error, patience: 2 }\n";
    let folder = project(SPEC, &format!("epochs: 50\nevaluate_every: 2\n{watched}"));
    run(folder.path(), &[]);
    let found = record(folder.path());
    // Of epochs 2, 4 and 6 the first is the best.
    assert_eq!((found["epochs"].as_u64(), found["best"]["epoch"].as_u64()), (Some(6), Some(2)));
    let history = std::fs::read_to_string(folder.path().join("run/history.csv")).unwrap();
    let at = history.lines().next().unwrap().split(',').position(|name| name == "validation/error").unwrap();
    let cells: Vec<bool> = history.lines().skip(1).map(|line| !line.split(',').nth(at).unwrap().is_empty()).collect();
    assert_eq!(cells, [true, false, true, false, true, false, true]);
    // The last epoch is evaluated whatever its number.
    run(folder.path(), &["--replace", "--epochs", "3", "--evaluate-every", "5"]);
    assert_eq!(record(folder.path())["best"]["epoch"], 3);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let cases = [
        "monitor: { value: validation/eror }",
        "monitor: { value: test/error }",
        "monitor: { value: error }",
        "monitor: { value: validation/error, patience: 0, better: more, keep: all, min_delta: -1, wait: 2 }",
        "monitor: validation/error",
        "monitor: { patience: 2 }",
        "monitor: { value: validation/spread }",
    ];
    let texts: Vec<String> = cases.iter().map(|case| refused(&format!("epochs: 3\n{case}\n"))).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

/// Two losses of 20 and 5 and the weight between them; the model hardly moves.
fn weighed(rate: f64, call: &str) -> String {
    format!(
        "input x: f32[batch, 1]\ntarget y: f32[batch, 1]\nparam p: f32 = 20\nparam q: f32 = 5\noutput o = p * x + q
loss a = abs(p) * mean(where(x == x, 1, 0), axes=1)\nloss b = abs(q) * mean(where(y == y, 1, 0), axes=1)\nloss total = {call}
train {{\n    minimize total\n    optimizer sgd(lr=1e-9)\n    optimizer sgd(lr={rate}) for total.alpha\n}}\n"
    )
}

#[test]
fn a_weight_that_jumps_from_bound_to_bound_is_told_of_once() {
    let plain = "balanced(a, b, normalise=false)";
    let folder = project(&weighed(0.01, plain), "epochs: 4\n");
    let (out, error) = run(folder.path(), &["--log", "plain"]);
    // (a + b)² lr = 6.25, and 1 is where it becomes unstable.
    let weights: Vec<&str> = out.lines().filter_map(|line| line.split("total.alpha ").nth(1)).collect();
    assert_eq!(weights, ["0.50000", "0.00000", "1.00000", "0.00000", "1.00000"]);
    insta::assert_snapshot!(error);
    // A step as small as it says is quiet, and so is the scale-free form.
    for (rate, call) in [(8e-4, plain), (0.5, "balanced(a, b)")] {
        let folder = project(&weighed(rate, call), "epochs: 2\n");
        assert_eq!(run(folder.path(), &[]).1, "", "{rate} {call}");
    }
    let allowed = weighed(0.01, plain).replace("loss total", "@allow(overshooting-weight)\nloss total");
    let folder = project(&allowed, "epochs: 2\n");
    assert_eq!(run(folder.path(), &[]).1, "");
    let folder = project(&weighed(0.01, plain), "epochs: 2\n");
    let denied = anabranch(folder.path(), &["run", "run.yaml", "--deny", "overshooting-weight"]);
    assert_eq!(denied.status.code(), Some(2));
    // An error ends a run that has begun, and its record says so.
    assert_eq!(record(folder.path())["status"], "failed");
    assert_eq!(std::fs::read_to_string(folder.path().join("run/history.csv")).unwrap().lines().count(), 2);
}

#[test]
fn a_moving_total_is_no_value_to_watch() {
    let folder = project(&weighed(1e-4, "balanced(a, b)"), "epochs: 1\nmonitor: { value: validation/total }\n");
    insta::assert_snapshot!(run(folder.path(), &[]).1);
    let denied = anabranch(folder.path(), &["run", "run.yaml", "--deny", "moving-monitor"]);
    assert_eq!(denied.status.code(), Some(2));
    let folder = project(&weighed(1e-4, "balanced(a, b)"), "epochs: 1\nmonitor: { value: validation/a }\n");
    assert_eq!(run(folder.path(), &[]).1, "");
}
