//! `anabranch replay` and `anabranch bisect`: steps of a run that was, made again.

use super::progress::number;
use super::run::ExecutionArguments;
use super::spec::compile_config;
use super::{Outcome, Session};
use crate::ops::Element;
use crate::train::config::{self, Precision};
use crate::train::{
    Condition, NodeValue, Plan, Replay, RunRecord, StepValues, load_data, overrides, replay_trainer, replayed,
};
use clap::Args;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const REPLAY_NOTES: &str = "\
A step follows from a checkpoint before it, so it is made again, to the bit: what it reported, and any value of it. Values
are those of the training graph by their names; d.NAME is the derivative by one.

Examples:
  anabranch replay runs/digits --step 450
  anabranch replay runs/digits --step 450 --print class_loss --print d.total";

const BISECT_NOTES: &str = "\
Looks at the checkpoints by halves and then at each step between two. A condition is on a loss, a metric, a param or a state:
`NAME > NUMBER`, also with <, >= and <=; `norm(NAME)` and `max(NAME)` are its norm and its largest magnitude, and `nan(NAME)`
is true when it is infinite or NaN.

Examples:
  anabranch bisect runs/digits \"total > 10\"
  anabranch bisect runs/digits \"nan(total)\"";

#[derive(Debug, Args)]
#[command(after_help = REPLAY_NOTES)]
pub(super) struct ReplayArguments {
    /// The folder of the run
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// The step, from 1
    #[arg(long, value_name = "N")]
    step: u64,

    /// Print a value of the step; may be given several times
    #[arg(long, value_name = "NODE")]
    print: Vec<String>,

    #[command(flatten)]
    execution: ExecutionArguments,
}

#[derive(Debug, Args)]
#[command(after_help = BISECT_NOTES)]
pub(super) struct BisectArguments {
    /// The folder of the run
    #[arg(value_name = "RUN_DIR")]
    folder: PathBuf,

    /// What becomes true
    #[arg(value_name = "EXPR")]
    condition: Condition,

    #[command(flatten)]
    execution: ExecutionArguments,
}

/// What is to be done with a run.
enum Task<'t> {
    Step(u64, &'t [String]),
    First(&'t Condition),
}

pub(super) fn replay(arguments: &ReplayArguments, session: &mut Session) -> Outcome {
    go_over(&arguments.folder, &arguments.execution, &Task::Step(arguments.step, &arguments.print), session)
}

pub(super) fn bisect(arguments: &BisectArguments, session: &mut Session) -> Outcome {
    go_over(&arguments.folder, &arguments.execution, &Task::First(&arguments.condition), session)
}

fn go_over(folder: &Path, execution: &ExecutionArguments, task: &Task<'_>, session: &mut Session) -> Outcome {
    let (path, record) = replayed(folder)?;
    let mut config = config::read(&path, &mut session.sources)?;
    let options = overrides(&config, Default::default());
    let (compiled, texts) = compile_config(session, &mut config, &options)?;
    let options = execution.options(0);
    let plan = Plan { compiled: &compiled, config: &config, texts: &texts, options: &options };
    let text = match config.precision {
        Precision::F32 => answer::<f32>(folder, &record, &plan, task)?,
        Precision::F64 => answer::<f64>(folder, &record, &plan, task)?,
    };
    session.console.print(&text)?;
    Ok(())
}

fn answer<T: Element>(
    folder: &Path,
    record: &RunRecord,
    plan: &Plan<'_>,
    task: &Task<'_>,
) -> Result<String, crate::diag::Diagnostics> {
    let data = load_data(plan.compiled, plan.config)?;
    let options = plan.options_of(record)?;
    let plan = Plan { options: &options, ..*plan };
    let settings = plan.config.settings(plan.compiled);
    let mut trainer = replay_trainer::<T>(&plan)?;
    let mut replay = Replay::open(folder, record, plan, &settings, &data, &mut trainer)?;
    match task {
        Task::Step(step, names) => {
            replay.goto(*step)?;
            let values = replay.values(names)?;
            let reported = replay.step()?;
            Ok(reported.map_or_else(String::new, |reported| step_text(&reported))
                + &values.iter().map(node_text).collect::<String>())
        }
        Task::First(condition) => Ok(match replay.bisect(condition)? {
            Some((reported, value)) => {
                format!("first true in step {}: {}\n{}", reported.step, number(value), step_text(&reported))
            }
            None => "never true\n".to_string(),
        }),
    }
}

/// `step 450, epoch 10`, and a line for each value that it reported.
fn step_text(step: &StepValues) -> String {
    let mut text = format!("step {}, epoch {}\n", step.step, step.epoch);
    for (reported, value) in &step.values {
        let _ = writeln!(text, "  {} {}: {value}", reported.role.as_str(), reported.name);
    }
    text
}

/// A value's name, shape and range, and its first elements.
fn node_text(node: &NodeValue) -> String {
    const SHOWN: usize = 8;
    let finite = || node.values.iter().copied().filter(|value| value.is_finite());
    let (least, largest) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let n_others = node.values.len() - finite().count();
    let shown: Vec<String> = node.values.iter().take(SHOWN).map(|value| number(*value)).collect();
    let more = if node.values.len() > SHOWN { ", …" } else { "" };
    let range = if least <= largest { format!(", {} to {}", number(least), number(largest)) } else { String::new() };
    let others = if n_others > 0 { format!(", {n_others} not finite") } else { String::new() };
    format!("{} {:?}{range}{others}\n  {}{more}\n", node.name, node.shape, shown.join(", "))
}
