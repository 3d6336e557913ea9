//! A monitored loss whose value moves though the model does not: its weights are trained, or follow the clock.

use crate::analyse::study::{Study, reach};
use crate::diag::{Code, Diagnostic};
use crate::lower::{Module, Owner, Watched};
use crate::ops::{InputKind, Op};

/// A warning when a run that stops early, or keeps its best params, by a loss compares values that mean different things
/// at different times.
pub(super) fn find(module: &Module, studies: &[Study], watched: &Watched) -> Option<Diagnostic> {
    let name = watched.name.as_str();
    let (node, span) = *module.losses.get(name)?;
    let study = studies.iter().find(|study| &*study.name == name);
    let losses: Vec<_> = study.iter().flat_map(|study| &study.branches).map(|branch| branch.node).collect();
    let depends = reach(&module.graph, node, &losses, true);
    let weight = module.params.iter().find(|(_, p)| depends[p.node.index()] && p.owner == Owner::Combiner);
    let state = module.states.iter().find(|(_, state)| depends[state.node.index()] && !losses.is_empty());
    let is_clock = |id: &crate::ir::NodeId| {
        depends[id.index()]
            && matches!(module.graph.op(*id), Op::Input(input) if matches!(input.kind, InputKind::Step | InputKind::Epoch))
    };
    let (place, why) = match (weight, state, module.graph.ids().find(is_clock)) {
        (Some((path, param)), ..) => (param.span, format!("`{path}` is trained")),
        (_, Some((path, state)), _) => (state.span, format!("`{path}` moves")),
        (_, _, Some(clock)) => (module.graph.node(clock).provenance.span, "it follows the clock".to_string()),
        _ => return None,
    };
    let finding = Diagnostic::warning(Code::L0011, format!("`{name}` is watched, but its weights move"))
        .at(span, "values of different steps do not compare")
        .with_label(place, why)
        .with_help("watch a loss of one branch or a metric");
    Some(match watched.span {
        Some(place) => finding.with_label(place, "watched here"),
        None => finding,
    })
}
