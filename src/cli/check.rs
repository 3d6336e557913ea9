//! `anabranch check`

use super::spec::{SpecArguments, check_spec};
use super::{Outcome, Session};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch check model.anb
  anabranch check model.anb --set width=256 --deny weight-collapse
  anabranch check model.anb --message-format json   one object a line, for editors";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    check_spec(session, &arguments.spec)
}
