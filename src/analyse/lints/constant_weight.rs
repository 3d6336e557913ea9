//! A loss's coefficient that is computed from params, states or gradients and yet is always the same number.

use crate::analyse::study::{Study, reach};
use crate::diag::{Code, Diagnostic};
use crate::lower::{Module, Owner};

pub(super) fn run(module: &Module, studies: &[Study]) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for study in studies {
        for branch in &study.branches {
            let bounds = study.usual[branch.coefficient.index()];
            let losses: Vec<_> = study.branches.iter().map(|branch| branch.node).collect();
            let depends = reach(&study.graph, branch.coefficient, &losses, true);
            let param =
                module.params.iter().find(|(_, param)| depends[param.node.index()] && param.owner != Owner::Layer);
            let state = module.states.iter().find(|(_, state)| depends[state.node.index()]);
            let source = param.map(|(path, p)| (path, p.span)).or(state.map(|(path, s)| (path, s.span)));
            let (Some((path, span)), true) = (source, bounds.is_point()) else { continue };
            findings.push(
                Diagnostic::warning(Code::L0009, format!("the weight of `{}` is always the same", branch.name))
                    .at(span, format!("`{path}` cancels out"))
                    .with_label(branch.span, "the loss")
                    .with_help("a weight divided by its own mean or sum is 1: normalise over all the weights together"),
            );
        }
    }
    findings
}
