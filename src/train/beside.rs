//! What a training step reads beside its batch: a batch of the validation data, for `on(validation, …)`.
//!
//! The batch of a step has as many rows as the training batch. The validation rows are visited in a shuffled order that the
//! seed decides, anew each time all were visited; which rows a step reads follows from its number alone, so a run that is
//! resumed reads the same.

use super::program::no_rows;
use crate::data::{Dataset, shuffled};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::Graph;
use crate::lower::VALIDATION_PREFIX;
use crate::ops::Op;

/// The validation data as a training step reads it.
#[derive(Debug)]
pub(super) struct Beside {
    is_read: bool,
    seed: u64,
    /// fields under the names that the program has for them
    data: Dataset,
    /// of the pass that was used last
    order: Option<(u64, Vec<u32>)>,
    rows: Vec<u32>,
}

impl Beside {
    pub fn of(train: &Graph, seed: u64) -> Self {
        let is_read = train.ids().any(|id| {
            matches!(train.op(id), Op::Input(_)) && train.node(id).provenance.name.starts_with(VALIDATION_PREFIX)
        });
        Self { is_read, seed, data: Dataset::default(), order: None, rows: Vec::new() }
    }

    /// Whether a step reads validation data.
    pub fn is_read(&self) -> bool {
        self.is_read
    }

    /// Takes the data.
    ///
    /// # Errors
    /// E0603 when there is none.
    pub fn take(&mut self, data: &Dataset) -> Result<(), Diagnostics> {
        if data.rows == 0 {
            return Err(no_rows("the validation data has no rows").into());
        }
        let fields = data.fields.iter().map(|(name, field)| (format!("{VALIDATION_PREFIX}{name}"), field.clone()));
        self.data = Dataset { fields: fields.collect(), ..data.clone() };
        self.order = None;
        Ok(())
    }

    /// The data and the rows that a step reads.
    ///
    /// # Errors
    /// E0603 when the step reads validation data and there is none.
    pub fn rows(&mut self, step: i32, count: usize) -> Result<(&Dataset, &[u32]), Diagnostic> {
        self.rows.clear();
        if !self.is_read {
            return Ok((&self.data, &self.rows));
        }
        if self.data.rows == 0 {
            return Err(Diagnostic::error(Code::E0603, "a step reads validation data, and the run has none")
                .with_note("found: `on(validation, …)` in the spec")
                .with_help("name it in the run config, `validation: { path: … }`, or give it to the session"));
        }
        let n_rows = self.data.rows as u64;
        let first = u64::from(step as u32) * count as u64;
        for place in first..first + count as u64 {
            let pass = place / n_rows;
            if self.order.as_ref().is_none_or(|(of, _)| *of != pass) {
                self.order = Some((pass, shuffled(self.data.rows, self.seed, pass)));
            }
            let Some((_, order)) = &self.order else { continue };
            self.rows.push(order[(place % n_rows) as usize]);
        }
        Ok((&self.data, &self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Field, Numbers};

    #[test]
    fn every_row_is_read_once_a_pass_whatever_was_read_before() {
        let field = Field { shape: vec![], values: Numbers::I32(vec![0; 5]) };
        let data = Dataset { fields: [("x".to_string(), field)].into_iter().collect(), rows: 5 };
        let new = || {
            let mut beside = Beside { is_read: true, ..Beside::of(&Graph::new(), 7) };
            beside.take(&data).unwrap();
            beside
        };
        let mut beside = new();
        let read: Vec<Vec<u32>> = (0..5).map(|step| beside.rows(step, 3).unwrap().1.to_vec()).collect();
        let mut first: Vec<u32> = read.concat()[..5].to_vec();
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2, 3, 4]);
        assert_eq!(new().rows(3, 3).unwrap().1, read[3]);
        let refused = Beside { is_read: true, ..Beside::of(&Graph::new(), 7) }.rows(0, 3).unwrap_err();
        assert_eq!(refused.code, Code::E0603);
    }
}
