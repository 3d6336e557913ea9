//! Where the keys and values of a YAML text stand.
//!
//! The YAML crate gives values without places, so this reads the text a second time for places alone: block and flow
//! mappings and lists, plain and quoted scalars, comments, block scalars. It takes any text, decides nothing about its
//! meaning and never fails. Where a text is beyond it (anchors, tags, explicit keys) the places are coarser, and a lookup
//! falls back to the nearest enclosing key it knows, then to the first line.

use std::ops::Range;

use indexmap::IndexMap;

/// Mappings and lists nested deeper than this are one scalar here.
const DEEPEST: usize = 64;

/// The places in one text.
#[derive(Debug)]
pub(super) struct Places {
    root: Node,
    first_line: Range<usize>,
}

#[derive(Debug)]
struct Node {
    place: Range<usize>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Scalar,
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    key: String,
    place: Range<usize>,
    value: Node,
}

impl Places {
    pub(super) fn of(text: &str) -> Self {
        let mut scanner = Scanner { text, at: 0, depth: 0 };
        let root = scanner.block(0).unwrap_or(Node { place: 0..0, kind: Kind::Scalar });
        let first = text.lines().next().unwrap_or_default().trim_end().len();
        Self { root, first_line: 0..first }
    }

    /// The place of the last key of a path; list items are named by their index.
    pub(super) fn key(&self, path: &[&str]) -> Range<usize> {
        self.find(path).map_or(self.first_line.clone(), |(key, _)| key)
    }

    /// The place of the value at a path, or of its key when the value is empty.
    pub(super) fn value(&self, path: &[&str]) -> Range<usize> {
        match self.find(path) {
            Some((key, value)) if value.is_empty() => key,
            Some((_, value)) => value,
            None => self.first_line.clone(),
        }
    }

    fn find(&self, path: &[&str]) -> Option<(Range<usize>, Range<usize>)> {
        let mut node = &self.root;
        let mut found = None;
        for step in path {
            match &node.kind {
                Kind::Map(entries) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *step) else { break };
                    found = Some((entry.place.clone(), entry.value.place.clone()));
                    node = &entry.value;
                }
                Kind::List(items) => {
                    let Some(item) = step.parse::<usize>().ok().and_then(|at| items.get(at)) else { break };
                    found = Some((item.place.clone(), item.place.clone()));
                    node = item;
                }
                Kind::Scalar => break,
            }
        }
        found
    }

    /// The first key that stands twice in one mapping: its name, its first place and its second.
    pub(super) fn duplicate(&self) -> Option<(&str, Range<usize>, Range<usize>)> {
        fn search(node: &Node) -> Option<(&str, Range<usize>, Range<usize>)> {
            match &node.kind {
                Kind::Scalar => None,
                Kind::List(items) => items.iter().find_map(search),
                Kind::Map(entries) => {
                    let mut seen: IndexMap<&str, &Entry> = IndexMap::new();
                    entries.iter().find_map(|entry| match seen.insert(&entry.key, entry) {
                        Some(earlier) => Some((entry.key.as_str(), earlier.place.clone(), entry.place.clone())),
                        None => search(&entry.value),
                    })
                }
            }
        }
        search(&self.root)
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn line_end(&self) -> usize {
        self.text[self.at..].find('\n').map_or(self.text.len(), |len| self.at + len)
    }

    fn column(&self) -> usize {
        self.at - self.text[..self.at].rfind('\n').map_or(0, |at| at + 1)
    }

    fn at_line_start(&self) -> bool {
        self.at == 0 || self.byte(self.at - 1) == Some(b'\n')
    }

    /// Whether the byte at `at` ends a word: white space or the end of the text.
    fn is_break(&self, at: usize) -> bool {
        self.byte(at).is_none_or(|byte| byte.is_ascii_whitespace())
    }

    fn skip_spaces(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips white space, comments and document markers. False at the end of the text.
    fn skip_to_content(&mut self) -> bool {
        loop {
            self.skip_spaces();
            let rest = &self.text[self.at..];
            match self.peek() {
                None => return false,
                Some(b'\n') => self.at += 1,
                Some(b'#') => self.at = self.line_end(),
                Some(b'-') if rest.starts_with("---") && self.at_line_start() && self.is_break(self.at + 3) => {
                    self.at += 3;
                }
                Some(_) => return true,
            }
        }
    }

    /// The block node that begins at the next content, when that stands at `least` columns or further in.
    fn block(&mut self, least: usize) -> Option<Node> {
        if !self.skip_to_content() || self.column() < least {
            return None;
        }
        if self.depth >= DEEPEST {
            let place = self.at..self.text.len();
            self.at = self.text.len();
            return Some(Node { place, kind: Kind::Scalar });
        }
        self.depth += 1;
        let node = if self.peek() == Some(b'-') && self.is_break(self.at + 1) {
            self.block_list()
        } else if self.peek_key() {
            self.block_map()
        } else {
            self.inline(least)
        };
        self.depth -= 1;
        Some(node)
    }

    fn block_list(&mut self) -> Node {
        let (start, column) = (self.at, self.column());
        let mut items = Vec::new();
        let mut end = start;
        while self.skip_to_content()
            && self.column() == column
            && self.peek() == Some(b'-')
            && self.is_break(self.at + 1)
        {
            let dash = self.at..self.at + 1;
            self.at += 1;
            let item = self.block(column + 1).unwrap_or(Node { place: dash, kind: Kind::Scalar });
            end = item.place.end.max(end);
            items.push(item);
        }
        Node { place: start..end, kind: Kind::List(items) }
    }

    fn block_map(&mut self) -> Node {
        let (start, column) = (self.at, self.column());
        let mut entries: Vec<Entry> = Vec::new();
        let mut end = start;
        while self.skip_to_content() && self.column() == column && self.peek_key() {
            let (key, place) = self.key();
            end = place.end;
            // Past the colon, which `peek_key` has seen.
            self.skip_spaces();
            self.at += 1;
            self.skip_spaces();
            let value = match self.peek() {
                None | Some(b'\n' | b'#') => self.block_below(column),
                Some(_) => Some(self.inline(column + 1)),
            };
            let value = value.unwrap_or(Node { place: end..end, kind: Kind::Scalar });
            end = value.place.end.max(end);
            entries.push(Entry { key, place, value });
        }
        Node { place: start..end, kind: Kind::Map(entries) }
    }

    /// The value below a key: further in, or a list at the key's own column.
    fn block_below(&mut self, column: usize) -> Option<Node> {
        let start = self.at;
        let list_here = self.skip_to_content()
            && self.column() == column
            && self.peek() == Some(b'-')
            && self.is_break(self.at + 1);
        self.at = start;
        self.block(if list_here { column } else { column + 1 })
    }

    /// A value that begins here, on a key's line; what it continues on later lines stands at `least` or further in.
    fn inline(&mut self, least: usize) -> Node {
        let node = match self.peek() {
            Some(b'{' | b'[') => self.flow(),
            Some(b'"' | b'\'') => self.quoted(),
            _ => {
                let start = self.at;
                let line = &self.text[start..self.line_end()];
                let len = line.find(" #").unwrap_or(line.len());
                self.at += len;
                Node { place: start..start + line[..len].trim_end().len(), kind: Kind::Scalar }
            }
        };
        self.at = self.line_end();
        // Continuation lines of a block scalar or of a plain one that is folded.
        loop {
            let before = self.at;
            let continues = self.skip_to_content() && self.column() >= least.max(1);
            if !continues {
                self.at = before;
                return node;
            }
            self.at = self.line_end();
        }
    }

    /// Whether a key and its colon begin here.
    fn peek_key(&mut self) -> bool {
        let start = self.at;
        let (key, _) = self.key();
        self.skip_spaces();
        let found = !(key.is_empty() && self.at == start) && self.peek() == Some(b':') && self.is_break(self.at + 1);
        self.at = start;
        found
    }

    /// Reads the key that begins here, up to its colon, and leaves the scanner after the key.
    fn key(&mut self) -> (String, Range<usize>) {
        if matches!(self.peek(), Some(b'"' | b'\'')) {
            let node = self.quoted();
            let inner = &self.text[node.place.clone()];
            let inner = inner.get(1..inner.len().saturating_sub(1)).unwrap_or_default();
            return (inner.to_owned(), node.place);
        }
        let start = self.at;
        let end = self.line_end();
        let mut at = start;
        while at < end && !(self.byte(at) == Some(b':') && self.is_break(at + 1)) {
            at += 1;
        }
        let key = self.text[start..at].trim_end();
        self.at = start + key.len();
        (key.to_owned(), start..self.at)
    }

    fn quoted(&mut self) -> Node {
        let start = self.at;
        let quote = self.peek();
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += 1;
            if byte == b'\\' && quote == Some(b'"') {
                self.at = (self.at + 1).min(self.text.len());
            } else if Some(byte) == quote {
                if quote == Some(b'\'') && self.peek() == quote {
                    self.at += 1;
                    continue;
                }
                break;
            }
        }
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
        Node { place: start..self.at, kind: Kind::Scalar }
    }

    /// A flow mapping or list that begins here.
    fn flow(&mut self) -> Node {
        let start = self.at;
        if self.depth >= DEEPEST {
            self.at = self.text.len();
            return Node { place: start..self.at, kind: Kind::Scalar };
        }
        self.depth += 1;
        let is_map = self.peek() == Some(b'{');
        self.at += 1;
        let mut entries = Vec::new();
        let mut items = Vec::new();
        while self.skip_to_content() {
            match self.peek() {
                Some(b'}' | b']') => {
                    self.at += 1;
                    break;
                }
                Some(b',') => self.at += 1,
                _ if is_map => entries.push(self.flow_entry()),
                _ => items.push(self.flow_value()),
            }
        }
        self.depth -= 1;
        Node { place: start..self.at, kind: if is_map { Kind::Map(entries) } else { Kind::List(items) } }
    }

    fn flow_entry(&mut self) -> Entry {
        let key = self.flow_value();
        let text = &self.text[key.place.clone()];
        let name = text.trim_matches(|c| c == '"' || c == '\'').to_owned();
        let has_value = self.skip_to_content() && self.peek() == Some(b':');
        let mut value = Node { place: self.at..self.at, kind: Kind::Scalar };
        if has_value {
            self.at += 1;
            if self.skip_to_content() && !matches!(self.peek(), Some(b',' | b'}' | b']')) {
                value = self.flow_value();
            }
        }
        Entry { key: name, place: key.place, value }
    }

    fn flow_value(&mut self) -> Node {
        match self.peek() {
            Some(b'{' | b'[') => return self.flow(),
            Some(b'"' | b'\'') => return self.quoted(),
            _ => {}
        }
        let start = self.at;
        // The first character belongs to the scalar whatever it is, so that every call makes progress.
        let first = self.text[start..].chars().next().map_or(0, char::len_utf8);
        let mut at = start + first;
        loop {
            let stops = match self.byte(at) {
                None | Some(b'\n' | b',' | b'[' | b']' | b'{' | b'}') => true,
                Some(b':') => self.is_break(at + 1) || matches!(self.byte(at + 1), Some(b',' | b'}' | b']')),
                Some(b'#') => self.byte(at - 1) == Some(b' '),
                _ => false,
            };
            if stops {
                break;
            }
            at += 1;
        }
        self.at = at;
        Node { place: start..start + self.text[start..at].trim_end().len(), kind: Kind::Scalar }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# comment\nspec: a.anb   # why\ndata:\n  train: { file: \"d.csv\", rows: 0..5 }\n  test:\n    file: t.csv\n  columns: {\n    image: [a, b],  # two\n    'digit': d }\nlist:\n- one\n- k: v\nnote: |\n  text: not a key\nepochs: 3\nempty:\n";

    #[test]
    fn keys_and_values_are_found_in_both_styles() {
        let places = Places::of(TEXT);
        let value = |path: &[&str]| &TEXT[places.value(path)];
        let key = |path: &[&str]| &TEXT[places.key(path)];
        assert_eq!(value(&["spec"]), "a.anb");
        assert_eq!(value(&["data", "train", "file"]), "\"d.csv\"");
        assert_eq!(value(&["data", "train", "rows"]), "0..5");
        assert_eq!(value(&["data", "test", "file"]), "t.csv");
        assert_eq!(value(&["data", "columns", "image", "1"]), "b");
        assert_eq!(value(&["data", "columns", "digit"]), "d");
        assert_eq!(key(&["data", "columns", "digit"]), "'digit'");
        assert_eq!(value(&["list", "1", "k"]), "v");
        assert_eq!(key(&["epochs"]), "epochs");
        assert_eq!(value(&["epochs"]), "3");
        assert_eq!(value(&["empty"]), "empty");
        assert_eq!(key(&["data", "nothing"]), "data");
        assert_eq!(key(&["nothing"]), "# comment");
    }

    #[test]
    fn a_key_that_stands_twice_is_found() {
        let text = "a: 1\nb: { x: 1, x: 2 }\n";
        let places = Places::of(text);
        let (name, first, second) = places.duplicate().unwrap();
        assert_eq!((name, first.start, second.start), ("x", 10, 16));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-c:\\-{}\\[\\],'\"#|>&*! \n\\\\é]{0,80}") {
            let places = Places::of(&text);
            let _ = (places.value(&["a", "b"]), places.duplicate().is_some());
            prop_assert!(text.get(places.key(&["a"])).is_some());
        }
    }

    #[test]
    fn deep_nesting_is_cut() {
        Places::of(&"[".repeat(100_000));
        Places::of(&"{a: ".repeat(100_000));
        Places::of(&"- ".repeat(20_000));
    }
}
