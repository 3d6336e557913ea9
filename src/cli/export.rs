//! `anabranch export`: programs for other runtimes.

use super::files::{ReplaceArgument, check_file};
use super::spec::{SetArguments, compile_config, compile_texts, read_text};
use super::{Outcome, Session};
use crate::data::files::{cannot_write, write_whole};
use crate::data::safetensors_to;
use crate::diag::{Code, Diagnostic, Diagnostics, Span};
use crate::exec::{Clock, StoreKind, Values};
use crate::export::onnx::{Constant, Elements, Source, onnx};
use crate::ir::{DType, Graph, TensorType};
use crate::ops::{InputKind, Op};
use crate::train::config::Precision;
use crate::train::{
    ArtefactOptions, Exported, Layout, Part, SavedProgram, config, load_data, overrides, replayed, weights,
    write_artefact,
};
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum Form {
    /// The prediction program of a run as an ONNX model
    Onnx(OnnxArguments),
    /// The params and states of a run's prediction as a safetensors file, by the names and axes of a framework
    Params(ParamsArguments),
    /// The programs of a run config as StableHLO, with params and data, for XLA
    Xla(XlaArguments),
}

const PARAMS_NOTES: &str = "\
The file has what the run's prediction reads, and no states of the optimizer. Names are paths; docs/export.md says what each framework calls
their last words, and how kernels are turned. `params: { file: …, layout: … }` in a run config reads such a file.

Examples:
  anabranch export params runs/digits -o digits.safetensors --layout pytorch
  anabranch export params runs/digits -o digits.safetensors --layout keras";

#[derive(Debug, Args)]
#[command(after_help = PARAMS_NOTES)]
struct ParamsArguments {
    /// The folder that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// Where to write the tensors, a .safetensors file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,

    /// Whose names and axes they have
    #[arg(long, value_enum, default_value = "anabranch", value_name = "FRAMEWORK")]
    layout: LayoutChoice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LayoutChoice {
    /// as a run has them
    Anabranch,
    /// kernels by outputs, inputs, places
    #[value(name = "pytorch")]
    PyTorch,
    /// paths with slashes
    Keras,
}

fn export_params(arguments: &ParamsArguments, session: &mut Session) -> Outcome {
    let ParamsArguments { folder, output, replace, layout } = arguments;
    check_file(output, *replace, &SavedProgram::files(folder))?;
    if output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("safetensors")) {
        return Err(Diagnostic::error(Code::E0605, format!("cannot write `{}`", output.display()))
            .with_note("expected: a name that ends in `.safetensors`, by which it is read again")
            .into());
    }
    let source = session.sources.add(folder.display().to_string(), "");
    let span = Span::new(source, 0, 0);
    let saved = SavedProgram::read(folder)?;
    let layout = match layout {
        LayoutChoice::Anabranch => Layout::Own,
        LayoutChoice::PyTorch => Layout::PyTorch,
        LayoutChoice::Keras => Layout::Keras,
    };
    let written = match saved.precision {
        Precision::F32 => weights::<f32>(folder, &saved, layout, span)?,
        Precision::F64 => weights::<f64>(folder, &saved, layout, span)?,
    };
    write_whole(output, replace.existing(), |out| safetensors_to(out, &written.refs(), &written.metadata))
        .map_err(|error| cannot_write(output, error))?;
    Ok(())
}

const ONNX_NOTES: &str = "\
The model has the run's params in it and open run-time dims, the batch among them; it computes in f32. Its inputs and outputs have
the names of the spec. A value that ONNX has no form for is a finding at its line. docs/export.md says which those are.

Examples:
  anabranch export onnx runs/digits -o digits.onnx
  anabranch export onnx runs/vae --from code --outputs drawing -o decoder.onnx";

#[derive(Debug, Args)]
#[command(after_help = ONNX_NOTES)]
struct OnnxArguments {
    /// The folder that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// Where to write the model
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,

    /// Give these outputs only, or other values that the spec names with `let`
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    outputs: Vec<String>,

    /// Begin at these values instead of the inputs: the model reads them
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    from: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    match &arguments.form {
        Form::Onnx(arguments) => export_onnx(arguments, session),
        Form::Params(arguments) => export_params(arguments, session),
        Form::Xla(arguments) => export_xla(arguments, session),
    }
}

const XLA_NOTES: &str = "\
The folder has a module for each size of batch, the first params, the data that the run reads, checked, and a manifest. It trains by
`python -m anabranch_xla DIR -o RUN` (xla/README.md), and RUN is a folder from which `anabranch predict` works.

Example:
  anabranch export xla run.yaml -o artefact";

#[derive(Debug, Args)]
#[command(after_help = XLA_NOTES)]
struct XlaArguments {
    /// The run config, a .yaml file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Where to write the files: a folder
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,

    #[command(flatten)]
    set: SetArguments,

    /// How exact products of matrices are on devices that have a coarser way
    #[arg(long, value_enum, default_value = "highest", value_name = "HOW")]
    matmul: Matmul,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Matmul {
    /// as exact as the floats are
    Highest,
    /// as the device likes it
    Default,
}

fn export_xla(arguments: &XlaArguments, session: &mut Session) -> Outcome {
    let mut config = config::read(&arguments.config, &mut session.sources)?;
    let options = overrides(&config, arguments.set.options());
    let (compiled, texts) = compile_config(session, &mut config, &options)?;
    let data = load_data(&compiled, &config)?;
    session.console.findings(&data.findings, &session.sources);
    let folder = &arguments.output;
    std::fs::create_dir_all(folder).map_err(|error| cannot_write(folder, error))?;
    let sources = [config.train.as_ref(), config.validation.as_ref(), config.test.as_ref()];
    let mut read: Vec<PathBuf> = sources.into_iter().flatten().map(|source| source.path.clone()).collect();
    read.extend([arguments.config.clone(), config.spec.clone()]);
    for file in ["manifest.json", "programs.json", "params.npz", "train.npz", "validation.npz", "test.npz"] {
        check_file(&folder.join(file), arguments.replace, &read)?;
    }
    let existing = arguments.replace.existing();
    let mut write = |file: &str, bytes: &[u8]| {
        let path = folder.join(file);
        check_file(&path, arguments.replace, &read)?;
        write_whole(&path, existing, |out| out.write_all(bytes)).map_err(|error| cannot_write(&path, error))
    };
    let options = ArtefactOptions { is_highest: arguments.matmul == Matmul::Highest, existing };
    match config.precision {
        Precision::F32 => write_artefact::<f32>(folder, &compiled, &config, &data, &texts.hash(), options, &mut write),
        Precision::F64 => write_artefact::<f64>(folder, &compiled, &config, &data, &texts.hash(), options, &mut write),
    }
}

fn export_onnx(arguments: &OnnxArguments, session: &mut Session) -> Outcome {
    let OnnxArguments { folder, output, replace, outputs, from } = arguments;
    check_file(output, *replace, &SavedProgram::files(folder))?;
    let source = session.sources.add(folder.display().to_string(), "");
    let span = Span::new(source, 0, 0);
    let saved = SavedProgram::read(folder)?;
    let part = Part { from: from.clone(), outputs: outputs.clone() };
    let exported = Exported::open(folder, &saved, &part, span)?;
    let program: &Graph = &exported.program;
    let mut inputs: Vec<(String, TensorType)> =
        saved.inputs.iter().map(|input| (input.name.clone(), input.ty.clone())).collect();
    for id in program.ids() {
        let name = &program.node(id).provenance.name;
        if let Op::Input(leaf) = program.op(id)
            && leaf.kind == InputKind::Input
            && !inputs.iter().any(|(known, _)| **known == **name)
        {
            inputs.push((name.to_string(), leaf.ty.clone()));
        }
    }
    let name = folder.file_name().map_or_else(|| "predict".into(), |name| name.to_string_lossy());
    let stored = |kind: InputKind, name: &str| stored(&exported, kind, name);
    let made = |place: &dyn Fn(&str, &str) -> Option<Span>| {
        let inputs = inputs.iter().map(|(name, ty)| (name.as_str(), ty)).collect();
        onnx(program, &Source { name: &name, inputs, stored: &stored, metadata: metadata(folder, &saved), place })
    };
    let bytes = match made(&|_, _| None) {
        Err(findings) if findings.0.iter().any(|finding| finding.code == Code::E0703) => {
            // The saved program knows no lines; the spec beside it does.
            let Ok(graph) = spec_of(folder, session) else { return Err(findings) };
            return Err(made(&|name, op| place(&graph, name, op)).err().unwrap_or(findings));
        }
        made => made?,
    };
    write_whole(output, replace.existing(), |out| out.write_all(&bytes))
        .map_err(|error| cannot_write(output, error))?;
    Ok(())
}

/// The elements of a param or state, or a number of the clock as it stood at the end of the run.
fn stored(exported: &Exported, kind: InputKind, name: &str) -> Option<Constant> {
    let Clock { step, epoch, epoch_end, seed, epochs, steps_per_epoch } = exported.clock;
    let kind = match kind {
        InputKind::Param => StoreKind::Param,
        InputKind::State => StoreKind::State,
        InputKind::Step => return Some(Constant::int(step)),
        InputKind::Epoch => return Some(Constant::int(epoch)),
        InputKind::EpochEnd => return Some(Constant::int(epoch_end.into())),
        InputKind::Epochs => return Some(Constant::int(epochs)),
        InputKind::StepsPerEpoch => return Some(Constant::int(steps_per_epoch)),
        InputKind::TotalSteps => return Some(Constant::int(exported.clock.total_steps())),
        InputKind::Seed => return Some(Constant::int(seed)),
        InputKind::Input | InputKind::Target | InputKind::Port(_) => return None,
    };
    let entry = exported.store.entries().find(|entry| entry.kind() == kind && **entry.name() == *name)?;
    let elements = match (entry.values(), entry.dtype()) {
        (Values::Float(values), _) => Elements::Float(values.clone()),
        (Values::Int(values), DType::Bool) => Elements::Bool(values.iter().map(|value| *value != 0).collect()),
        (Values::Int(values), _) => Elements::Int(values.clone()),
    };
    Some(Constant { shape: entry.shape().to_vec(), elements })
}

/// What the model says of itself: the spec's hash, and by which columns training read each input.
fn metadata(folder: &Path, saved: &SavedProgram) -> Vec<(String, String)> {
    let mut metadata = Vec::new();
    if let Ok((_, record)) = replayed(folder) {
        metadata.push(("anabranch.spec_hash".to_string(), record.hashes.spec));
    }
    for input in saved.inputs.iter().filter(|input| !input.columns.is_empty()) {
        metadata.push((format!("anabranch.columns.{}", input.name), input.columns.join(",")));
        if !input.cells.is_empty() {
            let cells = serde_json::to_string(&input.cells).unwrap_or_default();
            metadata.push((format!("anabranch.cells.{}", input.name), cells));
        }
    }
    for (output, labels) in &saved.labels {
        metadata.push((format!("anabranch.labels.{output}"), serde_json::to_string(labels).unwrap_or_default()));
    }
    metadata
}

/// The prediction program of the spec that a run keeps in its folder, with the lines of its values.
fn spec_of(folder: &Path, session: &mut Session) -> Result<Graph, Diagnostics> {
    let (path, _) = replayed(folder)?;
    let config = config::read(&path, &mut session.sources)?;
    let spec = read_text(session, &config.spec, Some(config.spec_span))?;
    let (compiled, _) = compile_texts(session, &config.spec, spec, &overrides(&config, Default::default()))?;
    Ok(compiled.module.graph)
}

/// Where a spec says the value of a name, by an op where several nodes have the name.
fn place(graph: &Graph, name: &str, op: &str) -> Option<Span> {
    let nodes = || graph.ids().filter(|id| *graph.node(*id).provenance.name == *name);
    let found = nodes().find(|id| graph.op(*id).name() == op).or_else(|| nodes().next_back())?;
    Some(graph.node(found).provenance.span)
}
