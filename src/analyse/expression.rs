//! A node of a graph as an expression in the spec's own names: `total.alpha / batch`.
//!
//! For people: shapes and stops are left out, factors of 1 and terms of 0 go, a slice of one element is an index. Long
//! expressions end in `…`.

use crate::ir::{Graph, NodeId};
use crate::ops::Op;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes shown before `…` takes the place of the rest.
const LONGEST: usize = 60;

/// The expression of a node; nodes in `names` are shown by their names.
pub fn expression(graph: &Graph, id: NodeId, names: &BTreeMap<NodeId, Arc<str>>) -> String {
    let mut reader = Reader { graph, names, left: LONGEST };
    reader.term(id, None).text(Level::Sum)
}

/// The longest number that is shown as such where a quotient would do.
const SHORT: usize = 6;

/// How tightly the surroundings of an expression bind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Sum,
    Product,
    Atom,
}

/// Products are kept flat, so that factors can meet.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    Atom(String),
    Sum(Vec<Term>),
    Product { factor: f64, above: Vec<Term>, below: Vec<Term> },
}

impl Term {
    fn number(value: f64) -> Self {
        Self::Product { factor: value, above: Vec::new(), below: Vec::new() }
    }

    fn as_number(&self) -> Option<f64> {
        match self {
            Self::Product { factor, above, below } if above.is_empty() && below.is_empty() => Some(*factor),
            _ => None,
        }
    }

    fn parts(self) -> (f64, Vec<Term>, Vec<Term>) {
        match self {
            Self::Product { factor, above, below } => (factor, above, below),
            other => (1.0, vec![other], Vec::new()),
        }
    }

    fn times(self, other: Self) -> Self {
        let (a, mut above, mut below) = self.parts();
        let (b, more_above, more_below) = other.parts();
        if a * b == 0.0 {
            return Self::number(0.0);
        }
        above.extend(more_above);
        below.extend(more_below);
        Self::product(a * b, above, below)
    }

    /// What stands both above and below goes.
    fn product(factor: f64, above: Vec<Term>, mut below: Vec<Term>) -> Self {
        let mut kept = Vec::new();
        for term in above {
            match below.iter().position(|other| *other == term) {
                Some(at) => drop(below.remove(at)),
                None => kept.push(term),
            }
        }
        Self::Product { factor, above: kept, below }
    }

    fn over(self, other: Self) -> Self {
        let (b, above, below) = other.parts();
        self.times(Self::Product { factor: 1.0 / b, above: below, below: above })
    }

    fn plus(self, other: Self) -> Self {
        if let (Some(a), Some(b)) = (self.as_number(), other.as_number()) {
            return Self::number(a + b);
        }
        let mut terms = Vec::new();
        for term in [self, other] {
            match term {
                Self::Sum(more) => terms.extend(more),
                term if term.as_number() == Some(0.0) => {}
                term => terms.push(term),
            }
        }
        if terms.len() == 1 { terms.remove(0) } else { Self::Sum(terms) }
    }

    fn text(&self, level: Level) -> String {
        match self {
            Self::Atom(text) => text.clone(),
            Self::Sum(terms) => {
                let mut text = String::new();
                for (i, term) in terms.iter().enumerate() {
                    let term = term.text(Level::Sum);
                    match (i, term.strip_prefix('-')) {
                        (0, _) => text += &term,
                        (_, Some(rest)) => text += &format!(" - {rest}"),
                        (_, None) => text += &format!(" + {term}"),
                    }
                }
                if level > Level::Sum { format!("({text})") } else { text }
            }
            Self::Product { factor, above, below } => product_text(*factor, above, below, level),
        }
    }
}

fn product_text(factor: f64, above: &[Term], below: &[Term], level: Level) -> String {
    let mut numerator: Vec<String> = above.iter().map(|term| term.text(Level::Product)).collect();
    let sign = if factor < 0.0 { "-" } else { "" };
    // 0.25 is better read as a number, 1/3 as a quotient.
    let size = factor.abs();
    let inverse = size.recip();
    let mut denominator: Vec<String> = below.iter().map(|term| term.text(Level::Atom)).collect();
    if size < 1.0 && inverse.fract() == 0.0 && size.to_string().len() > SHORT {
        denominator.insert(0, inverse.to_string());
    } else if size != 1.0 || numerator.is_empty() {
        numerator.insert(0, size.to_string());
    }
    if numerator.is_empty() {
        numerator.push("1".to_string());
    }
    let mut text = format!("{sign}{}", numerator.join(" * "));
    for part in denominator {
        text += &format!(" / {part}");
    }
    let is_plain = below.is_empty() && (above.is_empty() || (above.len() == 1 && factor == 1.0));
    if level == Level::Atom && !(is_plain && factor >= 0.0) { format!("({text})") } else { text }
}

struct Reader<'g> {
    graph: &'g Graph,
    names: &'g BTreeMap<NodeId, Arc<str>>,
    left: usize,
}

impl Reader<'_> {
    /// The term of a node; with `index`, of that element along its first axis.
    fn term(&mut self, id: NodeId, index: Option<usize>) -> Term {
        let indexed = |name: &str| match index {
            Some(index) => Term::Atom(format!("{name}[{index}]")),
            None => Term::Atom(name.to_string()),
        };
        if let Some(name) = self.names.get(&id) {
            return indexed(name);
        }
        if self.left == 0 {
            return Term::Atom("…".to_string());
        }
        self.left -= 1;
        if let Some((name, value)) = self.missing(id) {
            return self.call(name, &[value], None);
        }
        let operands = self.graph.operands(id);
        let op = self.graph.op(id);
        match op {
            Op::Input(_) => indexed(&self.graph.node(id).provenance.name),
            Op::Constant(constant) => Term::number(constant.value.0),
            Op::Size(size) => Term::Atom(size.dim.to_string()),
            Op::Neg(_) => Term::number(-1.0).times(self.term(operands[0], index)),
            Op::Add(_) => self.term(operands[0], index).plus(self.term(operands[1], index)),
            Op::Sub(_) => {
                let right = Term::number(-1.0).times(self.term(operands[1], index));
                self.term(operands[0], index).plus(right)
            }
            Op::Mul(_) => self.term(operands[0], index).times(self.term(operands[1], index)),
            Op::Div(_) => self.term(operands[0], index).over(self.term(operands[1], index)),
            Op::StopGradient(_) | Op::Cast(_) => self.term(operands[0], index),
            Op::Broadcast(broadcast) => self.term(operands[0], index.filter(|_| broadcast.axes.first() == Some(&0))),
            Op::Reshape(_) => {
                let rank = self.graph.ty(operands[0]).rank();
                let single = rank == 1 && self.graph.ty(operands[0]).shape[0].is_one();
                self.term(operands[0], if single { Some(0) } else { index })
            }
            Op::Slice(slice) if self.graph.ty(id).rank() == 1 => {
                let start = slice.starts[0].as_known().unwrap_or(0);
                self.term(operands[0], Some(start + index.unwrap_or(0)))
            }
            Op::Concat(_) => match index {
                // Parts of a stack have one element each.
                Some(index) if index < operands.len() => self.term(operands[index], None),
                _ => self.call("stack", &operands, None),
            },
            Op::Sum(sum) if sum.axes.iter().all(|axis| self.graph.ty(operands[0]).shape[*axis].is_one()) => {
                self.term(operands[0], None)
            }
            op => {
                let elementwise = op.attributes().is_empty();
                self.call(op.name(), &operands, index.filter(|_| elementwise))
            }
        }
    }

    /// The marks of missing values as what they mean: NaN, which differs from itself, and the least int are
    /// `missing(x)`; that none of a sample's values is one is `present(x)`.
    fn missing(&self, id: NodeId) -> Option<(&'static str, NodeId)> {
        let operands = self.graph.operands(id);
        let is_number = |id: NodeId, number: f64| matches!(self.graph.op(id), Op::Constant(c) if c.value.0 == number);
        match self.graph.op(id) {
            Op::Not(_) => match self.graph.op(operands[0]) {
                Op::Equal(_) => {
                    let sides = self.graph.operands(operands[0]);
                    (sides[0] == sides[1]).then_some(("missing", sides[0]))
                }
                _ => None,
            },
            Op::Equal(_) if is_number(operands[1], f64::from(i32::MIN)) => Some(("missing", operands[0])),
            Op::Equal(_) if is_number(operands[1], 0.0) => match self.missing(self.counted(operands[0]))? {
                ("missing", value) => Some(("present", value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a count of bools counts.
    fn counted(&self, id: NodeId) -> NodeId {
        match self.graph.op(id) {
            Op::Sum(_) | Op::Cast(_) | Op::Reshape(_) => self.counted(self.graph.operands(id)[0]),
            _ => id,
        }
    }

    fn call(&mut self, name: &str, operands: &[NodeId], index: Option<usize>) -> Term {
        let arguments: Vec<String> =
            operands.iter().map(|operand| self.term(*operand, index).text(Level::Sum)).collect();
        Term::Atom(format!("{name}({})", arguments.join(", ")))
    }
}
