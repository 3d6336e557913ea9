//! `anabranch check`

use super::spec::{SpecArguments, check_spec};
use super::{Outcome, Session};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    check_spec(session, &arguments.spec)
}
