//! Parquet files: their rows as CSV, so that whatever reads a table reads them.
//!
//! Takes an open file; gives a nameless temporary one. Numbers are written so that they read back as they were, a value that is missing is
//! an empty cell, times are the whole numbers that the file holds. Columns of several values are refused.

use super::npy::NpyError;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The names of the columns.
///
/// # Errors
/// Why the file is not read.
pub(super) fn names(file: File) -> Result<Vec<String>, NpyError> {
    guarded(|| names_of(&open(file)?))
}

/// The rows as CSV, and its length in bytes.
///
/// # Errors
/// Why the file is not read.
pub(super) fn as_csv(file: File) -> Result<(File, u64), NpyError> {
    guarded(|| {
        let reader = open(file)?;
        let mut table = csv::Writer::from_writer(BufWriter::new(tempfile::tempfile().map_err(broken)?));
        table.write_record(names_of(&reader)?).map_err(broken)?;
        for row in reader.get_row_iter(None).map_err(broken)? {
            for (name, field) in row.map_err(broken)?.get_column_iter() {
                table.write_field(cell(name, field)?).map_err(broken)?;
            }
            table.write_record(None::<&[u8]>).map_err(broken)?;
        }
        let mut file = table.into_inner().map_err(broken)?.into_inner().map_err(broken)?;
        file.flush().map_err(broken)?;
        let len = file.stream_position().map_err(broken)?;
        file.rewind().map_err(broken)?;
        Ok((file, len))
    })
}

fn broken(error: impl std::fmt::Display) -> NpyError {
    let reason = error.to_string();
    match reason.split_once("Disabled feature at compile time: ") {
        None => NpyError::Broken(reason),
        Some((_, codec)) => {
            NpyError::Unsupported(format!("values that are compressed by {codec}; Snappy, gzip and none are read"))
        }
    }
}

/// The crate does not say that no file makes it panic, and a file is not ours.
fn guarded<T>(read: impl FnOnce() -> Result<T, NpyError>) -> Result<T, NpyError> {
    let given_up = |_| Err(NpyError::Broken("bytes that the reader of Parquet gives up on".into()));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(given_up)
}

fn open(file: File) -> Result<SerializedFileReader<File>, NpyError> {
    SerializedFileReader::new(file).map_err(broken)
}

fn names_of(reader: &SerializedFileReader<File>) -> Result<Vec<String>, NpyError> {
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    match columns.iter().find(|column| column.path().parts().len() != 1 || column.max_rep_level() > 0) {
        Some(nested) => {
            let name = nested.path().string();
            Err(NpyError::Unsupported(format!("the column `{name}`, which holds several values in a row")))
        }
        None => Ok(columns.iter().map(|column| column.name().to_string()).collect()),
    }
}

fn cell(name: &str, field: &Field) -> Result<String, NpyError> {
    Ok(match field {
        Field::Null => String::new(),
        Field::Bool(value) => u8::from(*value).to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) | Field::Date(value) | Field::TimeMillis(value) => value.to_string(),
        Field::Long(value)
        | Field::TimeMicros(value)
        | Field::TimestampMillis(value)
        | Field::TimestampMicros(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => value.to_f32().to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.clone(),
        other => {
            let found = format!("{other} in the column `{name}`, which is no number and no text");
            return Err(NpyError::Unsupported(found));
        }
    })
}
