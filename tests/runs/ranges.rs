//! Whole numbers that data may hold: what indexes, classes and ids demand of inputs and targets, and what is said of others.

use anabranch::analyse::ranges::{Demand, demands};
use anabranch::data::{Dataset, Field, MISSING_INT, Numbers, NumbersRef, TensorRef, write_npz, write_safetensors};
use anabranch::diag::{Code, Diagnostic, SourceMap, render_plain};
use anabranch::exec::ExecutorOptions;
use anabranch::lower::Options;
use anabranch::pipeline::{Compiled, compile};
use anabranch::train::{Ranges, Shares, Trainer};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn compiled(text: &str) -> Compiled {
    let mut sources = SourceMap::default();
    let id = sources.add("spec.anb", text);
    compile(&mut sources, id, &Options::default())
        .unwrap_or_else(|findings| panic!("{}\n{text}", render_plain(&findings.0, &sources)))
}

/// What is demanded of each field, as text.
fn demanded(text: &str) -> BTreeMap<String, Vec<String>> {
    let module = compiled(text).module;
    let optional = |name: &str| module.targets.get(name).is_some_and(|info| info.optional);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Demand { field, region, accepted, .. } in demands(&module.graph, &optional) {
        let region: Vec<String> =
            region.iter().map(|stretch| stretch.map_or(":".into(), |s| format!("{s:?}"))).collect();
        let region =
            if region.iter().all(|text| text == ":") { String::new() } else { format!("[{}] ", region.join(", ")) };
        found.entry(field.to_string()).or_default().push(format!("{region}{accepted}"));
    }
    found
}

/// The demands on `y: i32[batch, 4]` of an expression of one number.
#[track_caller]
fn holds(expression: &str, expected: &[&str]) {
    let text = format!(
        "input x: f32[batch, 4]\ninput m: bool[batch, 4]\ninput w: f32[batch, 4]\ninput y: i32[batch, 4]\n\
         param table: f32[5, 2] = normal()\nparam v: f32[3] = normal()\nparam wide: f32[4, 5] = normal()\n\
         let logits = x @ wide\noutput out = {expression}\n"
    );
    let found = demanded(&text).remove("y").unwrap_or_default();
    assert_eq!(found, expected, "{expression}");
}

#[test]
fn an_index_lies_in_what_it_indexes() {
    holds("gather(table, y)", &["0 to 4"]);
    holds("gather(table, y - 1)", &["1 to 5"]);
    holds("gather(table, 2 * y + 1)", &["0 to 1"]);
    holds("gather(table, 4 - y)", &["0 to 4"]);
    holds("gather(table, y[:, 0])", &["[(0, 1, 1)] 0 to 4"]);
    holds("gather(table, y[:, 1:3])", &["[(1, 2, 1)] 0 to 4"]);
    holds("gather(table, reshape(y, [batch, 2, 2]))", &["0 to 4"]);
    holds("gather(table, transpose(reverse(y)))", &["0 to 4"]);
    holds("gather(table, stop(y))", &["0 to 4"]);
    holds("gather(table, concat([y, y[:, 0:1]], axis=1))", &["0 to 4", "[(0, 1, 1)] 0 to 4"]);
    holds("gather(table, i32(f32(y)))", &["0 to 4"]);
    holds("one_hot(y, 3)", &["0 to 2"]);
    holds("one_hot(y + 1, 3)", &["-1 to 1"]);
    holds("one_hot(y[:, 2], 3)", &["[(2, 1, 1)] 0 to 2"]);
    holds("take_along(x, y)", &["0 to 3"]);
    holds("pick(x, y[:, 3])", &["[(3, 1, 1)] 0 to 3"]);
    holds("scatter_add(y, w, 7)", &["0 to 6"]);
    holds("gather(table, y) |> tanh |> flatten |> dense(units=2)", &["0 to 4"]);
    // Where the graph keeps the index within bounds, nothing is demanded.
    holds("gather(table, minimum(maximum(y, 0), 4))", &[]);
    holds("gather(table, remainder(y, 5))", &[]);
    holds("gather(table, where(y < 0, 0, y))", &["at most 4"]);
    // An op that takes any number demands nothing.
    holds("f32(y) + 1", &[]);
    holds("f32(y > 2)", &[]);
}

#[test]
fn what_a_mask_leaves_out_is_accepted() {
    let rows = "gather(table, y)";
    holds(&format!("where((y >= 0)[:, :, none], {rows}, 0)"), &["at most 4"]);
    holds(&format!("where((y < 0)[:, :, none], 0, {rows})"), &["at most 4"]);
    holds(&format!("where((y == 9)[:, :, none], 0, {rows})"), &["0 to 4 or 9"]);
    holds("f32(y >= 0)[:, :, none] * one_hot(y, 3)", &["at most 2"]);
    holds("where((y >= 0)[:, :, none], one_hot(y, 3), 0)", &["at most 2"]);
    holds("scatter_add(where(y < 0, 0, y), where(y < 0, 0, w), 7)", &["at most 6"]);
    // NaN times 0 is NaN: this mask hides nothing.
    holds(&format!("f32(y >= 0)[:, :, none] * {rows}"), &["0 to 4"]);
    // A mask of other data may hide any row.
    holds(&format!("where(m[:, :, none], {rows}, 0)"), &[]);
    holds("f32(m)[:, :, none] * one_hot(y, 3)", &[]);
    holds("w[:, :, none] * one_hot(y, 3)", &[]);
    // What is asked whether it is NaN expects to be.
    holds("where(is_nan(gather(v, y)), 0, gather(v, y))", &[]);
    // A mask by the values themselves, as `relu` is one, hides no row for good.
    holds(&format!("relu({rows})"), &["0 to 4"]);
    holds(&format!("where(({rows}) > 0, {rows}, 0.1 * {rows})"), &["0 to 4"]);
}

#[test]
fn labels_of_losses_are_classes() {
    let of = |target: &str, loss: &str| {
        let text = format!(
            "input x: f32[batch, 4]\ntarget y: {target}\noutput logits = x |> dense(units=3)\nloss l = {loss}\n\
             train {{ minimize l\n optimizer sgd(lr=0.1) }}"
        );
        demanded(&text).remove("y").unwrap_or_default()
    };
    let sparse = "sparse_categorical_crossentropy(y, logits)";
    assert_eq!(of("i32[batch]", sparse), ["0 to 2"]);
    assert_eq!(of("i32[batch]?", sparse), ["0 to 2"]);
    assert_eq!(of("i32[batch]", "sparse_categorical_crossentropy(y - 1, logits)"), ["1 to 3"]);
    assert_eq!(of("i32[batch]", &format!("where(y >= 0, {sparse}, 0)")), ["at most 2"]);
    assert_eq!(of("i32[batch]", "generalized_crossentropy(y, softmax(logits))"), ["0 to 2"]);
    assert_eq!(of("i32[batch]", "categorical_crossentropy(one_hot(y, 3), logits, from_logits=true)"), ["0 to 2"]);
    assert_eq!(of("i32[batch]", "mean_squared_error(f32(y)[:, none], logits)"), [""; 0]);
    let ctc = "input x: f32[batch, 6, 4]\ntarget y: i32[batch, 2]\noutput logits = x |> dense(units=5)\n\
               loss l = ctc(y, logits)\ntrain { minimize l\n optimizer sgd(lr=0.1) }";
    assert_eq!(demanded(ctc).remove("y").unwrap_or_default(), ["0 to 4"]);
}

/// A spec by which each row of a number is an index of `n` rows, at an offset, in one of several forms.
fn spec(form: u8, n: usize, offset: i32) -> String {
    let index = if offset == 0 { "k".to_string() } else { format!("(k + {offset})") };
    let value = match form {
        0 => format!("({index} |> embedding(vocabulary={n}, size=2))[:, :, 0]"),
        1 => format!("sum(one_hot({index}, {n}) * broadcast(weights, [batch, 3, {n}]), axes=2)"),
        2 => format!("gather(weights, {index})"),
        3 => format!("take_along(broadcast(weights, [batch, {n}]), {index}, axis=1)"),
        _ => format!("-pick(log_softmax(broadcast(weights, [batch, 3, {n}])), {index})"),
    };
    format!(
        "input k: i32[batch, 3]\ntarget y: f32[batch, 3]\nparam weights: f32[{n}] = normal()\n\
         output guess = {value}\nloss l = mean_squared_error(y, guess)\n\
         train {{ minimize l\n optimizer sgd(lr=0.01) }}"
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Data in range are accepted and give numbers; each value outside is refused, with its row and column.
    #[test]
    fn ids_in_range_train_and_others_are_named(
        form in 0_u8..5,
        n in 2_usize..6,
        offset in -3_i32..4,
        ids in prop::collection::vec(0_i32..1000, 12),
        at in 0_usize..12,
        outside in prop::sample::select(vec![-1_i32, -7, 0, 1, 100, i32::MAX / 2]),
    ) {
        let compiled = compiled(&spec(form, n, offset));
        let mut ids: Vec<i32> = ids.into_iter().map(|id| id % n as i32 - offset).collect();
        let data = |ids: &[i32]| Dataset {
            fields: [
                ("k".to_string(), Field { shape: vec![3], values: Numbers::I32(ids.to_vec()) }),
                ("y".to_string(), Field { shape: vec![3], values: Numbers::F32(vec![0.5; 12]) }),
            ].into_iter().collect(),
            rows: 4,
        };
        let options = ExecutorOptions { threads: 1, ..ExecutorOptions::default() };
        let mut trainer = Trainer::<f32>::new(&compiled, 0, &options).unwrap();
        let (losses, _) = trainer.step(&data(&ids), &[0, 1, 2, 3]).unwrap();
        prop_assert!(losses[0].is_finite());
        // Below the first or above the last.
        ids[at] = if outside < 0 { outside - offset } else { (n as i32 - offset).saturating_add(outside) };
        let findings = trainer.step(&data(&ids), &[3, 2, 1, 0]).map(|_| ()).unwrap_err().0;
        prop_assert_eq!(findings[0].code, Code::E0610);
        let found = format!("found: {} at row {}, element [{}]", ids[at], at / 3, at % 3);
        prop_assert_eq!(&findings[0].notes[0], &found);
        let range = format!("{} to {}", -offset, n as i32 - 1 - offset);
        prop_assert!(findings[0].notes[1].contains(&range), "{:?}", findings[0]);
        // A batch without that row is none of its business.
        let others: Vec<u32> = (0..4).filter(|row| *row as usize != at / 3).collect();
        prop_assert!(trainer.step(&data(&ids), &others).is_ok());
    }
}

#[test]
fn missing_labels_are_not_out_of_range() {
    let text = "input x: f32[batch, 2]\ntarget y: i32[batch, 2]?\noutput logits = reshape(x |> dense(units=6), [batch, 2, 3])\n\
                loss l = mean(sparse_categorical_crossentropy(y, logits), axes=1)\n\
                train { minimize l\n optimizer sgd(lr=0.1) }";
    let ranges = Ranges::of(&compiled(text).module.graph, ["y".into()]);
    let flaws = |labels: &[i32]| {
        let field = Field { shape: vec![2], values: Numbers::I32(labels.to_vec()) };
        let data = Dataset { rows: labels.len() / 2, fields: [("y".to_string(), field)].into_iter().collect() };
        ranges.flaws(&data).iter().map(|flaw| flaw.first.clone()).collect::<Vec<_>>()
    };
    assert_eq!(flaws(&[0, 2, MISSING_INT, 1, MISSING_INT, MISSING_INT]), Vec::<Vec<usize>>::new());
    assert_eq!(flaws(&[0, 3, MISSING_INT, 1]), [vec![1]]);
}

#[test]
fn sizes_that_data_bring_are_ranges_too() {
    let text = "input x: f32[batch, T, 2]\ninput k: i32[batch]\noutput out = pick(sum(x, axes=2), k)";
    let mut ranges = Ranges::of(&compiled(text).module.graph, []);
    assert!(ranges.demands().is_empty());
    ranges.set_sizes(&[("T".into(), 7)].into_iter().collect());
    assert_eq!(ranges.demands()[0].accepted.to_string(), "0 to 6");
}

/// The warnings about targets, `y: f32[batch, 3]`, of a loss on them.
fn shares(loss: &str, rows: &[[f32; 3]]) -> Vec<Diagnostic> {
    let text = format!(
        "input x: f32[batch, 4]\ntarget y: f32[batch, 3]\noutput logits = x |> dense(units=3)\nloss l = {loss}\n\
         train {{ minimize l\n optimizer sgd(lr=0.1) }}"
    );
    let shares = Shares::of(&compiled(&text).module.graph, []);
    let field = Field { shape: vec![3], values: Numbers::F32(rows.concat()) };
    let data = Dataset { rows: rows.len(), fields: [("y".to_string(), field)].into_iter().collect() };
    shares.flaws(&data).into_iter().map(|flaw| flaw.without_file(&data)).collect()
}

#[test]
fn targets_that_are_no_probabilities_are_warned_of() {
    let (good, scaled, many) = ([0.0, 1.0, 0.0], [0.0, 255.0, 0.0], [1.0, 1.0, 0.0]);
    for loss in [
        "categorical_crossentropy(y, softmax(logits))",
        "categorical_crossentropy(y, logits, from_logits=true)",
        "categorical_crossentropy(y, logits, from_logits=true, label_smoothing=0.1)",
        "-sum(y * log_softmax(logits), axes=-1)",
    ] {
        assert_eq!(shares(loss, &[good, [0.2, 0.3, 0.5]]), [], "{loss}");
        let found = shares(loss, &[good, many]);
        assert_eq!(found.len(), 1, "{loss}: {found:?}");
        assert!(found[0].headline.contains("not sum to 1"), "{loss}: {found:?}");
        assert!(found[0].notes[0].starts_with("found: 1 at row 1"), "{loss}: {found:?}");
        assert_eq!(shares(loss, &[scaled]).len(), 2, "{loss}");
    }
    for loss in ["binary_crossentropy(y, sigmoid(logits))", "binary_crossentropy(y, logits, from_logits=true)"] {
        assert_eq!(shares(loss, &[good, many, [0.5, 0.0, 1.0]]), [], "{loss}");
        let found = shares(loss, &[good, scaled]);
        assert_eq!(found[0].notes[0], "found: 255 at row 1, element [1]", "{loss}");
        assert!(found.iter().all(|finding| !finding.is_error() && finding.code == Code::L0013));
    }
    // Losses of numbers say nothing of probabilities.
    for loss in
        ["mean_squared_error(y, logits)", "mean(exp(logits) - y * logits, axes=1)", "mean(abs(y - logits), axes=1)"]
    {
        assert_eq!(shares(loss, &[scaled, many]), [], "{loss}");
    }
}

const CONFIG: &str = "spec: tag.anb\ndata: { train: data.csv, columns: { word: w0..w2, tag: tag } }\nbatch_size: 2\nepochs: 1\noutput: run\n";
const TAGGER: &str = "\
input  word: i32[batch, 3]
target tag: i32[batch]
output scores = word |> embedding(vocabulary=5, size=2) |> flatten |> dense(units=3)
loss error = sparse_categorical_crossentropy(tag, scores)
train {
    minimize error
    optimizer sgd(lr=0.1)
}
";

fn anabranch(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_anabranch")).args(arguments).current_dir(folder).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_run_and_a_prediction_name_the_line_and_column() {
    let project = tempfile::tempdir().unwrap();
    let folder = project.path();
    let with = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    with("tag.anb", TAGGER);
    with("run.yaml", CONFIG);
    with("data.csv", "w0,w1,w2,tag\n0,1,2,0\n3,4,0,1\n1,1,1,2\n");
    let (code, message) = anabranch(folder, &["run", "run.yaml"]);
    assert_eq!((code, message.contains("E0610")), (Some(0), false), "{message}");
    let program = std::fs::read_to_string(folder.join("run/predict.json")).unwrap();
    assert!(program.contains("\"accepts\":[{\"elements\":[null],\"intervals\":[[0,4]]"), "kept with the program");
    with("new.csv", "w0,w1,w2\n0,1,5\n");
    let predict = ["predict", "run", "--data", "new.csv", "-o", "out.npz"];
    let (code, message) = anabranch(folder, &predict);
    assert_eq!(code, Some(2), "{message}");
    for part in ["E0610", "5 at line 2, column `w2`", "0 to 4", "an index of 5 rows"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!folder.join("out.npz").exists());
    for (tag, word, parts) in [
        ("3", "0", ["3 at line 3, column `tag`", "0 to 2", "tag.anb"]),
        ("-1", "0", ["-1 at line 3, column `tag`", "0 to 2", "a mask"]),
        ("0", "5", ["5 at line 3, column `w0`", "0 to 4", "count from 0"]),
        ("1099511627776", "0", ["1099511627776 at line 3", "range of i32", "tag"]),
    ] {
        with("data.csv", &format!("w0,w1,w2,tag\n0,1,2,0\n{word},4,0,{tag}\n"));
        let (code, message) = anabranch(folder, &["run", "run.yaml"]);
        assert_eq!(code, Some(2), "{message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
    }
}

#[test]
fn numbers_beyond_the_precision_and_params_that_are_none_are_refused() {
    let project = tempfile::tempdir().unwrap();
    let folder = project.path();
    let spec = "input x: f32[batch]\ntarget y: f32[batch]\nparam k: f32 = 1\noutput out = k * x\n\
                loss l = (y - out) ** 2\ntrain { minimize l\n optimizer sgd(lr=0.1) }\n";
    std::fs::write(folder.join("line.anb"), spec).unwrap();
    let config = "spec: line.anb\ndata: { train: line.npz }\nbatch_size: 2\nepochs: 1\noutput: run\n";
    std::fs::write(folder.join("run.yaml"), config).unwrap();
    let write = |x: &[f64]| {
        let tensor = |name, values| TensorRef { name, shape: &[2], values: NumbersRef::F64(values) };
        write_npz(&folder.join("line.npz"), &[tensor("x", x), tensor("y", &[0.5, 0.5])]).unwrap();
    };
    write(&[1.0, 1e39]);
    let (code, message) = anabranch(folder, &["run", "run.yaml"]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("E0604") && message.contains("1e39 at row 1"), "{message}");
    write(&[1.0, 2.0]);
    for (k, what) in [(f64::NAN, "NaN at []"), (1e39, "1e39 at []")] {
        let k = TensorRef { name: "k", shape: &[], values: NumbersRef::F64(&[k]) };
        write_safetensors(&folder.join("init.safetensors"), &[k], &BTreeMap::new()).unwrap();
        std::fs::write(folder.join("warm.yaml"), format!("{config}params: init.safetensors\n")).unwrap();
        let (code, message) = anabranch(folder, &["run", "warm.yaml"]);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains("E0606") && message.contains(what), "{message}");
    }
}
