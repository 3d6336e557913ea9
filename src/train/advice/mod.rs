//! What the first steps of a run say about how its losses are combined.
//!
//! Takes a spec that was compiled with [`OBSERVED`], its config and its data; makes some steps in memory and gives, for each objective, what was
//! seen ([`Seen`]) and what follows from it ([`Advice`]): whether the losses' gradients differ in length or in direction, weights by
//! which they would be as long as each other, and a method only where the figures ask for one.
//!
//! Figures are of the steps in which all losses are still being learned: a gradient that is short because its loss is nearly 0 is
//! no trouble.

mod figures;

pub use figures::{Advice, LossFigures, PairFigures, Trouble, advise};

use super::config::RunConfig;
use super::fit::{Fitting, Moved, Settings};
use super::run::{RunData, new_trainer};
use super::verdicts::Curves;
use crate::diag::Diagnostics;
use crate::exec::ExecutorOptions;
use crate::lower::Observe;
use crate::ops::Element;
use crate::pipeline::Compiled;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What the training step has to report for [`look`].
pub const OBSERVED: Observe = Observe { weights: true, norms: true, cosines: true, layers: false, fixed: true };

/// What was seen of an objective's losses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub objective: String,
    pub losses: Vec<String>,
    pub steps: Vec<SeenStep>,
}

/// One training step: a number for each loss, and their angles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenStep {
    /// the losses
    pub values: Vec<f64>,
    /// by how much each counts in the objective; 1 where that is no number
    pub weights: Vec<f64>,
    /// the lengths of the gradients by the shared params, before they are weighed
    pub norms: Vec<f64>,
    /// K × K
    pub cosines: Vec<Vec<f64>>,
}

impl Seen {
    /// What a history tells of each objective whose norms and cosines were observed, an epoch as a step. A weight that is fixed has no column:
    /// it is what the total has of the loss, by the loss.
    pub fn in_history(history: &Curves) -> Vec<Self> {
        let mut columns: Vec<(String, Vec<f64>)> = Vec::new();
        let numbers =
            |column: &[Option<f64>]| column.iter().map(|value| value.unwrap_or(f64::NAN)).collect::<Vec<f64>>();
        for (name, column) in &history.columns {
            let Some(name) = name.strip_prefix("train/") else { continue };
            columns.push((name.to_string(), numbers(column)));
            let Some(term) = name.strip_prefix("term/") else { continue };
            let value = term.split_once('/').and_then(|(_, loss)| history.columns.get(&format!("train/{loss}")));
            if let (Some(value), false) = (value, history.columns.contains_key(&format!("train/weight/{term}"))) {
                let weights = numbers(column).iter().zip(numbers(value)).map(|(term, value)| term / value).collect();
                columns.push((format!("weight/{term}"), weights));
            }
        }
        let names = Names::of(columns.iter().map(|(name, _)| name.as_str()));
        let mut seen = names.objectives();
        // Before training there are no gradients.
        for row in 0..history.at.len() {
            let values: Vec<f64> = columns.iter().map(|(_, column)| column[row]).collect();
            for seen in &mut seen {
                let step = names.step(seen, &values);
                if step.norms.iter().all(|norm| !norm.is_nan()) {
                    seen.steps.push(step);
                }
            }
        }
        seen
    }
}

/// Trains for so many steps, or until the config's last epoch where that comes first and is not extended by `n_steps`, and tells what was seen. Nothing
/// is written. A run that diverges is seen as far as it came.
///
/// # Errors
/// Those of [`run`](super::run::run).
pub fn look<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    options: &ExecutorOptions,
    n_steps: u64,
) -> Result<Vec<Seen>, Diagnostics> {
    let mut trainer = new_trainer::<T>(compiled, config, options, &mut |_| ControlFlow::Continue(()))?;
    let epochs = u32::try_from(n_steps).unwrap_or(u32::MAX).max(1);
    let settings = Settings { epochs, evaluate_every: u32::MAX, monitor: None, ..config.settings(compiled) };
    let names = Names::of(trainer.reported().iter().map(|reported| &*reported.name));
    let mut seen: Vec<Seen> = names.objectives();
    let mut fitting = Fitting::new(&mut trainer, None, &settings, data.parts())?;
    let first = fitting.trainer().n_steps();
    while fitting.trainer().n_steps() - first < n_steps {
        match fitting.advance()? {
            Moved::Ended => break,
            Moved::Epoch => {}
            Moved::Step => {
                let (values, _) = fitting.trainer().last_values();
                for seen in &mut seen {
                    let step = names.step(seen, values);
                    seen.steps.push(step);
                }
            }
        }
    }
    Ok(seen)
}

/// What a run reports in its first steps: they are made again in memory, up to one whose numbers are no longer finite.
///
/// # Errors
/// Those of [`run`](super::run::run).
pub(super) fn first_steps<T: Element>(
    compiled: &Compiled,
    config: &RunConfig,
    data: &RunData,
    options: &ExecutorOptions,
    n_steps: u64,
) -> Result<Curves, Diagnostics> {
    let mut trainer = new_trainer::<T>(compiled, config, options, &mut |_| ControlFlow::Continue(()))?;
    let settings = Settings { evaluate_every: u32::MAX, monitor: None, ..config.settings(compiled) };
    let names: Vec<String> = trainer.reported().iter().map(|reported| reported.name.to_string()).collect();
    let mut curves = Curves { at: Vec::new(), columns: names.iter().map(|name| (name.clone(), Vec::new())).collect() };
    let mut fitting = Fitting::new(&mut trainer, None, &settings, data.parts())?;
    while (curves.at.len() as u64) < n_steps {
        match fitting.advance()? {
            Moved::Ended => break,
            Moved::Epoch => {}
            Moved::Step => {
                let (values, _) = fitting.trainer().last_values();
                curves.at.push(u32::try_from(curves.at.len() + 1).unwrap_or(u32::MAX));
                curves.columns.values_mut().zip(values).for_each(|(column, value)| column.push(Some(*value)));
            }
        }
    }
    Ok(curves)
}

/// Where the values of a step are that are looked at.
struct Names {
    at: BTreeMap<String, usize>,
    /// the parts of each total
    parts: BTreeMap<String, Vec<String>>,
}

impl Names {
    fn of<'n>(names: impl Iterator<Item = &'n str> + Clone) -> Self {
        let at: BTreeMap<String, usize> = names.clone().enumerate().map(|(at, name)| (name.to_string(), at)).collect();
        let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in names {
            if let Some((total, part)) = name.strip_prefix("weight/").and_then(|rest| rest.split_once('/')) {
                parts.entry(total.to_string()).or_default().push(part.to_string());
            }
        }
        Self { at, parts }
    }

    fn objectives(&self) -> Vec<Seen> {
        let mut found: Vec<Seen> = Vec::new();
        let mut of_gradients: Vec<(usize, &str)> =
            self.at.iter().filter_map(|(name, at)| Some((*at, name.strip_prefix("norm/")?))).collect();
        of_gradients.sort_unstable();
        for (objective, loss) in of_gradients.into_iter().filter_map(|(_, name)| name.split_once('/')) {
            match found.iter_mut().find(|seen| seen.objective == objective) {
                Some(seen) => seen.losses.push(loss.to_string()),
                None => {
                    let losses = vec![loss.to_string()];
                    found.push(Seen { objective: objective.to_string(), losses, steps: Vec::new() });
                }
            }
        }
        found
    }

    fn step(&self, seen: &Seen, values: &[f64]) -> SeenStep {
        let Seen { objective, losses, .. } = seen;
        let value = |name: &str| self.at.get(name).map_or(f64::NAN, |at| values[*at]);
        let cosine = |i: usize, j: usize| match i == j {
            true => 1.0,
            false => value(&format!("cosine/{objective}/{}/{}", losses[i.min(j)], losses[i.max(j)])),
        };
        SeenStep {
            values: losses.iter().map(|loss| value(loss)).collect(),
            weights: losses.iter().map(|loss| self.weight(objective, loss, values)).collect(),
            norms: losses.iter().map(|loss| value(&format!("norm/{objective}/{loss}"))).collect(),
            cosines: (0..losses.len()).map(|i| (0..losses.len()).map(|j| cosine(i, j)).collect()).collect(),
        }
    }

    /// By how much a loss counts in a total, directly and by way of totals in between. A total is made of what was lowered before it,
    /// so this ends.
    fn weight(&self, total: &str, loss: &str, values: &[f64]) -> f64 {
        fn along(names: &Names, total: &str, loss: &str, values: &[f64]) -> Option<f64> {
            if total == loss {
                return Some(1.0);
            }
            let parts = names.parts.get(total)?;
            let each = parts.iter().filter_map(|part| {
                let own = values[names.at[&format!("weight/{total}/{part}")]];
                Some(own * along(names, part, loss, values)?)
            });
            each.reduce(|sum, part| sum + part)
        }
        along(self, total, loss, values).unwrap_or(1.0)
    }
}
