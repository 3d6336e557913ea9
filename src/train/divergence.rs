//! Where a training step left the finite numbers: the first operation whose result is not finite though all that it was given is,
//! and from which the loss or param that went wrong follows.
//!
//! Takes an executor that was fed the batch, and the model as it was before the step. The step is evaluated by the reference,
//! twice: once for which values are finite, once for the numbers at the place found.

use crate::diag::Span;
use crate::exec::{Clock, Executor, Store};
use crate::ir::{Graph, NodeId, Role};
use crate::ops::{Element, Op, Tensor};
use std::fmt::Write as _;
use std::sync::Arc;

/// Rows that are named.
const ROWS_NAMED: usize = 6;

/// Losses or params that are named.
const NAMES_NAMED: usize = 4;

/// The first value that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Origin {
    pub span: Span,
    /// for the label at the span
    pub label: String,
    pub notes: Vec<String>,
}

/// Finds where the numbers stop being finite; `rows` are those of the batch. None when they are finite by the reference.
pub(super) fn origin<T: Element>(
    executor: &Executor<T>,
    store: &Store<T>,
    clock: Clock,
    rows: &[u32],
) -> Option<Origin> {
    let graph = executor.graph();
    let mut is_finite = vec![true; graph.len()];
    executor.examine(store, clock, &mut |id, _, value| is_finite[id.index()] = extent(value).is_finite);
    let first = first_of(graph, &is_finite)?;
    let mut found = None;
    executor.examine(store, clock, &mut |id, operands, value| {
        if id == first {
            found = Some(describe(graph, id, operands, value, rows));
        }
    });
    found
}

/// The first node that is not finite though its operands are, among those that a bad loss, objective, param or state follows from
/// by values that are not finite.
fn first_of(graph: &Graph, is_finite: &[bool]) -> Option<NodeId> {
    let is_bad = |id: NodeId| !is_finite[id.index()];
    let mut reached = vec![false; graph.len()];
    let outputs = graph
        .outputs
        .iter()
        .filter(|output| !matches!(output.role, Role::Metric | Role::Sum | Role::Weight | Role::Term | Role::Observed));
    let mut stack: Vec<NodeId> = outputs.map(|output| output.node).filter(|id| is_bad(*id)).collect();
    let mut first: Option<NodeId> = None;
    while let Some(id) = stack.pop() {
        if std::mem::replace(&mut reached[id.index()], true) {
            continue;
        }
        let bad: Vec<NodeId> = graph.operands(id).into_iter().filter(|operand| is_bad(*operand)).collect();
        // An infinity that the spec writes down, as for what a maximum leaves out, is no mistake of the numbers.
        let is_given = matches!(graph.op(id), Op::Constant(_));
        if bad.is_empty() && !is_given {
            first = Some(first.map_or(id, |first| first.min(id)));
        }
        stack.extend(bad);
    }
    first
}

fn describe<T: Element>(graph: &Graph, id: NodeId, operands: &[&Tensor<T>], value: &Tensor<T>, rows: &[u32]) -> Origin {
    let node = graph.node(id);
    let found = extent(value);
    let mut notes =
        vec![format!("found: `{}` gives {} in `{}`, {}", node.op.name(), found.what(), node.provenance.name, node.ty)];
    for (operand, value) in graph.operands(id).into_iter().zip(operands) {
        let provenance = &graph.node(operand).provenance;
        notes.push(format!("its operand `{}` is {}", provenance.name, extent(value).range()));
    }
    notes.push(belongs_to(graph, id));
    notes.push(rows_of(value, rows));
    Origin { span: node.provenance.span, label: format!("the first value that is not finite: {}", found.what()), notes }
}

/// The losses that follow from a node; of one in the gradients, the params whose new values do.
fn belongs_to(graph: &Graph, id: NodeId) -> String {
    let names = |roles: &[Role]| -> Vec<Arc<str>> {
        let outputs = graph.outputs.iter().filter(|output| roles.contains(&output.role));
        let follows = |output: &&crate::ir::Output| graph.slice_back([output.node])[id.index()];
        outputs.filter(follows).map(|output| output.name.clone()).collect()
    };
    let (losses, params) = (names(&[Role::Loss, Role::Objective]), names(&[Role::Param]));
    let (what, mut names) =
        if losses.is_empty() { ("the gradient or update of", params) } else { ("the loss", losses) };
    names.dedup();
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "it belongs to a state".to_string(),
        all if all.len() <= NAMES_NAMED => format!("it belongs to {what} {}", all.join(", ")),
        all => format!("it belongs to {what} {} and {} more", all[..NAMES_NAMED].join(", "), all.len() - NAMES_NAMED),
    }
}

/// The rows of the batch at which a value is not finite, or all of them where it has no row of its own.
fn rows_of<T: Element>(value: &Tensor<T>, rows: &[u32]) -> String {
    let Tensor::Float(array) = value else { return String::new() };
    let mut bad: Vec<u32> = Vec::new();
    let has_rows = array.shape().first() == Some(&rows.len());
    if has_rows {
        let outer = array.outer_iter().zip(rows);
        bad.extend(outer.filter(|(part, _)| part.iter().any(|value| !value.is_finite())).map(|(_, row)| *row));
    }
    let (what, named) = if bad.is_empty() { ("the batch has", rows) } else { ("it is so for", bad.as_slice()) };
    let mut text = format!("{what} the training {}", if named.len() == 1 { "row " } else { "rows " });
    for (at, row) in named.iter().take(ROWS_NAMED).enumerate() {
        let _ = write!(text, "{}{row}", if at == 0 { "" } else { ", " });
    }
    if named.len() > ROWS_NAMED {
        let _ = write!(text, " and {} more", named.len() - ROWS_NAMED);
    }
    text + ", counted from 0"
}

/// What numbers a value holds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extent {
    is_finite: bool,
    has_nan: bool,
    least: f64,
    largest: f64,
}

impl Extent {
    fn range(self) -> String {
        let nan = if self.has_nan { ", and NaN" } else { "" };
        match (self.least, self.largest) {
            (least, largest) if least > largest => format!("empty{nan}"),
            (least, largest) if least == largest => format!("{}{nan}", short(least)),
            (least, largest) => format!("{} to {}{nan}", short(least), short(largest)),
        }
    }

    /// What is wrong with it.
    fn what(self) -> &'static str {
        match (self.has_nan, self.least == f64::NEG_INFINITY, self.largest == f64::INFINITY) {
            (true, _, _) => "NaN",
            (_, true, true) => "-inf and inf",
            (_, true, false) => "-inf",
            _ => "inf",
        }
    }
}

fn short(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-3..1e6).contains(&value.abs()) || value.is_infinite();
    if is_plain {
        format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{value:.3e}")
    }
}

fn extent<T: Element>(value: &Tensor<T>) -> Extent {
    let mut extent = Extent { is_finite: true, has_nan: false, least: f64::INFINITY, largest: f64::NEG_INFINITY };
    let mut add = |value: f64| {
        extent.is_finite &= value.is_finite();
        extent.has_nan |= value.is_nan();
        extent.least = extent.least.min(value);
        extent.largest = extent.largest.max(value);
    };
    match value {
        Tensor::Float(array) => array.iter().for_each(|value| add(value.as_f64())),
        Tensor::Int(array) => array.iter().for_each(|value| add(f64::from(*value))),
        Tensor::Bool(array) => array.iter().for_each(|value| add(f64::from(u8::from(*value)))),
    }
    extent
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn extents_are_said_in_few_words() {
        let of = |values: &[f64]| {
            let array = ArrayD::from_shape_vec(IxDyn(&[values.len()]), values.to_vec()).unwrap();
            extent(&Tensor::Float(array))
        };
        assert_eq!(of(&[0.0, 0.5]).range(), "0 to 0.5");
        assert_eq!(of(&[-3e9, f64::NAN]).range(), "-3.000e9, and NaN");
        assert_eq!(of(&[]).range(), "empty");
        let what = |values: &[f64]| (of(values).is_finite, of(values).what());
        assert_eq!(what(&[1.0, f64::NEG_INFINITY]), (false, "-inf"));
        assert_eq!(what(&[f64::INFINITY, f64::NAN]), (false, "NaN"));
        assert!(of(&[1.0, -2.0]).is_finite);
    }
}
