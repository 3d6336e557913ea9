//! Writing named tensors: `.safetensors` for params and checkpoints, `.npz` for predictions.
//!
//! Both appear whole, by [`write_whole`]. Same tensors, same bytes: no time stamps, and metadata in order of its keys.
//! The header of a safetensors file is written here because the crate takes metadata as a hash map, whose order varies.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, Write};
use std::path::Path;

use indexmap::IndexMap;
use ndarray::{ArrayViewD, IxDyn};
use ndarray_npy::NpzWriter;
use serde::Serialize;

use crate::diag::Diagnostic;

use super::files::{Existing, cannot_write, write_whole};
use super::{Numbers, shape_text};

/// One tensor to write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TensorRef<'a> {
    pub name: &'a str,
    pub shape: &'a [usize],
    pub values: NumbersRef<'a>,
}

/// Borrowed row-major values of one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NumbersRef<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    I32(&'a [i32]),
}

impl<'a> From<&'a Numbers> for NumbersRef<'a> {
    fn from(values: &'a Numbers) -> Self {
        match values {
            Numbers::F32(values) => NumbersRef::F32(values),
            Numbers::F64(values) => NumbersRef::F64(values),
            Numbers::I32(values) => NumbersRef::I32(values),
        }
    }
}

impl NumbersRef<'_> {
    fn len(self) -> usize {
        match self {
            NumbersRef::F32(values) => values.len(),
            NumbersRef::F64(values) => values.len(),
            NumbersRef::I32(values) => values.len(),
        }
    }

    /// The element type in the words of safetensors, and its size in bytes.
    fn element(self) -> (&'static str, usize) {
        match self {
            NumbersRef::F32(_) => ("F32", 4),
            NumbersRef::F64(_) => ("F64", 8),
            NumbersRef::I32(_) => ("I32", 4),
        }
    }
}

/// Writes tensors and texts about them as a `.safetensors` file, f64 first so that every tensor is aligned. A regular file of
/// that name is replaced.
///
/// # Errors
/// `E0605` when the file cannot be written, anything but a regular file stands there, or the tensors are not consistent.
pub fn write_safetensors(
    path: &Path,
    tensors: &[TensorRef<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<(), Diagnostic> {
    check_consistent(path, tensors)?;
    whole(path, Existing::Replace, |out| safetensors_to(out, tensors, metadata))
}

/// Writes what [`write_safetensors`] writes, whose names and shapes are right, to anything.
pub(crate) fn safetensors_to(
    out: &mut dyn Write,
    tensors: &[TensorRef<'_>],
    metadata: &BTreeMap<String, String>,
) -> io::Result<()> {
    let mut ordered: Vec<&TensorRef<'_>> = tensors.iter().collect();
    ordered.sort_by_key(|tensor| std::cmp::Reverse(tensor.values.element().1));
    let header = safetensors_header(&ordered, metadata)?;
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(&header)?;
    ordered.iter().try_for_each(|tensor| match tensor.values {
        NumbersRef::F32(values) => write_numbers(out, values, f32::to_le_bytes),
        NumbersRef::F64(values) => write_numbers(out, values, f64::to_le_bytes),
        NumbersRef::I32(values) => write_numbers(out, values, i32::to_le_bytes),
    })
}

/// Numbers are turned into bytes so many at a time.
const NUMBERS_AT_ONCE: usize = 8192;

fn write_numbers<N: Copy, const SIZE: usize>(
    out: &mut dyn Write,
    values: &[N],
    bytes_of: impl Fn(N) -> [u8; SIZE],
) -> io::Result<()> {
    let mut buffer = vec![[0; SIZE]; NUMBERS_AT_ONCE.min(values.len())];
    for values in values.chunks(NUMBERS_AT_ONCE) {
        for (bytes, value) in buffer.iter_mut().zip(values) {
            *bytes = bytes_of(*value);
        }
        out.write_all(buffer[..values.len()].as_flattened())?;
    }
    Ok(())
}

#[derive(Serialize)]
#[serde(untagged)]
enum HeaderEntry<'a> {
    Metadata(&'a BTreeMap<String, String>),
    Tensor { dtype: &'static str, shape: &'a [usize], data_offsets: (usize, usize) },
}

/// The JSON header, padded to a multiple of 8 bytes.
fn safetensors_header(tensors: &[&TensorRef<'_>], metadata: &BTreeMap<String, String>) -> io::Result<Vec<u8>> {
    let mut entries: IndexMap<&str, HeaderEntry<'_>> = IndexMap::new();
    if !metadata.is_empty() {
        entries.insert("__metadata__", HeaderEntry::Metadata(metadata));
    }
    let mut offset = 0;
    for tensor in tensors {
        let (dtype, size) = tensor.values.element();
        let end = offset + tensor.values.len() * size;
        let entry = HeaderEntry::Tensor { dtype, shape: tensor.shape, data_offsets: (offset, end) };
        entries.insert(tensor.name, entry);
        offset = end;
    }
    let mut header = serde_json::to_vec(&entries)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok(header)
}

/// Writes tensors as an uncompressed `.npz` file. A regular file of that name is replaced.
///
/// # Errors
/// As [`write_safetensors`].
pub fn write_npz(path: &Path, tensors: &[TensorRef<'_>]) -> Result<(), Diagnostic> {
    write_npz_where(path, Existing::Replace, tensors)
}

/// [`write_npz`] where a file of that name may be kept instead.
///
/// # Errors
/// As [`write_safetensors`], and `E0605` when a file stands there that is kept.
pub fn write_npz_where(path: &Path, existing: Existing, tensors: &[TensorRef<'_>]) -> Result<(), Diagnostic> {
    check_consistent(path, tensors)?;
    whole(path, existing, |out| npz_to(out, tensors))
}

/// Writes what [`write_npz`] writes, whose names and shapes are right, to anything that can be gone back in.
pub(super) fn npz_to(out: &mut (impl Write + Seek), tensors: &[TensorRef<'_>]) -> io::Result<()> {
    let mut archive = NpzWriter::new(out);
    for tensor in tensors {
        let shape = IxDyn(tensor.shape);
        match tensor.values {
            NumbersRef::F32(values) => add_array(&mut archive, tensor.name, shape, values)?,
            NumbersRef::F64(values) => add_array(&mut archive, tensor.name, shape, values)?,
            NumbersRef::I32(values) => add_array(&mut archive, tensor.name, shape, values)?,
        }
    }
    archive.finish().map_err(io::Error::other)?;
    Ok(())
}

fn add_array<T: ndarray_npy::WritableElement>(
    archive: &mut NpzWriter<&mut (impl Write + Seek)>,
    name: &str,
    shape: IxDyn,
    values: &[T],
) -> io::Result<()> {
    let view = ArrayViewD::from_shape(shape, values).map_err(io::Error::other)?;
    archive.add_array(name, &view).map_err(io::Error::other)
}

fn whole(
    path: &Path,
    existing: Existing,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>,
) -> Result<(), Diagnostic> {
    write_whole(path, existing, write).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => cannot_write(path, error).with_help("name a new file"),
        _ => cannot_write(path, error),
    })
}

fn check_consistent(path: &Path, tensors: &[TensorRef<'_>]) -> Result<(), Diagnostic> {
    let mut names: Vec<&str> = tensors.iter().map(|tensor| tensor.name).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(cannot_write(path, format!("two tensors are named `{}`", pair[0])));
    }
    if names.contains(&"__metadata__") {
        return Err(cannot_write(path, "a tensor is named `__metadata__`, which the format reserves"));
    }
    for tensor in tensors {
        let n_elements = tensor.shape.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        if n_elements != Some(tensor.values.len()) {
            let (shape, len) = (shape_text(tensor.shape), tensor.values.len());
            return Err(cannot_write(path, format!("tensor `{}` has {len} values for the shape {shape}", tensor.name)));
        }
    }
    Ok(())
}
