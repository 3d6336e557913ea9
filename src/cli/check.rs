//! `anabranch check`

use super::spec::{SpecArguments, check_spec, compile_config};
use super::{Outcome, Session};
use crate::diag::{Diagnostics, counted};
use crate::exec::ExecutorOptions;
use crate::train::{Earlier, RunFolder, Trainer, check_data, config, overrides};
use clap::Args;
use std::fmt::Write as _;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  anabranch check model.anb
  anabranch check model.anb --set width=256 --deny weight-collapse
  anabranch check model.anb --message-format json   one object a line, for editors
  anabranch check run.yaml                          the spec, the config and the headers of the data, without a run";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    if is_config(&arguments.spec.spec) {
        return check_run(session, &arguments.spec);
    }
    check_spec(session, &arguments.spec)
}

/// Whether a file is a run config by its name.
pub(super) fn is_config(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

/// All that would stop a run before its first step, but for values in the data; then what the run would be.
fn check_run(session: &mut Session, arguments: &SpecArguments) -> Outcome {
    let mut config = config::read(&arguments.spec, &mut session.sources)?;
    let options = overrides(&config, arguments.set.options());
    let (compiled, _) = compile_config(session, &mut config, &options)?;
    let mut findings = Vec::new();
    // Given back at once: a folder that no run begins in is left as it was.
    findings.extend(RunFolder::claim(&config, Earlier::Keep).err());
    if let Some(params) = &config.params {
        let mut trainer = Trainer::<f32>::new(&compiled, config.seed, &ExecutorOptions::default())?;
        findings.extend(trainer.start_from(params).err().into_iter().flat_map(|found| found.0));
    }
    match check_data(&compiled, &config) {
        Ok(parts) if findings.is_empty() => {
            let mut text = String::new();
            for (part, rows) in &parts {
                let rows = rows.map_or_else(|| "a table with the columns".to_string(), |rows| counted(rows, "row"));
                let _ = writeln!(text, "{part}: {rows}");
            }
            let train = parts.iter().find(|(part, _)| *part == "train").and_then(|(_, rows)| *rows);
            let steps = train.map(|rows| rows.div_ceil(config.batch_size as usize));
            let steps = steps.map_or_else(String::new, |steps| format!(" of {}", counted(steps, "step")));
            let epochs = counted(config.epochs as usize, "epoch");
            let _ = writeln!(text, "fine: {epochs}{steps} would be written to {}", config.output.display());
            session.console.print(&text)?;
            Ok(())
        }
        Ok(_) => Err(Diagnostics(findings)),
        Err(found) => {
            findings.extend(found.0);
            Err(Diagnostics(findings))
        }
    }
}
