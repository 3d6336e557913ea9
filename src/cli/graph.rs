//! `anabranch graph`

use super::files::{ReplaceArgument, write_texts};
use super::spec::{SpecArguments, compile_spec};
use super::{Outcome, Session};
use crate::analyse;
use crate::diag::{Code, Diagnostic};
use crate::export;
use clap::Args;
use std::path::{Path, PathBuf};

const NOTES: &str = "\
Boxes are layers with what they give, in the order in which values are computed, from above; dashed ones are of training only.
Coloured lines are the ways of each loss's gradient, from the loss up; a red bar is a `stop`. Of a large model the layers are
drawn as what they are part of.

Examples:
  anabranch graph model.anb -o model.svg
  anabranch graph model.anb -o model.html
  anabranch graph model.anb -o model.dot      the simplified training step, each operation, for Graphviz";

#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub(super) struct Arguments {
    #[command(flatten)]
    spec: SpecArguments,

    /// Where to draw: .svg, .html or .dot
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    replace: ReplaceArgument,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Outcome {
    let extension = arguments.output.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !["svg", "html", "dot"].contains(&extension) {
        return Err(Diagnostic::error(Code::E0605, format!("cannot draw into `{}`", arguments.output.display()))
            .with_note("found: a name that ends otherwise; expected: .svg, .html or .dot")
            .with_help("an .svg becomes a .png in any browser or drawing program")
            .into());
    }
    let compiled = compile_spec(session, &arguments.spec)?;
    let title = arguments.spec.spec.file_stem().unwrap_or_default().to_string_lossy();
    let drawing = match extension {
        "svg" => analyse::model_svg(&compiled.module),
        "html" => analyse::model_html(&compiled.module, &title),
        _ => export::dot(&compiled.simplified.train, &title),
    };
    let path: &Path = &arguments.output;
    Ok(write_texts(&[(path.to_path_buf(), &drawing)], arguments.replace, &arguments.spec.spec)?)
}
