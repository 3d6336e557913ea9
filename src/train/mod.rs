//! Training and prediction around compiled programs.
//!
//! [`Trainer`] holds the params and states of a model and runs its programs on rows of a dataset: a training step, an
//! evaluation, the gradients. [`run()`] is a whole run by a [`RunConfig`](config::RunConfig): data, epochs, history, divergence;
//! it reports to an observer and gives a [`Finished`] run, which [`save`] writes as a folder. [`Predictor`] reads such a folder
//! and needs no spec.
//!
//! Results depend on the spec, the config and the data alone, so no time of day is kept in any of them.

#[cfg(feature = "files")]
pub mod checkpoint;
#[cfg(feature = "files")]
pub mod config;
mod fields;
mod fit;
#[cfg(feature = "files")]
mod folder;
mod history;
mod judge;
mod monitor;
mod outputs;
#[cfg(feature = "files")]
mod predictor;
mod program;
mod ranges;
#[cfg(feature = "files")]
mod run;
mod sums;
mod trainer;
mod watch;

pub use fields::Fields;
pub use fit::{Event, Finished, Observer, Parts, Settings, fit};
#[cfg(feature = "files")]
pub use folder::{RunRecord, check_target, save};
pub use history::{EpochRecord, History};
pub use judge::Best;
pub use monitor::{Better, Monitor};
pub use outputs::{Precision, to_numbers};
#[cfg(feature = "files")]
pub use predictor::{AcceptForm, ClockForm, InputForm, Prediction, Predictor, SavedProgram, files_of_run};
pub use program::Program;
pub use ranges::{Ranges, Shares};
#[cfg(feature = "files")]
pub use run::{RunData, load_data, overrides, run};
pub use trainer::{LossWeight, Reported, RunState, Trainer, Weighted};
pub use watch::WeightWatch;
