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
mod session;
mod tensor;

pub use crate::lower::Setting;
pub use crate::train::{Better, Precision};
pub use compiler::{Compiler, Model, Signature};
pub use data::Data;
pub use error::{Error, Finding, Place};
#[cfg(feature = "files")]
pub(crate) use files::{read_text, read_used};
pub use fit::{Best, Epoch, Fit, History, Monitor};
pub use session::{Engine, Session, SessionOptions};
pub use tensor::{Number, Tensor};
