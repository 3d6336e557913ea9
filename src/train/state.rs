//! What a run is between two moves, as a value.
//!
//! A run is a fold: its [`RunState`] and what never changes while it goes on (program, config, data, seed) decide every later
//! state, bit for bit. The order of rows and every random draw are functions of the seed and the clock, so neither has a
//! state of its own. Nothing else is carried from step to step.

use super::judge::Judgement;
use super::trainer::Weighted;
use crate::exec::Store;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a model is between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState<T> {
    /// params and states: those of optimizers, combiners and batch statistics are states like any
    pub store: Store<T>,
    /// training steps that led to it
    pub n_steps: u64,
    /// epochs that led to it
    pub n_epochs: u32,
}

/// What a run is between two moves.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState<T> {
    pub model: ModelState<T>,
    pub progress: Progress,
}

/// How far a run is within an epoch, and what it remembers of earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// epochs that are recorded, the state before training being the first
    pub n_records: u32,
    /// steps of the present epoch
    pub epoch_steps: u32,
    /// of what the steps of the present epoch reported
    pub means: Weighted,
    /// the sums by name that metrics of the present epoch are made of
    pub sums: BTreeMap<Arc<str>, Vec<f64>>,
    pub judgement: Judgement,
    /// the loss weights that the run has spoken of
    pub told: BTreeSet<Arc<str>>,
    /// what the first step reported
    pub first: Vec<f64>,
    /// the losses that the run has said to be far above their first values
    pub risen: BTreeSet<Arc<str>>,
    /// steps that were left out since their numbers were not finite
    pub skipped: u64,
    /// how many of those came last
    pub skipped_last: u32,
    /// how often the way of a step was halved
    pub halvings: u32,
}
