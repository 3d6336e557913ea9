//! The columns of a run's data: what kind of values each holds, and how they become numbers of the spec.
//!
//! [`fit_columns`] works out from the training rows what the config does not say, and what is scaled or filled by; the result is
//! how the spec is lowered, [`Encoding`](crate::lower::Encoding)s, so that all that is computed from numbers is part of the program. What texts stand for stays
//! with the reader, in the config as it is resolved. [`compile_fitted`] compiles a spec for the data of a config.

mod fit;
mod form;
mod resolve;

pub use fit::{Fit, fit_columns};
pub(crate) use form::name_of;
pub use form::{ColumnPart, Encode, FieldColumns, Impute, Scale};

use super::config::RunConfig;
use crate::diag::{Diagnostic, Diagnostics, SourceId, SourceMap};
use crate::lower::Options;
use crate::pipeline::{Compiled, compile_with};

/// Compiles a spec for the data of a config, which becomes the config with all that was worked out of it. Gives what there is to
/// know of the columns besides.
///
/// # Errors
/// Those of compiling and of [`fit_columns`].
pub fn compile_fitted(
    sources: &mut SourceMap,
    spec: SourceId,
    config: &mut RunConfig,
    options: &Options,
    read: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<(Compiled, Vec<Diagnostic>), Diagnostics> {
    let compiled = compile_with(sources, spec, options, read)?;
    let Fit { encodings, decode, findings } = fit_columns(&compiled, config)?;
    if encodings.is_empty() {
        return Ok((compiled, findings));
    }
    let options = Options { encodings, decode, ..options.clone() };
    let encoded = compile_with(sources, spec, &options, read)?;
    // The spec is the same, so what is found in it is said once.
    Ok((Compiled { findings: compiled.findings, ..encoded }, findings))
}
