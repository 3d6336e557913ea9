//! Source files and spans: where a piece of program text stands.
//!
//! A [`SourceMap`] owns every text that takes part in a compilation (the spec, the files it uses, the standard
//! library, a run config). A [`Span`] is a half-open range of *byte* offsets in one of them. Spans are copied
//! freely: every syntax node, graph node and diagnostic carries one.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

/// One text in a [`SourceMap`], and in no other map.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// counts the maps of this process
    map: u32,
    /// position in the map
    at: u32,
}

impl SourceId {
    /// A text that stands in no map: the place of what was never written in the language.
    pub const NOWHERE: Self = Self { map: 0, at: 0 };
}

/// Without the map, of which one process has more than another.
impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceId({})", self.at)
    }
}

/// A half-open byte range in one source text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub source: SourceId,
    pub start: u32,
    pub end: u32,
}

impl Span {
    /// A span of `start..end` bytes. Offsets beyond 4 GiB saturate: such a file is refused long before.
    pub fn new(source: SourceId, start: usize, end: usize) -> Self {
        let clamp = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { source, start: clamp(start), end: clamp(end) }
    }

    /// The smallest span that covers both; `other` is ignored when it lies in another text.
    pub fn to(self, other: Span) -> Span {
        if self.source != other.source {
            return self;
        }
        Span { source: self.source, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// One source text with the name it is reported under.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path as the user gave it, or `std/NAME.anb` for the standard library.
    pub name: String,
    pub text: Arc<str>,
}

/// All texts of one compilation.
#[derive(Clone, Debug)]
pub struct SourceMap {
    /// that of no other map; a clone knows the ids of the original
    map: u32,
    files: Vec<SourceFile>,
}

impl Default for SourceMap {
    fn default() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self { map: NEXT.fetch_add(1, Ordering::Relaxed), files: Vec::new() }
    }
}

impl SourceMap {
    /// Adds a text and returns its id.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> SourceId {
        let id = SourceId { map: self.map, at: u32::try_from(self.files.len()).unwrap_or(u32::MAX) };
        self.files.push(SourceFile { name: name.into(), text: text.into() });
        id
    }

    /// The file of an id; none when this map gave out no such id.
    pub fn get(&self, id: SourceId) -> Option<&SourceFile> {
        if id.map == self.map { self.files.get(id.at as usize) } else { None }
    }

    /// The file of an id; an empty one without a name when this map gave out no such id, so that findings about another
    /// map's texts can be shown all the same.
    pub fn file(&self, id: SourceId) -> &SourceFile {
        static NONE: LazyLock<SourceFile> =
            LazyLock::new(|| SourceFile { name: "a text that is not at hand".into(), text: "".into() });
        self.get(id).unwrap_or(&NONE)
    }

    /// The text under a span; empty when the span does not fit the text.
    pub fn snippet(&self, span: Span) -> &str {
        self.file(span.source).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// 1-based line and column (in characters) of a span's start.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let text = &self.file(span.source).text;
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}
