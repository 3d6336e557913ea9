//! Values of columns that are of a kind: how each of a field's columns is read, and what is said of those that are not taken.

use super::cells::{CellReader, Refused};
use super::locate::{LocatedColumns, Locator};
use super::{FieldSpec, Numbers, csv};
use crate::diag::{Code, Diagnostic};
use std::rc::Rc;

/// How many wrong values a message names.
const PLACES_NAMED: usize = 5;

impl Locator<'_> {
    /// The rows from `first` to before `stop` that are taken, where rows are picked.
    pub(super) fn picked(&self, first: usize, stop: usize) -> Option<Rc<[u32]>> {
        let picked = self.source.picked.as_ref()?;
        Some(picked.iter().copied().filter(|row| (first..stop).contains(&(*row as usize))).collect())
    }

    /// The columns of a field with the readers of their cells.
    pub(super) fn group(&self, field: &LocatedColumns<'_>) -> csv::Group {
        csv::Group { columns: field.columns.clone(), readers: self.readers(field.spec) }
    }

    fn readers(&self, spec: &FieldSpec) -> Vec<CellReader> {
        let forms = self.source.forms.get(&spec.name).map(Vec::as_slice).unwrap_or_default();
        forms.iter().map(CellReader::new).collect()
    }

    /// What is wrong with cells that are not taken.
    pub(super) fn bad_cells(
        &self,
        spec: &FieldSpec,
        header: &[String],
        group: &csv::Group,
        block: &csv::Block,
    ) -> Diagnostic {
        let place = |cell: &csv::BadCell| {
            format!("`{}` at {}, column `{}`", cell.text, self.row_text(cell.line), header[cell.column])
        };
        let places: Vec<String> = block.bad_cells.iter().map(place).collect();
        let first = block.bad_cells.first();
        if let Some((cell, reader)) = first.and_then(|cell| Some((cell, group.readers.get(cell.slot)?))) {
            let count = block.bad_cell_count;
            return Refused { count, places, refusal: cell.refusal, form: &reader.form }.finding(spec, self.source);
        }
        let finding =
            super::check::wrong_values(block.bad_cell_count, &places.join(", "), places.len(), spec, self.source);
        let are_texts = block.bad_cells.iter().all(|cell| cell.text.chars().any(char::is_alphabetic));
        if are_texts && !self.source.by_flag {
            let (field, column) = (&spec.name, first.map_or("", |cell| header[cell.column].as_str()));
            return finding.with_help(format!(
                "texts are read as `columns: {{ {field}: {{ from: {column}, kind: category }} }}`"
            ));
        }
        finding
    }

    /// The numbers of an array's values, where they are of a kind; each value as it is, where they are not.
    ///
    /// # Errors
    /// `E0604` for values that their kind does not have, `E0603` when the array has another number of values in a row.
    pub(super) fn looked_up(
        &self,
        spec: &FieldSpec,
        values: Numbers,
        place: &dyn Fn(usize) -> String,
    ) -> Result<Numbers, Diagnostic> {
        let readers = self.readers(spec);
        if readers.is_empty() {
            return Ok(values);
        }
        if !values.len().is_multiple_of(readers.len()) {
            let headline = format!("a row of the array of field `{}` has not the columns of training", spec.name);
            let finding = Diagnostic::error(Code::E0603, headline);
            let finding = finding.with_note(format!("expected: {} values in each row", readers.len()));
            return Err(super::check::place_of(finding, self.source, Some(spec)));
        }
        let mut refused: Option<Refused<'_>> = None;
        let mut read = |at: usize| {
            let (value, reader) = (values.get(at), &readers[at % readers.len()]);
            reader.read_number(value).unwrap_or_else(|refusal| {
                let found =
                    refused.get_or_insert(Refused { count: 0, places: Vec::new(), refusal, form: &reader.form });
                found.count += 1;
                if found.places.len() < PLACES_NAMED {
                    found.places.push(format!("`{value}` at {}", place(at)));
                }
                f64::NAN
            })
        };
        let read: Vec<f64> = (0..values.len()).map(&mut read).collect();
        match refused {
            Some(refused) => Err(refused.finding(spec, self.source)),
            None => Ok(Numbers::F64(read)),
        }
    }
}
