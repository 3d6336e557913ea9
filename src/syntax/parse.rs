//! The parser: text to [`ast::File`](File).
//!
//! Takes any text; gives a tree of all statements that could be read and every syntax error found (up to
//! [`MAXIMUM_ERRORS`]). The grammar is `grammar/anabranch.pest`; only this file and those under `parse/` see its rules.
//!
//! Relies on `scan` for the chunks in which a text is read, one top-level statement each, so that an error in one
//! hides nothing in the next. Establishes: spans are exact (they end with the node's last token), brackets are nested
//! at most [`MAXIMUM_NESTING`] deep and the tree of an expression is at most [`MAXIMUM_HEIGHT`] high, so later stages
//! may recurse. Names are not looked up, nor is it checked which statement may stand where.

mod explain;
mod expression;
mod words;

use super::ast::*;
use super::scan::{BYTE_ORDER_MARK, Scan, scan};
use crate::diag::{Code, Diagnostic, SourceId, SourceMap, Span};
use pest::Parser;
use pest::iterators::Pair;
use std::sync::Arc;

/// Bytes of text beyond which a source is refused unread, and beyond which a spec is with all the files it uses: some 20,000
/// lines. The parser takes a microsecond and 300 bytes for each byte of the densest texts.
pub const MAXIMUM_TEXT: usize = 1 << 20;
/// Brackets and blocks that may be open at once.
pub const MAXIMUM_NESTING: usize = 200;
/// Operators, calls and brackets that may stand above one another in the tree of an expression. A sum is as high as it
/// has terms. Stages that recurse over the tree need some hundred bytes to a few kilobytes of stack per level.
pub const MAXIMUM_HEIGHT: usize = 500;
/// Syntax errors reported at most.
pub const MAXIMUM_ERRORS: usize = 20;

// The derive generates the parser and `Rule` here.
#[derive(pest_derive::Parser)]
#[grammar = "../grammar/anabranch.pest"]
struct Grammar;

/// Reads a text.
///
/// # Errors
///
/// E0101 for text that does not follow the grammar, E0102 beyond the limits of nesting, E0103 for a text that is too
/// large (the tree is empty then), E0104 for literals that mean nothing.
pub fn parse(sources: &SourceMap, source: SourceId) -> (File, Vec<Diagnostic>) {
    let text = Arc::clone(&sources.file(source).text);
    let mut file = File { statements: Vec::new(), span: Span::new(source, 0, text.len()) };
    if text.len() > MAXIMUM_TEXT {
        let size = format!("the text has {} bytes; at most {MAXIMUM_TEXT} are read", text.len());
        let error = Diagnostic::error(Code::E0103, "source text too large").with_note(size);
        return (file, vec![error.with_help("split it into files and join them with `use \"…\"`")]);
    }
    let scan = scan(&text);
    if scan.depth > MAXIMUM_NESTING {
        let token = scan.tokens[scan.deepest];
        let error = too_deep(Span::new(source, token.start, token.end), "this bracket");
        return (file, vec![error]);
    }
    let mut errors = Vec::new();
    let mut chunk = 0;
    while chunk < scan.chunks.len() {
        chunk = parse_chunk(&text, &scan, chunk, &mut file, &mut errors);
        if errors.len() >= MAXIMUM_ERRORS {
            errors.truncate(MAXIMUM_ERRORS);
            if let Some(last) = errors.pop() {
                errors.push(last.with_note(format!("reading stopped after {MAXIMUM_ERRORS} errors")));
            }
            break;
        }
    }
    (file, errors)
}

/// Parses the statement of one chunk, or, where two chunks are one statement, of both. Gives the chunk to go on with.
pub(super) fn parse_chunk(
    text: &str,
    scan: &Scan,
    chunk: usize,
    file: &mut File,
    errors: &mut Vec<Diagnostic>,
) -> usize {
    let end_of = |chunk: usize| scan.chunks.get(chunk + 1).copied().unwrap_or(text.len());
    let (start, end) = (scan.chunks[chunk], end_of(chunk));
    let mut builder = TreeBuilder { source: file.span.source, text, base: start, scan, errors: Vec::new() };
    // A byte order mark is no text.
    if start == 0 && text.starts_with(BYTE_ORDER_MARK) {
        builder.base = BYTE_ORDER_MARK.len_utf8();
    }
    let mut next = chunk + 1;
    let read = |end: usize| Grammar::parse(Rule::file, &text[builder.base..end]);
    let pairs = read(end).or_else(|error| {
        // What looked like the next statement can be the rest of this one: a name that is a keyword elsewhere.
        let merged = if next < scan.chunks.len() { read(end_of(next)).ok() } else { None };
        next += usize::from(merged.is_some());
        merged.ok_or(error)
    });
    match pairs {
        Ok(pairs) => {
            let statements = builder.statements(pairs.flat_map(Pair::into_inner));
            file.statements.extend(statements);
        }
        Err(error) => builder.errors.push(explain::explain(&error, &builder, end)),
    }
    errors.append(&mut builder.errors);
    next
}

/// E0102 at `span`, where `what` is one level too many.
fn too_deep(span: Span, what: &str) -> Diagnostic {
    Diagnostic::error(Code::E0102, "text nested too deeply")
        .at(span, format!("{what} goes beyond the limit"))
        .with_note(format!(
            "at most {MAXIMUM_NESTING} brackets may be open at once, and at most {MAXIMUM_HEIGHT} operators and calls \
             may build on one another"
        ))
        .with_help("give parts of the expression a name with `let`")
}

/// Turns pest's pairs of one chunk into the tree.
struct TreeBuilder<'t> {
    source: SourceId,
    text: &'t str,
    /// Where the chunk begins in the text.
    base: usize,
    scan: &'t Scan,
    errors: Vec<Diagnostic>,
}

/// A node, or the one error that prevented it.
type Built<T> = Result<T, Box<Diagnostic>>;

/// The parts of a node that mean something: punctuation and keywords are left out.
struct Parts<'t> {
    pairs: std::iter::Peekable<std::vec::IntoIter<Pair<'t, Rule>>>,
    /// The whole node's, for an error when a part is missing.
    span: Span,
}

impl<'t> Parts<'t> {
    fn new(pair: Pair<'t, Rule>, span: Span) -> Self {
        let is_part = |pair: &Pair<'t, Rule>| !is_punctuation(pair.as_rule()) && !is_word(pair.as_rule());
        let pairs: Vec<_> = pair.into_inner().filter(is_part).collect();
        Self { pairs: pairs.into_iter().peekable(), span }
    }

    /// The next part, which the grammar says is there.
    fn next(&mut self) -> Built<Pair<'t, Rule>> {
        self.pairs.next().ok_or_else(|| disagreement(self.span))
    }

    /// The next part if it is of this rule.
    fn take(&mut self, rule: Rule) -> Option<Pair<'t, Rule>> {
        self.pairs.next_if(|pair| pair.as_rule() == rule)
    }
}

/// The grammar and the code here say different things: a mistake in anabranch, reported rather than a panic.
fn disagreement(span: Span) -> Box<Diagnostic> {
    let error = Diagnostic::error(Code::E0101, "this text is read in a way that the parser does not know")
        .at(span, "here")
        .with_note("this is a mistake in anabranch, not in the text");
    Box::new(error)
}

fn is_punctuation(rule: Rule) -> bool {
    matches!(
        rule,
        Rule::open_paren
            | Rule::close_paren
            | Rule::open_bracket
            | Rule::close_bracket
            | Rule::open_brace
            | Rule::close_brace
            | Rule::comma
            | Rule::colon
            | Rule::dot
            | Rule::equals
            | Rule::question
            | Rule::at
            | Rule::EOI
    )
}

fn is_word(rule: Rule) -> bool {
    words::keyword(rule).is_some()
}

impl<'t> TreeBuilder<'t> {
    fn span(&self, pair: &Pair<'t, Rule>) -> Span {
        let range = pair.as_span();
        let start = self.base + range.start();
        let end = self.scan.token_end(self.base + range.end());
        Span::new(self.source, start, end.max(start))
    }

    fn parts(&self, pair: Pair<'t, Rule>) -> Parts<'t> {
        let span = self.span(&pair);
        Parts::new(pair, span)
    }

    fn ident(&self, pair: Pair<'t, Rule>) -> Ident {
        Ident { name: pair.as_str().into(), span: self.span(&pair) }
    }

    /// The statements among `pairs`; those that cannot be built leave an error.
    fn statements(&mut self, pairs: impl Iterator<Item = Pair<'t, Rule>>) -> Vec<Statement> {
        let mut statements = Vec::new();
        for pair in pairs.filter(|pair| pair.as_rule() == Rule::statement) {
            match self.statement(pair) {
                Ok(statement) => statements.push(statement),
                Err(error) => self.errors.push(*error),
            }
        }
        statements
    }

    fn statement(&mut self, pair: Pair<'t, Rule>) -> Built<Statement> {
        let span = self.span(&pair);
        let mut parts = self.parts(pair);
        let mut annotations = Vec::new();
        while let Some(annotation) = parts.take(Rule::annotation) {
            annotations.push(self.annotation(annotation)?);
        }
        let comments = self.scan.comments_above(span.start as usize).iter();
        let doc = comments.map(|comment| {
            let text = &self.text[comment.start + 1..comment.end];
            Arc::from(text.strip_prefix(' ').unwrap_or(text))
        });
        Ok(Statement { annotations, doc: doc.collect(), kind: self.statement_kind(parts.next()?)?, span })
    }

    fn annotation(&self, pair: Pair<'t, Rule>) -> Built<Annotation> {
        let mut parts = self.parts(pair);
        let name = self.ident(parts.next()?);
        let mut arguments = Vec::new();
        while let Some(argument) = parts.take(Rule::hyphenated) {
            arguments.push(self.ident(argument));
        }
        Ok(Annotation { name, arguments, span: parts.span })
    }

    fn statement_kind(&mut self, pair: Pair<'t, Rule>) -> Built<StatementKind> {
        let rule = pair.as_rule();
        match rule {
            Rule::definition => {
                return self.definition(pair).map(|definition| StatementKind::Definition(Arc::new(definition)));
            }
            Rule::train => return self.train(pair),
            Rule::assertion => return self.assertion(pair).map(StatementKind::Assert),
            Rule::if_statement => return self.if_statement(pair),
            _ => {}
        }
        let mut parts = self.parts(pair);
        match rule {
            Rule::return_value => return Ok(StatementKind::Return { value: self.expr(parts.next()?, 0)? }),
            Rule::use_file => {
                let path = parts.next()?;
                return Ok(StatementKind::Use { path_span: self.span(&path), path: self.string(path)? });
            }
            _ => {}
        }
        let name = self.ident(parts.next()?);
        match rule {
            Rule::input => return Ok(StatementKind::Input { name, ty: self.type_expr(parts.next()?)? }),
            Rule::target => return Ok(StatementKind::Target { name, ty: self.type_expr(parts.next()?)? }),
            _ => {}
        }
        let mut names = vec![name];
        while let Some(name) = parts.take(Rule::name) {
            names.push(self.ident(name));
        }
        let ty = parts.take(Rule::type_expr).map(|ty| self.type_expr(ty)).transpose()?;
        let value = self.expr(parts.next()?, 0)?;
        let kind = match rule {
            Rule::binding => Some(SeveralKind::Let),
            Rule::output => Some(SeveralKind::Output),
            Rule::loss => Some(SeveralKind::Loss),
            Rule::metric => Some(SeveralKind::Metric),
            _ => None,
        };
        if let (Some(kind), 2..) = (kind, names.len()) {
            return Ok(StatementKind::Several { kind, names, value });
        }
        let name = names.swap_remove(0);
        match (rule, ty) {
            (Rule::param, Some(ty)) => {
                let constraint = match parts.take(Rule::constraint) {
                    Some(constraint) => Some(self.expr(self.parts(constraint).next()?, 0)?),
                    None => None,
                };
                Ok(StatementKind::Param { name, ty, init: value, constraint })
            }
            (Rule::state, ty) => Ok(StatementKind::State { name, ty, init: value }),
            (Rule::update, _) => {
                let every_epoch = parts.take(Rule::every_epoch).is_some();
                Ok(StatementKind::Update { name, value, every_epoch })
            }
            (Rule::constant, _) => Ok(StatementKind::Const { name, value }),
            (Rule::binding, _) => Ok(StatementKind::Let { name, value }),
            (Rule::layer_binding, _) => Ok(StatementKind::LayerBinding { name, value }),
            (Rule::output, _) => Ok(StatementKind::Output { name, value }),
            (Rule::loss, _) => Ok(StatementKind::Loss { name, value }),
            (Rule::metric, _) => Ok(StatementKind::Metric { name, value }),
            _ => Err(disagreement(parts.span)),
        }
    }

    fn block(&mut self, pair: Pair<'t, Rule>) -> Block {
        let span = self.span(&pair);
        Block { statements: self.statements(pair.into_inner()), span }
    }

    fn if_statement(&mut self, pair: Pair<'t, Rule>) -> Built<StatementKind> {
        let span = self.span(&pair);
        let mut cases: Vec<(Span, Expr, Block)> = Vec::new();
        let (mut start, mut condition, mut otherwise) = (span, None, None);
        for part in pair.into_inner() {
            match (part.as_rule(), condition.take()) {
                (Rule::if_word, _) => start = self.span(&part),
                (Rule::expr, _) => condition = Some(self.expr(part, 0)?),
                (Rule::block, Some(condition)) => cases.push((start, condition, self.block(part))),
                (Rule::block, None) => otherwise = Some(self.block(part)),
                // `else`
                _ => {}
            }
        }
        if cases.len() > MAXIMUM_NESTING {
            return Err(Box::new(too_deep(span, "this choice")));
        }
        // A case behind `else` is a statement in the other branch, which has no brackets of its own.
        while let Some((start, condition, then)) = cases.pop() {
            let kind = StatementKind::If { condition, then, otherwise };
            if cases.is_empty() {
                return Ok(kind);
            }
            let span = Span { start: start.start, ..span };
            let statement = Statement { doc: Vec::new(), annotations: Vec::new(), kind, span };
            otherwise = Some(Block { statements: vec![statement], span });
        }
        Err(disagreement(span))
    }

    fn definition(&mut self, pair: Pair<'t, Rule>) -> Built<Definition> {
        let mut parts = self.parts(pair);
        let kind = match parts.next()?.as_str() {
            "fn" => DefinitionKind::Fn,
            "layer" => DefinitionKind::Layer,
            "combiner" => DefinitionKind::Combiner,
            "optimizer" => DefinitionKind::Optimizer,
            "initializer" => DefinitionKind::Initializer,
            _ => return Err(disagreement(parts.span)),
        };
        let name = self.ident(parts.next()?);
        let mut parameters = Vec::new();
        while let Some(parameter) = parts.take(Rule::parameter) {
            parameters.push(self.parameter(parameter)?);
        }
        Ok(Definition { kind, name, parameters, body: self.block(parts.next()?) })
    }

    fn parameter(&self, pair: Pair<'t, Rule>) -> Built<DefinitionParameter> {
        let mut parts = self.parts(pair);
        let name = self.ident(parts.next()?);
        let variadic = parts.take(Rule::ellipsis).is_some();
        let ty = parts.take(Rule::type_expr).map(|ty| self.type_expr(ty)).transpose()?;
        let default = parts.take(Rule::expr).map(|value| self.expr(value, 0)).transpose()?;
        Ok(DefinitionParameter { name, ty, default, variadic, span: parts.span })
    }

    fn train(&mut self, pair: Pair<'t, Rule>) -> Built<StatementKind> {
        let mut parts = self.parts(pair);
        let mut entries = Vec::new();
        while let Some(entry) = parts.take(Rule::train_entry) {
            let span = self.span(&entry);
            let kind = self.parts(entry).next()?;
            match self.train_entry(kind) {
                Ok(kind) => entries.push(TrainEntry { kind, span }),
                Err(error) => self.errors.push(*error),
            }
        }
        Ok(StatementKind::Train { entries })
    }

    fn train_entry(&self, pair: Pair<'t, Rule>) -> Built<TrainEntryKind> {
        let rule = pair.as_rule();
        let mut parts = self.parts(pair);
        if rule == Rule::clip {
            let mut arguments = Vec::new();
            while let Some(argument) = parts.take(Rule::argument) {
                arguments.push(self.argument(argument, 0)?);
            }
            return Ok(TrainEntryKind::Clip { arguments });
        }
        let value = self.expr(parts.next()?, 0)?;
        let per_objective = parts.take(Rule::per_objective).is_some();
        let patterns = parts.take(Rule::pattern_list).map(|list| self.patterns(list)).unwrap_or_default();
        match rule {
            Rule::minimize => Ok(TrainEntryKind::Minimize { objective: value, over: patterns }),
            Rule::optimizer_entry => Ok(TrainEntryKind::Optimizer { call: value, per_objective, params: patterns }),
            _ => Err(disagreement(parts.span)),
        }
    }

    fn patterns(&self, list: Pair<'t, Rule>) -> Vec<Pattern> {
        let pattern = |pair: Pair<'t, Rule>| Pattern { text: pair.as_str().into(), span: self.span(&pair) };
        list.into_inner().filter(|pair| pair.as_rule() == Rule::pattern).map(pattern).collect()
    }

    fn assertion(&self, pair: Pair<'t, Rule>) -> Built<Assertion> {
        let mut parts = self.parts(pair);
        if parts.take(Rule::every_param_trained).is_some() {
            return Ok(Assertion::EveryParamTrained);
        }
        if let Some(clause) = parts.take(Rule::predict_contract) {
            let mut clause = self.parts(clause);
            return Ok(Assertion::Predict(match clause.next()?.as_rule() {
                Rule::draws_nothing => PredictMode::DrawsNothing,
                Rule::reads_no_weight => PredictMode::ReadsNoLossWeight,
                _ => return Err(disagreement(clause.span)),
            }));
        }
        let subject = self.expr(parts.next()?, 0)?;
        if let Some(clause) = parts.take(Rule::shape_clause) {
            let ty = self.type_expr(self.parts(clause).next()?)?;
            return Ok(Assertion::Shape { subject, ty });
        }
        let Some(clause) = parts.take(Rule::trains_clause) else {
            return Ok(Assertion::Condition { condition: subject });
        };
        let mut clause = self.parts(clause);
        let mode = match clause.next()?.as_rule() {
            Rule::trains_only => TrainsMode::Only,
            Rule::never_trains => TrainsMode::Never,
            Rule::trains => TrainsMode::Trains,
            _ => return Err(disagreement(clause.span)),
        };
        Ok(Assertion::Trains { subject, mode, params: self.patterns(clause.next()?) })
    }

    fn type_expr(&self, pair: Pair<'t, Rule>) -> Built<TypeExpr> {
        let optional = pair.clone().into_inner().any(|part| part.as_rule() == Rule::question);
        let mut parts = self.parts(pair);
        let element = self.ident(parts.next()?);
        let dims = parts.take(Rule::dims).map(|dims| self.dims(dims)).transpose()?;
        Ok(TypeExpr { element, dims, optional, span: parts.span })
    }

    fn dims(&self, pair: Pair<'t, Rule>) -> Built<Vec<DimExpr>> {
        let mut parts = self.parts(pair);
        let mut dims = Vec::new();
        while let Some(dim) = parts.take(Rule::dim) {
            let inner = self.parts(dim).next()?;
            dims.push(match inner.as_rule() {
                Rule::ellipsis => DimExpr::Rest(self.span(&inner)),
                Rule::expr => DimExpr::Expr(self.expr(inner, 0)?),
                _ => return Err(disagreement(parts.span)),
            });
        }
        Ok(dims)
    }
}

#[cfg(test)]
mod tests;
