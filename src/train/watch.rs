//! Watching the weights of losses: whether their own updates overshoot.

use super::program::Program;
use super::trainer::Trainer;
use crate::analyse::{Policy, WatchedWeight, WeightStep, WeightSteps, lint, overshooting};
use crate::data::Dataset;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ops::Element;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The loss weights whose updates can overshoot, and the program that tells.
#[derive(Debug)]
pub struct WeightWatch<T: Element> {
    weights: Vec<WatchedWeight>,
    program: Program<T>,
    policy: Policy,
    /// each weight is told of once
    pub(super) told: BTreeSet<Arc<str>>,
}

impl<T: Element> WeightWatch<T> {
    /// The watch over a trainer's weights; `policy` says what becomes of its findings.
    pub fn new(trainer: &Trainer<T>, steps: WeightSteps, policy: Policy) -> Self {
        let WeightSteps { graph, weights } = steps;
        Self { weights, program: trainer.program(graph), policy, told: BTreeSet::new() }
    }

    /// What is to be told of weights that overshoot by the losses of an epoch's first batch.
    ///
    /// # Errors
    /// The finding, when its lint is denied; those of [`Program::run`].
    pub(super) fn look(
        &mut self,
        trainer: &mut Trainer<T>,
        data: &Dataset,
        rows: &[u32],
    ) -> Result<Vec<Diagnostic>, Diagnostics> {
        let place = format!("by the losses at the start of epoch {}", trainer.n_epochs() + 1);
        let executor = trainer.run(&mut self.program, data, rows)?;
        let scalar = |at| executor.scalar(at).unwrap_or(f64::NAN);
        let values: Vec<f64> = (0..executor.fetches().len()).map(scalar).collect();
        let mut findings = Vec::new();
        for (weight, step) in self.weights.iter().zip(values.chunks(3).filter_map(WeightStep::of)) {
            if !step.overshoots() || !self.told.insert(weight.path.clone()) {
                continue;
            }
            match self.policy.apply(lint(Code::L0012), overshooting(weight, &step, &place)) {
                Some(finding) if finding.is_error() => return Err(finding.into()),
                finding => findings.extend(finding),
            }
        }
        Ok(findings)
    }
}
