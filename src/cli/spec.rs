//! Reading and compiling the spec that a command names.

use super::Session;
use crate::diag::{Diagnostics, SourceId, Span};
use crate::lower::{Options, Setting};
pub(super) use crate::model::read_used;
use crate::pipeline::{Compiled, check_with, compile_with};
use crate::train::SpecTexts;
use crate::train::columns::compile_fitted;
use crate::train::config::RunConfig;
use clap::Args;
use std::cell::RefCell;
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
    /// As they were written on the command line.
    pub(super) fn command_line(&self) -> Vec<String> {
        let text = |setting: &Setting| match setting {
            Setting::Text(text) => text.clone(),
            other => other.to_string(),
        };
        let set = self.assignments.iter().flat_map(|(name, value)| ["--set".into(), format!("{name}={}", text(value))]);
        set.chain(self.deny.iter().flat_map(|lint| ["--deny".into(), lint.clone()])).collect()
    }

    /// The options of a compilation.
    pub(super) fn options(&self) -> Options {
        Options { overrides: self.assignments.iter().cloned().collect(), deny: self.deny.clone(), ..Options::default() }
    }
}

/// A spec and what changes its meaning.
#[derive(Debug, Args)]
pub(super) struct SpecArguments {
    /// The spec, an .anb file; `check` also takes a run config, a .yaml file
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
    crate::model::read_text(&mut session.sources, path, span)
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
    Ok(compile_texts(session, &arguments.spec, spec, &arguments.set.options())?.0)
}

/// Reads and compiles the spec of a run config for its data; the config becomes what it says with all that was worked out of the
/// columns. Warnings are shown.
///
/// # Errors
/// Those of reading, compiling and fitting.
pub(super) fn compile_config(
    session: &mut Session,
    config: &mut RunConfig,
    options: &Options,
) -> Result<(Compiled, SpecTexts), Diagnostics> {
    let source = read_text(session, &config.spec, Some(config.spec_span))?;
    let texts = RefCell::new(SpecTexts::new(&config.spec, &*session.sources.file(source).text));
    let read = |path: &str| {
        let text = read_used(path)?;
        texts.replace_with(|texts| {
            let texts = std::mem::take(texts);
            if texts.has(path) { texts } else { texts.with(path, text.as_str()) }
        });
        Ok(text)
    };
    let (compiled, findings) = compile_fitted(&mut session.sources, source, config, options, &read)?;
    session.console.findings(&compiled.findings, &session.sources);
    session.console.findings(&findings, &session.sources);
    Ok((compiled, texts.into_inner()))
}

/// Compiles a spec that was read from a path; warnings are shown. Gives the texts also, with those of the files that it uses.
///
/// # Errors
/// Those of compiling.
pub(super) fn compile_texts(
    session: &mut Session,
    path: &Path,
    spec: SourceId,
    options: &Options,
) -> Result<(Compiled, SpecTexts), Diagnostics> {
    let texts = RefCell::new(SpecTexts::new(path, &*session.sources.file(spec).text));
    let read = |path: &str| {
        let text = read_used(path)?;
        texts.replace_with(|texts| std::mem::take(texts).with(path, text.as_str()));
        Ok(text)
    };
    let compiled = compile_with(&mut session.sources, spec, options, &read)?;
    session.console.findings(&compiled.findings, &session.sources);
    Ok((compiled, texts.into_inner()))
}
