//! What a program in Rust uses: a spec compiled to a [`Model`], a [`Session`] that trains it and predicts with it.
//!
//! Everything that a caller can do wrong is an [`Error`] with its place. The rooms behind this one are not promised to stay as
//! they are.

mod compiler;
mod data;
mod error;
#[cfg(feature = "files")]
mod files;
mod fit;
mod flow;
#[cfg(feature = "files")]
mod run_folder;
mod session;
mod stage;
mod summary;
mod table;
mod tensor;

pub use crate::lower::Setting;
pub use crate::train::{Better, Precision, Running};
pub use compiler::{Compiler, Model, Signature};
pub use data::Data;
pub use error::{Error, Finding, Place};
#[cfg(feature = "cli")]
pub(crate) use files::{read_text, read_used};
pub use fit::{Best, Epoch, Fit, FitEvent, History, Monitor};
pub use flow::{Flow, FlowCell};
pub use session::{Engine, Session, SessionOptions};
pub use stage::Stage;
#[cfg(feature = "cli")]
pub(crate) use stage::StagePart;
#[cfg(feature = "cli")]
pub(crate) use summary::{json_text, summary_of, table_text};
#[cfg(feature = "cli")]
pub(crate) use table::Table;
pub use tensor::{Number, Tensor};
