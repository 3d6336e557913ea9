//! `observe` in a run config: what a run reports of how losses are combined.

use super::support::{Project, ramp};

const SPEC: &str = "\
input  x: f32[batch, 2]
target y: f32[batch]
target z: f32[batch]
let hidden = x |> dense(units=3, activation=tanh)
output near = hidden |> dense(units=1) |> squeeze(axes=1)
output far = hidden |> dense(units=1) |> squeeze(axes=1)
loss a = square(y - near)
loss b = square(z - far)
loss total = upgrad(a, b)
train {
    minimize total
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, validation: data.npz }
batch_size: 5
epochs: 3
log_every: 2
output: runs/model
";

fn project(config: &str) -> Project {
    let project = Project::new(SPEC, config);
    let z: Vec<f32> = ramp(20).iter().map(|x| 1.0 - x * x).collect();
    project.arrays("data.npz", &[("x", &[20, 2], &ramp(40)), ("y", &[20], &ramp(20)), ("z", &[20], &z)]);
    project
}

fn header(project: &Project) -> Vec<String> {
    let text = project.read("runs/model/history.csv");
    text.lines().next().unwrap().split(',').map(str::to_string).collect()
}

#[test]
fn what_is_asked_for_is_in_the_history_and_in_the_log_of_steps() {
    let project = project(&format!("{CONFIG}observe: [weights, norms, cosines, layers]\n"));
    let printed = project.succeeds(&["run", "run.yaml", "--log", "plain"]);
    assert!(printed.contains(" weight/total/a 0.50000 "), "{printed}");
    let wanted = [
        "train/weight/total/a",
        "train/weight/total/b",
        "train/norm/total/a",
        "train/norm/total/b",
        "train/cosine/total/a/b",
        "train/norm/total/a/hidden.dense",
        "train/cosine/total/a/b/hidden.dense",
    ];
    let header = header(&project);
    for wanted in wanted {
        assert!(header.iter().any(|column| column == wanted), "{wanted}: {header:?}");
    }
    assert!(!header.iter().any(|column| column.starts_with("validation/weight")), "evaluated data train nothing");
    let steps = project.read("runs/model/steps.jsonl");
    let rows: Vec<serde_json::Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 6);
    for row in &rows {
        let value = |name: &str| row["values"][name].as_f64().unwrap();
        let cosine = value("cosine/total/a/b");
        assert!((-1.0001..=1.0001).contains(&cosine) && value("norm/total/a") > 0.0, "{row}");
        // Where nothing conflicts each loss counts 1 / K, and never less.
        let weights = [value("weight/total/a"), value("weight/total/b")];
        assert!(weights.iter().all(|weight| *weight >= 0.4999), "{row}");
        assert!(cosine < 0.0 || weights.iter().all(|weight| (weight - 0.5).abs() < 1e-5), "{row}");
    }
    // A run that is gone on with has the same columns.
    project.succeeds(&["run", "--resume", "runs/model", "--epochs", "4"]);
    assert_eq!(project.read("runs/model/history.csv").lines().count(), 6);
}

#[test]
fn weights_are_seen_unless_they_are_not_wanted() {
    let project = project(CONFIG);
    project.succeeds(&["run", "run.yaml"]);
    let observed = |header: Vec<String>| header.into_iter().filter(|column| column.contains("weight/total/")).collect();
    let found: Vec<String> = observed(header(&project));
    assert_eq!(found, ["train/weight/total/a", "train/weight/total/b"]);
    let program = project.read("runs/model/graphs/simplified-train.txt");
    assert!(program.contains("observed weight/total/a"), "{program}");
    project.write("run.yaml", &format!("{CONFIG}observe: []\n"));
    project.succeeds(&["run", "run.yaml", "--replace"]);
    let found: Vec<String> = observed(header(&project));
    assert_eq!(found, [""; 0]);
    assert!(!project.read("runs/model/graphs/simplified-train.txt").contains("observed"));
}

#[test]
fn what_cannot_be_observed_is_told_at_its_place() {
    let project = project(&format!("{CONFIG}observe: [weights, norm]\n"));
    let message = project.fails(&["run", "run.yaml"]);
    assert!(message.contains("`observe` knows no `norm`") && message.contains("did you mean `norms`?"), "{message}");
    assert!(message.contains("run.yaml:7:20"), "{message}");
    project.write("run.yaml", &format!("{CONFIG}observe: layers\n"));
    let message = project.fails(&["run", "run.yaml"]);
    assert!(message.contains("`layers` of nothing"), "{message}");
    project.write("run.yaml", &format!("{CONFIG}observe: {{ norms: true }}\n"));
    assert!(project.fails(&["run", "run.yaml"]).contains("expected: a list of `weights`"), "{message}");
}
