//! Named tensors from a file: initial values and checkpoints, from `.safetensors` or `.npz`.
//!
//! [`read`] takes a [`ParamsSource`] and gives [`NamedTensors`] under the names that the program knows them by;
//! [`NamedTensors::check`] holds them against the params of a program. Everything wrong is `E0606`, all of it at once.
//! [`write_safetensors`](super::write_safetensors) writes what [`read`] reads.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use safetensors::{Dtype, SafeTensors};

use crate::diag::{Code, Diagnostic, Diagnostics, Span};

use super::flaw::index_of;
use super::npz::Archive;
use super::{Numbers, TensorRef, listed, open_regular, shape_text};

/// A file of tensors and how its names map to the program's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParamsSource {
    pub path: PathBuf,
    /// Only keys that begin with it are read; names are what follows it.
    pub prefix: Option<String>,
    /// Name in the file (after the prefix) to name in the program. Others keep theirs.
    pub names: IndexMap<String, String>,
    /// Where the run config names the file, for diagnostics.
    pub span: Option<Span>,
}

impl ParamsSource {
    /// Every tensor of a file under its own name.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), ..Self::default() }
    }
}

/// One tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub values: Numbers,
}

/// The tensors of a file by name, in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedTensors {
    pub tensors: IndexMap<String, Tensor>,
    /// Texts about them; empty for `.npz`.
    pub metadata: BTreeMap<String, String>,
}

/// Whether a file must hold every param.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// A checkpoint: every wanted name is there.
    Complete,
    /// Initial values: a param that is not there keeps its own initial value.
    Partial,
}

/// Reads a `.safetensors` or `.npz` file.
///
/// # Errors
/// `E0601` when the file cannot be opened; `E0606` when it is broken, holds a type that is not read, lacks a name of
/// `names`, or has two tensors for one name.
pub fn read(source: &ParamsSource) -> Result<NamedTensors, Diagnostics> {
    let extension = source.path.extension().and_then(|ext| ext.to_str()).unwrap_or_default().to_ascii_lowercase();
    let (stored, metadata) = match extension.as_str() {
        "safetensors" => read_safetensors(source)?,
        "npz" => (read_npz(source)?, BTreeMap::new()),
        _ => {
            let headline = format!("the format of `{}` is not known", source.path.display());
            return Err(source
                .mistake(headline)
                .with_note(format!("found: the extension `{extension}`"))
                .with_note("expected: `.safetensors` or `.npz`")
                .into());
        }
    };
    rename(source, stored, metadata)
}

/// Reads the bytes of a `.safetensors` file, every tensor under its own name.
///
/// # Errors
/// A reason in words.
pub fn parse_safetensors(bytes: &[u8]) -> Result<NamedTensors, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let mut tensors = IndexMap::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|error| error.to_string())?;
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => Numbers::F32(data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
            Dtype::F64 => Numbers::F64(data.as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect()),
            Dtype::I64 => {
                Numbers::F64(data.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f64).collect())
            }
            Dtype::BF16 => {
                let wide = |&bytes: &[u8; 2]| f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16);
                Numbers::F32(data.as_chunks().0.iter().map(wide).collect())
            }
            Dtype::I32 => Numbers::I32(data.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes)).collect()),
            other => {
                return Err(format!("tensor `{name}` has the type {other:?}; f32, f64, bf16, i32 and i64 are read"));
            }
        };
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), values });
    }
    let metadata = header.metadata().iter().flatten().map(|(key, text)| (key.clone(), text.clone())).collect();
    Ok(NamedTensors { tensors, metadata })
}

impl NamedTensors {
    /// Holds the tensors against the names and shapes of a program.
    ///
    /// # Errors
    /// `E0606` for each wrong shape, each name that the program does not have and, when all must be there, each missing one.
    pub fn check(
        &self,
        source: &ParamsSource,
        wanted: &[(&str, &[usize])],
        coverage: Coverage,
    ) -> Result<(), Diagnostics> {
        let mut diagnostics = Vec::new();
        let file = source.path.display();
        for (name, shape) in wanted {
            match self.tensors.get(*name) {
                Some(tensor) if tensor.shape == *shape => {}
                Some(tensor) => diagnostics.push(
                    source
                        .mistake(format!("`{name}` in `{file}` has another shape"))
                        .with_note(format!("found: {}", shape_text(&tensor.shape)))
                        .with_note(format!("expected: {}", shape_text(shape))),
                ),
                None if coverage == Coverage::Partial => {}
                None => diagnostics.push(
                    source
                        .mistake(format!("`{file}` has no tensor `{name}`"))
                        .with_note(format!("found: {}", listed(self.tensors.keys())))
                        .with_note(format!("expected: `{name}` of shape {}", shape_text(shape))),
                ),
            }
        }
        for name in self.tensors.keys().filter(|name| !wanted.iter().any(|(known, _)| known == name)) {
            diagnostics.push(
                source
                    .mistake(format!("`{file}` has a tensor `{name}`, which the program does not"))
                    .with_note(format!("found: {name}"))
                    .with_note(format!("expected: one of {}", listed(wanted.iter().map(|(name, _)| name))))
                    .with_suggestion(name, wanted.iter().map(|(name, _)| *name))
                    .with_help("map it with `names: { name_in_file: name.in.program }`, or leave it out with `prefix`"),
            );
        }
        if diagnostics.is_empty() { Ok(()) } else { Err(Diagnostics(diagnostics)) }
    }

    /// Holds the values against what a program can begin with: `allowed` says of a name and a value whether it can.
    ///
    /// # Errors
    /// `E0606` for each tensor with others: NaN would reach every value that depends on it.
    pub fn check_finite(&self, source: &ParamsSource, allowed: impl Fn(&str, f64) -> bool) -> Result<(), Diagnostics> {
        let mut diagnostics = Vec::new();
        for (name, tensor) in &self.tensors {
            let wrong: Vec<usize> =
                (0..tensor.values.len()).filter(|at| !allowed(name, tensor.values.get(*at))).collect();
            diagnostics.extend(source.not_finite(name, tensor, &wrong));
        }
        if diagnostics.is_empty() { Ok(()) } else { Err(Diagnostics(diagnostics)) }
    }

    /// The tensors as they are written.
    pub fn refs(&self) -> Vec<TensorRef<'_>> {
        let refs = self.tensors.iter();
        refs.map(|(name, tensor)| TensorRef { name, shape: &tensor.shape, values: (&tensor.values).into() }).collect()
    }
}

impl ParamsSource {
    /// What is said of a tensor of the file whose values at the flat positions `wrong` no program can begin with; none where there are
    /// no such positions.
    pub(crate) fn not_finite(&self, name: &str, tensor: &Tensor, wrong: &[usize]) -> Option<Diagnostic> {
        let first = *wrong.first()?;
        let what =
            if wrong.len() == 1 { "value that is no finite number" } else { "values that are no finite numbers" };
        let headline = format!("`{name}` in `{}` has {} {what}", self.path.display(), wrong.len());
        let place = shape_text(&index_of(first, &tensor.shape));
        Some(
            self.mistake(headline)
                .with_note(format!("found: {:e} at {place}", tensor.values.get(first)))
                .with_note("expected: finite numbers, in the precision of the run")
                .with_help("take the params of an earlier epoch, or of a run that did not diverge"),
        )
    }

    /// A finding about the file.
    pub(crate) fn mistake(&self, headline: impl Into<String>) -> Diagnostic {
        self.placed(Diagnostic::error(Code::E0606, headline))
    }

    fn placed(&self, diagnostic: Diagnostic) -> Diagnostic {
        match self.span {
            Some(span) => diagnostic.at(span, "this file"),
            None => diagnostic,
        }
    }

    fn not_readable(&self, error: &std::io::Error) -> Diagnostic {
        let headline = format!("cannot read `{}`", self.path.display());
        self.placed(Diagnostic::error(Code::E0601, headline).with_note(format!("found: {error}")))
    }

    fn broken(&self, reason: String) -> Diagnostic {
        self.mistake(format!("`{}` cannot be read as tensors", self.path.display()))
            .with_note(format!("found: {reason}"))
    }
}

type Stored = Vec<(String, Tensor)>;

fn read_safetensors(source: &ParamsSource) -> Result<(Stored, BTreeMap<String, String>), Diagnostic> {
    let not_readable = |error| source.not_readable(&error);
    let (mut file, _) = open_regular(&source.path).map_err(not_readable)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(not_readable)?;
    let file = parse_safetensors(&bytes).map_err(|reason| source.broken(reason))?;
    Ok((file.tensors.into_iter().collect(), file.metadata))
}

fn read_npz(source: &ParamsSource) -> Result<Stored, Diagnostic> {
    let (file, len) = open_regular(&source.path).map_err(|error| source.not_readable(&error))?;
    let mut archive = Archive::open(BufReader::new(file), len).map_err(|error| source.broken(error.reason()))?;
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let mut stored = Vec::new();
    for (index, key) in archive.keys.clone().into_iter().enumerate() {
        if key.starts_with(prefix) {
            let (shape, values) = archive
                .read(index, None)
                .map_err(|error| source.broken(format!("array `{key}`: {}", error.reason())))?;
            stored.push((key, Tensor { shape, values }));
        }
    }
    Ok(stored)
}

/// Takes the prefix off and gives tensors their names in the program.
fn rename(
    source: &ParamsSource,
    stored: Stored,
    metadata: BTreeMap<String, String>,
) -> Result<NamedTensors, Diagnostics> {
    let prefix = source.prefix.as_deref().unwrap_or_default();
    let file = source.path.display();
    let mut diagnostics = Vec::new();
    let mut tensors = IndexMap::new();
    let mut in_file: Vec<String> = Vec::new();
    for (key, tensor) in stored {
        let Some(name) = key.strip_prefix(prefix) else { continue };
        in_file.push(name.to_owned());
        let known_as = source.names.get(name).map_or(name, String::as_str);
        if tensors.insert(known_as.to_owned(), tensor).is_some() {
            diagnostics.push(source.mistake(format!("`{file}` has two tensors for `{known_as}`")));
        }
    }
    for name in source.names.keys().filter(|name| !in_file.contains(name)) {
        diagnostics.push(
            source
                .mistake(format!("`{file}` has no tensor `{prefix}{name}`, which `names` maps"))
                .with_note(format!("found: {}", listed(in_file.iter())))
                .with_note(format!("expected: `{name}`"))
                .with_suggestion(name, in_file.iter().map(String::as_str)),
        );
    }
    if in_file.is_empty() && !prefix.is_empty() {
        diagnostics.push(source.mistake(format!("no key of `{file}` begins with the prefix `{prefix}`")));
    }
    if diagnostics.is_empty() { Ok(NamedTensors { tensors, metadata }) } else { Err(Diagnostics(diagnostics)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), short in any::<bool>()) {
            if short && bytes.len() > 8 {
                let len = (bytes.len() - 8) as u64 / 2;
                bytes[..8].copy_from_slice(&len.to_le_bytes());
            }
            let _ = parse_safetensors(&bytes);
        }

        #[test]
        fn a_damaged_file_never_panics(at in 0_usize..90, byte in any::<u8>(), cut in 0_usize..90) {
            let header = br#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}       "#;
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend(header);
            bytes.extend([0; 16]);
            prop_assert!(parse_safetensors(&bytes).is_ok());
            let last = bytes.len() - 1;
            bytes[at.min(last)] = byte;
            let _ = parse_safetensors(&bytes);
            bytes.truncate(cut);
            let _ = parse_safetensors(&bytes);
        }
    }
}
