//! What a model is made of: its layers with shapes, params and arithmetic, and which loss trains each.

use super::flow::{Cell, FlowTable, flow};
use super::layers::layers;
use crate::ir::{BATCH, DimSizes, Graph, NodeId, Role, TensorType, element_count};
use crate::lower::Module;
use crate::passes::{Cost, StandIns, cost, costs, split};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A layer of the prediction program.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    pub name: Arc<str>,
    /// what it gives
    pub ty: TensorType,
    /// how many numbers its own params hold
    pub n_params: usize,
    /// some of its params are those of a layer before it
    pub is_again: bool,
    /// arithmetic for one row of a batch; other run-time dims count as 128
    pub flops: f64,
    /// the losses that train its params, of which the objectives are made; an objective itself where none of those does
    pub trained_by: Vec<Arc<str>>,
    /// the outputs of the model that it is
    pub outputs: Vec<Arc<str>>,
}

/// What one loss of the objectives trains.
#[derive(Clone, Debug, PartialEq)]
pub struct LossSummary {
    pub name: Arc<str>,
    /// numbers in the params that it trains, and in those that no other loss trains
    pub n_trained: usize,
    pub n_alone: usize,
}

/// A model in a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    pub rows: Vec<SummaryRow>,
    pub losses: Vec<LossSummary>,
    /// numbers in all params, and in those that training leaves as they are
    pub n_params: usize,
    pub n_fixed: usize,
    /// the params that prediction does not read, as the weights of losses
    pub elsewhere: Vec<(Arc<str>, usize, Vec<Arc<str>>)>,
    /// what a batch of 128 rows costs, in prediction and in training
    pub predict: Cost,
    pub train: Cost,
}

/// The summary of a module: of its prediction, with the params themselves where an optimizer has averages read in their place.
/// Paths of layers count to `depth` names; `programs` are prediction and training step as they run.
pub fn summary(module: &Module, programs: [&Graph; 2], depth: usize) -> Summary {
    let training = Training::of(module);
    let predict = &split(&module.graph, &StandIns::new()).predict;
    let roots: Vec<NodeId> = predict.outputs.iter().map(|output| output.node).collect();
    let folded = layers(predict, &roots, depth);
    let costs = costs(predict, &DimSizes::from([(BATCH.into(), 1)]));
    let name = |id: &NodeId| predict.node(*id).provenance.name.clone();
    let rows: Vec<SummaryRow> = folded
        .boxes
        .iter()
        .map(|one| SummaryRow {
            name: one.name.clone(),
            ty: predict.ty(one.result).clone(),
            n_params: one.params.iter().map(|id| n_numbers(predict.ty(*id))).sum(),
            is_again: !one.params_again.is_empty(),
            flops: one.nodes.iter().map(|id| costs[id.index()]).fold(Cost::default(), |a, b| a + b).flops(),
            trained_by: training.trainers_of_all(one.params.iter().chain(&one.params_again).map(name)),
            outputs: outputs_of(predict, &one.nodes),
        })
        .collect();
    let read: BTreeSet<Arc<str>> = folded.boxes.iter().flat_map(|one| &one.params).map(name).collect();
    let n_of = |path: &Arc<str>| n_numbers(&module.params[path].ty);
    let paths = || module.params.keys();
    let losses = training.losses.iter().map(|loss| {
        let trained: Vec<&Arc<str>> = paths().filter(|path| training.trainers(path).contains(loss)).collect();
        let alone = trained.iter().filter(|path| training.trainers(path).len() == 1);
        LossSummary {
            name: loss.clone(),
            n_trained: trained.iter().map(|path| n_of(path)).sum(),
            n_alone: alone.map(|path| n_of(path)).sum(),
        }
    });
    Summary {
        losses: losses.collect(),
        n_params: paths().map(n_of).sum(),
        n_fixed: paths().filter(|path| training.trainers(path).is_empty()).map(n_of).sum(),
        elsewhere: paths()
            .filter(|path| !read.contains(*path))
            .map(|path| (path.clone(), n_of(path), training.trainers(path)))
            .collect(),
        rows,
        predict: cost(programs[0]),
        train: cost(programs[1]),
    }
}

/// Which losses train which params.
struct Training<'m> {
    module: &'m Module,
    flow: FlowTable,
    /// the losses of which the objectives are made
    losses: Vec<Arc<str>>,
}

impl<'m> Training<'m> {
    fn of(module: &'m Module) -> Self {
        let flow = flow(module);
        let mut losses: Vec<Arc<str>> = Vec::new();
        for coefficient in &flow.coefficients {
            if !losses.contains(&coefficient.loss) {
                losses.push(coefficient.loss.clone());
            }
        }
        Self { module, flow, losses }
    }

    /// The losses that train one param: of each objective that is minimised over it those that reach it, or itself.
    fn trainers(&self, path: &str) -> Vec<Arc<str>> {
        let Some(column) = self.module.params.get_index_of(path) else { return Vec::new() };
        if self.module.graph.output(Role::Param, path).is_none() || self.module.frozen.contains(path) {
            return Vec::new();
        }
        let reaches =
            |loss: &Arc<str>| self.flow.rows.iter().any(|row| row.name == *loss && row.cells[column] == Cell::Path);
        let mut found: Vec<Arc<str>> = Vec::new();
        for objective in
            self.module.objectives.iter().filter(|objective| objective.trained.iter().any(|own| **own == *path))
        {
            let own = self.flow.coefficients.iter().filter(|coefficient| coefficient.objective == objective.name);
            let mut losses: Vec<Arc<str>> = own.map(|own| own.loss.clone()).filter(|loss| reaches(loss)).collect();
            if losses.is_empty() {
                losses.push(objective.name.clone());
            }
            found.extend(losses.into_iter().filter(|loss| !found.contains(loss)).collect::<Vec<_>>());
        }
        found
    }

    fn trainers_of_all(&self, paths: impl Iterator<Item = Arc<str>>) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = Vec::new();
        for loss in paths.flat_map(|path| self.trainers(&path)) {
            if !found.contains(&loss) {
                found.push(loss);
            }
        }
        found
    }
}

fn n_numbers(ty: &TensorType) -> usize {
    element_count(&ty.shape).and_then(|count| count.as_known()).unwrap_or(0)
}

fn outputs_of(predict: &Graph, nodes: &[NodeId]) -> Vec<Arc<str>> {
    let outputs = predict.outputs.iter().filter(|output| output.role == Role::Output && nodes.contains(&output.node));
    outputs.map(|output| output.name.clone()).collect()
}
