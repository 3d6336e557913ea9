//! Covariances of rows in a metric: `mean(x y) - mean(x) mean(y)`, which is also a variance where x is y.
//!
//! As it is written both terms are rounded before one is taken from the other, and where the means are large beside the spread no
//! digit is left. So a batch gives `Σ (x - mean x) (y - mean y)`, whose digits are the spread's, and whoever adds batches up adds
//! `Σx Σy / n` to it in higher precision: together they are `Σ x y`, which the rest of the metric asks for.

use crate::ir::{Builder, Graph, NodeId};
use crate::ops::{Broadcast, Op};
use std::sync::Arc;

/// A sum of products as batches give it: without `left * right / count`, all four of them names of sums.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    pub sum: Arc<str>,
    pub left: Arc<str>,
    pub right: Arc<str>,
    pub count: Arc<str>,
}

/// The nodes of a covariance.
#[derive(Debug)]
pub(super) struct Covariance {
    /// `Σ x y`, and of two values `Σ x` and `Σ y`
    pub sum: NodeId,
    pub left: NodeId,
    pub right: NodeId,
    /// how many rows the sums are of
    pub count: NodeId,
    means: [NodeId; 2],
    factors: [NodeId; 2],
    /// rows that count
    mask: Option<NodeId>,
    axes: Vec<usize>,
}

/// The covariance that a node is.
pub(super) fn find(graph: &Graph, id: NodeId) -> Option<Covariance> {
    let [joint, product] = of(graph, id, |op| matches!(op, Op::Sub(_)))?;
    let means: [NodeId; 2] = of(graph, product, |op| matches!(op, Op::Mul(_)))?;
    let joint = Mean::of(graph, joint)?;
    let factors: [NodeId; 2] = of(graph, joint.value, |op| matches!(op, Op::Mul(_)))?;
    let [left, right] = [Mean::of(graph, means[0])?, Mean::of(graph, means[1])?];
    let fits =
        |mean: &Mean| mean.axes == joint.axes && mean.mask == joint.mask && is_same(graph, mean.count, joint.count);
    // The factors may stand in either order.
    let factors = match [left.value, right.value] {
        values if values == factors => factors,
        values if values == [factors[1], factors[0]] => values,
        _ => return None,
    };
    if !fits(&left) || !fits(&right) {
        return None;
    }
    Some(Covariance {
        sum: joint.sum,
        left: left.sum,
        right: right.sum,
        count: joint.count,
        means,
        factors,
        mask: joint.mask,
        axes: joint.axes,
    })
}

/// Adds `Σ (x - mean x) (y - mean y)`.
pub(super) fn centred(graph: &mut Graph, covariance: &Covariance) -> NodeId {
    let provenance = graph.node(covariance.sum).provenance.clone();
    let mut b = Builder::new(graph, provenance);
    let shape = b.shape(covariance.factors[0]).to_vec();
    let [x, y] = [0, 1].map(|i| {
        let mean = b.unreduce(covariance.means[i], &shape, &covariance.axes);
        b.sub(covariance.factors[i], mean)
    });
    let product = b.mul(x, y);
    let counted = match covariance.mask {
        Some(mask) => {
            let zeros = b.zeros_like(product);
            b.select(mask, product, zeros)
        }
        None => product,
    };
    b.sum(counted, &covariance.axes)
}

/// A mean over rows, or over those that a mask counts.
struct Mean {
    sum: NodeId,
    value: NodeId,
    mask: Option<NodeId>,
    count: NodeId,
    axes: Vec<usize>,
}

impl Mean {
    fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let [sum, mut count] = of(graph, id, |op| matches!(op, Op::Div(_)))?;
        let Op::Sum(op) = graph.op(sum) else { return None };
        let axes = op.axes.clone();
        let [mut value] = of(graph, sum, |op| matches!(op, Op::Sum(_)))?;
        let mut mask = None;
        if let Some([rows, kept, zeros]) = of(graph, value, |op| matches!(op, Op::Select(_))) {
            is_number(graph, zeros, 0.0).then_some(())?;
            (mask, value) = (Some(rows), kept);
        }
        if let Some([scalar]) =
            of(graph, count, |op| matches!(op, Op::Broadcast(Broadcast { axes, .. }) if axes.is_empty()))
        {
            count = scalar;
        }
        // A mean of no rows is 0 over 1.
        if let Some([rows, one]) = of(graph, count, |op| matches!(op, Op::Max(_))) {
            is_number(graph, one, 1.0).then_some(())?;
            count = rows;
        }
        Some(Self { sum, value, mask, count, axes })
    }
}

/// The operands of a node with such an op.
fn of<const N: usize>(graph: &Graph, id: NodeId, is: fn(&Op) -> bool) -> Option<[NodeId; N]> {
    is(graph.op(id)).then(|| graph.operands(id).as_slice().try_into().ok()).flatten()
}

fn is_number(graph: &Graph, id: NodeId, number: f64) -> bool {
    matches!(graph.op(id), Op::Constant(constant) if constant.value.0 == number)
}

/// Whether two nodes are one computation, written twice.
fn is_same(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let (of_a, of_b) = (graph.operands(a), graph.operands(b));
    let is_draw = matches!(graph.op(a), Op::Random(_) | Op::Input(_));
    a == b
        || !is_draw
            && graph.op(a) == graph.op(b)
            && of_a.len() == of_b.len()
            && of_a.iter().zip(&of_b).all(|(a, b)| is_same(graph, *a, *b))
}
