//! `anabranch explain`

use super::{Outcome, Session};
use crate::diag::Code;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch explain                   all codes
  anabranch explain E0501             an error
  anabranch explain L0001             a lint
  anabranch explain weight-collapse   the same, by its name";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A code such as E0301 or L0001, or the name of a lint; all codes when left out
    #[arg(value_name = "CODE", value_parser = code)]
    code: Option<Code>,
}

fn code(text: &str) -> Result<Code, String> {
    let is_lint = |code: &&Code| code.is_lint() && code.title() == text;
    if let Some(lint) = Code::ALL.iter().find(is_lint) {
        return Ok(*lint);
    }
    text.parse().map_err(|()| {
        let codes = || Code::ALL.iter().map(|code| code.as_str());
        let lints = Code::ALL.iter().filter(|code| code.is_lint()).map(|code| code.title());
        let suggestion = crate::diag::closest(&text.to_ascii_uppercase(), codes());
        let suggestion = suggestion.or_else(|| crate::diag::closest(text, lints));
        let suggestion = suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        format!("there is no code `{text}`{suggestion}")
    })
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let Some(code) = arguments.code else {
        let lines = Code::ALL.iter().map(|code| format!("{code}  {}\n", code.title()));
        let text = format!("{}\n`anabranch explain CODE` says more.\n", lines.collect::<String>());
        session.console.print(&text)?;
        return Ok(());
    };
    session.console.print(&format!("{code}: {}\n\n{}\n", code.title(), code.explanation()))?;
    Ok(())
}
