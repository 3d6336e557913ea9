//! `anabranch summary`

use super::spec::{SpecArguments, compile_spec};
use super::{Outcome, Session};
use crate::model::{json_text, summary_of, table_text};
use clap::{Args, ValueEnum};

const NOTES: &str = "\
A line for each layer of the prediction, in the order of its values: what it gives, the losses that train it, the
numbers in its params (`again`: those of a layer above) and the arithmetic for one row, other run-time sizes counted as 128.

Examples:
  anabranch summary model.anb
  anabranch summary model.anb --format json";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,

    /// Count layers as part of what this many names of their path say
    #[arg(long, value_name = "NAMES", value_parser = clap::value_parser!(u16).range(1..))]
    depth: Option<u16>,

    /// How the summary is written
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let compiled = compile_spec(session, &arguments.spec)?;
    let summary = summary_of(&compiled, arguments.depth.map_or(usize::MAX, usize::from));
    let text = match arguments.format {
        Format::Table => table_text(&compiled, &summary),
        Format::Json => json_text(&summary),
    };
    session.console.print(&text)?;
    Ok(())
}
