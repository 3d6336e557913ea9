//! Losses and metrics by a run folder: the saved program, its params, and data. No spec is read.

use super::evaluator::Evaluator;
use super::fields::Fields;
use super::folder::params_of;
use super::predictor::{clock_at, read_store};
use super::program::Program;
use super::ranges::Ranges;
use super::reading::Reading;
use super::reported::Reported;
use super::saved::{EvaluationForm, SavedProgram};
use super::sums::Sums;
use crate::data::{Dataset, Field, FieldSpec, Flaw};
use crate::diag::{Diagnostics, Span};
use crate::exec::{Clock, ExecutorOptions, Store};
use crate::ir::DimSizes;
use crate::ops::Element;
use crate::passes::Product;
use crate::pipeline::Simple;
use std::path::Path;

/// A model that is evaluated.
#[derive(Debug)]
pub struct Evaluation<T: Element> {
    evaluator: Evaluator<T>,
    reading: Reading,
    store: Store<T>,
    clock: Clock,
    sizes: DimSizes,
}

impl<T: Element> Evaluation<T> {
    /// Reads the params that go with saved programs.
    ///
    /// # Errors
    /// E0608 when the program is broken, E0601 and E0606 when the params cannot be read or do not fit.
    pub fn open(
        folder: &Path,
        saved: &SavedProgram,
        form: &EvaluationForm,
        span: Span,
        options: &ExecutorOptions,
    ) -> Result<Self, Diagnostics> {
        let (graph, finals) = form.graphs(&saved.inputs, span)?;
        let mut fields = Fields::default();
        for input in &saved.inputs {
            fields.add_input(&input.name, input.ty.clone(), input.fills);
        }
        for target in &form.targets {
            fields.add_target(&target.name, target.ty.clone(), target.optional);
        }
        let fields = fields.read_by(&graph);
        let ranges = Ranges::of(&graph, fields.optional());
        let reading = Reading::new(fields, saved.inputs.iter().chain(&form.targets), saved.precision, ranges)?;
        let (store, moment) = read_store(&[&graph, &finals], &params_of(folder))?;
        let sums = Sums::new(Simple::from(finals), form.products.iter().map(Product::from).collect());
        let evaluator = Evaluator::new(Program::new(graph, options.clone()), sums);
        let clock = clock_at(saved, moment);
        Ok(Self { evaluator, reading, store, clock, sizes: DimSizes::new() })
    }

    /// The names of the fields that it reads from data.
    pub fn inputs(&self) -> Vec<&str> {
        self.reading.names()
    }

    /// The fields that have the value which the run gave them.
    pub fn fed(&self) -> &[(String, Field)] {
        self.reading.fed()
    }

    /// What a data file must hold.
    pub fn specs(&self) -> Vec<FieldSpec> {
        self.reading.specs()
    }

    /// What in a dataset lies outside of what the program indexes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.reading.review(data)
    }

    /// Forgets the rows that were added.
    pub fn begin(&mut self) {
        self.evaluator.begin();
    }

    /// Adds rows.
    ///
    /// # Errors
    /// E0603 for data without rows, E0610 for whole numbers outside of what they index, and those of [`Program::run`].
    pub fn add(&mut self, data: &Dataset, batch_size: u32) -> Result<(), Diagnostics> {
        self.sizes = self.reading.sizes(data)?;
        let Self { evaluator, reading, store, clock, sizes } = self;
        evaluator.add(data, sizes, reading.ranges(), store, *clock, batch_size)
    }

    /// The losses and metrics over all rows that were added; none for a value that no row has.
    pub fn values(&self) -> Vec<(Reported, Option<f64>)> {
        let means = self.evaluator.means(&self.store, self.clock, &self.sizes);
        self.evaluator.reported().into_iter().zip(means).collect()
    }
}
