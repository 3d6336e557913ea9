//! The formatter: the one way to set a spec.
//!
//! Takes a text that parses; gives the same tokens and comments in canonical form: four spaces for each body, at most
//! [`WIDTH`] columns where a break can be had, one statement a line, lists broken one element a line with a comma
//! behind the last, `input`s and `target`s on neighbouring lines in columns. Single blank lines between statements stay, further ones go. Brackets stay as written, even where
//! precedence does not need them: people write them to be understood.
//!
//! Method: the tree says where statements begin and end; within one, the *tokens* are set, so nothing that was written
//! can get lost. A comment stays between the two tokens where it stood (a comma apart), and a line of its own stays
//! one; what is set depends on nothing else, which is why formatting twice changes nothing.

mod columns;
mod document;
mod spacing;

use super::ast::*;
use super::parse::MAXIMUM_TEXT;
use super::scan::{Scan, TokenKind, scan};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, SourceMap, Span};
use columns::Columns;
use document::{Document, INDENT, write};
use spacing::{Context, Neighbours, TIGHTEST_BREAK, ends_value, operator_level};
use std::collections::BTreeSet;
use std::ops::Range;

/// Columns of a line.
pub const WIDTH: usize = 100;

/// Formats a text.
///
/// # Errors
///
/// Those of `parse`: a text with syntax errors is left alone. E0103 where the result would be too long to
/// be read again: calls within calls are indented at every level.
pub fn format(sources: &SourceMap, source: SourceId) -> Result<String, Diagnostics> {
    let (file, errors) = super::parse(sources, source);
    if !errors.is_empty() {
        return Err(Diagnostics(errors));
    }
    let text = &*sources.file(source).text;
    let mut formatter = Formatter {
        text,
        scan: scan(text),
        glued: BTreeSet::new(),
        patterns: BTreeSet::new(),
        wildcards: BTreeSet::new(),
        comments_done: 0,
        output: String::new(),
        last_line: None,
        is_apart: false,
        columns: Columns::default(),
    };
    let end = formatter.scan.tokens.len();
    formatter.find_wildcards();
    formatter.statements(&file.statements, 0..end, 0);
    formatter.columns.set(&mut formatter.output, WIDTH);
    if formatter.output.len() > MAXIMUM_TEXT {
        let error = Diagnostic::error(Code::E0103, "the formatted text would be too large to be read again")
            .with_note(format!("at most {MAXIMUM_TEXT} bytes are read, the indentation included"))
            .with_help("give parts of deeply nested values a name with `let`");
        return Err(Diagnostics(vec![error]));
    }
    if !formatter.output.is_empty() {
        formatter.output.push('\n');
    }
    Ok(formatter.output)
}

struct Formatter<'t> {
    text: &'t str,
    scan: Scan,
    /// Tokens that belong to the one before: in `critic.*` and `weight-collapse`.
    glued: BTreeSet<usize>,
    /// Tokens that begin such a group: a `*` there is no operator.
    patterns: BTreeSet<usize>,
    /// The `*`s that stand in the path of a param within an expression.
    wildcards: BTreeSet<usize>,
    output: String,
    /// How many comments between statements are written.
    comments_done: usize,
    /// The line of the text on which what was written last ended; `None` at the beginning of a body.
    last_line: Option<usize>,
    /// Whether a blank line comes before what is written next.
    is_apart: bool,
    /// The declarations set last.
    columns: Columns,
}

/// Which tokens are set together, in what style.
#[derive(Clone, Copy)]
struct Run {
    /// The first of the statement, its keyword.
    keyword: usize,
    context: Context,
}

impl Formatter<'_> {
    fn word(&self, index: usize) -> &str {
        let token = self.scan.tokens[index];
        &self.text[token.start..token.end]
    }

    /// A `*` with no value before it multiplies nothing.
    fn find_wildcards(&mut self) {
        for index in 0..self.scan.tokens.len() {
            let is_wildcard = self.word(index) == "*"
                && (index == 0 || !self.wildcards.contains(&(index - 1)))
                && (index == 0 || !ends_value(&self.scan.tokens[index - 1], self.word(index - 1), false));
            if is_wildcard {
                self.wildcards.insert(index);
            }
        }
    }

    /// The tokens of a node.
    fn tokens(&self, span: Span) -> Range<usize> {
        self.scan.token_at(span.start as usize)..self.scan.token_at((span.end as usize).saturating_sub(1)) + 1
    }

    fn new_line(&mut self, line: usize, indent: usize) {
        let is_apart = std::mem::take(&mut self.is_apart);
        if is_apart || self.last_line.is_some_and(|last| line > last + 1) {
            self.output.push('\n');
        }
        if !self.output.is_empty() {
            self.output.push('\n');
        }
        self.output.extend(std::iter::repeat_n(' ', indent));
    }

    /// The statements of a body whose tokens are `body`, with the comments around them.
    fn statements(&mut self, statements: &[Statement], body: Range<usize>, indent: usize) {
        for statement in statements {
            if self.output.len() > MAXIMUM_TEXT {
                return;
            }
            let mut start = self.tokens(statement.span).start;
            for annotation in &statement.annotations {
                for argument in &annotation.arguments {
                    self.glue(argument.span);
                }
                let range = self.tokens(annotation.span);
                self.comments_before(range.start, indent);
                self.simple(range.clone(), indent, Context::Arguments);
                start = range.end;
            }
            self.comments_before(start, indent);
            let range = start..self.tokens(statement.span).end;
            self.statement(&statement.kind, range, indent);
        }
        self.comments_before(body.end, indent);
    }

    fn statement(&mut self, kind: &StatementKind, range: Range<usize>, indent: usize) {
        match kind {
            StatementKind::Definition(definition) => {
                let body = self.tokens(definition.body.span);
                self.simple(range.start..body.start + 1, indent, Context::Statement);
                self.body(&definition.body.statements, body, indent, range.end);
            }
            StatementKind::If { then, otherwise, .. } => {
                let body = self.tokens(then.span);
                self.simple(range.start..body.start + 1, indent, Context::Statement);
                self.branches(then, otherwise.as_ref(), indent, range.end);
            }
            StatementKind::Train { entries } => {
                self.simple(range.start..range.start + 2, indent, Context::Statement);
                self.last_line = None;
                for entry in entries {
                    self.train_entry(entry, indent + INDENT);
                }
                self.comments_before(range.end - 1, indent + INDENT);
                self.closing(range.end - 1..range.end, indent, entries.is_empty());
            }
            StatementKind::Assert(Assertion::Trains { params, .. }) => {
                params.iter().for_each(|pattern| self.glue(pattern.span));
                self.simple(range, indent, Context::Statement);
            }
            StatementKind::Input { .. } | StatementKind::Target { .. } => self.declaration(range, indent),
            _ => self.simple(range, indent, Context::Statement),
        }
    }

    /// The bodies of a choice, whose first `{` is written. A choice behind `else` has no brackets of its own.
    fn branches(&mut self, then: &Block, otherwise: Option<&Block>, indent: usize, end: usize) {
        let body = self.tokens(then.span);
        let Some(otherwise) = otherwise else { return self.body(&then.statements, body, indent, end) };
        let second = self.tokens(otherwise.span);
        let chained = otherwise.statements.first().filter(|statement| statement.span == otherwise.span);
        match chained.map(|statement| &statement.kind) {
            Some(StatementKind::If { then: next, otherwise, .. }) => {
                let open = self.tokens(next.span).start;
                self.body(&then.statements, body, indent, open + 1);
                self.branches(next, otherwise.as_ref(), indent, end);
            }
            _ => {
                self.body(&then.statements, body, indent, second.start + 1);
                self.body(&otherwise.statements, second, indent, end);
            }
        }
    }

    fn declaration(&mut self, range: Range<usize>, indent: usize) {
        let start = self.line(range, indent, Context::Statement);
        self.columns.push(start..self.output.len(), &mut self.output, WIDTH);
    }

    fn train_entry(&mut self, entry: &TrainEntry, indent: usize) {
        let mut context = Context::Statement;
        match &entry.kind {
            TrainEntryKind::Minimize { over: params, .. } | TrainEntryKind::Optimizer { params, .. } => {
                params.iter().for_each(|pattern| self.glue(pattern.span));
            }
            TrainEntryKind::Clip { .. } => context = Context::Arguments,
        }
        let range = self.tokens(entry.span);
        self.comments_before(range.start, indent);
        self.simple(range, indent, context);
    }

    /// The statements in `body`, a block's tokens, and from its `}` to `end`, which may open another.
    fn body(&mut self, statements: &[Statement], body: Range<usize>, indent: usize, end: usize) {
        self.last_line = None;
        let inside = body.start + 1..body.end - 1;
        self.statements(statements, inside, indent + INDENT);
        self.closing(body.end - 1..end, indent, statements.is_empty());
    }

    /// A closing brace and what follows it on its line; an empty body closes where it opened.
    fn closing(&mut self, range: Range<usize>, indent: usize, is_empty: bool) {
        self.last_line = None;
        self.is_apart = false;
        if is_empty && self.output.ends_with('{') && self.comments(range.end - 1).is_empty() {
            let run = Run { keyword: range.start, context: Context::Statement };
            let parts = self.plain(range.clone(), run);
            write(&parts, indent, WIDTH, &mut self.output);
            self.finish(range.end);
        } else {
            self.simple(range, indent, Context::Statement);
        }
    }

    fn glue(&mut self, span: Span) {
        let tokens = self.tokens(span);
        self.patterns.insert(tokens.start);
        self.glued.extend(tokens.skip(1));
    }

    /// Comments between the token before `next` and `next`, each on its own line.
    fn comments_before(&mut self, next: usize, indent: usize) {
        let comments = self.comments(next);
        for index in comments.start.max(self.comments_done)..comments.end {
            let comment = self.scan.comments[index];
            self.new_line(comment.line, indent);
            self.output.push_str(&self.text[comment.start..comment.end]);
            self.last_line = Some(comment.line);
        }
    }

    /// The comments between the token before `next` and `next`.
    fn comments(&self, next: usize) -> Range<usize> {
        let offset = |index: usize| self.scan.tokens.get(index).map_or(usize::MAX, |token| token.start);
        let count = |limit: usize| self.scan.comments.partition_point(|comment| comment.start < limit);
        let first = if next == 0 { 0 } else { count(offset(next - 1)) };
        first..count(offset(next))
    }

    /// Sets tokens that hold no statements, on lines of their own.
    fn simple(&mut self, range: Range<usize>, indent: usize, context: Context) {
        self.line(range, indent, context);
    }

    /// As [`Self::simple`]; gives where the lines begin in the output.
    fn line(&mut self, range: Range<usize>, indent: usize, context: Context) -> usize {
        self.new_line(self.scan.tokens[range.start].line, indent);
        let start = self.output.len() - indent;
        let run = Run { keyword: range.start, context };
        let parts = vec![self.chain(range.clone(), 0, run)];
        write(&parts, indent, WIDTH, &mut self.output);
        let last = range.end - 1;
        if self.word(last) == "{" && range.len() > 1 && !self.comments(last).is_empty() {
            self.last_line = Some(self.scan.tokens[last].line);
            self.comments_within(last, indent + INDENT);
        } else {
            self.finish(range.end);
        }
        start
    }

    /// The comments before the `{` that ends a line, and one behind it: one alone goes behind it, more are the first of its body, apart
    /// from the statement below, whose documentation they are not.
    fn comments_within(&mut self, open: usize, indent: usize) {
        let before = self.comments(open);
        let line = self.scan.tokens[open].line;
        let behind = self.comments(open + 1).next().filter(|index| self.scan.comments[*index].line == line);
        if before.len() == 1 && behind.is_none() {
            let comment = self.scan.comments[before.start];
            self.output.push_str("  ");
            self.output.push_str(&self.text[comment.start..comment.end]);
            return;
        }
        for index in before.chain(behind) {
            let comment = self.scan.comments[index];
            self.last_line = None;
            self.is_apart = false;
            self.new_line(comment.line, indent);
            self.output.push_str(&self.text[comment.start..comment.end]);
            self.is_apart = true;
            self.comments_done = index + 1;
        }
    }

    /// Ends a line: with the comment that stood behind its last token.
    fn finish(&mut self, end: usize) {
        let line = self.scan.tokens[end - 1].line;
        self.last_line = Some(line);
        let Some(first) = self.comments(end).next() else { return };
        let comment = self.scan.comments[first];
        if comment.line == line {
            self.output.push_str("  ");
            self.output.push_str(&self.text[comment.start..comment.end]);
            self.comments_done = first + 1;
        }
    }

    // ---- within a statement ----

    /// The tokens broken, when they must be, before the operators of the loosest kind among them.
    fn chain(&self, range: Range<usize>, level: usize, run: Run) -> Document {
        let mut operators = Vec::new();
        let mut level = level;
        while level <= TIGHTEST_BREAK {
            operators = self.operators(range.clone(), level, run);
            if !operators.is_empty() {
                break;
            }
            level += 1;
        }
        let Some(&first) = operators.first() else {
            return Document::group(self.plain(range, run));
        };
        let mut rest = Vec::new();
        for (index, &operator) in operators.iter().enumerate() {
            let end = operators.get(index + 1).copied().unwrap_or(range.end);
            rest.extend(self.list_comments(operator));
            rest.extend([Document::Line, Document::Text(format!("{} ", self.word(operator)))]);
            rest.extend(self.list_comments(operator + 1));
            rest.push(self.chain(operator + 1..end, level + 1, run));
        }
        Document::group(vec![self.chain(range.start..first, level + 1, run), Document::nest(rest)])
    }

    /// The binary operators of a level outside brackets.
    fn operators(&self, range: Range<usize>, level: usize, run: Run) -> Vec<usize> {
        let mut operators = Vec::new();
        let mut index = range.start;
        while index < range.end {
            if index > range.start
                && !self.glued.contains(&index)
                && !self.patterns.contains(&index)
                && !self.wildcards.contains(&index)
                && operator_level(self.word(index)) == Some(level)
                && self.ends_value(index - 1, run)
            {
                operators.push(index);
            }
            index = self.behind(index, range.end);
        }
        operators
    }

    /// The token behind this one, or behind the bracket that it opens.
    fn behind(&self, index: usize, end: usize) -> usize {
        let token = self.scan.tokens[index];
        match token.partner {
            Some(partner) if token.kind == TokenKind::Open && partner < end => partner + 1,
            _ => index + 1,
        }
    }

    fn ends_value(&self, index: usize, run: Run) -> bool {
        self.wildcards.contains(&index)
            || ends_value(
                &self.scan.tokens[index],
                self.word(index),
                index == run.keyword && run.context == Context::Statement,
            )
    }

    /// Tokens one behind the other; brackets may be broken.
    fn plain(&self, range: Range<usize>, run: Run) -> Vec<Document> {
        let mut parts = Vec::new();
        let mut index = range.start;
        while index < range.end {
            if index > range.start {
                // What stands before a brace goes behind it.
                if self.word(index) != "{" {
                    parts.extend(self.inner_comments(index));
                }
                if self.are_apart(index - 1, index, run) {
                    parts.push(Document::Text(" ".to_owned()));
                }
            }
            let behind = self.behind(index, range.end);
            if behind > index + 1 {
                parts.push(self.bracket(index, behind - 1, run));
            } else {
                parts.push(Document::Text(self.word(index).to_owned()));
            }
            index = behind;
        }
        parts
    }

    fn are_apart(&self, before: usize, after: usize, run: Run) -> bool {
        let is_sign = self.word(before) == "-" && (before == run.keyword || !self.ends_value(before - 1, run));
        let is_annotation = self.word(before) == "@" && before == run.keyword;
        let neighbours = Neighbours {
            before: self.word(before),
            after: self.word(after),
            value_before: self.ends_value(before, run),
            sign_before: is_sign || is_annotation,
            context: run.context,
        };
        !self.glued.contains(&after) && neighbours.are_apart()
    }

    /// A bracket, its elements and the bracket that closes it.
    fn bracket(&self, open: usize, close: usize, run: Run) -> Document {
        let is_brace = self.word(open) == "{";
        let called = self.word(open) == "(" && open > run.keyword && self.ends_value(open - 1, run);
        // What makes a list of another one has no elements to be separated.
        let is_made = self.word(open) == "[" && self.has_word("for", open + 1..close);
        let is_list = (called || self.word(open) == "[") && !is_made;
        let edge = if is_brace { Document::Line } else { Document::SoftLine };
        let mut inner = Vec::new();
        let mut start = open + 1;
        if is_brace && open > run.keyword {
            inner.extend(self.list_comments(open));
        }
        inner.extend(self.list_comments(start.min(close)));
        inner.push(edge.clone());
        while start < close {
            let mut end = start;
            while end < close && self.word(end) != "," {
                end = self.behind(end, close);
            }
            inner.push(self.chain(
                start..end,
                0,
                Run { keyword: start, context: self.item_context(open, start..end, run) },
            ));
            let is_last = end >= close || end + 1 == close;
            if !is_last {
                inner.push(Document::Text(",".to_owned()));
            } else if is_list {
                inner.push(Document::IfBroken(","));
            }
            if end < close {
                inner.extend(self.list_comments(end));
                inner.extend(self.list_comments(end + 1));
            } else {
                inner.extend(self.list_comments(close));
            }
            if !is_last {
                inner.push(Document::Line);
            }
            start = end + 1;
        }
        let text = |index: usize| Document::Text(self.word(index).to_owned());
        Document::group(vec![text(open), Document::nest(inner), edge, text(close)])
    }

    /// Whether a word stands among tokens, outside of the brackets that they open.
    fn has_word(&self, word: &str, range: Range<usize>) -> bool {
        let mut index = range.start;
        while index < range.end {
            if self.word(index) == word {
                return true;
            }
            index = self.behind(index, range.end);
        }
        false
    }

    fn item_context(&self, open: usize, item: Range<usize>, run: Run) -> Context {
        let called = open > run.keyword && self.ends_value(open - 1, run);
        match self.word(open) {
            "[" => Context::Brackets,
            "(" if called => {
                let mut index = item.start;
                while index < item.end {
                    match self.word(index) {
                        ":" => return Context::TypedParameter,
                        // What a value is put in the place of: `trunk.* = it - step`.
                        "=" if index > item.start + 1 => return Context::Statement,
                        _ => {}
                    }
                    index = self.behind(index, item.end);
                }
                Context::Arguments
            }
            _ => Context::Arguments,
        }
    }

    /// Comments before a token in the middle of a line; what follows goes on one level deeper.
    fn inner_comments(&self, next: usize) -> Option<Document> {
        let comments = self.list_comments(next);
        (!comments.is_empty()).then_some(Document::nest(comments))
    }

    /// Comments before a token.
    fn list_comments(&self, next: usize) -> Vec<Document> {
        let mut parts = Vec::new();
        for index in self.comments(next) {
            let comment = self.scan.comments[index];
            parts.push(if comment.own_line { Document::Break } else { Document::Text("  ".to_owned()) });
            parts.push(Document::Comment(self.text[comment.start..comment.end].to_owned()));
            parts.push(Document::Break);
        }
        parts
    }
}

#[cfg(test)]
mod tests;
