//! A node of a graph as an expression in the spec's own names: `total.alpha / batch`.
//!
//! For people: shapes and stops are left out, factors of 1 and terms of 0 go, an element of a value is said by its index,
//! so two elements read differently. Long expressions end in `…`.

use crate::ir::{Dim, Graph, NodeId, TensorType};
use crate::ops::{Locality, Op, Types};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes shown before `…` takes the place of the rest.
const LONGEST: usize = 60;

/// The expression of a node; nodes in `names` are shown by their names.
pub fn expression(graph: &Graph, id: NodeId, names: &BTreeMap<NodeId, Arc<str>>) -> String {
    let mut reader = Reader { graph, names, left: LONGEST };
    reader.whole(id).text(Level::Sum)
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

/// Which part of a value is meant: for each axis one position, or all of them.
type Place = Vec<Option<usize>>;

/// `[1, :, 0]`; nothing where all of the value is meant.
fn place_text(place: &[Option<usize>]) -> String {
    let Some(last) = place.iter().rposition(Option::is_some) else { return String::new() };
    let one = |at: &Option<usize>| at.map_or(":".to_string(), |at| at.to_string());
    format!("[{}]", place[..=last].iter().map(one).collect::<Vec<_>>().join(", "))
}

struct Reader<'g> {
    graph: &'g Graph,
    names: &'g BTreeMap<NodeId, Arc<str>>,
    left: usize,
}

impl Reader<'_> {
    /// The term of a node's value.
    fn whole(&mut self, id: NodeId) -> Term {
        let place = vec![None; self.graph.ty(id).rank()];
        self.term(id, &place)
    }

    /// The term of a part of a node's value.
    fn term(&mut self, id: NodeId, place: &[Option<usize>]) -> Term {
        let placed = |name: &str| Term::Atom(format!("{name}{}", place_text(place)));
        if let Some(name) = self.names.get(&id) {
            return placed(name);
        }
        if self.left == 0 {
            return Term::Atom("…".to_string());
        }
        self.left -= 1;
        if let Some((name, value)) = self.missing(id) {
            return self.call(name, &[value]);
        }
        let operands = self.graph.operands(id);
        let op = self.graph.op(id);
        match op {
            Op::Input(_) => placed(&self.graph.node(id).provenance.name),
            Op::Constant(constant) => Term::number(constant.value.0),
            Op::Size(size) => Term::Atom(size.dim.to_string()),
            Op::Neg(_) => Term::number(-1.0).times(self.term(operands[0], place)),
            Op::Add(_) => self.term(operands[0], place).plus(self.term(operands[1], place)),
            Op::Sub(_) => {
                let right = Term::number(-1.0).times(self.term(operands[1], place));
                self.term(operands[0], place).plus(right)
            }
            Op::Mul(_) => self.term(operands[0], place).times(self.term(operands[1], place)),
            Op::Div(_) => self.term(operands[0], place).over(self.term(operands[1], place)),
            Op::StopGradient(_) | Op::Cast(_) => self.term(operands[0], place),
            Op::Sum(sum) if sum.axes.iter().all(|axis| self.graph.ty(operands[0]).shape[*axis].is_one()) => {
                self.whole(operands[0])
            }
            op if self.is_pointwise(id) => {
                let arguments: Vec<Term> = operands.iter().map(|operand| self.term(*operand, place)).collect();
                call_text(op.name(), &arguments)
            }
            op => match self.moved(id, place) {
                Some((operand, place)) => self.term(operand, &place),
                None => {
                    let name = if let Op::Concat(_) = op { "stack" } else { op.name() };
                    let call = self.call(name, &operands).text(Level::Atom);
                    Term::Atom(format!("{call}{}", place_text(place)))
                }
            },
        }
    }

    fn is_pointwise(&self, id: NodeId) -> bool {
        let operands = self.graph.operands(id);
        let types: Vec<&TensorType> = operands.iter().map(|operand| self.graph.ty(*operand)).collect();
        let types = Types { operands: &types, result: self.graph.ty(id) };
        self.graph.op(id).locality(types) == Locality::Pointwise
    }

    /// The part of an operand that a part of a rearranged value is, where it is one.
    fn moved(&self, id: NodeId, place: &[Option<usize>]) -> Option<(NodeId, Place)> {
        let operands = self.graph.operands(id);
        let x = *operands.first()?;
        let shape = &self.graph.ty(x).shape;
        let is_all = place.iter().all(Option::is_none);
        let place = match self.graph.op(id) {
            Op::Broadcast(broadcast) => broadcast.axes.iter().map(|axis| place[*axis]).collect(),
            Op::Transpose(transpose) => transpose.inverse().iter().map(|axis| place[*axis]).collect(),
            Op::Reshape(reshape) if is_all && !reshape.shape.is_empty() => vec![None; shape.len()],
            Op::Reshape(reshape) => reshaped(&reshape.shape, place, shape)?,
            Op::Slice(slice) => {
                let at = |axis: usize| {
                    let (start, extent) = (slice.starts[axis].as_known(), slice.extents[axis].as_known());
                    let is_whole = slice.starts[axis].is_zero() && slice.extents[axis] == shape[axis];
                    match (place[axis].or((extent == Some(1)).then_some(0)), start) {
                        (None, _) if is_whole => Some(None),
                        (Some(at), Some(start)) => Some(Some(start + at * slice.strides[axis])),
                        _ => None,
                    }
                };
                (0..shape.len()).map(at).collect::<Option<_>>()?
            }
            Op::Concat(concat) => {
                let mut at = place[concat.axis]?;
                for operand in operands {
                    let extent = self.graph.ty(operand).shape[concat.axis].as_known()?;
                    if at < extent {
                        let mut place = place.to_vec();
                        // Of a part of one element all is meant.
                        place[concat.axis] = (extent > 1).then_some(at);
                        return Some((operand, place));
                    }
                    at -= extent;
                }
                return None;
            }
            Op::Reverse(reverse) => {
                let at = |axis: usize| match (place[axis], reverse.axes.contains(&axis)) {
                    (None, true) => None,
                    (Some(at), true) => Some(Some(shape[axis].as_known()?.checked_sub(at + 1)?)),
                    (at, false) => Some(at),
                };
                (0..shape.len()).map(at).collect::<Option<_>>()?
            }
            _ => return None,
        };
        Some((x, place))
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

    fn call(&mut self, name: &str, operands: &[NodeId]) -> Term {
        let arguments: Vec<Term> = operands.iter().map(|operand| self.whole(*operand)).collect();
        call_text(name, &arguments)
    }
}

fn call_text(name: &str, arguments: &[Term]) -> Term {
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.text(Level::Sum)).collect();
    Term::Atom(format!("{name}({})", arguments.join(", ")))
}

/// Where a single element of a reshaped value stood before; axes of one element need not be said.
fn reshaped(to: &[Dim], place: &[Option<usize>], from: &[Dim]) -> Option<Place> {
    let known = |dims: &[Dim]| dims.iter().map(Dim::as_known).collect::<Option<Vec<usize>>>();
    let (to, from) = (known(to)?, known(from).filter(|from| !from.contains(&0))?);
    let mut position = 0;
    for (extent, at) in to.iter().zip(place) {
        position = position * extent + at.or((*extent == 1).then_some(0))?;
    }
    let mut place = vec![None; from.len()];
    for (axis, extent) in from.iter().enumerate().rev() {
        place[axis] = Some(position % extent);
        position /= extent;
    }
    Some(place)
}
