//! Saved programs to begin with: those of the specs in the repository, written into the folder that is named.

use anabranch::diag::SourceMap;
use anabranch::export::program::Document;
use anabranch::ir::Graph;
use anabranch::lower::Options;
use anabranch::ops::{InputKind, Op};
use anabranch::pipeline::compile;
use anabranch::train::{SavedProgram, config::Precision};
use anabranch::train::{ClockForm, InputForm};
use std::path::{Path, PathBuf};

/// Larger ones would be cut off by the fuzzer's longest input.
const LONGEST: usize = 16 * 1024;

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("the folder to write to"));
    let mut specs = Vec::new();
    for root in ["examples", "tests"] {
        find(Path::new(root), &mut specs);
    }
    specs.sort();
    for (number, spec) in specs.iter().enumerate() {
        let text = std::fs::read_to_string(spec).expect("a spec is text");
        let mut sources = SourceMap::default();
        let id = sources.add("spec.anb", text);
        let Ok(compiled) = compile(&mut sources, id, &Options::default()) else { continue };
        let saved = serde_json::to_string(&saved(&compiled.simplified.predict)).expect("a program is written");
        if saved.len() <= LONGEST {
            std::fs::write(folder.join(format!("{number}.json")), saved).expect("the folder can be written to");
        }
    }
}

fn find(folder: &Path, specs: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("run this in the repository's root") {
        let path = entry.expect("a folder's entry").path();
        if path.is_dir() {
            find(&path, specs);
        } else if path.extension().is_some_and(|extension| extension == "anb") {
            specs.push(path);
        }
    }
}

fn saved(graph: &Graph) -> SavedProgram {
    let inputs = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(leaf) if leaf.kind == InputKind::Input => {
            let name = graph.node(id).provenance.name.to_string();
            Some(InputForm { name, ty: leaf.ty.clone(), columns: Vec::new() })
        }
        _ => None,
    });
    SavedProgram {
        precision: Precision::F32,
        clock: ClockForm { step: 1, epoch: 0, seed: 0 },
        prefix: None,
        inputs: inputs.collect(),
        program: Document::of(graph),
    }
}
