//! `anabranch evaluate`

use super::data::ReadingArguments;
use super::progress::value_or_dash;
use super::run::ExecutionArguments;
use super::{Outcome, Session};
use crate::data::{Blocks, DataSource, FieldSpec};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::ir::Role;
use crate::model::Table;
use crate::ops::Element;
use crate::train::config::{self, Precision};
use crate::train::split::make_split;
use crate::train::{Evaluation, EvaluationForm, Reported, SavedProgram, replayed};
use clap::{Args, ValueEnum};
use indexmap::IndexMap;
use std::path::{Path, PathBuf};

const NOTES: &str = "\
The values are those of all rows together: a metric such as an F score or a correlation does not depend on the batch size.
Fields are read under the names that they had in training, or else under their own; --columns says otherwise. `-`, and null
in JSON, is a value that no row has.

Examples:
  anabranch evaluate runs/digits
  anabranch evaluate runs/digits --data digits.csv --rows 1437..1797
  anabranch evaluate runs/digits --data seen=train.csv --data unseen=test.csv
  anabranch evaluate runs/digits --data test.csv --format json";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folder that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// A data file with inputs and targets, a table or arrays; several are evaluated apart, under the names that they are given.
    /// Without it, the parts that the run itself had
    #[arg(long, value_name = "[PART=]FILE")]
    data: Vec<String>,

    /// How to write the values
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,

    #[command(flatten)]
    reading: ReadingArguments,

    #[command(flatten)]
    execution: ExecutionArguments,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// a line for each loss and metric, a column for each part
    #[default]
    Table,
    /// one object: parts, in each the values by name
    Json,
    /// a header, then a line for each part
    Csv,
}

/// A part of the data, and what it is evaluated to.
struct Evaluated {
    part: String,
    n_rows: usize,
    values: Vec<(Reported, Option<f64>)>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let mut saved = SavedProgram::read(&arguments.folder)?;
    let mut form = EvaluationForm::read(&arguments.folder)?;
    arguments.reading.feed_into(&mut saved.inputs, &mut form.targets)?;
    let source = session.sources.add(arguments.folder.display().to_string(), "");
    let span = Span::new(source, 0, 0);
    let evaluated = match saved.precision {
        Precision::F32 => evaluate::<f32>(arguments, (&saved, &form), session, span)?,
        Precision::F64 => evaluate::<f64>(arguments, (&saved, &form), session, span)?,
    };
    let text = match arguments.format {
        Format::Table => table(&evaluated),
        Format::Json => json(&evaluated),
        Format::Csv => csv(&evaluated),
    };
    session.console.print(&text)?;
    Ok(())
}

/// The parts of the data that the run had, as its config names them.
fn own_parts(
    arguments: &Arguments,
    specs: &[FieldSpec],
    session: &mut Session,
) -> Result<Vec<(String, DataSource)>, Diagnostics> {
    if arguments.reading.rows.is_some() || !arguments.reading.columns.is_empty() {
        return Err(Diagnostic::error(
            Code::E0602,
            "`--rows` and `--columns` say how a file is read, and none is named",
        )
        .with_help("name it: `--data FILE`")
        .into());
    }
    let (path, _) = replayed(&arguments.folder)?;
    let mut config = config::read(&path, &mut session.sources)?;
    make_split(&mut config, specs)?;
    let parts = [("train", config.train), ("validation", config.validation), ("test", config.test)];
    let parts: Vec<(String, DataSource)> =
        parts.into_iter().filter_map(|(part, source)| Some((part.to_string(), source?))).collect();
    if parts.is_empty() {
        let finding = Diagnostic::error(Code::E0603, "the run had no data");
        return Err(finding.with_help("name some: `--data FILE`").into());
    }
    Ok(parts)
}

/// The parts by name: `NAME=FILE`, or a file that goes by its own name.
fn parts(arguments: &Arguments) -> Result<Vec<(String, PathBuf)>, Diagnostic> {
    let mut parts: Vec<(String, PathBuf)> = Vec::new();
    for text in &arguments.data {
        let named = text.split_once('=').filter(|_| !Path::new(text).exists());
        let (part, path) = match named {
            Some((part, path)) => (part.to_string(), PathBuf::from(path)),
            None => {
                let stem = Path::new(text).file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (stem.unwrap_or_else(|| "data".into()), PathBuf::from(text))
            }
        };
        if parts.iter().any(|(other, _)| *other == part) {
            return Err(Diagnostic::error(Code::E0202, format!("two parts of the data are named `{part}`"))
                .with_help(format!("name them: `--data one={text}`")));
        }
        parts.push((part, path));
    }
    Ok(parts)
}

fn evaluate<T: Element>(
    arguments: &Arguments,
    (saved, form): (&SavedProgram, &EvaluationForm),
    session: &mut Session,
    span: Span,
) -> Result<Vec<Evaluated>, Diagnostics> {
    let options = arguments.execution.options(0);
    let mut evaluation = Evaluation::<T>::open(&arguments.folder, saved, form, span, &options)?;
    let specs = evaluation.specs();
    let fed = evaluation.fed().to_vec();
    let fields: Vec<String> = evaluation.inputs().into_iter().map(str::to_string).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let batch_size = arguments.reading.batch_size;
    let mut sources = if arguments.data.is_empty() { own_parts(arguments, &specs, session)? } else { Vec::new() };
    for (part, path) in parts(arguments)? {
        let columns = arguments.reading.columns.iter().cloned().collect();
        let mut source = saved.data_source(&path, &fields, &form.targets, columns)?;
        source.rows = arguments.reading.rows;
        sources.push((part, source));
    }
    let mut evaluated = Vec::new();
    for (part, source) in sources {
        let mut blocks = Blocks::open(&source, &specs, &fed, &[], Some(batch_size))?;
        evaluation.begin();
        let mut n_rows = 0;
        while let Some(block) = blocks.next_block(&mut |data| evaluation.review(data))? {
            evaluation.add(&block.data, batch_size)?;
            n_rows += block.data.rows;
        }
        evaluated.push(Evaluated { part, n_rows, values: evaluation.values() });
    }
    Ok(evaluated)
}

fn table(evaluated: &[Evaluated]) -> String {
    let header = ["", ""].into_iter().chain(evaluated.iter().map(|part| part.part.as_str()));
    let mut table = Table::new(header.map(str::to_string).collect());
    let names = evaluated.first().map(|part| part.values.as_slice()).unwrap_or_default();
    for (at, (reported, _)) in names.iter().enumerate() {
        let values = evaluated.iter().map(|part| value_or_dash(part.values[at].1));
        table.push([reported.role.as_str().to_string(), reported.name.to_string()].into_iter().chain(values).collect());
    }
    let rows = evaluated.iter().map(|part| part.n_rows.to_string());
    table.push(["rows".to_string(), String::new()].into_iter().chain(rows).collect());
    table.to_text(2)
}

/// A part in JSON.
#[derive(serde::Serialize)]
struct PartForm {
    rows: usize,
    losses: IndexMap<String, Option<f64>>,
    metrics: IndexMap<String, Option<f64>>,
}

fn json(evaluated: &[Evaluated]) -> String {
    let of = |part: &'_ Evaluated, is_metric: bool| -> IndexMap<String, Option<f64>> {
        let values = part.values.iter().filter(|(reported, _)| (reported.role == Role::Metric) == is_metric);
        values.map(|(reported, value)| (reported.name.to_string(), *value)).collect()
    };
    let form = |part: &Evaluated| PartForm { rows: part.n_rows, losses: of(part, false), metrics: of(part, true) };
    let all: IndexMap<&str, PartForm> = evaluated.iter().map(|part| (part.part.as_str(), form(part))).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

fn csv(evaluated: &[Evaluated]) -> String {
    let names = evaluated.first().map(|part| part.values.as_slice()).unwrap_or_default();
    let quoted = |text: &str| {
        if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_string() }
    };
    let header: Vec<String> =
        ["part", "rows"].into_iter().chain(names.iter().map(|(reported, _)| &*reported.name)).map(quoted).collect();
    let mut text = header.join(",") + "\n";
    for part in evaluated {
        let values = part.values.iter().map(|(_, value)| value.map_or_else(String::new, |value| value.to_string()));
        let cells: Vec<String> = [quoted(&part.part), part.n_rows.to_string()].into_iter().chain(values).collect();
        text += &(cells.join(",") + "\n");
    }
    text
}
