//! StableHLO: small modules as text, and every op of the table in one. What the numbers are is held against runs by `tests/xla/check`.

use crate::common::every_op::{Draws, Growth};
use anabranch::diag::SourceMap;
use anabranch::export::xla::{Interface, Width, stablehlo};
use anabranch::ir::{DimSizes, Graph, Role, TensorType, bind};
use anabranch::lower::Options;
use anabranch::ops::{Input, InputKind, Op};
use anabranch::passes::{differentiate, resolve_training};
use anabranch::pipeline::compile;

/// What the leaves of a graph are.
fn interface(graph: &Graph) -> Interface {
    let mut interface = Interface::default();
    for id in graph.ids() {
        let Op::Input(Input { kind, ty }) = graph.op(id) else { continue };
        let fields: &mut Vec<(String, TensorType)> = match kind {
            InputKind::Param => &mut interface.params,
            InputKind::State => &mut interface.states,
            InputKind::Input => &mut interface.inputs,
            InputKind::Target => &mut interface.targets,
            _ => continue,
        };
        let field = (graph.node(id).provenance.name.to_string(), ty.clone());
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    interface
}

fn module(spec: &str, width: Width) -> String {
    let mut sources = SourceMap::default();
    let source = sources.add("model.anb", spec);
    let compiled = compile(&mut sources, source, &Options::default()).expect("a spec");
    let graph = bind(&compiled.simplified.train, &DimSizes::from([("batch".into(), 4)]));
    stablehlo(&graph, &interface(&graph), width, true).expect("every op has a form").text
}

#[test]
fn a_training_step_is_a_module() {
    let spec = "input x: f32[batch, 2]\ntarget y: f32[batch]\nloss l = square(y - squeeze(dense(x, units=1)))\n\
                train { minimize l optimizer sgd(lr=0.5) }\n";
    insta::assert_snapshot!("dense_step", module(spec, Width::F32));
}

#[test]
fn draws_are_a_function_of_the_module() {
    let spec = "input x: f32[batch]\ntarget y: f32[batch]\nparam w: f32 = 1\nloss l = square(y - w * dropout(x, rate=0.5))\n\
                train { minimize l optimizer sgd(lr=0.5) }\n";
    let text = module(spec, Width::F64);
    assert_eq!(text.matches("func.func private @chacha8_1(").count(), 1, "{text}");
    assert!(text.contains("func.call @chacha8_1(") && !text.contains("xf32>"), "{text}");
}

/// The values of a module are there once, and before they are read.
fn check_names(text: &str) -> Result<(), String> {
    let mut known: Vec<String> = Vec::new();
    let is_name = |c: char| c.is_ascii_alphanumeric();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        let defined = line.trim_start().split_once(" = ").map(|(head, _)| head).filter(|head| head.starts_with('%'));
        let head = line.contains("^bb0(") || line.contains("func.func ");
        let read = line.match_indices('%').map(|(at, _)| {
            let end = line[at + 1..].find(|c| !is_name(c)).map_or(line.len(), |end| at + 1 + end);
            &line[at..end]
        });
        let defined = defined.map(|head| head.split(':').next().unwrap_or(head));
        for name in read {
            if head || defined == Some(name) {
                known.push(name.to_string());
            } else if !known.iter().any(|known| known == name) {
                return Err(format!("{name} in {line}"));
            }
        }
    }
    Ok(())
}

#[test]
fn every_op_is_written() {
    for name in Op::NAMES {
        let grown = (0..400).find_map(|seed| {
            let mut growth = Growth::new(3);
            growth.step(name, Draws(seed).below(usize::MAX) as u64);
            let node = growth.graph.ids().rfind(|id| growth.graph.op(*id).name() == *name)?;
            growth.graph.add_output(Role::Output, "y", node);
            Some(growth)
        });
        let growth = grown.unwrap_or_else(|| panic!("no example of {name}"));
        let graph = bind(&differentiate(&resolve_training(&growth.graph)), &growth.sizes);
        for width in [Width::F32, Width::F64] {
            let module = stablehlo(&graph, &interface(&graph), width, true);
            let module = module.unwrap_or_else(|finding| panic!("{name}: {finding:?}"));
            assert_eq!(check_names(&module.text), Ok(()), "{name}\n{}", module.text);
            assert_eq!(module.results.len(), 1);
        }
    }
}

#[test]
fn a_name_that_is_not_there_is_seen() {
    assert!(check_names("%1 = a\n%2 = b %1").is_ok());
    assert!(check_names("%1 = a\n%2 = b %3").is_err());
}

#[test]
fn a_leaf_that_is_not_listed_is_refused() {
    let mut growth = Growth::new(3);
    growth.step("neg", 1);
    let last = growth.graph.ids().next_back().expect("a node");
    growth.graph.add_output(Role::Output, "y", last);
    let graph = bind(&growth.graph, &growth.sizes);
    let finding = stablehlo(&graph, &Interface::default(), Width::F32, true).expect_err("nothing is listed");
    assert!(finding.headline.contains("has no form in StableHLO"), "{finding:?}");
    assert!(finding.notes[0].contains("is not listed"), "{finding:?}");
}
