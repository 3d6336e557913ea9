//! A table as CSV: a header, then a line for each row. A row of several values is several columns, `NAME_0`, `NAME_1`, …, so that
//! a run config reads it back by `NAME_0..NAME_9`.

use super::{Cells, Column, Sink, number_text};
use crate::data::NumbersRef;
use ::csv::Writer;
use std::io::{self, Write};

pub(super) struct CsvSink<W: Write> {
    writer: Writer<W>,
    /// the values of each column in a row
    row_lens: Vec<usize>,
}

impl<W: Write> CsvSink<W> {
    pub(super) fn new(columns: &[Column], out: W) -> io::Result<Self> {
        let mut writer = Writer::from_writer(out);
        writer.write_record(columns.iter().flat_map(Column::flat_names))?;
        Ok(Self { writer, row_lens: columns.iter().map(Column::row_len).collect() })
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn write(&mut self, n_rows: usize, cells: &[Cells<'_>]) -> io::Result<()> {
        for row in 0..n_rows {
            for (cells, &len) in cells.iter().zip(&self.row_lens) {
                for at in row * len..(row + 1) * len {
                    match cells {
                        Cells::Texts(texts) => self.writer.write_field(&texts[at])?,
                        _ => self.writer.write_field(cell_text(cells, at))?,
                    }
                }
            }
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.writer.flush()
    }
}

fn cell_text(cells: &Cells<'_>, at: usize) -> String {
    match cells {
        Cells::Numbers(NumbersRef::F32(values)) => number_text(values[at], f64::from(values[at]).abs()),
        Cells::Numbers(NumbersRef::F64(values)) => number_text(values[at], values[at].abs()),
        Cells::Numbers(NumbersRef::I32(values)) => values[at].to_string(),
        Cells::Ints(values) => values[at].to_string(),
        Cells::Texts(values) => values[at].clone(),
    }
}
