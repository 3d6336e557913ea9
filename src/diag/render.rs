//! Diagnostics for people (annotated source) and for editors (JSON lines).
//!
//! Takes diagnostics and the texts that their spans point into; gives text that ends with a line break, in the look
//! of rustc. Changes nothing and decides nothing: order, wording and number are those of the input. Any span is
//! accepted: one that does not fit its text is moved to the nearest place that exists. Control characters in messages
//! are shown as escapes, so a text cannot steer the terminal.

use super::{Diagnostic, Label, Severity, SourceId, SourceMap, Span};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;
use std::borrow::Cow;
use std::ops::Range;

/// Columns that an excerpt may take; longer lines are cut around the labels.
const WIDTH: usize = 140;
/// Bytes of a line, counted from a label to either side, beyond which the rest is not even looked at.
const LONGEST_LINE: usize = 2_000;

/// Renders diagnostics with source excerpts, coloured for a terminal.
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    render_with(&Renderer::styled(), diagnostics, sources)
}

/// The same without colour, stable to the byte.
pub fn render_plain(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    render_with(&Renderer::plain(), diagnostics, sources)
}

fn render_with(renderer: &Renderer, diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let renderer = renderer.clone().term_width(WIDTH).decor_style(DecorStyle::Ascii);
    let mut text = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push('\n');
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    };
    let title = level.primary_title(printable(&diagnostic.headline)).id(diagnostic.code.as_str());
    let mut group = Group::with_title(title);
    for excerpt in excerpts(diagnostic, sources) {
        group = group.element(excerpt);
    }
    for note in &diagnostic.notes {
        group = group.element(Level::NOTE.message(printable(note)));
    }
    for help in &diagnostic.helps {
        group = group.element(Level::HELP.message(printable(help)));
    }
    group
}

/// One excerpt per text that the labels point into: the primary label's first, then in order of mention.
fn excerpts<'a>(diagnostic: &'a Diagnostic, sources: &'a SourceMap) -> Vec<Snippet<'a, Annotation<'a>>> {
    let primary = diagnostic.primary.iter().map(|label| (label, AnnotationKind::Primary));
    let labels: Vec<(&Label, AnnotationKind)> =
        primary.chain(diagnostic.labels.iter().map(|label| (label, AnnotationKind::Context))).collect();
    let mut order: Vec<SourceId> = Vec::new();
    for (label, _) in &labels {
        if !order.contains(&label.span.source) {
            order.push(label.span.source);
        }
    }
    let of_source = |source: SourceId| {
        let labels = labels.iter().filter(|(label, _)| label.span.source == source);
        excerpt(source, &labels.cloned().collect::<Vec<_>>(), sources)
    };
    order.into_iter().map(of_source).collect()
}

fn excerpt<'a>(
    source: SourceId,
    labels: &[(&'a Label, AnnotationKind)],
    sources: &'a SourceMap,
) -> Snippet<'a, Annotation<'a>> {
    let file = sources.file(source);
    let ranges: Vec<Range<usize>> = labels.iter().map(|(label, _)| range(label.span, &file.text)).collect();
    let first = ranges.iter().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.iter().map(|range| range.end).max().unwrap_or(0);
    let start = file.text[..first].rfind('\n').map_or(0, |at| at + 1);
    let end = file.text[last..].find('\n').map_or(file.text.len(), |length| last + length);
    let cut = cut(&file.text, start..end, &ranges);
    let annotations = labels.iter().zip(&ranges).map(|((label, kind), range)| {
        let text = (!label.message.is_empty()).then(|| printable(&label.message));
        kind.span(cut.position(range.start)..cut.position(range.end)).label(text)
    });
    Snippet::source(cut.text.clone())
        .path(file.name.as_str())
        .line_start(file.text[..start].matches('\n').count() + 1)
        .annotations(annotations)
}

/// A part of a text from which the far ends of very long lines are left out.
struct Cut<'a> {
    text: Cow<'a, str>,
    /// What is kept, in order: the original range, and where it stands in `text`.
    pieces: Vec<(Range<usize>, usize)>,
}

impl Cut<'_> {
    /// Where an offset of the original stands in the cut text.
    fn position(&self, offset: usize) -> usize {
        let next = self.pieces.partition_point(|(range, _)| range.start <= offset);
        match self.pieces.get(next.wrapping_sub(1)) {
            Some((range, at)) => at + (offset.min(range.end) - range.start),
            None => 0,
        }
    }
}

/// Keeps of each line in `whole` what lies within [`LONGEST_LINE`] of its beginning or of an end of a label.
fn cut<'a>(text: &'a str, whole: Range<usize>, labels: &[Range<usize>]) -> Cut<'a> {
    let is_long = text[whole.clone()].split('\n').any(|line| line.len() > 4 * LONGEST_LINE);
    if !is_long {
        return Cut { text: text[whole.clone()].into(), pieces: vec![(whole, 0)] };
    }
    let mut cut = Cut { text: Cow::default(), pieces: Vec::new() };
    let mut line_start = whole.start;
    for line in text[whole].split_inclusive('\n') {
        let line_end = line_start + line.len();
        let around =
            |offset: usize| offset.saturating_sub(LONGEST_LINE).max(line_start)..(offset + LONGEST_LINE).min(line_end);
        let ends = labels.iter().flat_map(|label| [label.start, label.end]);
        let mut keep: Vec<Range<usize>> =
            ends.filter(|end| (line_start..=line_end).contains(end)).map(around).collect();
        keep.push(line_start..(line_start + LONGEST_LINE).min(line_end));
        keep.push(line_end - 1..line_end);
        keep.sort_by_key(|range| range.start);
        let mut done = line_start;
        for range in keep {
            let start = floor_boundary(text, range.start.max(done));
            let end = floor_boundary(text, range.end);
            if end > start {
                cut.pieces.push((start..end, cut.text.len()));
                cut.text.to_mut().push_str(&text[start..end]);
                done = end;
            }
        }
        line_start = line_end;
    }
    cut
}

/// The bytes of a span, moved into the text and onto whole characters.
fn range(span: Span, text: &str) -> Range<usize> {
    let start = floor_boundary(text, span.start as usize);
    start..floor_boundary(text, span.end as usize).max(start)
}

/// The last character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Shows control characters as escapes, line breaks excepted.
fn printable(text: &str) -> Cow<'_, str> {
    let is_control = |c: char| c.is_control() && c != '\n';
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if is_control(c) { c.escape_debug().to_string() } else { c.to_string() }).collect()
}

/// A diagnostic as an editor reads it. Lines and columns count from 1, columns in characters, offsets in bytes.
#[derive(Serialize)]
struct JsonDiagnostic<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    /// `None` throughout where the diagnostic has no place.
    #[serde(flatten)]
    place: JsonPlace<'a>,
    label: Option<&'a str>,
    labels: Vec<JsonLabel<'a>>,
    notes: &'a [String],
    helps: &'a [String],
}

#[derive(Default, Serialize)]
struct JsonPlace<'a> {
    file: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    end_line: Option<usize>,
    end_column: Option<usize>,
    byte_start: Option<usize>,
    byte_end: Option<usize>,
}

#[derive(Serialize)]
struct JsonLabel<'a> {
    #[serde(flatten)]
    place: JsonPlace<'a>,
    message: &'a str,
}

/// One JSON object a line.
pub fn to_json_lines(diagnostics: &[Diagnostic], sources: &SourceMap) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        let label = |label: &'_ Label| json_place(label.span, sources);
        let value = JsonDiagnostic {
            code: diagnostic.code.as_str(),
            severity: match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            },
            message: &diagnostic.headline,
            place: diagnostic.primary.as_ref().map(label).unwrap_or_default(),
            label: diagnostic.primary.as_ref().map(|label| label.message.as_str()),
            labels: (diagnostic.labels.iter())
                .map(|label| JsonLabel { place: json_place(label.span, sources), message: &label.message })
                .collect(),
            notes: &diagnostic.notes,
            helps: &diagnostic.helps,
        };
        // Strings and numbers always serialize.
        if let Ok(line) = serde_json::to_string(&value) {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

fn json_place(span: Span, sources: &SourceMap) -> JsonPlace<'_> {
    let file = sources.file(span.source);
    let range = range(span, &file.text);
    let (line, column) = sources.line_column(Span::new(span.source, range.start, range.start));
    let (end_line, end_column) = sources.line_column(Span::new(span.source, range.end, range.end));
    JsonPlace {
        file: Some(&file.name),
        line: Some(line),
        column: Some(column),
        end_line: Some(end_line),
        end_column: Some(end_column),
        byte_start: Some(range.start),
        byte_end: Some(range.end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Code;

    fn sources() -> (SourceMap, SourceId, SourceId) {
        let mut sources = SourceMap::default();
        let spec = sources.add("model.anb", "input x: f32[batch, 3]\nlet y = x + ü\noutput z = y\n");
        let other = sources.add("blocks.anb", "fn f(a) {\n    return a\n}\n");
        (sources, spec, other)
    }

    #[test]
    fn labels_of_two_texts_are_shown_in_two_excerpts() {
        let (sources, spec, other) = sources();
        let error = Diagnostic::error(Code::E0301, "cannot add [batch, 3] and [batch]")
            .at(Span::new(spec, 31, 32), "f32[batch, 3]")
            .with_label(Span::new(spec, 35, 37), "f32[batch]")
            .with_label(Span::new(other, 21, 22), "made here")
            .with_note("axes align at the end")
            .with_help("write a 1");
        let expected = "\
error[E0301]: cannot add [batch, 3] and [batch]
 --> model.anb:2:9
  |
2 | let y = x + ü
  |         ^   - f32[batch]
  |         |
  |         f32[batch, 3]
  |
 ::: blocks.anb:2:12
  |
2 |     return a
  |            - made here
  |
  = note: axes align at the end
  = help: write a 1
";
        assert_eq!(render_plain(&[error], &sources), expected);
    }

    #[test]
    fn without_a_place_there_is_headline_and_notes() {
        let (sources, ..) = sources();
        let error = Diagnostic::error(Code::E0601, "cannot read `a\u{1b}[31mb`").with_note("no such file");
        let expected = "error[E0601]: cannot read `a\\u{1b}[31mb`\n |\n = note: no such file\n";
        assert_eq!(render_plain(&[error], &sources), expected);
    }

    #[test]
    fn spans_that_do_not_fit_and_the_end_of_the_text_are_shown() {
        let (sources, spec, _) = sources();
        let length = sources.file(spec).text.len();
        for (start, end) in [(length, length), (36, 36), (500, 900), (10, 5), (0, length)] {
            let error = Diagnostic::error(Code::E0101, "wrong").at(Span::new(spec, start, end), "here");
            let text = render_plain(std::slice::from_ref(&error), &sources);
            assert!(text.contains("here") && text.contains("model.anb:"), "{text}");
            assert!(to_json_lines(&[error], &sources).contains("\"label\":\"here\""));
        }
    }

    #[test]
    fn long_lines_are_cut_around_the_label() {
        let mut sources = SourceMap::default();
        let text = format!("let a = 1\nlet b = {}wrong{}\nlet c = 2\n", "é + ".repeat(200_000), " + é".repeat(200_000));
        let start = text.find("wrong").unwrap_or_default();
        let source = sources.add("long.anb", text);
        let error = Diagnostic::error(Code::E0101, "wrong").at(Span::new(source, start, start + 5), "here");
        let text = render_plain(&[error], &sources);
        assert!(text.len() < 2_000, "{} bytes", text.len());
        assert!(text.contains("wrong +") && text.contains("^^^^^ here"), "{text}");
    }

    #[test]
    fn json_has_places_in_bytes_and_in_lines() {
        let (sources, spec, _) = sources();
        let warning = Diagnostic::warning(Code::E0301, "a \"b\"").at(Span::new(spec, 35, 37), "c").with_help("d");
        let expected = r#"{"code":"E0301","severity":"warning","message":"a \"b\"","file":"model.anb","line":2,"column":13,"end_line":2,"end_column":14,"byte_start":35,"byte_end":37,"label":"c","labels":[],"notes":[],"helps":["d"]}"#;
        assert_eq!(to_json_lines(&[warning], &sources), format!("{expected}\n"));
    }
}
