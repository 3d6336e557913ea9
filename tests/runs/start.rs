//! Runs that begin with the params of another run or of a file, and params that stay as they begin.

use super::support::{Project, ramp};
use anabranch::data::params::{self, ParamsSource};
use anabranch::data::{NumbersRef, TensorRef, write_safetensors};
use std::collections::BTreeMap;

const SPEC: &str = "\
input  x: f32[batch, 4]
target y: f32[batch, 1]
let trunk = x |> dense(units=3) |> batch_norm(momentum=0.5)
output guess = trunk |> dense(units=1)
loss error = mean_squared_error(y, guess)
train {
    minimize error
    optimizer adam(lr=0.01)
}
";
const CONFIG: &str = "\
spec: model.anb
data: { train: data.npz, test: data.npz }
batch_size: 5
epochs: 3
output: runs/first
";

fn project() -> Project {
    let project = Project::new(SPEC, CONFIG);
    let (x, y): (Vec<f32>, Vec<f32>) =
        (ramp(80).iter().map(|x| 10.0 + 5.0 * x).collect(), ramp(20).iter().map(|y| 3.0 * y).collect());
    project.arrays("data.npz", &[("x", &[20, 4], &x), ("y", &[20, 1], &y)]);
    project
}

/// A config that begins otherwise.
fn with(project: &Project, keys: &str) {
    let config = CONFIG.replace("runs/first", "runs/second").replace("epochs: 3", "epochs: 0");
    project.write("second.yaml", &format!("{config}{keys}\n"));
}

fn last(project: &Project, run: &str, key: &str) -> f64 {
    let record: serde_json::Value = serde_json::from_str(&project.read(&format!("runs/{run}/record.json"))).unwrap();
    record["last"][key].as_f64().unwrap()
}

fn tensors(project: &Project, run: &str) -> BTreeMap<String, Vec<f64>> {
    let source = ParamsSource::new(project.path(&format!("runs/{run}/params.safetensors")));
    let read = params::read(&source).unwrap().tensors.into_iter();
    read.map(|(name, tensor)| (name, (0..tensor.values.len()).map(|at| tensor.values.get(at)).collect())).collect()
}

#[test]
fn a_run_goes_on_with_the_states_that_the_model_is_used_with() {
    let project = project();
    project.succeeds(&["run", "run.yaml", "--replace"]);
    for keys in [
        "params: runs/first",
        "params: { run: runs/first }",
        "params: runs/first/params.safetensors",
        "params: { file: runs/first/params.safetensors, prefix: param/ }",
    ] {
        with(&project, keys);
        let text = project.succeeds(&["run", "second.yaml", "--replace"]);
        assert!(text.contains("started from `") && text.contains("8 tensors loaded"), "{keys}: {text}");
        assert!(text.contains("states of the training, which `states: true` takes: state/"), "{keys}: {text}");
        assert_eq!(last(&project, "second", "test/error"), last(&project, "first", "test/error"), "{keys}");
    }
    with(&project, "params: { run: runs/first, states: false }");
    let text = project.succeeds(&["run", "second.yaml", "--replace"]);
    assert!(
        text.contains("6 tensors loaded")
            && text.contains("new, as the spec says: trunk.batch_norm.moving_mean (a state)"),
        "{text}"
    );
    assert_ne!(last(&project, "second", "test/error"), last(&project, "first", "test/error"));
}

#[test]
fn with_all_states_a_run_continues_as_if_it_had_not_ended() {
    let project = project();
    project.write("run.yaml", &CONFIG.replace("epochs: 3", "epochs: 5\nshuffle: false"));
    project.succeeds(&["run", "run.yaml", "--replace", "--output", "runs/whole"]);
    project.succeeds(&["run", "run.yaml", "--replace", "--epochs", "3"]);
    let config = CONFIG.replace("epochs: 3", "epochs: 2\nshuffle: false").replace("runs/first", "runs/second");
    project.write("second.yaml", &(config + "params: { run: runs/first, states: true }\n"));
    project.succeeds(&["run", "second.yaml", "--replace"]);
    assert_eq!(tensors(&project, "second"), tensors(&project, "whole"));
}

#[test]
fn a_run_that_began_with_others_params_goes_on_without_them() {
    let project = project();
    project.succeeds(&["run", "run.yaml"]);
    let config = CONFIG.replace("runs/first", "runs/second") + "checkpoint: { every: 1 steps, keep: 100 }\n";
    project.write("second.yaml", &(config + "params: { run: runs/first, states: true }\n"));
    project.succeeds(&["run", "second.yaml"]);
    for left_at in [17, 20] {
        let again = format!("runs/again-{left_at}");
        project.succeeds(&["run", "second.yaml", "--output", &again]);
        for entry in std::fs::read_dir(project.path(&again).join("checkpoints")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().parse::<u64>().unwrap() > left_at {
                std::fs::remove_dir_all(path).unwrap();
            }
        }
    }
    std::fs::rename(project.path("runs/first"), project.path("runs/gone")).unwrap();
    for left_at in [17, 20] {
        let again = format!("runs/again-{left_at}");
        project.succeeds(&["run", "--resume", &again]);
        for name in ["params.safetensors", "history.csv", "steps.jsonl"] {
            let [a, b] = ["runs/second", &again].map(|run| std::fs::read(project.path(run).join(name)).unwrap());
            assert!(a == b, "left after {left_at} steps: {name} differs");
        }
    }
    let history = project.read("runs/second/history.csv");
    assert!(history.lines().nth(1).unwrap().starts_with("3,12,") && history.lines().count() == 5, "{history}");
}

#[test]
fn what_is_new_and_what_is_left_out_is_said() {
    let project = project();
    project.succeeds(&["run", "run.yaml", "--replace"]);
    with(&project, "params: { run: runs/first, only: trunk }");
    let text = project.succeeds(&["run", "second.yaml", "--replace"]);
    assert!(text.contains("new, as the spec says: guess.dense.kernel, guess.dense.bias"), "{text}");
    assert!(text.contains("left out, not named by `only`: param/guess.dense."), "{text}");
    project.write("model.anb", &SPEC.replace("let trunk", "let body").replace("trunk |>", "body |>"));
    with(&project, "params: { run: runs/first, map: { trunk: body } }");
    project.succeeds(&["run", "second.yaml", "--replace"]);
    assert_eq!(last(&project, "second", "test/error"), last(&project, "first", "test/error"));
    with(&project, "params: { run: runs/first, map: { trunk: boddy } }");
    let message = project.fails(&["run", "second.yaml", "--replace"]);
    assert!(message.contains("E0606") && message.contains("`boddy`"), "{message}");
    project.write("model.anb", &SPEC.replace("units=3", "units=7"));
    with(&project, "params: runs/first");
    let message = project.fails(&["run", "second.yaml", "--replace"]);
    assert!(message.contains("found: [4, 3]") && message.contains("expected: [4, 7]"), "{message}");
    with(&project, "params: { run: runs/none }");
    assert!(project.fails(&["run", "second.yaml", "--replace"]).contains("E0601"));
    with(&project, "params: { run: runs/first, file: x.npz }");
    assert!(project.fails(&["run", "second.yaml", "--replace"]).contains("names a run and a file"));
}

#[test]
fn weights_of_other_frameworks_are_turned() {
    let spec = "\
input  x: f32[batch, 5, 5, 2]
target y: f32[batch, 3]
let maps = x |> conv2d(filters=4, kernel=3)
let alone = maps |> depthwise_conv2d(kernel=3, multiplier=2)
output guess = alone |> global_average_pool2d |> batch_norm |> dense(units=3)
loss error = mean_squared_error(y, guess)
train {
    minimize error
    optimizer sgd()
}
";
    let config = "spec: model.anb\ndata: {}\nbatch_size: 5\nepochs: 0\noutput: runs/second\n";
    let project = Project::new(spec, config);
    let values = |n: usize| (0..n).map(|at| at as f32).collect::<Vec<_>>();
    let shapes: [(&str, &[usize]); 9] = [
        ("conv.weight", &[4, 2, 3, 3]),
        ("conv.bias", &[4]),
        ("dw.weight", &[8, 1, 3, 3]),
        ("bn.weight", &[8]),
        ("bn.bias", &[8]),
        ("bn.running_mean", &[8]),
        ("bn.running_var", &[8]),
        ("fc.weight", &[3, 8]),
        ("fc.bias", &[3]),
    ];
    let filled: Vec<Vec<f32>> = shapes.iter().map(|(_, shape)| values(shape.iter().product())).collect();
    let refs: Vec<TensorRef<'_>> = shapes
        .iter()
        .zip(&filled)
        .map(|((name, shape), values)| TensorRef { name, shape, values: NumbersRef::F32(values) })
        .collect();
    write_safetensors(&project.path("torch.safetensors"), &refs, &BTreeMap::new()).unwrap();
    let map = "map: { conv: maps.conv2d, dw: alone.depthwise_conv2d, bn: guess.batch_norm, fc: guess.dense }";
    project.write("run.yaml", &format!("{config}params: {{ file: torch.safetensors, layout: pytorch, {map} }}\n"));
    let text = project.succeeds(&["run", "run.yaml", "--replace"]);
    assert!(text.contains("9 tensors loaded") && !text.contains("left out"), "{text}");
    let found = tensors(&project, "second");
    // kernel[i, j, c, o] = weight[o, c, i, j]
    let (i, j, c, o) = (2, 1, 1, 3);
    assert_eq!(
        found["param/maps.conv2d.kernel"][((i * 3 + j) * 2 + c) * 4 + o],
        (((o * 2 + c) * 3 + i) * 3 + j) as f64
    );
    // kernel[i, j, c, m] = weight[c * multiplier + m, 0, i, j]
    let m = 1;
    let turned = found["param/alone.depthwise_conv2d.kernel"][((i * 3 + j) * 4 + c) * 2 + m];
    assert_eq!(turned, (((c * 2 + m) * 3 + i) * 3 + j) as f64);
    assert_eq!(found["param/guess.dense.kernel"][5 * 3 + 2], (2 * 8 + 5) as f64);
    assert_eq!(found["state/guess.batch_norm.moving_variance"][7], 7.0);
    project.write(
        "run.yaml",
        &format!("{config}params: {{ file: torch.safetensors, map: {{ fc.weight: guess.dense.kernel }} }}\n"),
    );
    let message = project.fails(&["run", "run.yaml", "--replace"]);
    assert!(message.contains("layout: pytorch"), "{message}");
    let keras: Vec<f32> = values(24);
    let keras = [TensorRef { name: "guess/dense/kernel:0", shape: &[8, 3], values: NumbersRef::F32(&keras) }];
    write_safetensors(&project.path("keras.safetensors"), &keras, &BTreeMap::new()).unwrap();
    project.write("run.yaml", &format!("{config}params: {{ file: keras.safetensors, layout: keras }}\n"));
    assert!(project.succeeds(&["run", "run.yaml", "--replace"]).contains("1 tensor loaded"));
    assert_eq!(tensors(&project, "second")["param/guess.dense.kernel"][5], 5.0);
}

/// Every layer with a kernel, a table or running values, in both precisions: what is written for a framework and read as its file is the
/// same model.
#[test]
fn weights_go_out_and_come_back() {
    let spec = "\
input  x: f32[batch, 6, 6, 2]
input  id: i32[batch]
target y: f32[batch, 3]
let maps = x |> conv2d(filters=4, kernel=3, padding=\"same\") |> batch_norm |> prelu
let alone = maps |> depthwise_conv2d(kernel=3, multiplier=2) |> conv2d(filters=4, kernel=2, groups=2)
let wide = alone |> conv2d_transpose(filters=3, kernel=3, stride=2) |> layer_norm
let word = id |> embedding(vocabulary=5, size=3)
output guess = (wide |> global_average_pool2d |> dense(units=3)) + word
loss error = mean_squared_error(y, guess)
train { minimize error  optimizer adam(lr=0.01) }
";
    let config =
        "spec: model.anb\ndata: { train: data.npz, test: data.npz }\nbatch_size: 4\nepochs: 2\noutput: runs/first\n";
    for precision in ["f32", "f64"] {
        let config = format!("{config}precision: {precision}\n");
        let project = Project::new(spec, &config);
        let ids: Vec<f32> = (0..8).map(|at| (at % 5) as f32).collect();
        let (x, y) = (ramp(8 * 72), ramp(24));
        project.arrays("data.npz", &[("x", &[8, 6, 6, 2], &x), ("id", &[8], &ids), ("y", &[8, 3], &y)]);
        project.succeeds(&["run", "run.yaml"]);
        for (layout, key) in [("pytorch", "pytorch"), ("keras", "keras"), ("anabranch", "")] {
            let file = format!("{layout}.safetensors");
            project.succeeds(&["export", "params", "runs/first", "-o", &file, "--layout", layout]);
            let key = if key.is_empty() { String::new() } else { format!(", layout: {key}") };
            let config = config.replace("epochs: 2", "epochs: 0\nseed: 9").replace("runs/first", "runs/second");
            project.write("second.yaml", &format!("{config}params: {{ file: {file}{key} }}\n"));
            let text = project.succeeds(&["run", "second.yaml", "--replace"]);
            assert!(!text.contains("left out") && !text.contains("new, as the spec says"), "{layout}: {text}");
            assert_eq!(last(&project, "second", "test/error"), last(&project, "first", "test/error"), "{layout}");
        }
        let read = |name: &str| params::read(&ParamsSource::new(project.path(name))).unwrap().tensors;
        let pytorch = read("pytorch.safetensors");
        let shape = |name: &str| pytorch[name].shape.clone();
        assert_eq!(shape("maps.conv2d.weight"), [4, 2, 3, 3]);
        assert_eq!(shape("alone.depthwise_conv2d.weight"), [8, 1, 3, 3]);
        assert_eq!(shape("alone.conv2d.weight"), [4, 4, 2, 2]);
        assert_eq!(shape("wide.conv2d_transpose.weight"), [4, 3, 3, 3]);
        assert_eq!(shape("guess.dense.weight"), [3, 3]);
        assert_eq!(shape("word.embedding.weight"), [5, 3]);
        assert!(pytorch.contains_key("maps.batch_norm.running_var") && pytorch.contains_key("wide.layer_norm.bias"));
        assert!(read("keras.safetensors").contains_key("word/embedding/embeddings"));
        assert!(read("anabranch.safetensors").contains_key("state/maps.batch_norm.moving_mean"));
        assert!(!pytorch.keys().any(|name| name.contains("adam")));
        assert_eq!(pytorch["guess.dense.weight"].values.type_name(), precision);
        let message = project.fails(&["export", "params", "runs/first", "-o", "pytorch.safetensors"]);
        assert!(message.contains("E0605"), "{message}");
        assert!(project.fails(&["export", "params", "runs/first", "-o", "weights.npz"]).contains("E0605"));
    }
}

#[test]
fn frozen_params_stay_as_they_begin() {
    let project = project();
    project.succeeds(&["run", "run.yaml", "--replace"]);
    let config =
        CONFIG.replace("runs/first", "runs/second") + "params: runs/first\nfrozen: [trunk, guess.dense.bias]\n";
    project.write("second.yaml", &config);
    project.succeeds(&["run", "second.yaml", "--replace"]);
    let (before, after) = (tensors(&project, "first"), tensors(&project, "second"));
    for (name, values) in before.iter().filter(|(name, _)| name.starts_with("param/")) {
        let is_trained = name == "param/guess.dense.kernel";
        assert_eq!(after[name] != *values, is_trained, "{name}");
    }
    assert!(
        !after.keys().any(|name| name.contains("trunk") && name.contains("adam")),
        "no optimizer for what is frozen"
    );
    project.write("second.yaml", &config.replace("[trunk,", "[trunck,"));
    let message = project.fails(&["run", "second.yaml", "--replace"]);
    assert!(message.contains("`trunck` names no param") && message.contains("second.yaml:7"), "{message}");
    project.write("second.yaml", &config.replace("[trunk, guess.dense.bias]", "'*'"));
    assert!(project.fails(&["run", "second.yaml", "--replace"]).contains("E0406"));
}
