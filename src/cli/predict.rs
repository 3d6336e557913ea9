//! `anabranch predict`

use super::data::ReadingArguments;
use super::files::{ReplaceArgument, check_file};
use super::run::ExecutionArguments;
use super::{Outcome, Session};
use crate::data::table::{CellKind, Cells, Column, Sink, TableFormat, Unwritten, check_columns, write_table};
use crate::data::{Block, Blocks, Dataset, Kept, Numbers};
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::ops::Element;
use crate::train::config::Precision;
use crate::train::{Part, Prediction, Predictor, SavedProgram};
use clap::Args;
use indexmap::IndexMap;
use std::path::PathBuf;
use std::sync::Arc;

const NOTES: &str = "\
The inputs are read under the names that they had in training, or else under their own; --columns says otherwise. An output
needs no target, and no input that it does not depend on. The name of the file says its format: .npz has an array for each
output, .csv columns NAME or NAME_0, NAME_1, …, .jsonl an object a line. Data larger than memory is read and written in
blocks. A file that exists is replaced only with --replace; the data, the files of the run, links and devices never are.

Examples:
  anabranch predict runs/digits --data digits.csv -o predictions.csv --keep id
  anabranch predict runs/digits --data new.npz --columns image=pixels -o predictions.npz
  anabranch predict runs/vae --from code --outputs drawing --data codes.npz -o drawings.npz
  anabranch predict runs/vae --outputs sample --samples 16 -o samples.npz";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folder that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// The data file: .csv, .tsv, .jsonl, .npz, .npy, .idx or .safetensors, also .gz of them
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// Where to write the outputs: an .npz, .csv or .jsonl file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,

    /// Give these outputs only, or other values that the spec names with `let`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    outputs: Vec<String>,

    /// Begin at these values instead of the inputs: they are read from the data
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    from: Vec<String>,

    /// Pass these columns or arrays of the data through
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    keep: Vec<String>,

    /// Give so many rows of outputs that read no data
    #[arg(long, value_name = "N", conflicts_with_all = ["data", "keep", "rows"])]
    samples: Option<u32>,

    #[command(flatten)]
    reading: ReadingArguments,

    #[command(flatten)]
    execution: ExecutionArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let [program, params] = SavedProgram::files(&arguments.folder);
    let inputs: Vec<PathBuf> = [program, params].into_iter().chain(arguments.data.clone()).collect();
    check_file(&arguments.output, arguments.replace, &inputs)?;
    let format = TableFormat::of(&arguments.output)?;
    let mut saved = SavedProgram::read(&arguments.folder)?;
    arguments.reading.feed_into(&mut saved.inputs, &mut [])?;
    // The program has no text to point at; its findings are placed in an empty one that bears the folder's name.
    let source = session.sources.add(arguments.folder.display().to_string(), "");
    let span = Span::new(source, 0, 0);
    match saved.precision {
        Precision::F32 => predict::<f32>(arguments, &saved, format, span),
        Precision::F64 => predict::<f64>(arguments, &saved, format, span),
    }
}

fn predict<T: Element>(arguments: &Arguments, saved: &SavedProgram, format: TableFormat, span: Span) -> Outcome {
    let part = Part { from: arguments.from.clone(), outputs: arguments.outputs.clone() };
    let options = arguments.execution.options(0);
    let predictor = Predictor::<T>::open_part(&arguments.folder, saved, &part, span, &options)?;
    let named = |name: &str, is_by_row| Column { name: name.into(), shape: Vec::new(), kind: CellKind::F32, is_by_row };
    let names = predictor.outputs().into_iter().map(|output| named(output, predictor.has_rows(output)));
    let columns: Vec<Column> = arguments.keep.iter().map(|name| named(name, true)).chain(names).collect();
    check_columns(&arguments.output, format, &columns)?;
    let writing = Writing { arguments, format, predictor, labels: &saved.labels };
    match (&arguments.data, arguments.samples) {
        (_, Some(n_rows)) => writing.sample(n_rows as usize),
        (Some(data), None) => {
            let fields: Vec<&str> = writing.predictor.inputs();
            let columns = arguments.reading.columns.iter().cloned().collect();
            let mut source = saved.data_source(data, &fields, &[], columns)?;
            source.rows = arguments.reading.rows;
            let (specs, fed) = (writing.predictor.specs(), writing.predictor.fed().to_vec());
            let batch = writing.predictor.is_by_rows().then_some(arguments.reading.batch_size);
            if specs.is_empty() && arguments.keep.is_empty() {
                return Err(reads_nothing("found: `--data`").into());
            }
            writing.blocks(Blocks::open(&source, &specs, &fed, &arguments.keep, batch)?)
        }
        (None, None) if writing.predictor.inputs().is_empty() => Err(reads_nothing("found: no `--samples`").into()),
        (None, None) => Err(Diagnostic::error(Code::E0603, "a prediction needs data")
            .with_note(format!("found: outputs that read {}", writing.predictor.inputs().join(", ")))
            .with_help("name the data: `--data FILE`")
            .into()),
    }
}

fn reads_nothing(found: &str) -> Diagnostic {
    Diagnostic::error(Code::E0603, "the outputs read no data, so nothing says how many rows there are")
        .with_note(found)
        .with_help("say how many: `--samples N`")
}

/// A prediction on its way into a file.
struct Writing<'a, T: Element> {
    arguments: &'a Arguments,
    format: TableFormat,
    predictor: Predictor<T>,
    labels: &'a Labels,
}

/// What the numbers of outputs stand for.
type Labels = IndexMap<String, Vec<String>>;

/// Outputs by name.
type Predictions = IndexMap<Arc<str>, Prediction>;

impl<T: Element> Writing<'_, T> {
    /// Rows of outputs that read no data.
    fn sample(mut self, n_rows: usize) -> Outcome {
        if let Some(name) = self.predictor.inputs().first() {
            return Err(Diagnostic::error(Code::E0603, format!("the outputs read `{name}`"))
                .with_note("expected: outputs that read no data, for `--samples`")
                .with_help("name the data, `--data FILE`, or other `--outputs`")
                .into());
        }
        let data = Dataset { rows: n_rows, fields: self.predictor.fed().iter().cloned().collect() };
        let predictions = self.predictor.predict(&data, self.arguments.reading.batch_size)?;
        let columns = self.columns(&[], &predictions)?;
        let Self { arguments, format, labels, .. } = self;
        let texts = texts(labels, &predictions);
        let mut write = |sink: &mut dyn Sink| Ok(sink.write(n_rows, &cells(&[], &predictions, &texts))?);
        write_table(&arguments.output, arguments.replace.existing(), format, &columns, &mut write)
    }

    /// The rows of the data, block by block.
    fn blocks(mut self, mut blocks: Blocks<'_>) -> Outcome {
        let Some(first) = blocks.next_block(&mut |data| self.predictor.review(data))? else { return Ok(()) };
        let batch_size = self.arguments.reading.batch_size;
        let predictions = self.predictor.predict(&first.data, batch_size)?;
        let columns = self.columns(blocks.kept(), &predictions)?;
        let Self { arguments, format, mut predictor, labels } = self;
        let mut ready = Some((first, predictions));
        let mut next = || -> Result<Option<(Block, Predictions)>, Diagnostics> {
            if let Some(ready) = ready.take() {
                return Ok(Some(ready));
            }
            let Some(block) = blocks.next_block(&mut |data| predictor.review(data))? else { return Ok(None) };
            let predictions = predictor.predict(&block.data, batch_size)?;
            Ok(Some((block, predictions)))
        };
        let mut write = |sink: &mut dyn Sink| -> Result<(), Unwritten> {
            while let Some((block, predictions)) = next()? {
                let texts = texts(labels, &predictions);
                sink.write(block.data.rows, &cells(&block.kept, &predictions, &texts))?;
            }
            Ok(())
        };
        write_table(&arguments.output, arguments.replace.existing(), format, &columns, &mut write)
    }

    /// What is written, held against the format.
    fn columns(&self, kept: &[Kept], predictions: &Predictions) -> Result<Vec<Column>, Diagnostics> {
        let output = |(name, prediction): (&Arc<str>, &Prediction)| {
            let is_by_row = self.predictor.has_rows(name);
            let kind = match prediction.values {
                Numbers::I32(_) if self.labels.contains_key(&**name) => CellKind::Text,
                Numbers::F32(_) => CellKind::F32,
                Numbers::F64(_) => CellKind::F64,
                Numbers::I32(_) => CellKind::I32,
            };
            let shape = prediction.shape[usize::from(is_by_row)..].to_vec();
            Column { name: name.to_string(), shape, kind, is_by_row }
        };
        let columns: Vec<Column> = kept.iter().map(Column::kept).chain(predictions.iter().map(output)).collect();
        check_columns(&self.arguments.output, self.format, &columns)?;
        Ok(columns)
    }
}

/// The texts that the ids of outputs stand for. An id that stands for none is written as it is.
fn texts(labels: &Labels, predictions: &Predictions) -> IndexMap<Arc<str>, Vec<String>> {
    let of = |name: &Arc<str>, prediction: &Prediction| {
        let (labels, Numbers::I32(ids)) = (labels.get(&**name)?, &prediction.values) else { return None };
        let label = |id: &i32| usize::try_from(*id).ok().and_then(|id| labels.get(id)).cloned();
        Some((name.clone(), ids.iter().map(|id| label(id).unwrap_or_else(|| id.to_string())).collect()))
    };
    predictions.iter().filter_map(|(name, prediction)| of(name, prediction)).collect()
}

fn cells<'a>(
    kept: &'a [crate::data::KeptValues],
    predictions: &'a Predictions,
    texts: &'a IndexMap<Arc<str>, Vec<String>>,
) -> Vec<Cells<'a>> {
    let output = |(name, output): (&Arc<str>, &'a Prediction)| match texts.get(name) {
        Some(texts) => Cells::Texts(texts),
        None => Cells::from(&output.values),
    };
    kept.iter().map(Cells::from).chain(predictions.iter().map(output)).collect()
}
