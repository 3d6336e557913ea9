//! The combiners of the library as a whole: what is known of each (the table in docs/combiners.md), and of each with each loss.

use crate::common::run::{check, compile, each};
use anabranch::analyse::verdicts;
use anabranch::diag::{Code, SourceMap, render_plain};
use anabranch::ir::NodeId;
use anabranch::lower::{Library, Module, Options, library_index};
use anabranch::ops::Op;
use anabranch::syntax::ast::{Definition, DefinitionKind, DefinitionParameter, StatementKind};
use std::sync::Arc;

/// The combiners of the library, in the order of its text.
pub(crate) fn combiners() -> Vec<Arc<Definition>> {
    let library = Library::whole(&mut SourceMap::default()).expect("the library is whole");
    let items = library.files.iter().flat_map(|file| &file.statements);
    let combiner = |kind: &StatementKind| match kind {
        StatementKind::Definition(definition) if definition.kind == DefinitionKind::Combiner => {
            Some(definition.clone())
        }
        _ => None,
    };
    items.filter_map(|item| combiner(&item.kind)).collect()
}

/// What an argument is that a combiner asks for besides losses, of so many losses.
fn argument(name: &str, count: usize) -> String {
    let numbers = (1..=count).map(|i| format!("0.{i}")).collect::<Vec<_>>().join(", ");
    match name {
        "weights" | "preference" => format!("[{numbers}]"),
        "alpha" => "0.3".to_string(),
        "inner" => "unweighted".to_string(),
        other => panic!("say what `{other}` of a combiner is called with"),
    }
}

/// A call of a combiner with some of these losses, as many as it takes, and more options.
pub(crate) fn call(combiner: &Definition, losses: &[&str], more: &[&str]) -> String {
    let required: Vec<_> = combiner.parameters.iter().filter(|parameter| parameter.default.is_none()).collect();
    let is_loss = |name: &&str| !["weights", "preference", "alpha", "inner"].contains(name);
    let fixed = required.iter().filter(|p| !p.variadic && is_loss(&&*p.name.name)).count();
    let given = if required.iter().any(|p| p.variadic) { losses } else { &losses[..fixed] };
    let options = required.iter().filter(|p| !p.variadic && !is_loss(&&*p.name.name));
    let is_said =
        |p: &&&DefinitionParameter| more.iter().any(|option| option.starts_with(&format!("{}=", p.name.name)));
    let options = options.filter(|p| !is_said(p));
    let options = options.map(|p| format!("{}={}", p.name.name, argument(&p.name.name, given.len())));
    let arguments: Vec<String> =
        given.iter().map(ToString::to_string).chain(options).chain(more.iter().map(ToString::to_string)).collect();
    format!("{}({})", combiner.name.name, arguments.join(", "))
}

/// A model of four losses on one trunk: three of them are combined, and all where a combiner asks for more.
const SHARED: &str = "\
input x: f32[batch, 3]
target t: f32[batch, 2]
target u: f32[batch, 2]
target v: f32[batch, 2]
target w: f32[batch, 2]
let h = x |> dense(units=4, activation=tanh)
output p = h |> dense(units=2)
output q = h |> dense(units=2)
output r = h |> dense(units=2)
output s = h |> dense(units=2)
loss a = mean_squared_error(t, p)
loss b = mean_squared_error(u, q)
loss c = mean_squared_error(v, r)
loss d = mean_squared_error(w, s)
";

fn with(text: &str, total: &str) -> String {
    format!("{text}loss total = {total}\ntrain {{\n    minimize total\n    optimizer sgd()\n}}\n")
}

/// Whether what is minimized is a direction whose weights are none of the total that it reports.
fn has_own_direction(module: &Module) -> bool {
    let total = module.losses["total"].0;
    let direction = module.directions.iter().find(|info| info.node == total);
    direction.is_some_and(|info| {
        let reported = module.graph.slice_back([info.reported]);
        let is_reported = |weight: &NodeId| {
            let mut whole = *weight;
            while let [one] = module.graph.operands(whole)[..] {
                if !matches!(module.graph.op(whole), Op::Reshape(_) | Op::Slice(_) | Op::StopGradient(_)) {
                    break;
                }
                whole = one;
            }
            reported[whole.index()]
        };
        !info.weights.iter().flatten().any(is_reported)
    })
}

/// A row of the table.
fn row(combiner: &Definition) -> String {
    let losses: &[&str] = if &*combiner.name.name == "krum" { &["a", "b", "c", "d"] } else { &["a", "b", "c"] };
    let total = call(combiner, losses, &[]);
    let (sources, compiled) = compile(&with(SHARED, &total), &[], &Options::default());
    let compiled = compiled.unwrap_or_else(|errors| panic!("{}", render_plain(&errors.0, &sources)));
    // What is minimized is then a direction that is put together from gradients: there is no formula of losses to ask.
    let found = if has_own_direction(&compiled.module) { Vec::new() } else { verdicts(&compiled.module) };
    let unknown = || vec!["unknown".to_string(); 5];
    let cells = found.first().map_or_else(unknown, |one| one.answers().iter().map(|(_, a)| a.to_string()).collect());
    format!("| `{}` | {} |", combiner.name.name, cells.join(" | "))
}

/// Where the table stands in docs/combiners.md.
const BEGINS: &str = "<!-- verdicts: generated -->\n\n";
const ENDS: &str = "\n<!-- end -->";

/// The table of docs/combiners.md has a row for each combiner, and says what is found.
#[test]
fn what_is_known_of_each_combiner_is_in_the_table() {
    let rows = each(&combiners(), |combiner| row(combiner));
    let head = "| combiner | raises no loss | switches none off | has a lower bound | is free of scale | conflicts with none |\n|---|---|---|---|---|---|";
    let table = format!("{head}\n{}\n", rows.join("\n"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/combiners.md");
    let page = std::fs::read_to_string(path).expect("the page is readable");
    let (before, rest) = page.split_once(BEGINS).expect("the table has its place");
    let (found, after) = rest.split_once(ENDS).expect("the table has its end");
    if std::env::var_os("UPDATE_DOCS").is_some() && found != table {
        std::fs::write(path, format!("{before}{BEGINS}{table}{ENDS}{after}"))
            .expect("docs/combiners.md can be written");
        return;
    }
    assert!(found == table, "docs/combiners.md is stale: UPDATE_DOCS=1 cargo test --test language verdicts\n{table}");
}

/// Losses of the library, each with a model that it fits, and whether it can be negative by its formula: minus a cosine, and
/// p - t ln p, which is without its constant.
const LOSSES: &[(&str, bool)] = &[
    ("mean_squared_error(t, p)", false),
    ("mean_absolute_percentage_error(t, p)", false),
    ("mean_squared_logarithmic_error(t, p)", false),
    ("log_cosh(t, p)", false),
    ("huber(t, p)", false),
    ("poisson(t, exp(p))", true),
    ("cosine_distance(t, p)", true),
    ("binary_crossentropy(t, p, from_logits=true)", false),
    ("binary_focal_crossentropy(t, p, from_logits=true)", false),
    ("categorical_crossentropy(t, p, from_logits=true)", false),
    ("categorical_focal_crossentropy(t, p, from_logits=true)", false),
    ("sparse_categorical_crossentropy(k, p)", false),
    ("softmax_crossentropy(t, p)", false),
    ("generalized_crossentropy(k, softmax(p))", false),
    ("kl_divergence(t, softmax(p))", false),
    ("hinge(t, p)", false),
    ("categorical_hinge(t, p)", false),
    ("pairwise_ranking(t, p)", false),
    ("dice(t, sigmoid(p))", false),
    ("triplet(p, 2 * p, t)", false),
    ("contrastive(f32(k), p, t)", false),
    ("circle(p, t)", false),
    ("root_mean_squared_error(t, p)", false),
    ("1 - pearson_correlation(t, p)", false),
    ("1 + cosine_distance(t, p)", false),
];

/// What a combiner makes of a loss that can be negative: where it divides by losses, takes their logarithm or a power, or
/// trains a weight that the loss must pull, it needs losses of at least 0. The weight of `balanced_per_sample` also rests
/// where samples on one side and the other hold it.
const NEED_POSITIVE: &[&str] = &[
    "balanced",
    "uncertainty",
    "revised_uncertainty",
    "geometric",
    "log_sum",
    "imtl_l",
    "stch",
    "go4align",
    "gradnorm",
];

/// Those that may raise a loss whatever losses are.
const MAY_RAISE: &[&str] = &["cosmos", "pbi"];

/// Those whose weights fall without end, as their authors publish them.
const COLLAPSE: &[&str] = &["ldc"];

/// What is wrong with the verdict on a loss under a combiner.
fn fault(loss: &str, can_be_negative: bool, combiner: &str, total: &str) -> Option<String> {
    let text = format!(
        "input x: f32[batch, 3]\ntarget t: f32[batch, 2]\ntarget k: i32[batch]\ntarget u: f32[batch, 2]\n\
         let h = x |> dense(units=4, activation=tanh)\noutput p = h |> dense(units=2)\noutput q = h |> dense(units=2)\n\
         @allow(unused)\nlet unused = k\nloss a = {loss}\nloss b = mean_squared_error(u, q)\n"
    );
    let (sources, findings) = check(&with(&text, total), &Options::default());
    let asked = [Code::L0001, Code::L0002, Code::L0008, Code::L0014];
    let found: Vec<Code> = findings.iter().map(|finding| finding.code).filter(|code| asked.contains(code)).collect();
    let errors = findings.iter().any(anabranch::diag::Diagnostic::is_error);
    let expected = if MAY_RAISE.contains(&combiner) {
        found.contains(&Code::L0002)
    } else if COLLAPSE.contains(&combiner) {
        found.contains(&Code::L0001)
    } else if can_be_negative && NEED_POSITIVE.contains(&combiner) {
        found == [Code::L0014]
    } else {
        found.is_empty()
    };
    (errors || !expected).then(|| format!("{loss} under {total}: {found:?}\n{}", render_plain(&findings, &sources)))
}

/// The file of the library that a combiner stands in says what it looks at.
fn file_of(combiner: &Definition) -> &'static str {
    let index = library_index(&Library::whole(&mut SourceMap::default()).expect("the library is whole"));
    let entry = index.iter().find(|entry| *entry.name == *combiner.name.name);
    entry.expect("it is in the library").file
}

/// Whether what a combiner asks of losses is its own: it is made of their values, and not of gradients alone or of another's weights.
fn is_of_values(combiner: &Definition) -> bool {
    file_of(combiner) == "std/combiners.anb" || &*combiner.name.name == "gradnorm"
}

#[test]
fn each_loss_under_each_combiner_has_the_right_verdict() {
    let mut pairs = Vec::new();
    for combiner in combiners().iter().filter(|combiner| is_of_values(combiner)) {
        let name = combiner.name.name.to_string();
        let total = call(combiner, &["a", "b"], &[]);
        for (loss, can_be_negative) in LOSSES {
            // One number for a batch is no loss of samples.
            if name != "balanced_per_sample" || !(loss.starts_with("root_") || loss.starts_with("1 - ")) {
                pairs.push((*loss, *can_be_negative, name.clone(), total.clone()));
            }
        }
    }
    assert!(pairs.len() >= 500, "{}", pairs.len());
    let faults = each(&pairs, |(loss, can_be_negative, name, total)| fault(loss, *can_be_negative, name, total));
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), pairs.len(), faults.join("\n"));
}

/// The lints of a model of so many heads on a wide trunk, whose losses are combined.
fn lints_of_many(combiner: &Definition, count: usize) -> Vec<Code> {
    let names: Vec<String> = (0..count).map(|i| format!("l{i}")).collect();
    let mut text = "input x: f32[batch, 64]\nlet h = x |> dense(units=512, activation=relu)\n".to_string();
    for name in &names {
        text += &format!(
            "target {name}_t: f32[batch, 10]\noutput {name}_y = h |> dense(units=10)\nloss {name} = mean_squared_error({name}_t, {name}_y)\n"
        );
    }
    let losses: Vec<&str> = names.iter().map(String::as_str).collect();
    let (_, findings) = check(&with(&text, &call(combiner, &losses, &[])), &Options::default());
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort();
    codes
}

#[test]
fn more_losses_and_wider_layers_change_no_verdict() {
    let is_variadic = |combiner: &&Arc<Definition>| combiner.parameters.iter().any(|p| p.variadic);
    let library = combiners();
    let asked: Vec<_> = library.iter().filter(is_variadic).filter(|combiner| is_of_values(combiner)).collect();
    let found = each(&asked, |combiner| [3, 8, 12].map(|count| lints_of_many(combiner, count)));
    let differs = asked.iter().zip(&found).filter(|(_, [few, many, most])| few != many || few != most);
    let differs: Vec<String> = differs.map(|(combiner, found)| format!("{}: {found:?}", combiner.name.name)).collect();
    assert!(asked.len() > 15 && differs.is_empty(), "{}:\n{}", asked.len(), differs.join("\n"));
}

#[test]
fn combiners_of_gradients_do_not_look_at_a_losses_sign() {
    let mut faults = Vec::new();
    // Of two losses only `aligned_mtl` may raise one; `krum` takes more, `ntk` a root of each loss.
    let is_asked = |combiner: &Definition| {
        let is_other = ["aligned_mtl", "gradnorm", "krum", "ntk"].contains(&&*combiner.name.name);
        file_of(combiner) == "std/gramians.anb" && !is_other
    };
    for combiner in combiners().iter().filter(|combiner| is_asked(combiner)) {
        let total = call(combiner, &["a", "b"], &[]);
        for (loss, _) in LOSSES.iter().filter(|(loss, _)| loss.contains("cosine") || loss.starts_with("huber")) {
            faults.extend(fault(loss, false, &combiner.name.name, &total));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_verdict_on_a_pair_is_seen() {
    let loss = "cosine_distance(t, p)";
    assert_eq!(fault(loss, true, "uncertainty", "uncertainty(a, b)"), None);
    assert!(fault(loss, false, "uncertainty", "uncertainty(a, b)").is_some_and(|fault| fault.contains("[L0014]")));
    assert!(fault("huber(t, p)", true, "uncertainty", "uncertainty(a, b)").is_some_and(|fault| fault.contains("[]")));
}
