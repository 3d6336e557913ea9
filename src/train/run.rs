//! A whole run by its config: data, a model with its first params, epochs.
//!
//! Takes a compiled spec, its [`RunConfig`] and the data that [`load_data`] read; tells an observer what happens and gives
//! a [`Finished`] run, which is not on disk yet.

use super::config::{ConstValue, RunConfig};
use super::fields::Fields;
use super::fit::{Finished, Observer, Parts, fit, no_batch};
use super::ranges::{Ranges, Shares};
use super::trainer::Trainer;
use super::watch::WeightWatch;
use crate::analyse::{Policy, lint, weight_steps};
use crate::data::{DataSource, Dataset, Flaw, load_reviewed};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::ExecutorOptions;
use crate::ir::Role;
use crate::lower::{Options, Setting};
use crate::ops::Element;
use crate::pipeline::Compiled;

/// The data of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunData {
    pub train: Dataset,
    pub validation: Option<Dataset>,
    pub test: Option<Dataset>,
    /// what there is to know of them that is no mistake
    pub findings: Vec<Diagnostic>,
}

/// What a config says to the compiler: constants, and what is watched. The `command_line` goes before it.
pub fn overrides(config: &RunConfig, command_line: Options) -> Options {
    let watched = config.monitor.as_ref().map(super::config::Monitor::watched);
    let mut options = Options { deny: command_line.deny, watched, ..Options::default() };
    for (name, value) in &config.set {
        let setting = match &value.value {
            ConstValue::Int(number) => Setting::Number(*number as f64),
            ConstValue::Float(number) => Setting::Number(*number),
            ConstValue::Bool(value) => Setting::Bool(*value),
            ConstValue::Text(text) => Setting::Text(text.clone()),
        };
        options.overrides.insert(name.clone(), setting);
    }
    options.overrides.extend(command_line.overrides);
    options
}

/// Reads the data of a run.
///
/// # Errors
/// E0406 when the spec trains nothing; E0601, E0602, E0603, E0604, E0610; L0013 where it is denied.
pub fn load_data(compiled: &Compiled, config: &RunConfig) -> Result<RunData, Diagnostics> {
    if !compiled.train.outputs.iter().any(|output| output.role == Role::Objective) {
        let finding = Diagnostic::error(Code::E0406, "the spec has no `train` block, so there is nothing to run")
            .at(config.spec_span, "this spec")
            .with_help("add `train { minimize LOSS  optimizer adam() }`");
        return Err(finding.into());
    }
    let fields = Fields::of(&compiled.module);
    config.check_mapped_fields(&fields.names())?;
    if let Some(monitor) = &config.monitor {
        monitor.check(&reported_names(compiled))?;
    }
    let specs = fields.specs_within(config.precision.largest())?;
    let mut reviewer = Reviewer::of(compiled, &fields);
    let mut findings = Vec::new();
    let mut read = |source: &DataSource| {
        let (data, found) = load_reviewed(source, &specs, &mut |data| reviewer.review(data))?;
        findings.extend(found);
        not_empty(data, source)
    };
    let train = read(&config.train)?;
    let validation = config.validation.as_ref().map(&mut read).transpose()?;
    let test = config.test.as_ref().map(&mut read).transpose()?;
    let data = RunData { train, validation, test, findings };
    if config.drop_last && data.train.rows < config.batch_size as usize {
        return Err(no_batch(data.train.rows, config.batch_size).into());
    }
    Ok(data)
}

/// Holds what was read against what the graph says of it.
struct Reviewer<'c> {
    fields: &'c Fields,
    ranges: Ranges,
    shares: Shares,
    policy: &'c Policy,
}

impl<'c> Reviewer<'c> {
    fn of(compiled: &'c Compiled, fields: &'c Fields) -> Self {
        let graph = &compiled.module.graph;
        let (ranges, shares) = (Ranges::of(graph, fields.optional()), Shares::of(graph, fields.optional()));
        Self { fields, ranges, shares, policy: &compiled.policy }
    }

    fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.ranges.set_sizes(&self.fields.sizes(data)?);
        let mut flaws = self.ranges.flaws(data);
        for flaw in self.shares.flaws(data) {
            let told = self.policy.apply(lint(Code::L0013), flaw.finding.clone());
            flaws.extend(told.map(|finding| Flaw { finding, ..flaw }));
        }
        Ok(flaws)
    }
}

/// What every part of the data is evaluated to.
fn reported_names(compiled: &Compiled) -> Vec<&str> {
    let is_value = |output: &&crate::ir::Output| matches!(output.role, Role::Loss | Role::Metric);
    compiled.simplified.evaluate.outputs.iter().filter(is_value).map(|output| &*output.name).collect()
}

fn not_empty(data: Dataset, source: &DataSource) -> Result<Dataset, Diagnostics> {
    if data.rows > 0 {
        return Ok(data);
    }
    let finding = Diagnostic::error(Code::E0603, format!("`{}` has no rows", source.path.display()));
    Err(match source.span {
        Some(span) => finding.at(span, "this file"),
        None => finding,
    }
    .into())
}

/// Trains.
///
/// # Errors
/// Those of [`Trainer::load_params`] and [`Trainer::step`]. Divergence is no error here: see [`Finished::diverged`].
pub fn run<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    options: &ExecutorOptions,
    observe: &mut Observer<'_>,
) -> Result<Finished<T>, Diagnostics> {
    let mut trainer = Trainer::<T>::new(compiled, config.seed, options)?;
    if let Some(params) = &config.params {
        trainer.load_params(params)?;
    }
    let watch = weight_steps(&compiled.module);
    let watch = watch.map(|steps| WeightWatch::new(&trainer, steps, compiled.policy.clone()));
    let parts = Parts { train: &data.train, validation: data.validation.as_ref(), test: data.test.as_ref() };
    fit(&mut trainer, watch, &config.settings(), parts, observe)
}
