//! Which whole numbers data may hold: the rows of the tables that they index, the classes of the rows they become.
//!
//! Takes a graph; gives, for each input and target of whole numbers, the [`Demand`]s of the ops that it reaches as an index.
//! Forwards, every node gets what is known of its elements as functions of a leaf's (`value`). An index must lie in what it
//! indexes, so each function has a set of arguments that it may have. Backwards, `usage` says for which arguments the
//! outcome is used at all: what a mask leaves out (`where(y < 0, 0, loss)`) is accepted.
//!
//! Establishes: data within the demands reach no index outside, as far as the graph tells; data outside a demand do. Where
//! the graph does not tell, as with a mask that is data of its own, nothing is demanded: no good data are refused.
//! Relies on sizes: a dim without a number demands nothing, so a graph is asked after its sizes were bound.

mod sets;
mod shares;
mod usage;
mod value;

pub use sets::Set;
pub use shares::{Share, shares};
pub use value::Stretch;

use crate::diag::Span;
use crate::ir::{DType, Dim, Graph, NodeId, TensorType};
use crate::ops::{Indexed, Input, InputKind, Op, Scan, Types};
use sets::{FAR, Function};
use std::sync::Arc;
use usage::{Question, Usage};
use value::{Along, Known, Source, Value, apply};

/// The whole numbers that some elements of each row of a field may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// the input or target
    pub field: Arc<str>,
    /// which elements of a row, by its axes
    pub region: Vec<Stretch>,
    pub accepted: Set,
    /// what the numbers are taken for: `an index of 5 rows`
    pub role: String,
    /// the value that is computed with them
    pub by: Arc<str>,
    pub span: Span,
}

impl Demand {
    /// Whether it speaks of an element of a row.
    pub fn concerns(&self, index: &[usize]) -> bool {
        let within = |(at, stretch): (&usize, &Stretch)| match stretch {
            None => true,
            Some((start, extent, stride)) => {
                at.checked_sub(*start).is_some_and(|at| at % stride == 0 && at / stride < *extent)
            }
        };
        index.iter().zip(&self.region).all(within)
    }
}

/// What a node indexes by one of its operands.
fn indexed(graph: &Graph, id: NodeId) -> Option<Indexed> {
    let operands: Vec<&TensorType> = graph.operands(id).into_iter().map(|operand| graph.ty(operand)).collect();
    graph.op(id).demand(Types { operands: &operands, result: graph.ty(id) })
}

/// What comes of an index outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Outside {
    /// zeros, which a factor of 0 hides
    Zero,
    /// NaN, which it does not
    Marked,
}

/// The demands of a graph on its inputs and targets. `optional` are the fields whose values may be missing; the marks of
/// missing values are not asked about.
pub fn demands(graph: &Graph, optional: &dyn Fn(&str) -> bool) -> Vec<Demand> {
    let leaves = leaves(graph, optional, |input| !input.ty.is_float());
    if leaves.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    Walk::new(graph, &leaves, None).find(&mut found);
    let mut distinct: Vec<Demand> = Vec::new();
    for demand in found {
        let same = |other: &Demand| {
            (&other.field, &other.region, &other.accepted) == (&demand.field, &demand.region, &demand.accepted)
        };
        if !distinct.iter().any(same) {
            distinct.push(demand);
        }
    }
    distinct
}

/// The inputs and targets, one value a sample, that are asked about.
fn leaves(graph: &Graph, optional: &dyn Fn(&str) -> bool, asked: impl Fn(&Input) -> bool) -> Vec<Leaf> {
    let leaf = |id: NodeId| {
        let Op::Input(input) = graph.op(id) else { return None };
        let is_data = matches!(input.kind, InputKind::Input | InputKind::Target)
            && input.ty.shape.first().is_some_and(Dim::is_batch);
        let name = graph.node(id).provenance.name.clone();
        let domain = match input.ty.dtype {
            DType::Bool => (0, 1),
            DType::I32 => (i64::from(i32::MIN) + i64::from(optional(&name)), i64::from(i32::MAX)),
            DType::F32 => (-FAR, FAR),
        };
        (is_data && asked(input)).then(|| Leaf { node: id, name, domain, rank: input.ty.rank() })
    };
    graph.ids().filter_map(leaf).collect()
}

/// An input or target.
#[derive(Debug)]
struct Leaf {
    node: NodeId,
    name: Arc<str>,
    domain: (i64, i64),
    rank: usize,
}

/// A graph, or the body of a loop within another walk.
#[derive(Debug)]
struct Walk<'g> {
    graph: &'g Graph,
    leaves: &'g [Leaf],
    values: Vec<Value>,
    /// the walk around a body, and the loop's node in it
    around: Option<(&'g Usage<'g>, NodeId)>,
}

impl<'g> Walk<'g> {
    fn new(graph: &'g Graph, leaves: &'g [Leaf], around: Option<(&'g Usage<'g>, NodeId, &[Value])>) -> Self {
        let mut values: Vec<Value> = Vec::with_capacity(graph.len());
        for id in graph.ids() {
            let operands = graph.operands(id);
            let value = match graph.op(id) {
                Op::Input(input) => match (input.kind, &around) {
                    (InputKind::Port(port), Some((_, _, ports))) => ports.get(port).cloned().unwrap_or_default(),
                    (InputKind::Input | InputKind::Target, _) => leaf_value(leaves, id),
                    _ => Value::default(),
                },
                op => {
                    let of = |id: &NodeId| &values[id.index()];
                    let given: Vec<&Value> = operands.iter().map(of).collect();
                    let shapes: Vec<_> = operands.iter().map(|id| &graph.ty(*id).shape).collect();
                    let dtypes: Vec<DType> = operands.iter().map(|id| graph.ty(*id).dtype).collect();
                    apply(op, &given, &shapes, &dtypes, &graph.ty(id).shape)
                }
            };
            values.push(value);
        }
        Self { graph, leaves, values, around: around.map(|(usage, node, _)| (usage, node)) }
    }

    fn find(self, found: &mut Vec<Demand>) {
        let usage = Usage::new(&self);
        for id in self.graph.ids() {
            let operands = self.graph.operands(id);
            if let Some(Indexed { slot, extent, fill, .. }) = indexed(self.graph, id)
                && let Some(extent) = extent.as_known()
            {
                let index = &self.values[operands[slot].index()];
                let outside = if fill.0 == 0.0 { Outside::Zero } else { Outside::Marked };
                for known in &index.known {
                    let most = extent as f64 - 1.0;
                    let role = format!("an index of {}", crate::diag::counted(extent, "row"));
                    self.demand(&usage, id, outside, known, index.by_step, (0.0, most), role, found);
                }
            }
            for (known, by_step, low, high) in self.one_hot(id) {
                let role = format!("a class of {}", (high - low) as u64 + 1);
                self.demand(&usage, id, Outside::Zero, &known, by_step, (low, high), role, found);
            }
            if let Op::Scan(scan) = self.graph.op(id) {
                let ports = self.ports(scan, &operands);
                Walk::new(scan.body.graph(), self.leaves, Some((&usage, id, &ports))).find(found);
            }
        }
    }

    /// What a loop hands to its body.
    fn ports(&self, scan: &Scan, operands: &[NodeId]) -> Vec<Value> {
        let by_data = operands.iter().any(|id| self.values[id.index()].by_data);
        let port = |(slot, id): (usize, &NodeId)| {
            let value = &self.values[id.index()];
            match scan.kind(slot) {
                crate::ops::scan::OperandKind::Carry => Value::unknown(by_data, true),
                crate::ops::scan::OperandKind::Sequence => {
                    let known = value.known.iter().map(Known::slice_of_steps).collect();
                    Value { known, by_step: true, ..*value }
                }
                crate::ops::scan::OperandKind::Constant => value.clone(),
            }
        };
        operands.iter().enumerate().map(port).collect()
    }

    /// The labels that a node makes rows of 0 and 1 of: a comparison with every position of an axis, taken as numbers.
    fn one_hot(&self, id: NodeId) -> Vec<(Known, bool, f64, f64)> {
        let operands = self.graph.operands(id);
        let is_constant = |slot: usize| {
            let known = self.values[operands[slot].index()].single();
            known.is_some_and(|known| known.source.is_none() && known.function.as_constant().is_some())
        };
        let is_taken_as_numbers = match self.graph.op(id) {
            Op::Cast(cast) => cast.to == DType::F32,
            Op::Select(_) => is_constant(1) && is_constant(2),
            _ => false,
        };
        if !is_taken_as_numbers || !matches!(self.graph.op(operands[0]), Op::Equal(_)) {
            return Vec::new();
        }
        let sides = self.graph.operands(operands[0]);
        let mut found = Vec::new();
        for (labels, positions) in [(sides[0], sides[1]), (sides[1], sides[0])] {
            let Some(Known { source: None, function, sweep: Some(axis) }) = self.values[positions.index()].single()
            else {
                continue;
            };
            let (low, high) = function.bounds();
            let labels = &self.values[labels.index()];
            let repeats = |known: &&Known| {
                known.source.as_ref().is_some_and(|source| source.axes.get(*axis) == Some(&Along::Same))
            };
            found.extend(labels.known.iter().filter(repeats).map(|known| (known.clone(), labels.by_step, low, high)));
        }
        found
    }

    #[expect(clippy::too_many_arguments, reason = "one demand, said once")]
    fn demand(
        &self,
        usage: &Usage<'_>,
        site: NodeId,
        outside: Outside,
        index: &Known,
        by_step: bool,
        (low, high): (f64, f64),
        role: String,
        found: &mut Vec<Demand>,
    ) {
        let Some(source) = &index.source else { return };
        let leaf = &self.leaves[source.leaf];
        let domain = Set::between(leaf.domain.0, leaf.domain.1);
        let accepted = index.function.may_be(low, high);
        if accepted.covers(&domain) {
            return;
        }
        let used = usage.of(site, Question { leaf: source.leaf, outside, by_step });
        let accepted = accepted.union(&used.complement());
        if accepted.covers(&domain) {
            return;
        }
        let node = self.graph.node(site);
        found.push(Demand {
            field: leaf.name.clone(),
            region: source.region.get(1..).unwrap_or_default().to_vec(),
            accepted: accepted.intersection(&domain),
            role,
            by: node.provenance.name.clone(),
            span: node.provenance.span,
        });
    }
}

fn leaf_value(leaves: &[Leaf], id: NodeId) -> Value {
    let Some(at) = leaves.iter().position(|leaf| leaf.node == id) else { return Value::unknown(true, false) };
    let Leaf { domain, rank, .. } = leaves[at];
    let source = Source { leaf: at, axes: (0..rank).map(Along::Leaf).collect(), region: vec![None; rank] };
    let function = Function::identity(domain.0, domain.1);
    Value { known: vec![Known { source: Some(source), function, sweep: None }], by_data: true, by_step: false }
}
