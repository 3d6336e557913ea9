//! The params and states that a run's prediction reads, as another framework names and turns them.

use super::folder::params_of;
use super::layout::{Layout, turned_back};
use super::outputs::to_numbers;
use super::predictor::{read_store, stored_name};
use super::saved::SavedProgram;
use super::slice::Part;
use crate::data::params::{NamedTensors, Tensor};
use crate::diag::{Diagnostics, Span};
use crate::ir::{Graph, NodeId};
use crate::ops::{Element, Input, InputKind, Op};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads them from a run's folder. In the program's own layout they have the names that a run's file has. Where two would have one
/// name, both keep that of the program.
///
/// # Errors
/// E0608 when the program is broken, E0601 and E0606 when the params cannot be read or do not fit.
pub fn weights<T: Element>(
    folder: &Path,
    saved: &SavedProgram,
    layout: Layout,
    span: Span,
) -> Result<NamedTensors, Diagnostics> {
    let graph: Graph = Part::default().of(&saved.graph(span)?, &saved.values)?;
    let (store, _) = read_store::<T>(&[&graph], &params_of(folder))?;
    let names: Vec<String> = store.entries().map(|entry| layout.name(entry.name())).collect();
    let mut written = NamedTensors {
        metadata: BTreeMap::from([("anabranch".to_string(), env!("CARGO_PKG_VERSION").to_string())]),
        ..NamedTensors::default()
    };
    if layout == Layout::PyTorch {
        written.metadata.insert("format".into(), "pt".into());
    }
    for (entry, name) in store.entries().zip(&names) {
        let path = entry.name();
        let is_alone = names.iter().filter(|other| *other == name).count() == 1;
        let name = match layout {
            Layout::Own => stored_name(entry.kind(), path),
            _ if is_alone => name.clone(),
            _ => path.to_string(),
        };
        let values = to_numbers(entry.values(), saved.precision);
        let read = || shape_read(&graph, path).unwrap_or_else(|| entry.shape().to_vec());
        let turned = layout.turns(path).then(|| turned_back(&values, &read())).flatten();
        let tensor = turned.unwrap_or(Tensor { shape: entry.shape().to_vec(), values });
        written.tensors.insert(name, tensor);
    }
    Ok(written)
}

/// The shape in which a convolution reads a param that is reshaped for it, as a depthwise one is.
fn shape_read(graph: &Graph, path: &str) -> Option<Vec<usize>> {
    let is_param = |id: NodeId| match graph.op(id) {
        Op::Input(Input { kind: InputKind::Param, .. }) => *graph.node(id).provenance.name == *path,
        _ => false,
    };
    let kernels = graph.ids().filter(|id| matches!(graph.op(*id), Op::Convolution(_)));
    let kernels = kernels.filter_map(|id| graph.operands(id).into_iter().nth(1));
    let mut reshaped = kernels.filter(|id| matches!(graph.op(*id), Op::Reshape(_)));
    let found = reshaped.find(|id| graph.operands(*id).into_iter().any(is_param))?;
    graph.ty(found).known_shape()
}
