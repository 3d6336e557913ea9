//! The binary as a user meets it: what it prints, what it writes, and what it says of mistakes.

use anabranch::data::{NumbersRef, TensorRef, write_npz};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const SPEC: &str = "\
input  x: f32[batch, 2]
target y: f32[batch, 1]
output guess = x |> dense(units=1)
loss error = mean_squared_error(y, guess)
train {
    minimize error
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: line.anb
data: { train: line.npz, test: line.npz }
batch_size: 4
epochs: 3
output: runs/line
";

/// A folder with a spec, a config and data of 10 rows.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("line.anb"), SPEC).unwrap();
    std::fs::write(folder.path().join("run.yaml"), CONFIG).unwrap();
    write_data(folder.path(), 2, |i| i as f32 / 20.0);
    folder
}

fn write_data(folder: &Path, width: usize, x: impl Fn(usize) -> f32) {
    let x: Vec<f32> = (0..10 * width).map(x).collect();
    let y: Vec<f32> = (0..10).map(|row| 0.1 * row as f32).collect();
    let tensor = |name, shape, values| TensorRef { name, shape, values: NumbersRef::F32(values) };
    write_npz(&folder.join("line.npz"), &[tensor("x", &[10, width], &x), tensor("y", &[10, 1], &y)]).unwrap();
}

fn anabranch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> String {
    let output = anabranch(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The message of a command that fails by the user's mistake; nothing but `known` files stands in the folder after it.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str]) -> String {
    let before = entries(folder);
    let output = anabranch(folder, arguments);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(entries(folder), before, "a failed command leaves nothing behind");
    String::from_utf8(output.stderr).unwrap()
}

fn entries(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_run_predicts_without_its_spec() {
    let project = project();
    let folder = project.path();
    let text = succeeds(folder, &["run", "run.yaml"]);
    assert!(text.contains("\n  3/3  "), "{text}");
    let written = [
        ".anabranch-run",
        "checkpoints",
        "evaluate.json",
        "graphs",
        "history.csv",
        "params.safetensors",
        "predict.json",
        "record.json",
        "run.yaml",
        "spec",
        "steps.jsonl",
    ];
    assert_eq!(entries(&folder.join("runs/line")), written);
    assert_eq!(entries(&folder.join("runs/line/checkpoints")), ["000000009"]);
    assert_eq!(entries(&folder.join("runs/line/spec")), ["line.anb"]);
    assert_eq!(entries(&folder.join("runs")), ["line"]);
    std::fs::remove_file(folder.join("line.anb")).unwrap();
    succeeds(folder, &["predict", "runs/line", "--data", "line.npz", "-o", "planned.npz"]);
    let reference = ["predict", "runs/line", "--data", "line.npz", "-o", "small.npz", "--batch-size", "3"];
    succeeds(folder, &reference);
    let spec = anabranch::data::FieldSpec::new("guess", &[Some(1)], anabranch::data::FieldKind::Float);
    let read = |name: &str| {
        let source = anabranch::data::DataSource::new(folder.join(name));
        anabranch::data::load(&source, std::slice::from_ref(&spec)).unwrap()
    };
    let guesses = read("planned.npz");
    assert_eq!(guesses.rows, 10);
    for row in 0..10 {
        let [a, b] = [&guesses, &read("small.npz")].map(|data| data.fields["guess"].values.get(row));
        assert!((a - b).abs() < 1e-5, "row {row}: {a} in one batch, {b} in batches of 3");
    }
}

#[test]
fn what_no_row_has_is_no_value() {
    let project = project();
    let folder = project.path();
    let spec = SPEC.replace("f32[batch, 1]\n", "f32[batch, 1]?\n");
    let spec = spec.replace(
        "train {",
        "loss size = mean(square(guess), axes=1)\nmetric apart = mean(abs(y - guess), axes=1)\ntrain {",
    );
    std::fs::write(folder.join("line.anb"), spec.replace("minimize error", "minimize size")).unwrap();
    let (x, y) = (vec![0.5; 20], vec![f32::NAN; 10]);
    let tensor = |name, shape, values| TensorRef { name, shape, values: NumbersRef::F32(values) };
    write_npz(&folder.join("line.npz"), &[tensor("x", &[10, 2], &x), tensor("y", &[10, 1], &y)]).unwrap();
    let text = succeeds(folder, &["run", "run.yaml", "--log", "plain"]);
    assert!(text.contains("apart -") && text.contains("test apart: - -> -\n"), "{text}");
    let record = std::fs::read_to_string(folder.join("runs/line/record.json")).unwrap();
    assert!(record.contains("\"test/apart\": null"), "{record}");
    let history = std::fs::read_to_string(folder.join("runs/line/history.csv")).unwrap();
    let columns = |line: &str| line.split(',').map(str::to_string).collect::<Vec<_>>();
    let lines: Vec<Vec<String>> = history.lines().map(columns).collect();
    let at = lines[0].iter().position(|name| name == "test/apart").unwrap();
    assert!(lines[1..].iter().all(|cells| cells[at].is_empty()), "{history}");
}

#[test]
fn each_batch_of_a_prediction_draws_its_own_numbers() {
    let project = project();
    let folder = project.path();
    let spec = SPEC.replace("loss error", "output noise = random_normal([batch])\nloss error");
    std::fs::write(folder.join("line.anb"), spec).unwrap();
    succeeds(folder, &["run", "run.yaml"]);
    let noise = |file: &str| {
        let predict = ["predict", "runs/line", "--data", "line.npz", "--batch-size", "3", "-o", file];
        succeeds(folder, &predict);
        let mut archive = ndarray_npy::NpzReader::new(std::fs::File::open(folder.join(file)).unwrap()).unwrap();
        let noise: ndarray::Array1<f32> = archive.by_name("noise").unwrap();
        noise.to_vec()
    };
    let first = noise("first.npz");
    let mut different = first.clone();
    different.sort_by(f32::total_cmp);
    different.dedup();
    assert_eq!((first.len(), different.len()), (10, 10), "{first:?}");
    assert_eq!(first, noise("second.npz"), "the same call draws the same numbers");
}

#[test]
fn the_same_run_writes_the_same_bytes() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml", "--output", "a"]);
    succeeds(folder, &["run", "run.yaml", "--output", "b"]);
    let checkpoint = ["checkpoints/000000009/state.safetensors", "checkpoints/000000009/state.json"];
    let others = [".anabranch-run", "history.csv", "steps.jsonl", "params.safetensors", "predict.json"];
    for name in others.into_iter().chain(checkpoint) {
        let [a, b] = ["a", "b"].map(|run| std::fs::read(folder.join(run).join(name)).unwrap());
        assert_eq!(a, b, "{name}");
    }
    // Of the record all but the time of day.
    let [a, b] = ["a", "b"].map(|run| {
        let text = std::fs::read_to_string(folder.join(run).join("record.json")).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        let times = ["started", "ended"].map(|name| record.as_object_mut().unwrap().remove(name));
        assert!(times.iter().all(Option::is_some), "{text}");
        record
    });
    assert_eq!(a, b);
}

#[test]
fn mistakes_are_explained_and_leave_nothing_behind() {
    let project = project();
    let folder = project.path();
    let with = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    let mut messages = Vec::new();
    let mut note = |what: &str, message: String| messages.push(format!("# {what}\n{message}"));
    note("missing config", fails(folder, &["run", "none.yaml"]));
    with("bad.yaml", &CONFIG.replace("line.npz, test", "lines.npz, test"));
    note("missing data", fails(folder, &["run", "bad.yaml"]));
    with("bad.yaml", &CONFIG.replace("epochs", "epoch"));
    note("typo in the config", fails(folder, &["run", "bad.yaml"]));
    with("bad.yaml", &CONFIG.replace("line.npz, test: line.npz", "{ file: line.npz, columns: { x: z } }"));
    note("wrong column", fails(folder, &["run", "bad.yaml"]));
    with("bad.anb", &SPEC.replace("dense", "dence"));
    note("typo in the spec", fails(folder, &["check", "bad.anb"]));
    with("bad.anb", &SPEC.replace("x |> dense(units=1)", "dense(x, units=1) + y"));
    note("output needs a target", fails(folder, &["check", "bad.anb"]));
    write_data(folder, 3, |i| i as f32);
    note("wrong shape", fails(folder, &["run", "run.yaml"]));
    write_data(folder, 2, |i| if i == 5 { f32::NAN } else { 1.0 });
    note("NaN in the data", fails(folder, &["run", "run.yaml"]));
    std::fs::create_dir(folder.join("mine")).unwrap();
    with("mine/notes.txt", "not a run");
    note("a folder that no run wrote", fails(folder, &["run", "run.yaml", "--output", "mine"]));
    note("no run there", fails(folder, &["predict", "mine", "--data", "line.npz", "-o", "out.npz"]));
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn the_library_is_printed_searched_and_found_by_other_names() {
    let here = tempfile::tempdir().unwrap();
    let std = |words: &[&str]| succeeds(here.path(), &[&["std"], words].concat());
    assert!(std(&["dense"]).contains("layer dense(x: f32[..., N], units: int"));
    assert_eq!(std(&["softmax"]), "# e^x over its sum along an axis\nsoftmax(x, axis?)    built in\n");
    assert_eq!(std(&["\"relu\""]), std(&["relu"]));
    let all = std(&[]);
    assert!(
        all.contains("\nlayer lstm(")
            && all.contains("\n# built-in functions\n")
            && all.contains("\nsolve(matrix, values)\n")
    );
    let lawful = std(&["--combiner", "non-conflicting"]);
    assert!(lawful.contains("combiner upgrad(") && lawful.contains("combiner mgda("), "{lawful}");
    assert!(!lawful.contains("combiner unweighted(") && !lawful.contains("layer "), "{lawful}");
    let both = std(&["--combiner", "non-conflicting,accumulation-invariant"]);
    assert!(!both.contains("combiner upgrad("), "{both}");
    let message = fails(here.path(), &["std", "--combiner", "non-conflict"]);
    assert!(message.contains("did you mean `non-conflicting`?"), "{message}");
    let found = std(&["--find", "Norm"]);
    assert!(found.contains("layer batch_norm(") && found.contains("random_normal(shape)"), "{found}");
    assert!(!found.contains("layer dense("), "{found}");
    for (theirs, ours) in [
        ("cumsum", "`cumulative_sum(x, axis?, reverse?, exclusive?)`"),
        ("mod", "`remainder(x, y)`"),
        ("pow", "`a ** b`"),
        ("^", "`a ** b`"),
        ("mse", "`mean_squared_error(target, prediction)`"),
        ("cross_entropy", "`sparse_categorical_crossentropy("),
        ("LSTM", "`lstm("),
        ("learning_rate", "`lr` here, as of `sgd`"),
        ("return_sequences", "`sequences` here, as of `simple_rnn`"),
        ("float32", "the type is `f32`"),
        ("None", "write `none`"),
    ] {
        let said = fails(here.path(), &["std", theirs]);
        assert!(said.contains(ours) && said.contains("E0201"), "{theirs}: {said}");
    }
    let said = fails(here.path(), &["std", "zzzz"]);
    assert!(!said.contains("here it is") && said.contains("--find"), "{said}");
    fails(here.path(), &["std", "--find", "zzzz"]);
}

#[test]
fn codes_are_explained_by_code_and_by_name() {
    let folder = std::env::temp_dir();
    let explain = |words: &[&str]| {
        let output = anabranch(&folder, &[&["explain"], words].concat());
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (by_code, by_name) = (explain(&["L0001"]), explain(&["weight-collapse"]));
    assert!(by_code.0 && by_code.1.starts_with("L0001: weight-collapse\n"), "{}", by_code.1);
    assert_eq!(by_code, by_name);
    let (all_listed, all) = explain(&[]);
    let listed = |code: &anabranch::diag::Code| all.contains(&format!("{code}  {}\n", code.title()));
    assert!(all_listed && anabranch::diag::Code::ALL.iter().all(listed), "{all}");
    let (known, said) = explain(&["weight-colapse"]);
    assert!(!known && said.contains("did you mean weight-collapse?"), "{said}");
    let (known, said) = explain(&["syntax"]);
    assert!(!known && !said.contains("did you mean"), "{said}");
}

#[test]
fn a_run_that_diverges_keeps_the_last_good_params() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let history = std::fs::read(folder.join("runs/line/history.csv")).unwrap();
    std::fs::write(folder.join("line.anb"), SPEC.replace("lr=0.1", "lr=1e12")).unwrap();
    let output = anabranch(folder, &["run", "run.yaml", "--epochs", "9"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("E0607"));
    assert_eq!(std::fs::read(folder.join("runs/line/history.csv")).unwrap(), history);
    assert_eq!(entries(&folder.join("runs")), ["line", "line-2"]);
    let record = std::fs::read_to_string(folder.join("runs/line-2/record.json")).unwrap();
    assert!(record.contains("\"status\": \"diverged\""), "{record}");
    succeeds(folder, &["predict", "runs/line-2", "--data", "line.npz", "-o", "good.npz"]);
}

#[test]
fn a_changed_program_is_refused() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let path = folder.join("runs/line/predict.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let predict = ["predict", "runs/line", "--data", "line.npz", "-o", "out.npz"];
    for (at, _) in text.match_indices(|c: char| c.is_ascii_digit()) {
        for digit in ["0", "9", "77777777"] {
            std::fs::write(&path, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
            let code = anabranch(folder, &predict).status.code();
            assert!(matches!(code, Some(0 | 2)), "{code:?} with {digit} at byte {at}");
        }
    }
}

/// Of the larger examples, the stage that says most in few lines; that nothing is found in any of them; that all are
/// formatted.
#[test]
fn examples_are_clean_and_their_losses_flow_as_meant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for example in
        ["localizer", "digits", "burgers", "semi_supervised", "vae", "segmentation", "gan", "sequence_tagger"]
    {
        let spec = format!("examples/{example}/{example}.anb");
        succeeds(root, &["fmt", "--check", &spec]);
        let output = anabranch(root, &["check", &spec]);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{spec}");
        insta::assert_snapshot!(format!("{example}_flow"), succeeds(root, &["flow", &spec]));
    }
}

#[test]
fn specs_are_formatted_and_checked() {
    let project = project();
    let folder = project.path();
    std::fs::write(folder.join("crooked.anb"), SPEC.replace("units=1", "units  =  1")).unwrap();
    let message = fails(folder, &["fmt", "--check", "crooked.anb"]);
    assert!(message.contains("E0609"), "{message}");
    succeeds(folder, &["fmt", "crooked.anb"]);
    succeeds(folder, &["fmt", "--check", "crooked.anb"]);
    assert_eq!(std::fs::read_to_string(folder.join("crooked.anb")).unwrap(), SPEC);
    succeeds(folder, &["check", "crooked.anb"]);
}

#[test]
fn a_folder_that_no_run_wrote_is_left_alone() {
    let project = project();
    let folder = project.path();
    std::fs::create_dir_all(folder.join("mine")).unwrap();
    std::fs::write(folder.join("mine/notes.txt"), "keep").unwrap();
    let message = fails(folder, &["run", "run.yaml", "--output", "mine"]);
    assert!(message.contains("E0605"), "{message}");
    assert_eq!(std::fs::read_to_string(folder.join("mine/notes.txt")).unwrap(), "keep");
}

/// Every `stop` of the first example's combiner closes a path: without it `compile` shows where the gradient leaks.
#[test]
fn a_removed_stop_is_a_leak_with_its_path() {
    let spec = include_str!("../../examples/localizer/localizer.anb");
    let folder = tempfile::tempdir().unwrap();
    let mut messages = String::new();
    for stopped in ["stop(first)", "stop(second)", "stop(alpha)", "stop(1 - alpha)"] {
        let open = stopped.trim_start_matches("stop");
        std::fs::write(folder.path().join("leak.anb"), spec.replacen(stopped, open, 1)).unwrap();
        let message = fails(folder.path(), &["compile", "leak.anb"]);
        assert!(message.contains("E0502") && message.contains("the gradient flows"), "{message}");
        messages.push_str(&format!("without {stopped}:\n{message}\n"));
    }
    insta::assert_snapshot!("leaks", messages);
}

#[test]
fn the_flow_is_drawn() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["flow", "line.anb", "--svg", "flow.svg"]);
    let drawing = std::fs::read_to_string(folder.join("flow.svg")).unwrap();
    assert!(drawing.starts_with("<svg") && drawing.trim_end().ends_with("</svg>"), "{drawing}");
    assert!(drawing.contains("guess.dense"), "{drawing}");
    succeeds(folder, &["graph", "line.anb", "-o", "line.svg"]);
    assert_eq!(std::fs::read_to_string(folder.join("line.svg")).unwrap(), drawing);
    succeeds(folder, &["graph", "line.anb", "-o", "line.html"]);
    let page = std::fs::read_to_string(folder.join("line.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<title>line</title>"), "{page}");
    succeeds(folder, &["graph", "line.anb", "-o", "line.dot"]);
    let messages = fails(folder, &["graph", "line.anb", "-o", "line.png"]);
    assert!(messages.contains("E0605") && messages.contains("expected: .svg, .html or .dot"), "{messages}");
}

#[test]
fn a_summary_is_a_table_or_json() {
    let project = project();
    let folder = project.path();
    let table = succeeds(folder, &["summary", "line.anb"]);
    assert!(table.contains("trained by") && table.contains("guess.dense"), "{table}");
    assert_eq!(succeeds(folder, &["compile", "line.anb"]), table);
    let json: serde_json::Value =
        serde_json::from_str(&succeeds(folder, &["summary", "line.anb", "--format", "json"])).unwrap();
    assert!(json["layers"].as_array().is_some_and(|layers| layers.iter().any(|layer| layer["layer"] == "guess.dense")));
}

#[test]
fn every_command_shows_examples_and_is_completed_in_shells() {
    let here = tempfile::tempdir().unwrap();
    let help = succeeds(here.path(), &["--help"]);
    let commands = [
        "compile",
        "run",
        "predict",
        "flow",
        "check",
        "fmt",
        "explain",
        "std",
        "completions",
        "replay",
        "bisect",
        "report",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}:\n{help}");
        let text = succeeds(here.path(), &[command, "--help"]);
        assert!(text.contains("Example") && text.contains(&format!("  anabranch {command} ")), "{text}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeds(here.path(), &["completions", shell]);
        assert!(commands.iter().all(|command| script.contains(command)), "{shell}");
    }
    // What bash completes, asked of bash itself where there is one.
    std::fs::write(here.path().join("script"), succeeds(here.path(), &["completions", "bash"])).unwrap();
    let ask = "source ./script && COMP_WORDS=(anabranch fl) COMP_CWORD=1 && _anabranch anabranch fl anabranch && echo ${COMPREPLY[@]}";
    if let Ok(output) = Command::new("bash").args(["-c", ask]).current_dir(here.path()).output() {
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "flow", "{output:?}");
    }
}
