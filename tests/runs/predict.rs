//! Predictions and evaluations by a run's folder: formats, parts of a program, names of data, blocks of rows.

use super::support::{Project, ramp};
use std::io::Write as _;

const SPEC: &str = "\
input  x: f32[batch, 2]
input  hint: f32[batch]
target y: f32[batch, 1]
let code = x |> dense(units=3, activation=tanh)
layer decode(code: f32[batch, N]) {
    return code |> dense(units=4) |> reshape([batch, 2, 2])
}
layer decoder = decode()
output image = decoder(code)
output guess = code |> dense(units=1)
output top = argmax(code, axis=1)
loss error = mean_squared_error(y, guess)
loss hinted = square(hint - squeeze(guess, axes=1))
metric distance = mean(abs(y - guess), axes=1)
train {
    minimize error + hinted + 0 * mean(image, axes=[1, 2])
    optimizer sgd(lr=0.1)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, columns: { x: feature } }
batch_size: 4
epochs: 2
output: runs/model
";

/// Trained on 10 rows, `x` under another name.
fn trained() -> Project {
    let project = Project::new(SPEC, CONFIG);
    let y = ramp(10);
    project.arrays("data.npz", &[("feature", &[10, 2], &ramp(20)), ("hint", &[10], &ramp(10)), ("y", &[10, 1], &y)]);
    project.succeeds(&["run", "run.yaml"]);
    project
}

fn predict<'a>(data: &'a str, output: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["predict", "runs/model", "--data", data, "-o", output], more].concat()
}

#[test]
fn an_output_is_read_back_from_every_format() {
    let project = trained();
    project.succeeds(&predict("data.npz", "out.npz", &[]));
    let (shape, images) = project.array("out.npz", "image");
    assert_eq!(shape, [10, 2, 2]);
    let (_, guesses) = project.array("out.npz", "guess");

    project.succeeds(&predict("data.npz", "out.csv", &["--outputs", "guess,image"]));
    let mut reader = csv::Reader::from_path(project.path("out.csv")).unwrap();
    assert_eq!(reader.headers().unwrap(), vec!["guess", "image_0", "image_1", "image_2", "image_3"]);
    for (row, record) in reader.deserialize::<Vec<f32>>().enumerate() {
        let cells = record.unwrap();
        assert_eq!((cells[0], &cells[1..]), (guesses[row], &images[4 * row..4 * row + 4]), "bit for bit");
    }

    project.succeeds(&predict("data.npz", "out.jsonl", &["--outputs", "image,top"]));
    for (row, line) in project.read("out.jsonl").lines().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let image: Vec<Vec<f32>> = serde_json::from_value(value["image"].clone()).unwrap();
        assert_eq!(image.concat(), images[4 * row..4 * row + 4]);
        assert!(value["top"].is_i64() && value.get("guess").is_none(), "{line}");
    }
}

#[test]
fn an_unknown_format_is_refused_before_any_work() {
    let project = trained();
    for (output, reason) in [("out.json", "extension `json`"), ("out", "without an extension"), ("out.txt", "`txt`")] {
        let message = project.fails(&predict("missing.npz", output, &[]));
        assert!(message.contains("E0605") && message.contains(reason), "{message}");
    }
    let message = project.fails(&predict("data.npz", "out.csv", &["--outputs", "gess"]));
    assert!(message.contains("did you mean `guess`?"), "{message}");
}

#[test]
fn what_only_training_used_is_not_needed() {
    let project = trained();
    project.arrays("new.npz", &[("feature", &[3, 2], &ramp(6))]);
    project.succeeds(&predict("new.npz", "out.npz", &[]));
    assert_eq!(project.array("out.npz", "guess").0, [3, 1]);
}

#[test]
fn arrays_are_found_under_the_names_of_training_their_own_or_given_ones() {
    let project = trained();
    let x = ramp(6);
    project.arrays("own.npz", &[("x", &[3, 2], &x)]);
    project.arrays("other.npz", &[("pixels", &[3, 2], &x)]);
    project.arrays("trained.npz", &[("feature", &[3, 2], &x)]);
    project.write("table.csv", "a,b,id\n0.0,0.16666667,7\n0.33333334,0.5,8\n0.6666667,0.8333333,9\n");
    project.succeeds(&predict("trained.npz", "1.npz", &[]));
    project.succeeds(&predict("own.npz", "2.npz", &[]));
    project.succeeds(&predict("other.npz", "3.npz", &["--columns", "x=pixels"]));
    project.succeeds(&predict("table.csv", "4.npz", &["--columns", "x=a,b"]));
    let expected = project.array("1.npz", "guess");
    for other in ["2.npz", "3.npz", "4.npz"] {
        assert_eq!(project.array(other, "guess"), expected, "{other}");
    }
    let message = project.fails(&predict("other.npz", "out.npz", &[]));
    assert!(message.contains("`--columns x=NAME`"), "{message}");
    let message = project.fails(&predict("other.npz", "out.npz", &["--columns", "z=pixels"]));
    assert!(message.contains("no field `z` is read"), "{message}");
}

#[test]
fn kept_columns_pass_through() {
    let project = trained();
    project.write("table.csv", "name,feature0,feature1,id,weight\nann,0,1,10,0.5\n\"b,b\",1,0,11,2\n");
    let keep = ["--columns", "x=feature0..feature1", "--keep", "id,name", "--outputs", "guess"];
    project.succeeds(&predict("table.csv", "out.csv", &keep));
    let text = project.read("out.csv");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("id,name,guess"));
    assert!(lines.next().unwrap().starts_with("10,ann,") && lines.next().unwrap().starts_with("11,\"b,b\","), "{text}");
    project.succeeds(&predict("table.csv", "out.npz", &keep));
    let mut archive = ndarray_npy::NpzReader::new(std::fs::File::open(project.path("out.npz")).unwrap()).unwrap();
    let ids: ndarray::Array1<i64> = archive.by_name("id").unwrap();
    assert_eq!(ids.to_vec(), [10, 11]);
    project.succeeds(&predict("table.csv", "out.jsonl", &keep));
    assert!(project.read("out.jsonl").starts_with("{\"id\":10,\"name\":\"ann\",\"guess\":["));
    let message =
        project.fails(&predict("table.csv", "no.csv", &["--columns", "x=feature0..feature1", "--keep", "ids"]));
    assert!(message.contains("did you mean `id`?"), "{message}");
    let twice = ["--columns", "x=feature0..feature1", "--keep", "id,id"];
    assert!(project.fails(&predict("table.csv", "no.csv", &twice)).contains("two columns named `id`"));
}

#[test]
fn a_slice_of_the_program_runs_alone() {
    let project = trained();
    project.succeeds(&predict("data.npz", "codes.npz", &["--outputs", "code,image"]));
    let (shape, codes) = project.array("codes.npz", "code");
    assert_eq!(shape, [10, 3]);
    project.arrays("z.npz", &[("code", &[10, 3], &codes)]);
    project.succeeds(&predict("z.npz", "image.npz", &["--from", "code", "--outputs", "image"]));
    assert_eq!(project.array("image.npz", "image"), project.array("codes.npz", "image"));
    // Without `--outputs`, those that depend on it.
    project.succeeds(&predict("z.npz", "all.npz", &["--from", "code"]));
    assert_eq!(project.array("all.npz", "guess").0, [10, 1]);
    let message = project.fails(&predict("z.npz", "no.npz", &["--from", "cod"]));
    assert!(message.contains("did you mean `code`?"), "{message}");
    let message = project.fails(&predict("z.npz", "no.npz", &["--from", "guess", "--outputs", "image"]));
    assert!(message.contains("does not lead to"), "{message}");
    // A loss depends on targets, and is no value of the program.
    assert!(project.fails(&predict("z.npz", "no.npz", &["--outputs", "error"])).contains("no value `error`"));
}

#[test]
fn outputs_that_read_nothing_are_sampled() {
    let spec = SPEC.replace("output top", "output noise = random_normal([batch, 2])\noutput top");
    let project = Project::new(&spec, CONFIG);
    let y = ramp(10);
    project.arrays("data.npz", &[("feature", &[10, 2], &ramp(20)), ("hint", &[10], &ramp(10)), ("y", &[10, 1], &y)]);
    project.succeeds(&["run", "run.yaml"]);
    let sample = |output| ["predict", "runs/model", "--outputs", "noise", "--samples", "7", "-o", output];
    project.succeeds(&sample("a.npz"));
    project.succeeds(&sample("b.npz"));
    assert_eq!(project.array("a.npz", "noise").0, [7, 2]);
    assert_eq!(project.array("a.npz", "noise"), project.array("b.npz", "noise"));
    let message = project.fails(&["predict", "runs/model", "--samples", "7", "-o", "c.npz"]);
    assert!(message.contains("the outputs read `x`"), "{message}");
    let message = project.fails(&["predict", "runs/model", "--outputs", "noise", "-o", "c.npz"]);
    assert!(message.contains("--samples"), "{message}");
    let message = project.fails(&["predict", "runs/model", "-o", "c.npz"]);
    assert!(message.contains("--data FILE"), "{message}");
}

#[test]
fn blocks_of_rows_give_what_all_rows_at_once_give() {
    // A row of 4 Mi numbers fills a block, so this data is three blocks, and of batches of 2 rows still three.
    let width = 1 << 21;
    let spec = format!(
        "input x: f32[batch, {width}]\ninput z: f32[batch]\noutput noisy = mean(x, axes=1) + random_normal([batch])\noutput twice = 2 * z\n\
         param w: f32 = 1\nloss size = square(w * z)\ntrain {{\n    minimize size\n    optimizer sgd()\n}}\n"
    );
    let project = Project::new(&spec, "spec: model.anb\ndata: {}\nbatch_size: 2\nepochs: 0\noutput: runs/model\n");
    project.succeeds(&["run", "run.yaml"]);
    let n = 5;
    let x: Vec<f32> = (0..n * width).map(|at| (at / width) as f32).collect();
    project.arrays("wide.npz", &[("x", &[n, width], &x), ("z", &[n], &ramp(n)), ("id", &[n], &ramp(n))]);
    let run = ["--batch-size", "1", "--keep", "id"];
    project.succeeds(&predict("wide.npz", "blocks.npz", &run));
    let (shape, noisy) = project.array("blocks.npz", "noisy");
    assert_eq!(shape, [n]);
    for (row, value) in noisy.iter().enumerate() {
        assert!((value - row as f32).abs() < 6.0, "row {row}: {value}");
    }
    assert_eq!(project.array("blocks.npz", "twice").1, ramp(n).iter().map(|z| 2.0 * z).collect::<Vec<_>>());
    let mut distinct = noisy.clone();
    distinct.iter_mut().enumerate().for_each(|(row, value)| *value -= row as f32);
    distinct.sort_by(f32::total_cmp);
    distinct.dedup();
    assert_eq!(distinct.len(), n, "each batch draws its own numbers, across blocks too");
    // What is wrong in the last block leaves no file.
    let mut broken = x;
    broken[n * width - 1] = f32::NAN;
    project.arrays("broken.npz", &[("x", &[n, width], &broken), ("z", &[n], &ramp(n))]);
    let message = project.fails(&predict("broken.npz", "no.npz", &["--batch-size", "1"]));
    assert!(message.contains(&format!("row 4, element [{}]", width - 1)), "{message}");
}

#[test]
fn long_tables_are_read_in_blocks() {
    let project = trained();
    let mut file = std::io::BufWriter::new(std::fs::File::create(project.path("long.csv")).unwrap());
    writeln!(file, "feature0,feature1,id").unwrap();
    for row in 0..3000 {
        writeln!(file, "{},{},{row}", row % 7, row % 5).unwrap();
    }
    drop(file);
    let columns = ["--columns", "x=feature0..feature1", "--keep", "id", "--rows", "10..2990"];
    project.succeeds(&predict("long.csv", "out.csv", &columns));
    let text = project.read("out.csv");
    let ids: Vec<usize> = text.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, (10..2990).collect::<Vec<_>>());
    let beyond = ["--columns", "x=feature0..feature1", "--rows", "0..4000"];
    assert!(project.fails(&predict("long.csv", "no.csv", &beyond)).contains("found: 3000 rows"));
}

#[test]
fn an_output_for_all_rows_is_no_column() {
    let spec = SPEC.replace("output top", "output centre = mean(x, axes=[0, 1])\noutput top");
    let project = Project::new(&spec, CONFIG);
    let y = ramp(10);
    project.arrays("data.npz", &[("feature", &[10, 2], &ramp(20)), ("hint", &[10], &ramp(10)), ("y", &[10, 1], &y)]);
    project.succeeds(&["run", "run.yaml"]);
    let message = project.fails(&predict("missing.npz", "out.csv", &[]));
    assert!(message.contains("one value for all rows"), "{message}");
    project.succeeds(&predict("data.npz", "out.npz", &["--batch-size", "3"]));
    let (shape, centre) = project.array("out.npz", "centre");
    assert!(shape.is_empty() && (centre[0] - 0.475).abs() < 1e-6, "{centre:?}");
}

#[test]
fn an_evaluation_says_what_the_run_said() {
    let project = Project::new(SPEC, &CONFIG.replace("train: data.npz", "train: data.npz, test: data.npz"));
    let y = ramp(10);
    project.arrays("data.npz", &[("feature", &[10, 2], &ramp(20)), ("hint", &[10], &ramp(10)), ("y", &[10, 1], &y)]);
    project.succeeds(&["run", "run.yaml"]);
    let record: serde_json::Value = serde_json::from_str(&project.read("runs/model/record.json")).unwrap();
    let evaluate = ["evaluate", "runs/model", "--data", "all=data.npz", "--batch-size", "4", "--format"];
    let json: serde_json::Value =
        serde_json::from_str(&project.succeeds(&[&evaluate[..], &["json"]].concat())).unwrap();
    assert_eq!(json["all"]["losses"]["error"], record["last"]["test/error"]);
    assert_eq!(json["all"]["metrics"]["distance"], record["last"]["test/distance"]);
    assert_eq!(json["all"]["rows"], 10);
    let csv = project.succeeds(&[&evaluate[..], &["csv", "--data", "half=data.npz", "--rows", "0..5"]].concat());
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("part,rows,error,hinted,distance") && lines[1].starts_with("all,5,"), "{csv}");
    assert_eq!(lines[1].trim_start_matches("all"), lines[2].trim_start_matches("half"));
    // Without data its own parts, as it named them.
    let own: serde_json::Value =
        serde_json::from_str(&project.succeeds(&["evaluate", "runs/model", "--batch-size", "4", "--format", "json"]))
            .unwrap();
    assert_eq!(own["test"]["losses"]["error"], record["last"]["test/error"]);
    assert_eq!(own["train"], own["test"]);
    assert_eq!(own.as_object().unwrap().len(), 2);
    let message = project.fails(&["evaluate", "runs/model", "--rows", "0..5"]);
    assert!(message.contains("name it: `--data FILE`"), "{message}");
    let table = project.succeeds(&["evaluate", "runs/model", "--data", "data.npz"]);
    assert!(table.contains("loss    error") && table.contains("metric  distance"), "{table}");
    let message = project.fails(&["evaluate", "runs/model", "--data", "data.npz", "--columns", "y=z"]);
    assert!(message.contains("no array `z`"), "{message}");
}

#[test]
fn an_evaluation_needs_its_targets_and_a_prediction_does_not() {
    let project = trained();
    project.arrays("new.npz", &[("feature", &[3, 2], &ramp(6)), ("hint", &[3], &ramp(3))]);
    project.succeeds(&predict("new.npz", "out.npz", &[]));
    let message = project.fails(&["evaluate", "runs/model", "--data", "new.npz"]);
    assert!(message.contains("no array `y`"), "{message}");
}

#[test]
fn metrics_of_sums_and_missing_targets_are_evaluated_from_the_folder() {
    let spec = "\
input  x: f32[batch]
target y: f32[batch]?
output guess = x |> reshape([batch, 1]) |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - guess)
metric fit = pearson_correlation(y, guess)
train {
    minimize error
    optimizer adam(lr=0.05)
}
";
    let config = "spec: model.anb\ndata: { train: d.npz, test: d.npz }\nbatch_size: 3\nepochs: 2\noutput: runs/model\n";
    let project = Project::new(spec, config);
    let y: Vec<f32> = (0..10).map(|at| if at % 3 == 0 { f32::NAN } else { (at * at) as f32 / 50.0 }).collect();
    project.arrays("d.npz", &[("x", &[10], &ramp(10)), ("y", &[10], &y)]);
    project.succeeds(&["run", "run.yaml"]);
    let record: serde_json::Value = serde_json::from_str(&project.read("runs/model/record.json")).unwrap();
    let all = ["evaluate", "runs/model", "--data", "d.npz", "--batch-size", "3", "--format", "json"];
    let json: serde_json::Value = serde_json::from_str(&project.succeeds(&all)).unwrap();
    assert_eq!(json["d"]["metrics"]["fit"], record["last"]["test/fit"]);
    assert_eq!(json["d"]["losses"]["error"], record["last"]["test/error"]);
}

#[test]
fn texts_of_an_archive_are_kept() {
    let spec = "\
input  x: f32[batch]
target y: f32[batch]
output guess = x |> reshape([batch, 1]) |> dense(units=1) |> squeeze(axes=1)
loss error = square(y - guess)
train {
    minimize error
    optimizer sgd(lr=0.05)
}
";
    let config = "spec: model.anb\ndata: { train: d.npz }\nbatch_size: 3\nepochs: 1\noutput: runs/model\n";
    let project = Project::new(spec, config);
    project.arrays("d.npz", &[("x", &[10], &ramp(10)), ("y", &[10], &ramp(10))]);
    project.succeeds(&["run", "run.yaml"]);
    let names: Vec<String> = (0..300).map(|at| if at % 7 == 0 { String::new() } else { format!("n°{at}€") }).collect();
    let rows: String = names.iter().enumerate().map(|(at, name)| format!("{name},{}\n", at as f32 / 8.0)).collect();
    project.write("table.csv", &format!("name,x\n{rows}"));
    let keep = ["--keep", "name,x"];
    project.succeeds(&predict("table.csv", "texts.npz", &keep));
    let keep = ["--keep", "name", "--batch-size", "64", "--rows", "5..290"];
    project.succeeds(&predict("texts.npz", "out.csv", &keep));
    project.succeeds(&predict("table.csv", "expected.csv", &keep));
    let text = project.read("out.csv");
    assert_eq!(text, project.read("expected.csv"));
    let found: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(found, names[5..290]);
    // As numbers they are refused.
    let message = project.fails(&predict("texts.npz", "no.csv", &["--columns", "x=name"]));
    assert!(message.contains("it holds texts, not numbers"), "{message}");
}

#[test]
fn a_spec_without_training_is_evaluated_and_saved() {
    let spec = "input x: f32[batch, 2]\ntarget y: f32[batch]\nparam w: f32[2] = 0.5\noutput guess = sum(x * w, axes=1)\nmetric off = abs(y - guess)\n";
    let config = "spec: model.anb\ndata: { test: d.npz }\nbatch_size: 4\nepochs: 0\noutput: runs/model\n";
    let project = Project::new(spec, config);
    project.arrays("d.npz", &[("x", &[4, 2], &[1.0; 8]), ("y", &[4], &[2.0; 4])]);
    let text = project.succeeds(&["run", "run.yaml"]);
    assert!(text.contains("test off: 1.00000\n"), "{text}");
    project.succeeds(&predict("d.npz", "out.npz", &[]));
    assert_eq!(project.array("out.npz", "guess").1, [1.0; 4]);
    let message = project.fails(&["run", "run.yaml", "--epochs", "2"]);
    assert!(message.contains("no `train` block") && message.contains("epochs: 0"), "{message}");
    let trained = Project::new(SPEC, "spec: model.anb\ndata: {}\nbatch_size: 4\nepochs: 0\n");
    assert!(trained.fails(&["run", "run.yaml", "--epochs", "2"]).contains("no training data"));
}

const FED: &str = "\
input  x: f32[batch]
input  shift: f32
input  alpha: f32
target y: f32[batch]
param w: f32 = 1
output line = w * x + shift
loss error = alpha * square(y - w * x)
metric steps = f32(total_steps)
train { minimize error  optimizer sgd(lr=0.1) }
";

/// What an input without rows was fed belongs to the run: going on, predicting and evaluating have it.
#[test]
fn what_was_fed_belongs_to_the_run() {
    let config = "spec: model.anb\ndata: { train: data.npz }\nbatch_size: 4\nepochs: 2\noutput: runs/model\n";
    let project = Project::new(FED, &format!("{config}feed: {{ shift: 3, alpha: 0.25 }}\n"));
    let (x, y) = (ramp(10), vec![2.0; 10]);
    project.arrays("data.npz", &[("x", &[10], &x), ("y", &[10], &y)]);
    project.succeeds(&["run", "run.yaml", "--feed", "alpha=0.5"]);
    let kept = project.read("runs/model/run.yaml");
    assert!(kept.contains("alpha: 0.5") && kept.contains("shift: 3"), "{kept}");
    let params = |run: &str| std::fs::read(project.path(&format!("{run}/params.safetensors"))).unwrap();
    let short = params("runs/model");

    project.succeeds(&predict("data.npz", "out.npz", &[]));
    let (_, line) = project.array("out.npz", "line");
    assert_eq!((x[0], line[0]), (0.0, 3.0));
    for (x_at, line_at) in x.iter().zip(&line) {
        assert!(((line_at - 3.0) * x[9] - (line[9] - 3.0) * x_at).abs() < 1e-5, "{line:?}");
    }
    let evaluated = project.succeeds(&["evaluate", "runs/model", "--data", "data.npz"]);
    assert!(evaluated.contains("error"), "{evaluated}");

    // Data may hold them, once or in every row.
    project.write("bare.yaml", config);
    let alphas = [0.5; 10];
    type Arrays<'a> = &'a [(&'a str, &'a [usize], &'a [f32])];
    let [once, each]: [Arrays<'_>; 2] = [
        &[("x", &[10], &x), ("y", &[10], &y), ("alpha", &[], &[0.5]), ("shift", &[], &[3.0])],
        &[("x", &[10], &x), ("y", &[10], &y), ("alpha", &[10], &alphas), ("shift", &[], &[3.0])],
    ];
    for (at, arrays) in [once, each].into_iter().enumerate() {
        project.arrays("data.npz", arrays);
        let output = format!("runs/data{at}");
        project.succeeds(&["run", "bare.yaml", "--output", &output]);
        assert!(params(&output) == short, "{output}");
        let file = format!("out{at}.npz");
        project.succeeds(&["predict", &output, "--data", "data.npz", "-o", &file]);
        assert_eq!(project.array(&file, "line").1, line);
    }
    project.arrays("data.npz", &[("x", &[10], &x), ("y", &[10], &y)]);

    project.succeeds(&["run", "run.yaml", "--feed", "alpha=0.5", "--epochs", "4", "--output", "runs/long"]);
    project.succeeds(&["run", "--resume", "runs/model", "--epochs", "4"]);
    assert!(params("runs/model") == params("runs/long") && params("runs/model") != short);

    let missing = project.fails(&["run", "bare.yaml"]);
    assert!(missing.contains("E0603") && missing.contains("--feed alpha="), "{missing}");
    let unknown = project.fails(&["run", "run.yaml", "--feed", "alhpa=0.5"]);
    assert!(unknown.contains("E0603") && unknown.contains("`alpha`"), "{unknown}");
    project.fails(&["run", "run.yaml", "--feed", "alpha=[1, 2]"]);
}
