//! Evidence from what there is of a run: its folder, its spec, its data.

use super::{Curves, Evidence, measure};
use crate::analyse::flow;
use crate::data::open_regular;
use crate::diag::Diagnostics;
use crate::exec::ExecutorOptions;
use crate::ir::Role;
use crate::lower::{Better, Constraint, Module};
use crate::ops::Element;
use crate::pipeline::Compiled;
use crate::train::advice::first_steps;
use crate::train::config::RunConfig;
use crate::train::evaluation::Evaluation;
use crate::train::folder::{HISTORY_FILE, RunRecord};
use crate::train::run::RunData;
use crate::train::saved::{EvaluationForm, SavedProgram};
use indexmap::IndexMap;
use std::collections::BTreeSet;
use std::path::Path;

/// Steps that are made again; of a run that diverged more, since it ended within them or its history shows the rise.
const STEPS: u64 = 30;
const STEPS_OF_DIVERGED: u64 = 200;

/// The columns of a run's history as they stand in its folder; a cell that is empty is none. Nothing where there is none to be read.
pub fn history_columns(folder: &Path) -> IndexMap<String, Vec<Option<f64>>> {
    let Ok((file, _)) = open_regular(&folder.join(HISTORY_FILE)) else { return IndexMap::new() };
    let mut reader = ::csv::Reader::from_reader(file);
    let Ok(names) = reader.headers() else { return IndexMap::new() };
    let mut columns: IndexMap<String, Vec<Option<f64>>> =
        names.iter().map(|name| (name.to_string(), Vec::new())).collect();
    for record in reader.records() {
        let Ok(record) = record else { break };
        for (cell, column) in record.iter().zip(columns.values_mut()) {
            column.push(cell.parse().ok());
        }
    }
    columns
}

impl Evidence {
    /// What a run's folder says alone.
    pub fn of_run(folder: &Path, record: &RunRecord) -> Self {
        let history = Curves::of(history_columns(folder));
        let is_loss = |name: &&str| !name.contains('/');
        let losses: Vec<String> = history
            .names()
            .filter_map(|name| name.strip_prefix("train/"))
            .filter(is_loss)
            .filter(|name| !record.totals.contains_key(*name))
            .map(str::to_string)
            .collect();
        Self {
            diverged: record.diverged.clone(),
            kept: record.best.as_ref().filter(|best| best.kept).map(|best| best.epoch),
            objectives: if record.totals.is_empty() { losses.clone() } else { record.totals.keys().cloned().collect() },
            losses,
            history,
            ..Self::default()
        }
    }

    /// With what its spec says.
    #[must_use]
    pub fn with_spec(mut self, compiled: &Compiled) -> Self {
        let module = &compiled.module;
        self.objectives = module.objectives.iter().map(|objective| objective.name.to_string()).collect();
        let coefficients = flow(module).coefficients;
        let has_param = |text: &str| module.params.keys().any(|path| text.contains(&**path));
        self.trains_weights = coefficients.iter().any(|own| has_param(&own.expression));
        let is_total = |name: &str| coefficients.iter().any(|own| *own.objective == *name && *own.loss != *name);
        let mut losses: Vec<String> = Vec::new();
        for name in coefficients.iter().map(|own| &own.loss).chain(module.objectives.iter().map(|own| &own.name)) {
            let is_reported = self.history.columns.contains_key(&format!("train/{name}"));
            if is_reported && !is_total(name) && !losses.iter().any(|loss| **loss == **name) {
                losses.push(name.to_string());
            }
        }
        self.labelled = losses.iter().filter(|loss| !targets_of(module, loss).is_empty()).cloned().collect();
        self.losses = losses;
        let higher = module.better.iter().filter(|(_, better)| **better == Better::Higher);
        self.higher = higher.map(|(name, _)| name.to_string()).collect();
        for (path, param) in &module.params {
            let Some(Constraint::Interval(low, high)) = param.constraint else { continue };
            let columns: Vec<String> = (self.history.names())
                .filter(|name| {
                    name.strip_prefix("weight/")
                        .and_then(|name| name.strip_prefix(&**path))
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
                })
                .map(str::to_string)
                .collect();
            self.bounds.extend(columns.into_iter().map(|column| (column, (low, high))));
        }
        self.findings.extend(compiled.findings.iter().filter(|finding| finding.code.is_lint()).cloned());
        self
    }

    /// With what its data say. Steps are made again and labels shuffled in memory; nothing is written. What goes wrong meanwhile is said
    /// among what is unseen.
    #[must_use]
    pub fn with_data<T: Element>(
        mut self,
        folder: &Path,
        (compiled, config, data): (&Compiled, &RunConfig, &RunData),
        options: &ExecutorOptions,
    ) -> Self {
        let module = &compiled.module;
        self.begins_elsewhere = config.params.is_some();
        // What only a metric reads trains nothing.
        let targets: BTreeSet<&str> = self.losses.iter().flat_map(|loss| targets_of(module, loss)).collect();
        let mut facts = measure::of_data(module, &targets, data, config.batch_size);
        let n_steps = if self.diverged.is_some() { STEPS_OF_DIVERGED } else { STEPS };
        match first_steps::<T>(compiled, config, data, options, n_steps) {
            Ok(curves) => facts.first_steps = curves,
            Err(findings) => self.unseen.push(format!("its first steps: {findings}")),
        }
        let trials = || {
            let saved = SavedProgram::read(folder)?;
            let form = EvaluationForm::read(folder)?;
            let mut evaluation = Evaluation::<T>::open(folder, &saved, &form, config.spec_span, options)?;
            measure::trials(&self, module, data, &mut evaluation)
        };
        let tried: Result<_, Diagnostics> = trials();
        match tried {
            Ok(trials) => facts.trials = trials,
            Err(findings) => self.unseen.push(format!("its losses with shuffled labels: {findings}")),
        }
        self.findings.extend(data.findings.iter().filter(|finding| finding.code.is_lint()).cloned());
        self.facts = Some(facts);
        self
    }
}

/// The targets that a loss depends on.
fn targets_of<'m>(module: &'m Module, loss: &str) -> Vec<&'m str> {
    let node = module.losses.get(loss).map(|(node, _)| *node).or_else(|| module.graph.output(Role::Loss, loss));
    let Some(node) = node else { return Vec::new() };
    let needed = module.graph.needed_by([node]);
    module.targets.iter().filter(|(_, target)| needed[target.node.index()]).map(|(name, _)| &**name).collect()
}
