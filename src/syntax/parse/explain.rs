//! Syntax errors for people: what was found, what could stand there, and the way out of the common slips.
//!
//! Takes pest's error (the furthest place that any rule reached and the rules tried there) and the tokens around that
//! place. First come the slips that the tokens alone betray (a `//` comment, a forgotten `let`, a bracket that is never
//! closed); what remains is told as a list of what the grammar would have accepted.

use super::super::scan::{STATEMENT_WORDS, Token, TokenKind, begins_statement};
use super::words::{is_operator, is_value, keyword, phrase};
use super::*;
use pest::error::{Error, ErrorVariant, InputLocation};

/// The place of an error with what stands around it.
struct Place<'e> {
    text: &'e str,
    source: SourceId,
    tokens: &'e [Token],
    /// The token that does not fit; `None` at the end of the chunk.
    found: Option<usize>,
    /// How many tokens stand before the place.
    before: usize,
    /// The first token of the chunk.
    first: usize,
    expected: &'e [Rule],
}

pub(super) fn explain(error: &Error<Rule>, builder: &TreeBuilder<'_>, end: usize) -> Diagnostic {
    let offset = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => builder.base + at,
    };
    let expected = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives.as_slice(),
        // pest says so itself only when the stack runs out.
        ErrorVariant::CustomError { .. } => {
            return too_deep(Span::new(builder.source, offset, offset), "this place");
        }
    };
    let tokens = &builder.scan.tokens;
    let before = builder.scan.token_at(offset);
    let place = Place {
        text: builder.text,
        source: builder.source,
        tokens,
        found: tokens.get(before).filter(|token| token.start < end).map(|_| before),
        before,
        first: builder.scan.token_at(builder.base),
        expected,
    };
    place
        .bad_character()
        .or_else(|| place.bad_comment())
        .or_else(|| place.bad_literal())
        .or_else(|| place.bad_bracket())
        .or_else(|| place.bad_statement())
        .or_else(|| place.bad_equals())
        .or_else(|| place.bad_name())
        .unwrap_or_else(|| place.general())
}

impl Place<'_> {
    fn word(&self, index: usize) -> &str {
        self.tokens.get(index).map_or("", |token| &self.text[token.start..token.end])
    }

    fn found_word(&self) -> &str {
        self.found.map_or("", |index| self.word(index))
    }

    fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    fn token_span(&self, index: usize) -> Span {
        let token = self.tokens[index];
        Span::new(self.source, token.start, token.end)
    }

    /// The offending token, or the empty place behind the last one.
    fn span(&self) -> Span {
        match (self.found, self.before.checked_sub(1)) {
            (Some(index), _) => self.token_span(index),
            (None, Some(last)) => {
                let end = self.tokens[last].end;
                Span::new(self.source, end, end)
            }
            (None, None) => Span::new(self.source, 0, 0),
        }
    }

    fn expects(&self, rule: Rule) -> bool {
        self.expected.contains(&rule)
    }

    /// Whether a statement could begin here.
    fn expects_statement(&self) -> bool {
        self.expected.iter().any(|&rule| matches!(rule, Rule::file | Rule::statement | Rule::EOI))
            || self.expects(Rule::close_brace) && !self.expects(Rule::train_entry)
    }

    fn error(&self, headline: impl Into<String>, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Code::E0101, headline).at(self.span(), label)
    }

    fn found_text(&self) -> String {
        const LONGEST: usize = 40;
        match (self.found, self.tokens.get(self.before)) {
            (Some(_), _) if self.found_word().chars().count() > LONGEST => {
                let start: String = self.found_word().chars().take(LONGEST).collect();
                format!("`{start}…`")
            }
            (Some(_), _) => format!("`{}`", self.found_word()),
            (None, Some(_)) => "the next statement".to_owned(),
            (None, None) => "the end of the text".to_owned(),
        }
    }

    fn bad_character(&self) -> Option<Diagnostic> {
        let found = self.found_word();
        let help = match found {
            "//" => "comments begin with `#`",
            ";" => "remove it: statements need no `;`, each begins with a keyword",
            "&&" | "&" => "write `and`",
            "||" | "|" => "write `or`; a pipe is `|>`",
            "!" => "write `not`",
            "'" | "‘" | "’" | "“" | "”" => "strings stand in `\"…\"`",
            "^" => "write `a ** b` for a power",
            "~" => "operators are `+ - * / // % ** @`, comparisons, `and`, `or`, `not` and `|>`",
            "->" => "a definition has no result type: its `return` says it",
            _ if self.found.and_then(|index| self.kind(index)) == Some(TokenKind::Unknown) => "remove it",
            _ => return None,
        };
        let what = if found == "//" { "is no comment" } else { "means nothing here" };
        let shown: String = found.escape_debug().collect();
        Some(self.error(format!("`{shown}` {what}"), format!("unexpected `{shown}`")).with_help(help))
    }

    /// A `//` before the place on its line, which was meant to begin a comment.
    fn bad_comment(&self) -> Option<Diagnostic> {
        let line = self.tokens[self.found?].line;
        let mut before = (self.first..self.before).rev().take_while(|index| self.tokens[*index].line == line);
        if !before.any(|index| self.word(index) == "//") {
            return None;
        }
        let error = self.error(format!("unexpected {}", self.found_text()), "does not go on what stands before");
        Some(error.with_help("comments begin with `#`"))
    }

    fn bad_literal(&self) -> Option<Diagnostic> {
        let before = self.before;
        // `1.` reads as the number 1 and the beginning of a field.
        if before >= 2 && self.word(before - 1) == "." && self.kind(before - 2) == Some(TokenKind::Number) {
            let number = self.word(before - 2);
            let help = format!("write `{number}.0` or `{number}`");
            let span = self.token_span(before - 2).to(self.token_span(before - 1));
            let error =
                Diagnostic::error(Code::E0104, "malformed number").at(span, "digits are missing behind the point");
            return Some(error.with_help(help));
        }
        let index = self.found?;
        let found = self.found_word();
        let error = |headline: &str, label: &str| Diagnostic::error(Code::E0104, headline).at(self.span(), label);
        match self.kind(index)? {
            TokenKind::String { closed: false } => Some(
                error("unfinished string", "the line ends before the closing `\"`")
                    .with_help("close it with `\"`; a line break inside is written `\\n`"),
            ),
            TokenKind::Number if self.expects_value() => Some(
                error("malformed number", "not a number")
                    .with_note("numbers look like `10_000`, `0.5` or `1e-3`; a name cannot begin with a digit"),
            ),
            TokenKind::Symbol if found == "." && self.kind(index + 1) == Some(TokenKind::Number) => {
                let help = format!("write `0.{}`", self.word(index + 1));
                Some(error("malformed number", "a number begins with a digit").with_help(help))
            }
            _ => None,
        }
    }

    fn expects_value(&self) -> bool {
        self.expected.iter().any(|&rule| is_value(rule))
    }

    /// A bracket that closes nothing, or one that nothing closes.
    fn bad_bracket(&self) -> Option<Diagnostic> {
        let found = self.found;
        if let Some(index) = found
            && self.tokens[index].kind == TokenKind::Close
            && self.tokens[index].partner.is_none()
        {
            let bracket = self.word(index);
            let error =
                self.error(format!("nothing to close with `{bracket}`"), format!("no `{}` is open", opener(bracket)));
            return Some(self.inner_open().map_or(error.clone(), |open| {
                let expected = closer(self.word(open));
                error.with_label(self.token_span(open), format!("this one is open, to be closed by `{expected}`"))
            }));
        }
        let open = self.unclosed()?;
        let closing = closer(self.word(open));
        let ends_here = found.is_none_or(|index| {
            self.tokens[index].kind == TokenKind::Close || begins_statement(self.text, self.tokens, index)
        });
        if !ends_here {
            return None;
        }
        let label = format!("expected `{closing}` before {}", self.found_text());
        let error = self.error(format!("missing `{closing}`"), &label);
        // When the next line tells that something is missing, it is missing at the end of this one.
        let error = match found.zip(self.before.checked_sub(1)) {
            Some((found, last)) if self.tokens[found].first_on_line => {
                let end = self.tokens[last].end;
                error.at(Span::new(self.source, end, end), label)
            }
            _ => error,
        };
        Some(error.with_label(self.token_span(open), format!("this `{}` is never closed", self.word(open))))
    }

    /// The innermost bracket of the chunk before the place that nothing closes.
    fn unclosed(&self) -> Option<usize> {
        let is_unclosed = |&index: &usize| {
            let token = &self.tokens[index];
            token.kind == TokenKind::Open && token.partner.is_none()
        };
        (self.first..self.before).rev().find(is_unclosed)
    }

    /// The innermost bracket that is open at the place.
    fn inner_open(&self) -> Option<usize> {
        let mut index = self.before;
        while index > self.first {
            index -= 1;
            let token = &self.tokens[index];
            match (token.kind, token.partner) {
                (TokenKind::Open, _) => return Some(index),
                (TokenKind::Close, Some(partner)) => index = partner,
                _ => {}
            }
        }
        None
    }

    /// Something at the place of a statement that begins none.
    fn bad_statement(&self) -> Option<Diagnostic> {
        let index = self.found?;
        let in_train = self.expects(Rule::train_entry);
        if self.kind(index)? != TokenKind::Word || !(self.expects_statement() || in_train) {
            return None;
        }
        let found = self.found_word();
        let next = self.word(index + 1);
        let words: &[&str] = if in_train { &["minimize", "optimizer", "clip"] } else { STATEMENT_WORDS };
        // A keyword that is written well: the statement behind it is wrong, or the one before is not complete.
        if words.contains(&found) {
            return None;
        }
        let statement = if in_train { "an entry of `train`" } else { "a statement" };
        let error = self.error(format!("`{found}` does not begin {statement}"), "expected a keyword");
        if self.kind(index + 1) == Some(TokenKind::Word) || in_train {
            if [found, self.word(self.before.wrapping_sub(1))].iter().any(|word| matches!(*word, "for" | "while")) {
                return Some(error.with_help(
                    "a list by its elements is `[f(l) for l in losses]`; `repeat(x, n, layer)` applies a layer n times, \
                     `scan(step, x, carry)` loops over time",
                ));
            }
            let alias = [
                ("def", "fn"),
                ("function", "fn"),
                ("func", "fn"),
                ("var", "let"),
                ("import", "use"),
                ("val", "let"),
                ("elif", "else if"),
                ("elseif", "else if"),
            ];
            if let Some((_, word)) = alias.iter().find(|(other, _)| *other == found) {
                return Some(error.with_help(format!("did you mean `{word}`?")));
            }
            let error = error.with_suggestion(found, words.iter().copied());
            if error.helps.is_empty() {
                return Some(error.with_help(format!("{statement} begins with one of: {}", words.join(", "))));
            }
            return Some(error);
        }
        Some(match next {
            "=" => {
                let value = self.rest_of_line(index + 2);
                error.with_help(format!("did you mean `let {found} = {value}`?"))
            }
            ":" => {
                let ty = self.rest_of_line(index + 2);
                error.with_help(format!(
                    "say what it is: `input {found}: {ty}`, `target {found}: {ty}` or `param {found}: {ty} = …`"
                ))
            }
            "(" | "." | "[" | "|>" => error.with_help("a value needs a name: `let NAME = …`"),
            _ => error.with_help(format!("{statement} begins with one of: {}", words.join(", "))),
        })
    }

    /// The text from a token to the end of its line, when it is short and is not the beginning of something longer.
    fn rest_of_line(&self, index: usize) -> String {
        const LONGEST: usize = 30;
        let Some(first) = self.tokens.get(index) else { return "…".to_owned() };
        let last = self.tokens[index..].iter().take(LONGEST).take_while(|token| token.line == first.line).last();
        let text = last.map_or("", |last| &self.text[first.start..last.end]);
        if text.chars().count() > LONGEST { "…".to_owned() } else { text.to_owned() }
    }

    /// `=` for `==`, or the other way round.
    fn bad_equals(&self) -> Option<Diagnostic> {
        match self.found_word() {
            "=" if self.expects(Rule::train_entry) || self.word(self.before.wrapping_sub(1)) == "optimizer" => {
                let word = self.word(self.before.wrapping_sub(1));
                Some(
                    self.error("unexpected `=`", "expected a value").with_help(format!("write `{word} …` without `=`")),
                )
            }
            "=" if self.expected.iter().any(|&rule| is_operator(rule)) && !self.expects(Rule::equals) => Some(
                self.error("`=` inside a value", "expected an operator")
                    .with_help("`=` gives a name to a value; to compare, write `==`"),
            ),
            "==" | ":=" if self.expects(Rule::equals) => {
                let found = self.found_word();
                Some(
                    self.error(format!("`{found}` where a value is given a name"), "expected `=`")
                        .with_help("write `=`"),
                )
            }
            _ => None,
        }
    }

    fn bad_name(&self) -> Option<Diagnostic> {
        let found = self.found_word();
        let reserved = ["true", "false", "none", "if", "else", "not", "and", "or", "in", "let", "return"];
        if !self.expects(Rule::name) || self.expects_value() || !reserved.contains(&found) {
            return None;
        }
        let error = self.error(format!("`{found}` cannot be a name"), "expected a name");
        Some(error.with_note("reserved are: ".to_owned() + &reserved.join(", ")))
    }

    fn general(&self) -> Diagnostic {
        let expected = self.expectation();
        let mut error = self.error(format!("unexpected {}", self.found_text()), format!("expected {expected}"));
        if self.found.is_none() {
            error.headline = "unfinished statement".to_owned();
        }
        let statement = (self.first..self.before).rev().find(|&index| begins_statement(self.text, self.tokens, index));
        if self.expects(Rule::equals) && statement.is_some_and(|index| self.word(index) == "param") {
            return error.with_help("a param needs an initial value: `= zeros()`, `= glorot_uniform()`, `= 0.5`");
        }
        if self.is_behind_if() {
            return error.with_help(
                "at compile time: `if CONDITION { a } else { b }`; by the values of a tensor: `where(mask, a, b)`",
            );
        }
        if self.found_word() == "?" {
            return error.with_help("`?` stands behind the type of a target that may be missing: `f32[batch]?`");
        }
        error
    }

    /// Whether an `if` stands before the place on its line: `a if b else c` of other languages ends so.
    fn is_behind_if(&self) -> bool {
        let Some(found) = self.found.filter(|_| self.found_word() == "else") else { return false };
        let line = self.tokens[found].line;
        let mut before = (self.first..self.before).rev().take_while(|index| self.tokens[*index].line == line);
        before.any(|index| self.word(index) == "if")
    }

    /// What the grammar would accept, in words.
    fn expectation(&self) -> String {
        let mut phrases: Vec<&str> = Vec::new();
        let mut add = |phrase| {
            if !phrases.contains(&phrase) {
                phrases.push(phrase);
            }
        };
        let operators = self.expected.iter().any(|&rule| is_operator(rule));
        for &rule in self.expected {
            match rule {
                // Where a value could go on there is always a better way to say what is missing.
                Rule::open_paren | Rule::open_bracket | Rule::dot | Rule::equals if operators => {}
                Rule::EOI | Rule::question | Rule::ellipsis | Rule::range_tail => {}
                Rule::call | Rule::index | Rule::field => {}
                Rule::file | Rule::statement => add("a statement"),
                _ if is_operator(rule) => {}
                _ if is_value(rule) => add("a value"),
                _ => add(keyword(rule).or_else(|| phrase(rule)).unwrap_or("something else")),
            }
        }
        if phrases.is_empty() {
            return if operators { "an operator" } else { "the end of the text" }.to_owned();
        }
        if operators && phrases == ["a statement"] {
            return "an operator or the next statement".to_owned();
        }
        let listed = match phrases.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => phrases.concat(),
        };
        listed + self.context()
    }

    /// Behind what a `,` or a closing bracket is missing.
    fn context(&self) -> &'static str {
        if !self.expects(Rule::comma) || self.word(self.before.wrapping_sub(1)) == "," {
            return "";
        }
        let operators = self.expected.iter().any(|&rule| is_operator(rule));
        match self.inner_open().map(|open| self.word(open)) {
            Some("(") if operators => " after an argument",
            Some("(") if self.expects(Rule::equals) => " after a parameter",
            Some("[") => " after an element",
            _ => "",
        }
    }
}

fn opener(bracket: &str) -> &'static str {
    match bracket {
        ")" => "(",
        "]" => "[",
        _ => "{",
    }
}

fn closer(bracket: &str) -> &'static str {
    match bracket {
        "(" => ")",
        "[" => "]",
        _ => "}",
    }
}
