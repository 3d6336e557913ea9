//! `anabranch compile`

use super::files::{ReplaceArgument, write_texts};
use super::spec::{SpecArguments, compile_texts, read_text};
use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic};
use crate::model::{Stage, StagePart, summary_of, table_text};
use clap::builder::PossibleValue;
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

impl ValueEnum for Stage {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.about()))
    }
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let spec = read_text(session, &arguments.spec.spec, None)?;
    let options = arguments.spec.set.options();
    let (compiled, texts) = compile_texts(session, &arguments.spec.spec, spec, &options)?;
    if arguments.emit.is_empty() && arguments.output.is_none() {
        session.console.print(&table_text(&compiled, &summary_of(&compiled, usize::MAX)))?;
        return Ok(());
    }
    let spec_hash = texts.hash();
    let mut parts: Vec<StagePart> = Vec::new();
    let stages = if arguments.emit.is_empty() { Stage::value_variants() } else { &arguments.emit };
    for stage in stages {
        parts.extend(stage.parts(&compiled, &spec_hash, &arguments.sizes)?);
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

fn write_parts(folder: &Path, parts: &[StagePart], arguments: &Arguments) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| {
        Diagnostic::error(Code::E0605, format!("cannot write the folder `{}`", folder.display()))
            .with_note(format!("found: {error}"))
    })?;
    let files: Vec<(PathBuf, &str)> = parts.iter().map(|(name, text)| (folder.join(name), text.as_str())).collect();
    Ok(write_texts(&files, arguments.replace, &arguments.spec.spec)?)
}
