//! The programs of a run as its folder saves them: prediction with the spec's named values, and evaluation.

use crate::data::{ColumnSpec, Kind};
use crate::export::program::Document;
use crate::ir::Role;
use crate::lower::DataInfo;
use crate::passes::split_values;
use crate::pipeline::Compiled;
use crate::train::config::RunConfig;
use crate::train::ranges::Ranges;
use crate::train::saved::{AcceptForm, ClockForm, EvaluationForm, InputForm, ProductForm, SavedProgram};
use crate::train::trainer::fold_seed;
use indexmap::IndexMap;
use std::sync::Arc;

/// What `predict.json` says of a compiled spec whose params were trained so many steps and epochs, of so many steps an epoch.
pub(in crate::train) fn saved_program(
    compiled: &Compiled,
    config: &RunConfig,
    (n_steps, n_epochs): (u64, u32),
    steps_per_epoch: usize,
) -> SavedProgram {
    let module = &compiled.module;
    let program = split_values(&module.graph, &module.values, &module.stand_ins);
    let is_value = |name: &str| compiled.predict.output(Role::Output, name).is_none();
    let values = program.outputs.iter().map(|output| &*output.name).filter(|name| is_value(name));
    SavedProgram {
        precision: config.precision,
        clock: ClockForm {
            step: i32::try_from(n_steps).unwrap_or(i32::MAX),
            epoch: i32::try_from(n_epochs).unwrap_or(i32::MAX),
            seed: fold_seed(config.seed),
            epochs: i32::try_from(config.epochs).unwrap_or(i32::MAX),
            steps_per_epoch: i32::try_from(steps_per_epoch).unwrap_or(i32::MAX),
        },
        prefix: config.any_source().and_then(|source| source.prefix.clone()),
        inputs: field_forms(&module.inputs, &Ranges::of(&compiled.predict, []), config),
        values: values.map(str::to_string).collect(),
        labels: labels(config),
        program: Document::of(&program),
    }
}

/// What the ids of outputs stand for that are told in the terms of a category.
fn labels(config: &RunConfig) -> IndexMap<String, Vec<String>> {
    let labels = |(output, (target, _)): (&String, &(String, _))| {
        let forms = config.any_source()?.forms.get(target)?;
        let labels = match (forms.first()?, forms.len()) {
            (form, 1) if form.kind == Kind::Category => form.labels(),
            (form, 1) if form.kind == Kind::Boolean => vec!["false".to_string(), "true".to_string()],
            _ => return None,
        };
        Some((output.clone(), labels))
    };
    config.decode.iter().filter_map(labels).collect()
}

/// What `evaluate.json` says.
pub(in crate::train) fn saved_evaluation(compiled: &Compiled, config: &RunConfig) -> EvaluationForm {
    let optional = compiled.module.targets.iter().filter(|(_, info)| info.optional).map(|(name, _)| name.clone());
    let ranges = Ranges::of(&compiled.module.graph, optional);
    let simplified = &compiled.simplified;
    EvaluationForm {
        targets: field_forms(&compiled.module.targets, &ranges, config),
        program: Document::of(&simplified.evaluate),
        finals: Document::of(&simplified.evaluate_metrics),
        products: simplified.evaluate_products.iter().map(ProductForm::from).collect(),
    }
}

/// Inputs or targets as they are saved, with the columns that held them in training.
fn field_forms(fields: &IndexMap<Arc<str>, DataInfo>, ranges: &Ranges, config: &RunConfig) -> Vec<InputForm> {
    let accepts = |name: &str| {
        let demands = ranges.demands().iter().filter(|demand| *demand.field == *name);
        demands.map(AcceptForm::from).collect()
    };
    let columns = |name: &str| config.any_source().and_then(|source| source.columns.get(name));
    let cells = |name: &str| config.any_source().and_then(|source| source.forms.get(name));
    let form = |(name, info): (&Arc<str>, &DataInfo)| InputForm {
        name: name.to_string(),
        ty: info.ty.clone(),
        optional: info.optional,
        fed: config.feed.get(&**name).cloned(),
        columns: columns(name).map(ColumnSpec::names).unwrap_or_default(),
        cells: cells(name).cloned().unwrap_or_default(),
        fills: info.fills,
        accepts: accepts(name),
    };
    fields.iter().map(form).collect()
}
