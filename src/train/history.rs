//! What a run did, epoch by epoch, and its CSV form.

use super::trainer::{LossWeight, Reported};
use std::fmt::Write as _;
use std::sync::Arc;

/// A part of the data that is reported apart: `train`, `validation`, `test`.
pub type Part = &'static str;

/// Sample-weighted means over one part of the data; none for a value that is missing in every row.
#[derive(Clone, Debug, PartialEq)]
pub struct PartRecord {
    pub part: Part,
    pub values: Vec<(Reported, Option<f64>)>,
}

impl PartRecord {
    pub fn new(part: Part, reported: &[Reported], values: &[Option<f64>]) -> Self {
        Self { part, values: reported.iter().cloned().zip(values.iter().copied()).collect() }
    }

    /// A value by its name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(reported, _)| &*reported.name == name).and_then(|(_, value)| *value)
    }
}

/// One epoch. Values of `train` are means over the steps' own batches; the other parts are evaluated after the epoch.
/// Before training there is no `train`.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// from 1; 0 is the state before training
    pub epoch: u32,
    /// training steps since the start
    pub step: u64,
    pub parts: Vec<PartRecord>,
    /// after the epoch
    pub weights: Vec<LossWeight>,
}

impl EpochRecord {
    /// A value by part and name.
    pub fn get(&self, part: &str, name: &str) -> Option<f64> {
        self.parts.iter().find(|record| record.part == part)?.get(name)
    }
}

/// All epochs of a run, from epoch 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// As CSV: `epoch,step`, then `PART/NAME` of every value, then `weight/PATH` of every loss weight. Numbers are written so
    /// that they read back as they were; a cell is empty where there is no value, as for `train` before the first epoch and for
    /// what no row of an epoch has.
    pub fn to_csv(&self) -> String {
        let mut text = String::from("epoch,step");
        let Some(last) = self.epochs.last() else { return text + "\n" };
        let names = |part: &'_ PartRecord| -> Vec<(Part, Arc<str>)> {
            part.values.iter().map(|(reported, _)| (part.part, reported.name.clone())).collect()
        };
        let columns: Vec<(Part, Arc<str>)> = last.parts.iter().flat_map(names).collect();
        for (part, name) in &columns {
            let _ = write!(text, ",{part}/{name}");
        }
        for weight in &last.weights {
            for column in weight_columns(&weight.name, weight.values.len()) {
                let _ = write!(text, ",weight/{column}");
            }
        }
        text.push('\n');
        for epoch in &self.epochs {
            let _ = write!(text, "{},{}", epoch.epoch, epoch.step);
            for (part, name) in &columns {
                let value = epoch.get(part, name).map_or_else(String::new, |value| value.to_string());
                let _ = write!(text, ",{value}");
            }
            for value in epoch.weights.iter().flat_map(|weight| &weight.values) {
                let _ = write!(text, ",{value}");
            }
            text.push('\n');
        }
        text
    }
}

/// `alpha`, or `weights[0]`, `weights[1]` for a param of several elements.
fn weight_columns(name: &Arc<str>, n_values: usize) -> Vec<String> {
    if n_values == 1 { vec![name.to_string()] } else { (0..n_values).map(|at| format!("{name}[{at}]")).collect() }
}
