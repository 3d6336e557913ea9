//! What each node reads, as the plan computes it: products take their bias and a rectifier along.
//!
//! Takes a bound graph; gives a [`Reading`]: operands and users of every node, with two changes that leave every value
//! as it is. `0 < x` becomes `0 < max(0, x)` where that maximum exists, so that a rectifier's derivative needs the
//! result alone; and `max(0, a · b + bias)` becomes one kernel that reads `a`, `b` and `bias`, the product, a reshape of
//! it and the sum being nothing that somebody else reads.

use super::index_map::{IndexMap, Pattern};
use super::order::{count, origin};
use crate::ir::{Graph, NodeId, Operands};
use crate::ops::Op;
use std::collections::BTreeMap;

/// A product that a later node of its shape takes the place of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fused {
    /// the matrix product or convolution
    pub product: NodeId,
    pub relu: bool,
}

/// Operands and users.
#[derive(Debug)]
pub(super) struct Reading {
    operands: Vec<Operands>,
    users: Vec<Vec<NodeId>>,
    fused: BTreeMap<NodeId, Fused>,
    absorbed: Vec<bool>,
}

impl Reading {
    pub fn of(graph: &Graph, needed: &[bool]) -> Self {
        let operands = graph.ids().map(|id| graph.operands(id)).collect();
        let absorbed = vec![false; graph.len()];
        let mut reading = Self { operands, users: Vec::new(), fused: BTreeMap::new(), absorbed };
        reading.prefer_rectified(graph, needed);
        reading.find_users(graph, needed);
        reading.fuse(graph, needed);
        reading.find_users(graph, needed);
        reading
    }

    /// What a node reads. For a fused product the operands of the product, then the bias.
    pub fn operands(&self, id: NodeId) -> &[NodeId] {
        &self.operands[id.index()]
    }

    /// The needed nodes that read a node, once for every slot.
    pub fn users(&self, id: NodeId) -> &[NodeId] {
        &self.users[id.index()]
    }

    /// The product that a node stands for.
    pub fn fused(&self, id: NodeId) -> Option<Fused> {
        self.fused.get(&id).copied()
    }

    /// Whether a node is computed inside another one.
    pub fn is_absorbed(&self, id: NodeId) -> bool {
        self.absorbed[id.index()]
    }

    fn find_users(&mut self, graph: &Graph, needed: &[bool]) {
        self.users = vec![Vec::new(); graph.len()];
        for id in graph.ids().filter(|id| needed[id.index()] && !self.absorbed[id.index()]) {
            for operand in &self.operands[id.index()] {
                self.users[operand.index()].push(id);
            }
        }
    }

    fn prefer_rectified(&mut self, graph: &Graph, needed: &[bool]) {
        let mut rectified: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for id in graph.ids().filter(|id| needed[id.index()]) {
            if let Some(operand) = rectifies(graph, id) {
                rectified.entry(operand).or_insert(id);
            }
            if matches!(graph.op(id), Op::Less(_))
                && is_zero(graph, self.operands[id.index()][0])
                && let Some(result) = rectified.get(&self.operands[id.index()][1])
            {
                self.operands[id.index()][1] = *result;
            }
        }
    }

    fn fuse(&mut self, graph: &Graph, needed: &[bool]) {
        let mut is_output = vec![false; graph.len()];
        for output in &graph.outputs {
            is_output[output.node.index()] = true;
        }
        let only_user = |users: &[Vec<NodeId>], id: NodeId| match users[id.index()].as_slice() {
            [user] if !is_output[id.index()] => Some(*user),
            _ => None,
        };
        let is_product = |id: &NodeId| matches!(graph.op(*id), Op::MatMul(_) | Op::Convolution(_));
        for product in graph.ids().filter(is_product).filter(|id| needed[id.index()]) {
            let Some(first) = only_user(&self.users, product) else { continue };
            let reshaped = if matches!(graph.op(first), Op::Reshape(_)) { first } else { product };
            let sum = if reshaped == product { Some(first) } else { only_user(&self.users, reshaped) };
            let Some(sum) = sum else { continue };
            let Some(bias) = self.bias(graph, reshaped, product, sum) else { continue };
            let rectifier = only_user(&self.users, sum).filter(|user| rectifies(graph, *user) == Some(sum));
            let result = rectifier.unwrap_or(sum);
            self.absorbed[product.index()] = true;
            self.absorbed[reshaped.index()] = true;
            self.absorbed[sum.index()] = rectifier.is_some();
            self.fused.insert(result, Fused { product, relu: rectifier.is_some() });
            let mut operands = self.operands[product.index()].clone();
            operands.push(bias);
            self.operands[result.index()] = operands;
        }
    }

    /// The one number a column that a sum adds to a product, which it reads under a shape of the same columns.
    fn bias(&self, graph: &Graph, reshaped: NodeId, product: NodeId, sum: NodeId) -> Option<NodeId> {
        let ([x, y], Op::Add(_)) = (self.operands[sum.index()].as_slice(), graph.op(sum)) else { return None };
        let other = if *x == reshaped { *y } else { *x };
        let Op::Broadcast(broadcast) = graph.op(other) else { return None };
        let columns = graph.ty(product).shape.last()?.as_known()?;
        // A single column is a dot product, for which a later group adds the bias as cheaply.
        let is_row = columns > 1 && IndexMap::broadcast(broadcast)?.pattern() == (Pattern::Cyclic { period: columns });
        let bias = graph.operands(other)[0];
        let is_plain = count(graph, origin(graph, bias)) == columns && graph.ty(bias).is_float();
        (is_row && is_plain && graph.ty(sum).is_float() && !self.fused.contains_key(&other)).then_some(bias)
    }
}

/// What a node is the larger of, beside 0.
fn rectifies(graph: &Graph, id: NodeId) -> Option<NodeId> {
    if !matches!(graph.op(id), Op::Max(_)) || !graph.ty(id).is_float() {
        return None;
    }
    match *graph.operands(id).as_slice() {
        [zero, operand] if is_zero(graph, zero) => Some(operand),
        [operand, zero] if is_zero(graph, zero) => Some(operand),
        _ => None,
    }
}

fn is_zero(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(origin(graph, id)), Op::Constant(constant) if constant.value.0 == 0.0)
}
