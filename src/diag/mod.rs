//! Diagnostics as values: what is wrong with the user's program, where, and the way out.
//!
//! Every stage returns its findings as [`Diagnostic`]s; nothing below `cli` prints. A diagnostic has a stable
//! [`Code`], a headline (lower case, no full stop, about *the program*), a primary label on the exact span, any
//! number of further labels, notes (`found` / `expected` facts) and helps (ways out). `render` shows them to people,
//! [`to_json_lines`] to editors.

pub mod codes;
mod render;
mod source;
mod suggest;

pub use codes::Code;
pub use render::{render, render_plain, to_json_lines};
pub use source::{SourceFile, SourceId, SourceMap, Span};
pub use suggest::closest;

/// How grave a diagnostic is. Only errors stop a compilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
    Note,
}

/// A message at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    pub message: String,
}

/// One finding. Build with [`Diagnostic::error`] or [`Diagnostic::warning`] and the `with_` methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    pub severity: Severity,
    pub headline: String,
    /// The exact place. `None` where there is none to point at (a missing file, a broken data file).
    pub primary: Option<Label>,
    pub labels: Vec<Label>,
    pub notes: Vec<String>,
    pub helps: Vec<String>,
}

impl Diagnostic {
    pub fn new(code: Code, severity: Severity, headline: impl Into<String>) -> Self {
        Self {
            code,
            severity,
            headline: headline.into(),
            primary: None,
            labels: Vec::new(),
            notes: Vec::new(),
            helps: Vec::new(),
        }
    }

    pub fn error(code: Code, headline: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, headline)
    }

    pub fn warning(code: Code, headline: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, headline)
    }

    /// Sets the primary label.
    pub fn at(mut self, span: Span, message: impl Into<String>) -> Self {
        self.primary = Some(Label { span, message: message.into() });
        self
    }

    /// Adds a secondary label.
    pub fn with_label(mut self, span: Span, message: impl Into<String>) -> Self {
        self.labels.push(Label { span, message: message.into() });
        self
    }

    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.helps.push(help.into());
        self
    }

    /// Adds "did you mean `NAME`?" when one of the candidates is close to what was written.
    pub fn with_suggestion<'a>(self, found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match closest(found, candidates) {
            Some(name) => self.with_help(format!("did you mean `{name}`?")),
            None => self,
        }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// The findings of a failed stage: at least one of them is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{:?}: {}", d.code, d.headline)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
