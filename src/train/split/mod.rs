//! The rows of one file as training, validation and test rows.
//!
//! A [`Split`] is what a config says; [`make_split`] reads how many rows there are, and the column that the split goes by, and gives each
//! part of the data its rows. They depend on the file, the seed and the split alone.

mod assign;

use super::config::RunConfig;
use crate::data::{Blocks, DataSource, FieldSpec, KeptValues, check_header, is_table};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use assign::{Assigned, by_groups, by_shares, folds, in_order};

/// How the rows of a file are parted.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// All of the rows.
    pub source: DataSource,
    pub parting: Parting,
    pub by: By,
    pub seed: u64,
    pub span: Option<Span>,
}

/// Into which parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Parting {
    /// The shares of training, validation and test rows.
    Shares([f64; 3]),
    /// So many parts, of which each is the test rows of a run whose training rows are the others.
    Folds { count: u32, fold: Option<u32> },
}

/// What decides where a row goes, by the name of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    Chance,
    /// Each part has of each value as large a share as of all.
    Stratify(String),
    /// Rows of one value stay together.
    Group(String),
    /// The first go to training, the last to the test.
    Time(String),
}

/// Makes one of a column's name.
pub type ByColumn = fn(String) -> By;

impl By {
    /// The keys of a config, with what each makes of a column.
    pub const KEYS: &'static [(&'static str, ByColumn)] =
        &[("stratify", Self::Stratify), ("group", Self::Group), ("time", Self::Time)];

    /// As the config has it.
    pub fn key(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Chance => None,
            Self::Stratify(column) => Some(("stratify", column)),
            Self::Group(column) => Some(("group", column)),
            Self::Time(column) => Some(("time", column)),
        }
    }
}

/// Gives the parts of the data their rows, where one file is split into them. `specs` are fields that are read, by which the rows
/// of arrays are counted.
///
/// # Errors
/// E0601 when the file cannot be read, E0602 when the run is of all folds, E0603 when a part has no rows or there is no such column.
pub fn make_split(config: &mut RunConfig, specs: &[FieldSpec]) -> Result<(), Diagnostics> {
    let Some(split) = &config.split else { return Ok(()) };
    let assigned = assigned(split, specs)?;
    let parts = [("train", &mut config.train), ("validation", &mut config.validation), ("test", &mut config.test)];
    for ((name, part), rows) in parts.into_iter().zip(assigned) {
        let Some(source) = part else { continue };
        if rows.is_empty() {
            let finding = Diagnostic::error(Code::E0603, format!("the split leaves no rows for `{name}`"));
            return Err(split.span.map_or(finding.clone(), |span| finding.at(span, "this split")).into());
        }
        source.picked = Some(rows.into());
    }
    Ok(())
}

fn assigned(split: &Split, specs: &[FieldSpec]) -> Result<Assigned, Diagnostics> {
    let column = split.by.key().map(|(_, column)| column.to_string());
    let (values, n_rows) = match &column {
        Some(column) => {
            let values = values_of(&split.source, column)?;
            let n_rows = values.len();
            (values, n_rows)
        }
        None => (Vec::new(), count_rows(&split.source, specs)?),
    };
    let shares = match split.parting {
        Parting::Shares(shares) => shares,
        Parting::Folds { count, fold } => {
            let assigned = folds(count, fold.unwrap_or(0), &split.by, &values, n_rows, split.seed);
            return Ok(behind(split, assigned));
        }
    };
    let assigned = match split.by {
        By::Chance => by_shares(&shares, &vec![""; n_rows], split.seed),
        By::Stratify(_) => by_shares(&shares, &texts(&values), split.seed),
        By::Group(_) => by_groups(&shares, &texts(&values), split.seed),
        By::Time(_) => in_order(&shares, &values),
    };
    Ok(behind(split, assigned))
}

/// The rows as the file counts them.
fn behind(split: &Split, assigned: Assigned) -> Assigned {
    let first = split.source.rows.map_or(0, |(first, _)| first) as u32;
    assigned.map(|rows| rows.into_iter().map(|row| first + row).collect())
}

fn texts(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

/// The values of a column, row by row.
fn values_of(source: &DataSource, column: &str) -> Result<Vec<String>, Diagnostics> {
    let mut blocks = Blocks::open(source, &[], &[], &[column.to_string()], None)?;
    let Some(block) = blocks.next_block(&mut |_| Ok(Vec::new()))? else { return Ok(Vec::new()) };
    let values = block.kept.into_iter().next();
    Ok(match values {
        None => Vec::new(),
        Some(KeptValues::Int(values)) => values.iter().map(ToString::to_string).collect(),
        Some(KeptValues::Float(values)) => values.iter().map(ToString::to_string).collect(),
        Some(KeptValues::Text(values)) => values,
    })
}

fn count_rows(source: &DataSource, specs: &[FieldSpec]) -> Result<usize, Diagnostics> {
    if !is_table(&source.path) {
        return Ok(check_header(source, specs)?.unwrap_or(0));
    }
    let mut blocks = Blocks::open(source, &[], &[], &[], None)?;
    Ok(blocks.next_block(&mut |_| Ok(Vec::new()))?.map_or(0, |block| block.data.rows))
}

impl Split {
    /// How many folds there are, where the run is of all of them.
    pub fn all_folds(&self) -> Option<u32> {
        match self.parting {
            Parting::Folds { count, fold: None } => Some(count),
            _ => None,
        }
    }
}
