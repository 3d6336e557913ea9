//! A run's prediction program with all that other runtimes need of it: params, states, the clock.

use super::folder::params_of;
use super::predictor::{clock_at, read_store};
use super::saved::SavedProgram;
use super::slice::Part;
use crate::diag::{Diagnostics, Span};
use crate::exec::{Clock, Store};
use crate::ir::Graph;
use crate::pipeline::Simple;
use std::path::Path;

/// A prediction program and what it reads besides data, in single precision.
#[derive(Debug)]
pub struct Exported {
    pub program: Simple,
    pub store: Store<f32>,
    pub clock: Clock,
}

impl Exported {
    /// The part of a run's program that leads from some values to some outputs.
    ///
    /// # Errors
    /// Those of [`Predictor::open_part`](super::Predictor::open_part).
    pub fn open(folder: &Path, saved: &SavedProgram, part: &Part, span: Span) -> Result<Self, Diagnostics> {
        let graph: Graph = part.of(&saved.graph(span)?, &saved.values)?;
        let (store, moment) = read_store(&[&graph], &params_of(folder))?;
        Ok(Self { program: Simple::of(graph), store, clock: clock_at(saved, moment) })
    }
}
