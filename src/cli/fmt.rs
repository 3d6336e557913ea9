//! `anabranch fmt`

use super::spec::read_text;
use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::syntax;
use clap::Args;
use std::io::Write;
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
    write(path, &formatted).map_err(|error| {
        Diagnostic::error(Code::E0605, format!("cannot write `{}`", path.display()))
            .with_note(format!("found: {error}"))
            .into()
    })
}

/// Replaces a file as a whole, keeping its rights.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    // The link stays a link: what it names is what gets formatted.
    let path = std::fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".anabranch-").suffix(".part").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(std::fs::metadata(&path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(&path)?;
    Ok(())
}
