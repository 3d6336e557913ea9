//! A table as an uncompressed `.npz` archive, an array for each column.
//!
//! An archive holds one array after another and the size of each before its values, while rows come for all columns at once: so
//! each column is gathered in a nameless file beside the target, and the archive is put together when the last row is there.

use super::{CellKind, Cells, Column, Sink};
use crate::data::NumbersRef;
use crate::data::files::parent;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Larger entries need the zip format's long sizes.
const LARGE: u64 = u32::MAX as u64;

pub(super) struct NpzSink<W: Write + Seek> {
    out: W,
    columns: Vec<Gathered>,
}

/// The values of a column so far.
struct Gathered {
    column: Column,
    file: BufWriter<File>,
    n_rows: usize,
    /// the characters of its longest text; at least 1, the shortest that NumPy has
    width: usize,
}

impl<W: Write + Seek> NpzSink<W> {
    pub(super) fn new(path: &Path, columns: &[Column], out: W) -> io::Result<Self> {
        let gathered = |column: &Column| {
            let file = BufWriter::new(tempfile::tempfile_in(parent(path))?);
            Ok(Gathered { column: column.clone(), file, n_rows: 0, width: 1 })
        };
        Ok(Self { out, columns: columns.iter().map(gathered).collect::<io::Result<_>>()? })
    }
}

impl<W: Write + Seek> Sink for NpzSink<W> {
    fn write(&mut self, n_rows: usize, cells: &[Cells<'_>]) -> io::Result<()> {
        self.columns.iter_mut().zip(cells).try_for_each(|(column, cells)| column.take(n_rows, cells))
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self { out, columns } = *self;
        let mut archive = ZipWriter::new(out);
        for column in columns {
            column.put(&mut archive)?;
        }
        archive.finish()?.flush()
    }
}

impl Gathered {
    fn take(&mut self, n_rows: usize, cells: &Cells<'_>) -> io::Result<()> {
        self.n_rows += n_rows;
        let file = &mut self.file;
        match cells {
            Cells::Numbers(NumbersRef::F32(all)) => {
                all.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
            }
            Cells::Numbers(NumbersRef::F64(all)) => {
                all.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
            }
            Cells::Numbers(NumbersRef::I32(all)) => {
                all.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
            }
            Cells::Ints(all) => all.iter().try_for_each(|value| file.write_all(&value.to_le_bytes())),
            Cells::Texts(all) => {
                let width = &mut self.width;
                all.iter().try_for_each(|text| {
                    *width = (*width).max(text.chars().count());
                    file.write_all(&(text.len() as u64).to_le_bytes())?;
                    file.write_all(text.as_bytes())
                })
            }
        }
    }

    /// Adds the array to an archive.
    fn put<W: Write + Seek>(self, archive: &mut ZipWriter<W>) -> io::Result<()> {
        let Self { column, file, n_rows, width } = self;
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let (descriptor, size) = match column.kind {
            CellKind::F32 => ("<f4".to_string(), 4),
            CellKind::F64 => ("<f8".to_string(), 8),
            CellKind::I32 => ("<i4".to_string(), 4),
            CellKind::I64 => ("<i8".to_string(), 8),
            CellKind::Text => (format!("<U{width}"), 4 * width),
        };
        let rows = column.is_by_row.then_some(n_rows);
        let shape: Vec<usize> = rows.into_iter().chain(column.shape.iter().copied()).collect();
        let n_bytes = shape.iter().product::<usize>() as u64 * size as u64;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(n_bytes + 1024 > LARGE);
        archive.start_file(format!("{}.npy", column.name), options)?;
        archive.write_all(&header(&descriptor, &shape))?;
        file.seek(SeekFrom::Start(0))?;
        let mut file = BufReader::new(file);
        if column.kind == CellKind::Text {
            return (0..n_rows).try_for_each(|_| put_text(&mut file, archive, width));
        }
        io::copy(&mut file, archive).map(drop)
    }
}

/// One text as NumPy has it: its characters in UTF-32, filled up with zeros.
fn put_text(file: &mut impl Read, out: &mut impl Write, width: usize) -> io::Result<()> {
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let mut text = String::new();
    file.take(u64::from_le_bytes(len)).read_to_string(&mut text)?;
    let padding = std::iter::repeat_n(0, width - text.chars().count());
    let codes = text.chars().map(u32::from).chain(padding);
    codes.into_iter().try_for_each(|code| out.write_all(&code.to_le_bytes()))
}

/// The header of a `.npy` array (NEP 1, version 1), padded so that the values are aligned.
fn header(descriptor: &str, shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let shape = match shape.len() {
        1 => format!("({})", extents.trim_end()),
        _ => format!("({})", extents.trim_end_matches(", ")),
    };
    let mut text = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = 10 + text.len() + 1;
    text.push_str(&" ".repeat(unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}
