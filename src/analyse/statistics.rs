//! Running values that prediction reads in the place of those of training, such as the moments of batch normalisation: how much
//! of their first values is left after so many steps, and whether a batch of one row has any spread.

use super::interval::intervals;
use super::study::{reach, without_gradients};
use crate::diag::{Code, Diagnostic, Span, counted};
use crate::ir::{Dim, Graph, NodeId};
use crate::lower::Module;
use crate::ops::{ByMode, Op};
use crate::passes::gradients;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A share of the first value that is no more seen: 0.99 to the 500.
const FORGOTTEN: f64 = 0.0066;

/// A running value that prediction reads.
#[derive(Clone, Debug, PartialEq)]
pub struct RunningValue {
    pub name: Arc<str>,
    pub span: Span,
    /// what a step keeps of the value before, where that is one number between 0 and 1
    pub keeps: Option<f64>,
    /// training reads a mean over nothing but the rows of a batch
    pub is_over_rows: bool,
}

/// The running values of a module, one for each place.
pub fn running_values(module: &Module) -> Vec<RunningValue> {
    let mut graph = without_gradients(module);
    let by_mode: Vec<NodeId> = graph.ids().filter(|id| matches!(graph.op(*id), Op::ByMode(_))).collect();
    let mut found: Vec<RunningValue> = Vec::new();
    for id in by_mode {
        let operands = graph.operands(id);
        let below = reach(&graph, operands[ByMode::PREDICTION], &[], true);
        let read: Vec<_> = module.states.iter().filter(|(_, state)| below[state.node.index()]).collect();
        for (name, state) in read {
            let Some(next) = state.next else { continue };
            let slope = gradients(&mut graph, next, &[state.node])[0];
            let bounds = intervals(&graph, &BTreeMap::new())[slope.index()];
            let keeps = (bounds.is_point() && bounds.low > 0.0 && bounds.low < 1.0).then_some(bounds.low);
            let is_over_rows = is_mean_over_rows(&graph, operands[ByMode::TRAINING]);
            match found.iter_mut().find(|other| other.span == state.span) {
                Some(other) => other.is_over_rows |= is_over_rows,
                None => found.push(RunningValue { name: name.clone(), span: state.span, keeps, is_over_rows }),
            }
        }
    }
    found
}

/// Whether a value is a sum over `batch` alone, up to a factor.
fn is_mean_over_rows(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let operands = graph.operands(id);
        match graph.op(id) {
            Op::Sum(sum) => {
                let shape = &graph.ty(operands[0]).shape;
                return !sum.axes.is_empty() && sum.axes.iter().all(|axis| shape[*axis] == Dim::batch());
            }
            Op::Div(_) | Op::Reshape(_) | Op::Broadcast(_) => id = operands[0],
            _ => return false,
        }
    }
}

/// A warning for a value of which `steps` steps leave the first value to be seen.
pub fn unsettled(value: &RunningValue, steps: u64) -> Option<Diagnostic> {
    let left = value.keeps?.powf(steps as f64);
    let keeps = value.keeps.filter(|_| left > FORGOTTEN && steps > 0)?;
    let enough = (FORGOTTEN.ln() / keeps.ln()).ceil();
    Some(
        Diagnostic::warning(
            Code::L0025,
            format!("`{}` is still {:.0} % its first value at the end", value.name, 100.0 * left),
        )
        .at(value.span, format!("a step keeps {keeps} of it, and there are {}", counted(steps as usize, "step")))
        .with_note("prediction and evaluation read it in the place of what training reads")
        .with_help(format!(
            "train for {enough} steps or more, or let it follow faster: a `momentum` or `decay` further from 1"
        )),
    )
}

/// A warning for a value that training takes over the rows of a batch, of which one is a single row.
pub fn single_row(value: &RunningValue, place: &str) -> Option<Diagnostic> {
    value.is_over_rows.then(|| {
        Diagnostic::warning(Code::L0026, format!("`{}` follows a batch of one row", value.name))
            .at(value.span, format!("{place}: a row less its own mean is 0"))
            .with_help("a larger `batch_size`, `drop_last: true` where the last batch is the small one, or `layer_norm`, which looks at each row by itself")
    })
}
