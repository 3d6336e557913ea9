//! Where the fields of a program stand in a file: which arrays or columns, and whether their shapes and rows fit.
//!
//! Takes the headers of a file; gives places that [`load`](super::load()) and [`Blocks`](super::Blocks) read values from. All
//! mistakes are collected, each in the words of the file's own format.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::path::Path;

use indexmap::IndexMap;

use crate::diag::{Code, Diagnostic};

use super::check::place_of;
use super::npy::{self, Header, NpyError, RowValues, Stored};
use super::npz::Archive;
use super::{ColumnSpec, DataSource, FieldSpec, Numbers, counted, csv, open_regular, unpack};

/// How many names of a file a message lists.
const NAMES_LISTED: usize = 12;

/// The formats of data files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Csv,
    /// a table whose cells are apart by tabs
    Tsv,
    /// JSON lines, read as the CSV of the same rows
    Jsonl,
    Npy,
    Npz,
    /// one array, read as npy
    Idx,
    /// arrays by name, read as npz
    Safetensors,
    /// read as the CSV of the same rows
    Parquet,
}

impl Format {
    /// What the names of the files that are read end in.
    const ENDINGS: &str = if cfg!(feature = "parquet") {
        "`.csv`, `.tsv`, `.jsonl`, `.parquet`, `.npy`, `.npz`, `.idx` or `.safetensors`, or one of these with `.gz` behind it"
    } else {
        "`.csv`, `.tsv`, `.jsonl`, `.npy`, `.npz`, `.idx` or `.safetensors`, or one of these with `.gz` behind it"
    };

    /// The format that a file's name says, whether it is packed or not.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        // As MNIST's are named: `train-images-idx3-ubyte`.
        if name.ends_with("-ubyte") {
            return Some(Self::Idx);
        }
        match Path::new(name).extension()?.to_str()? {
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "npy" => Some(Self::Npy),
            "npz" => Some(Self::Npz),
            "idx" => Some(Self::Idx),
            "safetensors" => Some(Self::Safetensors),
            "parquet" if cfg!(feature = "parquet") => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether it has columns of single values, not arrays.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv | Self::Jsonl | Self::Parquet)
    }
}

/// A file of arrays under keys.
pub(super) enum ArrayFile {
    Npz(Archive<BufReader<File>>),
    /// The one array of a `.npy` file goes by the name of the field that reads it.
    Npy {
        keys: Vec<String>,
        reader: BufReader<File>,
        header: Header,
        values_at: u64,
        len: u64,
    },
}

impl ArrayFile {
    /// Opens a file of arrays; that of a `.npy` file goes by the name `lone`.
    pub(super) fn open(format: Format, file: File, len: u64, lone: Option<&str>) -> Result<Self, NpyError> {
        let mut reader = BufReader::new(file);
        if format == Format::Npz {
            return Ok(Self::Npz(Archive::open(reader, len)?));
        }
        let header = npy::read_header(&mut reader)?;
        let values_at = reader.stream_position()?;
        let keys = lone.map(str::to_owned).into_iter().collect();
        Ok(Self::Npy { keys, reader, header, values_at, len })
    }

    pub(super) fn keys(&self) -> &[String] {
        match self {
            Self::Npz(archive) => &archive.keys,
            Self::Npy { keys, .. } => keys,
        }
    }

    pub(super) fn shape(&mut self, index: usize) -> Result<Vec<usize>, NpyError> {
        match self {
            Self::Npz(archive) => archive.shape(index),
            Self::Npy { header, .. } => Ok(header.shape.clone()),
        }
    }

    /// What the values of an array are.
    pub(super) fn stored(&mut self, index: usize) -> Result<Stored, NpyError> {
        match self {
            Self::Npz(archive) => archive.stored(index),
            Self::Npy { header, .. } => Ok(header.stored()),
        }
    }

    pub(super) fn read(&mut self, index: usize, rows: Option<(usize, usize)>) -> Result<Numbers, NpyError> {
        match self {
            Self::Npz(archive) => archive.read(index, rows).map(|(_, values)| values),
            Self::Npy { reader, header, values_at, len, .. } => {
                reader.seek(SeekFrom::Start(*values_at))?;
                npy::read_values(reader, header, *len, rows)
            }
        }
    }

    /// Gives the rows `start..stop` of an array in blocks of at most so many rows, until `give` has enough.
    pub(super) fn read_blocks<V: RowValues>(
        &mut self,
        index: usize,
        rows: (usize, usize),
        block: usize,
        give: &mut dyn FnMut(V) -> bool,
    ) -> Result<(), NpyError> {
        match self {
            Self::Npz(archive) => archive.read_blocks(index, rows, block, give),
            Self::Npy { reader, header, values_at, len, .. } => {
                reader.seek(SeekFrom::Start(*values_at))?;
                V::read(reader, header, *len, rows, block, give)
            }
        }
    }
}

/// An array that holds a field.
#[derive(Clone, Debug)]
pub(super) struct Located<'f> {
    pub spec: &'f FieldSpec,
    /// among the arrays of the file
    pub index: usize,
    /// of one row, or of the one value
    pub shape: Vec<usize>,
    /// whether the array has no row axis, since it is one value for all rows
    pub is_once: bool,
}

/// The columns that hold a field.
#[derive(Clone, Debug)]
pub(super) struct LocatedColumns<'f> {
    pub spec: &'f FieldSpec,
    pub columns: Vec<usize>,
    /// of one row
    pub shape: Vec<usize>,
}

/// Speaks of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locator<'s> {
    pub source: &'s DataSource,
}

impl Locator<'_> {
    /// Opens the file as CSV, npy or npz; one in another format by way of a temporary one.
    pub(super) fn open(&self) -> Result<(Format, File, u64), Diagnostic> {
        let (format, file, len) = self.open_as_it_is()?;
        unpack::as_read(format, file, len).map_err(|error| self.broken(error))
    }

    /// Opens the file, unpacked, whose format its name says.
    fn open_as_it_is(&self) -> Result<(Format, File, u64), Diagnostic> {
        let path = &self.source.path;
        let extension = || path.extension().and_then(|ext| ext.to_str()).unwrap_or_default().to_ascii_lowercase();
        let Some(format) = Format::of(path) else {
            let extension = extension();
            let mut diagnostic =
                Diagnostic::error(Code::E0601, format!("the format of `{}` is not known", path.display()))
                    .with_note(format!("found: the extension `{extension}`"))
                    .with_note(format!("expected: {}", Format::ENDINGS));
            if extension == "parquet" {
                let help = "build anabranch with `cargo install --features parquet` to read it";
                diagnostic = diagnostic.with_help(help);
            }
            return Err(place_of(diagnostic, self.source, None));
        };
        let (file, len) = open_regular(path).map_err(|error| {
            let diagnostic = Diagnostic::error(Code::E0601, format!("cannot read `{}`", path.display()));
            place_of(diagnostic.with_note(format!("found: {error}")), self.source, None)
        })?;
        if extension() == "gz" {
            let (file, len) = unpack::unpacked(file).map_err(|error| self.broken(error))?;
            return Ok((format, file, len));
        }
        Ok((format, file, len))
    }

    /// Opens what [`Locator::open`] gave as CSV.
    ///
    /// # Errors
    /// `E0601` when it has no header.
    pub(super) fn table(&self, file: File) -> Result<csv::Table<BufReader<File>>, Diagnostic> {
        let delimiter = match Format::of(&self.source.path) {
            Some(Format::Csv) | None => None,
            Some(Format::Tsv) => Some(b'\t'),
            // Of tables that were made here.
            _ => Some(b','),
        };
        let table = csv::Table::open(BufReader::new(file), delimiter, self.is_of_lines());
        let table = table.map_err(|reason| self.broken(NpyError::Broken(reason)))?;
        Ok(table.with_picked(self.source.picked.clone()))
    }

    /// Whether the rows of a table stand on lines that its reader can look at; else they are counted from 0.
    pub(super) fn is_of_lines(&self) -> bool {
        matches!(Format::of(&self.source.path), Some(Format::Csv | Format::Tsv))
    }

    /// A row of a table, by what [`csv::Rows::lines`] has of it.
    pub(super) fn row_text(&self, line: u64) -> String {
        format!("{} {line}", if self.is_of_lines() { "line" } else { "row" })
    }

    /// The names of its columns or arrays; none of a `.npy` file, whose array has no name.
    pub(super) fn names(&self) -> Result<(Format, Vec<String>), Diagnostic> {
        let (format, file, len) = self.open_as_it_is()?;
        #[cfg(feature = "parquet")]
        if format == Format::Parquet {
            let names = super::parquet::names(file).map_err(|error| self.broken(error))?;
            return Ok((format, names));
        }
        let (format, file, len) = unpack::as_read(format, file, len).map_err(|error| self.broken(error))?;
        let names = match format {
            Format::Csv => self.table(file)?.header,
            Format::Npz => {
                let archive = ArrayFile::open(format, file, len, None).map_err(|error| self.broken(error))?;
                archive.keys().to_vec()
            }
            // The one array of npy has no name.
            _ => Vec::new(),
        };
        Ok((format, names))
    }

    /// The arrays of the fields and the rows to take of them. `found` gets what is wrong with single fields.
    ///
    /// # Errors
    /// What is wrong with the file as a whole.
    pub(super) fn arrays<'f>(
        &self,
        file: &mut ArrayFile,
        fields: &'f [FieldSpec],
        found: &mut Vec<Diagnostic>,
    ) -> Result<(Vec<Located<'f>>, (usize, usize)), Diagnostic> {
        let mut arrays: Vec<(usize, &FieldSpec, Vec<usize>)> = Vec::new();
        let mut located = Vec::new();
        for spec in fields {
            match self.find_array(file, spec) {
                Ok((index, shape)) if spec.whole && (shape.is_empty() || shape.len() == spec.shape.len()) => {
                    match self.check_once(spec, &shape) {
                        Ok(()) => located.push(Located { spec, index, shape, is_once: true }),
                        Err(diagnostic) => found.push(diagnostic),
                    }
                }
                Ok((index, shape)) => arrays.push((index, spec, shape)),
                Err(diagnostic) => found.push(diagnostic),
            }
        }
        let Some((_, first, shape)) = arrays.first() else { return Ok((located, (0, 0))) };
        let total = shape[0];
        if arrays.iter().any(|(_, _, shape)| shape[0] != total) {
            let counts: Vec<String> =
                arrays.iter().map(|(_, spec, shape)| format!("`{}` has {}", spec.name, shape[0])).collect();
            let headline = format!("the fields of {} have different numbers of rows", self.file());
            return Err(self
                .mistake(Some(first), headline)
                .with_note(format!("found: {}", counts.join(", ")))
                .with_note("expected: one row count for all"));
        }
        let rows = self.range(total)?;
        for (index, spec, shape) in arrays {
            match self.check_shape(spec, &shape) {
                Ok(shape) => located.push(Located { spec, index, shape, is_once: false }),
                Err(diagnostic) => found.push(diagnostic),
            }
        }
        Ok((located, rows))
    }

    /// The columns of the fields. `found` gets what is wrong with single fields.
    pub(super) fn columns<'f>(
        &self,
        header: &[String],
        fields: &'f [FieldSpec],
        found: &mut Vec<Diagnostic>,
    ) -> Vec<LocatedColumns<'f>> {
        let (mut index, mut twice) = (IndexMap::new(), Vec::new());
        for (at, name) in header.iter().enumerate() {
            if index.insert(name.as_str(), at).is_some() {
                twice.push(name.as_str());
            }
        }
        let mut located = Vec::new();
        for spec in fields {
            match self.find_columns(spec, header, &index, &twice) {
                Ok((columns, shape)) => located.push(LocatedColumns { spec, columns, shape }),
                Err(diagnostic) => found.push(diagnostic),
            }
        }
        located
    }

    pub(super) fn file(&self) -> String {
        format!("`{}`", self.source.path.display())
    }

    pub(super) fn mistake(&self, spec: Option<&FieldSpec>, headline: String) -> Diagnostic {
        place_of(Diagnostic::error(Code::E0603, headline), self.source, spec)
    }

    pub(super) fn broken(&self, error: NpyError) -> Diagnostic {
        let headline = match &error {
            NpyError::Broken(_) => format!("{} is broken", self.file()),
            NpyError::Unsupported(_) => format!("cannot read {}", self.file()),
        };
        let diagnostic = Diagnostic::error(Code::E0601, headline);
        place_of(diagnostic.with_note(format!("found: {}", error.reason())), self.source, None)
    }

    /// The rows to take of `total`, or a mistake when the range lies beyond them.
    pub(super) fn range(&self, total: usize) -> Result<(usize, usize), Diagnostic> {
        let (start, stop) = self.source.rows.unwrap_or((0, total));
        let is_open = stop == usize::MAX;
        let stop = if is_open { total } else { stop };
        if start > stop || stop > total {
            let said = if is_open { String::new() } else { stop.to_string() };
            let headline = format!("rows {start}..{said} are not all in {}", self.file());
            return Err(self
                .mistake(None, headline)
                .with_note(format!("found: {}", counted(total, "row")))
                .with_note("expected: first..last+1, counted from 0"));
        }
        if u32::try_from(stop - start).is_err() {
            let headline = format!("{} has more rows than one run reads", self.file());
            return Err(self
                .mistake(None, headline)
                .with_note(format!("found: {} rows", stop - start))
                .with_help(format!("take at most {} with `rows: first..stop`", u32::MAX)));
        }
        Ok((start, stop))
    }

    pub(super) fn missing(&self, spec: &FieldSpec, what: &str, name: &str, names: &[String]) -> Diagnostic {
        let listed: Vec<&str> = names.iter().take(NAMES_LISTED).map(String::as_str).collect();
        let more = names.len().saturating_sub(NAMES_LISTED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let mut diagnostic = self
            .mistake(Some(spec), format!("{} has no {what} `{name}`", self.file()))
            .with_note(format!("found: {}{more}", if listed.is_empty() { "none".into() } else { listed.join(", ") }))
            .with_note(format!("expected: the {what} of field `{}`", spec.name));
        if let Some((first, last)) = numbered(spec, names) {
            let field = &spec.name;
            let said = match self.source.by_flag {
                true => format!("`--columns {field}={first}..{last}`"),
                false => format!("`columns: {{ {field}: {first}..{last} }}`"),
            };
            return diagnostic.with_help(format!("if it stands in `{first}` to `{last}`, say so: {said}"));
        }
        diagnostic = diagnostic.with_suggestion(name, names.iter().map(String::as_str));
        if spec.whole {
            let name = &spec.name;
            diagnostic = diagnostic
                .with_help(format!("or give it one value for all rows: `feed: {{ {name}: … }}`, `--feed {name}=…`"));
        }
        if self.source.by_flag {
            return diagnostic
                .with_help(format!("if it has another name there, say so: `--columns {}=NAME`", spec.name));
        }
        if !self.source.columns.contains_key(&spec.name) {
            let near = self.source.columns.keys().map(String::as_str);
            diagnostic = match crate::diag::closest(&spec.name, near) {
                Some(close) => diagnostic.with_help(format!(
                    "`columns` of the run config names `{close}`; the spec's field is `{}`",
                    spec.name
                )),
                None => diagnostic
                    .with_help(format!("if it has another name there, say so: `columns: {{ {}: … }}`", spec.name)),
            };
        }
        diagnostic
    }

    pub(super) fn broken_array(&self, spec: &FieldSpec, error: NpyError) -> Diagnostic {
        let headline = format!("the array of field `{}` in {} cannot be read", spec.name, self.file());
        let (code, reason) = match error {
            NpyError::Broken(reason) => (Code::E0601, reason),
            NpyError::Unsupported(reason) => (Code::E0603, reason),
        };
        let mut diagnostic = Diagnostic::error(code, headline).with_note(format!("found: {reason}"));
        if code == Code::E0603 {
            diagnostic = diagnostic.with_note("expected: bool, i8 to i64, u8 to u64, f32 or f64");
        }
        place_of(diagnostic, self.source, Some(spec))
    }

    pub(super) fn find_array(&self, file: &mut ArrayFile, spec: &FieldSpec) -> Result<(usize, Vec<usize>), Diagnostic> {
        let name = match self.source.columns.get(&spec.name) {
            None => &spec.name,
            Some(ColumnSpec::One(_)) if matches!(file, ArrayFile::Npy { .. }) => &spec.name,
            Some(ColumnSpec::One(name)) => name,
            Some(_) => {
                let headline = format!("field `{}` names several columns, but {} holds arrays", spec.name, self.file());
                return Err(self.mistake(Some(spec), headline).with_help("name one array for it"));
            }
        };
        let prefix = self.source.prefix.as_deref().unwrap_or_default();
        let names: Vec<String> =
            file.keys().iter().filter_map(|key| key.strip_prefix(prefix)).map(str::to_owned).collect();
        let wanted = match file {
            ArrayFile::Npz(_) => format!("{prefix}{name}"),
            ArrayFile::Npy { .. } => name.clone(),
        };
        let Some(index) = file.keys().iter().position(|key| *key == wanted) else {
            if matches!(file, ArrayFile::Npy { .. }) {
                let headline = format!("{} holds one array, field `{}` needs another", self.file(), spec.name);
                return Err(self.mistake(Some(spec), headline).with_help("put several fields into one `.npz` file"));
            }
            let mut diagnostic = self.missing(spec, "array", name, &names);
            if names.is_empty() && !prefix.is_empty() {
                diagnostic = diagnostic.with_note(format!("no key begins with the prefix `{prefix}`"));
            }
            return Err(diagnostic);
        };
        let shape = file.shape(index).map_err(|error| self.broken_array(spec, error))?;
        if shape.is_empty() && !spec.whole {
            let headline = format!("the array of field `{}` in {} has no row axis", spec.name, self.file());
            return Err(self.mistake(Some(spec), headline).with_note("found: a single number"));
        }
        Ok((index, shape))
    }

    /// The indices of a field's columns and the shape that they make up.
    pub(super) fn find_columns(
        &self,
        spec: &FieldSpec,
        header: &[String],
        index: &IndexMap<&str, usize>,
        twice: &[&str],
    ) -> Result<(Vec<usize>, Vec<usize>), Diagnostic> {
        let own_name = ColumnSpec::One(spec.name.clone());
        let columns = self.source.columns.get(&spec.name).unwrap_or(&own_name);
        // Of a list each is looked for: one column may be told in several ways.
        if matches!(columns, ColumnSpec::Range { .. }) && columns.count() > header.len() {
            let headline = format!("field `{}` names more columns than {} has", spec.name, self.file());
            return Err(self
                .mistake(Some(spec), headline)
                .with_note(format!("found: {}", counted(header.len(), "column")))
                .with_note(format!("expected: {}", counted(columns.count(), "column"))));
        }
        let mut indices = Vec::new();
        for name in columns.names() {
            match index.get(name.as_str()) {
                Some(_) if twice.contains(&name.as_str()) => {
                    return Err(self.mistake(Some(spec), format!("{} has the column `{name}` twice", self.file())));
                }
                Some(&at) => indices.push(at),
                None => return Err(self.missing(spec, "column", &name, header)),
            }
        }
        let Some(shape) = shape_of(&spec.shape, indices.len()) else {
            let mut diagnostic = self
                .mistake(Some(spec), format!("the columns of field `{}` do not make up its shape", spec.name))
                .with_note(format!("found: {}", counted(indices.len(), "column")))
                .with_note(format!("expected: one row of shape {}", dims_text(&spec.shape)));
            if self.source.by_flag {
                diagnostic = diagnostic.with_help(format!("name them: `--columns {}=first0..first63`", spec.name));
            } else if !self.source.columns.contains_key(&spec.name) {
                diagnostic = diagnostic
                    .with_help(format!("name them in the run config: `columns: {{ {}: first0..first63 }}`", spec.name));
            }
            return Err(diagnostic);
        };
        Ok((indices, shape))
    }

    /// Holds an array without a row axis against the field that is one value for all rows.
    fn check_once(&self, spec: &FieldSpec, shape: &[usize]) -> Result<(), Diagnostic> {
        if spec.is_one_value(shape) {
            return Ok(());
        }
        let found: Vec<Option<usize>> = shape.iter().map(|&dim| Some(dim)).collect();
        Err(self
            .mistake(Some(spec), format!("the array of field `{}` in {} has another shape", spec.name, self.file()))
            .with_note(format!("found: {}", dims_text(&found)))
            .with_note(format!("expected: {}", dims_text(&spec.shape))))
    }

    /// The shape of one row when the array fits the field.
    fn check_shape(&self, spec: &FieldSpec, shape: &[usize]) -> Result<Vec<usize>, Diagnostic> {
        let row = &shape[1..];
        let fits = row.len() == spec.shape.len()
            && row.iter().zip(&spec.shape).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim));
        if fits {
            return Ok(row.to_vec());
        }
        let wanted: Option<Vec<usize>> = spec.shape.iter().copied().collect();
        let diagnostic = self
            .mistake(Some(spec), format!("the array of field `{}` in {} has another shape", spec.name, self.file()))
            .with_note(format!("found: {}", with_rows(&row.iter().map(|&dim| Some(dim)).collect::<Vec<_>>())))
            .with_note(format!("expected: {}", with_rows(&spec.shape)));
        let same_size = wanted.is_some_and(|wanted| wanted.iter().product::<usize>() == row.iter().product::<usize>());
        Err(match same_size {
            false => diagnostic,
            true => diagnostic.with_help(format!(
                "a row has the right number of elements: save it with the shape {}, as `array.reshape({})` gives in NumPy",
                with_rows(&spec.shape),
                reshape_arguments(&spec.shape)
            )),
        })
    }
}

/// The row shape that `count` values fill: the wanted one, with at most one open dim solved for.
fn shape_of(wanted: &[Option<usize>], count: usize) -> Option<Vec<usize>> {
    let known = wanted.iter().flatten().try_fold(1_usize, |product, &dim| product.checked_mul(dim))?;
    match wanted.iter().filter(|dim| dim.is_none()).count() {
        0 => (known == count).then(|| wanted.iter().flatten().copied().collect()),
        1 if known > 0 && count.is_multiple_of(known) => {
            Some(wanted.iter().map(|dim| dim.unwrap_or(count / known)).collect())
        }
        _ => None,
    }
}

/// `[rows, 8, 8]`; `_` where the data decides.
fn with_rows(shape: &[Option<usize>]) -> String {
    if shape.is_empty() { "[rows]".into() } else { format!("[rows, {}", &dims_text(shape)[1..]) }
}

fn dims_text(shape: &[Option<usize>]) -> String {
    let dims: Vec<String> = shape.iter().map(|dim| dim.map_or("_".into(), |dim| dim.to_string())).collect();
    format!("[{}]", dims.join(", "))
}

fn reshape_arguments(shape: &[Option<usize>]) -> String {
    let dims: Vec<String> = shape.iter().map(|dim| dim.map_or("-1".into(), |dim| dim.to_string())).collect();
    std::iter::once("-1".to_owned()).chain(dims).collect::<Vec<_>>().join(", ")
}

/// The first and the last of columns that are numbered by a field's name, `x_0`, `x_1`, …, as many as a row can be made of.
fn numbered<'n>(spec: &FieldSpec, names: &'n [String]) -> Option<(&'n str, &'n str)> {
    let number = |name: &str| name.strip_prefix(&spec.name)?.trim_start_matches('_').parse::<usize>().ok();
    let found: Vec<(usize, &str)> = names.iter().filter_map(|name| Some((number(name)?, name.as_str()))).collect();
    let in_order = found.windows(2).all(|pair| pair[0].0.checked_add(1) == Some(pair[1].0));
    let [first, .., last] = &found[..] else { return None };
    (in_order && shape_of(&spec.shape, found.len()).is_some()).then_some((first.1, last.1))
}
