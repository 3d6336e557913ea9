//! One file as training, validation and test rows, in folds, weighed and told of.

use crate::support::Project;
use std::collections::BTreeSet;
use std::process::Command;

const SPEC: &str = "\
input x: f32[batch, 2]
target kind: i32[batch]
target fair: f32[batch]
output seen = x + 0
output weight_free = argmax(x |> dense(units=3))
loss error = fair * sparse_categorical_crossentropy(kind, x |> dense(units=3))
train { minimize error  optimizer sgd(lr=0.01) }
";

fn config(split: &str) -> String {
    format!(
        "spec: model.anb\ndata:\n  file: t.csv\n  split: {split}\n  columns:\n    x: [a, b]\n    kind: {{ from: kind, kind: category }}\n    \
         fair: {{ from: kind, kind: category, encode: balanced }}\nbatch_size: 8\nepochs: 1\noutput: runs/m\n"
    )
}

/// 60 rows sorted by kind: 30 of `p`, 20 of `q`, 10 of `r`; in `who` groups of 5 rows, in `day` an order of its own.
fn table() -> String {
    let row = |at: usize| {
        let kind = if at < 30 {
            "p"
        } else if at < 50 {
            "q"
        } else {
            "r"
        };
        format!("{at},{},{kind},w{},2026-01-{:02}\n", at * at, at % 12, 1 + (at * 7) % 30)
    };
    format!("a,b,kind,who,day\n{}", (0..60).map(row).collect::<String>())
}

fn project(split: &str) -> Project {
    let project = Project::new(SPEC, &config(split));
    project.write("t.csv", &table());
    project
}

/// What `data` says, as JSON.
fn described(project: &Project) -> serde_json::Value {
    serde_json::from_str(&project.succeeds(&["data", "run.yaml", "--format", "json"])).unwrap()
}

#[test]
fn rows_are_parted_by_shares_of_each_class() {
    let project = project("{ train: 0.6, validation: 0.2, test: 0.2, stratify: kind, seed: 1 }");
    let told = described(&project);
    let kinds = &told["fields"]["kind"]["columns"][0]["parts"];
    for (part, rows, counts) in [("train", 36, [18, 12, 6]), ("validation", 12, [6, 4, 2]), ("test", 12, [6, 4, 2])] {
        assert_eq!(told["parts"][part]["rows"], rows);
        let found = ["p", "q", "r"].map(|kind| kinds[part]["values"][kind].as_u64().unwrap());
        assert_eq!(found, counts, "{part}");
    }
    assert_eq!(told["parts"]["test"]["repeated"], 0);
    // The run, its folder and the run that goes on have the same rows.
    project.succeeds(&["run", "run.yaml"]);
    let evaluated = project.succeeds(&["evaluate", "runs/m", "--format", "json"]);
    let evaluated: serde_json::Value = serde_json::from_str(&evaluated).unwrap();
    let record: serde_json::Value = serde_json::from_str(&project.read("runs/m/record.json")).unwrap();
    for part in ["train", "validation", "test"] {
        assert_eq!(evaluated[part]["rows"], told["parts"][part]["rows"]);
    }
    let last = record["last"]["test/error"].as_f64().unwrap();
    assert!((evaluated["test"]["losses"]["error"].as_f64().unwrap() - last).abs() < 1e-6 * last);
    project.succeeds(&["run", "--resume", "runs/m", "--epochs", "2"]);
    // Rows / (classes × rows of the class): 36 / (3 × 18), 36 / (3 × 12), 36 / (3 × 6).
    assert!(
        project.read("runs/m/run.yaml").contains("- 0.6666666666666666\n      - 1.0\n      - 2.0"),
        "{}",
        project.read("runs/m/run.yaml")
    );
}

#[test]
fn groups_stay_together_and_time_goes_on() {
    let grouped = project("{ train: 0.5, test: 0.5, group: who }");
    let rows: BTreeSet<u64> =
        ["train", "test"].iter().map(|part| described(&grouped)["parts"][part]["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, BTreeSet::from([30]));
    let timed = project("{ train: 0.75, test: 0.25, time: day }");
    let told = described(&timed);
    assert_eq!(told["parts"]["train"]["rows"], 45);
    // Another column of the same order: the first days are trained on.
    let message = project("{ train: 0.5, test: 0.5, group: whom }").fails(&["run", "run.yaml"]);
    assert!(
        message.contains("E0603") && message.contains("no column `whom`") && message.contains("did you mean `who`?"),
        "{message}"
    );
}

#[test]
fn splits_that_are_none_are_refused() {
    for (split, expected) in [
        ("{ train: 0.8, test: 0.3 }", "come to 1 at most"),
        ("{ test: 1 }", "some of it for training"),
        ("{ train: 0.999, test: 0.001 }", "no rows for `test`"),
        ("{ folds: 1 }", "two folds or more"),
        ("{ folds: 3, fold: 3 }", "two folds or more"),
        ("{ train: 0.5, test: 0.5, group: who, time: day }", "one of `stratify`"),
        ("{ train: 0.5, tset: 0.5 }", "did you mean `test`?"),
        ("half", "a mapping, `{ train: 0.8, test: 0.2 }`"),
    ] {
        let message = project(split).fails(&["run", "run.yaml"]);
        assert!(message.contains(expected), "{split}: {message}");
    }
    let both = project("{ train: 0.5, test: 0.5 }");
    both.write("run.yaml", &config("{ train: 0.5, test: 0.5 }").replace("  file:", "  test: t.csv\n  file:"));
    assert!(both.fails(&["run", "run.yaml"]).contains("`split` and `test` both say"));
}

#[test]
fn folds_are_runs_with_a_table() {
    let project = project("{ folds: 3, stratify: kind }");
    let text = project.succeeds(&["run", "run.yaml", "--jobs", "2"]);
    assert!(text.contains("test/error") && text.contains(" ± ") && text.contains("[3/3]"), "{text}");
    let runs = ["seed=0,fold=0", "seed=0,fold=1", "seed=0,fold=2"];
    let rows = runs.map(|run| {
        let record: serde_json::Value =
            serde_json::from_str(&project.read(&format!("runs/m-sweep/{run}/record.json"))).unwrap();
        ["train", "test"].map(|part| record["hashes"]["data"][part]["rows"].as_u64().unwrap())
    });
    assert_eq!(rows, [[40, 20]; 3]);
    project.succeeds(&["run", "run.yaml", "--fold", "1"]);
    let message = project.fails(&["run", "run.yaml", "--fold", "3", "--output", "runs/other"]);
    assert!(message.contains("there is no fold 3") && message.contains("found: 3 folds"), "{message}");
}

#[test]
fn rows_may_go_to_the_end() {
    let project = project("{ folds: 2, fold: 0 }");
    let open = "spec: model.anb\ndata:\n  train: { file: t.csv, rows: ..40 }\n  test: { file: t.csv, rows: 40.. }\n  columns:\n    x: [a, b]\n    \
        kind: { from: kind, kind: category, values: [p, q, r] }\n    fair: b\nbatch_size: 8\nepochs: 1\noutput: runs/m\n";
    project.write("run.yaml", open);
    let told = described(&project);
    assert_eq!((&told["parts"]["train"]["rows"], &told["parts"]["test"]["rows"]), (&40.into(), &20.into()));
    let text = project.succeeds(&["data", "run.yaml"]);
    assert!(text.contains("test has values of `kind` that no training row has: r (10 rows)"), "{text}");
    project.write("t.csv", &table().replace("45,2025,q", "3,9,p").replace("w9,2026-01-16", "w3,2026-01-22"));
    assert_eq!(described(&project)["parts"]["test"]["repeated"], 1);
}

/// Picked rows of arrays are those of the table that holds the same.
#[test]
fn arrays_are_split_as_tables_are() {
    let spec = "input x: f32[batch]\ntarget y: f32[batch]\noutput seen = x + 0\nparam w: f32 = zeros()\nloss error = square(y - w * x)\n\
        train { minimize error  optimizer sgd(lr=0.001) }\n";
    let of = |file: &str| {
        let config = format!(
            "spec: model.anb\ndata: {{ file: {file}, split: {{ train: 0.7, test: 0.3, seed: 9 }} }}\nbatch_size: 7\nepochs: 2\noutput: runs/m\n"
        );
        let project = Project::new(spec, &config);
        let x: Vec<f32> = (0..50).map(|at| at as f32 / 8.0).collect();
        let y: Vec<f32> = x.iter().map(|x| 3.0 * x + 1.0).collect();
        project.arrays("t.npz", &[("x", &[50], &x), ("y", &[50], &y)]);
        let rows: String = x.iter().zip(&y).map(|(x, y)| format!("{x},{y}\n")).collect();
        project.write("t.csv", &format!("x,y\n{rows}"));
        project.succeeds(&["run", "run.yaml"]);
        let evaluated = project.succeeds(&["evaluate", "runs/m", "--format", "csv"]);
        (evaluated, project.read("runs/m/history.csv"))
    };
    assert_eq!(of("t.npz"), of("t.csv"));
}

/// As `examples/penguins/README.md` says, from the raw table to a raw table.
#[test]
fn penguins_are_told_from_their_table() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/penguins");
    let target = tempfile::tempdir().unwrap();
    let succeeds = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(&folder).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let [run, out] = ["run", "out.csv"].map(|name| target.path().join(name).display().to_string());
    succeeds(&["run", "run.yaml", "--output", &run]);
    let evaluated: serde_json::Value =
        serde_json::from_str(&succeeds(&["evaluate", &run, "--format", "json"])).unwrap();
    let metric = |name: &str| evaluated["test"]["metrics"][name].as_f64().unwrap();
    // scikit-learn has 0.9917 and 0.825 of the same rows (compare.py).
    assert!(metric("kind_accuracy") >= 0.975 && metric("mass_r2") >= 0.825, "{evaluated}");
    succeeds(&["predict", &run, "--data", "penguins.csv", "-o", &out, "--keep", "year"]);
    let told = std::fs::read_to_string(&out).unwrap();
    let raw = std::fs::read_to_string(folder.join("penguins.csv")).unwrap();
    assert_eq!(told.lines().next(), Some("year,species,body_mass"));
    let right =
        told.lines().zip(raw.lines()).skip(1).filter(|(told, raw)| told.split(',').nth(1) == raw.split(',').next());
    assert!(right.count() >= 335);
    let masses = told.lines().skip(1).map(|line| line.split(',').nth(2).unwrap().parse::<f64>().unwrap());
    assert!(masses.into_iter().all(|mass| (2000.0..7500.0).contains(&mass)));
}
