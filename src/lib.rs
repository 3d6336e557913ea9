//! anabranch: a declarative graph compiler from a model spec to an executable training program.
//!
//! [`pipeline::compile`] takes a spec to its programs; [`train::Trainer`] runs them.
//!
//! ```
//! use anabranch::data::{Dataset, Field, Numbers};
//! use anabranch::{diag::SourceMap, exec::ExecutorOptions, lower::Options, pipeline, train::Trainer};
//!
//! let spec = "
//!     input x: f32[batch, 1]
//!     target y: f32[batch, 1]
//!     output line = x |> dense(units=1)
//!     loss error = mean_squared_error(y, line)
//!     train {
//!         minimize error
//!         optimizer sgd(lr=0.5)
//!     }";
//! let mut sources = SourceMap::default();
//! let id = sources.add("line.anb", spec);
//! let compiled = pipeline::compile(&mut sources, id, &Options::default())?;
//!
//! let column = |values: &[f32]| Field { shape: vec![1], values: Numbers::F32(values.to_vec()) };
//! let fields = [("x", column(&[0.0, 0.5, 1.0])), ("y", column(&[1.0, 2.0, 3.0]))];
//! let data = Dataset { fields: fields.map(|(name, field)| (name.to_string(), field)).into_iter().collect(), rows: 3 };
//!
//! let mut trainer = Trainer::<f32>::new(&compiled, 0, &ExecutorOptions::default())?;
//! for _ in 0..200 {
//!     trainer.step(&data, &[0, 1, 2])?;
//! }
//! let (losses, _) = trainer.step(&data, &[0, 1, 2])?;
//! assert!(losses[0] < 1e-3);
//! # Ok::<(), anabranch::diag::Diagnostics>(())
//! ```

pub mod analyse;
pub mod autodiff;
#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
pub mod diag;
pub mod exec;
pub mod export;
pub mod ir;
pub mod lower;
pub mod ops;
pub mod passes;
pub mod pipeline;
pub mod plan;
pub mod syntax;
pub mod train;
