//! Losses and metrics by a run folder: the saved program, its params, and data. No spec is read.

use super::evaluator::Evaluator;
use super::fields::Fields;
use super::folder::params_of;
use super::outputs::Precision;
use super::predictor::{clock_at, fed_of, read_store};
use super::program::Program;
use super::ranges::Ranges;
use super::saved::{EvaluationForm, SavedProgram};
use super::sums::Sums;
use super::trainer::Reported;
use crate::data::{Dataset, Field, FieldSpec, Flaw};
use crate::diag::{Diagnostics, Span};
use crate::exec::{Clock, ExecutorOptions, Store};
use crate::ir::DimSizes;
use crate::ops::Element;
use crate::passes::Product;
use crate::pipeline::Simple;
use std::path::Path;
use std::sync::Arc;

/// A model that is evaluated.
#[derive(Debug)]
pub struct Evaluation<T: Element> {
    evaluator: Evaluator<T>,
    fields: Fields,
    /// what the run gave fields that have one value for all rows
    fed: Vec<(String, Field)>,
    store: Store<T>,
    clock: Clock,
    precision: Precision,
    ranges: Ranges,
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
            fields.add_input(&input.name, input.ty.clone());
        }
        for target in &form.targets {
            fields.add_target(&target.name, target.ty.clone(), target.optional);
        }
        let fields = fields.read_by(&graph);
        let fed = fed_of(saved.inputs.iter().chain(&form.targets), &fields, saved.precision)?;
        let (store, moment) = read_store(&[&graph, &finals], &params_of(folder))?;
        let optional: Vec<Arc<str>> = fields.optional().collect();
        let ranges = Ranges::of(&graph, optional);
        let sums = Sums::new(Simple::from(finals), form.products.iter().map(Product::from).collect());
        let evaluator = Evaluator::new(Program::new(graph, options.clone()), sums);
        let (clock, precision) = (clock_at(saved, moment), saved.precision);
        Ok(Self { evaluator, fields, fed, store, clock, precision, ranges, sizes: DimSizes::new() })
    }

    /// The names of the fields that it reads from data.
    pub fn inputs(&self) -> Vec<&str> {
        let is_fed = |name: &&str| self.fed.iter().any(|(fed, _)| fed == name);
        self.fields.names().into_iter().filter(|name| !is_fed(name)).collect()
    }

    /// The fields that have the value which the run gave them.
    pub fn fed(&self) -> &[(String, Field)] {
        &self.fed
    }

    /// What a data file must hold.
    ///
    /// # Errors
    /// None at present: every field can be had from data.
    pub fn specs(&self) -> Result<Vec<FieldSpec>, Diagnostics> {
        let mut specs = self.fields.specs_within(self.precision.largest())?;
        specs.retain(|spec| !self.fed.iter().any(|(name, _)| *name == spec.name));
        Ok(specs)
    }

    /// What in a dataset lies outside of what the program indexes.
    ///
    /// # Errors
    /// E0603 when its fields disagree.
    pub fn review(&mut self, data: &Dataset) -> Result<Vec<Flaw>, Diagnostics> {
        self.ranges.set_sizes(&self.fields.sizes(data)?);
        Ok(self.ranges.flaws(data))
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
        self.sizes = self.fields.sizes(data)?;
        self.ranges.set_sizes(&self.sizes);
        let Self { evaluator, store, clock, ranges, sizes, .. } = self;
        evaluator.add(data, sizes, ranges, store, *clock, batch_size)
    }

    /// The losses and metrics over all rows that were added; none for a value that no row has.
    pub fn values(&self) -> Vec<(Reported, Option<f64>)> {
        let means = self.evaluator.means(&self.store, self.clock, &self.sizes);
        self.evaluator.reported().into_iter().zip(means).collect()
    }
}
