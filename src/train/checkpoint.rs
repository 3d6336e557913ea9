//! A model between two steps as a file: params, states, and how far training has come.
//!
//! A `.safetensors` file with `param/NAME` and `state/NAME`. The same for a run's folder and for who calls the library, so that
//! each goes on from what the other wrote.

use super::outputs::{Precision, to_numbers};
use super::predictor::stored_name;
use super::trainer::{RunState, Trainer};
use crate::data::params::{self, Coverage, ParamsSource};
use crate::data::{Numbers, TensorRef, write_safetensors};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Store, Values};
use crate::ir::DType;
use crate::ops::Element;
use std::collections::BTreeMap;
use std::path::Path;

const EXTENSION: &str = "safetensors";

/// Writes the file. `progress` is the numbers of steps and of epochs that led to the store; `spec` is the spec's text, whose hash
/// goes with it.
///
/// # Errors
/// E0605.
pub fn write<T: Element>(
    path: &Path,
    store: &Store<T>,
    progress: (u64, u32),
    precision: Precision,
    spec: &str,
) -> Result<(), Diagnostic> {
    if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case(EXTENSION)) {
        return Err(Diagnostic::error(Code::E0605, format!("cannot write `{}`", path.display()))
            .with_note("expected: a name that ends in `.safetensors`, by which it is read again"));
    }
    let entries: Vec<(String, &[usize], Numbers)> = store
        .entries()
        .map(|entry| {
            let values = to_numbers(entry.values(), precision);
            (stored_name(entry.kind(), entry.name()), entry.shape(), values)
        })
        .collect();
    let tensors: Vec<TensorRef<'_>> =
        entries.iter().map(|(name, shape, values)| TensorRef { name, shape, values: values.into() }).collect();
    let metadata = BTreeMap::from([
        ("anabranch".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("epochs".to_string(), progress.1.to_string()),
        ("spec_hash".to_string(), hash(spec)),
        ("steps".to_string(), progress.0.to_string()),
    ]);
    write_safetensors(path, &tensors, &metadata)
}

/// Sets a trainer to what a file holds, all params and states. A file that does not say how far training has come is one from
/// its beginning.
///
/// # Errors
/// E0601 when it cannot be read, E0606 when it does not fit the model. The trainer is as it was then.
pub fn read<T: Element>(path: &Path, trainer: &mut Trainer<T>) -> Result<(), Diagnostics> {
    let source = ParamsSource::new(path);
    let tensors = params::read(&source)?;
    let mut store = trainer.store().clone();
    let keys: Vec<(String, &[usize])> =
        trainer.store().entries().map(|entry| (stored_name(entry.kind(), entry.name()), entry.shape())).collect();
    let wanted: Vec<(&str, &[usize])> = keys.iter().map(|(key, shape)| (key.as_str(), *shape)).collect();
    tensors.check(&source, &wanted, Coverage::Complete)?;
    for (entry, (key, _)) in trainer.store().entries().zip(&keys) {
        let Some(tensor) = tensors.tensors.get(key) else { continue };
        let values = match (entry.dtype(), &tensor.values) {
            (DType::I32 | DType::Bool, Numbers::I32(given)) => Values::Int(given.clone()),
            (DType::F32, given) => Values::Float((0..given.len()).map(|at| T::of(given.get(at))).collect()),
            (DType::I32 | DType::Bool, given) => {
                let headline = format!("`{key}` in `{}` is of another type", path.display());
                return Err(Diagnostic::error(Code::E0606, headline)
                    .with_note(format!("found: {}", given.type_name()))
                    .with_note("expected: i32")
                    .into());
            }
        };
        store.set(entry.kind(), entry.name(), values)?;
    }
    let count = |key: &str| tensors.metadata.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    let n_epochs = u32::try_from(count("epochs")).unwrap_or(u32::MAX);
    trainer.restore(RunState { store, n_steps: count("steps"), n_epochs });
    Ok(())
}

/// FNV-1a, 64 bits: tells specs apart, guards nothing.
pub(super) fn hash(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
