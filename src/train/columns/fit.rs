//! Fitting to the training rows.

use super::form::{ColumnPart, FieldColumns, Impute, Scale};
use super::resolve::{Field, resolve};
use crate::data::{
    ColumnSpec, DataSource, FieldKind, FieldSpec, Kind, Profile, Wanted, is_table, profile, profile_array,
};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, Role};
use crate::lower::Encoding;
use crate::pipeline::Compiled;
use crate::train::config::{Precision, RunConfig};
use crate::train::fields::Fields;
use crate::train::split::make_split;
use indexmap::IndexMap;

/// Rows that are looked at to see whether a column of which nothing is said holds texts.
const LOOKED_AT: usize = 1000;

/// What was fitted.
#[derive(Clone, Debug, Default)]
pub struct Fit {
    /// of the fields whose numbers are not those of the data
    pub encodings: IndexMap<String, Encoding>,
    /// outputs that are told in the units of a target
    pub decode: IndexMap<String, String>,
    /// what there is to know that is no mistake
    pub findings: Vec<Diagnostic>,
}

/// Works out the columns of a config by its training rows. `compiled` is the spec as it stands. The config and its sources get all that
/// a reader of cells needs.
///
/// # Errors
/// E0601 when the data cannot be read; E0602 for what a kind of column cannot be; E0603 when columns do not make up a field; E0604
/// for values that cannot be fitted to.
pub fn fit_columns(compiled: &Compiled, config: &mut RunConfig) -> Result<Fit, Diagnostics> {
    let specs = Fields::of(&compiled.module).specs_within(config.precision.largest());
    make_split(config, &specs)?;
    let specs: Vec<&FieldSpec> =
        specs.iter().filter(|spec| !spec.whole && !config.feed.contains_key(&spec.name)).collect();
    let mut fit = Fit::default();
    work_out(&specs, config);
    let mut wrong = Vec::new();
    let profiles = profiles_of(&specs, config)?;
    for spec in &specs {
        let Some(columns) = config.encoded.get(&spec.name) else { continue };
        let Some(profiles) = profiles.get(&spec.name) else { continue };
        let is_target = compiled.module.targets.contains_key(&*spec.name);
        let field = Field { spec, is_target, columns, profiles, is_f32: config.precision == Precision::F32 };
        match resolve(&field, &mut fit.findings) {
            Ok((resolved, encoding)) => {
                if !encoding.is_plain() {
                    fit.encodings.insert(spec.name.clone(), encoding);
                }
                config.encoded.insert(spec.name.clone(), resolved);
            }
            Err(findings) => wrong.extend(findings.0),
        }
    }
    wrong.extend(set_forms(config));
    for (output, (target, span)) in &config.decode {
        match check_decode(compiled, config, output, target) {
            Ok(()) => {
                fit.decode.insert(output.clone(), target.clone());
            }
            Err(finding) => wrong.push(finding.at(*span, "told in the terms of this")),
        }
    }
    if wrong.is_empty() {
        return Ok(fit);
    }
    // What is only worth knowing may be the reason.
    Err(Diagnostics(fit.findings.into_iter().chain(wrong).collect()))
}

/// Finds the fields of which nothing is said and whose columns hold texts.
fn work_out(specs: &[&FieldSpec], config: &mut RunConfig) {
    let Some(source) = config.train.as_ref().filter(|source| is_table(&source.path)) else { return };
    let own = |spec: &FieldSpec| ColumnSpec::One(spec.name.clone());
    let unsaid = specs.iter().filter(|spec| !config.encoded.contains_key(&spec.name));
    let unsaid: Vec<(&FieldSpec, Vec<String>)> =
        unsaid.map(|spec| (*spec, source.columns.get(&spec.name).unwrap_or(&own(spec)).names())).collect();
    let wanted: Vec<Wanted> = unsaid.iter().flat_map(|(_, names)| names).map(|name| plain(name)).collect();
    // A file that cannot be read is told of by who reads all of it.
    let Ok(profiles) = profile(source, &wanted, LOOKED_AT) else { return };
    let mut profiles = profiles.into_iter();
    let mut found = Vec::new();
    for (spec, names) in unsaid {
        let profiles: Vec<Option<Profile>> = profiles.by_ref().take(names.len()).collect();
        let Some(profiles) = profiles.into_iter().collect::<Option<Vec<Profile>>>() else { continue };
        let is_text = |profile: &Profile| profile.present() > 0 && profile.numbers == 0;
        // A number that is written as a text is a mistake more often than a category.
        let is_number = spec.kind == FieldKind::Float && spec.shape.is_empty();
        let is_refused =
            is_number && profiles.iter().any(|profile| is_text(profile) && profile.kind() != Kind::Boolean);
        if profiles.iter().any(is_text) && !is_refused {
            let part = |(name, profile): (String, &Profile)| ColumnPart {
                kind: (!is_text(profile)).then_some(Kind::Number),
                ..ColumnPart::plain(ColumnSpec::One(name))
            };
            let parts = names.into_iter().zip(&profiles).map(part).collect();
            found.push((spec.name.clone(), FieldColumns { parts, span: None }));
        }
    }
    config.encoded.extend(found);
}

fn plain(name: &str) -> Wanted {
    Wanted { column: name.to_string(), ..Wanted::default() }
}

/// What the training rows hold in the columns of each field that is encoded. A field whose columns are not there is left out: who reads
/// them tells of it.
fn profiles_of(specs: &[&FieldSpec], config: &RunConfig) -> Result<IndexMap<String, Vec<Profile>>, Diagnostics> {
    let fields = || specs.iter().filter_map(|spec| Some((*spec, config.encoded.get(&spec.name)?)));
    let Some(source) = &config.train else {
        let needs = |(_, columns): &(&FieldSpec, &FieldColumns)| columns.parts.iter().any(ColumnPart::needs_figures);
        return match fields().find(needs) {
            None => Ok(IndexMap::new()),
            Some((spec, columns)) => {
                let headline = format!("there are no training rows to fit the columns of `{}` to", spec.name);
                let finding =
                    Diagnostic::error(Code::E0602, headline).with_note("expected: `data: { train: { file: … } }`");
                Err(columns.span.map_or(finding.clone(), |span| finding.at(span, "this field")).into())
            }
        };
    };
    let mut found = IndexMap::new();
    if is_table(&source.path) {
        let wanted: Vec<Wanted> = fields().flat_map(|(spec, columns)| wanted_of(spec, columns, source)).collect();
        // A file that cannot be read is told of by who reads all of it, as is an array below.
        let mut profiles = profile(source, &wanted, usize::MAX).unwrap_or_default().into_iter();
        for (spec, columns) in fields() {
            let n_columns = columns.names().len();
            let of_field: Option<Vec<Profile>> = profiles.by_ref().take(n_columns).collect();
            let of_field = of_field.filter(|profiles| profiles.len() == n_columns);
            found.extend(of_field.map(|profiles| (spec.name.clone(), profiles)));
        }
        return Ok(found);
    }
    for (spec, columns) in fields() {
        let row = match spec.shape.iter().copied().collect::<Option<Vec<usize>>>() {
            Some(row) => row.iter().product(),
            None => continue,
        };
        // One mapping says how each number of a row is treated.
        let [part] = &columns.parts[..] else {
            let headline =
                format!("`{}` is one array in `{}`, so one mapping is for all of it", spec.name, source.path.display());
            let finding = Diagnostic::error(Code::E0602, headline);
            return Err(columns.span.map_or(finding.clone(), |span| finding.at(span, "several here")).into());
        };
        let wanted = vec![Wanted { keeps_numbers: keeps_numbers(part), ..plain(&spec.name) }; row];
        let source = DataSource { columns: source.columns.clone(), ..source.clone() };
        let profiles = profile_array(&source, spec, &wanted).unwrap_or_default();
        let profiles: Option<Vec<Profile>> = profiles.into_iter().collect();
        let profiles = profiles.filter(|profiles| !profiles.is_empty());
        found.extend(profiles.map(|profiles| (spec.name.clone(), profiles)));
    }
    Ok(found)
}

fn keeps_numbers(part: &ColumnPart) -> bool {
    part.log1p || part.scale == Scale::Robust || part.impute == Some(Impute::Median)
}

/// The columns of a field by the names that the training data has for them.
fn wanted_of(spec: &FieldSpec, columns: &FieldColumns, source: &DataSource) -> Vec<Wanted> {
    let names = source.columns.get(&spec.name).map_or_else(|| columns.names(), ColumnSpec::names);
    let each = columns.parts.iter().flat_map(|part| part.columns().map(move |(_, unit)| (part, unit)));
    let wanted = |((part, unit), column): ((&ColumnPart, _), String)| Wanted {
        column,
        form: part.kind.map(|_| crate::data::CellForm { fill: None, is_required: false, ..part.form(unit) }),
        missing: part.missing.clone(),
        keeps_numbers: keeps_numbers(part),
    };
    each.zip(names).map(wanted).collect()
}

/// Gives each part of the data the forms by which its cells are read.
fn set_forms(config: &mut RunConfig) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    let RunConfig { train, validation, test, encoded, .. } = config;
    for source in [train, validation, test].into_iter().flatten() {
        for (field, columns) in encoded.iter().filter(|(_, columns)| columns.is_resolved()) {
            let forms = columns.forms();
            let n_names = source.columns.get(field).map_or(forms.len(), ColumnSpec::count);
            if n_names != forms.len() && is_table(&source.path) {
                let headline =
                    format!("`{field}` has not as many columns in `{}` as it is encoded of", source.path.display());
                let finding = Diagnostic::error(Code::E0602, headline);
                let finding =
                    finding.with_note(format!("found: {n_names}")).with_note(format!("expected: {}", forms.len()));
                wrong.push(columns.span.map_or(finding.clone(), |span| finding.at(span, "encoded here")));
            }
            source.forms.insert(field.clone(), forms);
        }
    }
    wrong
}

/// Whether an output can be told in the terms of a target.
fn check_decode(compiled: &Compiled, config: &RunConfig, output: &str, target: &str) -> Result<(), Diagnostic> {
    let module = &compiled.module;
    let outputs = || module.graph.outputs.iter().filter(|output| output.role == Role::Output);
    let wrong = |headline: String| Diagnostic::error(Code::E0602, headline);
    let Some(found) = outputs().find(|found| *found.name == *output) else {
        return Err(wrong(format!("`decode` names `{output}`, which is no output of the spec"))
            .with_suggestion(output, outputs().map(|output| &*output.name)));
    };
    let Some(info) = module.targets.get(target) else {
        return Err(wrong(format!("`decode` names `{target}`, which is no target of the spec"))
            .with_suggestion(target, module.targets.keys().map(|name| &**name)));
    };
    let ty = module.graph.ty(found.node);
    let is_category = config.encoded.get(target).is_some_and(|columns| {
        columns.parts.iter().any(|part| part.kind == Some(Kind::Category) || part.kind == Some(Kind::Boolean))
    });
    if is_category && (ty.dtype != DType::I32 || ty.rank() != 1) {
        return Err(wrong(format!("`{output}` is {ty}, and the values of `{target}` are told of ids"))
            .with_note("expected: i32[batch]")
            .with_help(format!("give the spec an output of ids, such as `output {output}_id = argmax({output})`")));
    }
    if !is_category && *ty != info.ty {
        return Err(wrong(format!("`{output}` is {ty}, so it is not told in the units of `{target}`"))
            .with_note(format!("expected: {}", info.ty)));
    }
    Ok(())
}
