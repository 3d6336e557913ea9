//! Rectifiers around a max pooling: behind it there are fewer elements to rectify.

use super::rewriter::is;
use super::{NodeView, Rewriter, Rule};
use crate::ir::NodeId;
use crate::ops::{self, Op};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "max-pool-relu",
        doc: "max_pool(max(c, x)) → max(c, max_pool(x)) without padding",
        apply: max_pool_relu,
    },
    Rule {
        name: "max-pool-scatter-relu",
        doc: "where(0 < x, max_pool_scatter(max(0, x), g), 0) → max_pool_scatter(x, where(0 < max_pool(x), g, 0))",
        apply: max_pool_scatter_relu,
    },
];

/// A window in the padding alone gives -∞, which a rectifier behind the pooling would lift.
fn is_unpadded(attributes: &ops::windows::PoolAttributes) -> bool {
    attributes.windows.padding.iter().all(|padding| *padding == (0, 0))
}

/// Whether a rectifier of this value costs nothing: a product with a bias takes it along, if nobody reads the sum before.
fn is_with_the_product(rw: &Rewriter, x: NodeId) -> bool {
    let is_product = |id: &NodeId| matches!(rw.op(*id), Op::Convolution(_)) && rw.is_read_once(*id);
    matches!(rw.op(x), Op::Add(_)) && rw.is_read_once(x) && rw.operands(x).iter().any(is_product)
}

fn max_pool_relu(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let Op::MaxPool(pool) = view.op else { return None };
    let [bound, x] = rw.take(view.operands[0], is!(Max))?;
    let is_free = rw.is_read_once(view.operands[0]) && is_with_the_product(rw, x);
    let bound = rw.number(bound).filter(|bound| is_unpadded(&pool.attributes) && !(*bound == 0.0 && is_free))?;
    let pooled = rw.emit(view.op.clone(), &[x]);
    let bound = rw.constant(bound, view.ty);
    Some(rw.emit(ops::Max, &[bound, pooled]))
}

/// Where the largest of a window is above 0, the rectified has its winner at the same place; elsewhere the mask drops
/// what it gets.
fn max_pool_scatter_relu(rw: &mut Rewriter, view: NodeView<'_>) -> Option<NodeId> {
    let [mask, scattered, other] = view.take(is!(Select))?;
    let Op::MaxPoolScatter(scatter) = rw.op(scattered) else { return None };
    let attributes = scatter.attributes.clone();
    let [rectified, cotangent] = rw.take(scattered, is!(MaxPoolScatter))?;
    let [bound, x] = rw.take(rectified, is!(Max))?;
    let [low, masked] = rw.take(mask, is!(Less))?;
    let zeros = [bound, low, other].iter().all(|id| rw.is_number(*id, 0.0));
    if !zeros || masked != x || !is_unpadded(&attributes) || !rw.is_read_once(scattered) {
        return None;
    }
    let pooled = rw.emit(ops::MaxPool { attributes: attributes.clone() }, &[x]);
    let ty = rw.ty(pooled).clone();
    let zero = rw.constant(0.0, &ty);
    let mask = rw.emit(ops::Less, &[zero, pooled]);
    let kept = rw.emit(ops::Select, &[mask, cotangent, zero]);
    Some(rw.emit(ops::MaxPoolScatter { attributes }, &[x, kept]))
}
