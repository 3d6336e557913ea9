//! `anabranch flow`

use super::files::{ReplaceArgument, write_texts};
use super::spec::{SpecArguments, compile_spec};
use super::{Outcome, Session};
use crate::analyse;
use clap::Args;
use std::path::PathBuf;

const LEGEND: &str = "\
The table has a line for each param and a column for each loss and each value that an `assert` speaks of:
  trains    there is a differentiable path: the loss changes the param
  stopped   the loss depends on the param, but no gradient passes
  -         the loss does not depend on the param
Below it stands the coefficient of each branch loss in the model's gradient.

Examples:
  anabranch flow model.anb
  anabranch flow model.anb --verdicts
  anabranch flow model.anb --svg flow.svg";

#[derive(Debug, Args)]
#[command(after_help = LEGEND)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,

    /// Also draw the model with the gradients of its losses and where they stop, as `anabranch graph` does
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// Also say what is known of each objective as a way to combine losses: proved, refuted with numbers, or open
    #[arg(long)]
    verdicts: bool,

    #[command(flatten)]
    replace: ReplaceArgument,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let compiled = compile_spec(session, &arguments.spec)?;
    session.console.print(&analyse::flow(&compiled.module).to_text())?;
    if arguments.verdicts {
        for verdicts in analyse::verdicts(&compiled.module) {
            session.console.print(&format!("\n{}\n", verdicts.objective))?;
            for (question, answer) in verdicts.answers() {
                session.console.print(&format!("  {question:20} {answer}\n"))?;
            }
        }
    }
    if let Some(path) = &arguments.svg {
        let drawing = analyse::model_svg(&compiled.module);
        write_texts(&[(path.clone(), &drawing)], arguments.replace, &arguments.spec.spec)?;
    }
    Ok(())
}
