//! What a run prints of its epochs, and the event files that it writes.

use super::support::{Project, ramp};

const SPEC: &str = "\
input  x: f32[batch, 2]
target y: f32[batch]
let hidden = x |> dense(units=3, activation=tanh)
output guess = hidden |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - guess)
loss roughness_of_hidden_values = mean(square(hidden), axes=1)
loss total = balanced(error, roughness_of_hidden_values)
metric distance = abs(y - guess)
train {
    minimize total
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, validation: data.npz, test: data.npz }
batch_size: 5
epochs: 12
output: runs/model
";

fn project() -> Project {
    let project = Project::new(SPEC, CONFIG);
    project.arrays("data.npz", &[("x", &[20, 2], &ramp(40)), ("y", &[20], &ramp(20))]);
    project
}

#[test]
fn an_epoch_is_one_aligned_line_of_eighty_characters() {
    let project = project();
    let text = project.succeeds(&["run", "run.yaml", "--replace"]);
    let lines: Vec<&str> = text.lines().collect();
    let header = lines.iter().position(|line| line.trim_start().starts_with("epoch ")).unwrap();
    assert!(lines[header].ends_with("time  rows/s     ETA"), "{text}");
    for wanted in ["train", "validation", "weight"] {
        assert!(lines[header - 1].contains(wanted), "{text}");
    }
    let epochs = &lines[header + 1..header + 14];
    assert!(epochs[0].starts_with(" 0/12  ") && epochs[12].starts_with("12/12  "), "{text}");
    let width = |line: &str| line.chars().count();
    assert!(epochs.iter().all(|line| width(line) == width(epochs[0]) && width(line) <= 80), "{text}");
    assert!(lines[..header].iter().any(|line| line.contains("more values are in history.csv")), "{text}");
}

#[test]
fn other_forms_are_for_other_readers() {
    let project = project();
    let plain = project.succeeds(&["run", "run.yaml", "--replace", "--log", "plain"]);
    assert!(plain.contains("epoch 12/12 | train error ") && plain.contains("roughness_of_hidden_values"), "{plain}");
    let json = project.succeeds(&["run", "run.yaml", "--replace", "--log", "json"]);
    let epochs: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(epochs.len(), 13);
    assert_eq!(epochs[12]["epoch"], 12);
    let history = project.read("runs/model/history.csv");
    let last: Vec<&str> = history.lines().last().unwrap().split(',').collect();
    let at = history.lines().next().unwrap().split(',').position(|name| name == "validation/distance").unwrap();
    assert_eq!(epochs[12]["parts"]["validation"]["distance"].as_f64().unwrap(), last[at].parse::<f64>().unwrap());
    assert!(epochs[12]["weights"]["total.alpha"][0].is_number() && epochs[0]["parts"].get("train").is_none(), "{json}");
    assert_eq!(project.succeeds(&["run", "run.yaml", "--replace", "--log", "quiet"]), "");
}

#[test]
fn how_often_steps_are_logged_and_epochs_evaluated_is_said() {
    let project = project();
    let text = project.succeeds(&["run", "run.yaml", "--log-every", "3", "--evaluate-every", "5"]);
    assert_eq!(project.read("runs/model/steps.jsonl").lines().count(), 48 / 3);
    let history = project.read("runs/model/history.csv");
    let at = history.lines().next().unwrap().split(',').position(|name| name == "test/distance").unwrap();
    let evaluated =
        history.lines().skip(1).enumerate().filter(|(_, line)| !line.split(',').nth(at).unwrap().is_empty());
    assert_eq!(evaluated.map(|(epoch, _)| epoch).collect::<Vec<_>>(), [0, 5, 10, 12]);
    let epochs: Vec<&str> = text.lines().filter(|line| line.contains("/12  ")).collect();
    assert!(epochs[1].contains("  - ") && !epochs[5].contains("  - "), "{text}");
    assert!(epochs.iter().all(|line| line.chars().count() == epochs[0].chars().count()), "{text}");
    let config = project.read("runs/model/run.yaml");
    assert!(config.contains("log_every: 3") && config.contains("evaluate_every: 5"), "{config}");
}

/// The records of an event file: length, checksum, bytes, checksum.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let len = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        records.push(&bytes[at + 12..at + 12 + len]);
        at += 12 + len + 4;
    }
    records
}

#[test]
fn events_are_written_for_tensorboard() {
    let project = project();
    project.succeeds(&["run", "run.yaml", "--replace", "--tensorboard", "logs", "--log", "quiet"]);
    let folder = project.path("logs/model");
    let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents."));
    let bytes = std::fs::read(&files[0]).unwrap();
    let records = records(&bytes);
    assert_eq!(records.len(), 1 + 13, "the version, then an event an epoch");
    let has = |record: &[u8], text: &str| record.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has(records[0], "brain.Event:2"));
    for tag in ["train/total", "validation/distance", "test/error", "weight/total.alpha"] {
        assert!(has(records[13], tag), "{tag}");
    }
    // A second run adds a file and leaves the first.
    project.succeeds(&["run", "run.yaml", "--replace", "--tensorboard", "logs", "--log", "quiet"]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    assert_eq!(std::fs::read(&files[0]).unwrap(), bytes);
}
