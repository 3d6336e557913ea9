//! Steps of a run that was, made again.
//!
//! A run is a fold, so any of its steps follows from a checkpoint before it: [`Replay::open`] takes a run's folder as a reader, who needs
//! no lock; [`Replay::goto`] stands before a step, by the nearest checkpoint; [`Replay::step`] makes it and gives what it
//! reported; [`Replay::values`] evaluates every node of the spec's training graph for the step that is next.

use super::condition::Condition;
use super::fit::{Fitting, Moved};
use super::folder::{DataChange, Plan, RunRecord, check_data, checkpoint_at, checkpoints_in};
use super::history::History;
use super::program::Program;
use super::reported::Reported;
use super::run::{RunData, new_trainer, watch_of};
use super::trainer::Trainer;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Mode};
use crate::ir::Role;
use crate::ops::{Element, Op, Tensor};
use std::ops::ControlFlow;
use std::path::Path;

/// What a step reported before its update.
#[derive(Clone, Debug, PartialEq)]
pub struct StepValues {
    /// from 1
    pub step: u64,
    /// from 1
    pub epoch: u32,
    pub values: Vec<(Reported, f64)>,
}

/// A value of a step: a node of the training graph, before it is simplified.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeValue {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

/// A run that is gone over again.
#[derive(Debug)]
pub struct Replay<'r, T: Element> {
    folder: &'r Path,
    fitting: Fitting<'r, T>,
    /// checkpoints, as steps
    checkpoints: Vec<u64>,
    /// the steps that its first params had behind them
    begun: u64,
    plan: Plan<'r>,
    options: ExecutorOptions,
}

fn no_step(step: u64, last: u64) -> Diagnostic {
    Diagnostic::error(Code::E0602, format!("the run has no step {step}"))
        .with_note(format!("expected: a step from 1 to {last}"))
}

/// A trainer as a run begins with it, to replay on.
///
/// # Errors
/// Those of making one.
pub fn replay_trainer<T: Element>(plan: &Plan<'_>) -> Result<Trainer<T>, Diagnostics> {
    new_trainer(plan.compiled, plan.config, plan.options, &mut |_| ControlFlow::Continue(()))
}

impl<'r, T: Element> Replay<'r, T> {
    /// Prepares to go over a run. `settings` are those of its config.
    ///
    /// # Errors
    /// E0603 when the data are not those of the run; those of [`Fitting::new`].
    pub fn open(
        folder: &'r Path,
        record: &RunRecord,
        plan: Plan<'r>,
        settings: &'r super::Settings,
        data: &'r RunData,
        trainer: &'r mut Trainer<T>,
    ) -> Result<Self, Diagnostics> {
        check_data(record, data, DataChange::Refused)?;
        let options = plan.options.clone();
        let (watch, begun) = (watch_of(plan.compiled, trainer), trainer.n_steps());
        let mut fitting = Fitting::new(trainer, watch, settings, data.parts())?;
        fitting.leave_unexplained();
        Ok(Self { folder, fitting, checkpoints: checkpoints_in(folder), begun, plan, options })
    }

    /// Stands before a step: at the last state on the way to it that is at hand.
    ///
    /// # Errors
    /// E0602 when the run has no such step; those of training.
    pub fn goto(&mut self, step: u64) -> Result<(), Diagnostics> {
        let made = step.checked_sub(1).ok_or_else(|| no_step(step, self.last_step()))?;
        if step > self.last_step() {
            return Err(no_step(step, self.last_step()).into());
        }
        let here = self.fitting.trainer().n_steps();
        let nearest = self.checkpoints.iter().copied().rfind(|at| *at <= made);
        let is_nearer = nearest.is_some_and(|at| here > made || at > here);
        match nearest.filter(|_| is_nearer) {
            Some(at) => {
                let state = checkpoint_at::<T>(self.folder, at, self.fitting.trainer().store())?;
                self.fitting.resume(state, None, History::default())?;
            }
            None if here > made => {
                let trainer = replay_trainer::<T>(&self.plan)?;
                let begun = super::RunState { model: trainer.state(), progress: super::Progress::default() };
                self.fitting.resume(begun, None, History::default())?;
            }
            None => {}
        }
        while self.fitting.trainer().n_steps() < made {
            if self.fitting.advance()? == Moved::Ended {
                return Err(no_step(step, self.fitting.trainer().n_steps()).into());
            }
        }
        Ok(())
    }

    /// The steps of all epochs.
    pub fn last_step(&self) -> u64 {
        self.begun + self.fitting.steps_per_epoch() as u64 * u64::from(self.plan.config.epochs)
    }

    /// Makes the next step, and what stands between it and the last one.
    ///
    /// # Errors
    /// Those of training. None at the end.
    pub fn step(&mut self) -> Result<Option<StepValues>, Diagnostics> {
        loop {
            match self.fitting.advance()? {
                Moved::Ended => return Ok(None),
                Moved::Epoch => {}
                Moved::Step => break,
            }
        }
        let trainer = self.fitting.trainer();
        let values = trainer.reported().iter().cloned().zip(trainer.last_values().0.iter().copied()).collect();
        let epoch = u32::try_from(trainer.clock().epoch).unwrap_or(0) + 1;
        Ok(Some(StepValues { step: trainer.n_steps(), epoch, values }))
    }

    /// The values of nodes of the next step by their names; those that begin with `d.` are derivatives.
    ///
    /// # Errors
    /// E0201 for a name that no node has; those of training.
    pub fn values(&mut self, names: &[String]) -> Result<Vec<NodeValue>, Diagnostics> {
        // Not simplified, so that every value of the spec is there by its name.
        let options = ExecutorOptions { mode: Mode::Reference, ..self.options.clone() };
        let mut program = Program::<T>::new(self.plan.compiled.train_with_values(), options);
        let mut found: Vec<Option<NodeValue>> = vec![None; names.len()];
        self.fitting.examine_next(&mut program, &mut |graph, id, value| {
            let is_own = !matches!(graph.op(id), Op::Constant(_));
            for (wanted, found) in names.iter().zip(&mut found) {
                // What the spec names is one node; of several that an inner value is made by, the last is the value.
                let is_it = match graph.output(Role::Output, wanted) {
                    Some(node) => node == id,
                    None => is_own && *graph.node(id).provenance.name == **wanted,
                };
                if is_it {
                    let (name, shape) = (wanted.clone(), value.shape().to_vec());
                    *found = Some(NodeValue { name, shape, values: numbers(value) });
                }
            }
        })?;
        match found.iter().position(Option::is_none) {
            None => Ok(found.into_iter().flatten().collect()),
            Some(at) => {
                let graph = &self.plan.compiled.train_with_values();
                let inner = graph.ids().map(|id| &*graph.node(id).provenance.name);
                let outputs = graph.outputs.iter().filter(|output| output.role == Role::Output);
                let known = inner.chain(outputs.map(|output| &*output.name));
                Err(Diagnostic::error(Code::E0201, format!("no value of the training graph is named `{}`", names[at]))
                    .with_suggestion(&names[at], known)
                    .with_help("`anabranch compile SPEC --emit train` names them all")
                    .into())
            }
        }
    }

    /// The first step after which a condition holds, if it ever does: by halves over the checkpoints, then step by step. Of a
    /// condition that comes and goes it is one of the steps at which it comes.
    ///
    /// # Errors
    /// Those of training; E0201 for a name that the condition does not find.
    pub fn bisect(&mut self, condition: &Condition) -> Result<Option<(StepValues, f64)>, Diagnostics> {
        let last = self.last_step();
        let states: Vec<u64> = self.checkpoints.iter().copied().filter(|at| *at < last).collect();
        let (mut low, mut high) = (0, states.len());
        // Checkpoints below `low` do not satisfy the condition, those from `high` on do.
        while low < high {
            let middle = low.midpoint(high);
            let state = checkpoint_at::<T>(self.folder, states[middle], self.fitting.trainer().store())?;
            self.fitting.resume(state, None, History::default())?;
            let holds = self.after_next(condition)?;
            if holds { high = middle } else { low = middle + 1 }
        }
        let start = low.checked_sub(1).map_or(0, |at| states[at]);
        self.goto(start + 1)?;
        while let Some(values) = self.step()? {
            if let Some(value) = condition.evaluate(&values, self.fitting.trainer().store())? {
                return Ok(Some((values, value)));
            }
        }
        Ok(None)
    }

    /// Whether a condition holds after the next step.
    fn after_next(&mut self, condition: &Condition) -> Result<bool, Diagnostics> {
        match self.step()? {
            Some(values) => Ok(condition.evaluate(&values, self.fitting.trainer().store())?.is_some()),
            // The end of a run: what holds there holds after its last step.
            None => Ok(false),
        }
    }
}

fn numbers<T: Element>(value: &Tensor<T>) -> Vec<f64> {
    match value {
        Tensor::Float(array) => array.iter().map(|value| value.as_f64()).collect(),
        Tensor::Int(array) => array.iter().map(|value| f64::from(*value)).collect(),
        Tensor::Bool(array) => array.iter().map(|value| f64::from(u8::from(*value))).collect(),
    }
}
