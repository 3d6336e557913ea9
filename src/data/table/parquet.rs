//! A table as Parquet: a column for each number of a row, as CSV has them, in the type that it was computed in; compressed by Snappy.
//! Each block of rows is a row group.

use super::{CellKind, Cells, Column, Sink};
use crate::data::NumbersRef;
use ::parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{Type, TypePtr};
use std::io::{self, Write};
use std::sync::Arc;

pub(super) struct ParquetSink<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// the values of each column in a row
    row_lens: Vec<usize>,
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

impl<W: Write + Send> ParquetSink<W> {
    pub(super) fn new(columns: &[Column], out: W) -> io::Result<Self> {
        let mut fields = Vec::new();
        for column in columns {
            for name in column.flat_names() {
                fields.push(field(&name, column.kind)?);
            }
        }
        let schema = Type::group_type_builder("rows").with_fields(fields).build().map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, row_lens: columns.iter().map(Column::row_len).collect() })
    }
}

fn field(name: &str, kind: CellKind) -> io::Result<TypePtr> {
    let (physical, logical) = match kind {
        CellKind::F32 => (Physical::FLOAT, None),
        CellKind::F64 => (Physical::DOUBLE, None),
        CellKind::I32 => (Physical::INT32, None),
        CellKind::I64 => (Physical::INT64, None),
        CellKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let builder = Type::primitive_type_builder(name, physical);
    let built = builder.with_repetition(Repetition::REQUIRED).with_logical_type(logical).build();
    built.map(Arc::new).map_err(failed)
}

/// The values of one number of each row.
fn strided<T: Clone>(values: &[T], at: usize, len: usize) -> Vec<T> {
    values.iter().skip(at).step_by(len).cloned().collect()
}

impl<W: Write + Send> Sink for ParquetSink<W> {
    fn write(&mut self, n_rows: usize, cells: &[Cells<'_>]) -> io::Result<()> {
        if n_rows == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for (cells, &len) in cells.iter().zip(&self.row_lens) {
            for at in 0..len {
                let Some(mut column) = group.next_column().map_err(failed)? else { break };
                match cells {
                    Cells::Numbers(NumbersRef::F32(values)) => {
                        column.typed::<FloatType>().write_batch(&strided(values, at, len), None, None)
                    }
                    Cells::Numbers(NumbersRef::F64(values)) => {
                        column.typed::<DoubleType>().write_batch(&strided(values, at, len), None, None)
                    }
                    Cells::Numbers(NumbersRef::I32(values)) => {
                        column.typed::<Int32Type>().write_batch(&strided(values, at, len), None, None)
                    }
                    Cells::Ints(values) => {
                        column.typed::<Int64Type>().write_batch(&strided(values, at, len), None, None)
                    }
                    Cells::Texts(values) => {
                        let texts: Vec<ByteArray> = values.iter().map(|text| text.as_str().into()).collect();
                        column.typed::<ByteArrayType>().write_batch(&texts, None, None)
                    }
                }
                .map_err(failed)?;
                column.close().map_err(failed)?;
            }
        }
        group.close().map(drop).map_err(failed)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.writer.close().map(drop).map_err(failed)
    }
}
