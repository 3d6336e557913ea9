//! Reading and compiling the spec that a command names.

use super::Session;
use crate::data::open_regular;
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::lower::{Options, Setting};
use crate::pipeline::{Compiled, check_with, compile_with};
use crate::syntax::MAXIMUM_TEXT;
use clap::Args;
use std::io::Read;
use std::path::{Path, PathBuf};

/// `--set` and `--deny`, for every command that compiles.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// Override a `const` of the spec; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    assignments: Vec<(String, Setting)>,

    /// Treat a lint as an error; may be given several times
    #[arg(long = "deny", value_name = "LINT")]
    deny: Vec<String>,
}

impl SetArguments {
    /// The options of a compilation.
    pub(super) fn options(&self) -> Options {
        Options { overrides: self.assignments.iter().cloned().collect(), deny: self.deny.clone(), ..Options::default() }
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

fn assignment(text: &str) -> Result<(String, Setting), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    let Ok(setting) = value.trim().parse();
    Ok((name.trim().to_string(), setting))
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

/// Reads a file that a spec uses.
///
/// # Errors
/// When it cannot be read, or is too long to be a spec.
pub(super) fn read_used(path: &str) -> std::io::Result<String> {
    let (mut file, len) = open_regular(Path::new(path))?;
    if len > MAXIMUM_TEXT as u64 {
        let reason = format!("{len} bytes; at most {MAXIMUM_TEXT} are read");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a spec and looks for mistakes; warnings are shown.
///
/// # Errors
/// Those of reading and compiling.
pub(super) fn check_spec(session: &mut Session, arguments: &SpecArguments) -> Result<(), Diagnostics> {
    let spec = read_text(session, &arguments.spec, None)?;
    let findings = check_with(&mut session.sources, spec, &arguments.set.options(), &read_used)?;
    session.console.findings(&findings, &session.sources);
    Ok(())
}

/// Reads and compiles a spec; warnings are shown.
///
/// # Errors
/// Those of reading and compiling.
pub(super) fn compile_spec(session: &mut Session, arguments: &SpecArguments) -> Result<Compiled, Diagnostics> {
    let spec = read_text(session, &arguments.spec, None)?;
    let compiled = compile_with(&mut session.sources, spec, &arguments.set.options(), &read_used)?;
    session.console.findings(&compiled.findings, &session.sources);
    Ok(compiled)
}
