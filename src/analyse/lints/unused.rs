//! Inputs, targets and values that nothing reads.

use crate::analyse::study::Study;
use crate::diag::{Code, Diagnostic};
use crate::lower::Module;

pub(super) fn run(module: &Module, _studies: &[Study]) -> Vec<Diagnostic> {
    let graph = &module.graph;
    let contracts = module.contracts.iter().map(|contract| contract.subject);
    let used = graph.slice_back(graph.outputs.iter().map(|output| output.node).chain(contracts));
    let data = [("input", &module.inputs), ("target", &module.targets)];
    let leaves = data
        .into_iter()
        .flat_map(|(kind, items)| items.iter().map(move |(name, info)| (kind, name.clone(), info.node, info.span)));
    let idle_data = leaves.filter(|(_, _, node, _)| !used[node.index()]).map(|(kind, name, _, span)| {
        let headline = format!("{kind} `{name}` is not used");
        Diagnostic::warning(Code::L0005, headline).at(span, "no output, loss, metric or update depends on it")
    });
    // By name: a value may serve a derivative that does not compute with it.
    let idle_values = module.idle_values.iter().map(|(name, span)| {
        Diagnostic::warning(Code::L0005, format!("value `{name}` is not used")).at(*span, "nothing names it")
    });
    idle_data.chain(idle_values).collect()
}
