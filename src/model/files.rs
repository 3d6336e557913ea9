//! Specs from files.

use crate::data::open_regular;
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, SourceMap, Span};
use crate::syntax::MAXIMUM_TEXT;
use std::io::Read;
use std::path::Path;

/// Reads a text and adds it to the sources. `span` is where the file is named, if it is.
///
/// # Errors
/// E0601, and E0103 for a text that is too long to be a spec.
pub(crate) fn read_text(sources: &mut SourceMap, path: &Path, span: Option<Span>) -> Result<SourceId, Diagnostics> {
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
    Ok(sources.add(name.to_string(), text))
}

/// Reads a file that a spec uses.
///
/// # Errors
/// When it cannot be read, or is too long to be a spec.
pub(crate) fn read_used(path: &str) -> std::io::Result<String> {
    let (mut file, len) = open_regular(Path::new(path))?;
    if len > MAXIMUM_TEXT as u64 {
        let reason = format!("{len} bytes; at most {MAXIMUM_TEXT} are read");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, reason));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}
