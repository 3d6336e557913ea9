//! What goes wrong, as one error type that shows its place.

use crate::diag::{Diagnostic, Diagnostics, Severity, SourceMap, render_plain, to_json_lines};
use std::fmt;
use std::sync::Arc;

/// The findings that ended a call, at least one of them an error.
///
/// It displays as a compiler's message: what is wrong, the place in the spec where there is one, what was found and expected, and
/// a way out.
///
/// ```
/// let error = anabranch::Model::compile("input x: f32[batch, 3]\noutput y = x + z\n").unwrap_err();
/// assert_eq!(error.findings().next().unwrap().code(), "E0201");
/// assert!(error.to_string().starts_with("error[E0201]: "));
/// assert!(error.to_string().contains("spec.anb:2:16"));
/// ```
#[derive(Clone)]
pub struct Error {
    findings: Vec<Diagnostic>,
    sources: Arc<SourceMap>,
}

impl Error {
    pub(super) fn new(findings: impl Into<Diagnostics>, sources: &Arc<SourceMap>) -> Self {
        Self { findings: findings.into().0, sources: Arc::clone(sources) }
    }

    /// Each finding, in order.
    pub fn findings(&self) -> impl ExactSizeIterator<Item = Finding<'_>> {
        self.findings.iter().map(|diagnostic| Finding { diagnostic, sources: &self.sources })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(render_plain(&self.findings, &self.sources).trim_end())
    }
}

/// As it displays, since that is what a `main` that returns it prints.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// One thing that was found: an error, a warning or a note.
#[derive(Clone, Copy)]
pub struct Finding<'a> {
    pub(super) diagnostic: &'a Diagnostic,
    pub(super) sources: &'a SourceMap,
}

/// Where in a text something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place<'a> {
    /// the name of the text
    pub file: &'a str,
    /// from 1
    pub line: usize,
    /// from 1, in characters
    pub column: usize,
}

impl<'a> Finding<'a> {
    /// Its stable code, such as `E0301`; `anabranch explain CODE` says more.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.diagnostic.code.as_str()
    }

    /// Whether it is more than a warning.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.diagnostic.severity == Severity::Error
    }

    /// What is wrong, in one line.
    #[must_use]
    pub fn message(&self) -> &'a str {
        &self.diagnostic.headline
    }

    /// Where it is wrong; `None` where no text is at fault, as with data.
    #[must_use]
    pub fn place(&self) -> Option<Place<'a>> {
        let span = self.diagnostic.primary.as_ref()?.span;
        let (line, column) = self.sources.line_column(span);
        Some(Place { file: &self.sources.file(span.source).name, line, column })
    }

    /// What was found, and what was expected.
    #[must_use]
    pub fn notes(&self) -> &'a [String] {
        &self.diagnostic.notes
    }

    /// All of it as a JSON object, as `anabranch --message-format json` writes it.
    #[must_use]
    pub fn to_json(&self) -> String {
        to_json_lines(std::slice::from_ref(self.diagnostic), self.sources).trim_end().to_string()
    }

    /// Ways out.
    #[must_use]
    pub fn helps(&self) -> &'a [String] {
        &self.diagnostic.helps
    }
}

impl fmt::Display for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(render_plain(std::slice::from_ref(self.diagnostic), self.sources).trim_end())
    }
}

impl fmt::Debug for Finding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
