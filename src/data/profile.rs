//! What the columns of some rows hold: how many cells are missing, numbers or texts, which values there are, the figures of numbers.
//!
//! [`profile`] reads the columns of a table as texts, once; [`profile_array`] the rows of an array. Who fits something to training rows
//! reads from here what a kind, a vocabulary or a scale is worked out of.

use super::cells::{CellForm, CellReader, Kind, boolean_of};
use super::load::load;
use super::locate::{Format, Locator};
use super::npy::NpyError;
use super::{DataSource, FieldKind, FieldSpec};
use crate::diag::{Diagnostic, Diagnostics};
use indexmap::IndexMap;

/// Columns of more values than this are not listed.
const MOST_VALUES: usize = 1 << 16;

/// Rows that are read at once.
const BLOCK_ROWS: usize = 1 << 14;

/// The figures of some numbers. The mean and the squares follow Welford, "Note on a Method for Calculating Corrected Sums of Squares and
/// Products" (1962).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    pub count: usize,
    pub mean: f64,
    /// the sum of squared distances from the mean
    pub squares: f64,
    pub least: f64,
    pub most: f64,
}

impl Default for Figures {
    fn default() -> Self {
        Self { count: 0, mean: 0.0, squares: 0.0, least: f64::INFINITY, most: f64::NEG_INFINITY }
    }
}

impl Figures {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        let before = value - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (value - self.mean);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
    }

    /// The standard deviation of the population.
    pub fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() }
    }
}

/// A column that is looked at.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub column: String,
    /// How its cells are read, where that is known. A category's values are counted as they stand.
    pub form: Option<CellForm>,
    /// What a missing value is written as besides.
    pub missing: Vec<String>,
    /// Whether all its numbers are kept, in order of size.
    pub keeps_numbers: bool,
}

/// What a column holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    pub column: String,
    pub rows: usize,
    pub missing: usize,
    /// cells that read as numbers, and those of them that are whole
    pub numbers: usize,
    pub whole: usize,
    /// cells that are words for true or false
    pub booleans: usize,
    /// Each value with the number of its rows, in order of its first row; none where there are too many.
    pub values: Option<IndexMap<String, usize>>,
    pub figures: Figures,
    /// The numbers in order of size, where they were wanted.
    pub sorted: Vec<f64>,
    /// What would say that a number is missing, while it is not known whether the column has numbers.
    marks: IndexMap<String, usize>,
}

impl Profile {
    /// Of numbers in order of size.
    pub fn of_sorted(sorted: Vec<f64>) -> Self {
        let mut figures = Figures::default();
        sorted.iter().for_each(|value| figures.add(*value));
        Self { figures, sorted, ..Self::default() }
    }

    fn new(column: &str) -> Self {
        Self { column: column.to_string(), values: Some(IndexMap::new()), ..Self::default() }
    }

    /// Cells that hold something.
    pub fn present(&self) -> usize {
        self.rows - self.missing
    }

    /// The kind that its cells are of: a category only where no cell is a number.
    pub fn kind(&self) -> Kind {
        match self.present() {
            0 => Kind::Number,
            present if self.numbers == present && self.whole == present => Kind::Whole,
            present if self.booleans == present => Kind::Boolean,
            _ if self.numbers == 0 => Kind::Category,
            _ => Kind::Number,
        }
    }

    /// The values in the order of their ids: by size where all are numbers, else by their letters.
    pub fn vocabulary(&self) -> Option<Vec<String>> {
        let mut values: Vec<String> = self.values.as_ref()?.keys().cloned().collect();
        let number = |value: &String| value.parse::<f64>().ok().filter(|number| number.is_finite());
        if values.iter().all(|value| number(value).is_some()) {
            let key = |value: &String| number(value).unwrap_or(0.0);
            values.sort_by(|a, b| key(a).total_cmp(&key(b)).then_with(|| a.cmp(b)));
        } else {
            values.sort();
        }
        Some(values)
    }

    /// The value that most rows have; of several the first by [`Profile::vocabulary`].
    pub fn most_frequent(&self) -> Option<String> {
        let (values, counts) = (self.vocabulary()?, self.values.as_ref()?);
        let count = |value: &String| counts.get(value).copied().unwrap_or(0);
        let most = values.iter().map(count).max()?;
        values.into_iter().find(|value| count(value) == most)
    }

    /// The value below which this part of the numbers lies, between two of them in proportion. They must have been wanted.
    pub fn quantile(&self, part: f64) -> f64 {
        let Some(last) = self.sorted.len().checked_sub(1) else { return 0.0 };
        let at = part * last as f64;
        let (below, above) = (self.sorted[at.floor() as usize], self.sorted[at.ceil() as usize]);
        below + (above - below) * at.fract()
    }

    fn add_value(&mut self, text: &str) {
        let Some(values) = &mut self.values else { return };
        if let Some(count) = values.get_mut(text) {
            *count += 1;
        } else if values.len() < MOST_VALUES {
            values.insert(text.to_string(), 1);
        } else {
            self.values = None;
        }
    }

    fn add_number(&mut self, value: f64, keeps: bool) {
        if value.is_finite() {
            self.figures.add(value);
            if keeps {
                self.sorted.push(value);
            }
        }
    }

    fn add_cell(&mut self, cell: &str, wanted: &Wanted, reader: Option<&CellReader>) {
        self.rows += 1;
        let form = match reader {
            Some(reader) => &reader.form,
            None => &CellForm { missing: wanted.missing.clone(), ..CellForm::default() },
        };
        if form.is_missing(cell) {
            self.missing += 1;
            if reader.is_none() && !cell.is_empty() && !form.missing.iter().any(|mark| mark == cell) {
                *self.marks.entry(cell.to_string()).or_insert(0) += 1;
            }
            return;
        }
        self.add_value(cell);
        let number = cell.parse::<f64>().ok();
        self.numbers += usize::from(number.is_some());
        self.whole += usize::from(number.is_some_and(|number| number.fract() == 0.0));
        self.booleans += usize::from(boolean_of(cell).is_some());
        let value = match reader {
            Some(reader) if reader.form.kind != Kind::Category => reader.read(cell).ok(),
            _ => number,
        };
        if let Some(value) = value {
            self.add_number(value, wanted.keeps_numbers);
        }
    }

    fn finish(mut self) -> Self {
        let marks = std::mem::take(&mut self.marks);
        if self.kind() == Kind::Category
            && let Some(values) = &mut self.values
        {
            // Among texts such a mark may be one of them.
            self.missing -= marks.values().sum::<usize>();
            values.extend(marks);
        }
        self.sorted.sort_by(f64::total_cmp);
        self
    }
}

/// Looks at columns of a table, in its rows that are taken, of at most so many. None for a column that the table has not.
///
/// # Errors
/// `E0601` when the file cannot be read or is broken.
pub fn profile(source: &DataSource, wanted: &[Wanted], most_rows: usize) -> Result<Vec<Option<Profile>>, Diagnostic> {
    let locator = Locator { source };
    let (format, file, _) = locator.open()?;
    if format != Format::Csv {
        return Ok(vec![None; wanted.len()]);
    }
    let mut table = locator.table(file)?;
    let place = |wanted: &Wanted| table.header.iter().position(|name| *name == wanted.column);
    let places: Vec<Option<usize>> = wanted.iter().map(place).collect();
    let texts: Vec<usize> = places.iter().flatten().copied().collect();
    let readers: Vec<Option<CellReader>> =
        wanted.iter().map(|wanted| wanted.form.as_ref().map(CellReader::new)).collect();
    let mut profiles: Vec<Profile> = wanted.iter().map(|wanted| Profile::new(&wanted.column)).collect();
    let mut left = most_rows;
    while left > 0 {
        let rows = table.read_block(&[], &texts, source.rows, left.min(BLOCK_ROWS));
        let rows = rows.map_err(|reason| locator.broken(NpyError::Broken(reason)))?;
        if rows.lines.is_empty() {
            break;
        }
        left -= rows.lines.len();
        let located = (0..wanted.len()).filter(|at| places[*at].is_some());
        for (at, cells) in located.zip(&rows.texts) {
            for cell in cells {
                profiles[at].add_cell(cell, &wanted[at], readers[at].as_ref());
            }
        }
    }
    let found = profiles.into_iter().zip(places).map(|(profile, place)| place.map(|_| profile.finish()));
    Ok(found.collect())
}

/// Looks at the array of a field: each number of a row is a column, as `wanted` has them.
///
/// # Errors
/// Those of [`load`].
pub fn profile_array(
    source: &DataSource,
    field: &FieldSpec,
    wanted: &[Wanted],
) -> Result<Vec<Option<Profile>>, Diagnostics> {
    let spec = FieldSpec { kind: FieldKind::Float, optional: true, largest: f64::INFINITY, ..field.clone() };
    let source = DataSource { forms: IndexMap::new(), ..source.clone() };
    let data = load(&source, std::slice::from_ref(&spec))?;
    let Some(field) = data.fields.get(&spec.name) else { return Ok(vec![None; wanted.len()]) };
    if field.row_len() != wanted.len() {
        return Ok(vec![None; wanted.len()]);
    }
    let mut profiles: Vec<Profile> = wanted.iter().map(|wanted| Profile::new(&wanted.column)).collect();
    for at in 0..field.values.len() {
        let (value, column) = (field.values.get(at), at % wanted.len());
        let text = if value.is_nan() { String::new() } else { format!("{value}") };
        profiles[column].add_cell(&text, &wanted[column], None);
    }
    Ok(profiles.into_iter().map(|profile| Some(profile.finish())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[&str]) -> Profile {
        let mut profile = Profile::new("a");
        let wanted = Wanted { keeps_numbers: true, ..Wanted::default() };
        cells.iter().for_each(|cell| profile.add_cell(cell, &wanted, None));
        profile.finish()
    }

    #[test]
    fn kinds_are_worked_out() {
        let kinds = [
            (&["1", "2", ""][..], Kind::Whole),
            (&["1.5", "2", "NA"], Kind::Number),
            (&["True", "False"], Kind::Boolean),
            (&["yes", "no", "yes"], Kind::Boolean),
            (&["red", "blue"], Kind::Category),
            (&["1", "red"], Kind::Number),
            (&["", "NA"], Kind::Number),
        ];
        for (cells, kind) in kinds {
            assert_eq!(of(cells).kind(), kind, "{cells:?}");
        }
    }

    #[test]
    fn figures_are_those_of_numpy() {
        let profile = of(&["3", "1", "", "4", "1", "5"]);
        assert_eq!((profile.rows, profile.missing, profile.figures.mean), (6, 1, 2.8));
        assert!((profile.figures.deviation() - 1.6).abs() < 1e-12);
        // numpy.quantile([1, 1, 3, 4, 5], [0.25, 0.5, 0.75])
        assert_eq!([0.25, 0.5, 0.75].map(|part| profile.quantile(part)), [1.0, 3.0, 4.0]);
        assert_eq!(of(&["1", "2", "4", "8"]).quantile(0.3), 1.9);
        assert_eq!(profile.most_frequent().as_deref(), Some("1"));
        assert_eq!(of(&["10", "9", "1.5"]).vocabulary().unwrap(), ["1.5", "9", "10"]);
        assert_eq!(of(&["b", "10", "a"]).vocabulary().unwrap(), ["10", "a", "b"]);
    }
}
