//! `anabranch std`

use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic, SourceMap};
use crate::lower::{Entry, LAWS, Library, counterpart_help, laws_of, library_index};
use crate::syntax::ast::{Statement, StatementKind};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch std               all names, by file, then the built-in functions
  anabranch std dense         a definition with its comment
  anabranch std softmax       a built-in function
  anabranch std --combiner non-conflicting   the combiners along whose direction no loss rises
  anabranch std --find norm   what has `norm` in its name, its parameters or its description
  anabranch std cumsum        what another library's name is called here";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The definition or built-in function to print; without it, all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// List what has this word in its name, its parameters or its description
    #[arg(long, value_name = "WORD", conflicts_with = "name")]
    find: Option<String>,

    /// List the combiners of which this law holds: permutation-equivariant, scale-invariant, non-conflicting, strongly-stationary or
    /// accumulation-invariant; of several, those of which all hold
    #[arg(long, value_name = "LAW", value_delimiter = ',', conflicts_with_all = ["name", "find"])]
    combiner: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let library = Library::whole(&mut session.sources)?;
    let entries = library_index(&library);
    let text = match (&arguments.name, &arguments.find) {
        _ if !arguments.combiner.is_empty() => lawful(&entries, &arguments.combiner)?,
        (Some(name), _) => one(&library, &entries, name.trim_matches(['"', '\'', '`']), &session.sources)?,
        (None, Some(word)) => found(&entries, word)?,
        (None, None) => list(entries.iter().map(|entry| (entry, String::new()))),
    };
    session.console.print(&text)?;
    Ok(())
}

/// An entry as it is written: a definition with its comment, or what is built in with what it computes.
fn one(library: &Library, entries: &[Entry], name: &str, sources: &SourceMap) -> Result<String, Diagnostic> {
    let mut statements = library.files.iter().flat_map(|file| &file.statements);
    let is_called = |statement: &&Statement| match &statement.kind {
        StatementKind::Definition(definition) => *definition.name.name == *name,
        _ => false,
    };
    if let Some(statement) = statements.find(is_called) {
        let doc: String = statement.doc.iter().map(|line| format!("# {}\n", line.trim())).collect();
        return Ok(format!("{doc}{}\n", sources.snippet(statement.span).trim_end()));
    }
    match entries.iter().find(|entry| *entry.name == *name) {
        Some(entry) => Ok(format!("# {}\n{}    built in\n", entry.doc, entry.signature)),
        None => Err(unknown(entries, name)),
    }
}

fn unknown(entries: &[Entry], name: &str) -> Diagnostic {
    let finding = Diagnostic::error(Code::E0201, format!("the standard library has no `{name}`"));
    let finding = match counterpart_help(entries, name) {
        Some(help) => finding.with_help(help),
        None => finding.with_suggestion(name, entries.iter().map(|entry| &*entry.name)),
    };
    finding.with_help("`anabranch std` lists what it has, `anabranch std --find WORD` searches it")
}

/// The entries that a word occurs in, those that are named so first, each with the first line of its description.
fn found(entries: &[Entry], word: &str) -> Result<String, Diagnostic> {
    let wanted = word.to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&wanted);
    let named = entries.iter().filter(|entry| has(&entry.name));
    let described = entries.iter().filter(|entry| !has(&entry.name) && (has(&entry.signature) || has(&entry.doc)));
    let text = list(named.chain(described).map(|entry| (entry, first_line(entry))));
    if text.is_empty() { Err(unknown(entries, word)) } else { Ok(text) }
}

/// The combiners of which some laws hold, each with the first sentence of its description.
fn lawful(entries: &[Entry], wanted: &[String]) -> Result<String, Diagnostic> {
    if let Some(unknown) = wanted.iter().find(|law| !LAWS.contains(&law.as_str())) {
        let finding = Diagnostic::error(Code::E0304, format!("no law of combiners is called `{unknown}`"));
        return Err(finding.with_note(format!("expected: {}", LAWS.join(", "))).with_suggestion(unknown, LAWS));
    }
    let holds = |entry: &&Entry| wanted.iter().all(|law| laws_of(entry).any(|held| held == law));
    let found = entries.iter().filter(|entry| entry.kind == "combiner").filter(holds);
    let text = list(found.map(|entry| (entry, first_line(entry))));
    Ok(if text.is_empty() { "none\n".to_string() } else { text })
}

/// What stands behind a signature.
fn first_line(entry: &Entry) -> String {
    let first = entry.doc.lines().next().unwrap_or_default();
    if first.is_empty() { String::new() } else { format!("    # {first}") }
}

/// Signatures under the names of their files, each with what stands behind it.
fn list<'e>(entries: impl Iterator<Item = (&'e Entry, String)>) -> String {
    let mut text = String::new();
    let mut file = None;
    for (entry, note) in entries {
        if file != Some(entry.file) {
            file = Some(entry.file);
            let title = if entry.file.is_empty() { "built-in functions" } else { entry.file };
            text.push_str(&format!("{}# {title}\n", if text.is_empty() { "" } else { "\n" }));
        }
        let kind = if entry.file.is_empty() { String::new() } else { format!("{} ", entry.kind) };
        text.push_str(&format!("{kind}{}{note}\n", entry.signature));
    }
    text
}
