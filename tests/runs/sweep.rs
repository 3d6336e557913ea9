//! Many runs of one config, lists of runs, and runs beside each other.

use super::support::{Project, ramp};

const SPEC: &str = "\
input  x: f32[batch, 2]
target y: f32[batch]
const width = 2
const pull = 0.5
output guess = x |> dense(units=width, activation=tanh) |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - guess)
loss size = pull * square(guess)
train {
    minimize error + size
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, validation: data.npz }
batch_size: 5
epochs: 2
checkpoint: 1 epochs
output: runs/model
";

fn project() -> Project {
    let project = Project::new(SPEC, CONFIG);
    project.arrays("data.npz", &[("x", &[20, 2], &ramp(40)), ("y", &[20], &ramp(20))]);
    project
}

const SWEEP: [&str; 11] = [
    "run",
    "run.yaml",
    "--seeds",
    "2",
    "--jobs",
    "2",
    "--pareto",
    "validation/error,validation/size",
    "--sweep",
    "width=2,3",
    "pull=0.1,0.9",
];

#[test]
fn a_grid_of_runs_is_made_told_of_and_gone_on_with() {
    let project = project();
    let text = project.succeeds(&SWEEP);
    assert!(text.contains("[8/8] ") && text.contains("front of validation/error, validation/size"), "{text}");
    assert!(text.contains(" ± ") && text.contains("hypervolume: ") && text.contains("knee: "), "{text}");
    let csv = project.read("runs/model-sweep/sweep.csv");
    assert_eq!(csv.lines().count(), 9, "{csv}");
    // The table's means are those of the file.
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |width: &str, pull: &str| {
        let rows = rows.iter().filter(|row| &row[at("width")] == width && &row[at("pull")] == pull);
        rows.map(|row| row[at("validation/error")].parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let values = of("3", "0.9");
    assert_eq!(values.len(), 2);
    let mean = (values[0] + values[1]) / 2.0;
    let deviation = (values[0] - values[1]).abs() / 2.0_f64.sqrt();
    assert!(text.contains(&format!("{mean:.5} ± {deviation:.5}")), "{mean} {deviation}: {text}");
    // Each is an ordinary run, the same as one by hand.
    project
        .succeeds(&["run", "run.yaml", "--set", "width=3", "--set", "pull=0.9", "--seed", "1", "--output", "byhand"]);
    let [a, b] = ["runs/model-sweep/width=3,pull=0.9,seed=1", "byhand"]
        .map(|run| std::fs::read(project.path(run).join("params.safetensors")).unwrap());
    assert_eq!(a, b);
    // The folder of a sweep stands for its runs, by its name and by all that is in it.
    let compared = project.succeeds(&["compare", "runs/model-sweep"]);
    assert!(compared.contains("width=3,pull=0.9,seed=1"), "{compared}");
    let mut inside: Vec<String> = std::fs::read_dir(project.path("runs/model-sweep"))
        .unwrap()
        .map(|entry| format!("runs/model-sweep/{}", entry.unwrap().file_name().to_string_lossy()))
        .collect();
    inside.retain(|path| !path.ends_with("/.anabranch-sweep")); // as a shell does
    inside.sort();
    assert!(inside.iter().any(|path| path.ends_with("sweep.csv")));
    let named: Vec<&str> = std::iter::once("compare").chain(inside.iter().map(String::as_str)).collect();
    assert_eq!(project.succeeds(&named), compared);
    // What is finished is not made again, and what is missing is.
    std::fs::remove_dir_all(project.path("runs/model-sweep/width=2,pull=0.9,seed=0")).unwrap();
    let again = project.succeeds(&SWEEP);
    assert!(
        again.contains("7 of 8 runs are finished already") && again.contains("[8/8] width=2,pull=0.9,seed=0"),
        "{again}"
    );
    assert_eq!(project.read("runs/model-sweep/sweep.csv"), csv);
    // One that was left is gone on with from where it was.
    let left = project.path("runs/model-sweep/width=3,pull=0.1,seed=1");
    let record = std::fs::read_to_string(left.join("record.json")).unwrap();
    std::fs::write(left.join("record.json"), record.replace("\"finished\"", "\"running\"")).unwrap();
    std::fs::remove_dir_all(left.join("checkpoints/000000008")).unwrap();
    assert!(project.succeeds(&SWEEP).contains("7 of 8 runs are finished already"));
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(left.join("record.json")).unwrap()).unwrap();
    assert_eq!((record["status"].as_str(), record["resumed"][0]["step"].as_u64()), (Some("finished"), Some(4)));
    assert_eq!(project.read("runs/model-sweep/sweep.csv"), csv);
    // Another spec is another sweep.
    project.write("model.anb", &SPEC.replace("lr=0.1", "lr=0.2"));
    let message = project.fails(&SWEEP);
    assert!(message.contains("a sweep of another spec"), "{message}");
}

#[test]
fn runs_that_fail_are_told_of_and_the_others_made() {
    let project = project();
    let output = project.run(&["run", "run.yaml", "--sweep", "width=2,-1"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("1 of 2 runs did not finish") && message.contains("width=-1: error["), "{message}");
    assert!(project.path("runs/model-sweep/width=2").exists());
    for (arguments, expected) in [
        (&["--sweep", "lr=1e-3..1e-1"][..], "--random"),
        (&["--sweep", "width=2,3", "--pareto", "validation/error"], "two or more"),
        (&["--sweep", "width=2,3", "width=4"], "twice"),
        (&["--sweep", "width"], "expected NAME=VALUE"),
    ] {
        let message = project.fails(&[&["run", "run.yaml", "--output", "runs/other"], arguments].concat());
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
    project.write("mine.txt", "mine");
    std::fs::create_dir(project.path("foreign")).unwrap();
    project.write("foreign/thesis.tex", "years of work");
    let message = project.fails(&["run", "run.yaml", "--output", "foreign", "--sweep", "width=2"]);
    assert!(message.contains("files that no sweep wrote"), "{message}");
}

#[test]
fn random_settings_are_drawn() {
    let project = project();
    let sweep = ["run", "run.yaml", "--random", "3", "--epochs", "1", "--sweep", "pull=0.01..10", "width=1..4"];
    let text = project.succeeds(&sweep);
    assert!(text.contains("[3/3]"), "{text}");
    assert!(project.succeeds(&sweep).contains("3 of 3 runs are finished already"), "the same are drawn again");
}

#[test]
fn runs_are_listed_and_compared() {
    let project = project();
    project.succeeds(&["run", "run.yaml", "--output", "runs/a"]);
    project.succeeds(&["run", "run.yaml", "--output", "runs/deep/b", "--seed", "7", "--epochs", "4"]);
    std::fs::create_dir(project.path("runs/notes")).unwrap();
    let list = project.succeeds(&["runs", "runs"]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("a ") && lines[2].starts_with("deep/b "), "{list}");
    assert!(lines[2].contains("finished") && lines[0].contains("validation/error"), "{list}");
    assert!(project.succeeds(&["runs", "runs/notes"]).contains("no runs"));
    let text = project.succeeds(&["compare", "runs/a", "runs/deep/b", "--csv", "curves.csv"]);
    assert!(
        text.contains("seed") && text.contains("validation/error, ") && text.contains('█') && text.contains('▁'),
        "{text}"
    );
    let curves = project.read("curves.csv");
    assert_eq!(curves.lines().count(), 1 + 3 + 5, "{curves}");
    assert!(curves.starts_with("run,epoch,train/error"), "{curves}");
    assert!(
        project
            .fails(&["compare", "runs/a", "--values", "validation/eror"])
            .contains("did you mean `validation/error`?")
    );
    assert!(project.fails(&["compare", "runs/notes"]).contains("is not the folder of a run"));
    assert!(project.fails(&["compare", "runs/a", "--csv", "curves.csv"]).contains("--replace"));
}
