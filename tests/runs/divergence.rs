//! What a run says and does when its numbers stop being finite.

use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A line through rows of which the seventh is so far out that its square is infinite in f32.
const SPEC: &str = "\
input x: f32[batch, 1]
target y: f32[batch, 1]
output guess = x |> dense(units=1, init=ones)
let apart = y - guess
loss error = mean(apart ** 2, axes=1)
loss small = mean(square(guess * 1e-30), axes=1)
train {
    minimize error + small
    optimizer sgd(lr=0.01)
}
";

const SMALL: &str = "loss small = mean(square(guess * 1e-30), axes=1)\n";

const CONFIG: &str = "\
spec: model.anb
data: { train: rows.csv }
batch_size: 2
epochs: 2
shuffle: false
output: run
checkpoint: 1 steps
log_every: 1
";

fn project(spec: &str, config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("model.anb", spec);
    write("run.yaml", config);
    let row = |row: usize| if row == 6 { "1e30,1\n".to_string() } else { format!("{},{}\n", row as f64 * 0.1, row) };
    write("rows.csv", &("x,y\n".to_string() + &(0..10).map(row).collect::<String>()));
    folder
}

fn anabranch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap()
}

/// Standard error of a run that ends with a code.
#[track_caller]
fn run(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = anabranch(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    message
}

fn record(folder: &Path, run: &str) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(folder.join(run).join("record.json")).unwrap()).unwrap()
}

#[test]
fn the_first_value_that_is_not_finite_is_named_with_its_rows_and_its_loss() {
    let folder = project(SPEC, CONFIG);
    let message = run(folder.path(), &["run", "run.yaml"], 2);
    insta::assert_snapshot!(message);
    let found = record(folder.path(), "run");
    assert_eq!((found["status"].as_str(), found["steps"].as_u64()), (Some("diverged"), Some(4)));
    // There was no good epoch: the model is as it was at the start, and it predicts.
    assert_eq!(found["params"]["step"], 0);
    std::fs::write(folder.path().join("few.csv"), "x\n1\n").unwrap();
    run(folder.path(), &["predict", "run", "--data", "few.csv", "-o", "out.npz"], 0);
    // Gone on with, it comes to the same.
    let again = run(folder.path(), &["run", "--resume", "run"], 2);
    assert!(again.contains("training row 6, counted from 0"), "{again}");
    // It went on within the epoch, so the last state that is known to be good is the one that it went on from.
    let found = record(folder.path(), "run");
    assert_eq!((found["status"].as_str(), found["params"]["step"].as_u64()), (Some("diverged"), Some(3)));
}

#[test]
fn a_value_in_the_gradients_names_what_they_are_of() {
    // The square root is finite at 0, and its slope is not.
    let spec = SPEC.replace("mean(apart ** 2, axes=1)", "mean(sqrt(abs(apart) * 0), axes=1)");
    let folder = project(&spec, CONFIG);
    let message = run(folder.path(), &["run", "run.yaml"], 2);
    // What lints find in such a spec is not the matter here.
    insta::assert_snapshot!(&message[message.find("error[").unwrap()..]);
}

/// An infinity that is masked, or that the spec writes down, is none that a loss follows from.
#[test]
fn what_is_masked_is_not_named() {
    let spec = SPEC.replace(
        "loss small = mean(square(guess * 1e-30), axes=1)",
        "loss small = mean(where(x > 1e-9, log(x), -1), axes=1) + mean(where(guess > 1e3, exp(guess), 0), axes=1)",
    );
    let folder = project(&spec, CONFIG);
    let message = run(folder.path(), &["run", "run.yaml"], 2);
    assert!(!message.contains("log(x)") && message.contains("E0607"), "{message}");
}

#[test]
fn a_step_may_be_left_out() {
    let spec = SPEC.replace(" + small", "").replace(SMALL, "");
    for (on_nan, way) in [("skip", None), ("halve-lr", Some("0.5"))] {
        let folder = project(&spec, &format!("{CONFIG}on_nan: {on_nan}\n"));
        let message = run(folder.path(), &["run", "run.yaml"], 0);
        assert_eq!(message.matches("the step is left out").count(), 2, "{message}");
        assert_eq!(message.contains("each later step goes 0.5 of its way"), way.is_some(), "{message}");
        assert!(message.contains("training row 6, counted from 0"), "{message}");
        assert_eq!(record(folder.path(), "run")["status"], "finished");
        // From every step to the same bytes.
        let whole = std::fs::read(folder.path().join("run/params.safetensors")).unwrap();
        for n_steps in 1..10 {
            run(folder.path(), &["run", "run.yaml", "--output", "again", "--replace", "--epochs", "1"], 0);
            let checkpoints = folder.path().join("again/checkpoints");
            for entry in std::fs::read_dir(&checkpoints).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap() > n_steps {
                    std::fs::remove_dir_all(path).unwrap();
                }
            }
            run(folder.path(), &["run", "--resume", "again", "--epochs", "2"], 0);
            assert!(
                std::fs::read(folder.path().join("again/params.safetensors")).unwrap() == whole,
                "{on_nan} {n_steps}"
            );
        }
    }
    // The params of `skip` are those of a run that never met the row's batch.
    let folder = project(&spec, &format!("{CONFIG}on_nan: skip\n"));
    run(folder.path(), &["run", "run.yaml", "--epochs", "1"], 0);
    let without = project(&spec, &CONFIG.replace("epochs: 2", "epochs: 1"));
    let rows = std::fs::read_to_string(folder.path().join("rows.csv")).unwrap();
    let kept: Vec<&str> =
        rows.lines().enumerate().filter(|(at, _)| ![7, 8].contains(at)).map(|(_, line)| line).collect();
    std::fs::write(without.path().join("rows.csv"), kept.join("\n") + "\n").unwrap();
    run(without.path(), &["run", "run.yaml"], 0);
    let params = |folder: &TempDir| std::fs::read(folder.path().join("run/params.safetensors")).unwrap();
    let (a, b) = (params(&folder), params(&without));
    assert_eq!(a[a.len() - 8..], b[b.len() - 8..]);
}

#[test]
fn a_run_whose_every_step_is_left_out_ends() {
    let spec = SPEC.replace("apart ** 2", "log(apart * 0)");
    let folder = project(&spec, &format!("{}on_nan: skip\n", CONFIG.replace("epochs: 2", "epochs: 20")));
    let message = run(folder.path(), &["run", "run.yaml"], 2);
    assert_eq!(message.matches("the step is left out").count(), 20, "{message}");
    assert!(
        message.contains("the 20 steps before it were left out") && !message.contains("or say `on_nan"),
        "{message}"
    );
    assert_eq!(record(folder.path(), "run")["steps"], 21);
}

#[test]
fn a_loss_that_rises_a_million_times_is_told_of_once() {
    let rows = "x,y\n".to_string() + &(0..10).map(|row| format!("{row},{}\n", 2 * row)).collect::<String>();
    let spec = SPEC.replace("lr=0.01", "lr=1").replace(" + small", "").replace(SMALL, "");
    let folder = project(&spec, CONFIG);
    std::fs::write(folder.path().join("rows.csv"), rows).unwrap();
    let message = run(folder.path(), &["run", "run.yaml", "--epochs", "1"], 0);
    assert_eq!(message.matches("times what it was").count(), 1, "{message}");
    assert!(message.contains("warning[E0607]: the loss `error` is"), "{message}");
    std::fs::write(folder.path().join("model.anb"), spec.replace("lr=1)", "lr=0.001)")).unwrap();
    assert_eq!(run(folder.path(), &["run", "run.yaml", "--epochs", "1"], 0), "");
}

#[test]
fn whether_a_metric_is_better_when_higher_is_to_be_said() {
    let spec = SPEC.replace("train {", "metric accuracy = mean(abs(apart), axes=1)\ntrain {");
    let folder = project(&spec, &format!("{CONFIG}monitor: {{ value: train/accuracy }}\n"));
    let message = run(folder.path(), &["run", "run.yaml"], 2);
    assert!(message.contains("E0602") && message.contains("add `better: higher` or `better: lower`"), "{message}");
    assert!(!folder.path().join("run").exists());
}
