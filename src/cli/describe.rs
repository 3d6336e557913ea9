//! `anabranch data`: what the data of a run config hold, and what the spec makes of it.

use super::spec::{SetArguments, compile_config};
use super::{Outcome, Session};
use crate::data::{
    CellForm, ColumnSpec, DataSource, Dataset, FieldSpec, Kind, Profile, Wanted, counted, is_table, profile,
    profile_array,
};
use crate::diag::Diagnostics;
use crate::lower::DataInfo;
use crate::model::Table;
use crate::pipeline::Compiled;
use crate::train::config::{self, RunConfig};
use crate::train::{Fields, load_data, overrides};
use clap::{Args, ValueEnum};
use indexmap::IndexMap;
use serde::Serialize;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// A field of more columns than this is told of as a whole, and so many values of a category are named.
const MOST_TOLD: usize = 8;

const NOTES: &str = "\
Nothing is trained or written. Kinds that the config does not say are worked out from the training rows, as a run would.

Examples:
  anabranch data run.yaml
  anabranch data run.yaml --format json";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The run config, a YAML file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// How it is written
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    set: SetArguments,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// tables
    #[default]
    Table,
    /// one object
    Json,
}

/// All that is told.
#[derive(Debug, Serialize)]
struct Description {
    parts: IndexMap<String, PartForm>,
    fields: IndexMap<String, FieldForm>,
}

#[derive(Debug, Serialize)]
struct PartForm {
    file: String,
    rows: usize,
    /// Rows that are equal to a training row in all fields.
    repeated: usize,
}

#[derive(Debug, Serialize)]
struct FieldForm {
    /// As the spec declares it.
    #[serde(rename = "type")]
    ty: String,
    columns: Vec<ColumnForm>,
}

#[derive(Debug, Serialize)]
struct ColumnForm {
    column: String,
    kind: &'static str,
    /// By part.
    parts: IndexMap<String, Held>,
}

/// What a column holds in the rows of a part.
#[derive(Debug, Default, Serialize)]
struct Held {
    missing: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
    /// The rows of each value.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    values: IndexMap<String, usize>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Numbers {
    least: f64,
    most: f64,
    mean: f64,
    deviation: f64,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let mut config = config::read(&arguments.config, &mut session.sources)?;
    let options = overrides(&config, arguments.set.options());
    let (compiled, _) = compile_config(session, &mut config, &options)?;
    let data = load_data(&compiled, &config)?;
    session.console.findings(&data.findings, &session.sources);
    let datasets =
        [("train", Some(&data.train)), ("validation", data.validation.as_ref()), ("test", data.test.as_ref())];
    let description = describe(&compiled, &config, &datasets)?;
    let text = match arguments.format {
        Format::Table => description.text(),
        Format::Json => serde_json::to_string_pretty(&description).unwrap_or_default() + "\n",
    };
    session.console.print(&text)?;
    Ok(())
}

fn describe(
    compiled: &Compiled,
    config: &RunConfig,
    datasets: &[(&str, Option<&Dataset>)],
) -> Result<Description, Diagnostics> {
    let sources = [("train", &config.train), ("validation", &config.validation), ("test", &config.test)];
    let sources: Vec<(&str, &DataSource)> =
        sources.into_iter().filter_map(|(part, source)| Some((part, source.as_ref()?))).collect();
    let seen: HashSet<Vec<u64>> =
        datasets[0].1.map(|data| (0..data.rows).map(|row| row_of(data, row)).collect()).unwrap_or_default();
    let mut parts = IndexMap::new();
    for (part, source) in &sources {
        let data = datasets.iter().find(|(name, _)| name == part).and_then(|(_, data)| *data);
        let rows = data.map_or(0, |data| data.rows);
        let is_seen = |data: &Dataset| (0..data.rows).filter(|row| seen.contains(&row_of(data, *row))).count();
        let repeated = if *part == "train" { 0 } else { data.map_or(0, is_seen) };
        parts.insert((*part).to_string(), PartForm { file: source.path.display().to_string(), rows, repeated });
    }
    let specs = Fields::of(&compiled.module).specs();
    let infos = || compiled.module.inputs.iter().chain(&compiled.module.targets);
    let mut fields = IndexMap::new();
    for (spec, (_, info)) in specs.iter().zip(infos()).filter(|(spec, _)| !spec.whole) {
        fields.insert(spec.name.clone(), field(spec, info, &sources)?);
    }
    Ok(Description { parts, fields })
}

/// The bits of a row, in all fields.
fn row_of(data: &Dataset, row: usize) -> Vec<u64> {
    let by_rows = data.fields.values().filter(|field| field.values.len() == data.rows * field.row_len());
    by_rows.flat_map(|field| field.row_bits(row)).collect()
}

fn field(spec: &FieldSpec, info: &DataInfo, sources: &[(&str, &DataSource)]) -> Result<FieldForm, Diagnostics> {
    let mut columns: Vec<ColumnForm> = Vec::new();
    for (part, source) in sources {
        let names = source.columns.get(&spec.name).map_or_else(|| vec![spec.name.clone()], ColumnSpec::names);
        let forms: Vec<CellForm> = source.forms.get(&spec.name).cloned().unwrap_or_default();
        let row_len = spec.shape.iter().map(|dim| dim.unwrap_or(1)).product::<usize>();
        let (names, profiles) = match is_table(&source.path) {
            true => {
                let wanted = |(at, name): (usize, &String)| Wanted {
                    column: name.clone(),
                    form: forms.get(at).map(|form| CellForm { fill: None, is_required: false, ..form.clone() }),
                    ..Wanted::default()
                };
                let wanted: Vec<Wanted> = names.iter().enumerate().map(wanted).collect();
                (names, profile(source, &wanted, usize::MAX)?)
            }
            false => {
                let names = vec![names[0].clone(); row_len];
                let wanted = |name: &String| Wanted { column: name.clone(), ..Wanted::default() };
                let wanted: Vec<Wanted> = names.iter().map(wanted).collect();
                (names, profile_array(source, spec, &wanted)?)
            }
        };
        for (at, (name, profile)) in names.iter().zip(profiles).enumerate() {
            let Some(profile) = profile else { continue };
            let form = forms.get(at).or(forms.first());
            let kind = form.map_or_else(|| kind_of(&profile), |form| form.kind);
            if columns.len() <= at {
                columns.push(ColumnForm { column: name.clone(), kind: kind.as_str(), parts: IndexMap::new() });
            }
            let is_told = kind == Kind::Category || kind == Kind::Boolean || spec.kind != crate::data::FieldKind::Float;
            columns[at].parts.insert((*part).to_string(), held(&profile, is_told));
        }
    }
    Ok(FieldForm { ty: info.declared.to_string() + if info.optional { "?" } else { "" }, columns })
}

/// The kind of a column that is read as numbers.
fn kind_of(profile: &Profile) -> Kind {
    match profile.kind() {
        Kind::Whole => Kind::Whole,
        _ => Kind::Number,
    }
}

fn held(profile: &Profile, tells_values: bool) -> Held {
    let figures = profile.figures;
    let numbers = (figures.count > 0).then(|| Numbers {
        least: figures.least,
        most: figures.most,
        mean: figures.mean,
        deviation: figures.deviation(),
    });
    let counts = profile.values.as_ref().filter(|_| tells_values);
    let values = counts.and_then(|counts| {
        let values = profile.vocabulary()?;
        Some(values.into_iter().map(|value| (value.clone(), counts.get(&value).copied().unwrap_or(0))).collect())
    });
    let values: IndexMap<String, usize> = values.unwrap_or_default();
    Held { missing: profile.missing, numbers: numbers.filter(|_| values.is_empty() || profile.numbers > 0), values }
}

impl Description {
    fn text(&self) -> String {
        let mut text = String::new();
        for (part, form) in &self.parts {
            let repeated = match form.repeated {
                0 => String::new(),
                n => format!(", of which {n} are training rows too"),
            };
            let _ = writeln!(text, "{part}: {} of {}{repeated}", counted(form.rows, "row"), form.file);
        }
        text.push('\n');
        let mut table =
            Table::new(["field", "spec", "column", "kind", "missing", "in training rows"].map(str::to_string).to_vec());
        for (name, field) in &self.fields {
            let many = field.columns.len() > MOST_TOLD;
            let columns: &[ColumnForm] = if many { &[] } else { &field.columns };
            if let (true, Some(all)) = (many, together(&field.columns)) {
                table.push([vec![name.clone(), field.ty.clone()], all].concat());
            }
            for (at, column) in columns.iter().enumerate() {
                let Some(held) = column.parts.values().next() else { continue };
                let own = if at == 0 { [name.clone(), field.ty.clone()] } else { Default::default() };
                let told = [column.column.clone(), column.kind.to_string(), held.missing.to_string(), told(held)];
                table.push(own.into_iter().chain(told).collect());
            }
        }
        text += &table.to_text(6);
        text + &self.lacking()
    }

    /// Values that a part has and the training rows lack.
    fn lacking(&self) -> String {
        let mut text = String::new();
        for (name, column) in
            self.fields.iter().flat_map(|(name, field)| field.columns.iter().map(move |column| (name, column)))
        {
            let Some(train) = column.parts.get("train").filter(|held| !held.values.is_empty()) else { continue };
            for (part, held) in column.parts.iter().filter(|(part, _)| *part != "train") {
                let lacking = held.values.iter().filter(|(value, _)| !train.values.contains_key(*value));
                let lacking: Vec<String> =
                    lacking.map(|(value, rows)| format!("{value} ({})", counted(*rows, "row"))).collect();
                if !lacking.is_empty() {
                    let _ = writeln!(
                        text,
                        "{part} has values of `{name}` that no training row has: {}",
                        lacking.join(", ")
                    );
                }
            }
        }
        text
    }
}

/// Many columns of numbers as one.
fn together(columns: &[ColumnForm]) -> Option<Vec<String>> {
    let held: Vec<&Held> = columns.iter().filter_map(|column| column.parts.values().next()).collect();
    let least = held.iter().filter_map(|held| held.numbers).map(|numbers| numbers.least).fold(f64::INFINITY, f64::min);
    let most =
        held.iter().filter_map(|held| held.numbers).map(|numbers| numbers.most).fold(f64::NEG_INFINITY, f64::max);
    let (first, last) = (columns.first()?, columns.last()?);
    let names =
        if first.column == last.column { first.column.clone() } else { format!("{} to {}", first.column, last.column) };
    let kind = if columns.iter().all(|column| column.kind == first.kind) { first.kind } else { "number" };
    let missing: usize = held.iter().map(|held| held.missing).sum();
    let told = format!("{} columns, {least} to {most}", columns.len());
    Some(vec![names, kind.to_string(), missing.to_string(), told])
}

fn told(held: &Held) -> String {
    if held.values.is_empty() || held.values.len() > MOST_TOLD {
        let values = if held.values.is_empty() { String::new() } else { format!("{} values, ", held.values.len()) };
        return held.numbers.map_or_else(
            || if values.is_empty() { "nothing".to_string() } else { values.trim_end_matches(", ").to_string() },
            |Numbers { least, most, mean, deviation }| {
                format!("{values}{least} to {most}, mean {mean:.4} ± {deviation:.4}")
            },
        );
    }
    let values: Vec<String> = held.values.iter().map(|(value, rows)| format!("{value}: {rows}")).collect();
    values.join(", ")
}
