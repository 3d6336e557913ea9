//! Standard output and standard error.

use crate::diag::{Code, Diagnostic, SourceMap, render, render_plain, to_json_lines};
use clap::ValueEnum;
use std::io::{self, ErrorKind, IsTerminal, Write};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum MessageFormat {
    #[default]
    Human,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Choice {
    /// when standard error is a terminal and NO_COLOR is not set
    #[default]
    Auto,
    Always,
    Never,
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Console {
    format: MessageFormat,
    is_coloured: bool,
}

impl Console {
    pub(super) fn new(format: MessageFormat, color: Choice) -> Self {
        let is_coloured = match color {
            Choice::Always => true,
            Choice::Never => false,
            Choice::Auto => {
                io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        Self { format, is_coloured }
    }

    /// Whether messages are for people.
    pub(super) fn is_human(self) -> bool {
        self.format == MessageFormat::Human
    }

    /// Writes findings to standard error.
    pub(super) fn findings(self, findings: &[Diagnostic], sources: &SourceMap) {
        if findings.is_empty() {
            return;
        }
        let text = match (self.format, self.is_coloured) {
            (MessageFormat::Json, _) => to_json_lines(findings, sources),
            (MessageFormat::Human, true) => render(findings, sources),
            (MessageFormat::Human, false) => render_plain(findings, sources),
        };
        // When standard error is closed there is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// Writes a result to standard output.
    ///
    /// # Errors
    /// E0605 when it cannot be written. A reader that has read enough (`| head`) is no error.
    pub(super) fn print(self, text: &str) -> Result<(), Diagnostic> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Diagnostic::error(Code::E0605, "cannot write to standard output")
                    .with_note(format!("found: {error}")))
            }
            _ => Ok(()),
        }
    }
}
