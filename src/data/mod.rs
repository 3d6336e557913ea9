//! Data files: tables (`.csv`, `.tsv`, `.jsonl`) and arrays (`.npz`, `.npy`, `.idx`, `.safetensors`), also packed (`.gz`), to named fields, checked against what a program asks for.
//!
//! `load` takes a [`DataSource`] (a file and how to read it) and the [`FieldSpec`]s of a program, and gives a
//! [`Dataset`] in which every wanted field is there with the wanted shape, one row count for all, finite floats (or
//! NaN where a field may be missing) and integers within `i32`. Nothing after it checks again. [`Batcher`] says in which
//! order the rows are visited; [`Field::fill_float`] and [`Field::fill_int`] gather them into the caller's buffers.
//!
//! Files are not trusted: no claimed size is believed before it is held against the file, and a broken file is a
//! [`Diagnostic`](crate::diag::Diagnostic), never a panic. [`params`] reads and writes named tensors (initial values,
//! checkpoints, predictions) under the same rule.
//!
//! Rows are the first axis of every array and are numbered from 0, as in `rows: 0..100` of a run config.

mod batch;
#[cfg(feature = "files")]
mod cells;
mod check;
#[cfg(feature = "files")]
mod csv;
#[cfg(feature = "files")]
pub(crate) mod files;
mod flaw;
#[cfg(feature = "files")]
mod load;
#[cfg(feature = "files")]
mod locate;
#[cfg(feature = "files")]
mod looked_up;
mod memory;
#[cfg(feature = "files")]
mod npy;
#[cfg(feature = "files")]
mod npz;
#[cfg(feature = "files")]
pub mod params;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "files")]
mod profile;
#[cfg(feature = "files")]
mod stream;
#[cfg(feature = "files")]
pub mod table;
#[cfg(feature = "files")]
mod unpack;
#[cfg(feature = "files")]
mod write;

#[cfg(feature = "files")]
use std::fs::File;
#[cfg(feature = "files")]
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::diag::Span;

pub(crate) use crate::diag::counted;
pub use crate::ir::MISSING_INT;
pub use batch::Batcher;
pub(crate) use batch::shuffled;
#[cfg(feature = "files")]
pub use cells::{CellForm, DateUnit, Fill, Kind, Unknown};
#[cfg(feature = "files")]
pub(crate) use cells::{is_missing_mark, read_cell};
#[cfg(feature = "files")]
pub use files::{Existing, check_output};
pub use flaw::Flaw;
pub(crate) use flaw::index_of;
#[cfg(feature = "files")]
pub use load::{Review, check_header, load, load_reviewed};
pub use memory::{NamedArray, from_memory, whole_fields};
#[cfg(feature = "files")]
pub use profile::{Figures, Profile, Wanted, profile, profile_array};
#[cfg(feature = "files")]
pub use stream::{Block, Blocks, Kept, KeptKind, KeptValues};
#[cfg(feature = "files")]
pub(crate) use write::safetensors_to;
#[cfg(feature = "files")]
pub use write::{NumbersRef, TensorRef, write_npz, write_npz_where, write_safetensors};

/// Whether the name of a data file says that it is a table, whose columns are single values.
#[cfg(feature = "files")]
pub fn is_table(path: &Path) -> bool {
    locate::Format::of(path).is_some_and(locate::Format::is_table)
}

/// The names of a file's columns or arrays, as [`DataSource::columns`] may name them; none of a `.npy` file.
///
/// # Errors
/// `E0601` when the file cannot be read.
#[cfg(feature = "files")]
pub fn names_in(path: &Path) -> Result<Vec<String>, crate::diag::Diagnostic> {
    locate::Locator { source: &DataSource::new(path) }.names().map(|(_, names)| names)
}

/// Named fields with one row count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    pub fields: IndexMap<String, Field>,
    pub rows: usize,
}

impl Dataset {
    /// What its numbers take of memory.
    pub fn bytes(&self) -> u64 {
        let size = |field: &Field| {
            let number = match field.values {
                Numbers::F32(_) | Numbers::I32(_) => 4,
                Numbers::F64(_) => 8,
            };
            (field.values.len() as u64).saturating_mul(number)
        };
        self.fields.values().map(size).fold(0, u64::saturating_add)
    }
}

/// One field: `rows` values of one shape each.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The shape of one row: the array's shape without the row axis.
    pub shape: Vec<usize>,
    /// All rows, row-major.
    pub values: Numbers,
}

/// Row-major numbers of one type, as files hold them.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
}

impl Numbers {
    pub fn len(&self) -> usize {
        match self {
            Numbers::F32(values) => values.len(),
            Numbers::F64(values) => values.len(),
            Numbers::I32(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type in the language's word.
    pub fn type_name(&self) -> &'static str {
        match self {
            Numbers::F32(_) => "f32",
            Numbers::F64(_) => "f64",
            Numbers::I32(_) => "i32",
        }
    }

    /// One value as f64, exactly.
    ///
    /// # Panics
    /// When `at` is not below [`Numbers::len`].
    pub fn get(&self, at: usize) -> f64 {
        match self {
            Numbers::F32(values) => f64::from(values[at]),
            Numbers::F64(values) => values[at],
            Numbers::I32(values) => f64::from(values[at]),
        }
    }

    /// Some rows of so many values each, in their order.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn rows(&self, rows: impl Iterator<Item = usize>, row_len: usize) -> Self {
        fn gather<N: Copy>(values: &[N], rows: impl Iterator<Item = usize>, row_len: usize) -> Vec<N> {
            rows.flat_map(|row| values[row * row_len..(row + 1) * row_len].iter().copied()).collect()
        }
        match self {
            Numbers::F32(values) => Numbers::F32(gather(values, rows, row_len)),
            Numbers::F64(values) => Numbers::F64(gather(values, rows, row_len)),
            Numbers::I32(values) => Numbers::I32(gather(values, rows, row_len)),
        }
    }
}

/// What kind of values a program reads from a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    Float,
    Int,
    /// 0 and 1.
    Bool,
}

/// What a program asks of one field: an `input` or a `target`.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldSpec {
    pub name: String,
    /// The shape of one row, or of the one value; `None` where the data decides.
    pub shape: Vec<Option<usize>>,
    pub kind: FieldKind,
    /// Whether values may be missing: an empty cell, NaN.
    pub optional: bool,
    /// Whether it is one value for all rows. Data holds it once, or in every row.
    pub whole: bool,
    /// The largest magnitude that floats may have, so that they are finite in the precision of the run.
    pub largest: f64,
    /// Where the spec declares it, for diagnostics.
    pub span: Option<Span>,
}

impl FieldSpec {
    /// A field that is not optional and is declared nowhere.
    pub fn new(name: impl Into<String>, shape: &[Option<usize>], kind: FieldKind) -> Self {
        Self {
            name: name.into(),
            shape: shape.to_vec(),
            kind,
            optional: false,
            whole: false,
            largest: f64::MAX,
            span: None,
        }
    }

    /// Whether a shape is that of one value of the field: of a row, or of all of them.
    pub fn is_one_value(&self, shape: &[usize]) -> bool {
        let fits = |(found, wanted): (&usize, &Option<usize>)| wanted.is_none_or(|wanted| wanted == *found);
        shape.len() == self.shape.len() && shape.iter().zip(&self.shape).all(fits)
    }

    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }
}

/// A data file and how to read it. The format follows from the name: see [`is_table`] and `docs/running.md`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DataSource {
    pub path: PathBuf,
    /// What stands before every field's name in the keys of an `.npz` file.
    pub prefix: Option<String>,
    /// The rows to take, first and one past the last, which is the largest number there is where they go to the end; all when absent.
    pub rows: Option<(usize, usize)>,
    /// Of those the rows that are taken, ascending; all when absent.
    pub picked: Option<Arc<[u32]>>,
    /// Field name to the column (or `.npz` key) that holds it. A field that is not here has its own name there.
    pub columns: IndexMap<String, ColumnSpec>,
    /// Field name to the forms by which its columns are read, in their order. A field that is not here has numbers.
    #[cfg(feature = "files")]
    pub forms: IndexMap<String, Vec<CellForm>>,
    /// Where the run config names the file, for diagnostics.
    pub span: Option<Span>,
    /// Whether `columns` come from the flag `--columns` and not from a run config, for diagnostics.
    pub by_flag: bool,
}

impl DataSource {
    /// All rows of a file, fields under their own names.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), ..Self::default() }
    }
}

/// The columns of one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnSpec {
    One(String),
    List(Vec<String>),
    /// `stem` followed by each number from `first` to `last`, both included; `width` is the least number of digits
    /// (`p00..p63` has width 2).
    Range {
        stem: String,
        first: u32,
        last: u32,
        width: usize,
    },
}

impl ColumnSpec {
    /// Reads `name` or `p0..p63`. `None` when it looks like a range and is none: the stems differ, a number is missing
    /// or the last is below the first.
    pub fn parse(text: &str) -> Option<Self> {
        let Some((from, to)) = text.split_once("..") else {
            return (!text.is_empty()).then(|| Self::One(text.to_owned()));
        };
        let (stem, first_digits) = split_suffix(from.trim())?;
        let (last_stem, last_digits) = split_suffix(to.trim())?;
        let (first, last) = (first_digits.parse().ok()?, last_digits.parse().ok()?);
        // A longer first number than the last one can only be padding, and padding pads both to one width.
        let padded = first_digits.len() > 1 && first_digits.starts_with('0');
        let width = if padded { first_digits.len() } else { 1 };
        (stem == last_stem && first <= last).then(|| Self::Range { stem: stem.to_owned(), first, last, width })
    }

    /// The names of the columns, in order.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::One(name) => vec![name.clone()],
            Self::List(names) => names.clone(),
            Self::Range { stem, first, last, width } => {
                (*first..=*last).map(|number| format!("{stem}{number:0width$}")).collect()
            }
        }
    }

    /// How many columns it names, without listing them.
    pub fn count(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::List(names) => names.len(),
            Self::Range { first, last, .. } => last.saturating_sub(*first) as usize + 1,
        }
    }
}

/// `p63` to `("p", "63")`; `None` without digits at the end.
fn split_suffix(name: &str) -> Option<(&str, &str)> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    (digits > 0).then(|| name.split_at(name.len() - digits))
}

/// Opens a regular file and gives its length. Anything else is refused before it is opened: opening a pipe would wait.
#[cfg(feature = "files")]
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, u64)> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// The first few names, for a note.
pub(crate) fn listed(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    const MOST: usize = 12;
    let names: Vec<_> = names.collect();
    let shown: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len() {
        0 => "none".into(),
        len if len > MOST => format!("{}, and {} more", shown.join(", "), len - MOST),
        _ => shown.join(", "),
    }
}

/// A shape as the language writes it: `[8, 8, 1]`.
pub(crate) fn shape_text(shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    format!("[{}]", dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_names_its_columns() {
        let names = |text: &str| ColumnSpec::parse(text).map(|spec| spec.names());
        assert_eq!(names("p0..p2"), Some(vec!["p0".into(), "p1".into(), "p2".into()]));
        assert_eq!(names("p08..p10"), Some(vec!["p08".into(), "p09".into(), "p10".into()]));
        assert_eq!(names("digit"), Some(vec!["digit".into()]));
        assert_eq!(ColumnSpec::parse("p0..p63").map(|spec| spec.count()), Some(64));
        for bad in ["", "p0..q3", "p3..p0", "p..p3", "p0..", "p0..p99999999999"] {
            assert_eq!(ColumnSpec::parse(bad), None, "{bad}");
        }
    }
}
