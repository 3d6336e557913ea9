//! `anabranch run`

use super::progress::{Progress, number, value_or_dash};
use super::spec::{SetArguments, read_text, read_used};
use super::{Outcome, Session, memory};
use crate::diag::Diagnostics;
use crate::exec::{ExecutorOptions, Mode};
use crate::ops::Element;
use crate::pipeline::{Compiled, compile_with};
use crate::train::config::{self, Precision, RunConfig};
use crate::train::{self, Finished, History, check_target, load_data, overrides, save};
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

const NOTES: &str = "\
The output folder is written when the run is done. In a folder of an earlier run the files that the run wrote are replaced,
and whatever else lies there stays; a folder that no run wrote is never touched. A run that diverges (E0607) leaves the
output as it was and writes its last good params to OUTPUT.diverged.

Examples:
  anabranch run examples/localizer/run.yaml
  anabranch run run.yaml --epochs 5 --set width=256 --output runs/wide
  anabranch run run.yaml --precision f64 --executor reference";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The run config, a YAML file
    #[arg(value_name = "CONFIG")]
    config: PathBuf,

    /// Compute in this precision instead of the config's
    #[arg(long, value_enum, value_name = "TYPE")]
    precision: Option<PrecisionChoice>,

    #[command(flatten)]
    execution: ExecutionArguments,

    /// Train for so many epochs instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,

    /// Write to this folder instead
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Take this seed instead
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    #[command(flatten)]
    set: SetArguments,
}

/// How programs are executed.
#[derive(Debug, Args)]
pub(super) struct ExecutionArguments {
    /// How programs are run
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    executor: ExecutorChoice,

    /// Threads to work with; 0 is as many as there are cores
    #[arg(long, default_value_t, value_name = "N")]
    threads: usize,
}

impl ExecutionArguments {
    pub(super) fn options(&self) -> ExecutorOptions {
        let mode = match self.executor {
            ExecutorChoice::Planned => Mode::Planned,
            ExecutorChoice::Reference => Mode::Reference,
        };
        ExecutorOptions { mode, threads: self.threads, memory: memory::left(), ..ExecutorOptions::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PrecisionChoice {
    F32,
    F64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ExecutorChoice {
    /// by a plan made ahead
    #[default]
    Planned,
    /// op by op, by each op's definition: slow and obvious
    Reference,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let config = read_config(arguments, session)?;
    let options = overrides(&config, arguments.set.options());
    let source = read_text(session, &config.spec, Some(config.spec_span))?;
    let compiled = compile_with(&mut session.sources, source, &options, &read_used)?;
    session.console.findings(&compiled.findings, &session.sources);
    let spec = session.sources.file(source).text.clone();
    match config.precision {
        Precision::F32 => train_and_save::<f32>(arguments, &config, &compiled, &spec, session),
        Precision::F64 => train_and_save::<f64>(arguments, &config, &compiled, &spec, session),
    }
}

fn read_config(arguments: &Arguments, session: &mut Session) -> Result<RunConfig, Diagnostics> {
    let mut config = config::read(&arguments.config, &mut session.sources)?;
    match arguments.precision {
        Some(PrecisionChoice::F32) => config.precision = Precision::F32,
        Some(PrecisionChoice::F64) => config.precision = Precision::F64,
        None => {}
    }
    config.epochs = arguments.epochs.unwrap_or(config.epochs);
    config.seed = arguments.seed.unwrap_or(config.seed);
    if let Some(output) = &arguments.output {
        config.output.clone_from(output);
        config.output_span = None;
    }
    Ok(config)
}

fn train_and_save<T: Element>(
    arguments: &Arguments,
    config: &RunConfig,
    compiled: &Compiled,
    spec: &str,
    session: &Session,
) -> Outcome {
    check_target(&config.output, config)?;
    let data = load_data(compiled, config)?;
    session.console.findings(&data.findings, &session.sources);
    let start = Instant::now();
    let mut progress = Progress::new(session.console, &session.sources);
    let options = arguments.execution.options();
    let run: Finished<T> = train::run(compiled, config, &data, &options, &mut |event| {
        progress.observe(event);
        ControlFlow::Continue(())
    })?;
    progress.finish();
    if let Some(finding) = &run.diverged {
        let target = beside("diverged", config);
        save(&target, compiled, config, spec, &run)?;
        let kept = format!("the model as it was after step {} is in `{}`", run.n_steps, target.display());
        return Err(finding.clone().with_note(kept).into());
    }
    save(&config.output, compiled, config, spec, &run).map_err(|finding| {
        // The place was good before the run. What was trained since is not given up for it.
        let other = beside("unplaced", config);
        match save(&other, compiled, config, spec, &run) {
            Ok(()) => finding.with_note(format!("the run is in `{}` instead", other.display())),
            Err(_) => finding,
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    let mut text = summary(&run.history, run.n_epochs);
    text += &verdict(&run);
    let _ = writeln!(text, "{} steps in {seconds:.1} s; wrote {}", run.n_steps, config.output.display());
    session.console.print(&text)?;
    Ok(())
}

/// Which epoch was the best, when the run watched a value.
fn verdict<T>(run: &Finished<T>) -> String {
    let Some(best) = &run.best else { return String::new() };
    let ended = if run.stopped_early { "stopped early; " } else { "" };
    let kept = if best.kept { "; its params are kept" } else { "" };
    format!("{ended}best {}: {} after epoch {}{kept}\n", best.watched, number(best.value), best.epoch)
}

/// `runs/first.diverged` for `runs/first`, or that with a number where it is taken by something that is not ours.
fn beside(what: &str, config: &RunConfig) -> PathBuf {
    const MOST: u32 = 100;
    let named = |suffix: String| {
        let mut name: OsString = config.output.file_name().unwrap_or_default().to_os_string();
        name.push(suffix);
        config.output.with_file_name(name)
    };
    let first = named(format!(".{what}"));
    let others = (2..MOST).map(|number| named(format!(".{what}-{number}")));
    let free = std::iter::once(first.clone()).chain(others).find(|target| check_target(target, config).is_ok());
    free.unwrap_or(first)
}

/// The value before training, and after the epoch whose params are kept, of everything that was evaluated.
fn summary(history: &History, kept: u32) -> String {
    let last = history.epochs.iter().find(|record| record.epoch == kept);
    let (Some(first), Some(last)) = (history.epochs.first(), last) else { return String::new() };
    let mut text = String::new();
    for part in last.parts.iter().filter(|part| part.part != "train") {
        for (reported, value) in &part.values {
            let before = first.get(part.part, &reported.name);
            let fall = before.zip(*value).map_or_else(String::new, |(before, after)| fall(before, after));
            let name = format!("{} {}", part.part, reported.name);
            let _ = writeln!(text, "{name}: {} -> {}{fall}", value_or_dash(before), value_or_dash(*value));
        }
    }
    text
}

/// By how much a positive value fell, when it fell to less than half.
fn fall(before: f64, after: f64) -> String {
    if after > 0.0 && before / after >= 2.0 { format!(" ({:.1} times less)", before / after) } else { String::new() }
}
