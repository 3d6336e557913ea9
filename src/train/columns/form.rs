//! What a run config says of the columns of a field.

use crate::data::{CellForm, ColumnSpec, DateUnit, Fill, Kind, Unknown};
use crate::diag::Span;

/// The columns of a field, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldColumns {
    pub parts: Vec<ColumnPart>,
    /// Where the config says so; none of what was worked out.
    pub span: Option<Span>,
}

/// Columns that are treated alike.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnPart {
    /// The names of the columns, of which there is one at least.
    pub from: Vec<ColumnSpec>,
    /// Worked out from the training rows where it is not said.
    pub kind: Option<Kind>,
    /// What is told of a date: a number each.
    pub units: Vec<DateUnit>,
    /// The values of a category; those of the training rows where they are not said.
    pub values: Vec<String>,
    pub unknown: Unknown,
    /// What a missing value is written as, besides an empty cell.
    pub missing: Vec<String>,
    pub scale: Scale,
    /// Whether `log(1 + x)` is taken before it is scaled.
    pub log1p: bool,
    pub impute: Option<Impute>,
    /// Whether a further number says that the value was missing; of a category, an id of its own.
    pub indicator: bool,
    pub encode: Option<Encode>,
    /// The weight of a row of each value, where that is told.
    pub weights: Vec<f64>,
}

/// How numbers are scaled, by figures of the training rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    None,
    /// the mean becomes 0 and the standard deviation (of the population) 1
    Standard,
    /// the least becomes 0 and the largest 1
    MinMax,
    /// the median becomes 0 and the distance of the quartiles 1
    Robust,
}

impl Scale {
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("standard", Self::Standard), ("minmax", Self::MinMax), ("robust", Self::Robust)];
}

/// What stands for a missing value.
#[derive(Clone, Debug, PartialEq)]
pub enum Impute {
    Mean,
    Median,
    MostFrequent,
    Value(String),
}

impl Impute {
    /// The names of those that are worked out.
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("mean", Self::Mean), ("median", Self::Median), ("most-frequent", Self::MostFrequent)];
}

/// How the ids of a category are given to the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encode {
    OneHot,
    Ids,
    /// The weight of a row by its value, such that all values weigh the same together.
    Balanced,
}

impl Encode {
    pub const NAMES: &'static [(&'static str, Self)] =
        &[("one-hot", Self::OneHot), ("ids", Self::Ids), ("balanced", Self::Balanced)];
}

/// The name of a value in a table of names.
pub(crate) fn name_of<T: PartialEq>(names: &[(&'static str, T)], value: &T) -> Option<&'static str> {
    names.iter().find(|(_, named)| named == value).map(|(name, _)| *name)
}

impl FieldColumns {
    /// The names of all columns, one for each number that is read of a row.
    pub fn names(&self) -> Vec<String> {
        self.parts.iter().flat_map(ColumnPart::columns).map(|(name, _)| name).collect()
    }

    /// How the cells of each column are read, as far as it is known.
    pub fn forms(&self) -> Vec<CellForm> {
        // Where the graph fills one column, it would take a missing cell of another for a number.
        let some_filled = self.parts.iter().any(ColumnPart::is_filled);
        let form =
            |part: &ColumnPart, unit| CellForm { is_required: some_filled && !part.is_filled(), ..part.form(unit) };
        self.parts.iter().flat_map(|part| part.columns().map(move |(_, unit)| form(part, unit))).collect()
    }

    /// Whether all is said that a reader of cells needs.
    pub fn is_resolved(&self) -> bool {
        self.parts.iter().all(|part| match part.kind {
            None => false,
            _ if part.encode == Some(Encode::Balanced) && part.weights.is_empty() => false,
            Some(Kind::Category) => !part.values.is_empty() && !matches!(part.impute, Some(Impute::MostFrequent)),
            Some(_) => true,
        })
    }
}

impl ColumnPart {
    /// Columns that hold numbers.
    pub fn plain(from: ColumnSpec) -> Self {
        Self { from: vec![from], ..Self::default() }
    }

    /// Whether something stands for its missing values.
    fn is_filled(&self) -> bool {
        self.impute.is_some() || self.indicator
    }

    /// Each column, and what of it is told where it is a date: a number of the data each.
    pub fn columns(&self) -> impl Iterator<Item = (String, DateUnit)> + '_ {
        let units: &[DateUnit] = if self.units.is_empty() { &[DateUnit::Days] } else { &self.units };
        self.from
            .iter()
            .flat_map(ColumnSpec::names)
            .flat_map(|name| units.iter().map(move |unit| (name.clone(), *unit)))
    }

    /// How a cell is read.
    pub fn form(&self, unit: DateUnit) -> CellForm {
        let kind = self.kind.unwrap_or_default();
        let is_category = kind == Kind::Category;
        let fill = match (&self.impute, self.indicator) {
            (_, true) => is_category.then_some(Fill::OwnId),
            (Some(Impute::Value(value)), false) => Some(Fill::Value(value.clone())),
            _ => None,
        };
        CellForm {
            kind,
            unit: if kind == Kind::Date { unit } else { DateUnit::default() },
            values: if is_category { self.values.clone() } else { Vec::new() },
            weights: self.weights.clone(),
            unknown: self.unknown,
            missing: self.missing.clone(),
            fill,
            is_required: false,
        }
    }

    /// Whether something must be worked out from the training rows.
    pub fn needs_figures(&self) -> bool {
        self.kind.is_none()
            || self.scale != Scale::None
            || self.impute.is_some()
            || (self.kind == Some(Kind::Category) && self.values.is_empty())
            || (self.encode == Some(Encode::Balanced) && self.weights.is_empty())
    }
}
