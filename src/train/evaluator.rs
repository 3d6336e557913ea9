//! Losses and metrics of data, as a model is used for predictions.
//!
//! Takes datasets one after another, so that data may be larger than memory, and gives what all their rows together have. A
//! metric that is a function of sums over rows is that of all of them; anything else is the mean of the batches' values over the
//! rows that have one.

use super::program::Program;
use super::ranges::Ranges;
use super::reported::{Places, Reported, replace, reported};
use super::sums::Sums;
use super::trainer::{Weighted, for_each_batch};
use crate::data::Dataset;
use crate::diag::Diagnostics;
use crate::exec::{Clock, Store};
use crate::ir::DimSizes;
#[cfg(feature = "files")]
use crate::ir::Graph;
use crate::ops::Element;

/// An evaluation program and what it gave so far.
#[derive(Debug)]
pub(super) struct Evaluator<T: Element> {
    program: Program<T>,
    sums: Sums,
    means: Weighted,
}

impl<T: Element> Evaluator<T> {
    pub fn new(program: Program<T>, sums: Sums) -> Self {
        Self { program, sums, means: Weighted::default() }
    }

    /// What each of [`Evaluator::means`] is: the losses and metrics.
    pub fn reported(&self) -> Vec<Reported> {
        reported(self.program.graph())
    }

    /// The program, to make it ready.
    pub fn program(&mut self) -> &mut Program<T> {
        &mut self.program
    }

    /// The program's graph.
    #[cfg(feature = "files")]
    pub fn graph(&self) -> &Graph {
        self.program.graph()
    }

    /// Forgets what was added.
    pub fn begin(&mut self) {
        self.sums.clear();
        self.means = Weighted::default();
    }

    /// Adds the rows of a dataset.
    ///
    /// # Errors
    /// E0602 for a batch size of 0, E0603 for data without rows, E0610 for whole numbers outside of what they index, and those
    /// of [`Program::run`].
    pub fn add(
        &mut self,
        data: &Dataset,
        sizes: &DimSizes,
        ranges: &Ranges,
        store: &mut Store<T>,
        clock: Clock,
        batch_size: u32,
    ) -> Result<(), Diagnostics> {
        let n_values = self.reported().len();
        let (mut values, mut counts) = (vec![f64::NAN; n_values], vec![0.0; n_values]);
        let mut places = None;
        for_each_batch(data.rows, batch_size, |rows| {
            ranges.check(data, rows)?;
            let executor = self.program.run(data, sizes, rows, store, clock)?;
            let places = places.get_or_insert_with(|| Places::of(executor));
            places.read(executor, rows.len(), &mut values, &mut counts);
            self.means.add(&values, &counts);
            self.sums.add(executor);
            Ok(())
        })
    }

    /// The values over all rows that were added; none for a value that no row has.
    pub fn means(&self, store: &Store<T>, clock: Clock, sizes: &DimSizes) -> Vec<Option<f64>> {
        let mut means = self.means.means();
        replace(&self.reported(), &self.sums.metrics(store, clock, sizes), &mut means);
        means
    }
}
