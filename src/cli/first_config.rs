//! `anabranch run model.anb`: what a run config is, and a first one for a spec.

use super::files::write_text;
use super::spec::{read_text, read_used};
use super::{Outcome, Session};
use crate::data::{Existing, names_in};
use crate::diag::{Code, Diagnostic};
use crate::ir::Role;
use crate::lower::Options;
use crate::pipeline::{Compiled, compile_with};
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

/// Says that a spec is no config, or writes one beside it.
pub(super) fn first_config(spec: &Path, is_written: bool, session: &mut Session) -> Outcome {
    let target = spec.with_extension("yaml");
    let is_written = is_written || (configs_of(spec).is_empty() && !target.exists() && asks(&target, session)?);
    if !is_written {
        let finding = Diagnostic::error(Code::E0602, format!("`{}` is a spec, and a run needs a run config", spec.display()))
            .with_note("a spec says what a model is; a run config, a YAML file, says which data train it, how long, and where the result goes");
        let there = configs_of(spec);
        return Err(match there.first() {
            Some(config) => finding.with_help(format!("there is one for it: `anabranch run {}`", config.display())),
            None => finding.with_help(format!(
                "write one: `anabranch run {} --write-config` makes `{}`",
                spec.display(),
                target.display()
            )),
        }
        .into());
    }
    let source = read_text(session, spec, None)?;
    let compiled = compile_with(&mut session.sources, source, &Options::default(), &read_used)?;
    write_text(&target, Existing::Keep, &text(spec, &compiled))?;
    let shown = target.display();
    session.console.print(&format!("wrote {shown}: `anabranch check {shown}` says whether the data fit\n"))?;
    Ok(())
}

/// Offers to write the config to who sits at a terminal; nobody else is asked.
fn asks(target: &Path, session: &Session) -> Result<bool, Diagnostic> {
    if !(session.console.is_human() && io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Ok(false);
    }
    session.console.print(&format!(
        "A spec says what a model is; a run config, a YAML file, says which data train it, how long, and where the result goes.\n\
         Write a first one to `{}`? [y/N] ",
        target.display()
    ))?;
    let mut answer = String::new();
    // An answer that cannot be read is none.
    let _ = io::stdin().read_line(&mut answer);
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// The run configs beside a spec that name it.
fn configs_of(spec: &Path) -> Vec<PathBuf> {
    let names = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let key =
            text.lines().find_map(|line| line.trim_start().strip_prefix("spec:").map(str::trim).map(str::to_owned));
        key.is_some_and(|key| {
            spec.file_name().is_some_and(|name| key.trim_matches(['"', '\'']) == name.to_string_lossy())
        })
    };
    beside(spec, &["yaml", "yml"]).into_iter().filter(|path| names(path)).collect()
}

/// The files beside a spec with one of some extensions, in order.
fn beside(spec: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let folder = crate::data::files::parent(spec);
    let is_wanted = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        path.is_file() && extensions.iter().any(|wanted| extension == *wanted)
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| spec.with_file_name(entry.file_name())).filter(is_wanted).collect();
    paths.sort();
    paths
}

/// A config to go on from: the data file beside the spec that has most of its fields, and what the fields are.
fn text(spec: &Path, compiled: &Compiled) -> String {
    let module = &compiled.module;
    let fields: Vec<String> = module.inputs.iter().chain(&module.targets).map(|(name, _)| name.to_string()).collect();
    let n_found = |path: &PathBuf| {
        let names = names_in(path).unwrap_or_default();
        fields.iter().filter(|field| names.contains(field)).count()
    };
    let file = beside(spec, &["npz", "csv"]).into_iter().rev().max_by_key(n_found);
    let file = file.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let mut text = format!("spec: {}\n", spec.file_name().unwrap_or_default().to_string_lossy());
    let _ = writeln!(text, "data:\n  train: {{ file: {} }}", file.unwrap_or_else(|| "data.npz".into()));
    text += "  # validation: { file: other.npz }   # evaluated after each epoch\n";
    text += "  # The file holds these fields, an array or column each; `columns: { x: first..last }` names several or others.\n";
    for (kind, infos) in [("input", &module.inputs), ("target", &module.targets)] {
        for (name, info) in infos {
            let _ = writeln!(text, "  #   {kind} {name}: {}{}", info.ty, if info.optional { "?" } else { "" });
        }
    }
    let trains = module.graph.outputs.iter().any(|output| output.role == Role::Objective);
    let stem = spec.file_stem().unwrap_or_default().to_string_lossy();
    let _ = write!(text, "batch_size: 32\nepochs: {}\nseed: 0\noutput: runs/{stem}\n", if trains { 10 } else { 0 });
    text
}
