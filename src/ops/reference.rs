//! The reference executor: every op by its own definition, one after another, on ndarray values.
//!
//! Slow and obvious. The planned executor, the gradient checks and readers are held against it.

use super::{Element, Op, Tensor};
use crate::ir::{Graph, NodeId};

/// Evaluates a bound graph; `leaf` gives the value of each input leaf. Returns the outputs' values in order.
///
/// # Panics
/// When the graph is not bound, holds gradient nodes, or a leaf's value has another shape than its type.
pub fn evaluate<T: Element>(graph: &Graph, leaf: impl FnMut(NodeId) -> Tensor<T>) -> Vec<Tensor<T>> {
    evaluate_watched(graph, leaf, &mut |_, _, _| ())
}

/// Is shown each node as it is computed, with its operands' values and its own.
pub type Visit<'v, T> = dyn FnMut(NodeId, &[&Tensor<T>], &Tensor<T>) + 'v;

/// As [`evaluate`]; `visit` is shown every node that the outputs need, operands before users.
///
/// # Panics
/// As [`evaluate`].
pub fn evaluate_watched<T: Element>(
    graph: &Graph,
    mut leaf: impl FnMut(NodeId) -> Tensor<T>,
    visit: &mut Visit<'_, T>,
) -> Vec<Tensor<T>> {
    let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
    let mut last_use = vec![0; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        for operand in graph.operands(id) {
            last_use[operand.index()] = id.index();
        }
    }
    for output in &graph.outputs {
        last_use[output.node.index()] = usize::MAX;
    }
    let mut values: Vec<Option<Tensor<T>>> = vec![None; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let operands = graph.operands(id);
        let of_operands: Vec<&Tensor<T>> =
            operands.iter().map(|operand| values[operand.index()].as_ref().expect("internal: in order")).collect();
        let value = if let Op::Input(_) = node.op { leaf(id) } else { node.op.evaluate(&of_operands, &node.ty) };
        visit(id, &of_operands, &value);
        assert_eq!(Some(value.shape()), node.ty.known_shape().as_deref(), "internal: {} of {id:?}", node.op.name());
        values[id.index()] = Some(value);
        for operand in operands.into_iter().filter(|operand| last_use[operand.index()] == id.index()) {
            values[operand.index()] = None;
        }
    }
    graph
        .outputs
        .iter()
        .map(|output| values[output.node.index()].clone().expect("internal: outputs are kept"))
        .collect()
}
