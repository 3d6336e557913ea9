//! The saved form of a spec: its page lists every op, and files that are not such a form are refused.

use crate::common::every_op::{Draws, Growth};
use crate::common::programs::reads_back;
use anabranch::diag::SourceMap;
use anabranch::export::Programs;
use anabranch::ir::{Graph, NodeId, Role};
use anabranch::lower::Options;
use anabranch::ops::Op;
use anabranch::pipeline::{Compiled, compile};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The row of an op, by a node of it: its key in files, its name in prints, its attributes, what it reads and gives.
fn row(graph: &Graph, id: NodeId) -> String {
    let (key, attributes) = match serde_json::to_value(graph.op(id)).expect("an op is plain data") {
        Value::String(key) => (key, None),
        Value::Object(op) => {
            let (key, attributes) = op.into_iter().next().expect("an op has a key");
            (key, attributes.as_object().cloned())
        }
        other => panic!("an op as {other}"),
    };
    let shown = |(name, value): (&String, &Value)| match value {
        Value::Object(_) if name == "body" => "`body`: nodes and outputs".to_string(),
        value => format!("`{name}`: `{value}`"),
    };
    let attributes: Vec<String> = attributes.iter().flatten().map(shown).collect();
    let operands: Vec<String> = graph.operands(id).iter().map(|operand| graph.ty(*operand).to_string()).collect();
    let name = graph.op(id).name();
    format!("| `{key}` | {name} | {} | `({}) → {}` |", attributes.join(", "), operands.join(", "), graph.ty(id))
}

/// A row for every op of the table, in its order.
fn rows() -> Vec<String> {
    let mut found: BTreeMap<&str, String> = BTreeMap::new();
    for name in Op::NAMES {
        for seed in 0..400 {
            let mut growth = Growth::new(3);
            growth.step(name, Draws(seed).below(usize::MAX) as u64);
            let node = growth.graph.ids().rfind(|id| growth.graph.op(*id).name() == *name);
            if let Some(id) = node {
                found.insert(name, row(&growth.graph, id));
                break;
            }
        }
    }
    Op::NAMES.iter().map(|name| found.remove(name).unwrap_or_else(|| panic!("no example of {name}"))).collect()
}

const BEGINS: &str = "<!-- ops: written by UPDATE_DOCS=1 cargo test --test graphs program_format -->\n";

#[test]
fn the_page_of_the_form_lists_every_op() {
    let head = "| key | printed as | attributes, of an example | its operands and result |\n|---|---|---|---|\n";
    let table = format!("{head}{}\n", rows().join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/program-format.md");
    let page = std::fs::read_to_string(path).expect("the page is readable");
    let (before, found) = page.split_once(BEGINS).expect("the table has its place");
    if std::env::var_os("UPDATE_DOCS").is_some() && found != table {
        std::fs::write(path, format!("{before}{BEGINS}{table}")).expect("docs/program-format.md can be written");
        return;
    }
    assert!(found == table, "docs/program-format.md is stale: UPDATE_DOCS=1 cargo test --test graphs program_format");
}

fn compiled(path: &str) -> Compiled {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let mut sources = SourceMap::default();
    let spec = sources.add(path, text);
    compile(&mut sources, spec, &Options::default()).unwrap_or_else(|findings| panic!("{path}: {findings}"))
}

const SPECS: [&str; 4] = [
    "tests/runs/stages/one_weight.anb",
    "tests/runs/stages/two_heads.anb",
    "examples/localizer/localizer.anb",
    "examples/sequence_tagger/sequence_tagger.anb",
];

#[test]
fn specs_read_back() {
    for path in SPECS.into_iter().chain(["tests/oracle/w1.anb", "tests/oracle/w4.anb"]) {
        if Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists() {
            assert_eq!(reads_back(&compiled(path)), Ok(()), "{path}");
        }
    }
}

/// A value of the document at random, from the top down.
fn place<'v>(value: &'v mut Value, draws: &mut Draws) -> &'v mut Value {
    let n_below = match value {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    if n_below == 0 || draws.below(12) == 0 {
        return value;
    }
    let at = draws.below(n_below);
    match value {
        Value::Array(items) => place(&mut items[at], draws),
        Value::Object(fields) => place(fields.iter_mut().nth(at).expect("in range").1, draws),
        _ => unreachable!("it has something below"),
    }
}

/// One thing changed: a number, a name, an item doubled, exchanged or left out.
fn mutate(value: &mut Value, draws: &mut Draws) {
    const NAMES: [&str; 8] = ["batch", "x", "", "f32", "train", "param", "NaN", "T"];
    match value {
        Value::Array(items) if !items.is_empty() => {
            let (at, other) = (draws.below(items.len()), draws.below(items.len()));
            match draws.below(3) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, items[other].clone()),
                _ => items.swap(at, other),
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            let key = fields.keys().nth(draws.below(fields.len())).expect("in range").clone();
            match draws.below(3) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert(key, Value::Null)),
                _ => drop(fields.insert("another".to_string(), Value::from(1))),
            }
        }
        Value::Number(number) => {
            let by = [-1, 1, 2, 1 << 40, i64::MIN][draws.below(5)];
            *value = Value::from(number.as_i64().unwrap_or(3).wrapping_add(by));
        }
        other => *other = Value::from(draws.of(&NAMES)),
    }
}

#[test]
fn files_that_were_changed_are_refused_with_a_finding() {
    let (mut n_refused, mut n_tried) = (0, 0);
    for (at, path) in SPECS.into_iter().take(3).enumerate() {
        let text = Programs::of(&compiled(path), "hash").to_json();
        let whole: Value = serde_json::from_str(&text).unwrap();
        for seed in 0..300 {
            let draws = &mut Draws(1000 * at as u64 + seed);
            let mut changed = whole.clone();
            mutate(place(&mut changed, draws), draws);
            let mut changed = changed.to_string();
            if seed % 10 == 0 {
                changed.truncate(draws.below(changed.len()));
            }
            n_tried += 1;
            // Some changes mean nothing (a name that is shown), and some another program; none may be a panic.
            match Programs::read(&changed).and_then(|read| read.graphs().map(|_| ())) {
                Ok(()) => {}
                Err(finding) => {
                    assert!(finding.is_error() && !finding.notes.is_empty(), "{finding:?}");
                    n_refused += 1;
                }
            }
        }
    }
    assert!(n_tried >= 900 && n_refused >= 500, "{n_refused} of {n_tried} are refused");
}

#[test]
fn what_the_interface_does_not_state_is_refused() {
    let programs = Programs::of(&compiled(SPECS[1]), "hash");
    assert!(programs.graphs().is_ok());
    let refused = |change: &dyn Fn(&mut Programs)| {
        let mut programs = programs.clone();
        change(&mut programs);
        programs.graphs().map(|_| ()).expect_err("it is refused").notes.join(" ")
    };
    let notes = refused(&|programs| drop(programs.inputs.remove(0)));
    assert!(notes.contains("the sizes are") || notes.contains("not listed"), "{notes}");
    let notes = refused(&|programs| drop(programs.params.remove(0)));
    assert!(notes.contains("not listed"), "{notes}");
    let notes = refused(&|programs| programs.programs.predict = programs.programs.train.clone());
    assert!(notes.contains("`predict`: it"), "{notes}");
    let notes = refused(&|programs| programs.programs.init.outputs.retain(|output| output.role != Role::Param));
    assert!(notes.contains("`init` gives the param"), "{notes}");
    let notes = refused(&|programs| programs.programs.evaluate.outputs.retain(|output| output.role != Role::Loss));
    assert!(notes.contains("`evaluate` does not give the loss"), "{notes}");
    let notes = refused(&|programs| programs.losses[0].weighted ^= true);
    assert!(notes.contains("a weight"), "{notes}");
    let notes = refused(&|programs| programs.params.push(programs.params[0].clone()));
    assert!(notes.contains("twice"), "{notes}");
    let notes = refused(&|programs| programs.sizes.push("T".to_string()));
    assert!(notes.contains("sizes"), "{notes}");
    let text = programs.to_json().replacen("\"version\":2", "\"version\":3", 1);
    assert!(Programs::read(&text).is_err_and(|finding| finding.notes[0].contains("version 3")));
}
