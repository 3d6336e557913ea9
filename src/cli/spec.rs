//! Reading and compiling the spec that a command names.

use super::Session;
use crate::data::open_regular;
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::lower::Options;
use crate::pipeline::{Compiled, compile};
use crate::syntax::MAXIMUM_TEXT;
use clap::Args;
use indexmap::IndexMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `--set`, for every command that compiles.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// Override a `const` of the spec; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    assignments: Vec<(String, f64)>,
}

impl SetArguments {
    pub(super) fn overrides(&self) -> IndexMap<String, f64> {
        self.assignments.iter().cloned().collect()
    }
}

/// A spec and what changes its meaning.
#[derive(Debug, Args)]
pub(super) struct SpecArguments {
    /// The spec, an .anb file
    #[arg(value_name = "SPEC")]
    pub(super) spec: PathBuf,

    #[command(flatten)]
    pub(super) set: SetArguments,
}

fn assignment(text: &str) -> Result<(String, f64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let value = value.trim().replace('_', "");
    let number = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
    Ok((name.trim().to_string(), number))
}

/// Reads a text and adds it to the sources. `span` is where the file is named, if it is.
///
/// # Errors
/// E0601, and E0103 for a text that is too long to be a spec.
pub(super) fn read_text(session: &mut Session, path: &Path, span: Option<Span>) -> Result<SourceId, Diagnostics> {
    let finding = |code: Code, headline: String, note: String| -> Diagnostics {
        let finding = Diagnostic::error(code, headline).with_note(note);
        match span {
            Some(span) => finding.at(span, "this file"),
            None => finding,
        }
        .into()
    };
    let name = path.display();
    let not_readable =
        |reason: String| finding(Code::E0601, format!("cannot read `{name}`"), format!("found: {reason}"));
    let (mut file, len) = open_regular(path).map_err(|error| not_readable(error.to_string()))?;
    if len > MAXIMUM_TEXT as u64 {
        let headline = format!("`{name}` is too long to be a spec");
        return Err(finding(Code::E0103, headline, format!("found: {len} bytes; expected: at most {MAXIMUM_TEXT}")));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| not_readable(error.to_string()))?;
    Ok(session.sources.add(name.to_string(), text))
}

/// Reads and compiles a spec; warnings are shown.
///
/// # Errors
/// Those of reading and compiling.
pub(super) fn compile_spec(session: &mut Session, arguments: &SpecArguments) -> Result<Compiled, Diagnostics> {
    let options = Options { overrides: arguments.set.overrides() };
    let spec = read_text(session, &arguments.spec, None)?;
    let compiled = compile(&mut session.sources, spec, &options)?;
    session.console.findings(&compiled.findings, &session.sources);
    Ok(compiled)
}
