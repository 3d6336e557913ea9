//! Data files that are read by way of a temporary one in a format that is: packed ones, JSON lines, idx, safetensors.
//!
//! Takes an open file and what its name says; gives a nameless file of the same rows as CSV, npy or npz. What is not whole is said
//! so, and no claimed size is believed before it is held against the file.

use super::locate::Format;
use super::npy::NpyError;
use super::params::parse_safetensors;
use super::write::npz_to;
use super::{NumbersRef, TensorRef};
use flate2::bufread::MultiGzDecoder;
use indexmap::IndexMap;
use serde_json::Value;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};

/// A nameless file that is ready to be read, and its length.
type Made = (File, u64);

/// Unpacks a file of gzip, to its checksums.
///
/// # Errors
/// Why the file is not read.
pub(super) fn unpacked(file: File) -> Result<Made, NpyError> {
    let mut reader = MultiGzDecoder::new(BufReader::new(file));
    make(|out| io::copy(&mut reader, out).map(drop).map_err(|error| broken(format!("its packing: {error}"))))
}

/// The file in a format that arrays and tables are read from.
///
/// # Errors
/// Why the file is not read.
pub(super) fn as_read(format: Format, file: File, len: u64) -> Result<(Format, File, u64), NpyError> {
    let (format, (file, len)) = match format {
        Format::Jsonl => (Format::Csv, csv_of_lines(file)?),
        Format::Tsv => (Format::Csv, (file, len)),
        Format::Idx => (Format::Npy, npy_of_idx(file, len)?),
        Format::Safetensors => (Format::Npz, npz_of_tensors(file, len)?),
        #[cfg(feature = "parquet")]
        Format::Parquet => (Format::Csv, super::parquet::as_csv(file)?),
        _ => (format, (file, len)),
    };
    Ok((format, file, len))
}

fn broken(reason: impl Into<String>) -> NpyError {
    NpyError::Broken(reason.into())
}

fn make(write: impl FnOnce(&mut BufWriter<File>) -> Result<(), NpyError>) -> Result<Made, NpyError> {
    let mut out = BufWriter::new(tempfile::tempfile()?);
    write(&mut out)?;
    let mut file = out.into_inner().map_err(|error| broken(error.to_string()))?;
    let len = file.stream_position()?;
    file.rewind()?;
    Ok((file, len))
}

/// The longest line of JSON that is read.
const LONGEST_LINE: u64 = 64 << 20;

/// The objects of a file of JSON lines, with the numbers of their lines. Blank lines are none.
fn for_each_object(
    file: &mut File,
    mut visit: impl FnMut(u64, serde_json::Map<String, Value>) -> Result<(), NpyError>,
) -> Result<(), NpyError> {
    file.rewind()?;
    let mut reader = BufReader::new(file);
    let mut text = String::new();
    for line in 1.. {
        text.clear();
        if reader.by_ref().take(LONGEST_LINE).read_line(&mut text)? == 0 {
            break;
        }
        if text.trim().is_empty() {
            continue;
        }
        match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => visit(line, object)?,
            Ok(_) => return Err(broken(format!("line {line} is no object"))),
            Err(error) => return Err(broken(format!("line {line} is no JSON: {error}"))),
        }
    }
    Ok(())
}

/// A table of JSON lines: a column for each key, and for each number of an array `KEY_0`, `KEY_1`, … in row-major order. A key that a
/// line does not have, and `null`, is an empty cell; `true` and `false` are 1 and 0.
fn csv_of_lines(mut file: File) -> Result<Made, NpyError> {
    // The numbers in the array of each key; none of a single value.
    let mut keys: IndexMap<String, Option<usize>> = IndexMap::new();
    for_each_object(&mut file, |line, object| {
        for (key, value) in object {
            let len = match &value {
                Value::Null => continue,
                Value::Object(_) => return Err(unsupported(line, &key, "an object")),
                Value::Array(_) => {
                    let mut cells = Vec::new();
                    flatten(&value, line, &key, &mut cells)?;
                    Some(cells.len())
                }
                _ => None,
            };
            match keys.get(&key) {
                Some(known) if *known != len => {
                    let text = |len: &Option<usize>| len.map_or("one value".into(), |len| format!("{len} in an array"));
                    let reason = format!("`{key}` has {} on line {line}, and {} before", text(&len), text(known));
                    return Err(broken(reason));
                }
                Some(_) => {}
                None => drop(keys.insert(key, len)),
            }
        }
        Ok(())
    })?;
    make(|out| {
        let mut table = ::csv::Writer::from_writer(out);
        let failed = |error: ::csv::Error| broken(error.to_string());
        let names = keys.iter().flat_map(|(key, len)| match len {
            None => vec![key.clone()],
            Some(len) => (0..*len).map(|at| format!("{key}_{at}")).collect(),
        });
        table.write_record(names.collect::<Vec<_>>()).map_err(failed)?;
        for_each_object(&mut file, |line, object| {
            let mut cells = Vec::new();
            for (key, len) in &keys {
                match object.get(key) {
                    None | Some(Value::Null) => cells.resize(cells.len() + len.unwrap_or(1), String::new()),
                    Some(value) => flatten(value, line, key, &mut cells)?,
                }
            }
            table.write_record(cells).map_err(failed)
        })?;
        table.flush()?;
        Ok(())
    })
}

fn unsupported(line: u64, key: &str, what: &str) -> NpyError {
    NpyError::Unsupported(format!("`{key}` on line {line}, which is {what}"))
}

fn flatten(value: &Value, line: u64, key: &str, cells: &mut Vec<String>) -> Result<(), NpyError> {
    match value {
        Value::Null => cells.push(String::new()),
        Value::Bool(value) => cells.push(u8::from(*value).to_string()),
        Value::Number(number) => cells.push(number.to_string()),
        Value::String(text) => cells.push(text.clone()),
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, line, key, cells))?,
        Value::Object(_) => return Err(unsupported(line, key, "an object in an array")),
    }
    Ok(())
}

/// An array of idx, the format of MNIST, as npy: both hold big-endian numbers row by row. LeCun, Cortes, Burges, "The MNIST
/// database", section "File formats".
fn npy_of_idx(mut file: File, len: u64) -> Result<Made, NpyError> {
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| broken("it does not begin like an idx array"))?;
    let [0, 0, kind, n_axes] = magic else { return Err(broken("it does not begin like an idx array")) };
    let (descriptor, size) = match kind {
        0x08 => ("|u1", 1_u64),
        0x09 => ("|i1", 1),
        0x0b => (">i2", 2),
        0x0c => (">i4", 4),
        0x0d => (">f4", 4),
        0x0e => (">f8", 8),
        _ => return Err(NpyError::Unsupported(format!("its element type {kind:#04x} is none of idx"))),
    };
    if n_axes == 0 {
        return Err(broken("an array without axes"));
    }
    let mut shape = Vec::new();
    let mut claimed = Some(size);
    for _ in 0..n_axes {
        let mut extent = [0; 4];
        file.read_exact(&mut extent).map_err(|_| broken("it ends within its header"))?;
        let extent = u32::from_be_bytes(extent);
        claimed = claimed.and_then(|claimed| claimed.checked_mul(u64::from(extent)));
        shape.push(extent.to_string());
    }
    let rest = len.saturating_sub(4 + 4 * u64::from(n_axes));
    if claimed != Some(rest) {
        let claimed = claimed.map_or("more than 2^64".into(), |claimed| claimed.to_string());
        return Err(broken(format!("its header claims {claimed} bytes of values, and there are {rest}")));
    }
    // A tuple of one has a comma.
    let shape = format!("({},)", shape.join(", "));
    let mut header = format!("{{'descr': '{descriptor}', 'fortran_order': False, 'shape': {shape}, }}");
    let padding = (64 - (10 + header.len() + 1) % 64) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    make(|out| {
        out.write_all(b"\x93NUMPY\x01\x00")?;
        let len = u16::try_from(header.len()).map_err(|_| broken("more axes than are read"))?;
        out.write_all(&len.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        io::copy(&mut file, out)?;
        Ok(())
    })
}

/// The tensors of a safetensors file as npz.
fn npz_of_tensors(file: File, len: u64) -> Result<Made, NpyError> {
    let mut bytes = Vec::new();
    file.take(len).read_to_end(&mut bytes)?;
    let tensors = parse_safetensors(&bytes).map_err(broken)?.tensors;
    drop(bytes);
    let tensors: Vec<TensorRef<'_>> = (tensors.iter())
        .map(|(name, tensor)| TensorRef { name, shape: &tensor.shape, values: NumbersRef::from(&tensor.values) })
        .collect();
    make(|out| npz_to(out, &tensors).map_err(|error| broken(error.to_string())))
}
