//! Losses, metrics and optimizers against Keras 3 in float64: losses per sample, metrics over a set, 20 steps of each
//! optimizer on a small quadratic problem. CTC is held against PyTorch, by `tests/oracle/ctc.json`.

#![allow(clippy::print_stdout, reason = "the count of cases, for those who ask with --nocapture")]

use crate::common::values::{
    Feeds, compiled, difference, disturb_largest, exact, executor, extents, feed, flat, floats, initial, options, set,
};
use anabranch::exec::{Clock, Executor, Mode, Store, StoreKind};
use anabranch::ir::{DimSizes, Role};
use serde_json::Value;

/// The cases of a kind. Those whose numbers in `keras.json` have seven digits (Keras's `mean` rounds to float32 whatever it is
/// asked for, and with it most losses, R², IoU and Adafactor's root mean squares) have those of `exact.json` in their place:
/// PyTorch's in float64 from the same inputs, which `write_exact.py` holds against Keras's to 1e-6.
fn cases(kind: &str) -> Vec<Value> {
    let path = format!("{}/tests/oracle/keras.json", env!("CARGO_MANIFEST_DIR"));
    let mut cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let exact = exact("keras");
    assert_eq!(exact.len(), 22);
    for (i, numbers) in exact {
        let wanted = if cases[i]["kind"] == "optimizer" { "path" } else { "value" };
        cases[i][wanted] = numbers;
    }
    cases.into_iter().filter(|case| case["kind"] == kind).collect()
}

/// `a=1, b=true` with names of ours.
fn arguments(case: &Value, renamed: &[(&str, &str)]) -> String {
    let ours =
        |name: &str| renamed.iter().find(|(old, _)| *old == name).map_or(name.to_string(), |(_, new)| new.to_string());
    let given = case["args"].as_object().unwrap().iter();
    given.map(|(name, value)| format!(", {}={value}", ours(name))).collect()
}

/// The value of `function(t, p, …)` on a case's data.
fn evaluate(case: &Value, function: &str, arguments: &str) -> Vec<f64> {
    let is_label = extents(&case["target"]).len() < extents(&case["pred"]).len();
    let ty = |values: &Value, element: &str| {
        let inner: Vec<String> = extents(values)[1..].iter().map(ToString::to_string).collect();
        format!("{element}[{}]", [vec!["batch".to_string()], inner].concat().join(", "))
    };
    let text = format!(
        "input t: {}\ninput p: {}\noutput y = {function}(t, p{arguments})\n",
        ty(&case["target"], if is_label { "i32" } else { "f32" }),
        ty(&case["pred"], "f32"),
    );
    let compiled = compiled(&text);
    let mut store = initial::<f64>(&compiled, Mode::Reference);
    let mut program = executor::<f64>(&compiled.simplified.predict, extents(&case["pred"])[0], Mode::Planned);
    feed(&mut program, &Feeds::from([("t".into(), flat(&case["target"])), ("p".into(), flat(&case["pred"]))]));
    program.run(&mut store, Clock::default()).unwrap();
    floats(program.result(program.fetch(Role::Output, "y").unwrap()).unwrap())
}

/// The cases whose `wanted` numbers are not those that `found` computes.
fn disagreements(cases: &[Value], found: impl Fn(&Value) -> Vec<f64>, wanted: &str) -> Vec<String> {
    let mut failed = Vec::new();
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let found = found(case);
        let error = difference(&found, &flat(&case[wanted]));
        if error > 1e-9 {
            let shown = (&found[..found.len().min(6)], &flat(&case[wanted])[..found.len().min(6)]);
            failed.push(format!("{name} {}: differs by {error:.1e}: {shown:?}", case["args"]));
        }
    }
    failed
}

/// Holds every case against `found`; all failures are shown at once. Then every case with its largest number off by 1e-8, which must
/// be seen.
fn hold(kind: &str, count: usize, found: impl Fn(&Value) -> Vec<f64>, wanted: &str) {
    let mut cases = cases(kind);
    let failed = disagreements(&cases, &found, wanted);
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), cases.len(), failed.join("\n"));
    println!("{kind}: {count} cases agree");
    assert_eq!(cases.len(), count);
    cases.iter_mut().for_each(|case| disturb_largest(&mut case[wanted], 1e-8));
    assert_eq!(disagreements(&cases, &found, wanted).len(), count, "{kind}: wrong numbers that nobody sees");
}

#[test]
fn losses_are_those_of_keras() {
    let renamed = [("axis", "axes"), ("apply_class_balancing", "balanced")];
    hold(
        "loss",
        28,
        |case| {
            let function = match case["name"].as_str().unwrap() {
                "MeanSquaredError" => "mean_squared_error",
                "MeanAbsoluteError" => "mean_absolute_error",
                "LogCosh" => "log_cosh",
                "MeanAbsolutePercentageError" => "mean_absolute_percentage_error",
                "MeanSquaredLogarithmicError" => "mean_squared_logarithmic_error",
                "Huber" => "huber",
                "CosineSimilarity" => "cosine_distance",
                "Poisson" => "poisson",
                "Hinge" => "hinge",
                "SquaredHinge" => "squared_hinge",
                "CategoricalHinge" => "categorical_hinge",
                "KLDivergence" => "kl_divergence",
                "BinaryCrossentropy" => "binary_crossentropy",
                "BinaryFocalCrossentropy" => "binary_focal_crossentropy",
                "CategoricalCrossentropy" => "categorical_crossentropy",
                "CategoricalFocalCrossentropy" => "categorical_focal_crossentropy",
                "SparseCategoricalCrossentropy" => "sparse_categorical_crossentropy",
                "Dice" => "dice",
                "Tversky" => "tversky",
                "CategoricalGeneralizedCrossEntropy" => "generalized_crossentropy",
                other => panic!("no loss for {other}"),
            };
            let mut arguments = arguments(case, &renamed);
            // As in the paper, our alpha is for false hits and beta for misses; Keras's code has them the other way round.
            if function == "tversky" {
                arguments = arguments.replace("alpha", "gamma").replace("beta", "alpha").replace("gamma", "beta");
            }
            // Ours takes logits unless told otherwise, theirs probabilities.
            if function == "sparse_categorical_crossentropy" && !arguments.contains("from_logits") {
                arguments.push_str(", from_logits=false");
            }
            evaluate(case, function, &arguments)
        },
        "value",
    );
}

#[test]
fn metrics_are_those_of_keras() {
    hold(
        "metric",
        14,
        |case| {
            let plain = |function: &str| evaluate(case, function, "");
            let mean = |function: &str, arguments: &str| {
                let values = evaluate(case, function, arguments);
                vec![values.iter().sum::<f64>() / values.len() as f64]
            };
            match case["name"].as_str().unwrap() {
                "MeanSquaredError" => mean("mean_squared_error", ""),
                "MeanAbsoluteError" => mean("mean_absolute_error", ""),
                "CosineSimilarity" => mean("cosine_similarity", ""),
                "BinaryAccuracy" => mean("binary_accuracy", ""),
                "CategoricalAccuracy" => mean("categorical_accuracy", ""),
                "SparseCategoricalAccuracy" => mean("accuracy", ""),
                "SparseTopKCategoricalAccuracy" => mean("sparse_top_k_accuracy", ", k=2"),
                "RootMeanSquaredError" => plain("root_mean_squared_error"),
                "R2Score" => plain("r2_score"),
                "Precision" => plain("precision"),
                "Recall" => plain("recall"),
                "AUC" => plain("auc"),
                "F1Score" => plain("f1_score"),
                "BinaryIoU" => plain("binary_iou"),
                other => panic!("no metric for {other}"),
            }
        },
        "value",
    );
}

#[test]
fn optimizers_are_those_of_keras() {
    hold("optimizer", 15, optimizer_path, "path");
}

#[test]
fn weight_decay_and_amsgrad_are_those_of_keras() {
    let path = format!("{}/tests/oracle/optimizers.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for case in &cases {
        let error = difference(&optimizer_path(case), &flat(&case["path"]));
        assert!(error <= 1e-9, "{} {} differs by {error:.1e}", case["name"], case["args"]);
    }
    assert_eq!(cases.len(), 14);
}

/// The param after each of 20 steps under the gradient `A x - b`.
fn optimizer_path(case: &Value) -> Vec<f64> {
    let name = case["name"].as_str().unwrap().to_lowercase();
    // Keras adds its epsilon before the bias correction of Adam and AdamW.
    let settings = match name.as_str() {
        "adam" | "adamw" => ", epsilon=1e-7, epsilon_mode=\"pre_correction\"",
        "nadam" | "adamax" => ", epsilon=1e-7",
        _ => "",
    };
    let given = arguments(case, &[("learning_rate", "lr")]);
    let text = format!(
        "input a: f32[batch, 3]
         input b: f32[batch]
         param x: f32[3] = zeros()
         loss total = sum(0.5 * x * sum(a[0:3] * x, axes=1) - b[0:3] * x)
         train {{ minimize total  optimizer {name}({}{settings}) }}",
        given.trim_start_matches(", ")
    );
    let compiled = compiled(&text);
    let mut store = initial::<f64>(&compiled, Mode::Planned);
    set(&mut store, StoreKind::Param, "x", &flat(&case["start"]));
    let mut step = executor::<f64>(&compiled.simplified.train, 3, Mode::Planned);
    feed(&mut step, &Feeds::from([("a".into(), flat(&case["A"])), ("b".into(), flat(&case["b"]))]));
    let mut path = Vec::new();
    for i in 0..20 {
        step.run(&mut store, Clock { step: i, ..Clock::default() }).unwrap();
        path.extend(floats(store.find(StoreKind::Param, "x").unwrap()));
    }
    path
}

#[test]
fn ctc_is_that_of_pytorch() {
    let path = format!("{}/tests/oracle/ctc.json", env!("CARGO_MANIFEST_DIR"));
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(cases.len(), 2);
    for case in &cases {
        let text = format!(
            "input labels: i32[batch, L]
             input logits: f32[batch, T, 5]
             input frames: i32[batch]
             input c: f32[batch]
             let l = ctc(labels, logits, frames=frames, blank={})
             output loss = l
             output gradient = grad(sum(c * l), logits)",
            case["blank"]
        );
        let program = compiled(&text).simplified.predict;
        let [batch, time, _] = extents(&case["logits"])[..] else { panic!("logits have three axes") };
        let length = extents(&case["labels"])[1];
        let sizes = DimSizes::from([("batch".into(), batch), ("T".into(), time), ("L".into(), length)]);
        let given = ["labels", "logits", "frames", "c"];
        let feeds: Feeds = given.iter().map(|name| (name.to_string(), flat(&case[*name]))).collect();
        for mode in [Mode::Planned, Mode::Reference] {
            let mut executor = Executor::<f64>::new(&program, &sizes, &options(mode)).unwrap();
            feed(&mut executor, &feeds);
            executor.run(&mut Store::new(), Clock::default()).unwrap();
            for name in ["loss", "gradient"] {
                let found = floats(executor.result(executor.fetch(Role::Output, name).unwrap()).unwrap());
                let error = difference(&found, &flat(&case[name]));
                assert!(error <= 1e-9, "{name} with blank {} differs by {error:.1e}", case["blank"]);
            }
        }
    }
}
