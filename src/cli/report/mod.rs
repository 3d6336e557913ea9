//! `anabranch report`

use super::run::ExecutionArguments;
use super::runs::Run;
use super::spec::compile_config;
use super::{Outcome, Session};
use crate::diag::Diagnostics;
use crate::exec::ExecutorOptions;
use crate::lower::Options;
use crate::pipeline::Compiled;
use crate::train::config::{self, Precision, RunConfig};
use crate::train::verdicts::{Evidence, Verdict, verdicts};
use crate::train::{load_data, overrides, replayed};
use clap::Args;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const NOTES: &str = "\
Reads the runs' folders, and where they are still there the data: steps are made again and losses computed with shuffled labels, in memory.
A run that went well has no verdict. `anabranch explain NAME` says more of each.

Examples:
  anabranch report runs/digits
  anabranch report runs/a runs/b";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    /// The folders that `anabranch run` wrote
    #[arg(value_name = "RUN_DIR", required = true, num_args = 1..)]
    runs: Vec<PathBuf>,

    /// Leave the data alone, and say what the folders say by themselves
    #[arg(long)]
    no_data: bool,

    #[command(flatten)]
    execution: ExecutionArguments,
}

/// A run and what is found of it.
#[derive(Debug)]
struct Examined {
    run: Run,
    evidence: Evidence,
    verdicts: Vec<Verdict>,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let examined =
        arguments.runs.iter().map(|path| examine(path, arguments, session)).collect::<Result<Vec<_>, Diagnostics>>()?;
    let texts: Vec<String> = examined.iter().map(|examined| text(examined, &examined.run.name())).collect();
    session.console.print(&texts.join("\n"))?;
    Ok(())
}

fn examine(path: &Path, arguments: &Arguments, session: &mut Session) -> Result<Examined, Diagnostics> {
    let run = Run::open(path)?;
    let mut evidence = Evidence::of_run(path, &run.record);
    match compiled(path, session) {
        Ok((compiled, config)) => {
            evidence = evidence.with_spec(&compiled);
            if !arguments.no_data {
                evidence = with_data(evidence, path, (&compiled, &config), &run, &arguments.execution.options(0));
            }
        }
        Err(findings) => {
            evidence.unseen.push(format!("its spec: {findings}"));
        }
    }
    let verdicts = verdicts(&evidence);
    Ok(Examined { run, evidence, verdicts })
}

/// The spec of a run, from the copy in its folder.
fn compiled(path: &Path, session: &mut Session) -> Result<(Compiled, RunConfig), Diagnostics> {
    let (config, _) = replayed(path)?;
    let mut config = config::read(&config, &mut session.sources)?;
    let options = overrides(&config, Options::default());
    let (compiled, _) = compile_config(session, &mut config, &options)?;
    Ok((compiled, config))
}

fn with_data(
    mut evidence: Evidence,
    path: &Path,
    (compiled, config): (&Compiled, &RunConfig),
    run: &Run,
    options: &ExecutorOptions,
) -> Evidence {
    let data = match load_data(compiled, config) {
        Ok(data) if data.fingerprints == run.record.hashes.data => data,
        Ok(_) => {
            evidence.unseen.push("its data: they are no longer those that it was trained on".to_string());
            return evidence;
        }
        Err(findings) => {
            evidence.unseen.push(format!("its data: {findings}"));
            return evidence;
        }
    };
    match config.precision {
        Precision::F32 => evidence.with_data::<f32>(path, (compiled, config, &data), options),
        Precision::F64 => evidence.with_data::<f64>(path, (compiled, config, &data), options),
    }
}

/// The verdicts of a run for a terminal.
fn text(examined: &Examined, name: &str) -> String {
    let record = &examined.run.record;
    let mut text = format!("{name}: {} after {} epochs\n", record.status_text(), record.epochs);
    if examined.verdicts.is_empty() {
        text += "  nothing stands out\n";
    }
    for verdict in &examined.verdicts {
        let _ = writeln!(text, "  {}", verdict.headline);
        for fact in &verdict.facts {
            let _ = writeln!(text, "    {fact}");
        }
        if !verdict.help.is_empty() {
            let _ = writeln!(text, "    try: {}", verdict.help);
        }
        let _ = writeln!(text, "    more: anabranch explain {}", verdict.name());
    }
    for unseen in &examined.evidence.unseen {
        let _ = writeln!(text, "  not looked at: {unseen}");
    }
    text
}
