//! `anabranch compile`

use super::files::{ReplaceArgument, write_texts};
use super::spec::{SpecArguments, compile_texts, read_text};
use super::{Outcome, Session, summary};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::export;
use crate::ir::{self, BATCH, DimSizes, Graph};
use crate::pipeline::{self, Compiled};
use crate::syntax;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  anabranch compile model.anb                        a summary
  anabranch compile model.anb --emit predict,train   the two programs as text
  anabranch compile model.anb --emit dot -o graphs   graphs/predict.dot and graphs/train.dot
  anabranch compile model.anb --emit json -o out     out/programs.json: all programs and what they read and give
  anabranch compile model.anb --emit ir --set width=64";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,

    /// The stages to print, in this order
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STAGES")]
    emit: Vec<Stage>,

    /// The size of a run-time dim, for the plan; `batch` is 32 unless given
    #[arg(long = "size", value_name = "DIM=N", value_parser = size)]
    sizes: Vec<(String, usize)>,

    /// Write the stages into this folder instead, each as a file of its own
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,

    #[command(flatten)]
    replace: ReplaceArgument,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Stage {
    /// the syntax tree
    Ast,
    /// the lowered graph, derivatives not yet written out
    Ir,
    /// the prediction program, as sliced out
    Predict,
    /// the training step, with its derivatives
    Train,
    /// the programs that run
    Simplified,
    /// how the programs run at given sizes: order, fused groups, memory
    Plan,
    /// the programs that run, as YAML that reads back
    Yaml,
    /// the programs that run, as Graphviz drawings
    Dot,
    /// all programs and their interface, as JSON that reads back
    Json,
}

/// A file name and its text.
type Part = (&'static str, String);

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let spec = read_text(session, &arguments.spec.spec, None)?;
    let options = arguments.spec.set.options();
    let (compiled, texts) = compile_texts(session, &arguments.spec.spec, spec, &options)?;
    if arguments.emit.is_empty() && arguments.output.is_none() {
        session.console.print(&summary::text(&compiled))?;
        return Ok(());
    }
    let spec_hash = texts.hash();
    let mut parts: Vec<Part> = Vec::new();
    let stages = if arguments.emit.is_empty() { Stage::value_variants() } else { &arguments.emit };
    for stage in stages {
        parts.extend(stage_parts(*stage, &compiled, &spec_hash, &arguments.sizes)?);
    }
    match &arguments.output {
        None => {
            let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
            session.console.print(&texts.join("\n"))?;
        }
        Some(folder) => write_parts(folder, &parts, arguments)?,
    }
    Ok(())
}

fn size(text: &str) -> Result<(String, usize), String> {
    let (name, extent) = text.split_once('=').ok_or("expected DIM=N")?;
    Ok((name.trim().to_string(), extent.trim().parse().map_err(|_| format!("`{extent}` is not a size"))?))
}

fn stage_parts(
    stage: Stage,
    compiled: &Compiled,
    spec_hash: &str,
    sizes: &[(String, usize)],
) -> Result<Vec<Part>, Diagnostics> {
    let simplified = &compiled.simplified;
    // Where the derivatives of the spec stand, their directions are said.
    let noted = |graph: &Graph, title: &str| compiled.derivative_notes() + &ir::print(graph, title);
    Ok(match stage {
        Stage::Ast => vec![("ast.txt", syntax::print(&compiled.tree))],
        Stage::Ir => vec![("ir.txt", noted(&compiled.module.graph, "ir"))],
        Stage::Predict => vec![("predict.txt", ir::print(&compiled.predict, "predict"))],
        Stage::Train => vec![("train.txt", noted(&compiled.train, "train"))],
        Stage::Simplified => vec![
            ("simplified-init.txt", ir::print(&simplified.init, "init")),
            ("simplified-predict.txt", ir::print(&simplified.predict, "predict")),
            ("simplified-evaluate.txt", ir::print(&simplified.evaluate, "evaluate")),
            ("simplified-train.txt", noted(&simplified.train, "train")),
        ],
        Stage::Plan => vec![
            ("predict.plan.txt", plan_text(&simplified.predict, "predict", sizes)?),
            ("train.plan.txt", plan_text(&simplified.train, "train", sizes)?),
        ],
        Stage::Yaml => {
            let document = |graph: &Graph, title: &str| format!("# {title}\n---\n{}", export::yaml(graph));
            vec![
                ("predict.yaml", document(&simplified.predict, "predict")),
                ("train.yaml", document(&simplified.train, "train")),
            ]
        }
        Stage::Dot => vec![
            ("predict.dot", export::dot(&simplified.predict, "predict")),
            ("train.dot", export::dot(&simplified.train, "train")),
        ],
        Stage::Json => vec![("programs.json", export::Programs::of(compiled, spec_hash).to_json())],
    })
}

/// The plan of a program.
fn plan_text(graph: &Graph, title: &str, sizes: &[(String, usize)]) -> Result<String, Diagnostics> {
    let mut known = DimSizes::from([(BATCH.into(), 32)]);
    known.extend(sizes.iter().map(|(name, extent)| (name.as_str().into(), *extent)));
    let unknown = graph.ids().flat_map(|id| graph.ty(id).shape.iter().flat_map(crate::ir::Dim::symbols));
    if let Some(name) = unknown.into_iter().find(|name| !known.contains_key(name)) {
        let finding = Diagnostic::error(Code::E0305, format!("a plan needs the size of `{name}`"))
            .with_help(format!("give one: `--size {name}=16`"));
        return Err(finding.into());
    }
    let bound = pipeline::bind(graph, &known)?;
    pipeline::plan(&bound);
    Ok(bound.plan_text(title))
}

fn write_parts(folder: &Path, parts: &[Part], arguments: &Arguments) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| {
        Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", folder.display()))
            .with_note(format!("found: {error}"))
    })?;
    let files: Vec<(PathBuf, &str)> = parts.iter().map(|(name, text)| (folder.join(name), text.as_str())).collect();
    Ok(write_texts(&files, arguments.replace, &arguments.spec.spec)?)
}
