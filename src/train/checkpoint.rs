//! A model between two steps as a file: params, states, and how far training has come.
//!
//! A `.safetensors` file with `param/NAME` and `state/NAME`. The same for a run's folder and for who calls the library, so that
//! each goes on from what the other wrote.

use super::hash::hash_text;
use super::outputs::{Precision, to_numbers};
use super::predictor::stored_name;
use super::state::ModelState;
use super::trainer::Trainer;
use crate::data::params::{self, Coverage, NamedTensors, ParamsSource};
use crate::data::{Numbers, TensorRef, write_safetensors};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Carried, Entry, Store, Values};
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
    let entries = numbers_of(store, precision);
    let tensors: Vec<TensorRef<'_>> =
        entries.iter().map(|(name, shape, values)| TensorRef { name, shape, values: values.into() }).collect();
    let metadata = BTreeMap::from([
        ("anabranch".to_string(), env!("CARGO_PKG_VERSION").to_string()),
        ("epochs".to_string(), progress.1.to_string()),
        ("spec_hash".to_string(), hash_text(spec)),
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
    fill(&mut store, &tensors, &source)?;
    let count = |key: &str| tensors.metadata.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
    let n_epochs = u32::try_from(count("epochs")).unwrap_or(u32::MAX);
    trainer.restore(ModelState { store, n_steps: count("steps"), n_epochs });
    Ok(())
}

/// Every param and state under the name that it has in files, with its shape.
pub(super) fn numbers_of<T: Element>(store: &Store<T>, precision: Precision) -> Vec<(String, &[usize], Numbers)> {
    let named = store.entries().map(|entry| {
        let values = to_numbers(entry.values(), precision);
        (stored_name(entry.kind(), entry.name()), entry.shape(), values)
    });
    named.collect()
}

/// Gives every param and state of a store the values of a file.
///
/// # Errors
/// E0606 when the file lacks one, has another, or has one in another shape or type.
pub(super) fn fill<T: Element>(
    store: &mut Store<T>,
    tensors: &NamedTensors,
    source: &ParamsSource,
) -> Result<(), Diagnostics> {
    let carried = |entry: &Entry<T>| Carried {
        kind: entry.kind(),
        name: entry.name().clone(),
        dtype: entry.dtype(),
        shape: entry.shape().to_vec(),
    };
    let entries: Vec<(String, Carried)> =
        store.entries().map(|entry| (stored_name(entry.kind(), entry.name()), carried(entry))).collect();
    let wanted: Vec<(&str, &[usize])> =
        entries.iter().map(|(key, what)| (key.as_str(), what.shape.as_slice())).collect();
    tensors.check(source, &wanted, Coverage::Complete)?;
    for (key, what) in &entries {
        let Some(tensor) = tensors.tensors.get(key) else { continue };
        let values = match (what.dtype, &tensor.values) {
            (DType::I32 | DType::Bool, Numbers::I32(given)) => Values::Int(given.clone()),
            (DType::F32, given) => Values::Float((0..given.len()).map(|at| T::of(given.get(at))).collect()),
            (DType::I32 | DType::Bool, given) => {
                let headline = format!("`{key}` in `{}` is of another type", source.path.display());
                return Err(Diagnostic::error(Code::E0606, headline)
                    .with_note(format!("found: {}", given.type_name()))
                    .with_note("expected: i32")
                    .into());
            }
        };
        store.set(what.kind, &what.name, values)?;
    }
    Ok(())
}
