//! One fast look over a text before it is parsed: its tokens, comments, brackets and places to start again.
//!
//! Takes any text and always succeeds, in linear time and without recursion. Gives the tokens (what an error points
//! at, and what the formatter sets), the comments, the depth of nesting, which bracket closes which, and the *chunks*:
//! the top-level statements, found by a keyword of an item at the beginning of a line outside matched brackets.
//! The parser reads chunk by chunk, so one broken statement hides no other.
//!
//! Knows nothing of the grammar beyond its tokens.

/// What a token is, as far as a scan can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    Number,
    /// `closed` is false when the line ends before the quote.
    String {
        closed: bool,
    },
    Open,
    Close,
    /// An operator or a sign.
    Symbol,
    /// A character that no token begins with.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub start: usize,
    pub end: usize,
    pub kind: TokenKind,
    /// 0-based.
    pub line: usize,
    /// Whether no other token stands before it on its line.
    pub first_on_line: bool,
    /// For a bracket: the index of the token that closes or opens it.
    pub partner: Option<usize>,
}

/// `# …` to the end of its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment {
    pub start: usize,
    /// Before the line break.
    pub end: usize,
    pub line: usize,
    /// Whether it has the line to itself.
    pub own_line: bool,
}

/// The result of [`scan`].
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
    /// The most brackets open at once, and the token that opened the last of them.
    pub depth: usize,
    pub deepest: usize,
    /// Where each chunk begins; together they cover the text.
    pub chunks: Vec<usize>,
}

/// Words that begin a statement.
pub(super) const STATEMENT_WORDS: &[&str] = &[
    "const",
    "input",
    "target",
    "param",
    "state",
    "update",
    "let",
    "layer",
    "output",
    "loss",
    "metric",
    "fn",
    "combiner",
    "optimizer",
    "initializer",
    "train",
    "assert",
    "use",
    "return",
    "if",
];

/// Words that cannot be the name behind a keyword, or that go on with a value: a keyword before them is a name itself.
const NO_NAMES: &[&str] = &[
    "in", "every", "trains", "never", "over", "for", "and", "or", "is", "else", "only", "epoch", "let", "return", "if",
    "not", "true", "false", "none",
];

/// Longest first.
const SYMBOLS: &[&str] = &["...", "|>", "**", "==", "!=", "<=", ">=", "//", "->", "&&", "||", "=>", ":="];

/// What some editors put before a text.
pub(super) const BYTE_ORDER_MARK: char = '\u{feff}';

pub(super) fn scan(text: &str) -> Scan {
    let mut result = Scan::default();
    let bytes = text.as_bytes();
    let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let (mut at, mut line, mut first_on_line) = (start, 0, true);
    while at < bytes.len() {
        match bytes[at] {
            b'\n' => {
                line += 1;
                first_on_line = true;
                at += 1;
            }
            b' ' | b'\t' | b'\r' => at += 1,
            b'#' => {
                let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
                let trimmed = at + text[at..end].trim_end().len();
                result.comments.push(Comment { start: at, end: trimmed, line, own_line: first_on_line });
                at = end;
            }
            _ => {
                let (kind, end) = token(text, at);
                result.tokens.push(Token { start: at, end, kind, line, first_on_line, partner: None });
                first_on_line = false;
                at = end;
            }
        }
    }
    match_brackets(text, &mut result);
    find_chunks(text, &mut result);
    result
}

/// The token that begins at `at`, which is neither white space nor a comment.
fn token(text: &str, at: usize) -> (TokenKind, usize) {
    let rest = &text[at..];
    let bytes = rest.as_bytes();
    let run = |accept: fn(u8) -> bool| bytes.iter().position(|&b| !accept(b)).unwrap_or(bytes.len());
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    match bytes[0] {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => (TokenKind::Word, at + run(is_word)),
        b'0'..=b'9' => (TokenKind::Number, at + number_length(bytes)),
        b'"' => {
            let (closed, length) = string_length(bytes);
            (TokenKind::String { closed }, at + length)
        }
        b'(' | b'[' | b'{' => (TokenKind::Open, at + 1),
        b')' | b']' | b'}' => (TokenKind::Close, at + 1),
        _ => {
            if let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
                return (TokenKind::Symbol, at + symbol.len());
            }
            let length = rest.chars().next().map_or(1, char::len_utf8);
            let kind = if b"+-*/%@=<>,:.?".contains(&bytes[0]) { TokenKind::Symbol } else { TokenKind::Unknown };
            (kind, at + length)
        }
    }
}

/// Digits, a fraction and an exponent, and any letters that touch them.
fn number_length(bytes: &[u8]) -> usize {
    let is_word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut at = 0;
    loop {
        let exponent_sign = matches!(bytes.get(at), Some(b'+' | b'-'))
            && matches!(bytes.get(at - 1), Some(b'e' | b'E'))
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            && bytes[..at - 1].iter().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'.'));
        let point = bytes.get(at) == Some(&b'.')
            && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
            && !bytes[..at].contains(&b'.');
        // The look back is over one number; texts made of one endless number would make it quadratic.
        if is_word(bytes.get(at)) || (at < 400 && (exponent_sign || point)) {
            at += 1;
        } else {
            return at;
        }
    }
}

fn string_length(bytes: &[u8]) -> (bool, usize) {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return (true, at + 1),
            b'\\' if bytes.get(at + 1).is_some_and(|b| b.is_ascii() && *b != b'\n') => at += 2,
            b'\n' => break,
            _ => at += 1,
        }
    }
    // A carriage return before the line break is no part of the text.
    (false, if bytes[at - 1] == b'\r' { at - 1 } else { at })
}

/// Pairs brackets. One that closes pairs with the nearest open one of its kind; those in between stay alone.
fn match_brackets(text: &str, result: &mut Scan) {
    let bytes = text.as_bytes();
    let mut open: Vec<usize> = Vec::new();
    // How many of each kind are open, so that a stray bracket is known without a search.
    let mut counts = [0usize; 3];
    let kind_of = |byte: u8| match byte {
        b'(' | b')' => 0,
        b'[' | b']' => 1,
        _ => 2,
    };
    for index in 0..result.tokens.len() {
        let token = result.tokens[index];
        let kind = kind_of(bytes[token.start]);
        // No statement stands in round or square brackets: those still open were forgotten.
        let in_list = open.last().is_some_and(|&last| bytes[result.tokens[last].start] != b'{');
        if in_list && token.first_on_line && begins_statement(text, &result.tokens, index) {
            while let Some(opener) = open.pop_if(|&mut last| bytes[result.tokens[last].start] != b'{') {
                counts[kind_of(bytes[result.tokens[opener].start])] -= 1;
            }
        }
        match token.kind {
            TokenKind::Open => {
                open.push(index);
                counts[kind] += 1;
                if open.len() > result.depth {
                    result.depth = open.len();
                    result.deepest = index;
                }
            }
            TokenKind::Close if counts[kind] > 0 => {
                while let Some(opener) = open.pop() {
                    let opener_kind = kind_of(bytes[result.tokens[opener].start]);
                    counts[opener_kind] -= 1;
                    if opener_kind == kind {
                        result.tokens[opener].partner = Some(index);
                        result.tokens[index].partner = Some(opener);
                        break;
                    }
                }
            }
            _ => {}
        }
    }
}

/// A chunk begins where a line begins with an annotation, or with a statement's keyword and a name behind it.
fn find_chunks(text: &str, result: &mut Scan) {
    result.chunks.push(0);
    let tokens = &result.tokens;
    // Inside a matched pair until this token.
    let mut inside_until = 0;
    let mut after_annotation = false;
    for (index, token) in tokens.iter().enumerate() {
        if token.kind == TokenKind::Open {
            inside_until = inside_until.max(token.partner.unwrap_or(0));
        }
        let at_line_start = token.start == 0 || text.as_bytes()[token.start - 1] == b'\n';
        if index <= inside_until && inside_until > 0 || !at_line_start || !begins_statement(text, tokens, index) {
            continue;
        }
        let is_annotation = &text[token.start..token.end] == "@";
        if !after_annotation && token.start > 0 {
            result.chunks.push(token.start);
        }
        after_annotation = is_annotation;
    }
}

/// Whether a statement or an annotation surely begins at this token. (`if` does not count: it begins values too.)
pub(super) fn begins_statement(text: &str, tokens: &[Token], index: usize) -> bool {
    let token = tokens[index];
    let word = &text[token.start..token.end];
    let Some(next) = tokens.get(index + 1) else { return false };
    if word == "@" {
        return next.kind == TokenKind::Word && next.start == token.end;
    }
    let next_word = &text[next.start..next.end];
    STATEMENT_WORDS.contains(&word)
        && word != "if"
        && match next.kind {
            TokenKind::Word => !next.first_on_line && !NO_NAMES.contains(&next_word) || word == "return",
            TokenKind::String { .. } => word == "use",
            TokenKind::Open => word == "train" && next_word == "{",
            _ => matches!(word, "return" | "let"),
        }
}

impl Scan {
    /// The end of the last token that ends at or before `limit`: where a syntax node that ran into white space ends.
    pub fn token_end(&self, limit: usize) -> usize {
        let count = self.tokens.partition_point(|token| token.end <= limit);
        if count == 0 { limit } else { self.tokens[count - 1].end }
    }

    /// The index of the first token that ends behind `at`.
    pub fn token_at(&self, at: usize) -> usize {
        self.tokens.partition_point(|token| token.end <= at)
    }

    /// The comments that stand on lines of their own directly above the token at `start`, first to last.
    pub fn comments_above(&self, start: usize) -> &[Comment] {
        let token = self.token_at(start);
        let Some(mut line) = self.tokens.get(token).filter(|token| token.first_on_line).map(|token| token.line) else {
            return &[];
        };
        let end = self.comments.partition_point(|comment| comment.start < start);
        let mut first = end;
        while first > 0 && self.comments[first - 1].own_line && self.comments[first - 1].line + 1 == line {
            first -= 1;
            line -= 1;
        }
        &self.comments[first..end]
    }
}
