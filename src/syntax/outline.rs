//! A text of definitions, cut into them before any is parsed.
//!
//! Takes a text; gives the name of each definition, the words it uses, and the trees of those that are wanted. The standard
//! library is read by it: a spec needs a few of its definitions, and parsing all would take longer than compiling most
//! specs.

use super::ast::File;
use super::parse::parse_chunk;
use super::scan::{Scan, TokenKind, scan};
use crate::diag::{Diagnostic, SourceId, SourceMap, Span};
use std::sync::Arc;

/// A text of definitions of which none is parsed yet.
#[derive(Debug)]
pub struct Outline {
    source: SourceId,
    text: Arc<str>,
    scan: Scan,
}

/// Words that begin a definition.
const DEFINITION_WORDS: &[&str] = &["fn", "layer", "combiner", "optimizer", "initializer"];

impl Outline {
    /// Of a text that follows the grammar.
    pub fn new(sources: &SourceMap, source: SourceId) -> Self {
        let text = Arc::clone(&sources.file(source).text);
        let scan = scan(&text);
        Self { source, text, scan }
    }

    /// How many statements the text has.
    pub fn len(&self) -> usize {
        self.scan.chunks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.scan.chunks.is_empty()
    }

    /// What a statement defines; `None` where it is no definition.
    pub fn name(&self, statement: usize) -> Option<&str> {
        let mut words = self.words(statement);
        words.find(|word| DEFINITION_WORDS.contains(word))?;
        words.next()
    }

    /// The names and keywords in a statement, as often as they stand there.
    pub fn words(&self, statement: usize) -> impl Iterator<Item = &str> {
        let end = self.scan.chunks.get(statement + 1).copied().unwrap_or(self.text.len());
        let (first, last) = (self.scan.token_at(self.scan.chunks[statement]), self.scan.token_at(end));
        words_of(&self.text, &self.scan.tokens[first..last])
    }

    /// The tree of some of the statements, in order.
    pub fn parse(&self, statements: impl Iterator<Item = usize>) -> (File, Vec<Diagnostic>) {
        let mut file = File { statements: Vec::new(), span: Span::new(self.source, 0, self.text.len()) };
        let mut errors = Vec::new();
        for statement in statements {
            parse_chunk(&self.text, &self.scan, statement, &mut file, &mut errors);
        }
        (file, errors)
    }
}

/// The names and keywords of any text, as often as they stand there.
pub fn words(text: &str) -> Vec<&str> {
    words_of(text, &scan(text).tokens).collect()
}

fn words_of<'t>(text: &'t str, tokens: &[super::scan::Token]) -> impl Iterator<Item = &'t str> {
    let words = tokens.iter().filter(|token| token.kind == TokenKind::Word);
    words.map(|token| &text[token.start..token.end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wanted_is_parsed() {
        let mut sources = SourceMap::default();
        let text = "# Twice.\nfn twice(x) { return 2 * x }\n\nfn broken(x) { return return }\n\n@allow(unused)\nlayer deep(x) { return twice(x) }\n";
        let id = sources.add("some.anb", text);
        let outline = Outline::new(&sources, id);
        let names: Vec<_> = (0..outline.len()).map(|statement| outline.name(statement)).collect();
        // Before the first statement there is the comment above it.
        assert_eq!(names, [None, Some("twice"), Some("broken"), Some("deep")]);
        let words: Vec<_> = outline.words(3).collect();
        assert_eq!(words, ["allow", "unused", "layer", "deep", "x", "return", "twice", "x"]);
        let (file, errors) = outline.parse([1, 3].into_iter());
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(file.statements.len(), 2);
        assert_eq!(file.statements[0].doc.len(), 1);
    }
}
