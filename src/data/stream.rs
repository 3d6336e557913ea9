//! The fields of a program from one file, in blocks of rows: for data that is larger than memory.
//!
//! [`Blocks`] finds the fields as [`load`](super::load()) does and gives datasets of rows that follow each other, checked as a
//! whole one is, with columns beside them that are passed on as they are ([`Kept`]). Small data is one block, so what is said of
//! it is what [`load`](super::load()) says.
//!
//! The arrays of a file are packed one after another, so each has a thread that unpacks it, a block ahead of its reader.

use std::fs::File;
use std::io::BufReader;
use std::sync::mpsc::{Receiver, sync_channel};

use crate::diag::{Diagnostic, Diagnostics};

use super::load::{Loading, Review, picked_of};
use super::locate::{ArrayFile, Format, Located, LocatedColumns, Locator};
use super::npy::{NpyError, RowValues, Stored};
use super::{DataSource, Dataset, Field, FieldSpec, Numbers, csv};

/// About as many values make a block.
const BLOCK_VALUES: usize = 1 << 22;

/// The largest whole number that every smaller one is exact beside, as floats hold them.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// What the values of a kept column are, in all rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptKind {
    Int,
    Float,
    Text,
}

/// The values of a kept column in some rows.
#[derive(Clone, Debug, PartialEq)]
pub enum KeptValues {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<String>),
}

/// A column that is passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub name: String,
    pub kind: KeptKind,
}

/// Some rows of the data.
#[derive(Debug)]
pub struct Block {
    pub data: Dataset,
    /// in the order in which they were asked for
    pub kept: Vec<KeptValues>,
}

/// A file that is read block by block.
#[derive(Debug)]
pub struct Blocks<'s> {
    source: &'s DataSource,
    /// what every block has besides
    fed: &'s [(String, Field)],
    body: Body<'s>,
    kept: Vec<Kept>,
    /// rows in a block
    block: usize,
    /// rows that were given
    given: usize,
    is_done: bool,
}

enum Body<'s> {
    Table(Box<TableBody<'s>>),
    Arrays(ArraysBody<'s>),
}

struct TableBody<'s> {
    table: csv::Table<BufReader<File>>,
    fields: Vec<LocatedColumns<'s>>,
    /// of each field
    groups: Vec<csv::Group>,
    /// the kept columns
    texts: Vec<usize>,
}

struct ArraysBody<'s> {
    fields: Vec<(Located<'s>, Unpacking<Numbers>)>,
    /// what the file holds once, for all rows
    once: Vec<(Located<'s>, Numbers)>,
    kept: Vec<KeptArray>,
    rows: (usize, usize),
    /// rows that were read, picked or not
    read: usize,
}

impl std::fmt::Debug for Body<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Table(_) => "Table",
            Self::Arrays(_) => "Arrays",
        })
    }
}

impl<'s> Blocks<'s> {
    /// Finds the fields of a file, and the columns or arrays to `keep`. Each block but the last has a multiple of `batch` rows;
    /// when there is no `batch` all rows are one block. `fed` are fields that every block has besides, one value for all rows each.
    ///
    /// # Errors
    /// `E0601` and `E0603`, as [`load`](super::load()).
    pub fn open(
        source: &'s DataSource,
        fields: &'s [FieldSpec],
        fed: &'s [(String, Field)],
        keep: &[String],
        batch: Option<u32>,
    ) -> Result<Self, Diagnostics> {
        let locator = Locator { source };
        let (format, file, len) = locator.open()?;
        let mut found = Vec::new();
        let opened = match format {
            Format::Csv => open_table(locator, file, fields, keep, &mut found),
            _ => ArrayFile::open(format, file, len, fields.first().map(|field| field.name.as_str()))
                .map_err(|error| locator.broken(error))
                .and_then(|arrays| open_arrays(locator, arrays, fields, keep, batch, &mut found)),
        };
        match opened {
            Ok((body, kept)) if found.is_empty() => {
                let block = block_rows(fields_len(&body), batch);
                Ok(Self { source, fed, body, kept, block, given: 0, is_done: false })
            }
            Ok(_) => Err(Diagnostics(found)),
            Err(diagnostic) => {
                found.push(diagnostic);
                Err(Diagnostics(found))
            }
        }
    }

    /// The kept columns.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// Reads and checks the next rows; `review` says what it knows of them. None after the last ones; the first block is there even
    /// where it has no rows.
    ///
    /// # Errors
    /// As [`load_reviewed`](super::load_reviewed).
    pub fn next_block(&mut self, review: &mut Review<'_>) -> Result<Option<Block>, Diagnostics> {
        if self.is_done {
            return Ok(None);
        }
        loop {
            let block = self.read_block(review)?;
            // No row of it may be picked.
            match block {
                Some(block) if block.data.rows == 0 && !self.is_done => {}
                Some(block) if block.data.rows == 0 && self.given > 0 => return Ok(None),
                block => {
                    self.given += block.as_ref().map_or(0, |block| block.data.rows);
                    return Ok(block);
                }
            }
        }
    }

    fn read_block(&mut self, review: &mut Review<'_>) -> Result<Option<Block>, Diagnostics> {
        let locator = Locator { source: self.source };
        let mut loading = Loading::new(locator, self.fed);
        let kept = match &mut self.body {
            Body::Table(body) => {
                let kept = body.next(&mut loading, locator, self.block, &self.kept)?;
                self.is_done = loading.dataset.rows < self.block;
                kept
            }
            Body::Arrays(body) => {
                let kept = body.next(&mut loading, locator, self.block, &self.kept)?;
                self.is_done = body.read == body.rows.1 - body.rows.0;
                kept
            }
        };
        if loading.dataset.rows == 0 && loading.diagnostics.is_empty() && self.given > 0 && self.is_done {
            return Ok(None);
        }
        let (data, _) = loading.reviewed(review)?;
        Ok(Some(Block { data, kept }))
    }
}

/// The numbers of a row, of all fields together.
fn fields_len(body: &Body<'_>) -> usize {
    let product = |shape: &[usize]| shape.iter().product::<usize>();
    match body {
        Body::Table(body) => body.fields.iter().map(|field| product(&field.shape)).sum(),
        Body::Arrays(body) => body.fields.iter().map(|(field, _)| product(&field.shape)).sum(),
    }
}

fn block_rows(row_len: usize, batch: Option<u32>) -> usize {
    let Some(batch) = batch else { return usize::MAX };
    let batch = batch.max(1) as usize;
    (BLOCK_VALUES / row_len.max(1) / batch).max(1) * batch
}

fn open_table<'s>(
    locator: Locator<'s>,
    file: File,
    fields: &'s [FieldSpec],
    keep: &[String],
    found: &mut Vec<Diagnostic>,
) -> Result<(Body<'s>, Vec<Kept>), Diagnostic> {
    let table = locator.table(file)?;
    let fields = locator.columns(&table.header, fields, found);
    let mut texts = Vec::new();
    for name in keep {
        match table.header.iter().position(|column| column == name) {
            Some(at) => texts.push(at),
            None => found.push(nothing_to_keep(locator, "column", name, &table.header)),
        }
    }
    let kept = kinds_of(locator, &table.header, &texts)?;
    let groups = fields.iter().map(|field| locator.group(field)).collect();
    Ok((Body::Table(Box::new(TableBody { table, fields, groups, texts })), kept))
}

/// Reads the kept columns once to know what they hold, since who writes them must say it before the first row.
fn kinds_of(locator: Locator<'_>, header: &[String], columns: &[usize]) -> Result<Vec<Kept>, Diagnostic> {
    let mut kinds = vec![KeptKind::Int; columns.len()];
    if !columns.is_empty() {
        let broken = |reason| locator.broken(NpyError::Broken(reason));
        let (_, file, _) = locator.open()?;
        let mut table = locator.table(file)?;
        loop {
            let rows = table.read_block(&[], columns, locator.source.rows, BLOCK_VALUES >> 8).map_err(broken)?;
            if rows.lines.is_empty() {
                break;
            }
            for (kind, cells) in kinds.iter_mut().zip(&rows.texts) {
                *kind = cells.iter().fold(*kind, |kind, cell| wider(kind, kind_of(cell)));
            }
        }
    }
    let name = |at: &usize| header[*at].clone();
    Ok(columns.iter().zip(kinds).map(|(at, kind)| Kept { name: name(at), kind }).collect())
}

/// A cell is a number when the number is written as the cell is: `007` is a text.
fn kind_of(cell: &str) -> KeptKind {
    if cell.parse::<i64>().is_ok_and(|number| number.to_string() == cell) {
        return KeptKind::Int;
    }
    let is_plain = !cell.starts_with(['0', '+']) || cell.starts_with("0.") || cell == "0";
    if is_plain && cell.parse::<f64>().is_ok() { KeptKind::Float } else { KeptKind::Text }
}

fn wider(a: KeptKind, b: KeptKind) -> KeptKind {
    match (a, b) {
        (KeptKind::Text, _) | (_, KeptKind::Text) => KeptKind::Text,
        (KeptKind::Float, _) | (_, KeptKind::Float) => KeptKind::Float,
        (KeptKind::Int, KeptKind::Int) => KeptKind::Int,
    }
}

impl TableBody<'_> {
    fn next(
        &mut self,
        loading: &mut Loading<'_>,
        locator: Locator<'_>,
        most: usize,
        kept: &[Kept],
    ) -> Result<Vec<KeptValues>, Diagnostic> {
        let broken = |reason| locator.broken(NpyError::Broken(reason));
        let mut rows = self.table.read_block(&self.groups, &self.texts, locator.source.rows, most).map_err(broken)?;
        if rows.lines.len() < most {
            locator.range(rows.total)?;
        }
        let texts = std::mem::take(&mut rows.texts);
        let fields: Vec<(&FieldSpec, &[usize])> =
            self.fields.iter().map(|field| (field.spec, field.shape.as_slice())).collect();
        loading.keep_cells(&fields, &self.groups, &self.table.header, rows);
        // The file was read before to know the kinds: a cell that does not fit is one that changed since.
        let values = |(kept, cells): (&Kept, Vec<String>)| match kept.kind {
            KeptKind::Text => Ok(KeptValues::Text(cells)),
            KeptKind::Int => numbers(&cells).map(KeptValues::Int),
            KeptKind::Float => numbers(&cells).map(KeptValues::Float),
        };
        let values: Result<Vec<KeptValues>, String> = kept.iter().zip(texts).map(values).collect();
        values.map_err(|cell| broken(format!("it changed while it was read: `{cell}`")))
    }
}

fn numbers<T: std::str::FromStr>(cells: &[String]) -> Result<Vec<T>, String> {
    cells.iter().map(|cell| cell.parse().map_err(|_| cell.clone())).collect()
}

fn nothing_to_keep(locator: Locator<'_>, what: &str, name: &str, names: &[String]) -> Diagnostic {
    locator
        .mistake(None, format!("{} has no {what} `{name}` to keep", locator.file()))
        .with_note(format!("found: {}", super::listed(names.iter())))
        .with_suggestion(name, names.iter().map(String::as_str))
}

fn open_arrays<'s>(
    locator: Locator<'s>,
    mut file: ArrayFile,
    fields: &'s [FieldSpec],
    keep: &[String],
    batch: Option<u32>,
    found: &mut Vec<Diagnostic>,
) -> Result<(Body<'s>, Vec<Kept>), Diagnostic> {
    let (located, mut rows) = locator.arrays(&mut file, fields, found)?;
    let by_rows = || located.iter().filter(|field| !field.is_once);
    let row_len = by_rows().map(|field| field.shape.iter().product::<usize>()).sum();
    let block = block_rows(row_len, batch);
    let (mut kept, mut indices) = (Vec::new(), Vec::new());
    for name in keep {
        let Some(index) = file.keys().iter().position(|key| key == name) else {
            found.push(nothing_to_keep(locator, "array", name, file.keys()));
            continue;
        };
        let spec = FieldSpec::new(name, &[], super::FieldKind::Float);
        let shape = file.shape(index).map_err(|error| locator.broken_array(&spec, error))?;
        if by_rows().next().is_none() && indices.is_empty() && !shape.is_empty() {
            rows = locator.range(shape[0])?;
        }
        if shape.len() != 1 || (locator.source.rows.is_none() && shape[0] != rows.1 - rows.0) {
            found.push(
                locator
                    .mistake(None, format!("the array `{name}` of {} is no column to keep", locator.file()))
                    .with_note(format!("found: the shape {}", super::shape_text(&shape)))
                    .with_note("expected: one number for each row"),
            );
            continue;
        }
        let kind = match file.stored(index).map_err(|error| locator.broken_array(&spec, error))? {
            Stored::Whole => KeptKind::Int,
            Stored::Float => KeptKind::Float,
            Stored::Text => KeptKind::Text,
        };
        kept.push(Kept { name: name.clone(), kind });
        indices.push(index);
    }
    if !found.is_empty() {
        return Ok((
            Body::Arrays(ArraysBody { fields: Vec::new(), once: Vec::new(), kept: Vec::new(), rows, read: 0 }),
            kept,
        ));
    }
    let lone = fields.first().map(|field| field.name.as_str());
    let unpack = |index: usize| Unpacking::begin(locator, lone, index, rows, block);
    let unpack_kept = |(index, kept): (usize, &Kept)| match kept.kind {
        KeptKind::Text => Unpacking::begin(locator, lone, index, rows, block).map(KeptArray::Texts),
        KeptKind::Int | KeptKind::Float => unpack(index).map(KeptArray::Numbers),
    };
    let kept_arrays = indices.into_iter().zip(&kept).map(unpack_kept).collect::<Result<Vec<_>, _>>()?;
    let (once, located): (Vec<_>, Vec<_>) = located.into_iter().partition(|field| field.is_once);
    let read_once = |field: Located<'s>| match file.read(field.index, None) {
        Ok(values) => Ok((field, values)),
        Err(error) => Err(locator.broken_array(field.spec, error)),
    };
    let once = once.into_iter().map(read_once).collect::<Result<Vec<_>, _>>()?;
    let fields = located.into_iter().map(|field| unpack(field.index).map(|array| (field, array)));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok((Body::Arrays(ArraysBody { fields, once, kept: kept_arrays, rows, read: 0 }), kept))
}

impl ArraysBody<'_> {
    fn next(
        &mut self,
        loading: &mut Loading<'_>,
        locator: Locator<'_>,
        most: usize,
        kept: &[Kept],
    ) -> Result<Vec<KeptValues>, Diagnostic> {
        let (start, stop) = (self.rows.0 + self.read, self.rows.1);
        let n_read = (stop - start).min(most);
        self.read += n_read;
        let picked = locator.picked(start, start + n_read);
        loading.dataset.rows = picked.as_ref().map_or(n_read, |picked| picked.len());
        for (field, array) in &self.fields {
            match array.next() {
                Ok(values) => {
                    let row_len = field.shape.iter().product();
                    let values = picked_of(&picked, start, row_len, values.unwrap_or(NO_VALUES));
                    loading.keep_rows(field.spec, field.shape.clone(), start, picked.clone(), values);
                }
                Err(error) => loading.diagnostics.push(locator.broken_array(field.spec, error)),
            }
        }
        for (field, values) in &self.once {
            loading.keep_rows(field.spec, field.shape.clone(), 0, None, values.clone());
        }
        let mut all = Vec::new();
        for (array, kept) in self.kept.iter().zip(kept) {
            let spec = FieldSpec::new(&kept.name, &[], super::FieldKind::Float);
            let array = match array {
                KeptArray::Numbers(array) => array,
                KeptArray::Texts(array) => {
                    let texts = array.next().map_err(|error| locator.broken_array(&spec, error))?.unwrap_or_default();
                    all.push(KeptValues::Text(match &picked {
                        Some(picked) => picked.iter().map(|row| texts[*row as usize - start].clone()).collect(),
                        None => texts,
                    }));
                    continue;
                }
            };
            let values = array.next().map_err(|error| locator.broken_array(&spec, error))?;
            let values = picked_of(&picked, start, 1, values.unwrap_or(NO_VALUES));
            let values: Vec<f64> = (0..values.len()).map(|at| values.get(at)).collect();
            if let (KeptKind::Int, Some(large)) = (kept.kind, values.iter().find(|value| value.abs() > LARGEST_EXACT)) {
                let finding = locator.mistake(None, format!("`{}` holds numbers that are not kept exactly", kept.name));
                return Err(finding.with_note(format!("found: {large}")).with_note("expected: at most 2^53"));
            }
            all.push(match kept.kind {
                KeptKind::Int => KeptValues::Int(values.into_iter().map(|value| value as i64).collect()),
                _ => KeptValues::Float(values),
            });
        }
        Ok(all)
    }
}

/// What an array has after its last row.
const NO_VALUES: Numbers = Numbers::F32(Vec::new());

/// An array that is passed on.
enum KeptArray {
    Numbers(Unpacking<Numbers>),
    Texts(Unpacking<Vec<String>>),
}

/// An array that a thread unpacks, in blocks.
struct Unpacking<T>(Receiver<Result<T, NpyError>>);

impl<T: RowValues + Send + 'static> Unpacking<T> {
    fn begin(
        locator: Locator<'_>,
        lone: Option<&str>,
        index: usize,
        rows: (usize, usize),
        block: usize,
    ) -> Result<Self, Diagnostic> {
        // A file of its own: each array is read from another place.
        let (format, file, len) = locator.open()?;
        let mut arrays = ArrayFile::open(format, file, len, lone).map_err(|error| locator.broken(error))?;
        let (sender, receiver) = sync_channel(1);
        let work = move || {
            let give = &mut |values| sender.send(Ok(values)).is_ok();
            if let Err(error) = arrays.read_blocks(index, rows, block, give) {
                // Who no longer listens has been told enough.
                let _ = sender.send(Err(error));
            }
        };
        let thread = std::thread::Builder::new().name("unpack".into()).spawn(work);
        thread.map_err(|error| locator.broken(NpyError::Broken(error.to_string())))?;
        Ok(Self(receiver))
    }

    /// The next block; none after the last.
    fn next(&self) -> Result<Option<T>, NpyError> {
        self.0.recv().ok().transpose()
    }
}
