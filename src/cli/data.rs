//! Data files that commands are given.

use crate::data::ColumnSpec;
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
    let range = text.split_once("..").and_then(|(first, stop)| Some((first.parse().ok()?, stop.parse().ok()?)));
    match range {
        Some((first, stop)) if first < stop => Ok((first, stop)),
        _ => Err("expected FIRST..STOP with the first below the stop".into()),
    }
}
