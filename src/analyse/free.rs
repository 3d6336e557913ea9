//! Which values surely take all numbers between their bounds: those that a free param is added to or scales, and functions of
//! one such value, whose bounds are tight. What is not free may still be held by a reason that bounds do not see.

use super::facts::Facts;
use super::interval::Interval;
use crate::ir::{Graph, NodeId};
use crate::ops::{InputKind, Op};

/// Layers end in a few operations behind their last param.
const DEEPEST: usize = 40;

/// The values of a graph, by what moves them.
pub(super) struct Free<'g> {
    graph: &'g Graph,
    bounds: &'g [Interval],
    by_param: &'g [bool],
}

impl<'g> Free<'g> {
    pub fn new(facts: &'g Facts<'_>, bounds: &'g [Interval]) -> Self {
        Self { graph: facts.graph, bounds, by_param: &facts.by_param }
    }

    /// Whether a value depends on a param.
    pub fn by_param(&self, id: NodeId) -> bool {
        self.by_param[id.index()]
    }

    /// Whether a value takes all numbers between its bounds, as a free param does.
    pub fn is_free(&self, id: NodeId) -> bool {
        self.is_free_within(id, DEEPEST)
    }

    fn is_free_within(&self, id: NodeId, depth: usize) -> bool {
        if depth == 0 || !self.by_param(id) {
            return false;
        }
        let operands = self.graph.operands(id);
        let is_free = |operand: NodeId| self.is_free_within(operand, depth - 1);
        match self.graph.op(id) {
            Op::Input(_) => self.bounds[id.index()] == Interval::ALL,
            // A free term makes a sum free; what else is in it cannot hold it.
            Op::Add(_) | Op::Sub(_) => operands.iter().any(|operand| is_free(*operand)),
            Op::MatMul(_) | Op::Convolution(_) => operands.iter().any(|operand| self.is_param(*operand)),
            Op::Mul(_) => (0..2).any(|slot| is_free(operands[slot]) && !self.by_param(operands[1 - slot])),
            Op::Div(_) => is_free(operands[0]) && !self.by_param(operands[1]),
            Op::Max(_) | Op::Min(_) => {
                (0..2).any(|slot| is_free(operands[slot]) && self.bounds[operands[1 - slot].index()].is_point())
            }
            Op::Gather(_) => is_free(operands[0]),
            Op::Select(_) | Op::ByMode(_) | Op::Concat(_) => operands.iter().any(|operand| is_free(*operand)),
            Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_) | Op::Slice(_) | Op::Sum(_) | Op::StopGradient(_) => {
                is_free(operands[0])
            }
            op => operands.len() == 1 && op.pointwise().is_some() && is_free(operands[0]),
        }
    }

    /// A free param, reshaped or not.
    fn is_param(&self, mut id: NodeId) -> bool {
        while matches!(self.graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_)) {
            id = self.graph.operands(id)[0];
        }
        let is_param = matches!(self.graph.op(id), Op::Input(input) if input.kind == InputKind::Param);
        is_param && self.bounds[id.index()] == Interval::ALL
    }
}
