//! `anabranch explain`

use super::{Outcome, Session};
use crate::diag::Code;
use crate::train::verdicts::Cause;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch explain                   all codes
  anabranch explain E0501             an error
  anabranch explain L0001             a lint
  anabranch explain weight-collapse   the same, by its name
  anabranch explain overfitting       a verdict of `anabranch report`";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A code such as E0301 or L0001, the name of a lint, or that of a verdict; all codes when left out
    #[arg(value_name = "CODE", value_parser = subject)]
    code: Option<Subject>,
}

/// What is explained.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Code(Code),
    Cause(Cause),
}

fn subject(text: &str) -> Result<Subject, String> {
    let is_lint = |code: &&Code| code.is_lint() && code.title() == text;
    if let Some(lint) = Code::ALL.iter().find(is_lint) {
        return Ok(Subject::Code(*lint));
    }
    if let Some(cause) = Cause::ALL.iter().find(|cause| cause.name() == text) {
        return Ok(Subject::Cause(*cause));
    }
    text.parse().map(Subject::Code).map_err(|()| {
        let codes = || Code::ALL.iter().map(|code| code.as_str());
        let lints = Code::ALL.iter().filter(|code| code.is_lint()).map(|code| code.title());
        let names = lints.chain(Cause::ALL.iter().map(|cause| cause.name()));
        let suggestion = crate::diag::closest(&text.to_ascii_uppercase(), codes());
        let suggestion = suggestion.or_else(|| crate::diag::closest(text, names));
        let suggestion = suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        format!("there is no code `{text}`{suggestion}")
    })
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let Some(code) = arguments.code else {
        let lines = Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title()));
        let causes = Cause::ALL.iter().filter(|cause| **cause != Cause::Spec);
        let causes = causes.map(|cause| format!("{}  {}\n", cause.name(), cause.title()));
        let text = format!(
            "{}\nverdicts of `anabranch report`\n{}\n`anabranch explain CODE` says more.\n",
            lines.collect::<String>(),
            causes.collect::<String>()
        );
        session.console.print(&text)?;
        return Ok(());
    };
    let text = match code {
        Subject::Code(code) => format!("{code}: {}\n\n{}\n", code.title(), code.explanation()),
        Subject::Cause(cause) => format!("{}: {}\n\n{}\n", cause.name(), cause.title(), cause.explanation()),
    };
    session.console.print(&text)?;
    Ok(())
}
