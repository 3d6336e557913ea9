//! Probabilities where a loss takes logits, and scores without bounds where it takes probabilities.
//!
//! What a loss takes it says itself (`meant_as`); a log-softmax of a softmax and the cross-entropy `softplus(z) - z t` of a
//! sigmoid say it by their formula.

use crate::analyse::facts::Facts;
use crate::analyse::free::Free;
use crate::analyse::interval::Interval;
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Graph, NodeId};
use crate::lower::{Meaning, Module};
use crate::ops::Op;

pub(super) fn run(module: &Module, facts: &Facts<'_>) -> Vec<Diagnostic> {
    let graph = facts.graph;
    let bounds = facts.bounds();
    let free = Free::new(facts, &bounds);
    let scale = Scale { graph, bounds: &bounds, free: &free };
    let mut findings: Vec<Diagnostic> = Vec::new();
    let mut add = |finding: Diagnostic| {
        let same = |other: &Diagnostic| {
            let place = |finding: &Diagnostic| finding.primary.as_ref().map(|label| label.span);
            place(other) == place(&finding)
        };
        if !findings.iter().any(same) {
            findings.push(finding);
        }
    };
    for meant in &module.meant {
        let found = bounds[meant.value.index()];
        match meant.meaning {
            Meaning::Logits if scale.is_probability(meant.value) => add(squashed_twice(meant.span, &meant.by)),
            Meaning::Probabilities if scale.leaves(meant.value, Interval::UNIT) => {
                add(raw(meant.span, &meant.by, found))
            }
            Meaning::Shares if scale.leaves(meant.value, Interval::NOT_NEGATIVE) => {
                add(raw(meant.span, &meant.by, found))
            }
            _ => {}
        }
    }
    for id in graph.ids() {
        if let Some(place) = scale.by_formula(id) {
            let name = match graph.op(id) {
                Op::LogSoftmax(_) => "log_softmax",
                _ => "softplus(z) - z * t",
            };
            add(squashed_twice(graph.node(place).provenance.span, name));
        }
    }
    findings
}

fn squashed_twice(span: Span, by: &str) -> Diagnostic {
    Diagnostic::warning(Code::L0022, format!("`{by}` takes logits here and is given probabilities"))
        .at(span, "between 0 and 1 already: a sigmoid or softmax is taken twice")
        .with_help("leave the sigmoid or softmax off what the loss is given, or, for what is a probability, take `from_logits=false`")
}

fn raw(span: Span, by: &str, found: Interval) -> Diagnostic {
    Diagnostic::warning(Code::L0022, format!("`{by}` takes probabilities here and is given scores"))
        .at(span, format!("what it is given lies in [{}, {}]", found.low, found.high))
        .with_help("take `from_logits=true`, or end the prediction in `sigmoid` (yes or no) or `softmax` (one of several classes)")
}

struct Scale<'g> {
    graph: &'g Graph,
    bounds: &'g [Interval],
    free: &'g Free<'g>,
}

impl Scale<'_> {
    /// A value of a model that lies between 0 and 1 by its formula.
    fn is_probability(&self, id: NodeId) -> bool {
        let found = self.bounds[id.index()];
        self.free.by_param(id) && found.low >= 0.0 && found.high <= 1.0
    }

    /// Whether a value surely takes numbers outside of an interval.
    fn leaves(&self, id: NodeId, wanted: Interval) -> bool {
        let found = self.bounds[id.index()];
        (found.low < wanted.low || found.high > wanted.high) && self.free.is_free(id)
    }

    /// Where a formula takes the logit of what a sigmoid or softmax gave.
    fn by_formula(&self, id: NodeId) -> Option<NodeId> {
        let operands = self.graph.operands(id);
        match self.graph.op(id) {
            Op::LogSoftmax(_) if self.is_squashed(operands[0]) => Some(id),
            Op::Sub(_) => {
                let softplus = self.inner(operands[0]);
                let Op::Softplus(_) = self.graph.op(softplus) else { return None };
                let logit = self.graph.operands(softplus)[0];
                let product = self.inner(operands[1]);
                let is_product = matches!(self.graph.op(product), Op::Mul(_))
                    && self.graph.operands(product).into_iter().any(|factor| self.inner(factor) == self.inner(logit));
                (is_product && self.is_squashed(logit)).then_some(id)
            }
            _ => None,
        }
    }

    fn is_squashed(&self, id: NodeId) -> bool {
        matches!(self.graph.op(self.inner(id)), Op::Softmax(_) | Op::Sigmoid(_))
    }

    fn inner(&self, mut id: NodeId) -> NodeId {
        while matches!(self.graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::StopGradient(_) | Op::Slice(_)) {
            id = self.graph.operands(id)[0];
        }
        id
    }
}
