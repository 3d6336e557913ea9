//! A loss or metric that gets the prediction where the label goes.
//!
//! What is passed as the label depends on a param and on no target; what is passed as the prediction depends on a target and
//! on no param.

use crate::analyse::study::reach;
use crate::diag::{Code, Diagnostic};
use crate::ir::NodeId;
use crate::lower::Module;

pub(super) fn run(module: &Module) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    for meant in &module.meant {
        let Some(label) = meant.label else { continue };
        // (a param, a target)
        let depends = |node: NodeId| {
            let below = reach(&module.graph, node, &[], true);
            let target = module.targets.iter().find(|(_, target)| below[target.node.index()]);
            (module.params.values().any(|param| below[param.node.index()]), target.map(|(name, _)| name.clone()))
        };
        let ((true, None), (false, Some(target))) = (depends(label), depends(meant.value)) else { continue };
        let finding = Diagnostic::warning(Code::L0021, format!("`{}` is given the prediction as its label", meant.by))
            .at(meant.span, format!("the target `{target}` comes second here, and what the model predicts first"))
            .with_help(format!("the label comes first: `{}(target, prediction)`", meant.by));
        if !findings.iter().any(|other| other.primary == finding.primary) {
            findings.push(finding);
        }
    }
    findings
}
