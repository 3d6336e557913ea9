//! A table as JSON lines: an object for each row, arrays nested as the output's shape is. JSON has no word for what is no finite
//! number, so that is `null`.

use super::{Cells, Column, Sink};
use crate::data::NumbersRef;
use std::io::{self, Write};

pub(super) struct JsonlSink<W: Write> {
    out: W,
    columns: Vec<Column>,
}

impl<W: Write> JsonlSink<W> {
    pub(super) fn new(columns: &[Column], out: W) -> Self {
        Self { out, columns: columns.to_vec() }
    }
}

impl<W: Write> Sink for JsonlSink<W> {
    fn write(&mut self, n_rows: usize, cells: &[Cells<'_>]) -> io::Result<()> {
        for row in 0..n_rows {
            for (at, (column, cells)) in self.columns.iter().zip(cells).enumerate() {
                self.out.write_all(if at == 0 { b"{" } else { b"," })?;
                serde_json::to_writer(&mut self.out, &column.name)?;
                self.out.write_all(b":")?;
                nested(&mut self.out, &column.shape, cells, row * column.row_len())?;
            }
            self.out.write_all(b"}\n")?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.out.flush()
    }
}

/// The values of a shape that begin at a place.
fn nested(out: &mut impl Write, shape: &[usize], cells: &Cells<'_>, at: usize) -> io::Result<()> {
    let Some((extent, rest)) = shape.split_first() else {
        return Ok(match cells {
            Cells::Numbers(NumbersRef::F32(values)) => serde_json::to_writer(out, &values[at]),
            Cells::Numbers(NumbersRef::F64(values)) => serde_json::to_writer(out, &values[at]),
            Cells::Numbers(NumbersRef::I32(values)) => serde_json::to_writer(out, &values[at]),
            Cells::Ints(values) => serde_json::to_writer(out, &values[at]),
            Cells::Texts(values) => serde_json::to_writer(out, &values[at]),
        }?);
    };
    let step: usize = rest.iter().product();
    out.write_all(b"[")?;
    for item in 0..*extent {
        if item > 0 {
            out.write_all(b",")?;
        }
        nested(out, rest, cells, at + item * step)?;
    }
    out.write_all(b"]")
}
