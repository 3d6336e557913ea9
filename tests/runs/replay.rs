//! Steps of a run that was, made again: they equal the run's own record, and the first step of a change is found.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// `n` counts steps; from the step that sees 29 on a loss is beside the others, and from the one that sees 40 it is infinite.
const SPEC: &str = "\
input x: f32[batch, 2]
target y: f32[batch, 1]
state n: f32 = 0
update n = n + 1
let plain = x |> dense(units=1)
output guess = plain |> dropout(rate=0.2)
loss error = mean_squared_error(y, guess)
let beside = f32(n >= 29) * 100
loss odd = where(n < 39.5, beside, exp(n * 100)) * mean(x[:, 0] ** 2 / x[:, 0] ** 2)
loss total = error + odd
train {
    minimize total
    optimizer adam(lr=0.01)
}
";

const CONFIG: &str = "\
spec: model.anb
data: { train: rows.csv, columns: { x: [a, b] } }
batch_size: 4
epochs: 10
output: run
checkpoint: { every: 7 steps, keep: 100 }
log_every: 1
";

fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = "a,b,y\n".to_string();
    for row in 0..18 {
        let _ = writeln!(rows, "{},{},{}", 0.1 + f64::from(row) * 0.1, f64::from(row * 7 % 5), f64::from(row % 3));
    }
    for (name, text) in [("model.anb", SPEC), ("run.yaml", CONFIG), ("rows.csv", &rows)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch"))
        .args(["run", "run.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "it diverges: {}", String::from_utf8_lossy(&output.stderr));
    folder
}

#[track_caller]
fn answers(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_step_made_again_is_what_the_run_recorded() {
    let project = project();
    let folder = project.path();
    let record = std::fs::read_to_string(folder.join("run/steps.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> = record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 40, "the step that is infinite is no row");
    for step in [1, 5, 6, 7, 8, 14, 23, 40] {
        let text = answers(folder, &["replay", "run", "--step", &step.to_string(), "--threads", "1"]);
        let row = &rows[step - 1];
        assert!(text.starts_with(&format!("step {step}, epoch {}\n", row["epoch"])), "{text}");
        for (name, value) in row["values"].as_object().unwrap() {
            let line = text.lines().find(|line| line.contains(&format!(" {name}: "))).unwrap();
            let again: f64 = line.rsplit(": ").next().unwrap().parse().unwrap();
            assert_eq!(again as f32, value.as_f64().unwrap() as f32, "step {step}: {name}");
        }
    }
    for wrong in ["0", "51"] {
        assert!(refused(folder, &["replay", "run", "--step", wrong]).contains("a step from 1 to 50"));
    }
}

#[test]
fn any_value_of_a_step_can_be_seen() {
    let project = project();
    let folder = project.path();
    let text = answers(folder, &["replay", "run", "--step", "30", "--print", "beside", "--print", "guess"]);
    assert!(text.contains("beside []") && text.contains("\n  100.00000\n"), "{text}");
    assert!(text.contains("guess [2, 1], "), "{text}");
    // A value that a layer makes has the names of the layer's parts within it.
    let made = answers(folder, &["replay", "run", "--step", "30", "--print", "plain", "--print", "plain.dense.kernel"]);
    assert!(made.contains("plain [2, 1], ") && made.contains("plain.dense.kernel [2, 1], "), "{made}");
    let before = answers(folder, &["replay", "run", "--step", "29", "--print", "beside"]);
    assert!(before.contains("\n  0.00000\n"), "{before}");
    let message = refused(folder, &["replay", "run", "--step", "30", "--print", "besid"]);
    assert!(message.contains("E0201") && message.contains("did you mean `beside`?"), "{message}");
}

#[test]
fn the_first_step_of_a_change_is_found() {
    let project = project();
    let folder = project.path();
    // The state is 30 after step 30; the step that sees 29 is the thirtieth.
    assert!(answers(folder, &["bisect", "run", "n >= 13"]).starts_with("first true in step 13: 13.00000\n"));
    assert!(answers(folder, &["bisect", "run", "odd > 50"]).starts_with("first true in step 30: 100.00000\n"));
    assert!(answers(folder, &["bisect", "run", "nan(odd)"]).starts_with("first true in step 41: inf\n"));
    assert!(answers(folder, &["bisect", "run", "n >= 1"]).starts_with("first true in step 1: "));
    assert_eq!(answers(folder, &["bisect", "run", "norm(plain.dense.kernel) > 1e6"]), "never true\n");
    assert!(refused(folder, &["bisect", "run", "plain.dense.kernel > 1"]).contains("norm(plain.dense.kernel)"));
    assert!(refused(folder, &["bisect", "run", "eror > 1"]).contains("did you mean `error`?"));
    assert!(refused(folder, &["bisect", "run", "error"]).contains("expected `NAME > NUMBER`"));
}
