//! Metrics taken apart into sums over samples and a function of those sums, so that an epoch's value does not depend on
//! how the rows were cut into batches.
//!
//! Takes a graph and the names of the metrics that a batch gives one number for, such as a precision or a correlation. Walks
//! each back from its value to where rows are summed: what is above such a sum looks at rows one by one, so the sums of the
//! batches add up; what is below is the function of the sums. Gives the graph with an output of role [`Role::Sum`] for each
//! sum, and a program from sums to metrics. A metric that rows enter in another way, as through a median, or that draws
//! random numbers below a sum, is left as it is.

use super::covariance::{self, Covariance, Product};
use super::rows::{Paths, Rows, rows};
use crate::ir::{Dim, Graph, NodeId, Role, TensorType};
use crate::ops::{Along, Input, InputKind, Op, Types};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A graph with sums, and what to do with them.
#[derive(Clone, Debug, Default)]
pub struct Accumulated {
    /// The graph with its sums as outputs.
    pub graph: Graph,
    /// (sums as inputs of the same names, params, states, clock) → metrics
    pub finals: Graph,
    /// what is to be added to some of the sums of each batch
    pub products: Vec<Product>,
}

/// Takes apart those of the named metrics that can be.
pub fn accumulate(graph: &Graph, metrics: &[Arc<str>]) -> Accumulated {
    let study = Study::of(graph);
    let mut accumulated = Accumulated { graph: graph.clone(), finals: Graph::new(), products: Vec::new() };
    let mut sums: BTreeMap<NodeId, Arc<str>> = BTreeMap::new();
    let mut map: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    for name in metrics {
        let Some(root) = graph.output(Role::Metric, name) else { continue };
        let Some(parts) = study.parts(root) else { continue };
        let covariances = covariances(graph, &parts);
        let mut found = Vec::new();
        for (id, part) in parts {
            if map.contains_key(&id) {
                continue;
            }
            let mut node = graph.node(id).clone();
            let mut operands = Vec::new();
            match part {
                Part::Sum => {
                    let sum: Arc<str> = format!("{name}.{}", sums.len()).into();
                    let of_batch = match covariances.get(&id) {
                        Some(covariance) => {
                            found.push(covariance);
                            covariance::centred(&mut accumulated.graph, covariance)
                        }
                        None => id,
                    };
                    accumulated.graph.add_output(Role::Sum, sum.clone(), of_batch);
                    node.op = Input { kind: InputKind::Input, ty: node.ty.clone() }.into();
                    node.provenance.name = sum.clone();
                    sums.insert(id, sum);
                }
                Part::Final => operands = graph.operands(id).iter().map(|operand| map[operand]).collect(),
            }
            map.insert(id, accumulated.finals.push(node, &operands));
        }
        accumulated.finals.add_output(Role::Metric, name.clone(), map[&root]);
        let name_of = |id: NodeId| sums[&id].clone();
        accumulated.products.extend(found.into_iter().map(|covariance| Product {
            sum: name_of(covariance.sum),
            left: name_of(covariance.left),
            right: name_of(covariance.right),
            count: name_of(covariance.count),
        }));
    }
    accumulated
}

/// The covariances among the parts of a metric, by their sums of products.
fn covariances(graph: &Graph, parts: &BTreeMap<NodeId, Part>) -> BTreeMap<NodeId, Covariance> {
    let finals = parts.iter().filter(|(_, part)| **part == Part::Final);
    let found = finals.filter_map(|(id, _)| covariance::find(graph, *id));
    let is_sum = |id: &NodeId| parts.get(id) == Some(&Part::Sum);
    let found = found.filter(|found| [found.sum, found.left, found.right, found.count].iter().all(is_sum));
    found.map(|found| (found.sum, found)).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// added up over batches
    Sum,
    /// computed from sums at the end
    Final,
}

/// What is known of each node.
struct Study<'g> {
    graph: &'g Graph,
    rows: Vec<Rows>,
    /// depends on how many rows the batch has, on their positions in it, or on chance
    depends_on_cut: Vec<bool>,
}

impl<'g> Study<'g> {
    fn of(graph: &'g Graph) -> Self {
        let has_rows = |id: &NodeId| graph.ty(*id).shape.first().is_some_and(Dim::is_batch);
        let is_data = |id: &NodeId| match graph.op(*id) {
            Op::Input(input) => matches!(input.kind, InputKind::Input | InputKind::Target),
            Op::Random(_) => true,
            _ => false,
        };
        let sources: Vec<NodeId> = graph.ids().filter(|id| is_data(id) && has_rows(id)).collect();
        let mut depends_on_cut = vec![false; graph.len()];
        for id in graph.ids() {
            depends_on_cut[id.index()] = match graph.op(id) {
                Op::Size(size) => is_of_batch(&size.dim),
                Op::Iota(iota) => is_of_batch(&iota.ty.shape[iota.axis]),
                Op::Random(_) => !has_rows(&id),
                // One value for all rows, which is fed with the batch.
                Op::Input(_) if is_data(&id) => !has_rows(&id),
                _ => graph.operands(id).iter().any(|operand| depends_on_cut[operand.index()]),
            };
        }
        Self { graph, rows: rows(graph, &sources, Paths::All), depends_on_cut }
    }

    /// The nodes between the sums and a metric, both included, in id order; `None` when the metric cannot be taken apart.
    fn parts(&self, root: NodeId) -> Option<BTreeMap<NodeId, Part>> {
        let mut parts = BTreeMap::new();
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if parts.contains_key(&id) {
                continue;
            }
            let part = self.part(id)?;
            parts.insert(id, part);
            if part == Part::Final {
                stack.extend(self.graph.operands(id));
            }
        }
        Some(parts)
    }

    fn part(&self, id: NodeId) -> Option<Part> {
        let ty = self.graph.ty(id);
        if ty.shape.iter().any(is_of_batch) {
            return None;
        }
        if ty.is_float() && self.is_sum_of_rows(id) {
            return Some(Part::Sum);
        }
        let is_chance = matches!(self.graph.op(id), Op::Random(_) | Op::Size(_)) && self.depends_on_cut[id.index()];
        (!is_chance).then_some(Part::Final)
    }

    /// Whether a value over all rows is the sum of its values over the batches that the rows are cut into.
    fn is_sum_of_rows(&self, id: NodeId) -> bool {
        let operands = self.graph.operands(id);
        if operands.iter().any(|operand| self.depends_on_cut[operand.index()]) {
            return false;
        }
        if let Op::Size(size) = self.graph.op(id) {
            return is_multiple_of_batch(&size.dim);
        }
        let types: Vec<&TensorType> = operands.iter().map(|operand| self.graph.ty(*operand)).collect();
        let locality = self.graph.op(id).locality(Types { operands: &types, result: self.graph.ty(id) });
        let is_added = |slot: usize, axis: usize| locality.along(slot, axis) == Along::Added;
        let is_summed = |slot: usize| match self.rows[operands[slot].index()] {
            Rows::Along(axis) => is_added(slot, axis),
            // The same in every row: so many times one row.
            Rows::Apart => {
                let shape = &types[slot].shape;
                let is_of_rows = |axis: &usize| is_added(slot, *axis) && is_multiple_of_batch(&shape[*axis]);
                (0..shape.len()).filter(is_of_rows).count() == 1
            }
            Rows::Mixed => false,
        };
        !operands.is_empty() && (0..operands.len()).all(is_summed)
    }
}

fn is_of_batch(dim: &Dim) -> bool {
    dim.symbols().iter().any(|symbol| &**symbol == crate::ir::BATCH)
}

/// `n * batch` with an `n` that does not depend on `batch`.
fn is_multiple_of_batch(dim: &Dim) -> bool {
    dim.div_exact(&Dim::batch()).is_some_and(|times| !is_of_batch(&times))
}
