//! Which tokens touch: the part of the style that has nothing to do with lines.

use super::super::scan::{Token, TokenKind};

/// Words behind which a value begins, so that `-` is a sign and `(` no call.
const BEFORE_VALUES: &[&str] = &["return", "in", "not", "and", "or", "if", "else"];

/// How tightly the binary operators hold that a long line may be broken at, loosest first.
pub(super) fn operator_level(word: &str) -> Option<usize> {
    Some(match word {
        "|>" => 0,
        "or" => 1,
        "and" => 2,
        "==" | "!=" | "<" | "<=" | ">" | ">=" => 3,
        "+" | "-" => 4,
        "*" | "/" | "//" | "%" | "@" => 5,
        "**" => 6,
        _ => return None,
    })
}

/// The operators of this level are the last at which a line is broken.
pub(super) const TIGHTEST_BREAK: usize = 5;

/// Where a token stands, as far as spaces depend on it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Context {
    /// A statement: ` = `, `name: type`
    Statement,
    /// Arguments or parameters: `k=3`
    Arguments,
    /// A parameter with a type: `delta: f32 = 1`
    TypedParameter,
    /// An index: `0:1`
    Brackets,
}

/// Whether a value ends with this token; `is_keyword` says that it begins a statement.
pub(super) fn ends_value(token: &Token, word: &str, is_keyword: bool) -> bool {
    match token.kind {
        TokenKind::Word => !is_keyword && !BEFORE_VALUES.contains(&word),
        TokenKind::Number | TokenKind::String { .. } | TokenKind::Close => true,
        TokenKind::Symbol => matches!(word, "..." | "?"),
        TokenKind::Open | TokenKind::Unknown => false,
    }
}

/// What stands between two tokens on one line.
pub(super) struct Neighbours<'t> {
    pub before: &'t str,
    pub after: &'t str,
    /// Whether a value ends with `before`.
    pub value_before: bool,
    /// Whether `before` is a sign: `-` with no value before it.
    pub sign_before: bool,
    pub context: Context,
}

impl Neighbours<'_> {
    pub fn are_apart(&self) -> bool {
        let equals_apart = !matches!(self.context, Context::Arguments | Context::Brackets);
        match (self.before, self.after) {
            ("(" | "[" | "." | "@", _) if self.before != "@" || self.sign_before => false,
            (_, ")" | "]" | "," | "." | "?") => false,
            ("{", "}") => false,
            ("=", _) | (_, "=") => equals_apart,
            (":", _) => self.context != Context::Brackets,
            (_, "(" | "[") => !self.value_before && !self.sign_before,
            (_, "...") => !self.value_before,
            (_, ":") => false,
            _ => !self.sign_before,
        }
    }
}
