//! A formula that leaves the numbers: a logarithm, root or quotient of what is not shown to lie where it is finite, or an
//! exponential that overflows though a stable formula says the same.

use crate::analyse::domains::{Domains, Trouble};
use crate::analyse::facts::Facts;
use crate::diag::{Code, Diagnostic};
use crate::ir::{Graph, NodeId};
use crate::lower::Module;
use crate::ops::Op;

pub(super) fn run(module: &Module, facts: &Facts<'_>) -> Vec<Diagnostic> {
    let graph = facts.graph;
    let domains = Domains::of(module, facts);
    let mut findings: Vec<Diagnostic> = Vec::new();
    for id in graph.ids() {
        let Some(trouble) = domains.trouble(id) else { continue };
        let finding = told(graph, id, &trouble);
        let same = |other: &Diagnostic| other.headline == finding.headline && other.primary == finding.primary;
        if !findings.iter().any(same) {
            findings.push(finding);
        }
    }
    findings
}

fn told(graph: &Graph, id: NodeId, trouble: &Trouble) -> Diagnostic {
    let node = graph.node(id);
    let warn = |headline: String| Diagnostic::warning(Code::L0007, headline).at(node.provenance.span, "here");
    if let Some((what, instead)) = stable_form(graph, id) {
        return warn(format!("{what} loses its value where floats end"))
            .with_help(format!("write {instead}: the same function, exact over the whole range"));
    }
    let (what, help) = match trouble {
        Trouble::Overflow => {
            return warn("an exponential overflows here, and infinity over infinity is no number".to_string())
                .with_help("take the largest exponent out first, as `softmax`, `logsumexp`, `sigmoid` and `tanh` do");
        }
        Trouble::MaskedMean => (
            "the mean over a mask is 0 / 0 where the mask holds nowhere".to_string(),
            "`masked_mean(x, mask)`, `ratio(a, b)`, or a divisor of at least 1: `maximum(sum(mask), 1)`",
        ),
        Trouble::Domain(found) => {
            let (what, help) = of_op(graph.op(id), found.is_guarded_late);
            let bounds = format!("found: a value in [{}, {}], as far as is shown", found.bounds.low, found.bounds.high);
            return warn(what.to_string()).with_note(bounds).with_help(help);
        }
    };
    warn(what).with_help(help)
}

/// What goes wrong where an op's operand leaves its domain, and the way out.
fn of_op(op: &Op, is_guarded_late: bool) -> (&'static str, &'static str) {
    if is_guarded_late {
        return (
            "`where` chooses the value, but the derivative of what it leaves out is 0 times infinity",
            "choose before too: `where(x > 0, f(where(x > 0, x, 1)), 0)`",
        );
    }
    match op {
        Op::Log(_) | Op::Log1p(_) => (
            "a logarithm of what can be 0 or less",
            "hold it away from 0: `log(maximum(x, 1e-7))`, or `log(x + 1e-7)` of what is never negative",
        ),
        Op::Sqrt(_) => (
            "a square root whose derivative is infinite at 0",
            "add a small number under the root: `sqrt(x + 1e-12)`, or train on the square itself",
        ),
        Op::Rsqrt(_) => ("one over the square root of what can be 0", "add a small number: `rsqrt(x + 1e-12)`"),
        Op::Pow(_) => (
            "a power that is no number, or has no finite derivative, where its base is 0 or less",
            "hold the base away from 0: `maximum(x, 1e-7) ** p`",
        ),
        Op::Div(_) => (
            "a divisor that can be 0",
            "hold it away from 0: `a / maximum(b, 1e-7)`, `a / (b + 1e-7)`, or `ratio(a, b)`, which is 0 there; `unit_normalize(x)` for `x / ‖x‖`",
        ),
        _ => (
            "a function whose derivative is infinite at the end of its domain",
            "hold the operand inside: `clip(x, -1 + 1e-6, 1 - 1e-6)`",
        ),
    }
}

/// The formulas that have a stable form: what they are, and the form.
fn stable_form(graph: &Graph, id: NodeId) -> Option<(&'static str, &'static str)> {
    let operand = |slot: usize| inner(graph, graph.operands(id)[slot]);
    match graph.op(id) {
        Op::Log(_) => of_logarithm(graph, operand(0)),
        Op::Div(_) => of_quotient(graph, operand(0), operand(1)),
        _ => None,
    }
}

fn of_logarithm(graph: &Graph, x: NodeId) -> Option<(&'static str, &'static str)> {
    let operand = |id: NodeId, slot: usize| inner(graph, graph.operands(id)[slot]);
    let is_sigmoid = |id: NodeId| {
        matches!(graph.op(id), Op::Sigmoid(_))
            || matches!(graph.op(id), Op::Div(_)) && is_logistic(graph, operand(id, 0), operand(id, 1))
    };
    match graph.op(x) {
        _ if is_sigmoid(x) => Some(("`log(sigmoid(x))`", "`-softplus(-x)`")),
        Op::Sub(_) if is_one(graph, operand(x, 0)) && is_sigmoid(operand(x, 1)) => {
            Some(("`log(1 - sigmoid(x))`", "`-softplus(x)`"))
        }
        Op::Add(_) if (0..2).any(|slot| is_one(graph, operand(x, slot)) && is_exp(graph, operand(x, 1 - slot))) => {
            Some(("`log(1 + exp(x))`", "`softplus(x)`"))
        }
        Op::Add(_) if (0..2).all(|slot| is_exp(graph, operand(x, slot))) => {
            Some(("`log(exp(x) + exp(y))`", "`logsumexp(stack([x, y]), axes=0)`"))
        }
        Op::Cosh(_) => Some(("`log(cosh(x))`", "`x + softplus(-2 * x) - log(2.0)`")),
        Op::Softmax(_) => Some(("`log(softmax(x))`", "`log_softmax(x)`")),
        Op::Div(_) if is_softmax(graph, operand(x, 0), operand(x, 1)) => {
            Some(("`log(softmax(x))`", "`log_softmax(x)`"))
        }
        Op::Sum(_) if is_exp(graph, operand(x, 0)) => Some(("`log(sum(exp(x)))`", "`logsumexp(x)`")),
        _ => None,
    }
}

fn of_quotient(graph: &Graph, part: NodeId, whole: NodeId) -> Option<(&'static str, &'static str)> {
    if is_softmax(graph, part, whole) {
        return Some(("`exp(x) / sum(exp(x))`", "`softmax(x)`"));
    }
    is_logistic(graph, part, whole).then(|| match is_one(graph, part) {
        true => ("`1 / (1 + exp(-x))`", "`sigmoid(x)`"),
        false => ("`exp(x) / (1 + exp(x))`", "`sigmoid(x)`"),
    })
}

fn is_one(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(id), Op::Constant(constant) if constant.value.0 == 1.0)
}

fn is_exp(graph: &Graph, id: NodeId) -> bool {
    matches!(graph.op(id), Op::Exp(_))
}

/// `exp(x)` over its sum.
fn is_softmax(graph: &Graph, part: NodeId, whole: NodeId) -> bool {
    is_exp(graph, part)
        && matches!(graph.op(whole), Op::Sum(_))
        && same_exp(graph, inner(graph, graph.operands(whole)[0]), part)
}

/// `1 / (1 + exp(-x))` or `exp(x) / (1 + exp(x))`
fn is_logistic(graph: &Graph, part: NodeId, whole: NodeId) -> bool {
    let terms = graph.operands(whole);
    matches!(graph.op(whole), Op::Add(_))
        && (0..2).any(|slot| {
            let other = inner(graph, terms[1 - slot]);
            let has_one = is_one(graph, inner(graph, terms[slot])) && is_exp(graph, other);
            has_one && (is_one(graph, part) || same_exp(graph, part, other))
        })
}

/// Whether two exponentials are one value, written once or twice.
fn same_exp(graph: &Graph, a: NodeId, b: NodeId) -> bool {
    let exponent = |id: NodeId| inner(graph, graph.operands(id)[0]);
    a == b || is_exp(graph, a) && is_exp(graph, b) && exponent(a) == exponent(b)
}

/// Behind what only changes the shape.
fn inner(graph: &Graph, mut id: NodeId) -> NodeId {
    while matches!(graph.op(id), Op::Reshape(_) | Op::Broadcast(_) | Op::StopGradient(_)) {
        id = graph.operands(id)[0];
    }
    id
}
