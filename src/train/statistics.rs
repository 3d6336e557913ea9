//! What the steps and batches of a run mean for the running values of its spec.

use super::config::RunConfig;
use crate::analyse::{lint, running_values, single_row, unsettled};
use crate::diag::{Diagnostic, Diagnostics};
use crate::pipeline::Compiled;

/// What there is to say of running values in a run over so many rows.
///
/// # Errors
/// The findings whose lint is denied.
pub(super) fn review(compiled: &Compiled, config: &RunConfig, rows: usize) -> Result<Vec<Diagnostic>, Diagnostics> {
    let size = config.batch_size as usize;
    if config.epochs == 0 || size == 0 || rows == 0 {
        return Ok(Vec::new());
    }
    let rest = if config.drop_last { 0 } else { rows % size };
    let per_epoch = rows / size + usize::from(rest > 0);
    let steps = per_epoch as u64 * u64::from(config.epochs);
    let place = match (size, rest) {
        (1, _) => Some("`batch_size` is 1"),
        (_, 1) => Some("the last batch of an epoch has one row"),
        _ => None,
    };
    let mut findings = Vec::new();
    for value in running_values(&compiled.module) {
        findings.extend(unsettled(&value, steps));
        findings.extend(place.and_then(|place| single_row(&value, place)));
    }
    let told = findings.into_iter().filter_map(|finding| compiled.policy.apply(lint(finding.code), finding));
    let (errors, warnings): (Vec<Diagnostic>, Vec<Diagnostic>) = told.partition(Diagnostic::is_error);
    if errors.is_empty() { Ok(warnings) } else { Err(Diagnostics(errors)) }
}
