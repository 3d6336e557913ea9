//! `anabranch flow`

use super::spec::{SpecArguments, compile_spec};
use super::{Outcome, Session};
use crate::analyse;
use clap::Args;

const LEGEND: &str = "\
The table has a line for each param and a column for each loss and each value that an `assert` speaks of:
  trains    there is a differentiable path: the loss changes the param
  stopped   the loss depends on the param, but no gradient passes
  -         the loss does not depend on the param";

#[derive(Debug, Args)]
#[command(after_help = LEGEND)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let compiled = compile_spec(session, &arguments.spec)?;
    session.console.print(&analyse::flow(&compiled.module).to_text())?;
    Ok(())
}
