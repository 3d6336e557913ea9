//! What the steps and batches of a run mean for values that prediction reads: the moments of batch normalisation.

use std::path::Path;
use std::process::Command;

/// What a run of a hidden layer says, trained by `optimizer` on so many rows.
fn said(hidden: &str, optimizer: &str, rows: usize, keys: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let project = tempfile::tempdir().unwrap();
    let with = |name: &str, text: &str| std::fs::write(project.path().join(name), text).unwrap();
    let spec = format!(
        "input x: f32[batch, 2]\ntarget y: f32[batch, 1]\nlet h = x |> dense(units=4) |> {hidden}\n\
         output p = h |> dense(units=1)\nloss l = mean_squared_error(y, p)\n\
         train {{ minimize l\n optimizer {optimizer} }}\n"
    );
    with("spec.anb", &spec);
    let line = |at: usize| format!("{},{},{}\n", at % 3, (at * 7) % 5, at % 2);
    with("data.csv", &format!("x0,x1,y\n{}", (0..rows).map(line).collect::<String>()));
    with(
        "run.yaml",
        &format!("spec: spec.anb\ndata: {{ train: data.csv, columns: {{ x: x0..x1, y: y }} }}\noutput: run\n{keys}"),
    );
    run(project.path(), arguments)
}

fn run(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    let output = command.args(["run", "run.yaml"]).args(arguments).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn moments_that_few_steps_leave_at_their_first_values_are_told() {
    let of = |hidden: &str, optimizer: &str, epochs: usize| {
        let (code, text) = said(hidden, optimizer, 40, &format!("batch_size: 8\nepochs: {epochs}\n"), &[]);
        assert_eq!(code, Some(0), "{text}");
        text
    };
    let few = of("batch_norm()", "sgd()", 20);
    assert!(few.contains("L0025") && few.contains("a step keeps 0.99 of it, and there are 100 steps"), "{few}");
    assert!(few.contains("37 % its first value"), "{few}");
    for settled in [of("batch_norm()", "sgd()", 100), of("batch_norm(momentum=0.9)", "sgd()", 20)] {
        assert!(!settled.contains("L0025"), "{settled}");
    }
    assert!(!of("dropout(rate=0.5)", "sgd()", 1).contains("L0025"));
}

#[test]
fn a_batch_of_one_row_under_batch_statistics_is_told() {
    let of = |hidden: &str, rows: usize, keys: &str| {
        let (_, text) = said(hidden, "sgd()", rows, &format!("epochs: 1\n{keys}"), &[]);
        text
    };
    let norm = "batch_norm(momentum=0.1)";
    let single = of(norm, 20, "batch_size: 1\n");
    assert!(single.contains("L0026") && single.contains("`batch_size` is 1"), "{single}");
    let last = of(norm, 25, "batch_size: 8\n");
    assert!(last.contains("L0026") && last.contains("the last batch of an epoch has one row"), "{last}");
    for sound in [
        of(norm, 26, "batch_size: 8\n"),
        of(norm, 25, "batch_size: 8\ndrop_last: true\n"),
        of("layer_norm()", 20, "batch_size: 1\n"),
        of("dropout(rate=0.5)", 20, "batch_size: 1\n"),
    ] {
        assert!(!sound.contains("L0026"), "{sound}");
    }
}

#[test]
fn what_is_denied_ends_the_run_before_it_begins() {
    let keys = "batch_size: 1\nepochs: 1\n";
    let (code, text) = said("batch_norm()", "sgd()", 20, keys, &["--deny", "batch-of-one"]);
    assert!(code == Some(2) && text.contains("error[L0026]"), "{code:?} {text}");
}
