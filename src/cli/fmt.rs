//! `anabranch fmt`

use super::files::write_text;
use super::spec::read_text;
use super::{Outcome, Session};
use crate::data::Existing;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::syntax;
use clap::Args;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  anabranch fmt model.anb blocks.anb
  anabranch fmt --check examples/*/*.anb";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The specs to format
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Change nothing; list the files that are not formatted and fail when there are any
    #[arg(long)]
    check: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let mut findings = Vec::new();
    for path in &arguments.files {
        if let Err(found) = format_file(path, arguments.check, session) {
            findings.extend(found.0);
        }
    }
    if findings.is_empty() { Ok(()) } else { Err(Diagnostics(findings)) }
}

fn format_file(path: &Path, only_check: bool, session: &mut Session) -> Outcome {
    let source = read_text(session, path, None)?;
    let formatted = syntax::format(&session.sources, source)?;
    if *formatted == *session.sources.file(source).text {
        return Ok(());
    }
    if only_check {
        let finding = Diagnostic::error(Code::E0609, format!("`{}` is not formatted", path.display()))
            .with_help("run `anabranch fmt` on it");
        return Err(finding.into());
    }
    // The link stays a link: what it names is what gets formatted.
    let named = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    Ok(write_text(&named, Existing::Replace, &formatted)?)
}
