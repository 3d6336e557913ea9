//! `anabranch run`

use super::data::fed;
use super::first_config::first_config;
use super::progress::{LogArguments, LogForm, Progress, Reporting, number, value_or_dash};
use super::signals::Signals;
use super::spec::{SetArguments, compile_config};
use super::sweep::{self, SweepArguments};
use super::tensorboard::EventFile;
use super::{Outcome, Session, memory, sparkline};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{ExecutorOptions, Mode};
use crate::ir::Role;
use crate::ops::Element;
use crate::train::config::{self, Fed, Precision, RunConfig};
use crate::train::split::{Parting, Split};
use crate::train::{
    Addends, DataChange, Earlier, Finished, History, Keeping, PartRecord, Plan, RunFolder, Status, Verified, load_data,
    overrides, parts_of_term, run_into, verify_resume, weights_shown,
};
use clap::{Args, ValueEnum};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Characters of a line.
const WIDTH: usize = 80;

const NOTES: &str = "\
The output folder is written while the run goes on, with checkpoints that it can be gone on from. Where a run is there
already, the new one takes that name and a number, as in runs/digits-2; --replace puts it in the place of the old one. Only
what a run wrote is ever replaced, and a folder that no run wrote is never touched.

Ctrl-C (SIGINT, SIGTERM, SIGHUP) ends a run after the present step with a checkpoint; a second one ends it at once.

Examples:
  anabranch run examples/localizer/run.yaml
  anabranch run run.yaml --epochs 5 --set width=256 --output runs/wide
  anabranch run --resume runs/wide
  anabranch run run.yaml --log json --tensorboard logs
  anabranch run run.yaml --sweep width=32,64 depth=1,2 --seeds 5 --jobs 2 --pareto validation/a,validation/b
  anabranch run run.yaml --sweep lr=1e-4..1e-1 --random 20
  anabranch run run.yaml --precision f64 --executor reference";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The run config, a YAML file
    #[arg(value_name = "CONFIG", required_unless_present = "resume", conflicts_with = "resume")]
    config: Option<PathBuf>,

    /// Go on with the run in this folder, where it was left
    #[arg(long, value_name = "RUN_DIR", conflicts_with_all = ["output", "seed", "precision", "assignments", "replace"])]
    resume: Option<PathBuf>,

    /// Put the run in the place of the one that is in the output folder
    #[arg(long)]
    replace: bool,

    /// Prove that a run of this config would go on exactly where it is left, in a few steps, and write nothing
    #[arg(long, conflicts_with_all = ["resume", "output", "replace"])]
    verify_resume: bool,

    /// Go on also when the data are not those that the run began with
    #[arg(long, requires = "resume")]
    data_changed: bool,

    /// Compute in this precision instead of the config's
    #[arg(long, value_enum, value_name = "TYPE")]
    precision: Option<PrecisionChoice>,

    #[command(flatten)]
    execution: ExecutionArguments,

    /// Train for so many epochs instead; a run that is gone on with may have more than it began with. With 0 the model is
    /// evaluated and saved as it begins
    #[arg(long, value_name = "N")]
    epochs: Option<u32>,

    /// Write to this folder instead
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,

    /// Take this seed instead
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Take batches of so many rows instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "resume")]
    batch_size: Option<u32>,

    /// Log every so many steps to steps.jsonl; 0 logs none
    #[arg(long, value_name = "STEPS", conflicts_with = "resume")]
    log_every: Option<u32>,

    /// Evaluate validation and test rows after every so many epochs, and after the last
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "resume")]
    evaluate_every: Option<u32>,

    /// Train on all folds but this one, counted from 0, and test on it; without it a split into folds is a run for each
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    fold: Option<u32>,

    /// Write a first config for a spec: `anabranch run model.anb --write-config`. On a terminal this is asked
    #[arg(long)]
    write_config: bool,

    /// Give an input without rows this value: `--feed alpha=0.3`
    #[arg(long = "feed", value_name = "NAME=VALUE", value_parser = fed, conflicts_with = "resume")]
    feed: Vec<(String, Fed)>,

    #[command(flatten)]
    set: SetArguments,

    #[command(flatten)]
    logging: LogArguments,

    #[command(flatten)]
    pub(super) sweep: SweepArguments,
}

impl Arguments {
    pub(super) fn output(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// What every run of a sweep is told, as a command line.
    pub(super) fn shared(&self) -> Vec<String> {
        let flag = |name: &str, value: Option<String>| value.map(|value| [format!("--{name}"), value]);
        let name_of = |choice: Option<&clap::builder::PossibleValue>| choice.map(|value| value.get_name().to_string());
        let precision = self.precision.and_then(|choice| name_of(choice.to_possible_value().as_ref()));
        let executor = name_of(self.execution.executor.to_possible_value().as_ref());
        let epochs = self.epochs.filter(|_| !self.sweep.is_swept("epochs")).map(|epochs| epochs.to_string());
        let batch_size = self.batch_size.filter(|_| !self.sweep.is_swept("batch_size")).map(|size| size.to_string());
        let flags = [
            flag("precision", precision),
            flag("executor", executor),
            flag("epochs", epochs),
            flag("batch-size", batch_size),
            flag("log-every", self.log_every.map(|steps| steps.to_string())),
            flag("evaluate-every", self.evaluate_every.map(|epochs| epochs.to_string())),
        ];
        let feed = self.feed.iter().flat_map(|(name, fed)| ["--feed".to_string(), format!("{name}={fed}")]);
        flags.into_iter().flatten().flatten().chain(feed).chain(self.set.command_line()).collect()
    }

    /// The threads of each of some processes that share the machine.
    pub(super) fn threads_of(&self, n_processes: usize) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        if self.execution.threads == 0 { (cores / n_processes.max(1)).max(1) } else { self.execution.threads }
    }
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
    /// `data`: the bytes that were read. What is left is less by them, and they count as part of the run.
    pub(super) fn options(&self, data: u64) -> ExecutorOptions {
        let memory = memory::left().map(|left| left.saturating_add(data));
        let mode = match self.executor {
            ExecutorChoice::Planned => Mode::Planned,
            ExecutorChoice::Reference => Mode::Reference,
        };
        ExecutorOptions { mode, threads: self.threads, memory, ..ExecutorOptions::default() }
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
    let is_spec = |path: &PathBuf| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("anb"));
    if let Some(spec) = arguments.config.as_ref().filter(|path| is_spec(path)) {
        return first_config(spec, arguments.write_config, session);
    }
    let (mut config, folder) = match (&arguments.resume, &arguments.config) {
        (Some(path), _) => {
            let (config, folder) = resumed(path, arguments, session)?;
            (config, Some(folder))
        }
        (None, Some(path)) => {
            let config = read_config(path, arguments, session)?;
            let folds = config.split.as_ref().and_then(Split::all_folds);
            if arguments.sweep.is_asked_for() || folds.is_some() {
                return sweep::run(arguments, &config, session);
            }
            let earlier = if arguments.replace { Earlier::Replace } else { Earlier::Keep };
            let folder = (!arguments.verify_resume).then(|| RunFolder::claim(&config, earlier)).transpose()?;
            (config, folder)
        }
        // The command line's own rules leave no third.
        (None, None) => return Ok(()),
    };
    let options = overrides(&config, arguments.set.options());
    let (compiled, texts) = compile_config(session, &mut config, &options)?;
    let options = arguments.execution.options(0);
    let plan = Plan { compiled: &compiled, config: &config, texts: &texts, options: &options };
    match config.precision {
        Precision::F32 => run_as::<f32>(arguments, &plan, folder, session),
        Precision::F64 => run_as::<f64>(arguments, &plan, folder, session),
    }
}

fn run_as<T: Element>(
    arguments: &Arguments,
    plan: &Plan<'_>,
    folder: Option<RunFolder>,
    session: &mut Session,
) -> Outcome {
    let Some(mut folder) = folder else { return verify::<T>(plan, session) };
    train_and_save::<T>(arguments, plan, &mut folder, session)
}

fn verify<T: Element>(plan: &Plan<'_>, session: &Session) -> Outcome {
    let data = load_data(plan.compiled, plan.config)?;
    let Verified { steps, resumed_after, threads } = verify_resume::<T>(plan, &data)?;
    let after: Vec<String> = resumed_after.iter().map(ToString::to_string).collect();
    let text = format!(
        "{steps} steps; gone on with after {}, on {} threads before and {} after: the same bytes\n",
        after.join(", "),
        threads.0,
        threads.1
    );
    session.console.print(&text)?;
    Ok(())
}

/// The config of a new run, with what the command line says instead.
fn read_config(path: &Path, arguments: &Arguments, session: &mut Session) -> Result<RunConfig, Diagnostics> {
    let mut config = config::read(path, &mut session.sources)?;
    match arguments.precision {
        Some(PrecisionChoice::F32) => config.precision = Precision::F32,
        Some(PrecisionChoice::F64) => config.precision = Precision::F64,
        None => {}
    }
    config.epochs = arguments.epochs.unwrap_or(config.epochs);
    config.seed = arguments.seed.unwrap_or(config.seed);
    config.batch_size = arguments.batch_size.unwrap_or(config.batch_size);
    config.log_every = arguments.log_every.unwrap_or(config.log_every);
    config.evaluate_every = arguments.evaluate_every.unwrap_or(config.evaluate_every);
    config.feed.extend(arguments.feed.iter().cloned());
    if let Some(fold) = arguments.fold {
        take_fold(&mut config, fold)?;
    }
    if let Some(output) = &arguments.output {
        config.output.clone_from(output);
        config.output_span = None;
    }
    config.set_all(arguments.set.options().overrides);
    Ok(config)
}

/// Makes a run that of one fold.
fn take_fold(config: &mut RunConfig, wanted: u32) -> Result<(), Diagnostic> {
    let span = config.spec_span;
    match config.split.as_mut().map(|split| &mut split.parting) {
        Some(Parting::Folds { count, fold }) if wanted < *count => {
            *fold = Some(wanted);
            Ok(())
        }
        parting => {
            let folds = match parting {
                Some(Parting::Folds { count, .. }) => format!("found: {count} folds, counted from 0"),
                _ => "found: no folds in the config".to_string(),
            };
            let finding = Diagnostic::error(Code::E0602, format!("there is no fold {wanted}"))
                .at(span, "in the run of this spec");
            Err(finding.with_note(folds).with_help("folds are made by `data: { file: …, split: { folds: 5 } }`"))
        }
    }
}

/// The folder of a run that was left, and the config that it goes by.
fn resumed(path: &Path, arguments: &Arguments, session: &mut Session) -> Result<(RunConfig, RunFolder), Diagnostics> {
    let folder = RunFolder::open(path)?;
    let mut config = config::read(&folder.config_path(), &mut session.sources)?;
    config.epochs = arguments.epochs.unwrap_or(config.epochs);
    Ok((config, folder))
}

fn train_and_save<T: Element>(
    arguments: &Arguments,
    plan: &Plan<'_>,
    folder: &mut RunFolder,
    session: &mut Session,
) -> Outcome {
    let data = load_data(plan.compiled, plan.config)?;
    session.console.findings(&data.findings, &session.sources);
    let options = arguments.execution.options(data.bytes());
    let plan = &Plan { options: &options, ..*plan };
    let start = Instant::now();
    let path = folder.path().to_path_buf();
    let reporting = Reporting::of(plan.compiled, plan.config, weights_shown(plan.compiled), data.train.rows);
    let form = arguments.logging.log;
    let events = arguments.logging.tensorboard.as_ref();
    let events =
        events.map(|folder| EventFile::create(&folder.join(path.file_name().unwrap_or_default()))).transpose()?;
    let mut progress = Progress::new(session.console, &session.sources, form, events, &reporting);
    let data_change = if arguments.data_changed { DataChange::Allowed } else { DataChange::Refused };
    let keeping = Keeping { elapsed: &|| start.elapsed(), now: Some(&time_of_day), data_change };
    let signals = Signals::watch();
    let run: Finished<T> = run_into(plan, &data, folder, keeping, &mut |event| {
        progress.observe(event);
        if signals.is_caught() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    progress.finish();
    if folder.record().is_some_and(|record| record.status == Status::Interrupted) {
        session.exit_code = signals.exit_code();
        let text = format!(
            "interrupted after {} steps; go on with `anabranch run --resume {}`\n",
            run.steps_run,
            path.display()
        );
        session.console.print(&text)?;
        return Ok(());
    }
    if let Some(finding) = &run.diverged {
        let kept = format!("the model as it was after step {} is in `{}`", run.n_steps, path.display());
        return Err(finding.clone().with_note(kept).into());
    }
    let seconds = start.elapsed().as_secs_f64();
    if matches!(form, LogForm::Json | LogForm::Quiet) {
        return Ok(());
    }
    // For eyes: what reads the text has the history.
    let mut text = if std::io::stdout().is_terminal() { sparkline::losses(&run.history) } else { String::new() };
    text += &summary(&run.history, run.n_epochs);
    text += &explained(&run.history, run.n_epochs, &plan.compiled.addends);
    text += &verdict(&run);
    let _ = writeln!(text, "{} steps in {seconds:.1} s; wrote {}", run.steps_run, path.display());
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

/// The value before training, and after the epoch whose params are kept, of everything that was evaluated.
fn summary(history: &History, kept: u32) -> String {
    let last = history.epochs.iter().find(|record| record.epoch == kept);
    let (Some(first), Some(last)) = (history.epochs.first(), last) else { return String::new() };
    let mut text = String::new();
    for part in last.parts.iter().filter(|part| part.part != "train") {
        for (reported, value) in part.values.iter().filter(|(reported, _)| reported.role != Role::Term) {
            let before = first.get(part.part, &reported.name);
            let fall = before.zip(*value).map_or_else(String::new, |(before, after)| fall(before, after));
            let name = format!("{} {}", part.part, reported.name);
            if kept == 0 {
                let _ = writeln!(text, "{name}: {}", value_or_dash(*value));
                continue;
            }
            let _ = writeln!(text, "{name}: {} -> {}{fall}", value_or_dash(before), value_or_dash(*value));
        }
    }
    text
}

/// What the totals of the epoch whose params are kept were made of, in the last part that has them:
/// `validation total 0.84936 = 0.60170 of error (1.20340) + 0.24766 of sorted (0.49532)`. Nothing of a total that is the sum of losses as
/// they are reported.
fn explained(history: &History, kept: u32, addends: &Addends) -> String {
    let mut text = String::new();
    let Some(record) = history.epoch(kept) else { return text };
    for (total, own) in addends.iter().filter(|(_, own)| own.iter().any(|name| parts_of_term(name).is_some())) {
        let has_all = |part: &&PartRecord| own.iter().chain([total]).all(|name| part.get(name).is_some());
        let Some(part) = record.parts.iter().rfind(has_all) else { continue };
        let value = |name: &str| value_or_dash(part.get(name));
        // Its sign stands before it.
        let size = |name: &str| value_or_dash(part.get(name).map(f64::abs));
        let addend = |name: &Arc<str>| match parts_of_term(name) {
            None => format!("{} of {name}", size(name)),
            Some((_, loss)) if part.get(loss).is_none() => format!("{} of the rest", size(name)),
            Some((_, loss)) => format!("{} of {loss} ({})", size(name), value(loss)),
        };
        let mut line = format!("{} {total} {} =", part.part, value(total));
        for (at, name) in own.iter().enumerate() {
            let is_negative = part.get(name).is_some_and(|value| value < 0.0);
            let (addend, sign) = match (at, is_negative) {
                (0, false) => (addend(name), ""),
                (_, false) => (addend(name), "+ "),
                (_, true) => (addend(name), "- "),
            };
            if line.chars().count() + sign.len() + addend.chars().count() >= WIDTH {
                text += &line;
                text.push('\n');
                line = "   ".to_owned();
            }
            line += &format!(" {sign}{addend}");
        }
        text += &line;
        text.push('\n');
    }
    text
}

/// By how much a positive value fell, when it fell to less than half.
fn fall(before: f64, after: f64) -> String {
    if after > 0.0 && before / after >= 2.0 { format!(" ({:.1} times less)", before / after) } else { String::new() }
}

/// The time of day in UTC, `2026-11-30T15:48:41Z`.
fn time_of_day() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    utc(seconds)
}

/// A time, in seconds since 1970, as ISO 8601 writes it.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days to a date by eras of 400 years that begin in March (Hinnant, "chrono-compatible low-level date algorithms").
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates() {
        let found = [0, 951_782_399, 951_782_400, 951_868_800, 1_796_053_721, 4_107_542_399].map(utc);
        let expected = [
            "1970-01-01T00:00:00Z",
            "2000-02-28T23:59:59Z",
            "2000-02-29T00:00:00Z",
            "2000-03-01T00:00:00Z",
            "2026-11-30T15:48:41Z",
            "2100-02-28T23:59:59Z",
        ];
        assert_eq!(found, expected);
    }
}
