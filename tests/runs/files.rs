//! Files of users: what commands write, and what they leave alone.

use anabranch::data::{NumbersRef, TensorRef, write_npz};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
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
data: { train: line.npz }
batch_size: 4
epochs: 2
output: runs/line
";

/// A folder with a spec, a config and data of 10 rows.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("line.anb"), SPEC).unwrap();
    std::fs::write(folder.path().join("run.yaml"), CONFIG).unwrap();
    let (x, y): (Vec<f32>, Vec<f32>) =
        ((0..20).map(|i| i as f32 / 20.0).collect(), (0..10).map(|i| i as f32).collect());
    let tensor = |name, shape, values| TensorRef { name, shape, values: NumbersRef::F32(values) };
    write_npz(&folder.path().join("line.npz"), &[tensor("x", &[10, 2], &x), tensor("y", &[10, 1], &y)]).unwrap();
    folder
}

fn anabranch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn succeeds(folder: &Path, arguments: &[&str]) {
    let output = anabranch(folder, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The message of a command that is refused with E0605; every file is as it was.
#[track_caller]
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let before = files(folder);
    let output = anabranch(folder, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(message.contains("E0605"), "{arguments:?}: {message}");
    assert_eq!(files(folder), before, "{arguments:?}");
    message
}

/// What stands at every path below a folder: the bytes of files, what links name.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            found.extend(files(&path));
            found.insert(path, b"a folder".to_vec());
        } else if kind.is_symlink() {
            let named = std::fs::read_link(&path).unwrap();
            found.insert(path, named.into_os_string().into_encoded_bytes());
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn a_second_run_takes_a_number_or_the_place_of_the_first() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let run = folder.join("runs/line");
    let names: Vec<PathBuf> = files(&run).into_keys().collect();
    let mine = [
        ("thesis.tex", "years of work"),
        ("figures/one.svg", "a figure"),
        ("graphs/notes.txt", "notes"),
        ("spec/notes.txt", "notes"),
        ("checkpoints/notes.txt", "notes"),
    ];
    std::fs::create_dir(run.join("figures")).unwrap();
    mine.iter().for_each(|(name, text)| std::fs::write(run.join(name), text).unwrap());
    let first = files(&run);
    succeeds(folder, &["run", "run.yaml", "--seed", "5"]);
    assert_eq!(files(&run), first);
    let second = files(&folder.join("runs/line-2"));
    assert_eq!(second.len(), names.len());
    succeeds(folder, &["run", "run.yaml", "--seed", "5", "--replace"]);
    let mut after = files(&run);
    for name in ["history.csv", "params.safetensors"] {
        assert_eq!(after[&run.join(name)], second[&folder.join("runs/line-2").join(name)], "{name}");
    }
    for (name, text) in mine {
        assert_eq!(after.remove(&run.join(name)).as_deref(), Some(text.as_bytes()), "{name}");
    }
    after.remove(&run.join("figures"));
    assert_eq!(after.into_keys().collect::<Vec<_>>(), names);
}

#[test]
fn a_folder_without_a_marker_is_never_touched() {
    let project = project();
    let folder = project.path();
    std::fs::create_dir_all(folder.join("thesis/figures")).unwrap();
    std::fs::write(folder.join("thesis/run.json"), "{}").unwrap();
    std::fs::write(folder.join("thesis/thesis.tex"), "years of work").unwrap();
    let message = refused(folder, &["run", "run.yaml", "--output", "thesis"]);
    assert!(message.contains("no run wrote") && message.contains("--output"), "{message}");
    // The folders of the config, of the data, of everything.
    for place in
        [".", "..", "/", "runs/..", folder.to_str().unwrap(), "/dev/null", "/proc", "/dev", "line.npz", "line.npz/run"]
    {
        refused(folder, &["run", "run.yaml", "--output", place]);
    }
    std::fs::write(folder.join("here.yaml"), CONFIG.replace("runs/line", ".")).unwrap();
    let message = refused(folder, &["run", "here.yaml"]);
    assert!(message.contains("here.yaml:5"), "points at the key: {message}");
    // An empty folder is as good as none.
    std::fs::create_dir(folder.join("empty")).unwrap();
    succeeds(folder, &["run", "run.yaml", "--output", "empty"]);
}

#[test]
fn a_folder_of_a_version_without_markers_is_explained() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    std::fs::remove_file(folder.join("runs/line/.anabranch-run")).unwrap();
    std::fs::rename(folder.join("runs/line/record.json"), folder.join("runs/line/run.json")).unwrap();
    let message = refused(folder, &["run", "run.yaml"]);
    assert!(message.contains("an earlier version"), "{message}");
    // To read it does no harm.
    succeeds(folder, &["predict", "runs/line", "--data", "line.npz", "-o", "out.npz"]);
}

#[test]
fn a_run_does_not_replace_what_it_reads() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let params = "params: { file: runs/line/params.safetensors, prefix: param/ }\n";
    std::fs::write(folder.join("again.yaml"), CONFIG.to_string() + params).unwrap();
    let message = refused(folder, &["run", "again.yaml", "--replace"]);
    assert!(message.contains("which this run reads"), "{message}");
    // Beside them there is room.
    succeeds(folder, &["run", "again.yaml"]);
}

#[test]
#[cfg(unix)]
fn links_are_not_followed_into_what_they_name() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    std::os::unix::fs::symlink("line", folder.join("runs/link")).unwrap();
    std::os::unix::fs::symlink("nothing", folder.join("runs/dangling")).unwrap();
    for place in ["runs/link", "runs/dangling", "runs/dangling/run"] {
        refused(folder, &["run", "run.yaml", "--output", place]);
    }
    std::fs::write(folder.join("thesis.tex"), "years of work").unwrap();
    std::fs::remove_file(folder.join("runs/line/history.csv")).unwrap();
    std::os::unix::fs::symlink("../../thesis.tex", folder.join("runs/line/history.csv")).unwrap();
    refused(folder, &["run", "run.yaml", "--replace"]);
    refused(folder, &["run", "--resume", "runs/line", "--epochs", "3"]);
    // A folder above the run's own may be a link: large disks are mounted so.
    std::fs::create_dir(folder.join("disk")).unwrap();
    std::os::unix::fs::symlink("disk", folder.join("elsewhere")).unwrap();
    succeeds(folder, &["run", "run.yaml", "--output", "elsewhere/line"]);
    assert!(folder.join("disk/line/record.json").is_file());
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_written_is_refused_before_training() {
    use std::os::unix::fs::PermissionsExt;
    let project = project();
    let folder = project.path();
    std::fs::create_dir(folder.join("locked")).unwrap();
    let rights = |mode| std::fs::set_permissions(folder.join("locked"), std::fs::Permissions::from_mode(mode)).unwrap();
    rights(0o555);
    if std::fs::write(folder.join("locked/probe"), "").is_ok() {
        // This user may write everywhere, so only /proc is left to test.
        std::fs::remove_file(folder.join("locked/probe")).unwrap();
    } else {
        refused(folder, &["run", "run.yaml", "--output", "locked/run"]);
        refused(folder, &["run", "run.yaml", "--output", "locked"]);
    }
    rights(0o755);
    if cfg!(target_os = "linux") {
        refused(folder, &["run", "run.yaml", "--output", "/proc/run"]);
    }
}

#[test]
fn predictions_replace_a_file_only_when_asked_and_some_never() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    let predict = |output: &'static str| ["predict", "runs/line", "--data", "line.npz", "-o", output];
    let replace = |output: &'static str| [&predict(output)[..], &["--replace"]].concat();
    std::fs::write(folder.join("thesis.tex"), "years of work").unwrap();
    let message = refused(folder, &predict("thesis.tex"));
    assert!(message.contains("--replace"), "{message}");
    succeeds(folder, &predict("out.npz"));
    let first = std::fs::read(folder.join("out.npz")).unwrap();
    refused(folder, &predict("out.npz"));
    std::fs::write(folder.join("out.npz"), "old").unwrap();
    succeeds(folder, &replace("out.npz"));
    assert_eq!(std::fs::read(folder.join("out.npz")).unwrap(), first);
    for own in
        ["line.npz", "runs/../line.npz", "runs/line/params.safetensors", "runs/line/graphs/train.txt", "runs/line"]
    {
        refused(folder, &replace(own));
    }
    // The data of one run are not for the predictions of another to replace either.
    succeeds(folder, &["run", "run.yaml", "--output", "runs/other"]);
    refused(folder, &replace("runs/other/history.csv"));
    for place in ["/dev/null", "/dev/full", ".", "/", "missing/out.npz", "line.npz/out.npz"] {
        refused(folder, &replace(place));
    }
    // Beside the files of a run there is room.
    succeeds(folder, &predict("runs/line/out.npz"));
}

#[test]
#[cfg(unix)]
fn predictions_go_through_no_link() {
    let project = project();
    let folder = project.path();
    succeeds(folder, &["run", "run.yaml"]);
    std::fs::write(folder.join("thesis.tex"), "years of work").unwrap();
    std::os::unix::fs::symlink("thesis.tex", folder.join("link.npz")).unwrap();
    std::fs::hard_link(folder.join("line.npz"), folder.join("twin.npz")).unwrap();
    for output in ["link.npz", "twin.npz"] {
        refused(folder, &["predict", "runs/line", "--data", "line.npz", "-o", output, "--replace"]);
    }
    // The node of a device stays one, also for who may remove it.
    use std::os::unix::fs::FileTypeExt;
    assert!(std::fs::symlink_metadata("/dev/null").unwrap().file_type().is_char_device());
}

#[test]
fn other_commands_replace_only_when_asked() {
    let project = project();
    let folder = project.path();
    let draw = ["flow", "line.anb", "--svg", "flow.svg"];
    succeeds(folder, &draw);
    refused(folder, &draw);
    succeeds(folder, &[&draw[..], &["--replace"]].concat());
    refused(folder, &["flow", "line.anb", "--svg", "line.anb", "--replace"]);
    let write = ["compile", "line.anb", "--emit", "ir,dot", "-o", "stages"];
    succeeds(folder, &write);
    std::fs::write(folder.join("stages/train.dot"), "drawn by hand").unwrap();
    refused(folder, &write);
    succeeds(folder, &[&write[..], &["--replace"]].concat());
    succeeds(folder, &["run", "run.yaml"]);
    refused(folder, &["compile", "line.anb", "--emit", "train", "-o", "runs/line/graphs", "--replace"]);
}
