//! The command line: one file a command, no logic of its own.
//!
//! The only part of the crate that prints, exits, and reads the environment or the time of day. Results go to standard
//! output, findings and progress to standard error. Exit codes: 0 when all went well, 2 when the user's input is at fault
//! (clap's own code for a wrong command line), 128 and the signal's number when a signal ended a run after a checkpoint;
//! anything else is a bug in anabranch.

mod check;
mod compare;
mod compile;
mod completions;
mod console;
mod data;
mod describe;
mod evaluate;
mod explain;
mod export;
mod files;
mod first_config;
mod flow;
mod fmt;
mod graph;
mod memory;
mod new;
mod predict;
mod progress;
mod replay;
mod report;
mod run;
mod runs;
mod signals;
mod sparkline;
mod spec;
mod std;
mod suggest;
mod summary;
mod sweep;
mod tensorboard;

use ::std::process::ExitCode;
use clap::{Parser, Subcommand};
use console::{Choice, Console, MessageFormat};

use crate::diag::{Diagnostics, SourceMap};

const EXAMPLES: &str = "\
Examples:
  anabranch run examples/digits/run.yaml
  anabranch predict examples/digits/runs/digits --data digits.csv -o predictions.csv
  anabranch evaluate examples/digits/runs/digits --data digits.csv
  anabranch compile examples/localizer/localizer.anb --emit train
  anabranch flow examples/localizer/localizer.anb";

/// A declarative graph compiler from a model spec to an executable training program
#[derive(Debug, Parser)]
#[command(name = "anabranch", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// How findings are written to standard error; json is one object a line
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    message_format: MessageFormat,

    /// Whether findings are coloured
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Choice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project that runs at once: spec, config and data
    New(new::Arguments),
    /// Compile a spec and print its stages
    Compile(compile::Arguments),
    /// Train by a run config and write the run's folder
    Run(run::Arguments),
    /// Say what the data of a run config hold, and what the spec makes of it
    Data(describe::Arguments),
    /// Train a few hundred steps and say how the losses could be weighed better
    Suggest(suggest::Arguments),
    /// Predict by a run's folder, without the spec
    Predict(predict::Arguments),
    /// Write a run's program for other runtimes
    Export(export::Arguments),
    /// Tell the losses and metrics of data by a run's folder, without the spec
    Evaluate(evaluate::Arguments),
    /// Say what went wrong in runs
    Report(report::Arguments),
    /// Compare runs: configs, last values, curves
    Compare(compare::Arguments),
    /// List the runs in a folder
    Runs(runs::Arguments),
    /// Make a step of a run again, to the bit, and print its values
    Replay(replay::ReplayArguments),
    /// Find the first step of a run at which a condition became true
    Bisect(replay::BisectArguments),
    /// Print a model's layers: shapes, params, arithmetic, and which loss trains each
    Summary(summary::Arguments),
    /// Print which loss trains which param
    Flow(flow::Arguments),
    /// Draw a model: layers, losses, and the gradients between them
    Graph(graph::Arguments),
    /// Compile a spec and report what is found, nothing else
    Check(check::Arguments),
    /// Format specs in place
    Fmt(fmt::Arguments),
    /// Explain the code of a finding
    Explain(explain::Arguments),
    /// List the standard library, or print one of its definitions
    Std(std::Arguments),
    /// Print a script that completes this program's arguments in a shell
    Completions(completions::Arguments),
}

/// What a command works with.
struct Session {
    sources: SourceMap,
    console: Console,
    /// what the process ends with when all went well: a signal may have ended a run before its end
    exit_code: u8,
}

/// How a command ends: fine, or with findings that are the user's to mend.
type Outcome = Result<(), Diagnostics>;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let console = Console::new(arguments.message_format, arguments.color);
    let mut session = Session { sources: SourceMap::default(), console, exit_code: 0 };
    let outcome = match &arguments.command {
        Command::New(arguments) => new::run(arguments, &mut session),
        Command::Compile(arguments) => compile::run(arguments, &mut session),
        Command::Run(arguments) => run::run(arguments, &mut session),
        Command::Data(arguments) => describe::run(arguments, &mut session),
        Command::Suggest(arguments) => suggest::run(arguments, &mut session),
        Command::Predict(arguments) => predict::run(arguments, &mut session),
        Command::Export(arguments) => export::run(arguments, &mut session),
        Command::Evaluate(arguments) => evaluate::run(arguments, &mut session),
        Command::Report(arguments) => report::run(arguments, &mut session),
        Command::Compare(arguments) => compare::run(arguments, &mut session),
        Command::Runs(arguments) => runs::run(arguments, &mut session),
        Command::Replay(arguments) => replay::replay(arguments, &mut session),
        Command::Bisect(arguments) => replay::bisect(arguments, &mut session),
        Command::Flow(arguments) => flow::run(arguments, &mut session),
        Command::Summary(arguments) => summary::run(arguments, &mut session),
        Command::Graph(arguments) => graph::run(arguments, &mut session),
        Command::Check(arguments) => check::run(arguments, &mut session),
        Command::Fmt(arguments) => fmt::run(arguments, &mut session),
        Command::Explain(arguments) => explain::run(arguments, &mut session),
        Command::Std(arguments) => std::run(arguments, &mut session),
        Command::Completions(arguments) => completions::run(arguments, &mut session),
    };
    match outcome {
        Ok(()) => ExitCode::from(session.exit_code),
        Err(findings) => {
            session.console.findings(&findings.0, &session.sources);
            ExitCode::from(2)
        }
    }
}
