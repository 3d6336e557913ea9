//! What a step reports: its losses, metrics and terms, and where an executor has them.

use crate::exec::Executor;
use crate::ir::{Graph, Role};
use crate::ops::Element;
use crate::passes::parts_of_term;
use std::sync::Arc;

/// Something that a step reports: a loss, a metric, an objective that is neither, what the run asked to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    pub role: Role,
    pub name: Arc<str>,
}

/// The losses, metrics, terms, what is observed and those objectives that are not losses by name.
pub(super) fn reported(graph: &Graph) -> Vec<Reported> {
    let is_loss = |name: &str| graph.output(Role::Loss, name).is_some();
    let outputs = graph.outputs.iter().filter(|output| match output.role {
        Role::Loss | Role::Metric | Role::Term | Role::Observed => true,
        Role::Objective => !is_loss(&output.name),
        _ => false,
    });
    outputs.map(|output| Reported { role: output.role, name: output.name.clone() }).collect()
}

/// Puts metrics in the place of the values of the same names, where any row had them.
pub(super) fn replace(reported: &[Reported], metrics: &[(Arc<str>, f64)], values: &mut [Option<f64>]) {
    for (reported, value) in reported.iter().zip(values).filter(|(reported, _)| reported.role == Role::Metric) {
        if let (Some(value), Some((_, metric))) = (value, metrics.iter().find(|(name, _)| *name == reported.name)) {
            *value = *metric;
        }
    }
}

/// Where the results of a program's executors are that [`reported`] lists, in its order.
#[derive(Clone, Debug)]
pub(super) struct Places {
    n_fetches: usize,
    /// of each the value, and the number of rows that it is a mean over where some may be missing
    places: Vec<(usize, Option<usize>)>,
}

impl Places {
    /// Those of all executors of the program of this one.
    pub fn of<T: Element>(executor: &Executor<T>) -> Self {
        let fetches = executor.fetches();
        let is_loss = |name: &str| fetches.iter().any(|fetch| fetch.role == Role::Loss && &*fetch.name == name);
        let shown = fetches.iter().enumerate().filter(|(_, fetch)| match fetch.role {
            Role::Loss | Role::Metric | Role::Term | Role::Observed => true,
            Role::Objective => !is_loss(&fetch.name),
            _ => false,
        });
        // A term counts as its total does.
        let counted = |name: &str| executor.fetch(Role::Weight, parts_of_term(name).map_or(name, |(total, _)| total));
        let places = shown.map(|(at, fetch)| (at, counted(&fetch.name))).collect();
        Self { n_fetches: fetches.len(), places }
    }

    /// Reads the values, and the number of rows that each is a mean over.
    pub fn read<T: Element>(&self, executor: &Executor<T>, n_rows: usize, values: &mut [f64], counts: &mut [f64]) {
        debug_assert_eq!(self.n_fetches, executor.fetches().len(), "internal: an executor of another program");
        for ((&(at, weight), value), count) in self.places.iter().zip(values).zip(counts) {
            *value = executor.scalar(at).unwrap_or(f64::NAN);
            *count = weight.and_then(|fetch| executor.scalar(fetch)).unwrap_or(n_rows as f64);
        }
    }
}
