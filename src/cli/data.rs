//! Data files that commands are given.

use crate::data::ColumnSpec;
use crate::diag::{Code, Diagnostic};
use crate::ir::Dim;
use crate::train::InputForm;
use crate::train::config::{Fed, rows_of};
use clap::Args;

/// How a data file is read.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct ReadingArguments {
    /// What holds a field in the file: a column or array, several columns `a,b`, or numbered ones `p0..p63`; may be given several
    /// times
    #[arg(long = "columns", value_name = "FIELD=NAME", value_parser = columns)]
    pub(super) columns: Vec<(String, ColumnSpec)>,

    /// Take these rows only, counted from 0, the last one excluded
    #[arg(long, value_name = "FIRST..STOP", value_parser = rows)]
    pub(super) rows: Option<(usize, usize)>,

    /// Rows that are computed at once
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) batch_size: u32,

    /// Give a field without rows this value instead of the run's: `--feed alpha=0.3`
    #[arg(long = "feed", value_name = "NAME=VALUE", value_parser = fed)]
    pub(super) feed: Vec<(String, Fed)>,
}

impl ReadingArguments {
    /// Puts what is fed into the fields of a saved program, inputs and targets.
    pub(super) fn feed_into(&self, inputs: &mut [InputForm], targets: &mut [InputForm]) -> Result<(), Diagnostic> {
        for (name, fed) in &self.feed {
            let has_rows = |form: &InputForm| form.ty.shape.first().is_some_and(Dim::is_batch);
            let mut fields = inputs.iter_mut().chain(targets.iter_mut());
            match fields.find(|form| form.name == *name && !has_rows(form)) {
                Some(form) => form.fed = Some(fed.clone()),
                None => {
                    let fields = inputs.iter().chain(targets.iter()).filter(|form| !has_rows(form));
                    let known: Vec<&str> = fields.map(|form| form.name.as_str()).collect();
                    let headline = format!("`--feed {name}`: no field without rows is called so");
                    let finding = Diagnostic::error(Code::E0201, headline).with_suggestion(name, known.iter().copied());
                    return Err(finding.with_note(format!("without rows: {}", listed(&known))));
                }
            }
        }
        Ok(())
    }
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

pub(super) fn fed(text: &str) -> Result<(String, Fed), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.trim().to_string(), value.trim().parse()?))
}

fn columns(text: &str) -> Result<(String, ColumnSpec), String> {
    let (field, names) = text.split_once('=').ok_or("expected FIELD=NAME")?;
    let spec = match names.split_once(',') {
        Some(_) => Some(ColumnSpec::List(names.split(',').map(|name| name.trim().to_string()).collect())),
        None => ColumnSpec::parse(names.trim()),
    };
    let spec = spec.ok_or("expected a name, several with commas between them, or a range such as p0..p63")?;
    Ok((field.trim().to_string(), spec))
}

fn rows(text: &str) -> Result<(usize, usize), String> {
    let range = rows_of(text);
    match range {
        Some((first, stop)) if first < stop => Ok((first, stop)),
        _ => Err("expected FIRST..STOP with the first below the stop, or FIRST..".into()),
    }
}
