//! Layers against Keras 3 in float64: outputs, gradients of `sum(output c)` by input and weights, and states after.
//!
//! A spec is written for each case of `tests/oracle/layers.json` from the layer's name and settings. Thirteen cases (the
//! normalisations, the global mean, the recurrent layers, attention and tanh) have numbers of seven digits there, although Keras
//! was asked for float64: somewhere on its way it rounds to float32. Their numbers are those of `tests/oracle/exact.json`, which
//! PyTorch computed in float64 from the same inputs; `write_exact.py` beside it holds them against Keras's to 1e-6.

#![allow(clippy::print_stdout, reason = "the count of cases, for those who ask with --nocapture")]

use crate::common::values::{
    Feeds, compiled, difference, disturb_largest, exact, extents, feed, flat, floats, options,
};
use anabranch::exec::{Carried, Clock, Executor, Mode, Store, StoreKind, Values};
use anabranch::ir::{DType, DimSizes, Graph, NodeId, Output, Role};
use anabranch::ops::{InputKind, Op};
use anabranch::passes::{gradients, prune, resolve_prediction, resolve_training, simplify};
use serde_json::Value;

/// The gradient by attention's key bias is 0, since softmax does not see what is added to all scores of a query: what the
/// oracle has for it is rounding. Ours must be smaller than this.
const ZERO: f64 = 1e-12;

/// A case as a call of the standard library, and where each of Keras's weights is to be found: (its end, our path).
fn call(case: &Value) -> (String, Vec<(&'static str, &'static str)>) {
    let name = case["layer"].as_str().unwrap();
    let config = &case["config"];
    let text = |key: &str| config[key].to_string().replace('"', "");
    let plain = |call: String| (call, Vec::new());
    let sizes = |key: &str| match &config[key] {
        Value::Array(items) if items.len() == 1 => items[0].to_string(),
        other => other.to_string(),
    };
    let windows = || {
        let dilation = if config["dilation_rate"].is_null() { "1".to_string() } else { sizes("dilation_rate") };
        format!("stride={}, padding={}, dilation={dilation}", sizes("strides"), config["padding"])
    };
    let kernel = || vec![("kernel", "kernel"), ("bias", "bias")];
    let pool = |function: &str| {
        let padding = &config["padding"];
        format!("{function}(x, window={}, stride={}, padding={padding})", sizes("pool_size"), sizes("strides"))
    };
    let recurrent = |function: &str| {
        (
            format!("{function}(x, units={}, sequences={})", text("units"), text("return_sequences")),
            vec![("recurrent_kernel", "recurrent_kernel"), ("kernel", "kernel"), ("bias", "bias")],
        )
    };
    match name {
        "Conv1D" | "Conv2D" | "Conv3D" => {
            let function = name.to_lowercase();
            let (filters, kernel_size, groups) = (text("filters"), sizes("kernel_size"), text("groups"));
            let call =
                format!("{function}(x, filters={filters}, kernel={kernel_size}, groups={groups}, {})", windows());
            (call, kernel())
        }
        "DepthwiseConv2D" => {
            let multiplier = text("depth_multiplier");
            let kernel_size = sizes("kernel_size");
            (format!("depthwise_conv2d(x, kernel={kernel_size}, multiplier={multiplier}, {})", windows()), kernel())
        }
        "SeparableConv2D" => (
            format!(
                "separable_conv2d(x, filters={}, kernel={}, multiplier={}, {})",
                text("filters"),
                sizes("kernel_size"),
                text("depth_multiplier"),
                windows()
            ),
            vec![
                ("depthwise_kernel", "depthwise.kernel"),
                ("pointwise_kernel", "pointwise.kernel"),
                ("bias", "pointwise.bias"),
            ],
        ),
        "Conv2DTranspose" => {
            let (filters, kernel_size) = (text("filters"), sizes("kernel_size"));
            (format!("conv2d_transpose(x, filters={filters}, kernel={kernel_size}, {})", windows()), kernel())
        }
        "MaxPooling1D" => plain(pool("max_pool1d")),
        "MaxPooling2D" => plain(pool("max_pool2d")),
        "AveragePooling2D" => plain(pool("average_pool2d")),
        "GlobalAveragePooling2D" => plain("global_average_pool2d(x)".to_string()),
        "GlobalMaxPooling2D" => plain("global_max_pool2d(x)".to_string()),
        "BatchNormalization" => (
            format!("batch_norm(x, momentum={}, epsilon={})", text("momentum"), text("epsilon")),
            vec![
                ("gamma", "gamma"),
                ("beta", "beta"),
                ("moving_mean", "moving_mean"),
                ("moving_variance", "moving_variance"),
            ],
        ),
        "LayerNormalization" => {
            (format!("layer_norm(x, epsilon={})", text("epsilon")), vec![("gamma", "gamma"), ("beta", "beta")])
        }
        "GroupNormalization" => (
            format!("group_norm(x, groups={}, epsilon={})", text("groups"), text("epsilon")),
            vec![("gamma", "gamma"), ("beta", "beta")],
        ),
        "RMSNormalization" => (format!("rms_norm(x, epsilon={})", text("epsilon")), vec![("scale", "scale")]),
        "UnitNormalization" => plain("unit_normalize(x)".to_string()),
        "Dense" => (format!("dense(x, units={})", text("units")), kernel()),
        "EinsumDense" => {
            (format!("einsum_dense(x, equation={}, shape=[4, 3])", config["equation"]), vec![("kernel", "kernel")])
        }
        "Embedding" => (
            format!("embedding(x, vocabulary={}, size={})", text("input_dim"), text("output_dim")),
            vec![("embeddings", "table")],
        ),
        "SimpleRNN" => recurrent("simple_rnn"),
        "LSTM" => recurrent("lstm"),
        "GRU" => recurrent("gru"),
        "Bidirectional" => (
            "bidirectional(x, units=2, cell=lstm, sequences=true)".to_string(),
            vec![
                ("forward_lstm_2/lstm_cell/recurrent_kernel", "lstm.recurrent_kernel"),
                ("forward_lstm_2/lstm_cell/kernel", "lstm.kernel"),
                ("forward_lstm_2/lstm_cell/bias", "lstm.bias"),
                ("backward_lstm_2/lstm_cell/recurrent_kernel", "lstm_2.recurrent_kernel"),
                ("backward_lstm_2/lstm_cell/kernel", "lstm_2.kernel"),
                ("backward_lstm_2/lstm_cell/bias", "lstm_2.bias"),
            ],
        ),
        "MultiHeadAttention" => (
            format!("multi_head_attention(x, heads={}, size={})", text("num_heads"), text("key_dim")),
            vec![
                ("query/kernel", "query.kernel"),
                ("query/bias", "query.bias"),
                ("key/kernel", "key.kernel"),
                ("key/bias", "key.bias"),
                ("value/kernel", "value.kernel"),
                ("value/bias", "value.bias"),
                ("attention_output/kernel", "projection.kernel"),
                ("attention_output/bias", "projection.bias"),
            ],
        ),
        "UpSampling2D" => {
            plain(format!("upsample2d(x, size={}, interpolation={})", sizes("size"), config["interpolation"]))
        }
        "ZeroPadding2D" => plain(format!("zero_pad2d(x, padding={})", config["padding"])),
        "Cropping2D" => plain(format!("crop2d(x, cropping={})", config["cropping"])),
        "Activation" => {
            let function = match config["activation"].as_str().unwrap() {
                "exponential" => "exp",
                other => other,
            };
            plain(format!("{function}(x)"))
        }
        "PReLU" => ("prelu(x)".to_string(), vec![("alpha", "alpha")]),
        other => panic!("no layer for {other}"),
    }
}

fn type_text(values: &Value, element: &str) -> String {
    let inner: Vec<String> = extents(values)[1..].iter().map(ToString::to_string).collect();
    format!("{element}[{}]", [vec!["batch".to_string()], inner].concat().join(", "))
}

/// The leaf of a kind and name.
fn leaf(graph: &Graph, kind: InputKind, name: &str) -> Option<NodeId> {
    graph.ids().find(|id| {
        matches!(graph.op(*id), Op::Input(input) if input.kind == kind) && &*graph.node(*id).provenance.name == name
    })
}

/// Our path of one of Keras's weights.
fn path(weight: &str, weights: &[(&str, &str)]) -> String {
    let (_, end) = weights.iter().find(|(end, _)| weight.ends_with(end)).unwrap_or_else(|| panic!("no {weight}"));
    end.to_string()
}

/// The case's program in the mode it asks for: output, gradients by what is asked, states after.
fn program(case: &Value, text: &str) -> Graph {
    let module = compiled(text).module;
    let mut graph = if case["training"] == true {
        resolve_training(&module.graph)
    } else {
        let kept = |output: &Output| matches!(output.role, Role::Output | Role::Loss | Role::State);
        resolve_prediction(&module.graph, kept, &module.stand_ins)
    };
    let total = graph.output(Role::Loss, "total").unwrap();
    let mut wanted: Vec<(String, NodeId)> = Vec::new();
    if !case["grad_input"].is_null() {
        wanted.push(("x".to_string(), leaf(&graph, InputKind::Input, "x").unwrap()));
    }
    for name in module.params.keys() {
        wanted.push((name.to_string(), leaf(&graph, InputKind::Param, name).unwrap()));
    }
    let nodes: Vec<NodeId> = wanted.iter().map(|(_, node)| *node).collect();
    for ((name, _), gradient) in wanted.iter().zip(gradients(&mut graph, total, &nodes)) {
        graph.add_output(Role::Gradient, name.as_str(), gradient);
    }
    // A prediction has no next states.
    let is_training = case["training"] == true;
    simplify(&prune(&graph, |output| match output.role {
        Role::Output | Role::Gradient => true,
        Role::State => is_training,
        _ => false,
    }))
}

/// Runs a case; the worst relative difference and what it is of.
fn run(case: &Value, mode: Mode) -> (f64, String) {
    let (call, weights) = call(case);
    let is_integer = case["grad_input"].is_null();
    let text = format!(
        "input x: {}\ninput c: {}\noutput y = {call}\nloss total = sum(y * c)\n",
        type_text(&case["input"], if is_integer { "i32" } else { "f32" }),
        type_text(&case["c"], "f32"),
    );
    // Params and states live below the output's path: `y.dense.kernel`.
    let graph = program(case, &text);
    let owner = |graph: &Graph, end: &str| -> (StoreKind, String) {
        let found = graph.ids().find_map(|id| match graph.op(id) {
            Op::Input(input) if matches!(input.kind, InputKind::Param | InputKind::State) => {
                let name = graph.node(id).provenance.name.to_string();
                let kind = if input.kind == InputKind::Param { StoreKind::Param } else { StoreKind::State };
                name.ends_with(&format!(".{end}")).then_some((kind, name))
            }
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no param ends in {end}\n{text}"))
    };
    let mut store = Store::<f64>::new();
    for (weight, values) in case["weights"].as_object().unwrap() {
        let (kind, name) = owner(&graph, &path(weight, &weights));
        let node = leaf(&graph, if kind == StoreKind::Param { InputKind::Param } else { InputKind::State }, &name);
        let shape = graph.ty(node.unwrap()).known_shape().unwrap();
        assert_eq!(graph.ty(node.unwrap()).dtype, DType::F32);
        assert_eq!(shape.iter().product::<usize>(), flat(values).len(), "{name}");
        let what = Carried { kind, name: name.into(), dtype: DType::F32, shape };
        store.insert(what, Values::Float(flat(values))).unwrap();
    }
    let sizes = DimSizes::from([("batch".into(), extents(&case["input"])[0])]);
    let mut executor = Executor::<f64>::new(&graph, &sizes, &options(mode)).unwrap();
    feed(&mut executor, &Feeds::from([("x".into(), flat(&case["input"])), ("c".into(), flat(&case["c"]))]));
    let names: Vec<(String, (StoreKind, String))> =
        case["weights"].as_object().unwrap().keys().map(|w| (w.clone(), owner(&graph, &path(w, &weights)))).collect();
    executor.run(&mut store, Clock::default()).unwrap();
    let result = |role: Role, name: &str| {
        let fetch = executor.fetch(role, name).unwrap_or_else(|| panic!("no result {name}"));
        floats(executor.result(fetch).unwrap())
    };
    let ours = |weight: &str| names.iter().find(|(name, _)| name == weight).map(|(_, own)| own.clone()).unwrap();
    let mut differences = vec![(difference(&result(Role::Output, "y"), &flat(&case["output"])), "output".to_string())];
    if !is_integer {
        let error = difference(&result(Role::Gradient, "x"), &flat(&case["grad_input"]));
        differences.push((error, "gradient by the input".to_string()));
    }
    for (weight, values) in case["grad_weights"].as_object().unwrap() {
        let found = result(Role::Gradient, &ours(weight).1);
        if weight == "key/bias" {
            assert!(found.iter().all(|value| value.abs() <= ZERO), "{weight}: {found:?}");
            continue;
        }
        differences.push((difference(&found, &flat(values)), format!("gradient by {weight}")));
    }
    for (weight, values) in case["state_after"].as_object().unwrap() {
        let (kind, name) = ours(weight);
        let found = floats(store.find(kind, &name).unwrap());
        differences.push((difference(&found, &flat(values)), format!("{weight} after")));
    }
    differences.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

fn cases() -> Vec<Value> {
    let path = format!("{}/tests/oracle/layers.json", env!("CARGO_MANIFEST_DIR"));
    let mut cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let exact = exact("layers");
    for (i, numbers) in &exact {
        cases[*i].as_object_mut().unwrap().extend(numbers.as_object().unwrap().clone());
    }
    assert_eq!((cases.len(), exact.len()), (64, 13));
    cases
}

/// The largest relative difference that passes.
const TOLERANCE: f64 = 1e-9;

#[test]
fn layers_are_those_of_keras() {
    let cases = cases();
    let mut failed = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let name = case["layer"].as_str().unwrap();
        for mode in [Mode::Planned, Mode::Reference] {
            let (worst, of) = run(case, mode);
            if worst > TOLERANCE {
                failed.push(format!("{i} {name} {mode:?}: {of} differs by {worst:.1e}; {}", case["config"]));
            }
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
    println!("{} cases agree", cases.len());
}

#[test]
fn a_wrong_number_of_a_layer_is_seen() {
    for (i, case) in cases().into_iter().enumerate() {
        for wanted in ["output", "grad_input"] {
            let mut case = case.clone();
            if case[wanted].is_null() {
                continue;
            }
            disturb_largest(&mut case[wanted], 1e-8);
            let (worst, of) = run(&case, Mode::Planned);
            assert!(worst > TOLERANCE, "case {i}: its {wanted} is wrong, and {of} differs by {worst:.1e} at most");
        }
    }
}
