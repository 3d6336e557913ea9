//! Reading the fields of a program from one file.
//!
//! [`load`] opens the file, finds every wanted field in it, checks shapes and row counts from the headers, then reads and
//! checks the values of the fields that are right so far. All mistakes are reported together. [`load_reviewed`] has the
//! whole dataset looked at by who knows more of it, while the places of its values in the file are still known.

use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::rc::Rc;

use indexmap::IndexMap;

use crate::diag::{Code, Diagnostic, Diagnostics};

use super::check::{self, place_of};
use super::flaw::{Flaw, element_place};
use super::npy::{self, Header, NpyError};
use super::npz::Archive;
use super::{ColumnSpec, DataSource, Dataset, Field, FieldSpec, Numbers, counted, csv, open_regular};

/// How many names of a file a message lists.
const NAMES_LISTED: usize = 12;

/// Reads and checks the wanted fields.
///
/// # Errors
/// `E0601` when the file cannot be read or is broken, `E0603` when a field is missing or has another shape or the rows do
/// not fit, `E0604` when values are not what the field's kind allows.
pub fn load(source: &DataSource, fields: &[FieldSpec]) -> Result<Dataset, Diagnostics> {
    load_reviewed(source, fields, &mut |_| Ok(Vec::new())).map(|(dataset, _)| dataset)
}

/// What a dataset's reader says of it when all of it was read.
pub type Review<'r> = dyn FnMut(&Dataset) -> Result<Vec<Flaw>, Diagnostics> + 'r;

/// [`load`], and then what `review` says of the dataset, with the places in the file. Gives warnings beside the dataset.
///
/// # Errors
/// Those of [`load`] and of `review`, and every flaw that is an error.
pub fn load_reviewed(
    source: &DataSource,
    fields: &[FieldSpec],
    review: &mut Review<'_>,
) -> Result<(Dataset, Vec<Diagnostic>), Diagnostics> {
    let extension = source.path.extension().and_then(|ext| ext.to_str()).unwrap_or_default().to_ascii_lowercase();
    if !["csv", "npy", "npz"].contains(&extension.as_str()) {
        let diagnostic =
            Diagnostic::error(Code::E0601, format!("the format of `{}` is not known", source.path.display()))
                .with_note(format!("found: the extension `{extension}`"))
                .with_note("expected: `.csv`, `.npy` or `.npz`");
        return Err(place_of(diagnostic, source, None).into());
    }
    let not_readable = |error: std::io::Error| {
        let diagnostic = Diagnostic::error(Code::E0601, format!("cannot read `{}`", source.path.display()));
        place_of(diagnostic.with_note(format!("found: {error}")), source, None)
    };
    let (file, len) = open_regular(&source.path).map_err(not_readable)?;
    let mut loading = Loading { source, dataset: Dataset::default(), places: IndexMap::new(), diagnostics: Vec::new() };
    let loaded = match extension.as_str() {
        "csv" => loading.read_csv(BufReader::new(file), fields),
        "npy" => ArrayFile::open_npy(BufReader::new(file), len, fields)
            .map_err(|error| loading.broken(error))
            .and_then(|array| loading.read_arrays(array, fields)),
        _ => Archive::open(BufReader::new(file), len)
            .map_err(|error| loading.broken(error))
            .and_then(|archive| loading.read_arrays(ArrayFile::Npz(archive), fields)),
    };
    if let Err(diagnostic) = loaded {
        loading.diagnostics.push(diagnostic);
    }
    if !loading.diagnostics.is_empty() {
        return Err(Diagnostics(loading.diagnostics));
    }
    let flaws = review(&loading.dataset)?;
    let findings: Vec<Diagnostic> = flaws.into_iter().map(|flaw| loading.found(flaw)).collect();
    if findings.iter().any(Diagnostic::is_error) { Err(Diagnostics(findings)) } else { Ok((loading.dataset, findings)) }
}

/// Where the values of a field stand in the file.
enum Places {
    /// in arrays, whose first row that is taken is this one
    Rows { first: usize, shape: Vec<usize> },
    /// in a table, in these columns, a line for each row
    Cells { columns: Vec<String>, lines: Rc<Vec<u64>> },
}

impl Places {
    fn of(&self, at: usize) -> String {
        match self {
            Self::Rows { first, shape } => {
                let row_len = shape.iter().product::<usize>().max(1);
                element_place(first + at / row_len, at % row_len, shape)
            }
            Self::Cells { columns, lines } => {
                let (row, column) = (at / columns.len().max(1), at % columns.len().max(1));
                let line = lines.get(row).copied().unwrap_or(0);
                format!("line {line}, column `{}`", columns.get(column).map_or("", String::as_str))
            }
        }
    }
}

/// A file of arrays under keys.
enum ArrayFile {
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
    fn open_npy(mut reader: BufReader<File>, len: u64, fields: &[FieldSpec]) -> Result<Self, NpyError> {
        let header = npy::read_header(&mut reader)?;
        let values_at = reader.stream_position()?;
        let keys = fields.first().map(|field| field.name.clone()).into_iter().collect();
        Ok(Self::Npy { keys, reader, header, values_at, len })
    }

    fn keys(&self) -> &[String] {
        match self {
            Self::Npz(archive) => &archive.keys,
            Self::Npy { keys, .. } => keys,
        }
    }

    fn shape(&mut self, index: usize) -> Result<Vec<usize>, NpyError> {
        match self {
            Self::Npz(archive) => archive.shape(index),
            Self::Npy { header, .. } => Ok(header.shape.clone()),
        }
    }

    fn read(&mut self, index: usize, rows: Option<(usize, usize)>) -> Result<Numbers, NpyError> {
        match self {
            Self::Npz(archive) => archive.read(index, rows).map(|(_, values)| values),
            Self::Npy { reader, header, values_at, len, .. } => {
                reader.seek(SeekFrom::Start(*values_at))?;
                npy::read_values(reader, header, *len, rows)
            }
        }
    }
}

/// The work on one file: what is read and what is wrong so far.
struct Loading<'a> {
    source: &'a DataSource,
    dataset: Dataset,
    places: IndexMap<String, Places>,
    diagnostics: Vec<Diagnostic>,
}

impl Loading<'_> {
    fn file(&self) -> String {
        format!("`{}`", self.source.path.display())
    }

    fn mistake(&self, spec: Option<&FieldSpec>, headline: String) -> Diagnostic {
        place_of(Diagnostic::error(Code::E0603, headline), self.source, spec)
    }

    /// A flaw that was found when all was read.
    fn found(&self, flaw: Flaw) -> Diagnostic {
        let places = self.places.get(&flaw.field);
        let place = |at: usize| places.map_or_else(String::new, |places| places.of(at));
        let finding = flaw.finding(&self.dataset, place).with_note(format!("file: {}", self.file()));
        match self.source.span {
            Some(span) => finding.with_label(span, "and read from this file"),
            None => finding,
        }
    }

    fn broken(&self, error: NpyError) -> Diagnostic {
        let diagnostic = Diagnostic::error(Code::E0601, format!("{} is broken", self.file()));
        place_of(diagnostic.with_note(format!("found: {}", error.reason())), self.source, None)
    }

    /// The rows to take of `total`, or a mistake when the range lies beyond them.
    fn range(&self, total: usize) -> Result<(usize, usize), Diagnostic> {
        let (start, stop) = self.source.rows.unwrap_or((0, total));
        if start > stop || stop > total {
            let headline = format!("rows {start}..{stop} are not all in {}", self.file());
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

    fn missing(&self, spec: &FieldSpec, what: &str, name: &str, names: &[String]) -> Diagnostic {
        let listed: Vec<&str> = names.iter().take(NAMES_LISTED).map(String::as_str).collect();
        let more = names.len().saturating_sub(NAMES_LISTED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let mut diagnostic = self
            .mistake(Some(spec), format!("{} has no {what} `{name}`", self.file()))
            .with_note(format!("found: {}{more}", if listed.is_empty() { "none".into() } else { listed.join(", ") }))
            .with_note(format!("expected: the {what} of field `{}`", spec.name))
            .with_suggestion(name, names.iter().map(String::as_str));
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

    fn read_arrays(&mut self, mut file: ArrayFile, fields: &[FieldSpec]) -> Result<(), Diagnostic> {
        let mut found: Vec<(usize, &FieldSpec, Vec<usize>)> = Vec::new();
        for spec in fields {
            match self.find_array(&mut file, spec) {
                Ok((index, shape)) => found.push((index, spec, shape)),
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        let Some((_, first, shape)) = found.first() else { return Ok(()) };
        let total = shape[0];
        let same = found.iter().all(|(_, _, shape)| shape[0] == total);
        if !same {
            let counts: Vec<String> =
                found.iter().map(|(_, spec, shape)| format!("`{}` has {}", spec.name, shape[0])).collect();
            let headline = format!("the fields of {} have different numbers of rows", self.file());
            return Err(self
                .mistake(Some(first), headline)
                .with_note(format!("found: {}", counts.join(", ")))
                .with_note("expected: one row count for all"));
        }
        let (start, stop) = self.range(total)?;
        self.dataset.rows = stop - start;
        for (index, spec, shape) in &found {
            let Some(shape) = self.check_shape(spec, shape) else { continue };
            let values = match file.read(*index, Some((start, stop))) {
                Ok(values) => values,
                Err(error) => {
                    let diagnostic = self.broken_array(spec, error);
                    self.diagnostics.push(diagnostic);
                    continue;
                }
            };
            let places = Places::Rows { first: start, shape: shape.clone() };
            let checked = check::convert(values, spec, self.source, &|at| places.of(at));
            self.keep(spec, shape, places, checked);
        }
        Ok(())
    }

    fn keep(&mut self, spec: &FieldSpec, shape: Vec<usize>, places: Places, checked: Result<Numbers, Diagnostic>) {
        match checked {
            Ok(values) => {
                self.places.insert(spec.name.clone(), places);
                self.dataset.fields.insert(spec.name.clone(), Field { shape, values });
            }
            Err(diagnostic) => self.diagnostics.push(diagnostic),
        }
    }

    fn broken_array(&self, spec: &FieldSpec, error: NpyError) -> Diagnostic {
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

    fn find_array(&self, file: &mut ArrayFile, spec: &FieldSpec) -> Result<(usize, Vec<usize>), Diagnostic> {
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
        if shape.is_empty() {
            let headline = format!("the array of field `{}` in {} has no row axis", spec.name, self.file());
            return Err(self.mistake(Some(spec), headline).with_note("found: a single number"));
        }
        Ok((index, shape))
    }

    /// The shape of one row when the array fits the field.
    fn check_shape(&mut self, spec: &FieldSpec, shape: &[usize]) -> Option<Vec<usize>> {
        let row = &shape[1..];
        let fits = row.len() == spec.shape.len()
            && row.iter().zip(&spec.shape).all(|(dim, wanted)| wanted.is_none_or(|wanted| wanted == *dim));
        if fits {
            return Some(row.to_vec());
        }
        let wanted: Option<Vec<usize>> = spec.shape.iter().copied().collect();
        let mut diagnostic = self
            .mistake(Some(spec), format!("the array of field `{}` in {} has another shape", spec.name, self.file()))
            .with_note(format!("found: {}", with_rows(&row.iter().map(|&dim| Some(dim)).collect::<Vec<_>>())))
            .with_note(format!("expected: {}", with_rows(&spec.shape)));
        if wanted.is_some_and(|wanted| wanted.iter().product::<usize>() == row.iter().product::<usize>()) {
            diagnostic = diagnostic.with_help(format!(
                "a row has the right number of elements: save it with the shape {}, as `array.reshape({})` gives in NumPy",
                with_rows(&spec.shape),
                reshape_arguments(&spec.shape)
            ));
        }
        self.diagnostics.push(diagnostic);
        None
    }

    fn read_csv(&mut self, reader: BufReader<File>, fields: &[FieldSpec]) -> Result<(), Diagnostic> {
        let table = csv::Table::open(reader).map_err(|reason| self.broken(NpyError::Broken(reason)))?;
        let mut index: IndexMap<&str, usize> = IndexMap::new();
        let mut twice: Vec<&str> = Vec::new();
        for (at, name) in table.header.iter().enumerate() {
            if index.insert(name, at).is_some() {
                twice.push(name);
            }
        }
        let mut wanted: Vec<(&FieldSpec, Vec<usize>)> = Vec::new();
        let mut groups = Vec::new();
        for spec in fields {
            match self.find_columns(spec, &table.header, &index, &twice) {
                Ok((columns, shape)) => {
                    groups.push(columns);
                    wanted.push((spec, shape));
                }
                Err(diagnostic) => self.diagnostics.push(diagnostic),
            }
        }
        let header = table.header.clone();
        let rows = table.read(&groups, self.source.rows).map_err(|reason| self.broken(NpyError::Broken(reason)))?;
        let (start, stop) = self.range(rows.total)?;
        self.dataset.rows = stop - start;
        let lines = Rc::new(rows.lines);
        for (((spec, shape), columns), block) in wanted.into_iter().zip(&groups).zip(rows.blocks) {
            if block.bad_cell_count > 0 {
                let places: Vec<String> = block
                    .bad_cells
                    .iter()
                    .map(|cell| format!("`{}` at line {}, column `{}`", cell.text, cell.line, header[cell.column]))
                    .collect();
                self.diagnostics.push(check::wrong_values(
                    block.bad_cell_count,
                    &places.join(", "),
                    places.len(),
                    spec,
                    self.source,
                ));
                continue;
            }
            let columns = columns.iter().map(|column| header[*column].clone()).collect();
            let places = Places::Cells { columns, lines: Rc::clone(&lines) };
            let checked = check::convert(Numbers::F64(block.values), spec, self.source, &|at| places.of(at));
            self.keep(spec, shape, places, checked);
        }
        Ok(())
    }

    /// The indices of a field's columns and the shape that they make up.
    fn find_columns(
        &self,
        spec: &FieldSpec,
        header: &[String],
        index: &IndexMap<&str, usize>,
        twice: &[&str],
    ) -> Result<(Vec<usize>, Vec<usize>), Diagnostic> {
        let own_name = ColumnSpec::One(spec.name.clone());
        let columns = self.source.columns.get(&spec.name).unwrap_or(&own_name);
        if columns.count() > header.len() {
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
            if !self.source.columns.contains_key(&spec.name) {
                diagnostic = diagnostic
                    .with_help(format!("name them in the run config: `columns: {{ {}: first0..first63 }}`", spec.name));
            }
            return Err(diagnostic);
        };
        Ok((indices, shape))
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
