//! Outputs of a prediction program for all rows of a dataset, batch by batch.

use super::fields::Fields;
use super::program::Program;
use super::trainer::for_each_batch;
use crate::data::{Dataset, Numbers};
use crate::diag::Diagnostics;
use crate::exec::{Clock, Store, Values};
use crate::ir::{Graph, TensorType};
use crate::ops::Element;
use indexmap::IndexMap;
use std::sync::Arc;

/// The element type of floats in a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    #[default]
    F32,
    F64,
}

/// From batch to batch of a prediction; odd, so that no two of them have one seed.
const SEED_STRIDE: i32 = 0x1e37_79b9;

/// Outputs by name, each with its shape.
pub(super) type Outputs<T> = IndexMap<Arc<str>, (Vec<usize>, Values<T>)>;

/// Whether every output has a value for each row. One that has not may depend on all rows together.
pub(super) fn is_by_rows(graph: &Graph) -> bool {
    let per_sample = |ty: &TensorType| ty.shape.first().is_some_and(crate::ir::Dim::is_batch);
    graph.outputs.iter().all(|output| per_sample(graph.ty(output.node)))
}

/// The outputs of a prediction program for every row of a dataset, with the given params and states. The clock's seed goes on
/// from batch to batch, so that data may come in several datasets.
///
/// # Errors
/// Those of [`Program::run`].
pub(super) fn predict<T: Element>(
    program: &mut Program<T>,
    fields: &Fields,
    store: &mut Store<T>,
    clock: &mut Clock,
    data: &Dataset,
    batch_size: u32,
) -> Result<Outputs<T>, Diagnostics> {
    let sizes = fields.sizes(data)?;
    let batch_size = if is_by_rows(program.graph()) { batch_size } else { u32::MAX };
    let mut parts: Outputs<T> = IndexMap::new();
    for_each_batch(data.rows, batch_size, |rows| {
        let executor = program.run(data, &sizes, rows, store, *clock)?;
        // The next batch draws other numbers; the step stays, as schedules may read it.
        clock.seed = clock.seed.wrapping_add(SEED_STRIDE);
        for (fetch, values) in executor.results() {
            match parts.get_mut(&fetch.name) {
                None => {
                    parts.insert(fetch.name.clone(), (fetch.shape.clone(), values.clone()));
                }
                Some((shape, all)) => {
                    shape[0] += rows.len();
                    append(all, values);
                }
            }
        }
        Ok(())
    })?;
    Ok(parts)
}

fn append<T: Copy>(all: &mut Values<T>, values: &Values<T>) {
    match (all, values) {
        (Values::Float(all), Values::Float(values)) => all.extend_from_slice(values),
        (Values::Int(all), Values::Int(values)) => all.extend_from_slice(values),
        // One output has one type in every batch.
        _ => {}
    }
}

/// Values in the precision that they are written in.
pub fn to_numbers<T: Element>(values: &Values<T>, precision: Precision) -> Numbers {
    match (values, precision) {
        (Values::Float(values), Precision::F32) => {
            Numbers::F32(values.iter().map(|value| value.as_f64() as f32).collect())
        }
        (Values::Float(values), Precision::F64) => Numbers::F64(values.iter().map(|value| value.as_f64()).collect()),
        (Values::Int(values), _) => Numbers::I32(values.clone()),
    }
}
