//! Reading the fields of a program from one file.
//!
//! [`load`] opens the file, finds every wanted field in it, checks shapes and row counts from the headers, then reads and
//! checks the values of the fields that are right so far. All mistakes are reported together. [`load_reviewed`] has the
//! whole dataset looked at by who knows more of it, while the places of its values in the file are still known.

use std::rc::Rc;

use indexmap::IndexMap;

use crate::diag::{Diagnostic, Diagnostics};

use super::check;
use super::flaw::{Flaw, element_place};
use super::locate::{ArrayFile, Format, Locator};
use super::npy::NpyError;
use super::{DataSource, Dataset, Field, FieldSpec, Numbers, csv};

/// Reads and checks the wanted fields.
///
/// # Errors
/// `E0601` when the file cannot be read or is broken, `E0603` when a field is missing or has another shape or the rows do
/// not fit, `E0604` when values are not what the field's kind allows.
pub fn load(source: &DataSource, fields: &[FieldSpec]) -> Result<Dataset, Diagnostics> {
    load_reviewed(source, fields, &[], &mut |_| Ok(Vec::new())).map(|(dataset, _)| dataset)
}

/// What a dataset's reader says of it when all of it was read.
pub type Review<'r> = dyn FnMut(&Dataset) -> Result<Vec<Flaw>, Diagnostics> + 'r;

/// [`load`], and then what `review` says of the dataset, with the places in the file. Gives warnings beside the dataset. `fed` are fields
/// that the dataset has besides, one value for all rows each.
///
/// # Errors
/// Those of [`load`] and of `review`, and every flaw that is an error.
pub fn load_reviewed(
    source: &DataSource,
    fields: &[FieldSpec],
    fed: &[(String, Field)],
    review: &mut Review<'_>,
) -> Result<(Dataset, Vec<Diagnostic>), Diagnostics> {
    let locator = Locator { source };
    let mut loading = Loading::new(locator, fed);
    if let Err(diagnostic) = loading.read(fields) {
        loading.diagnostics.push(diagnostic);
    }
    loading.reviewed(review)
}

/// Checks by its header alone whether a file holds the wanted fields. Gives the number of its rows that would be taken, where the
/// header says it: that of a table does not.
///
/// # Errors
/// `E0601` and `E0603`, as [`load`].
pub fn check_header(source: &DataSource, fields: &[FieldSpec]) -> Result<Option<usize>, Diagnostics> {
    let locator = Locator { source };
    let mut found = Vec::new();
    let rows = rows_by_header(locator, fields, &mut found);
    match rows {
        Ok(rows) if found.is_empty() => Ok(rows),
        Ok(_) => Err(Diagnostics(found)),
        Err(finding) => {
            found.push(finding);
            Err(Diagnostics(found))
        }
    }
}

fn rows_by_header(
    locator: Locator<'_>,
    fields: &[FieldSpec],
    found: &mut Vec<Diagnostic>,
) -> Result<Option<usize>, Diagnostic> {
    let (format, file, len) = locator.open()?;
    if format == Format::Csv {
        locator.columns(&locator.table(file)?.header, fields, found);
        let picked = locator.source.picked.as_ref().map(|picked| picked.len());
        let range = locator.source.rows.filter(|(_, stop)| *stop != usize::MAX).map(|(first, stop)| stop - first);
        return Ok(picked.or(range));
    }
    let lone = fields.first().map(|field| field.name.as_str());
    let mut file = ArrayFile::open(format, file, len, lone).map_err(|error| locator.broken(error))?;
    let (_, (first, stop)) = locator.arrays(&mut file, fields, found)?;
    Ok(Some(locator.picked(first, stop).map_or(stop - first, |picked| picked.len())))
}

/// Where the values of a field stand in the file.
pub(super) enum Places {
    /// in arrays, whose first row that is taken is this one, or of which these rows are taken
    Rows { first: usize, picked: Option<Rc<[u32]>>, shape: Vec<usize> },
    /// in no file
    Fed,
    /// in a table, in these columns, a line for each row, which is said so
    Cells { columns: Vec<String>, lines: Rc<Vec<u64>>, is_of_lines: bool },
}

impl Places {
    fn of(&self, at: usize) -> String {
        match self {
            Self::Fed => format!("element {at} of what is fed"),
            Self::Rows { first, picked, shape } => {
                let row_len = shape.iter().product::<usize>().max(1);
                let picked = picked.as_ref().and_then(|picked| picked.get(at / row_len));
                let row = picked.map_or(first + at / row_len, |row| *row as usize);
                element_place(row, at % row_len, shape)
            }
            Self::Cells { columns, lines, is_of_lines } => {
                let (row, column) = (at / columns.len().max(1), at % columns.len().max(1));
                let line = lines.get(row).copied().unwrap_or(0);
                let noun = if *is_of_lines { "line" } else { "row" };
                format!("{noun} {line}, column `{}`", columns.get(column).map_or("", String::as_str))
            }
        }
    }
}

/// The rows that are picked, of values that begin with the file's row `first`.
pub(super) fn picked_of(picked: &Option<Rc<[u32]>>, first: usize, row_len: usize, values: Numbers) -> Numbers {
    match picked {
        None => values,
        Some(picked) => values.rows(picked.iter().map(|row| *row as usize - first), row_len),
    }
}

/// The work on some rows of a file: what is read and what is wrong so far.
pub(super) struct Loading<'a> {
    locator: Locator<'a>,
    pub dataset: Dataset,
    places: IndexMap<String, Places>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Loading<'a> {
    /// `fed` are fields that are in no file.
    pub(super) fn new(locator: Locator<'a>, fed: &[(String, Field)]) -> Self {
        let mut dataset = Dataset::default();
        dataset.fields.extend(fed.iter().cloned());
        let places = fed.iter().map(|(name, _)| (name.clone(), Places::Fed)).collect();
        Self { locator, dataset, places, diagnostics: Vec::new() }
    }

    /// The dataset, when nothing is wrong with it, and what there is to know of it.
    pub(super) fn reviewed(mut self, review: &mut Review<'_>) -> Result<(Dataset, Vec<Diagnostic>), Diagnostics> {
        if !self.diagnostics.is_empty() {
            return Err(Diagnostics(self.diagnostics));
        }
        let flaws = review(&self.dataset)?;
        let findings: Vec<Diagnostic> = flaws.into_iter().map(|flaw| self.found(flaw)).collect();
        if findings.iter().any(Diagnostic::is_error) {
            return Err(Diagnostics(findings));
        }
        Ok((std::mem::take(&mut self.dataset), findings))
    }

    /// A flaw that was found when all was read.
    fn found(&self, flaw: Flaw) -> Diagnostic {
        let places = self.places.get(&flaw.field);
        let place = |at: usize| places.map_or_else(String::new, |places| places.of(at));
        let finding = flaw.finding(&self.dataset, place).with_note(format!("file: {}", self.locator.file()));
        match self.locator.source.span {
            Some(span) => finding.with_label(span, "and read from this file"),
            None => finding,
        }
    }

    fn read(&mut self, fields: &[FieldSpec]) -> Result<(), Diagnostic> {
        let (format, file, len) = self.locator.open()?;
        if format == Format::Csv {
            return self.read_csv(file, fields);
        }
        let lone = fields.first().map(|field| field.name.as_str());
        let file = ArrayFile::open(format, file, len, lone).map_err(|error| self.locator.broken(error))?;
        self.read_arrays(file, fields)
    }

    fn read_arrays(&mut self, mut file: ArrayFile, fields: &[FieldSpec]) -> Result<(), Diagnostic> {
        let (located, (start, stop)) = self.locator.arrays(&mut file, fields, &mut self.diagnostics)?;
        let picked = self.locator.picked(start, stop);
        self.dataset.rows = picked.as_ref().map_or(stop - start, |picked| picked.len());
        for array in located {
            let rows = (!array.is_once).then_some((start, stop));
            match file.read(array.index, rows) {
                Ok(values) if array.is_once => self.keep_rows(array.spec, array.shape, 0, None, values),
                Ok(values) => {
                    let values = picked_of(&picked, start, array.shape.iter().product(), values);
                    self.keep_rows(array.spec, array.shape, start, picked.clone(), values);
                }
                Err(error) => self.diagnostics.push(self.locator.broken_array(array.spec, error)),
            }
        }
        Ok(())
    }

    /// Takes values of an array whose first row is the file's row `first`, or of those of its rows that were picked.
    pub(super) fn keep_rows(
        &mut self,
        spec: &FieldSpec,
        shape: Vec<usize>,
        first: usize,
        picked: Option<Rc<[u32]>>,
        values: Numbers,
    ) {
        let places = Places::Rows { first, picked, shape: shape.clone() };
        self.keep_looked_up(spec, shape, places, values);
    }

    /// Takes values that an array holds; a field whose columns are of a kind has their numbers looked up.
    fn keep_looked_up(&mut self, spec: &FieldSpec, shape: Vec<usize>, places: Places, values: Numbers) {
        match self.locator.looked_up(spec, values, &|at| places.of(at)) {
            Ok(values) => self.keep(spec, shape, places, values),
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn keep(&mut self, spec: &FieldSpec, shape: Vec<usize>, places: Places, values: Numbers) {
        match check::convert(values, spec, self.locator.source, &|at| places.of(at)) {
            Ok(values) => {
                self.places.insert(spec.name.clone(), places);
                self.dataset.fields.insert(spec.name.clone(), Field { shape, values });
            }
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn read_csv(&mut self, file: std::fs::File, fields: &[FieldSpec]) -> Result<(), Diagnostic> {
        let mut table = self.locator.table(file)?;
        let located = self.locator.columns(&table.header, fields, &mut self.diagnostics);
        let groups: Vec<csv::Group> = located.iter().map(|field| self.locator.group(field)).collect();
        let rows = table
            .read(&groups, self.locator.source.rows)
            .map_err(|reason| self.locator.broken(NpyError::Broken(reason)))?;
        self.locator.range(rows.total)?;
        let kinds: Vec<(&FieldSpec, &[usize])> =
            located.iter().map(|field| (field.spec, field.shape.as_slice())).collect();
        self.keep_cells(&kinds, &groups, &table.header, rows);
        Ok(())
    }

    /// Takes rows of a table; `fields` are those of the groups of columns.
    pub(super) fn keep_cells(
        &mut self,
        fields: &[(&FieldSpec, &[usize])],
        groups: &[csv::Group],
        header: &[String],
        rows: csv::Rows,
    ) {
        self.dataset.rows = rows.lines.len();
        let lines = Rc::new(rows.lines);
        for (((spec, shape), group), block) in fields.iter().zip(groups).zip(rows.blocks) {
            if block.bad_cell_count > 0 {
                self.diagnostics.push(self.locator.bad_cells(spec, header, group, &block));
                continue;
            }
            let columns = group.columns.iter().map(|column| header[*column].clone()).collect();
            let is_of_lines = self.locator.is_of_lines();
            let places = Places::Cells { columns, lines: Rc::clone(&lines), is_of_lines };
            self.keep(spec, shape.to_vec(), places, Numbers::F64(block.values));
        }
    }
}
