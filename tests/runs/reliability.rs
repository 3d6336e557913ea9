//! Runs that are ended at any moment and gone on with: the same bytes as of one that never stopped, and nothing left behind.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Everything that a state is made of: batch statistics, dropout, Adam within gradients that are summed over steps and params that
/// are averaged, a combiner with weights and a state, several losses, a plateau, and metrics of sums over an epoch.
const SPEC: &str = "\
input x: f32[batch, 6]
target y: f32[batch, 2]
target c: i32[batch]
let hidden = x |> dense(units=12) |> batch_norm |> relu |> dropout(rate=0.3)
output guess = hidden |> dense(units=2)
let logits = hidden |> dense(units=3)
output class = softmax(logits)
loss error = mean_squared_error(y, guess)
loss sorted = sparse_categorical_crossentropy(c, logits, from_logits=true)
loss total = dwa(error, sorted)
metric fit = pearson_correlation(y[:, 0], guess[:, 0])
train {
    minimize total
    optimizer averaging(accumulated(adam(lr=reduce_on_plateau(error, from=0.02, patience=2)), every=2), decay=0.9)
}
";

const CONFIG: &str = "\
spec: model.anb
data: { train: train.csv, validation: valid.csv, test: valid.csv }
batch_size: 4
epochs: 4
monitor: { value: validation/error }
checkpoint: { every: 1 steps, keep: 3 }
log_every: 3
output: run
";

fn project_of(spec: &str, config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("model.anb", spec);
    write("run.yaml", config);
    for (name, n_rows, phase) in [("train.csv", 30, 0.0), ("valid.csv", 9, 0.5)] {
        let mut text = "x0,x1,x2,x3,x4,x5,y0,y1,c\n".to_string();
        for row in 0..n_rows {
            let x: Vec<f64> = (0..6).map(|at| (f64::from(row * 7 + at * 3) * 0.7 + phase).sin()).collect();
            let cells: Vec<String> = x.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "{},{},{},{}", cells.join(","), x[0] * x[1], x[2] - x[3], row % 3);
        }
        write(name, &text);
    }
    folder
}

fn project() -> TempDir {
    let columns = "  columns: { x: x0..x5, y: [y0, y1] } }";
    project_of(SPEC, &CONFIG.replace("test: valid.csv }", &format!("test: valid.csv,\n{columns}")))
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command.args(arguments).current_dir(folder);
    command
}

fn anabranch(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) -> Output {
    let output = anabranch(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn spawn(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What stands at every path below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

/// What a run came to, without what says how it got there.
fn result(folder: &Path, run: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let root = folder.join(run);
    let is_result = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_record = ["record.json", "run.yaml", ".anabranch-run"].contains(&name);
        !is_record && (!path.starts_with("checkpoints") || name == "state.safetensors")
    };
    let relative =
        files(&root).into_iter().map(|(path, bytes)| (path.strip_prefix(&root).unwrap().to_path_buf(), bytes));
    relative.filter(|(path, _)| is_result(path)).collect()
}

#[track_caller]
fn same(folder: &Path, a: &str, b: &str, what: &str) {
    let (a, b) = (result(folder, a), result(folder, b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{what}: {} differs", name.display());
    }
}

fn status(folder: &Path, run: &str) -> String {
    let text = std::fs::read_to_string(folder.join(run).join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["status"].as_str().unwrap().to_string()
}

/// Leaves a run as it would be had it been killed after the checkpoint of so many steps: logs and params go further.
fn leave_at(folder: &Path, run: &str, n_steps: u64) {
    for entry in std::fs::read_dir(folder.join(run).join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap() > n_steps {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn a_run_goes_on_from_every_step_to_the_same_bytes_on_any_number_of_threads() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml", "--threads", "2"]);
    let kept = CONFIG_KEEPS_ALL;
    let config = std::fs::read_to_string(folder.join("run.yaml")).unwrap().replace("keep: 3", kept);
    std::fs::write(folder.join("all.yaml"), &config).unwrap();
    for n_steps in [0, 1, 7, 8, 9, 16, 20, 31, 32] {
        succeeds(folder, &["run", "all.yaml", "--output", "again", "--replace"]);
        leave_at(folder, "again", n_steps);
        let threads = ["1", "2", "4"][n_steps as usize % 3];
        succeeds(folder, &["run", "--resume", "again", "--threads", threads]);
        assert_eq!(status(folder, "again"), "finished");
        for name in ["params.safetensors", "history.csv", "steps.jsonl", "checkpoints/000000032/state.safetensors"] {
            let [a, b] = ["run", "again"].map(|run| std::fs::read(folder.join(run).join(name)).unwrap());
            assert!(a == b, "after {n_steps} steps: {name} differs");
        }
    }
}

const CONFIG_KEEPS_ALL: &str = "keep: 1000";

/// Runs that are killed at moments all over them, again and again until one ends by itself.
#[test]
fn a_run_that_is_killed_at_any_moment_comes_to_the_same_bytes() {
    let project = project();
    let folder = project.path();
    let start = std::time::Instant::now();
    succeeds(folder, &["run", "run.yaml"]);
    let whole = start.elapsed();
    for round in [0_u32, 4, 7, 10] {
        let output = format!("killed-{round}");
        let mut child = spawn(folder, &["run", "run.yaml", "--output", &output]);
        let mut fraction = round + 1;
        loop {
            std::thread::sleep(whole * fraction / 12);
            if child.try_wait().unwrap().is_some_and(|status| status.success()) {
                break;
            }
            let _ = child.kill();
            child.wait().unwrap();
            fraction = (fraction * 5 + 3) % 12 + 6;
            let has_begun = folder.join(&output).join("run.yaml").exists();
            let resume: &[&str] =
                if has_begun { &["run", "--resume", &output] } else { &["run", "run.yaml", "--output", &output] };
            child = spawn(folder, resume);
        }
        same(folder, "run", &output, &output);
        assert_eq!(status(folder, &output), "finished");
    }
    let litter = files(folder).into_keys().filter(|path| path.to_string_lossy().contains(".part")).collect::<Vec<_>>();
    assert_eq!(litter, Vec::<PathBuf>::new());
}

#[test]
fn what_is_broken_is_seen_and_an_older_checkpoint_is_taken() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let checkpoint = folder.join("run/checkpoints/000000032");
    for name in ["state.safetensors", "state.json"] {
        for at in [0_usize, 40, 200] {
            let path = checkpoint.join(name);
            let whole = std::fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let output = succeeds(folder, &["run", "--resume", "run"]);
            let message = String::from_utf8_lossy(&output.stderr);
            assert!(message.contains("000000032` is not whole"), "{name} at {at}: {message}");
            assert_eq!(std::fs::read(&path).unwrap().len(), whole.len());
        }
    }
    succeeds(folder, &["run", "run.yaml", "--output", "again"]);
    same(folder, "run", "again", "mended");
}

#[test]
fn a_run_may_be_given_more_epochs_and_other_data_only_when_that_is_said() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml", "--output", "long", "--epochs", "6"]);
    succeeds(folder, &["run", "run.yaml"]);
    succeeds(folder, &["run", "--resume", "run", "--epochs", "6"]);
    same(folder, "long", "run", "two more epochs");
    let record = std::fs::read_to_string(folder.join("run/record.json")).unwrap();
    assert!(record.contains("\"resumed\"") && record.contains("\"epochs\": 6"), "{record}");
    let times: serde_json::Value = serde_json::from_str(&record).unwrap();
    let times = [&times["started"], &times["resumed"][0]["at"], &times["ended"]].map(|time| time.as_str().unwrap());
    assert!(times.is_sorted() && times.iter().all(|time| time.len() == 20 && time.ends_with('Z')), "{times:?}");
    let data = std::fs::read_to_string(folder.join("train.csv")).unwrap();
    std::fs::write(folder.join("train.csv"), data.replacen('7', "8", 1)).unwrap();
    let before = files(&folder.join("run"));
    let output = anabranch(folder, &["run", "--resume", "run", "--epochs", "7"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.code() == Some(2) && message.contains("E0603") && message.contains("--data-changed"),
        "{message}"
    );
    assert_eq!(files(&folder.join("run")), before);
    succeeds(folder, &["run", "--resume", "run", "--epochs", "7", "--data-changed"]);
    let record = std::fs::read_to_string(folder.join("run/record.json")).unwrap();
    assert!(record.contains("\"data_changed\": true"), "{record}");
}

/// The spec that a run was begun with is the one that it goes on with.
#[test]
fn a_run_needs_neither_its_spec_nor_its_config_to_go_on() {
    let project = project();
    let folder = project.path();
    let main = SPEC.replace("loss total = dwa(error, sorted)", "loss total = joined(error, sorted)");
    std::fs::create_dir_all(folder.join("specs/lib")).unwrap();
    std::fs::write(folder.join("specs/model.anb"), format!("use \"../lib/joined.anb\"\n{main}")).unwrap();
    std::fs::create_dir(folder.join("lib")).unwrap();
    std::fs::write(folder.join("lib/joined.anb"), "fn joined(a, b) {\n    return a + 2 * b\n}\n").unwrap();
    let config = std::fs::read_to_string(folder.join("run.yaml")).unwrap();
    std::fs::write(folder.join("run.yaml"), config.replace("spec: model.anb", "spec: specs/model.anb")).unwrap();
    succeeds(folder, &["run", "run.yaml"]);
    succeeds(folder, &["run", "run.yaml", "--output", "again"]);
    leave_at(folder, "again", 30);
    for gone in ["specs", "lib"] {
        std::fs::remove_dir_all(folder.join(gone)).unwrap();
    }
    std::fs::remove_file(folder.join("run.yaml")).unwrap();
    succeeds(folder, &["run", "--resume", "again"]);
    same(folder, "run", "again", "without its spec");
}

#[test]
#[cfg(unix)]
fn a_run_is_written_by_one_process() {
    let project = project();
    let folder = project.path();
    let config = std::fs::read_to_string(folder.join("run.yaml")).unwrap();
    std::fs::write(folder.join("run.yaml"), config.replace("epochs: 4", "epochs: 1000000")).unwrap();
    let mut child = spawn(folder, &["run", "run.yaml"]);
    while !folder.join("run/run.yaml").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    for arguments in [&["run", "--resume", "run"][..], &["run", "run.yaml", "--replace"]] {
        let output = anabranch(folder, arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains("another process"), "{message}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(status(folder, "run"), "running");
    succeeds(folder, &["run", "--resume", "run", "--epochs", "1"]);
}

#[test]
fn a_config_is_proved_to_go_on_exactly_and_nothing_is_written() {
    let project = project();
    let folder = project.path();
    let before = files(folder);
    let output = succeeds(folder, &["run", "run.yaml", "--verify-resume"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("20 steps; gone on with after 8, 10, 13, on ") && text.ends_with(": the same bytes\n"),
        "{text}"
    );
    assert_eq!(files(folder), before);
}

#[test]
#[cfg(unix)]
fn a_signal_ends_a_run_after_its_step_and_it_goes_on_to_the_same_bytes() {
    let project = project();
    let folder = project.path();
    let config = std::fs::read_to_string(folder.join("run.yaml")).unwrap().replace("every: 1 steps", "every: 9 epochs");
    std::fs::write(folder.join("run.yaml"), config.replace("epochs: 4", "epochs: 40")).unwrap();
    let start = std::time::Instant::now();
    succeeds(folder, &["run", "run.yaml"]);
    let whole = start.elapsed();
    let mut n_interrupted = 0;
    for (round, (signal, code)) in
        [(libc::SIGINT, 130), (libc::SIGTERM, 143), (libc::SIGHUP, 129)].into_iter().cycle().take(6).enumerate()
    {
        let output = format!("ended-{round}");
        let mut command = command(folder, &["run", "run.yaml", "--output", &output]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        while !folder.join(&output).join("steps.jsonl").exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(whole * round as u32 / 16);
        // SAFETY: a signal to a child that has not been waited for, so its number is its own.
        #[allow(unsafe_code)]
        let sent = unsafe { libc::kill(child.id().try_into().unwrap(), signal) };
        assert_eq!(sent, 0);
        let mut text = String::new();
        std::io::Read::read_to_string(child.stdout.as_mut().unwrap(), &mut text).unwrap();
        let found = child.wait().unwrap().code();
        if found == Some(code) {
            n_interrupted += 1;
            assert!(text.contains(&format!("go on with `anabranch run --resume {output}`")), "{text}");
            assert_eq!(status(folder, &output), "interrupted");
            succeeds(folder, &["predict", &output, "--data", "valid.csv", "-o", &format!("{output}.npz")]);
            succeeds(folder, &["run", "--resume", &output]);
        } else {
            assert_eq!(found, Some(0), "{text}");
        }
        for name in ["params.safetensors", "history.csv", "steps.jsonl"] {
            let [a, b] = ["run", &output].map(|run| std::fs::read(folder.join(run).join(name)).unwrap());
            assert!(a == b, "round {round}: {name} differs");
        }
    }
    assert!(n_interrupted > 0, "no signal came before an end");
}
