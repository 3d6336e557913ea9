//! Text with optional line breaks, and the choice of those that keep it within the page.
//!
//! Takes a [`Document`] and gives text. A group stands on one line if it fits, else all its own breaks are taken. Source:
//! Wadler, "A prettier printer" (2003), with forced breaks for comments. Line breaks never double and lines never end
//! in white space, so a break may be asked for wherever one could be needed.

use super::super::parse::MAXIMUM_TEXT;

/// A piece of text and the ways to break it.
#[derive(Clone, Debug)]
pub(super) enum Document {
    Text(String),
    /// A comment up to the end of its line; it takes no room, and a `Break` must follow.
    Comment(String),
    /// A space, or a line break when the group is broken.
    Line,
    /// Nothing, or a line break when the group is broken.
    SoftLine,
    /// Always a line break; breaks every group around it.
    Break,
    /// Only in a broken group.
    IfBroken(&'static str),
    /// Indented by one level after a line break.
    Nest(Parts),
    /// On one line if it fits.
    Group(Parts),
}

/// Documents one behind the other, and whether a `Break` is somewhere among them: asked at every level of nesting, so
/// it is worked out once.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    parts: Vec<Document>,
    has_break: bool,
}

impl From<Vec<Document>> for Parts {
    fn from(parts: Vec<Document>) -> Self {
        let has_break = parts.iter().any(Document::has_break);
        Self { parts, has_break }
    }
}

impl Document {
    pub fn group(parts: Vec<Document>) -> Self {
        Self::Group(parts.into())
    }

    pub fn nest(parts: Vec<Document>) -> Self {
        Self::Nest(parts.into())
    }

    fn has_break(&self) -> bool {
        match self {
            Self::Break => true,
            Self::Nest(parts) | Self::Group(parts) => parts.has_break,
            _ => false,
        }
    }
}

/// Spaces of one level of indentation.
pub(super) const INDENT: usize = 4;

/// What is left to write: a document, its indentation, and whether the group around it is broken.
type Rest<'d> = Vec<(&'d Document, usize, bool)>;

/// Writes `parts`, the first line of which begins at `indent`, behind `text`.
pub(super) fn write(parts: &[Document], indent: usize, width: usize, text: &mut String) {
    let mut rest: Rest<'_> = parts.iter().rev().map(|part| (part, indent, true)).collect();
    let line_start = |text: &str| text.rfind('\n').map_or(0, |at| at + 1);
    let mut column = text[line_start(text)..].chars().count();
    // A line break is written when something follows it.
    let mut pending: Option<usize> = None;
    while let Some((document, indent, broken)) = rest.pop() {
        // A longer text is refused: its rest need not be written.
        if text.len() > MAXIMUM_TEXT {
            return;
        }
        let written = match document {
            Document::Text(piece) | Document::Comment(piece) => piece.as_str(),
            Document::IfBroken(piece) if broken => piece,
            Document::Line if !broken => " ",
            Document::Break => {
                pending = Some(indent);
                continue;
            }
            Document::Line | Document::SoftLine if broken => {
                pending = Some(indent);
                continue;
            }
            Document::Nest(parts) => {
                rest.extend(parts.parts.iter().rev().map(|part| (part, indent + INDENT, broken)));
                continue;
            }
            Document::Group(parts) => {
                let at = pending.unwrap_or(column);
                let breaks = document.has_break() || !fits(document, &rest, width.saturating_sub(at));
                rest.extend(parts.parts.iter().rev().map(|part| (part, indent, breaks)));
                continue;
            }
            _ => continue,
        };
        let written = if pending.is_some() { written.trim_start() } else { written };
        if written.is_empty() {
            continue;
        }
        if let Some(indent) = pending.take() {
            text.truncate(text.trim_end_matches(' ').len());
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
        text.push_str(written);
        column += written.chars().count();
    }
}

/// Whether `group` on one line, with what follows it up to the next possible break, takes at most `room` columns.
fn fits(group: &Document, rest: &Rest<'_>, room: usize) -> bool {
    let mut room = room;
    let mut following = rest.iter().rev();
    let mut stack = vec![(group, false)];
    loop {
        let (document, broken) = match stack.pop() {
            Some(next) => next,
            None => match following.next() {
                Some(&(document, _, broken)) => (document, broken),
                None => return true,
            },
        };
        let length = match document {
            Document::Text(piece) => piece.chars().count(),
            Document::IfBroken(piece) if broken => piece.len(),
            Document::Break | Document::Comment(_) => return true,
            Document::Line | Document::SoftLine if broken => return true,
            Document::Line => 1,
            Document::Nest(parts) => {
                stack.extend(parts.parts.iter().rev().map(|part| (part, broken)));
                0
            }
            // Groups that follow may be broken at their first chance, those inside are flat like this one.
            Document::Group(parts) => {
                stack.extend(parts.parts.iter().rev().map(|part| (part, broken)));
                0
            }
            _ => 0,
        };
        if length > room {
            return false;
        }
        room -= length;
    }
}
