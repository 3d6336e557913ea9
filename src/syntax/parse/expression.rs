//! Expressions: the grammar's flat list of terms and operators made a tree by precedence climbing.
//!
//! Every function carries `height`, the number of operators, calls and brackets above it, and refuses to go beyond
//! the limit; so neither building nor dropping nor walking the tree can exhaust the stack.

use super::*;

/// One element of an expression read from left to right.
enum Item {
    Operand(Expr),
    Prefix(UnaryOp, Span),
    Infix(Infix, Span),
}

#[derive(Clone, Copy, PartialEq)]
enum Infix {
    Pipe,
    Operator(BinaryOp),
}

type Items = std::iter::Peekable<std::vec::IntoIter<Item>>;

/// How tightly a unary operator holds its operand; the scale is that of [`Infix::strength`].
fn unary_strength(op: UnaryOp) -> u8 {
    match op {
        UnaryOp::Not => 4,
        UnaryOp::Negate => 8,
    }
}

impl Infix {
    fn strength(self) -> u8 {
        match self {
            Self::Pipe => 1,
            Self::Operator(op) => match op {
                BinaryOp::Or => 2,
                BinaryOp::And => 3,
                BinaryOp::Equal
                | BinaryOp::NotEqual
                | BinaryOp::Less
                | BinaryOp::LessEqual
                | BinaryOp::Greater
                | BinaryOp::GreaterEqual => COMPARISON,
                BinaryOp::Add | BinaryOp::Subtract => 6,
                BinaryOp::Multiply
                | BinaryOp::Divide
                | BinaryOp::FloorDivide
                | BinaryOp::Remainder
                | BinaryOp::MatMul => 7,
                BinaryOp::Power => 9,
            },
        }
    }

    fn is_right_associative(self) -> bool {
        self == Self::Operator(BinaryOp::Power)
    }
}

const COMPARISON: u8 = 5;

fn infix(rule: Rule) -> Option<Infix> {
    let op = match rule {
        Rule::pipe => return Some(Infix::Pipe),
        Rule::or => BinaryOp::Or,
        Rule::and => BinaryOp::And,
        Rule::equal => BinaryOp::Equal,
        Rule::not_equal => BinaryOp::NotEqual,
        Rule::less => BinaryOp::Less,
        Rule::less_equal => BinaryOp::LessEqual,
        Rule::greater => BinaryOp::Greater,
        Rule::greater_equal => BinaryOp::GreaterEqual,
        Rule::add => BinaryOp::Add,
        Rule::subtract => BinaryOp::Subtract,
        Rule::multiply => BinaryOp::Multiply,
        Rule::divide => BinaryOp::Divide,
        Rule::floor_divide => BinaryOp::FloorDivide,
        Rule::remainder => BinaryOp::Remainder,
        Rule::matmul => BinaryOp::MatMul,
        Rule::power => BinaryOp::Power,
        _ => return None,
    };
    Some(Infix::Operator(op))
}

impl<'t> TreeBuilder<'t> {
    pub(super) fn expr(&self, pair: Pair<'t, Rule>, height: usize) -> Built<Expr> {
        let span = self.span(&pair);
        // Signs, operators and calls all count: each may be one level of the tree.
        let is_level = |part: &Pair<'t, Rule>| part.as_rule() != Rule::primary;
        let levels: usize = (pair.clone().into_inner())
            .map(|part| match part.as_rule() {
                Rule::term => part.into_inner().filter(is_level).count(),
                _ => 1,
            })
            .sum();
        let height = height + levels + 1;
        if height > MAXIMUM_HEIGHT {
            return Err(Box::new(too_deep(span, "this expression")));
        }
        let mut items = Vec::new();
        for part in pair.into_inner() {
            match infix(part.as_rule()) {
                Some(operator) => items.push(Item::Infix(operator, self.span(&part))),
                None => self.term(part, height, &mut items)?,
            }
        }
        climb(&mut items.into_iter().peekable(), 0, span)
    }

    /// Signs, an operand, and what is called or taken of it.
    fn term(&self, pair: Pair<'t, Rule>, height: usize, items: &mut Vec<Item>) -> Built<()> {
        let span = self.span(&pair);
        let mut operand = None;
        for part in pair.into_inner() {
            operand = match (part.as_rule(), operand) {
                (Rule::negate, _) => {
                    items.push(Item::Prefix(UnaryOp::Negate, self.span(&part)));
                    None
                }
                (Rule::not, _) => {
                    items.push(Item::Prefix(UnaryOp::Not, self.span(&part)));
                    None
                }
                (Rule::primary, None) => Some(self.primary(part, height)?),
                (_, Some(base)) => Some(self.postfix(base, part, height)?),
                (_, None) => return Err(disagreement(span)),
            };
        }
        items.push(Item::Operand(operand.ok_or_else(|| disagreement(span))?));
        Ok(())
    }

    fn primary(&self, pair: Pair<'t, Rule>, height: usize) -> Built<Expr> {
        let pair = self.parts(pair).next()?;
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::number => self.number(pair)?,
            Rule::string => ExprKind::String(self.string(pair)?),
            Rule::boolean => ExprKind::Bool(pair.as_str() == "true"),
            Rule::none => ExprKind::None,
            Rule::name => ExprKind::Name(pair.as_str().into()),
            Rule::wildcard => ExprKind::Wildcard(pair.as_str().into()),
            Rule::list => {
                let mut parts = self.parts(pair);
                let mut items = Vec::new();
                if let Some(first) = parts.take(Rule::expr) {
                    let first = self.expr(first, height)?;
                    if let Some(source) = parts.take(Rule::list_source) {
                        let mut source = self.parts(source);
                        let name = self.ident(source.next()?);
                        let source = Box::new(self.expr(source.next()?, height)?);
                        return Ok(Expr { kind: ExprKind::ListOf { element: Box::new(first), name, source }, span });
                    }
                    items.push(first);
                }
                while let Some(item) = parts.take(Rule::expr) {
                    items.push(self.expr(item, height)?);
                }
                ExprKind::List(items)
            }
            // The brackets are no node of their own, but the span includes them.
            Rule::parenthesized => self.expr(self.parts(pair).next()?, height)?.kind,
            Rule::if_expr => {
                let mut parts = self.parts(pair);
                let mut values = Vec::new();
                while let Some(value) = parts.take(Rule::expr) {
                    // Each case stands in the other branch of the one before.
                    values.push(self.expr(value, height + values.len() / 2)?);
                }
                choice(values).ok_or_else(|| disagreement(span))?
            }
            _ => return Err(disagreement(span)),
        };
        Ok(Expr { kind, span })
    }

    fn postfix(&self, base: Expr, pair: Pair<'t, Rule>, height: usize) -> Built<Expr> {
        let span = base.span.to(self.span(&pair));
        let rule = pair.as_rule();
        let base = Box::new(base);
        let mut parts = self.parts(pair);
        let kind = match rule {
            Rule::call => {
                let mut arguments = Vec::new();
                while let Some(argument) = parts.take(Rule::argument) {
                    arguments.push(self.argument(argument, height)?);
                }
                ExprKind::Call { callee: base, arguments }
            }
            Rule::index => {
                let mut items = Vec::new();
                while let Some(item) = parts.take(Rule::index_item) {
                    items.push(self.index_item(item, height)?);
                }
                ExprKind::Index { base, items }
            }
            Rule::field => ExprKind::Field { base, field: self.ident(parts.next()?) },
            _ => return Err(disagreement(span)),
        };
        Ok(Expr { kind, span })
    }

    pub(super) fn argument(&self, pair: Pair<'t, Rule>, height: usize) -> Built<Argument> {
        let mut parts = self.parts(pair);
        let name = parts.take(Rule::name).or_else(|| parts.take(Rule::place)).map(|name| self.ident(name));
        let value = self.expr(parts.next()?, height)?;
        let spread = parts.take(Rule::ellipsis).is_some();
        Ok(Argument { name, value, spread, span: parts.span })
    }

    fn index_item(&self, pair: Pair<'t, Rule>, height: usize) -> Built<IndexItem> {
        let mut parts = self.parts(pair);
        if let Some(rest) = parts.take(Rule::ellipsis) {
            return Ok(IndexItem::Rest(self.span(&rest)));
        }
        let start = parts.take(Rule::expr).map(|start| self.expr(start, height)).transpose()?;
        let span = parts.span;
        let Some(tail) = parts.take(Rule::range_tail) else {
            return start.map(IndexItem::Single).ok_or_else(|| disagreement(span));
        };
        let mut tail = self.parts(tail);
        let mut bound = |rule: Rule| match tail.take(rule) {
            Some(bound) => self.expr(self.parts(bound).next()?, height).map(Some),
            None => Ok(None),
        };
        Ok(IndexItem::Range { start, stop: bound(Rule::range_stop)?, step: bound(Rule::range_step)?, span })
    }

    fn number(&self, pair: Pair<'t, Rule>) -> Built<ExprKind> {
        let written = pair.as_str();
        let digits = written.replace('_', "");
        let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
        let is_zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let is_integer = mantissa.len() == digits.len() && !digits.contains('.');
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() && (value != 0.0 || is_zero) => {
                Ok(ExprKind::Number { text: written.into(), value, is_integer })
            }
            _ => {
                let error = Diagnostic::error(Code::E0104, "number out of range")
                    .at(self.span(&pair), "not a finite 64-bit number");
                Err(Box::new(error.with_note("numbers lie between 4.9e-324 and 1.8e308")))
            }
        }
    }

    /// The text of a string, its escapes replaced.
    pub(super) fn string(&self, pair: Pair<'t, Rule>) -> Built<Arc<str>> {
        let written = pair.as_str();
        let inner = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
        let mut text = String::with_capacity(inner.len());
        let mut characters = inner.char_indices();
        while let Some((at, character)) = characters.next() {
            if character != '\\' {
                text.push(character);
                continue;
            }
            match characters.next() {
                Some((_, 'n')) => text.push('\n'),
                Some((_, 't')) => text.push('\t'),
                Some((_, quoted @ ('"' | '\\'))) => text.push(quoted),
                other => {
                    let escape = other.map_or(String::new(), |(_, c)| c.to_string());
                    let start = self.base + pair.as_span().start() + 1 + at;
                    let span = Span::new(self.source, start, start + 1 + escape.len());
                    let error = Diagnostic::error(Code::E0104, format!("unknown escape `\\{escape}` in a string"))
                        .at(span, "not an escape")
                        .with_help("the escapes are `\\\"`, `\\\\`, `\\n` and `\\t`");
                    return Err(Box::new(error));
                }
            }
        }
        Ok(text.into())
    }
}

/// Conditions and values by turns, then the value where none holds.
fn choice(mut values: Vec<Expr>) -> Option<ExprKind> {
    let mut otherwise = values.pop()?;
    loop {
        let (then, condition) = (values.pop()?, values.pop()?);
        let span = condition.span.to(otherwise.span);
        let kind =
            ExprKind::If { condition: Box::new(condition), then: Box::new(then), otherwise: Box::new(otherwise) };
        if values.is_empty() {
            return Some(kind);
        }
        otherwise = Expr { kind, span };
    }
}

/// Builds the tree of the items whose operators hold at least as tightly as `least`.
fn climb(items: &mut Items, least: u8, whole: Span) -> Built<Expr> {
    let mut left = match items.next() {
        Some(Item::Operand(operand)) => operand,
        Some(Item::Prefix(op, span)) => {
            let operand = climb(items, unary_strength(op), whole)?;
            let span = span.to(operand.span);
            Expr { kind: ExprKind::Unary { op, operand: Box::new(operand) }, span }
        }
        _ => return Err(disagreement(whole)),
    };
    let mut compared: Option<Span> = None;
    while let Some((operator, at)) = next_operator(items, least) {
        let strength = operator.strength();
        if strength == COMPARISON {
            if let Some(first) = compared {
                return Err(chained_comparison(first, at));
            }
            compared = Some(at);
        } else {
            compared = None;
        }
        let right = climb(items, if operator.is_right_associative() { strength } else { strength + 1 }, whole)?;
        let span = left.span.to(right.span);
        let kind = match operator {
            Infix::Operator(op) => ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) },
            Infix::Pipe => {
                check_pipe_target(&right, at)?;
                ExprKind::Pipe { value: Box::new(left), call: Box::new(right) }
            }
        };
        left = Expr { kind, span };
    }
    Ok(left)
}

/// Takes the next operator if it holds at least as tightly as `least`.
fn next_operator(items: &mut Items, least: u8) -> Option<(Infix, Span)> {
    match items.next_if(|item| matches!(item, Item::Infix(operator, _) if operator.strength() >= least))? {
        Item::Infix(operator, span) => Some((operator, span)),
        _ => None,
    }
}

fn chained_comparison(first: Span, second: Span) -> Box<Diagnostic> {
    let error = Diagnostic::error(Code::E0101, "comparisons cannot be chained")
        .at(second, "second comparison")
        .with_label(first, "first comparison")
        .with_help("join two comparisons with `and`: `a < b and b < c`");
    Box::new(error)
}

fn check_pipe_target(target: &Expr, pipe: Span) -> Built<()> {
    if matches!(target.kind, ExprKind::Name(_) | ExprKind::Field { .. } | ExprKind::Call { .. }) {
        return Ok(());
    }
    let error = Diagnostic::error(Code::E0101, "the right side of `|>` is not a call")
        .at(target.span, "expected a name or a call")
        .with_label(pipe, "this passes its left side to a function")
        .with_help("`|>` binds looser than every other operator; to go on computing, write `(x |> f) + 1`");
    Err(Box::new(error))
}
