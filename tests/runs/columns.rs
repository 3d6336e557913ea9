//! Columns of tables as people have them: texts, empty cells, numbers of any size, dates; fitted to the training rows, and read alike
//! ever after.

use crate::support::Project;
use anabranch::data::{CellForm, DataSource, FieldKind, FieldSpec, Fill, Kind, MISSING_INT, Numbers, Unknown, load};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A table of people: a number with gaps, one of large numbers, a category, a boolean; a category and a number to be told.
const PEOPLE: &str = "\
age,income,town,member,group,size
31,52000,Bern,yes,b,180.5
44,61000,Basel,no,a,171
,48000,Bern,no,a,165.5
28,55500,Chur,yes,c,190
53,90000,Basel,yes,b,177
39,NA,Chur,no,a,169.5
";

const SPEC: &str = "\
input x: f32[batch, 7]
target group: i32[batch]
target size: f32[batch]
output seen = x + 0
let scores = x |> dense(units=3)
output guess = argmax(scores)
output tall = (x |> dense(units=1))[:, 0]
loss group_loss = sparse_categorical_crossentropy(group, scores)
loss size_loss = square(size - tall)
train { minimize group_loss + size_loss  optimizer sgd(lr=0.01) }
";

const CONFIG: &str = "\
spec: model.anb
data:
  train: people.csv
  columns:
    x:
      - { from: age, scale: standard, impute: [mean, indicator] }
      - { from: income, scale: [log1p, minmax], impute: median }
      - { from: town, kind: category }
      - member
    size: { from: size, scale: robust }
decode: { guess: group, tall: size }
batch_size: 4
epochs: 2
output: runs/people
";

fn people() -> Project {
    let project = Project::new(SPEC, CONFIG);
    project.write("people.csv", PEOPLE);
    project
}

/// The cells of a CSV by column.
fn cells(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut lines = text.lines().map(|line| line.split(',').map(str::to_string).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<String>> = lines.collect();
    let column = |at: usize| rows.iter().map(|row| row[at].clone()).collect();
    header.iter().enumerate().map(|(at, name)| (name.clone(), column(at))).collect()
}

fn numbers(table: &BTreeMap<String, Vec<String>>, name: &str) -> Vec<f32> {
    table[name].iter().map(|cell| cell.parse().unwrap()).collect()
}

#[test]
fn a_raw_table_goes_in_and_raw_values_come_out() {
    let project = people();
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["predict", "runs/people", "--data", "people.csv", "-o", "out.csv"]);
    let out = cells(&project.read("out.csv"));
    // From NumPy: mean 39, deviation 9.011104260855047 of the five ages that are there.
    let age = numbers(&out, "seen_0");
    assert_eq!(
        age,
        [31.0, 44.0, 39.0, 28.0, 53.0, 39.0].map(|age: f32| (age - 39.0) / 9.011_104_260_855_047_f64 as f32)
    );
    assert_eq!(numbers(&out, "seen_1"), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    let income = numbers(&out, "seen_2");
    // (log1p(x) - log1p(48000)) / (log1p(90000) - log1p(48000)); the missing one is the median, 55500.
    for (found, expected) in income.iter().zip([0.127_332_55, 0.381_273_97, 0.0, 0.230_956_8, 1.0, 0.230_956_8_f32]) {
        assert!((found - expected).abs() < 2e-6, "{income:?}");
    }
    // Basel, Bern, Chur.
    let towns: Vec<Vec<f32>> = ["seen_3", "seen_4", "seen_5"].iter().map(|name| numbers(&out, name)).collect();
    assert_eq!(towns[0], [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(towns[1], [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(towns[2], [0.0, 0.0, 0.0, 1.0, 0.0, 1.0]);
    assert_eq!(numbers(&out, "seen_6"), [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert!(out["guess"].iter().all(|guess| ["a", "b", "c"].contains(&guess.as_str())), "{out:?}");
    assert!(numbers(&out, "tall").iter().all(|size| (100.0..250.0).contains(size)), "{out:?}");
    // What the run evaluated at its end is what the folder evaluates.
    let told = project.succeeds(&["evaluate", "runs/people", "--format", "json"]);
    let given = project.succeeds(&["evaluate", "runs/people", "--data", "train=people.csv", "--format", "json"]);
    assert_eq!(told, given);
}

#[test]
fn a_run_with_fitted_columns_is_gone_on_with_exactly() {
    let project = people();
    project.succeeds(&["run", "run.yaml", "--epochs", "5", "--output", "runs/whole"]);
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["run", "--resume", "runs/people", "--epochs", "5"]);
    let bytes = |run: &str| std::fs::read(project.path(&format!("runs/{run}/params.safetensors"))).unwrap();
    assert_eq!(bytes("whole"), bytes("people"));
    project.succeeds(&["run", "--verify-resume", "run.yaml"]);
    project.succeeds(&["replay", "runs/people", "--step", "3"]);
    assert!(project.succeeds(&["check", "run.yaml"]).contains("fine"));
}

#[test]
fn only_training_rows_are_fitted_to() {
    let project = people();
    let config = CONFIG.replace(
        "train: people.csv",
        "train: { file: people.csv, rows: 0..4 }\n  test: { file: people.csv, rows: 4..6 }",
    );
    project.write("run.yaml", &config);
    project.succeeds(&["run", "run.yaml"]);
    let text = project.read("runs/people/run.yaml");
    assert!(text.contains("- Basel\n      - Bern\n      - Chur"), "{text}");
    let other = PEOPLE.replace("53,90000", "53,900000").replace("39,NA,Chur,no,a,169.5", "390,1,Chur,no,a,1690");
    project.write("people.csv", &other);
    project.succeeds(&["run", "run.yaml", "--output", "runs/other"]);
    let states = |run: &str| {
        let bytes = std::fs::read(project.path(&format!("runs/{run}/params.safetensors"))).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let names = ["x.fill", "x.shift", "x.scale", "size.shift", "size.scale"];
        names.map(|name| tensors.tensor(&format!("state/{name}")).unwrap().data().to_vec())
    };
    assert_eq!(states("people"), states("other"));
    let unknown = project.read("people.csv").replace("53,900000,Basel", "53,900000,Genf");
    project.write("people.csv", &unknown);
    let message = project.fails(&["run", "run.yaml", "--output", "runs/third"]);
    assert!(message.contains("`Genf` at line 6, column `town`") && message.contains("Basel, Bern, Chur"), "{message}");
}

/// Every way to write a table gives the same numbers, row by row or together, in any order of columns.
#[test]
fn rows_are_seen_alike_however_they_are_given() {
    let project = people();
    project.succeeds(&["run", "run.yaml"]);
    let predict = |data: &str| {
        project.succeeds(&["predict", "runs/people", "--data", data, "-o", "out.csv", "--replace"]);
        project.read("out.csv")
    };
    let whole = predict("people.csv");
    let rows: Vec<Vec<&str>> = PEOPLE.lines().map(|line| line.split(',').collect()).collect();
    let written = |order: &[usize], between: &str, rows: &[Vec<&str>]| {
        let line = |row: &Vec<&str>| order.iter().map(|at| row[*at]).collect::<Vec<_>>().join(between) + "\n";
        rows.iter().map(line).collect::<String>()
    };
    project.write("turned.csv", &written(&[5, 3, 1, 0, 2, 4], ";", &rows));
    assert_eq!(predict("turned.csv"), whole);
    project.write("inputs.tsv", &written(&[2, 0, 3, 1], "\t", &rows));
    assert_eq!(predict("inputs.tsv"), whole);
    let quoted = |at: usize, cell: &str| match (cell, at) {
        ("" | "NA", _) => "null".to_string(),
        (cell, 2..=4) => format!("{cell:?}"),
        (cell, _) => cell.to_string(),
    };
    let object = |row: &Vec<&str>| {
        let pairs: Vec<String> = (0..6).map(|at| format!("{:?}: {}", rows[0][at], quoted(at, row[at]))).collect();
        format!("{{{}}}\n", pairs.join(", "))
    };
    project.write("people.jsonl", &rows[1..].iter().map(object).collect::<String>());
    assert_eq!(predict("people.jsonl"), whole);
    for at in 1..rows.len() {
        project.write("one.csv", &written(&[0, 1, 2, 3], ",", &[rows[0].clone(), rows[at].clone()]));
        assert_eq!(predict("one.csv").lines().nth(1), whole.lines().nth(at), "row {at}");
    }
}

#[test]
fn kinds_are_worked_out_of_texts() {
    let spec = "input sex: f32[batch, 2]\ninput ok: bool[batch]\ntarget kind: i32[batch]\n\
        let scores = (concat([sex, where(ok, 1, 0)[:, none]], axis=1)) |> dense(units=3)\noutput kind_id = argmax(scores)\n\
        loss error = sparse_categorical_crossentropy(kind, scores)\ntrain { minimize error  optimizer sgd(lr=0.1) }\n";
    let spec = spec.replace("where(ok, 1, 0)", "where(ok, sex[:, 0], 0.0 * sex[:, 0])");
    let project = Project::new(
        &spec,
        "spec: model.anb\ndata: { train: t.csv }\nbatch_size: 2\nepochs: 1\ndecode: { kind_id: kind }\n",
    );
    project.write("t.csv", "sex,ok,kind\nmale,True,red\nfemale,False,blue\nfemale,True,green\n");
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["predict", "runs/model", "--data", "t.csv", "-o", "out.jsonl"]);
    assert!(["red", "blue", "green"].iter().any(|kind| project.read("out.jsonl").contains(&format!("{kind:?}"))));
    // A number with a text among its cells is a mistake, not a category.
    project.write("t.csv", "sex,ok,kind\nmale,True,1\nfemale,False,red\n");
    let message = project.fails(&["run", "run.yaml", "--output", "runs/other"]);
    assert!(message.contains("`red` at line 3, column `kind`") && message.contains("kind: category"), "{message}");
}

/// The message of a run whose config or table is changed, with others that are right beside it.
#[track_caller]
fn refused(config: &[(&str, &str)], table: &[(&str, &str)], expected: &[&str]) {
    let project = people();
    let change = |text: &str, changes: &[(&str, &str)]| {
        changes.iter().fold(text.to_string(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replace(from, to)
        })
    };
    project.write("run.yaml", &change(CONFIG, config));
    project.write("people.csv", &change(PEOPLE, table));
    let message = project.fails(&["run", "run.yaml"]);
    for part in expected {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn what_cannot_be_encoded_is_told_with_its_place() {
    refused(
        &[("- member", "- member\n      - age")],
        &[],
        &["E0603", "found: 8 numbers", "town (3)", "expected: f32[batch, 7]"],
    );
    refused(&[("kind: category }", "kind: category, scale: standard }")], &[], &["E0602", "`town` cannot be scaled"]);
    refused(&[("kind: category }", "kind: category, impute: mean }")], &[], &["E0602", "no mean or median"]);
    refused(&[("kind: category }", "kind: colour }")], &[], &["E0602", "number, whole, boolean, category, date"]);
    refused(&[("scale: robust", "scale: robust, impute: mean")], &[], &["E0602", "target `size` is imputed", "`?`"]);
    refused(&[("guess: group", "scores: group")], &[], &["E0602", "`scores`, which is no output"]);
    refused(&[("tall: size", "tall: group")], &[], &["E0602", "`tall` is f32[batch]", "ids"]);
    refused(&[("scale: robust", "scale: log1p")], &[("169.5", "-2")], &["E0604", "no `log1p`", "found: -2"]);
    refused(&[("impute: median", "scael: x")], &[], &["unknown key `scael`", "scale"]);
    refused(
        &[("kind: category", "kind: category, values: [Bern, Chur, Genf]")],
        &[],
        &["`Basel` at line 3, column `town`", "own-id"],
    );
    refused(&[(", impute: median", "")], &[], &["1 cell of `x`", "is missing", "`NA` at line 7, column `income`"]);
    refused(
        &[("- member", "- { from: member, kind: date }")],
        &[],
        &["`yes` at line 2, column `member`", "2026-03-31"],
    );
    refused(&[("- member", "- { from: member, kind: whole, encode: one-hot }")], &[], &["no category"]);
    refused(
        &[("- member", "- { from: member, kind: boolean }")],
        &[("Bern,yes", "Bern,maybe")],
        &["`maybe` at line 2, column `member`"],
    );
    refused(&[], &[("31,52000", "31,52 000")], &["`52 000` at line 2, column `income`"]);
    refused(
        &[("train: people.csv", "train: { file: people.csv, columns: { x: { from: age } } }")],
        &[],
        &["E0602", "for all parts"],
    );
}

/// A text that often means that a value is missing is told of where it became a category, and not where the config says what it is.
#[test]
fn a_category_that_means_missing_is_warned_of() {
    let project = people();
    project.write("people.csv", &PEOPLE.replace("39,NA,Chur", "39,NA,NA"));
    project.write("run.yaml", &CONFIG.replace("age, scale", "age, kind: number, scale"));
    let output = project.run(&["run", "run.yaml"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("warning") && message.contains("`NA` is one of the categories of column `town`"),
        "{message}"
    );
    let said = CONFIG.replace("kind: category", "kind: category, missing: NA, impute: most-frequent");
    project.write("run.yaml", &said);
    let output = project.run(&["run", "run.yaml"]);
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(0), ""));
}

#[test]
fn numbers_that_single_precision_cannot_tell_apart_are_warned_of() {
    let project = people();
    let late = |table: &str| {
        (0..6).fold(table.to_string(), |table, at| {
            let size = ["180.5", "171", "165.5", "190", "177", "169.5"][at];
            table.replace(&format!(",{size}\n"), &format!(",{}\n", 1.7e9 + at as f64))
        })
    };
    project.write("people.csv", &late(PEOPLE));
    let stderr = |precision: &str| {
        String::from_utf8(project.run(&["run", "run.yaml", "--precision", precision]).stderr).unwrap()
    };
    assert!(stderr("f32").contains("column `size` are hardly told apart in f32"), "{}", stderr("f32"));
    assert_eq!(stderr("f64"), "");
}

#[test]
fn arrays_are_scaled_too() {
    let spec = "input x: f32[batch, 2, 2]\ntarget y: i32[batch]\noutput seen = x + 0\n\
        let scores = x |> flatten |> dense(units=2)\nloss error = sparse_categorical_crossentropy(y, scores)\n\
        train { minimize error  optimizer sgd(lr=0.1) }\n";
    let config = "spec: model.anb\ndata:\n  train: a.npz\n  columns:\n    x: { from: x, scale: minmax }\n    y: { from: y, kind: category }\nbatch_size: 2\nepochs: 1\n";
    let project = Project::new(spec, config);
    let x = [0.0, 5.0, 10.0, 1.0, 4.0, 5.0, 30.0, 3.0, 2.0, 5.0, 20.0, 2.0];
    project.arrays("a.npz", &[("x", &[3, 2, 2], &x), ("y", &[3], &[7.0, 3.0, 7.0])]);
    project.succeeds(&["run", "run.yaml"]);
    assert!(project.read("runs/model/run.yaml").contains("values:\n      - '3'\n      - '7'"));
    project.succeeds(&["predict", "runs/model", "--data", "a.npz", "-o", "out.npz"]);
    let (shape, seen) = project.array("out.npz", "seen");
    assert_eq!(shape, [3, 2, 2]);
    // A column that never changes keeps its distance from the least, 0.
    assert_eq!(seen, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.5, 0.0, 0.5, 0.5]);
    project.arrays("b.npz", &[("x", &[1, 2, 2], &x[..4]), ("y", &[1], &[4.0])]);
    let message = project.fails(&["evaluate", "runs/model", "--data", "b.npz"]);
    assert!(message.contains("none of its categories") && message.contains("`4` at row 0"), "{message}");
}

#[test]
fn dates_are_told_in_parts() {
    let spec = "input t: f32[batch, 3]\ntarget y: f32[batch]\noutput seen = t + 0\n\
        loss error = square(y - (t |> dense(units=1))[:, 0])\ntrain { minimize error  optimizer sgd(lr=0.01) }\n";
    let config = "spec: model.anb\ndata:\n  train: t.csv\n  columns:\n    t: [{ from: at, kind: date, unit: [weekday, hour] }, { from: at, kind: date, scale: minmax }]\nbatch_size: 2\nepochs: 1\n";
    let project = Project::new(spec, config);
    project.write("t.csv", "at,y\n2026-03-30T06:00,1\n2026-04-01 12:30:00,2\n2026-04-05T18:00Z,3\n");
    project.succeeds(&["run", "run.yaml"]);
    project.succeeds(&["predict", "runs/model", "--data", "t.csv", "-o", "out.csv"]);
    let out = cells(&project.read("out.csv"));
    assert_eq!(numbers(&out, "seen_0"), [0.0, 2.0, 6.0]);
    assert_eq!(numbers(&out, "seen_1"), [6.0, 12.5, 18.0]);
    let days = numbers(&out, "seen_2");
    assert!((days[1] - 2.270_833_3 / 6.5).abs() < 1e-3 && days[0] == 0.0 && days[2] == 1.0, "{days:?}");
}

/// What a cell is read as, by a second reading of the rules.
fn read(cell: &str, is_category: bool) -> Result<Option<f64>, ()> {
    let cell = cell.trim();
    if is_category {
        return match cell {
            "" => Ok(None),
            "red" => Ok(Some(0.0)),
            "green" => Ok(Some(1.0)),
            "deep blue" => Ok(Some(2.0)),
            _ => Err(()),
        };
    }
    match cell.to_ascii_lowercase().as_str() {
        "" | "na" | "n/a" | "nan" | "null" => Ok(None),
        _ => cell.parse().map(Some).map_err(|_| ()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(700))]

    /// A table that was changed anywhere is refused, or read as a second reader reads it.
    #[test]
    fn no_change_of_a_table_is_read_wrong(
        changes in proptest::collection::vec((0..200_usize, prop_oneof![
            any::<u8>(), Just(b','), Just(b'\n'), Just(b'"'), Just(b';'), Just(b' '), b'a'..=b'z', b'0'..=b'9',
        ], 0..3_u8), 1..6),
    ) {
        let mut bytes = b"colour,size,note\nred,1.5,a\ngreen,2,\"b, c\"\ndeep blue,,d\n\"red\",NA,\n,3e2,x\ngreen,-4,y\n".to_vec();
        for (at, byte, how) in changes {
            let at = at % bytes.len();
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, &bytes).unwrap();
        let values = ["red", "green", "deep blue"].map(String::from).to_vec();
        let form = CellForm { kind: Kind::Category, values, ..CellForm::default() };
        let mut source = DataSource::new(&path);
        source.forms.insert("colour".into(), vec![form]);
        let fields = [
            FieldSpec::new("colour", &[], FieldKind::Int).optional(),
            FieldSpec::new("size", &[], FieldKind::Float).optional(),
        ];
        let Ok(data) = load(&source, &fields) else { return Ok(()) };
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let counts = |byte: u8| first.iter().filter(|found| **found == byte).count();
        let delimiter = if counts(b';') > counts(b',') { b';' } else { b',' };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(&bytes[..]);
        let header = reader.byte_headers().unwrap().clone();
        let place = |name: &[u8]| header.iter().position(|found| found == name || found.strip_prefix(b"\xef\xbb\xbf") == Some(name));
        let places = [place(b"colour").unwrap(), place(b"size").unwrap()];
        let rows: Vec<csv::ByteRecord> = reader.byte_records().map(Result::unwrap).collect();
        prop_assert_eq!(rows.len(), data.rows);
        for (row, record) in rows.iter().enumerate() {
            for (name, at, is_category) in [("colour", places[0], true), ("size", places[1], false)] {
                let cell = std::str::from_utf8(&record[at]).map_err(|_| TestCaseError::fail("no text was taken"))?;
                let expected = read(cell, is_category).map_err(|()| TestCaseError::fail(format!("`{cell}` was taken")))?;
                let value = data.fields[name].values.get(row);
                let found = (!value.is_nan() && value != f64::from(MISSING_INT)).then_some(value);
                prop_assert_eq!(found, expected, "`{}`", cell);
            }
        }
    }

    /// Ids of texts follow from the vocabulary alone.
    #[test]
    fn ids_are_places_in_the_vocabulary(cells in proptest::collection::vec(0..6_usize, 1..40)) {
        let words = ["a", "b", "c", "d", "", "zebra"];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let rows: String = cells.iter().map(|at| format!("{},0\n", words[*at])).collect();
        std::fs::write(&path, format!("word,zero\n{rows}")).unwrap();
        let values = ["b", "d", "a", "c"].map(String::from).to_vec();
        let form = CellForm { kind: Kind::Category, values, unknown: Unknown::OwnId, fill: Some(Fill::OwnId), ..CellForm::default() };
        let mut source = DataSource::new(&path);
        source.forms.insert("word".into(), vec![form]);
        let data = load(&source, &[FieldSpec::new("word", &[], FieldKind::Int)]).unwrap();
        let expected: Vec<i32> = cells.iter().map(|at| [2, 0, 3, 1, 5, 4][*at]).collect();
        prop_assert_eq!(&data.fields["word"].values, &Numbers::I32(expected));
    }
}
