//! Diagnostics for people (annotated source) and for editors (JSON lines).

use super::{Diagnostic, SourceMap};

/// Renders diagnostics with source excerpts, coloured for a terminal.
pub fn render(_diagnostics: &[Diagnostic], _sources: &SourceMap) -> String {
    String::new()
}

/// The same without colour, stable to the byte.
pub fn render_plain(_diagnostics: &[Diagnostic], _sources: &SourceMap) -> String {
    String::new()
}

/// One JSON object a line.
pub fn to_json_lines(_diagnostics: &[Diagnostic], _sources: &SourceMap) -> String {
    String::new()
}
