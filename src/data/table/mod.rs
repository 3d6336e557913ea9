//! Rows that are written as they come, in a format that the file's name says: `.npz`, `.csv`, `.jsonl` or `.parquet`.
//!
//! [`write_table`] opens a [`Sink`] for some [`Column`]s and lets its caller give blocks of rows; memory holds one block. The file
//! appears whole, when the last row is written, or not at all.

mod csv;
mod jsonl;
mod npz;
#[cfg(feature = "parquet")]
mod parquet;

use super::files::{Existing, cannot_write, write_whole};
use super::{Kept, KeptKind, KeptValues, Numbers, NumbersRef};
use crate::diag::{Diagnostic, Diagnostics};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind};
use std::path::Path;

/// A format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    Npz,
    Csv,
    Jsonl,
    /// where this is built with the feature `parquet`
    Parquet,
}

impl TableFormat {
    /// The format that a file's name says.
    ///
    /// # Errors
    /// E0605 for a name that says none, or one that this build does not write.
    pub fn of(path: &Path) -> Result<Self, Diagnostic> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let expected = match cfg!(feature = "parquet") {
            true => "expected: a name that ends in `.npz`, `.csv`, `.jsonl` or `.parquet`",
            false => "expected: a name that ends in `.npz`, `.csv` or `.jsonl`",
        };
        match extension.as_deref() {
            Some("npz") => Ok(Self::Npz),
            Some("csv") => Ok(Self::Csv),
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("parquet") if cfg!(feature = "parquet") => Ok(Self::Parquet),
            Some("parquet") => Err(cannot_write(path, "a format that this build of anabranch does not write")
                .with_note(expected)
                .with_help("build it with `cargo install --features parquet`")),
            Some(other) => Err(cannot_write(path, format!("the extension `{other}`")).with_note(expected)),
            None => Err(cannot_write(path, "a name without an extension").with_note(expected)),
        }
    }

    /// Whether it has cells of one value only, so that a row of several is several columns.
    fn is_flat(self) -> bool {
        matches!(self, Self::Csv | Self::Parquet)
    }
}

/// What the cells of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    F32,
    F64,
    I32,
    I64,
    Text,
}

/// Something that is written for each row, or once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// of one row; of the whole where there is one for all rows
    pub shape: Vec<usize>,
    pub kind: CellKind,
    /// whether each row has one
    pub is_by_row: bool,
}

impl Column {
    /// Of the columns that are passed on.
    pub fn kept(kept: &Kept) -> Self {
        let kind = match kept.kind {
            KeptKind::Int => CellKind::I64,
            KeptKind::Float => CellKind::F64,
            KeptKind::Text => CellKind::Text,
        };
        Self { name: kept.name.clone(), shape: Vec::new(), kind, is_by_row: true }
    }

    /// The numbers in one row.
    fn row_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The names of its cells in a format that has single values only: its own, or `NAME_0`, `NAME_1`, … in row-major order.
    fn flat_names(&self) -> Vec<String> {
        match self.row_len() {
            1 => vec![self.name.clone()],
            len => (0..len).map(|at| format!("{}_{at}", self.name)).collect(),
        }
    }
}

/// The cells of a column in some rows, row-major.
#[derive(Clone, Copy, Debug)]
pub enum Cells<'a> {
    Numbers(NumbersRef<'a>),
    Ints(&'a [i64]),
    Texts(&'a [String]),
}

impl<'a> From<&'a Numbers> for Cells<'a> {
    fn from(values: &'a Numbers) -> Self {
        Cells::Numbers(values.into())
    }
}

impl<'a> From<&'a KeptValues> for Cells<'a> {
    fn from(values: &'a KeptValues) -> Self {
        match values {
            KeptValues::Int(values) => Cells::Ints(values),
            KeptValues::Float(values) => Cells::Numbers(NumbersRef::F64(values)),
            KeptValues::Text(values) => Cells::Texts(values),
        }
    }
}

/// One value as text that reads back as it was; a float that has many digits gets an exponent.
fn number_text<T: std::fmt::Display + std::fmt::LowerExp>(value: T, magnitude: f64) -> String {
    if magnitude == 0.0 || !magnitude.is_finite() || (1e-5..1e16).contains(&magnitude) {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// Who takes rows.
pub trait Sink {
    /// Takes the cells of some rows, a column each.
    ///
    /// # Errors
    /// Those of the file system.
    fn write(&mut self, n_rows: usize, cells: &[Cells<'_>]) -> io::Result<()>;

    /// Ends the file.
    ///
    /// # Errors
    /// Those of the file system.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Why a table was not written.
#[derive(Debug)]
pub enum Unwritten {
    Io(io::Error),
    Findings(Diagnostics),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Diagnostics> for Unwritten {
    fn from(findings: Diagnostics) -> Self {
        Self::Findings(findings)
    }
}

/// Holds columns against a format, before any work is done.
///
/// # Errors
/// E0605 when two would have one name, or one is not of rows where the format has rows only.
pub fn check_columns(path: &Path, format: TableFormat, columns: &[Column]) -> Result<(), Diagnostic> {
    if let Some(column) = columns.iter().find(|column| !column.is_by_row).filter(|_| format != TableFormat::Npz) {
        let found = format!("`{}`, which is one value for all rows", column.name);
        return Err(cannot_write(path, found)
            .with_note("expected: outputs with a value for each row")
            .with_help("choose others with `--outputs`, or write an `.npz` file"));
    }
    let names = columns.iter().flat_map(|column| match format.is_flat() {
        true => column.flat_names(),
        false => vec![column.name.clone()],
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(cannot_write(path, format!("two columns named `{}`", pair[0]))
            .with_help("choose other `--outputs`, or `--keep` other columns")),
        None => Ok(()),
    }
}

/// Writes what `produce` gives to the sink.
///
/// # Errors
/// E0605 when the file cannot be written, and those of `produce`. What stood there is as it was then.
pub fn write_table(
    path: &Path,
    existing: Existing,
    format: TableFormat,
    columns: &[Column],
    produce: &mut dyn FnMut(&mut dyn Sink) -> Result<(), Unwritten>,
) -> Result<(), Diagnostics> {
    let mut findings = None;
    let written = write_whole(path, existing, |out| {
        let mut sink = open(path, format, columns, out)?;
        match produce(&mut *sink) {
            Ok(()) => sink.finish(),
            Err(Unwritten::Io(error)) => Err(error),
            Err(Unwritten::Findings(found)) => {
                findings = Some(found);
                Err(io::Error::other("the rows could not be made"))
            }
        }
    });
    match (written, findings) {
        (_, Some(findings)) => Err(findings),
        (Ok(()), None) => Ok(()),
        (Err(error), None) if error.kind() == ErrorKind::AlreadyExists => {
            Err(cannot_write(path, error).with_help("name a new file").into())
        }
        (Err(error), None) => Err(cannot_write(path, error).into()),
    }
}

fn open<'o>(
    path: &Path,
    format: TableFormat,
    columns: &[Column],
    out: &'o mut BufWriter<&mut File>,
) -> io::Result<Box<dyn Sink + 'o>> {
    Ok(match format {
        TableFormat::Npz => Box::new(npz::NpzSink::new(path, columns, out)?),
        TableFormat::Csv => Box::new(csv::CsvSink::new(columns, out)?),
        TableFormat::Jsonl => Box::new(jsonl::JsonlSink::new(columns, out)),
        #[cfg(feature = "parquet")]
        TableFormat::Parquet => Box::new(parquet::ParquetSink::new(columns, out)?),
        #[cfg(not(feature = "parquet"))]
        TableFormat::Parquet => return Err(io::Error::from(ErrorKind::Unsupported)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_format() {
        let of = |name: &str| TableFormat::of(Path::new(name)).map_err(|finding| finding.notes[0].clone());
        assert_eq!(of("a.NPZ"), Ok(TableFormat::Npz));
        assert_eq!(of("b/a.csv"), Ok(TableFormat::Csv));
        assert_eq!(of("a.jsonl"), Ok(TableFormat::Jsonl));
        assert_eq!(of("a.json"), Err("found: the extension `json`".into()));
        assert_eq!(of(".csv"), Err("found: a name without an extension".into()));
        assert_eq!(of("csv"), Err("found: a name without an extension".into()));
    }

    #[test]
    fn columns_that_a_format_cannot_tell_apart_are_refused() {
        let column = |name: &str, shape: &[usize]| Column {
            name: name.into(),
            shape: shape.to_vec(),
            kind: CellKind::F32,
            is_by_row: true,
        };
        let check = |format, columns: &[Column]| check_columns(Path::new("a"), format, columns).is_ok();
        let pair = [column("a", &[2]), column("a_1", &[])];
        assert!(!check(TableFormat::Csv, &pair) && check(TableFormat::Npz, &pair));
        assert!(!check(TableFormat::Npz, &[column("a", &[2]), column("a", &[])]));
        let once = [Column { is_by_row: false, ..column("m", &[]) }];
        assert!(!check(TableFormat::Jsonl, &once) && check(TableFormat::Npz, &once));
    }

    #[test]
    fn numbers_read_back() {
        for value in [0.1_f32, 1e-30, 3.4e38, f32::MIN_POSITIVE, -16777216.0, 0.0, 1e15] {
            let text = number_text(value, f64::from(value).abs());
            assert!(text.len() < 20, "{text}");
            assert_eq!(text.parse::<f32>().unwrap().to_bits(), value.to_bits(), "{text}");
        }
        assert_eq!(number_text(f64::NAN, f64::NAN), "NaN");
    }
}
