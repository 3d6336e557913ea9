//! Every stage as text: small specs whose texts a person reads, and of all examples what the texts must have in common with the graphs.

use anabranch::diag::{SourceId, SourceMap, Span, render_plain};
use anabranch::export::program::Document;
use anabranch::export::{dot, yaml};
use anabranch::ir::{DimSizes, Graph, bind, print, verify};
use anabranch::lower::Options;
use anabranch::ops::Op;
use anabranch::passes::simplify;
use anabranch::pipeline::{Compiled, compile};
use anabranch::plan;
use std::path::Path;
use std::process::Command;

const EXAMPLES: [&str; 13] = [
    "localizer",
    "digits",
    "burgers",
    "semi_supervised",
    "vae",
    "segmentation",
    "gan",
    "sequence_tagger",
    "maml",
    "hypergradient",
    "dqn",
    "text_classifier",
    "energy_force",
];

fn emitted(spec: &str, stage: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    let output = command.args(["compile", spec, "--emit", stage]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn stages_of_small_specs() {
    for (name, stages) in
        [("two_heads", &["ast", "ir", "predict", "train", "simplified", "plan", "dot"][..]), ("one_weight", &["yaml"])]
    {
        for stage in stages {
            let text = emitted(&format!("tests/runs/stages/{name}.anb"), stage);
            insta::with_settings!({ omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}_{stage}"), text);
            });
        }
    }
}

#[test]
fn stages_of_the_first_example() {
    for stage in ["ast", "ir", "predict", "train", "simplified", "plan"] {
        insta::assert_snapshot!(format!("localizer_{stage}"), emitted("examples/localizer/localizer.anb", stage));
    }
    for stage in ["ast", "predict"] {
        insta::assert_snapshot!(format!("digits_{stage}"), emitted("examples/digits/digits.anb", stage));
    }
}

fn compiled(example: &str) -> Compiled {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{example}/{example}.anb"));
    let mut sources = SourceMap::default();
    let spec = sources.add(example, std::fs::read_to_string(path).unwrap());
    compile(&mut sources, spec, &Options::default())
        .unwrap_or_else(|findings| panic!("{}", render_plain(&findings.0, &sources)))
}

fn programs(compiled: &Compiled) -> [(&'static str, &Graph); 2] {
    [("predict", &compiled.simplified.predict), ("train", &compiled.simplified.train)]
}

/// The documents of a graph, written and read again, print as it does.
fn reads_back(graph: &Graph, text: &str) -> Result<(), String> {
    let document: Document = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let read = document.graph(Span::new(SourceId::NOWHERE, 0, 0)).map_err(|error| error.headline)?;
    verify(&read)?;
    if print(&read, "p") == print(graph, "p") { Ok(()) } else { Err("another graph".to_string()) }
}

#[test]
fn every_example_reads_back_from_its_yaml() {
    for example in EXAMPLES {
        let compiled = compiled(example);
        let shown = emitted(&format!("examples/{example}/{example}.anb"), "yaml");
        for (title, graph) in programs(&compiled) {
            let text = yaml(graph);
            assert_eq!(reads_back(graph, &text), Ok(()), "{example} {title}");
            assert!(shown.contains(&format!("# {title}\n---\n{text}")), "{example} {title} as it is shown");
            // One id exchanged for another is another graph, or none.
            let wrong = text.replacen("operands:\n  - 0\n", "operands:\n  - 1\n", 1);
            assert!(wrong == text || reads_back(graph, &wrong).is_err(), "{example} {title}: a wrong operand");
        }
    }
}

/// Nodes, edges and outputs of a drawing.
fn drawn(text: &str) -> [usize; 3] {
    let count = |is_one: &dyn Fn(&str) -> bool| text.lines().filter(|line| is_one(line.trim())).count();
    let edges = count(&|line| line.starts_with('n') && line.contains(" -> n"));
    let nodes = count(&|line| line.starts_with('n') && line.contains(" [label=") && !line.contains(" -> "));
    [nodes, edges, count(&|line| line.starts_with('o') && line.contains("peripheries"))]
}

/// What there is to draw: constants stand in the nodes that read them.
fn to_draw(graph: &Graph) -> [usize; 3] {
    let is_drawn = |op: &Op| !matches!(op, Op::Constant(_));
    let nodes: Vec<_> = graph.ids().filter(|id| is_drawn(graph.op(*id))).collect();
    let edges = nodes.iter().flat_map(|id| graph.operands(*id)).filter(|operand| is_drawn(graph.op(*operand)));
    [nodes.len(), edges.count(), graph.outputs.len()]
}

#[test]
fn every_example_is_drawn_whole() {
    for example in EXAMPLES {
        let compiled = compiled(example);
        let shown = emitted(&format!("examples/{example}/{example}.anb"), "dot");
        for (title, graph) in programs(&compiled) {
            let text = dot(graph, title);
            assert_eq!(drawn(&text), to_draw(graph), "{example} {title}");
            assert!(shown.contains(&text), "{example} {title} as it is shown");
        }
    }
}

#[test]
fn every_example_is_shown_node_by_node_and_step_by_step() {
    for example in EXAMPLES {
        let spec = format!("examples/{example}/{example}.anb");
        let compiled = compiled(example);
        let texts = ["ir", "predict", "train", "simplified"].map(|stage| emitted(&spec, stage));
        let graphs = [&compiled.module.graph, &compiled.predict, &compiled.train, &compiled.simplified.train];
        for ((text, graph), title) in texts.iter().zip(graphs).zip(["ir", "predict", "train", "train"]) {
            assert_eq!(verify(graph), Ok(()), "{example}");
            assert!(text.ends_with(&print(graph, title)), "{example} {title}");
        }
        let text = emitted(&spec, "plan");
        let (predict, train) = text.split_once("\ntrain {").unwrap_or((&text, ""));
        for (text, (title, graph)) in [predict, train].iter().zip(programs(&compiled)) {
            let graph = simplify(&bind(graph, &DimSizes::from([("batch".into(), 32)])));
            let plan = plan::plan(&graph);
            assert_eq!(plan::check(&plan, &graph), Ok(()), "{example} {title}");
            assert!(text.contains(&format!("steps {} ", plan.steps.len())), "{example} {title}: {text}");
        }
    }
}
