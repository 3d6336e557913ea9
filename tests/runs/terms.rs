//! What a record says of totals: the values beside a total add up to it.

use super::support::{Project, ramp};
use serde_json::Value;

const CONFIG: &str = "\
spec: model.anb
data: { train: data.csv, validation: data.csv }
batch_size: 7
epochs: 3
log_every: 1
output: run
";

fn spec(total: &str) -> String {
    format!(
        "\
input  x: f32[batch, 2]
target y: f32[batch]
target age: f32[batch]?
let hidden = x |> dense(units=3, activation=tanh)
output guess = hidden |> dense(units=2)
loss error = square(y - guess[:, 0])
loss aged = square(age - guess[:, 1])
loss third = mean(square(hidden - 0.3), axes=1)
{total}
optimizer sgd(lr=0.05)
}}
"
    )
}

/// 20 rows, of which every third has an age.
fn project(total: &str) -> Project {
    let project = Project::new(&spec(total), CONFIG);
    let x = ramp(40);
    let row = |at: usize| {
        let age = if at.is_multiple_of(3) { (0.1 + x[at]).to_string() } else { String::new() };
        format!("{},{},{},{age}\n", x[2 * at], 1.0 - x[2 * at + 1], x[at])
    };
    project.write("data.csv", &("x_0,x_1,y,age\n".to_owned() + &(0..20).map(row).collect::<String>()));
    project.write("run.yaml", &CONFIG.replace("data.csv }", "data.csv, columns: { x: x_0..x_1 } }"));
    project
}

/// The rows of `history.csv` by column; no value where a cell is empty.
fn history(project: &Project) -> Vec<Value> {
    let text = project.read("run/history.csv");
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let row = |cells: Vec<&str>| {
        let cells = header.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        cells.map(|(name, cell)| (name.to_string(), Value::from(cell.parse::<f64>().unwrap()))).collect()
    };
    lines.map(row).collect()
}

/// What `record.json` says that adds up to a total.
fn addends(project: &Project, total: &str) -> Vec<String> {
    let record: Value = serde_json::from_str(&project.read("run/record.json")).unwrap();
    let names = record["totals"][total].as_array().cloned().unwrap_or_default();
    names.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Holds each total against what adds up to it, in every row of the record.
fn adds_up(project: &Project, total: &str) {
    let names = addends(project, total);
    assert!(!names.is_empty(), "{total}: {}", project.read("run/record.json"));
    let check = |row: &Value, prefix: &str, what: &str| {
        let value = |name: &str| row[format!("{prefix}{name}")].as_f64();
        let Some(found) = value(total) else { return false };
        let parts: Vec<f64> =
            names.iter().map(|name| value(name).unwrap_or_else(|| panic!("{name} in {row}"))).collect();
        let scale: f64 = parts.iter().map(|part| part.abs()).sum();
        let sum: f64 = parts.iter().sum();
        assert!((sum - found).abs() <= 1e-4 * (scale + found.abs()), "{what}: {names:?} {parts:?}: {sum}, {found}");
        true
    };
    let steps = project.read("run/steps.jsonl");
    let steps: Vec<Value> = steps.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(steps.len() == 9 && steps.iter().all(|step| check(&step["values"], "", "a step")), "{total}");
    let rows = history(project);
    assert_eq!(rows.iter().filter(|row| check(row, "train/", "an epoch")).count(), 3);
    assert_eq!(rows.iter().filter(|row| check(row, "validation/", "validation")).count(), 4);
}

#[test]
fn a_loss_of_some_rows_has_both_its_means() {
    let project = project("loss total = error + 0.5 * fill_missing(aged, 0)\ntrain {\nminimize total");
    let text = project.succeeds(&["run", "run.yaml", "--log", "plain"]);
    adds_up(&project, "total");
    assert_eq!(addends(&project, "total"), ["error", "term/total/aged"]);
    let rows = history(&project);
    let value = |name: &str| rows[3][name].as_f64().unwrap();
    // 7 of 20 rows have an age.
    let seen = 0.5 * value("validation/aged") * 7.0 / 20.0;
    assert!((value("validation/term/total/aged") - seen).abs() < 1e-6 * seen);
    assert!(text.contains(" in total) third "), "{text}");
    assert!(text.contains("validation total ") && text.contains(" of aged ("), "{text}");
    // Evaluated later, they are the same.
    let later =
        project.succeeds(&["evaluate", "run", "--data", "data.csv", "--columns", "x=x_0..x_1", "--format", "csv"]);
    assert!(later.contains("term/total/aged"), "{later}");
}

#[test]
fn a_total_that_is_a_plain_sum_says_nothing_twice() {
    let project = project("loss total = unweighted(error, third)\ntrain {\nminimize total");
    project.succeeds(&["run", "run.yaml"]);
    adds_up(&project, "total");
    assert_eq!(addends(&project, "total"), ["error", "third"]);
    assert!(!project.read("run/history.csv").contains("/term/"));
}

#[test]
fn a_sum_sample_by_sample_is_known_too() {
    let project = project("loss total = error + third\ntrain {\nminimize total");
    project.succeeds(&["run", "run.yaml"]);
    assert_eq!(addends(&project, "total"), ["error", "third"]);
    adds_up(&project, "total");
}

#[test]
fn totals_of_totals_are_told_one_by_one() {
    let spec = "loss both = 0.25 * error + third\nloss rest = mean(square(x), axes=1)\n\
                train {\nminimize weighted(both, rest, aged, weights=[2, 1, 3])\nminimize both";
    let project = project(spec);
    project.succeeds(&["run", "run.yaml"]);
    assert_eq!(addends(&project, "both"), ["term/both/error", "third"]);
    let of_first = addends(&project, "objective_1");
    assert_eq!(of_first, ["term/objective_1/aged", "term/objective_1/both", "rest"]);
    adds_up(&project, "both");
    let rows = history(&project);
    let value = |name: &str| rows[2][format!("train/{name}")].as_f64().unwrap();
    let sum: f64 = of_first.iter().map(|name| value(name)).sum();
    assert!((sum - value("objective_1")).abs() < 1e-5 * sum, "{sum}");
    // What only training has is no part of an evaluation.
    assert!(!project.read("run/history.csv").contains("validation/objective_1"));
}

#[test]
fn a_line_of_the_table_has_both_values_of_a_loss() {
    let project = project("loss total = weighted(error, third, weights=[2, 3])\ntrain {\nminimize total");
    project.write("run.yaml", &project.read("run.yaml").replace(", validation: data.csv", ""));
    let text = project.succeeds(&["run", "run.yaml"]);
    assert!(text.contains("(a/b: a loss, and what the total has of it)"), "{text}");
    let epochs: Vec<&str> = text.lines().filter(|line| line.trim_start().contains("/3  ")).collect();
    assert!(epochs.len() == 4 && epochs[1].matches('/').count() == 3, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let (raw, weighted) = epochs[1].split_whitespace().nth(1).unwrap().split_once('/').unwrap();
    let (raw, weighted): (f64, f64) = (raw.parse().unwrap(), weighted.parse().unwrap());
    assert!((weighted - 2.0 * raw).abs() < 2e-3 * weighted, "{text}");
}

/// Every combiner of the library that needs losses alone, and some with what they need.
#[test]
fn the_total_of_every_combiner_is_explained() {
    let library = concat!(
        include_str!("../../src/std/combiners.anb"),
        include_str!("../../src/std/gramians.anb"),
        include_str!("../../src/std/directions.anb")
    );
    let heads = library.lines().filter_map(|line| line.strip_prefix("combiner ")?.strip_suffix(") {"));
    let mut n_explained = 0;
    for head in heads {
        let (name, parameters) = head.split_once('(').unwrap();
        let mut wanted =
            parameters.split(", ").filter(|parameter| !parameter.contains('=') && !parameter.contains(':'));
        let more = match (name, wanted.next()) {
            (_, None) => "",
            ("weighted", _) => ", weights=[0.5, 2]",
            ("tradeoff", _) => ", alpha=0.3",
            ("cosmos" | "pbi", _) => ", preference=[1, 2]",
            ("amortised" | "smoothed", _) => ", inner=upgrad",
            (other, Some(parameter)) => panic!("`{other}` needs {parameter}"),
        };
        let losses = match name {
            // Some need more than two.
            "krum" => "aged, third, error, mean(square(guess), axes=1)",
            "trimmed_mean" => "aged, third, error",
            // Sample by sample, losses that may be missing cannot be stacked with others.
            _ if parameters.contains("f32[batch]") => "error, third",
            _ => "aged, third",
        };
        let project = project(&format!("loss total = {name}({losses}{more})\ntrain {{\nminimize total"));
        project.succeeds(&["run", "run.yaml", "--log", "quiet"]);
        adds_up(&project, "total");
        n_explained += 1;
    }
    assert!(n_explained > 40);
}
