//! `anabranch explain`

use super::{Outcome, Session};
use crate::diag::Code;
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  anabranch explain E0501   an error
  anabranch explain L0001   a lint";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// A code such as E0301 or L0001
    #[arg(value_name = "CODE", value_parser = code)]
    code: Code,
}

fn code(text: &str) -> Result<Code, String> {
    text.parse().map_err(|()| {
        let names = Code::ALL.iter().map(|code| code.as_str());
        let suggestion = crate::diag::closest(&text.to_ascii_uppercase(), names);
        let suggestion = suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"));
        format!("there is no code `{text}`{suggestion}")
    })
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let code = arguments.code;
    session.console.print(&format!("{code}: {}\n\n{}\n", code.title(), code.explanation()))?;
    Ok(())
}
