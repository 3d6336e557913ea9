//! anabranch: a declarative graph compiler from a model spec to an executable training program.
//!
//! A spec says what a model computes, how each of its branches is judged and how the judgements flow together again. It is
//! compiled to a [`Model`]; a [`Session`] trains it on the CPU and predicts with it.
//!
//! ```
//! use anabranch::{Data, Fit, Model};
//!
//! let model = Model::compile("
//!     input  x: f32[batch, 1]
//!     target y: f32[batch, 1]
//!     output line = x |> dense(units=1)
//!     loss error = mean_squared_error(y, line)
//!     train { minimize error  optimizer sgd(lr=0.5) }")?;
//! let mut session = model.session()?;
//! let data = Data::from([("x", [[0.0], [0.5], [1.0]]), ("y", [[1.0], [2.0], [3.0]])]);
//! session.fit(&data, &Fit { epochs: 200, ..Fit::default() })?;
//! let outputs = session.predict(&Data::from([("x", [[2.0]])]))?;
//! assert!((outputs["line"].to_vec::<f64>()[0] - 5.0).abs() < 0.1);
//! # Ok::<(), anabranch::Error>(())
//! ```
//!
//! Whatever a caller can do wrong is an [`Error`] that shows its place in the spec:
//!
//! ```
//! let error = anabranch::Model::compile("input x: f32[batch, 3]\noutput y = dens(x)\n").unwrap_err();
//! assert!(error.to_string().contains("did you mean `dense`?"));
//! ```
//!
//! The language and its library are described in the repository's `docs/language.md` and `docs/std.md`; the same crate is the
//! command `anabranch`.

mod model;

pub use model::{
    Best, Better, Compiler, Data, Engine, Epoch, Error, Finding, Fit, FitEvent, Flow, FlowCell, History, Model,
    Monitor, Number, Place, Precision, Running, Session, SessionOptions, Setting, Signature, Stage, Tensor,
};
/// The arrays that a [`Tensor`] is made from.
pub use ndarray;

// The rooms behind the façade, for the tests, benches and fuzz targets of this repository: they may change at any time.
#[doc(hidden)]
pub mod analyse;
#[doc(hidden)]
pub mod autodiff;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod data;
#[doc(hidden)]
pub mod diag;
#[doc(hidden)]
pub mod exec;
#[doc(hidden)]
pub mod export;
#[doc(hidden)]
pub mod ir;
#[doc(hidden)]
pub mod lower;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod passes;
#[doc(hidden)]
pub mod pipeline;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod syntax;
#[doc(hidden)]
pub mod train;
