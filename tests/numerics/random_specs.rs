//! Everything in the standard library, in specs of its own and in random compositions: compiled, and run for steps by the plan and by
//! the ops' definitions, which must agree.
//!
//! The library's list says what there is. Arguments are tried in turn until a call compiles, so an entry that is added to the
//! library is found here; where none of them fits it and nothing else in the library calls it, a test fails and asks for one.

use crate::common::every_op::Draws;
use crate::common::programs::reads_back;
use crate::common::values::{executor, floats, initial};
use anabranch::diag::SourceMap;
use anabranch::exec::{Clock, Mode};
use anabranch::lower::{Entry, Library, Options, STANDARD_LIBRARY, library_index};
use anabranch::pipeline::{Compiled, compile_loaded};
use anabranch::syntax::load;
use std::collections::BTreeMap;

/// Inputs of every rank, and values that depend on a param, so that gradients pass through whatever reads them.
const PRELUDE: &str = "\
input i1: f32[batch]
input i2: f32[batch, 6]
input i3: f32[batch, 6, 6]
input i4: f32[batch, 6, 6, 4]
input i5: f32[batch, 4, 4, 4, 2]
input ids: i32[batch]
input words: i32[batch, 2]
target t1: f32[batch]
target t2: f32[batch, 6]
target boxes: f32[batch, 4]
param s: f32 = 0.9
param m: f32[4, 4] = orthogonal()
param r: f32[1, 4] = 0.3
let x1 = i1 * s
let x2 = i2 * s
let x3 = i3 * s
let x4 = i4 * s
let x5 = i5 * s
let box = boxes * s
";

/// What may stand for a parameter, the likeliest first.
fn candidates(name: &str, annotation: &str) -> Vec<&'static str> {
    let by_name: &[&str] = match name {
        "filters" | "vocabulary" | "patience" | "every" | "times" | "n" => &["6", "3"],
        "kernel" | "size" | "heads" | "k" => &["2", "3"],
        "classes" => &["6"],
        // Inner products of vectors, with eigenvalues apart from each other.
        "gram" => &["transpose(m * [1.0, 2.0, 3.0, 4.0]) @ (m * [1.0, 2.0, 3.0, 4.0])"],
        "shape" => &["[6, 6]", "[3]"],
        "equation" => &["\"bij,jk->bik\""],
        "labels" => &["ids", "words"],
        "target" => &["t2", "t1", "boxes", "ids"],
        "prediction" | "scores" => &["sigmoid(x2)", "sigmoid(x1)", "box"],
        "logits" => &["x3"],
        "clock" => &["step"],
        "boundaries" => &["[1, 2]"],
        "values" => &["[0.1, 0.2, 0.3]"],
        "weights" => &["[0.3, 0.7]", "[s, 0.5 * s]", "[0.1, 0.2, 0.3, 0.1, 0.2, 0.1]"],
        "mode" => &["\"fan_in\""],
        "distribution" => &["\"normal\""],
        "epsilon_mode" => &["\"post_correction\""],
        "inner" => &["sgd(lr=0.1)"],
        "activation" => &["tanh"],
        "gate" => &["sigmoid"],
        "low" => &["-0.5"],
        "high" | "peak" | "from" | "value" => &["0.5"],
        "to" | "rate" | "std" | "alpha" | "label_smoothing" | "lr" => &["0.1"],
        "over" => &["10"],
        "recurrent" => &["m", "r", "r[:, 0:3]"],
        "carry" => &["[box]", "[x1[:, none], x1[:, none]]", "[x1[:, none]]", "[x2[:, 0:2]]"],
        "frame" => &["[x2, x1 > 0]"],
        "spelled" => &["words"],
        "skips" => &["words > 0"],
        "loss" => &["mean(x1)", "x1"],
        "bias" => &["r[0, 0:3]"],
        "causal" => &["false"],
        "preference" => &["[0.4, 0.6]"],
        "level" => &["0.5"],
        "tasks" | "units" => &["2", "6"],
        "features" => &["[x2, x2]"],
        "mask" => &["none"],
        "after" => &["0.1"],
        "positive" | "negative" | "anchor" | "y" => &["x2"],
        _ => &[],
    };
    let general: &[&str] = match annotation {
        "int" => &["2", "3", "6"],
        note if note.starts_with("i32") => &["ids", "words"],
        note if note.starts_with("f32") => &["x2", "x3", "x4", "x5", "x1", "m"],
        _ => &[
            "x2", "x3", "x4", "x1", "x5", "m", "ids", "words", "3", "0.5", "[6, 6]", "[x2, x2]", "step", "tanh", "true",
        ],
    };
    let by_name = by_name.iter().chain(general);
    by_name.copied().collect()
}

/// A parameter of a signature.
#[derive(Debug)]
struct Parameter {
    name: String,
    annotation: String,
    is_variadic: bool,
    is_required: bool,
}

fn parameters(signature: &str) -> Vec<Parameter> {
    let inner = signature.split_once('(').map_or("", |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inner.chars() {
        depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("at least one").push(c);
        }
    }
    let parameter = |part: &String| {
        let (declared, default) =
            part.split_once('=').map_or((part.as_str(), None), |(name, value)| (name, Some(value)));
        let (name, annotation) = declared.split_once(':').unwrap_or((declared, ""));
        let name = name.trim();
        Parameter {
            name: name.trim_end_matches("...").to_string(),
            annotation: annotation.trim().to_string(),
            is_variadic: name.ends_with("..."),
            is_required: default.is_none(),
        }
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(parameter).collect()
}

/// The spec's end around a call of an entry, in the ways in which its value may be used.
fn contexts(entry: &Entry, call: &str) -> Vec<String> {
    let end = "train { minimize l  optimizer sgd(lr=0.05) }\n";
    let loss = |value: &str| format!("let v = {call}\nloss l = mean(square(mean({value}) - s))\n{end}");
    match entry.kind {
        "optimizer" => vec![format!(
            "let v = x2 |> dense(units=4) |> dense(units=4)\nloss l = mean(square(v @ m - box), axes=1)\n\
             train {{ minimize l  optimizer {call} }}\n"
        )],
        "combiner" => vec![format!(
            "loss a = mean(square(x2 - 0.3), axes=1)\nloss b = mean(square(x2 + 0.4), axes=1) + 0.1\nloss l = {call}\n{end}"
        )],
        "initializer" => ["4, 4", "6"]
            .map(|shape| format!("param w: f32[{shape}] = {call}\nloss l = mean(square(mean(w) - s))\n{end}"))
            .to_vec(),
        _ => ["v", "f32(v)", "v[0]", "f32(v[0])", "v[0][0]"].map(loss).to_vec(),
    }
}

/// Entries that no call with these arguments fits.
const MOST_UNCALLED: usize = 12;

struct Std {
    sources: SourceMap,
    library: Library,
    entries: Vec<Entry>,
}

impl Std {
    fn new() -> Self {
        let mut sources = SourceMap::default();
        let library = Library::whole(&mut sources).expect("the library is well written");
        let mut entries = library_index(&library);
        entries.retain(|entry| entry.kind != "built-in");
        Self { sources, library, entries }
    }

    fn compiled(&self, text: &str) -> Option<Compiled> {
        let mut sources = self.sources.clone();
        let source = sources.add("random.anb", text);
        let none = |_: &str| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let loaded = load(&mut sources, source, &none).ok()?;
        compile_loaded(loaded, &self.library, &Options::default()).ok()
    }

    /// Whether another definition of the library names it: a helper, which is run with that one.
    fn is_called_by_another(&self, entry: &Entry) -> bool {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = STANDARD_LIBRARY.iter().flat_map(|file| file.text.lines());
        let words =
            words.filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| line.split(|c| !is_word(c)));
        words.filter(|word| *word == &*entry.name).count() > 1
    }

    /// The first spec that calls the entry and compiles.
    fn spec(&self, entry: &Entry) -> Option<String> {
        let mut parameters = parameters(&entry.signature);
        match entry.kind {
            // Handed over by whoever calls it.
            "optimizer" => parameters.drain(..2).for_each(drop),
            "initializer" => parameters.drain(..1).for_each(drop),
            _ => (),
        }
        let losses = |parameter: &Parameter| entry.kind == "combiner" && parameter.annotation.starts_with("f32");
        let mut choices: Vec<Vec<String>> = Vec::new();
        let mut losses_left = ["a", "b"].into_iter();
        for parameter in parameters.iter().filter(|parameter| parameter.is_required) {
            choices.push(if parameter.is_variadic {
                vec!["a, b".to_string()]
            } else if losses(parameter) {
                vec![losses_left.next()?.to_string()]
            } else {
                let named = |value: &&str| {
                    let is_behind_variadic = parameters.iter().any(|parameter| parameter.is_variadic);
                    if is_behind_variadic { format!("{}={value}", parameter.name) } else { value.to_string() }
                };
                candidates(&parameter.name, &parameter.annotation).iter().map(named).collect()
            });
        }
        // Defaults for large models do not fit these small values.
        let counts = parameters.iter().filter(|parameter| !parameter.is_required && parameter.annotation == "int");
        let counts: Vec<String> = counts.map(|parameter| format!("{}=2", parameter.name)).collect();
        if !counts.is_empty() {
            choices.push(vec![String::new(), counts.join(", ")]);
        }
        let n_calls: usize = choices.iter().map(Vec::len).product();
        // A helper is run with whoever calls it, so it is not looked for long.
        let most = if self.is_called_by_another(entry) { 12 } else { 150 };
        (0..n_calls.min(most)).find_map(|mut at| {
            // The last parameter turns fastest.
            let mut arguments: Vec<&str> = Vec::new();
            for choice in choices.iter().rev() {
                arguments.push(&choice[at % choice.len()]);
                at /= choice.len();
            }
            arguments.reverse();
            arguments.retain(|argument| !argument.is_empty());
            let call = format!("{}({})", entry.name, arguments.join(", "));
            contexts(entry, &call)
                .into_iter()
                .map(|context| format!("{PRELUDE}{context}"))
                .find(|text| self.compiled(text).is_some())
        })
    }
}

type Results = BTreeMap<String, Vec<f64>>;

/// Losses and carried values after each of two steps.
fn steps(compiled: &Compiled, mode: Mode) -> Results {
    const BATCH: usize = 3;
    let mut store = initial::<f64>(compiled, mode);
    let mut program = executor::<f64>(&compiled.simplified.train, BATCH, mode);
    let mut found = BTreeMap::new();
    for step in 0..2 {
        for at in 0..program.feeds().len() {
            let seed = program.feeds()[at].name.bytes().fold(0.1, |sum, byte| (sum * 1.3 + f64::from(byte)) % 97.0);
            // Between 0.05 and 0.95: a probability, and a label after rounding.
            let value = |i: usize| 0.5 + 0.45 * (seed + 1.7 * (i + step) as f64).sin();
            if let Some(buffer) = program.feed_float(at) {
                buffer.iter_mut().enumerate().for_each(|(i, x)| *x = value(i));
            } else if let Some(buffer) = program.feed_int(at) {
                buffer.iter_mut().enumerate().for_each(|(i, x)| *x = (value(i) * 2.0) as i32);
            }
        }
        program.run(&mut store, Clock { step: step as i32, ..Clock::default() }).unwrap();
        for (at, fetch) in program.fetches().to_vec().into_iter().enumerate() {
            found.insert(format!("{step} {:?} {}", fetch.role, fetch.name), floats(program.result(at).unwrap()));
        }
    }
    found
}

/// Whether results agree; else where they part.
fn compare(planned: &Results, defined: &Results) -> Result<(), String> {
    for (name, defined) in defined {
        let planned = &planned[name];
        let scale = defined.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
        let is_near = |(x, y): (&f64, &f64)| (x - y).abs() <= 1e-8 * scale || (x.is_nan() && y.is_nan());
        if planned.len() != defined.len() || !planned.iter().zip(defined).all(is_near) {
            return Err(format!("{name}: planned {planned:?}\nby definition {defined:?}"));
        }
    }
    Ok(())
}

/// Runs a spec both ways.
fn agree(text: &str, compiled: &Compiled) -> Result<(), String> {
    let [planned, defined] = [Mode::Planned, Mode::Reference].map(|mode| steps(compiled, mode));
    compare(&planned, &defined).map_err(|error| format!("{error}\nin\n{text}"))
}

#[test]
fn everything_in_the_library_runs_as_defined() {
    let std = Std::new();
    let mut failed = Vec::new();
    let (mut n_called, mut uncalled) = (0, Vec::new());
    for entry in &std.entries {
        let Some(text) = std.spec(entry) else {
            if !std.is_called_by_another(entry) {
                uncalled.push(&*entry.signature);
            }
            continue;
        };
        n_called += 1;
        let compiled = std.compiled(&text).expect("it did");
        failed.extend(agree(&text, &compiled).err().map(|error| format!("{}: {error}", entry.name)));
    }
    // Few are beyond the candidates; each new one is asked for here.
    assert!(uncalled.len() <= MOST_UNCALLED, "give the parameters of these candidates: {uncalled:#?}");
    assert!(2 * n_called > std.entries.len(), "{n_called} of {} are called", std.entries.len());
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), std.entries.len(), failed.join("\n"));
}

/// Two heads on a trunk of what maps one float to another, losses by name, a combiner, an optimizer.
fn composition(std: &Std, draws: &mut Draws) -> Option<String> {
    let calls = |kind: &str| -> Vec<&Entry> { std.entries.iter().filter(|entry| entry.kind == kind).collect() };
    let is_plain = |entry: &&Entry| {
        let required: Vec<Parameter> = parameters(&entry.signature).into_iter().filter(|p| p.is_required).collect();
        matches!(entry.kind, "fn" | "layer") && required.first().is_some_and(|first| matches!(&*first.name, "x"))
    };
    let layers: Vec<&Entry> = std.entries.iter().filter(is_plain).collect();
    let losses: Vec<&Entry> = std.entries.iter().filter(|entry| entry.file == "std/losses.anb").collect();
    let mut text = PRELUDE.to_string();
    let mut value = draws.of(&["x2", "x3", "x4", "x5"]).to_string();
    for depth in 0..1 + draws.below(4) {
        let entry = draws.of(&layers);
        let others = parameters(&entry.signature).into_iter().filter(|parameter| parameter.is_required).skip(1);
        let others = others.map(|parameter| format!(", {}", candidates(&parameter.name, &parameter.annotation)[0]));
        let line = format!("let h{depth} = {}({value}{})\n", entry.name, others.collect::<String>());
        // What does not fit the value before it is left out.
        if std.compiled(&format!("{text}{line}output o = mean(h{depth}) * i1\n")).is_some() {
            text.push_str(&line);
            value = format!("h{depth}");
        }
    }
    // With one shared param alone all gradients are parallel, and what methods make of that is decided by rounding.
    let heads = format!(
        "{text}let trunk = {value} |> flatten |> dense(units=6)\nlet a = trunk |> dense(units=6)\nlet b = trunk |> dense(units=6, activation=sigmoid)\n"
    );
    let loss = losses.iter().cycle().skip(draws.below(losses.len())).take(losses.len()).find_map(|entry| {
        let line = format!("loss la = mean(square(t2 - a), axes=1)\nloss lb = mean({}(t2, b))\n", entry.name);
        std.compiled(&format!("{heads}{line}")).map(|_| line)
    })?;
    let end = |combiner: &Entry, optimizer: &Entry| {
        format!(
            "{heads}{loss}loss l = {}(la, lb)\ntrain {{ minimize l  optimizer {}() }}\n",
            combiner.name, optimizer.name
        )
    };
    (0..20).find_map(|_| {
        let text = end(draws.of(&calls("combiner")), draws.of(&calls("optimizer")));
        std.compiled(&text).map(|_| text)
    })
}

#[test]
fn random_specs_run_as_defined() {
    let std = Std::new();
    let cases = std::env::var("GRAPHS").ok().and_then(|count| count.parse::<u64>().ok()).map_or(40, |count| count / 10);
    let mut n_found = 0;
    for seed in 0..cases {
        let Some(text) = composition(&std, &mut Draws(seed)) else { continue };
        let compiled = std.compiled(&text).expect("it did");
        agree(&text, &compiled).unwrap_or_else(|error| panic!("{error}"));
        // All programs are simplified for it, which takes longer than to run one.
        if seed % 8 == 0 {
            reads_back(&compiled).unwrap_or_else(|error| panic!("{error}\nin\n{text}"));
        }
        n_found += 1;
    }
    assert!(2 * n_found >= cases, "{n_found} of {cases} compositions make a spec");
}

#[test]
fn a_program_that_computes_something_else_is_seen() {
    let std = Std::new();
    let with_rate = |rate: &str| {
        let end = format!("train {{ minimize l  optimizer sgd(lr={rate}) }}\n");
        std.compiled(&format!("{PRELUDE}let v = x2 |> dense(units=6)\nloss l = mean_squared_error(t2, v)\n{end}"))
    };
    let [right, wrong] = ["0.1", "0.1001"].map(|rate| with_rate(rate).expect("a spec"));
    let defined = steps(&right, Mode::Reference);
    assert_eq!(compare(&steps(&right, Mode::Planned), &defined), Ok(()));
    assert!(compare(&steps(&wrong, Mode::Planned), &defined).is_err_and(|error| error.contains("by definition")));
}
