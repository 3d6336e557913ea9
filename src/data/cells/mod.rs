//! How the cells of a column become numbers: what kind of values they are, the vocabulary of a category, what stands for a
//! value that is missing.
//!
//! A [`CellForm`] is what a run knows of a column. It is kept with the run, so that a prediction reads a table as the training
//! did. [`CellReader`] reads cells by it.

mod date;

use super::check::place_of;
use super::{DataSource, FieldSpec};
use crate::diag::{Code, Diagnostic};
pub use date::DateUnit;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// What the values of a column are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    #[default]
    Number,
    /// a number without a fraction
    Whole,
    /// `true` or `false`, `yes` or `no`, 1 or 0
    Boolean,
    /// one of some texts: each has an id
    Category,
    /// a day, or a day and a time
    Date,
}

impl Kind {
    /// The names by which configs know them.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("number", Self::Number),
        ("whole", Self::Whole),
        ("boolean", Self::Boolean),
        ("category", Self::Category),
        ("date", Self::Date),
    ];

    pub fn as_str(self) -> &'static str {
        Self::NAMES.iter().find(|(_, kind)| *kind == self).map_or("number", |(name, _)| name)
    }
}

/// What becomes of a cell that is none of a category's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// it is refused
    #[default]
    Error,
    /// it has the id behind those of the values
    OwnId,
}

impl Unknown {
    pub const NAMES: &'static [(&'static str, Self)] = &[("error", Self::Error), ("own-id", Self::OwnId)];
}

/// What stands for a missing cell of a category or a boolean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// this value
    Value(String),
    /// the last id, which nothing else has
    OwnId,
}

/// How the cells of a column are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CellForm {
    pub kind: Kind,
    /// what of a date is told
    #[serde(skip_serializing_if = "is_default")]
    pub unit: DateUnit,
    /// those of a category; an id is a place among them
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// What is told of each id in its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<f64>,
    #[serde(skip_serializing_if = "is_default")]
    pub unknown: Unknown,
    /// what a missing value is written as, besides an empty cell
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// whether a missing cell is refused, though the field has others that may be missing
    #[serde(skip_serializing_if = "is_default")]
    pub is_required: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl CellForm {
    /// How many ids a category has.
    pub fn n_ids(&self) -> usize {
        self.values.len() + usize::from(self.unknown == Unknown::OwnId) + usize::from(self.fill == Some(Fill::OwnId))
    }

    /// What each id stands for.
    pub fn labels(&self) -> Vec<String> {
        let unknown = (self.unknown == Unknown::OwnId).then(|| "unknown".to_string());
        let missing = (self.fill == Some(Fill::OwnId)).then(String::new);
        self.values.iter().cloned().chain(unknown).chain(missing).collect()
    }

    /// Whether a cell holds no value.
    pub fn is_missing(&self, cell: &str) -> bool {
        cell.is_empty()
            || self.missing.iter().any(|mark| mark == cell)
            || (self.kind != Kind::Category && is_missing_mark(cell))
    }
}

/// What tables have in the place of a number that is not there. In a column of texts each of these may be one of the texts.
pub(crate) fn is_missing_mark(cell: &str) -> bool {
    ["na", "n/a", "nan", "null"].iter().any(|mark| cell.eq_ignore_ascii_case(mark))
}

/// The truth value of a cell.
pub(crate) fn boolean_of(cell: &str) -> Option<f64> {
    let is = |words: &[&str]| words.iter().any(|word| cell.eq_ignore_ascii_case(word));
    match cell.parse::<f64>() {
        Ok(1.0) => Some(1.0),
        Ok(0.0) => Some(0.0),
        Ok(_) => None,
        Err(_) if is(&["true", "yes"]) => Some(1.0),
        Err(_) if is(&["false", "no"]) => Some(0.0),
        Err(_) => None,
    }
}

/// The number of a cell, or none where it is not taken.
pub(crate) fn read_cell(form: &CellForm, cell: &str) -> Option<f64> {
    CellReader::new(form).read(cell).ok()
}

/// Why a cell is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    NoNumber,
    Fraction,
    NoBoolean,
    NoDate,
    Unknown,
    Missing,
}

/// Reads cells by a form.
#[derive(Clone, Debug)]
pub(super) struct CellReader {
    pub form: CellForm,
    ids: IndexMap<String, u32>,
}

impl CellReader {
    pub fn new(form: &CellForm) -> Self {
        let ids = form.values.iter().enumerate().map(|(id, value)| (value.clone(), id as u32)).collect();
        Self { form: form.clone(), ids }
    }

    /// The number of a cell; NaN of one that is missing where nothing stands for it.
    pub fn read(&self, cell: &str) -> Result<f64, Refusal> {
        let form = &self.form;
        if !form.is_missing(cell) {
            return self.value(cell);
        }
        match &form.fill {
            Some(Fill::Value(value)) => self.value(value),
            Some(Fill::OwnId) => Ok(self.told(form.n_ids() - 1)),
            None if form.is_required => Err(Refusal::Missing),
            None => Ok(f64::NAN),
        }
    }

    fn told(&self, id: usize) -> f64 {
        self.form.weights.get(id).copied().unwrap_or(if self.form.weights.is_empty() { id as f64 } else { 1.0 })
    }

    fn value(&self, cell: &str) -> Result<f64, Refusal> {
        let number = || cell.parse::<f64>().map_err(|_| Refusal::NoNumber);
        match self.form.kind {
            Kind::Number => number(),
            Kind::Whole => {
                number().and_then(|value| if value.fract() == 0.0 { Ok(value) } else { Err(Refusal::Fraction) })
            }
            Kind::Boolean => boolean_of(cell).ok_or(Refusal::NoBoolean),
            Kind::Date => date::read(cell, self.form.unit).ok_or(Refusal::NoDate),
            Kind::Category => match (self.ids.get(cell), self.form.unknown) {
                (Some(id), _) => Ok(self.told(*id as usize)),
                (None, Unknown::OwnId) => Ok(self.told(self.form.values.len())),
                (None, Unknown::Error) => Err(Refusal::Unknown),
            },
        }
    }

    /// The number of a value that an array holds as a number already.
    pub fn read_number(&self, value: f64) -> Result<f64, Refusal> {
        match self.form.kind {
            _ if value.is_nan() => self.read(""),
            Kind::Number | Kind::Date => Ok(value),
            Kind::Category if value.fract() == 0.0 && value.abs() < 1e15 => self.read(&format!("{}", value as i64)),
            Kind::Whole | Kind::Boolean | Kind::Category => self.read(&format!("{value}")),
        }
    }
}

/// Cells that are not taken: how many, and where the first of them stand.
#[derive(Clone, Debug)]
pub(super) struct Refused<'r> {
    pub count: usize,
    /// `red at line 3, column a`, …
    pub places: Vec<String>,
    pub refusal: Refusal,
    pub form: &'r CellForm,
}

impl Refused<'_> {
    pub fn finding(&self, spec: &FieldSpec, source: &DataSource) -> Diagnostic {
        let (one, many, expected, help) = match self.refusal {
            Refusal::NoNumber => ("is no number", "are no numbers", "numbers".to_string(), None),
            Refusal::Fraction => {
                ("is no whole number", "are no whole numbers", "numbers without a fraction".into(), None)
            }
            Refusal::NoBoolean => ("is no boolean", "are no booleans", "true or false, yes or no, 1 or 0".into(), None),
            Refusal::NoDate => (
                "is no date",
                "are no dates",
                "a day as 2026-03-31, with or without a time as 2026-03-31T14:05:59".into(),
                None,
            ),
            Refusal::Unknown => (
                "is none of its categories",
                "are none of its categories",
                format!("one of {}", super::listed(self.form.values.iter())),
                Some("an unknown value gets an id of its own by `unknown: own-id` in the column's mapping"),
            ),
            Refusal::Missing => (
                "is missing",
                "are missing",
                "a value in every row of this column".into(),
                Some(
                    "say what stands for it in the column's mapping: `impute: mean`, `impute: most-frequent` or another",
                ),
            ),
        };
        let (noun, verb) = if self.count == 1 { ("cell", one) } else { ("cells", many) };
        let more = self.count.saturating_sub(self.places.len());
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let headline = format!("{} {noun} of `{}` in `{}` {verb}", self.count, spec.name, source.path.display());
        let mut finding = Diagnostic::error(Code::E0604, headline)
            .with_note(format!("found: {}{more}", self.places.join(", ")))
            .with_note(format!("expected: {expected}"));
        if let Some(help) = help {
            finding = finding.with_help(help);
        }
        place_of(finding, source, Some(spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(unknown: Unknown, fill: Option<Fill>) -> CellReader {
        let values = vec!["blue".to_string(), "red".to_string()];
        CellReader::new(&CellForm { kind: Kind::Category, values, unknown, fill, ..CellForm::default() })
    }

    #[test]
    fn a_category_is_a_place_among_its_values() {
        let reader = category(Unknown::Error, None);
        assert_eq!([reader.read("blue"), reader.read("red")], [Ok(0.0), Ok(1.0)]);
        assert_eq!([reader.read("green"), reader.read("NA"), reader.read("Red")], [Err(Refusal::Unknown); 3]);
        assert!(reader.read("").is_ok_and(f64::is_nan));
        let all = category(Unknown::OwnId, Some(Fill::OwnId));
        assert_eq!([all.read("green"), all.read("")], [Ok(2.0), Ok(3.0)]);
        assert_eq!((all.form.n_ids(), all.form.labels().len()), (4, 4));
        assert_eq!(category(Unknown::Error, Some(Fill::Value("red".into()))).read(""), Ok(1.0));
        let marked = CellForm { missing: vec!["NA".into()], is_required: true, ..reader.form };
        assert_eq!(CellReader::new(&marked).read("NA"), Err(Refusal::Missing));
    }

    #[test]
    fn each_kind_takes_what_is_of_it() {
        let read = |kind, cell: &str| CellReader::new(&CellForm { kind, ..CellForm::default() }).read(cell);
        for (cell, value) in [("true", 1.0), ("NO", 0.0), ("Yes", 1.0), ("0", 0.0), ("1.0", 1.0)] {
            assert_eq!(read(Kind::Boolean, cell), Ok(value), "{cell}");
        }
        assert_eq!(read(Kind::Boolean, "2"), Err(Refusal::NoBoolean));
        assert_eq!(read(Kind::Whole, "-3"), Ok(-3.0));
        assert_eq!(read(Kind::Whole, "2.5"), Err(Refusal::Fraction));
        assert_eq!(read(Kind::Number, "1,5"), Err(Refusal::NoNumber));
        for missing in ["", "NA", "n/a", "NaN", "null"] {
            assert!(read(Kind::Number, missing).is_ok_and(f64::is_nan), "{missing}");
        }
    }

    #[test]
    fn numbers_of_arrays_are_looked_up_as_texts() {
        let values = vec!["3".to_string(), "7".to_string()];
        let reader = CellReader::new(&CellForm { kind: Kind::Category, values, ..CellForm::default() });
        assert_eq!([reader.read_number(7.0), reader.read_number(3.0)], [Ok(1.0), Ok(0.0)]);
        assert_eq!([reader.read_number(4.0), reader.read_number(3.5)], [Err(Refusal::Unknown); 2]);
    }
}
