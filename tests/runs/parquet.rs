//! Parquet files as data and as predictions.

use super::support::{Project, ramp};

const SPEC: &str = "\
input  x: f32[batch, 2]
input  n: i32[batch]
target y: f32[batch]?
output guess = x |> dense(units=2)
output count = n + 1
loss error = square(y - guess[:, 0])
train {
    minimize error
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: d.csv, columns: { x: [a, b] } }
batch_size: 5
epochs: 2
output: runs/model
";

fn project() -> Project {
    let project = Project::new(SPEC, CONFIG);
    let rows: String = ramp(20)
        .iter()
        .enumerate()
        .map(|(at, a)| {
            format!("{a},{},{at},{},n°{at}\n", 1e-7 * a, if at % 3 == 0 { String::new() } else { a.to_string() })
        })
        .collect();
    project.write("d.csv", &format!("a,b,n,y,name\n{rows}"));
    project
}

#[test]
#[cfg(not(feature = "parquet"))]
fn a_build_without_it_says_how_to_get_one_with_it() {
    let project = project();
    project.succeeds(&["run", "run.yaml"]);
    let message = project.fails(&["predict", "runs/model", "--data", "d.csv", "-o", "out.parquet"]);
    assert!(message.contains("E0605") && message.contains("--features parquet"), "{message}");
    project.write("run.yaml", &CONFIG.replace("d.csv", "d.parquet"));
    project.write("d.parquet", "PAR1");
    let message = project.fails(&["run", "run.yaml", "--output", "runs/other"]);
    assert!(message.contains("E0601") && message.contains("--features parquet"), "{message}");
}

#[test]
#[cfg(feature = "parquet")]
fn what_is_written_reads_back_as_it_was() {
    let project = project();
    project.succeeds(&["run", "run.yaml"]);
    let predict = |data: &str, out: &str, more: &[&str]| {
        let command = ["predict", "runs/model", "--data", data, "-o", out, "--batch-size", "3", "--replace"];
        project.succeeds(&[&command, more].concat());
    };
    let keep = ["--keep", "a,b,n,name"];
    predict("d.csv", "out.csv", &keep);
    predict("d.csv", "d.parquet", &keep);
    predict("d.parquet", "again.csv", &keep);
    assert_eq!(project.read("again.csv"), project.read("out.csv"));
    assert!(project.read("out.csv").starts_with("a,b,n,name,guess_0,guess_1,count\n"));
    // What is wrong is said of rows, since there are no lines.
    let output =
        project.run(&["predict", "runs/model", "--data", "d.parquet", "-o", "no.csv", "--columns", "x=a,name"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains("`n°0` at row 0, column `name`"), "{message}");
    // Also as the data of a run, and of an evaluation.
    project
        .write("from.yaml", &CONFIG.replace("d.csv", "d.parquet").replace("columns: { x", "columns: { y: guess_0, x"));
    project.write(
        "from_csv.yaml",
        &CONFIG.replace("d.csv", "out.csv").replace("columns: { x", "columns: { y: guess_0, x"),
    );
    project.succeeds(&["check", "from.yaml"]);
    project.succeeds(&["run", "from.yaml", "--output", "runs/a"]);
    project.succeeds(&["run", "from_csv.yaml", "--output", "runs/b"]);
    let [a, b] = ["runs/a", "runs/b"].map(|run| std::fs::read(project.path(run).join("params.safetensors")).unwrap());
    assert_eq!(a, b);
    assert!(project.succeeds(&["evaluate", "runs/a", "--data", "d.parquet"]).contains("error"));
}

#[test]
#[cfg(feature = "parquet")]
fn a_broken_file_is_told_of() {
    let project = project();
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["predict", "runs/model", "--data", "d.csv", "-o", "whole.parquet", "--keep", "a,b,n"]);
    let whole = std::fs::read(project.path("whole.parquet")).unwrap();
    for at in (0..whole.len()).step_by(37) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(project.path("broken.parquet"), &bytes).unwrap();
        let arguments = ["predict", "runs/model", "--data", "broken.parquet", "-o", "out.csv", "--replace"];
        // A value that is another is no mistake.
        assert!(matches!(project.run(&arguments).status.code(), Some(0 | 2)), "byte {at}");
    }
    for cut in [0, 3, 12, whole.len() / 2, whole.len() - 1] {
        std::fs::write(project.path("broken.parquet"), &whole[..cut]).unwrap();
        let output = project.run(&["predict", "runs/model", "--data", "broken.parquet", "-o", "cut.csv"]);
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && message.contains("E0601"), "{cut}: {message}");
    }
}
