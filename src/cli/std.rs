//! `anabranch std`

use super::{Outcome, Session};
use crate::diag::{Code, Diagnostic, SourceMap};
use crate::lower::Library;
use crate::syntax::ast::{Statement, StatementKind};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch std            all names, by file
  anabranch std dense      a definition with its comment
  anabranch std balanced";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The definition to print; without it, all are listed
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

/// A definition with its comment.
struct Entry {
    name: String,
    file: String,
    /// from the comment above it to its last line
    text: String,
    /// the definition's head, on one line
    head: String,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let library = Library::whole(&mut session.sources)?;
    let mut entries = Vec::new();
    entries.extend(
        library.files.iter().flat_map(|file| &file.statements).filter_map(|item| entry(item, &session.sources)),
    );
    let text = match &arguments.name {
        None => list(&entries),
        Some(name) => match entries.iter().find(|entry| entry.name == *name) {
            Some(entry) => format!("{}\n", entry.text),
            None => {
                let names = entries.iter().map(|entry| entry.name.as_str());
                let finding = Diagnostic::error(Code::E0201, format!("the standard library has no `{name}`"));
                return Err(finding.with_suggestion(name, names).with_help("`anabranch std` lists what it has").into());
            }
        },
    };
    session.console.print(&text)?;
    Ok(())
}

fn entry(statement: &Statement, sources: &SourceMap) -> Option<Entry> {
    let StatementKind::Definition(definition) = &statement.kind else { return None };
    let text = sources.snippet(statement.span).trim_end();
    let doc: String = statement.doc.iter().map(|line| format!("# {}\n", line.trim())).collect();
    let head: Vec<&str> = text.split('{').next().unwrap_or("").split_whitespace().collect();
    let head = head.join(" ").replace("( ", "(").replace(", )", ")");
    let file = sources.file(statement.span.source).name.clone();
    Some(Entry { name: definition.name.name.to_string(), file, text: doc + text, head })
}

fn list(entries: &[Entry]) -> String {
    let mut text = String::new();
    let mut file = "";
    for entry in entries {
        if entry.file != file {
            file = &entry.file;
            text.push_str(&format!("{}# {file}\n", if text.is_empty() { "" } else { "\n" }));
        }
        text.push_str(&format!("{}\n", entry.head));
    }
    text
}
