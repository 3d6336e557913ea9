//! `anabranch predict`

use super::files::{ReplaceArgument, check_file};
use super::run::ExecutionArguments;
use super::{Outcome, Session};
use crate::data::{TensorRef, load_reviewed, write_npz_where};
use crate::diag::Span;
use crate::ops::Element;
use crate::train::config::Precision;
use crate::train::{Predictor, SavedProgram};
use clap::Args;
use std::path::PathBuf;

const NOTES: &str = "\
The inputs are read from an .npz file under their own names, or from a .csv file by the columns that the run was trained
with. The outputs are written under their own names, one row for each row of the data. A file that exists is replaced only
with --replace, and the data, the files of the run, links and devices never.

Example:
  anabranch predict runs/digits --data digits.csv -o predictions.npz";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folder that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// The data file: .npz, .npy or .csv
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    /// Where to write the outputs, an .npz file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,

    /// Rows that are computed at once
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,

    #[command(flatten)]
    execution: ExecutionArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let saved = SavedProgram::read(&arguments.folder)?;
    let [program, params] = SavedProgram::files(&arguments.folder);
    check_file(&arguments.output, arguments.replace, &[program, params, arguments.data.clone()])?;
    // The program has no text to point at; its findings are placed in an empty one that bears the folder's name.
    let source = session.sources.add(arguments.folder.display().to_string(), "");
    let span = Span::new(source, 0, 0);
    match saved.precision {
        Precision::F32 => predict::<f32>(arguments, &saved, span),
        Precision::F64 => predict::<f64>(arguments, &saved, span),
    }
}

fn predict<T: Element>(arguments: &Arguments, saved: &SavedProgram, span: Span) -> Outcome {
    let mut predictor = Predictor::<T>::open(&arguments.folder, saved, span, &arguments.execution.options())?;
    let specs = predictor.specs()?;
    let source = saved.data_source(&arguments.data);
    let (data, _) = load_reviewed(&source, &specs, &mut |data| predictor.review(data))?;
    let predictions = predictor.predict(&data, arguments.batch_size)?;
    let tensors: Vec<TensorRef<'_>> = predictions
        .iter()
        .map(|(name, prediction)| TensorRef { name, shape: &prediction.shape, values: (&prediction.values).into() })
        .collect();
    write_npz_where(&arguments.output, arguments.replace.existing(), &tensors)?;
    Ok(())
}
