//! Training and prediction around compiled programs.
//!
//! [`Trainer`] holds the params and states of a model and runs its programs on rows of a dataset: a training step, an
//! evaluation, the gradients. A run is a fold over steps: [`Fitting`] makes one move after another, and [`RunState`] is all that it
//! is between two of them. [`run()`] is a whole run by a [`RunConfig`](config::RunConfig) in memory; [`run_into`] writes a
//! [`RunFolder`] meanwhile and goes on with one that was left. [`Predictor`] reads such a folder and needs no spec.
//!
//! Results depend on the spec, the config and the data alone, so no time of day is kept in any of them.

#[cfg(feature = "files")]
mod advice;
#[cfg(feature = "files")]
mod artefact;
mod beside;
#[cfg(feature = "files")]
pub mod checkpoint;
#[cfg(feature = "files")]
mod checkpointing;
#[cfg(feature = "files")]
pub mod columns;
#[cfg(feature = "files")]
mod condition;
#[cfg(feature = "files")]
pub mod config;
mod divergence;
#[cfg(feature = "files")]
mod evaluation;
mod evaluator;
#[cfg(feature = "files")]
mod exported;
mod fields;
mod fit;
#[cfg(feature = "files")]
mod folder;
#[cfg(feature = "files")]
mod hash;
mod history;
mod judge;
#[cfg(feature = "files")]
mod layout;
mod monitor;
mod outputs;
#[cfg(feature = "files")]
mod predictor;
mod program;
mod ranges;
#[cfg(feature = "files")]
mod reading;
#[cfg(feature = "files")]
mod replay;
mod reported;
#[cfg(feature = "files")]
mod run;
#[cfg(feature = "files")]
mod saved;
#[cfg(feature = "files")]
mod slice;
#[cfg(feature = "files")]
pub mod split;
mod start;
#[cfg(feature = "files")]
mod start_from;
mod state;
#[cfg(feature = "files")]
mod statistics;
mod sums;
mod trainer;
#[cfg(feature = "files")]
pub mod verdicts;
mod watch;
#[cfg(feature = "files")]
mod weights;

pub use crate::passes::{Addends, parts_of_term};
#[cfg(feature = "files")]
pub use advice::{Advice, LossFigures, OBSERVED, PairFigures, Seen, SeenStep, Trouble, advise, look};
#[cfg(feature = "files")]
pub use artefact::{ArtefactOptions, write_artefact};
#[cfg(feature = "files")]
pub use checkpointing::{Checkpointing, Every};
#[cfg(feature = "files")]
pub use condition::Condition;
#[cfg(feature = "files")]
pub use evaluation::Evaluation;
#[cfg(feature = "files")]
pub use exported::Exported;
pub use fields::Fields;
pub use fit::{Event, Finished, Fitting, Moved, Observer, OnNan, Parts, Running, Settings, fit};
#[cfg(feature = "files")]
pub use folder::{
    DataChange, Earlier, Ending, Fingerprint, Hashes, Moment, Plan, Resumed, RunFolder, RunRecord, SpecTexts, Status,
    Verified, files_of_run, history_of, is_run, is_unfinished, replayed, save, save_trained, verify_resume,
};
#[cfg(feature = "cli")]
pub(crate) use hash::hash_text;
pub use history::{Columns, EpochRecord, History, PartRecord};
pub use judge::{Best, Judgement};
#[cfg(feature = "files")]
pub use layout::Layout;
pub use monitor::{Better, Monitor};
pub use outputs::{Precision, to_numbers};
#[cfg(feature = "files")]
pub use predictor::{Prediction, Predictor};
pub use program::Program;
pub use ranges::{Ranges, Shares};
#[cfg(feature = "files")]
pub use replay::{NodeValue, Replay, StepValues, replay_trainer};
pub use reported::Reported;
#[cfg(feature = "files")]
pub use run::{Keeping, RunData, check_data, load_data, overrides, run, run_into};
#[cfg(feature = "files")]
pub use saved::{AcceptForm, ClockForm, EvaluationForm, InputForm, ProductForm, SavedProgram};
#[cfg(feature = "files")]
pub use slice::Part;
pub use start::Start;
#[cfg(feature = "files")]
pub use start_from::StartSource;
pub use state::{ModelState, Progress, RunState};
pub use trainer::{LossWeight, Trainer, Weighted, weights_shown};
pub use watch::WeightWatch;
#[cfg(feature = "files")]
pub use weights::weights;
