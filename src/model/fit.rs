//! How a session is fitted, and what is said of its epochs.

use super::data::Data;
use super::error::Finding;
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::train::{self, Better, EpochRecord, Running};
use indexmap::IndexMap;

/// How [`Session::fit`](super::Session::fit) goes over the data.
///
/// ```
/// use anabranch::Fit;
///
/// let settings = Fit { epochs: 20, batch_size: 64, ..Fit::default() };
/// assert!(settings.shuffle);
/// ```
#[derive(Clone, Debug)]
pub struct Fit<'d> {
    /// How often all samples are gone over; at least 1.
    pub epochs: u32,
    /// Samples in a step; at least 1. The last batch of an epoch may be shorter.
    pub batch_size: u32,
    /// Whether the samples come in another order in each epoch.
    pub shuffle: bool,
    /// The seed of these orders; that of the session when left out.
    pub seed: Option<u64>,
    /// Whether a last batch that is shorter is left out.
    pub drop_last: bool,
    /// Data that the model is judged by after each epoch, and never trained on.
    pub validation: Option<&'d Data>,
    /// The value by which epochs are judged.
    pub monitor: Option<Monitor>,
}

/// 10 epochs in batches of 32, shuffled.
impl Default for Fit<'_> {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch_size: 32,
            shuffle: true,
            seed: None,
            drop_last: false,
            validation: None,
            monitor: None,
        }
    }
}

/// The value by which epochs are judged: when to end early, which epoch's params to keep.
///
/// ```
/// use anabranch::{Better, Monitor};
///
/// let monitor = Monitor { better: Better::Higher, patience: Some(5), ..Monitor::of("validation/accuracy") };
/// assert!(monitor.keep_best);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// `train/NAME` or `validation/NAME`, where `NAME` is a loss or metric
    pub value: String,
    /// Which of two values is the better one; the lower, unless said.
    pub better: Better,
    /// An improvement is larger than this.
    pub min_delta: f64,
    /// Epochs without improvement after which fitting ends; it goes on to the last epoch when left out.
    pub patience: Option<u32>,
    /// Whether the session is left with the params of the best epoch instead of the last.
    pub keep_best: bool,
}

impl Monitor {
    /// Keeps the params of the epoch in which a value is lowest.
    #[must_use]
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), better: Better::Lower, min_delta: 0.0, patience: None, keep_best: true }
    }

    fn checked(&self, has_validation: bool, known: &[&str]) -> Result<train::Monitor, Diagnostics> {
        let wrong = |headline: String, expected: &str| -> Diagnostics {
            Diagnostic::error(Code::E0602, headline).with_note(format!("expected: {expected}")).into()
        };
        let (part, name) = match self.value.split_once('/') {
            Some(("validation", _)) if !has_validation => {
                return Err(wrong(
                    "there is no validation data to watch".into(),
                    "`validation`, or a value of `train`",
                ));
            }
            Some((part @ ("train" | "validation"), name)) => (part, name),
            _ => {
                return Err(wrong(
                    format!("`{}` is no value to watch", self.value),
                    "`train/NAME` or `validation/NAME`",
                ));
            }
        };
        if !self.min_delta.is_finite() || self.min_delta < 0.0 {
            return Err(wrong(format!("`min_delta` is {}", self.min_delta), "a finite number of at least 0"));
        }
        if self.patience == Some(0) {
            return Err(wrong("`patience` is 0".into(), "at least 1 epoch"));
        }
        let monitor = train::Monitor {
            part: part.into(),
            name: name.into(),
            span: None,
            better: self.better,
            is_better_said: true,
            min_delta: self.min_delta,
            patience: self.patience,
            keep_best: self.keep_best,
        };
        monitor.check(known)?;
        Ok(monitor)
    }
}

impl Fit<'_> {
    /// The settings of the loop; `known` are the losses and metrics.
    pub(super) fn checked(&self, session_seed: u64, known: &[&str]) -> Result<train::Settings, Diagnostics> {
        for (name, value) in [("epochs", self.epochs), ("batch_size", self.batch_size)] {
            if value == 0 {
                let finding =
                    Diagnostic::error(Code::E0602, format!("`{name}` is 0")).with_note("expected: at least 1");
                return Err(finding.into());
            }
        }
        let monitor = self.monitor.as_ref().map(|monitor| monitor.checked(self.validation.is_some(), known));
        Ok(train::Settings {
            evaluate_every: 1,
            epochs: self.epochs,
            batch_size: self.batch_size,
            shuffle: self.shuffle.then_some(self.seed.unwrap_or(session_seed)),
            drop_last: self.drop_last,
            monitor: monitor.transpose()?,
            on_nan: train::OnNan::Stop,
        })
    }
}

/// What an epoch came to. Values are means over samples, by the names of losses and metrics; one that no sample has is left out.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Epoch {
    /// from 1; 0 is the state before the first step
    pub number: u32,
    /// training steps since the model's first params
    pub step: u64,
    /// over the steps of the epoch, each before its update; empty before training
    pub train: IndexMap<String, f64>,
    /// after the epoch; empty without validation data
    pub validation: IndexMap<String, f64>,
    /// the trained weights of losses, after the epoch
    pub loss_weights: IndexMap<String, Vec<f64>>,
}

impl Epoch {
    pub(super) fn of(record: &EpochRecord) -> Self {
        let part = |wanted: &str| {
            let parts = record.parts.iter().filter(|part| part.part == wanted);
            let values = parts.flat_map(|part| &part.values);
            values.filter_map(|(reported, value)| Some((reported.name.to_string(), (*value)?))).collect()
        };
        let weights = record.weights.iter().map(|weight| (weight.name.to_string(), weight.values.clone()));
        Self {
            number: record.epoch,
            step: record.step,
            train: part("train"),
            validation: part("validation"),
            loss_weights: weights.collect(),
        }
    }
}

/// What is told of a fitting while it goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum FitEvent<'e> {
    /// it begins; it has so many steps an epoch, up to the epoch of that number
    #[non_exhaustive]
    Started { last_epoch: u32, steps_per_epoch: usize },
    /// a step was made; this is what those of the epoch have come to
    Step(Running<'e>),
    /// an epoch ended; the first is the state before training
    Epoch(&'e Epoch),
    /// something to know was found
    Finding(Finding<'e>),
}

/// What fitting did.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The state before it, and each epoch.
    pub epochs: Vec<Epoch>,
    /// The best epoch by the value that was watched.
    pub best: Option<Best>,
    /// Whether the watched value ended it before its last epoch.
    pub stopped_early: bool,
}

/// The best epoch by the value that was watched.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Best {
    /// its number
    pub epoch: u32,
    /// the watched value after it
    pub value: f64,
}
