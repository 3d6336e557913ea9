//! A part of a prediction program: from some values to some outputs.
//!
//! The values become inputs in the place of what computed them, and what no chosen output needs is left out: so a decoder runs
//! alone, and an output is predicted without what only others read.

use crate::diag::{Code, Diagnostic};
use crate::ir::{Copier, Graph, Node, NodeId, Output, Role};
use crate::ops::{Input, InputKind, Op};
use crate::passes::prune;

/// Which part of a program is run. The default is all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// values that are given instead of computed
    pub from: Vec<String>,
    /// outputs, or other values of the program; when there are none, the outputs that depend on all of `from`
    pub outputs: Vec<String>,
}

impl Part {
    /// The part of a program, some of whose outputs are `values` that are given only when they are asked for.
    ///
    /// # Errors
    /// E0201 when the program has no such value, or it does not lead to any chosen output.
    pub(super) fn of(&self, graph: &Graph, values: &[String]) -> Result<Graph, Diagnostic> {
        let is_own = |output: &&Output| !values.iter().any(|value| **value == *output.name);
        let mut cuts: Vec<(NodeId, &str)> = Vec::new();
        for name in &self.from {
            if is_input(graph, name) {
                continue;
            }
            let node = find(graph, name, "--from")?;
            if let Some((_, other)) = cuts.iter().find(|(cut, other)| *cut == node && other != name) {
                return Err(Diagnostic::error(Code::E0201, format!("`{other}` and `{name}` are one value"))
                    .with_help(format!("name one of them: `--from {name}`")));
            }
            cuts.push((node, name));
        }
        let wanted: Vec<(&str, NodeId)> = if self.outputs.is_empty() {
            let own = graph.outputs.iter().filter(is_own);
            let leads = |output: &&Output| {
                let needed = graph.slice_back([output.node]);
                cuts.iter().all(|(cut, _)| needed[cut.index()])
            };
            own.filter(leads).map(|output| (&*output.name, output.node)).collect()
        } else {
            let found = self.outputs.iter().map(|name| Ok((name.as_str(), find(graph, name, "--outputs")?)));
            found.collect::<Result<_, Diagnostic>>()?
        };
        if wanted.is_empty() {
            return Err(Diagnostic::error(Code::E0201, "no output depends on all values of `--from`")
                .with_note(format!("found: {}", self.from.join(", ")))
                .with_help("say which outputs are meant: `--outputs NAME`"));
        }
        cut(graph, &cuts, &wanted)
    }
}

fn is_input(graph: &Graph, name: &str) -> bool {
    graph.ids().any(|id| {
        let is_leaf = matches!(graph.op(id), Op::Input(leaf) if leaf.kind == InputKind::Input);
        is_leaf && *graph.node(id).provenance.name == *name
    })
}

fn find(graph: &Graph, name: &str, flag: &str) -> Result<NodeId, Diagnostic> {
    let names = || graph.outputs.iter().map(|output| &*output.name);
    graph.output(Role::Output, name).ok_or_else(|| {
        Diagnostic::error(Code::E0201, format!("`{flag} {name}`: the program has no value `{name}`"))
            .with_note(format!("expected: one of {}", crate::data::listed(names())))
            .with_suggestion(name, names())
    })
}

/// The wanted outputs, with inputs where the program is cut.
fn cut(graph: &Graph, cuts: &[(NodeId, &str)], wanted: &[(&str, NodeId)]) -> Result<Graph, Diagnostic> {
    let cut_at = |id: NodeId| cuts.iter().find(|(cut, _)| *cut == id).map(|(_, name)| *name);
    let mut needed = vec![false; graph.len()];
    let mut stack: Vec<NodeId> = wanted.iter().map(|(_, node)| *node).collect();
    while let Some(id) = stack.pop() {
        if !std::mem::replace(&mut needed[id.index()], true) && cut_at(id).is_none() {
            stack.extend(graph.operands(id));
        }
    }
    if let Some((_, name)) = cuts.iter().find(|(cut, _)| !needed[cut.index()]) {
        let outputs: Vec<&str> = wanted.iter().map(|(name, _)| *name).collect();
        return Err(Diagnostic::error(Code::E0201, format!("`--from {name}`: it does not lead to any chosen output"))
            .with_note(format!("found: {}", outputs.join(", "))));
    }
    let mut copier = Copier::new(graph);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let Some(name) = cut_at(id) else {
            copier.copy(id);
            continue;
        };
        let node = graph.node(id);
        let mut provenance = node.provenance.clone();
        provenance.name = name.into();
        let leaf =
            Node { op: Input { kind: InputKind::Input, ty: node.ty.clone() }.into(), ty: node.ty.clone(), provenance };
        let leaf = copier.target.push(leaf, &[]);
        copier.set(id, leaf);
    }
    let nodes: Vec<(&str, Option<NodeId>)> = wanted.iter().map(|(name, node)| (*name, copier.get(*node))).collect();
    let mut part = copier.finish(|_| false);
    for (name, node) in nodes {
        if let Some(node) = node {
            part.add_output(Role::Output, name, node);
        }
    }
    Ok(prune(&part, |_| true))
}
