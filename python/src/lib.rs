//! The module `anabranch._engine`: models and sessions for the package's own classes, which say what users see.
//!
//! Python's lock is released while anything is compiled, trained or predicted, and taken again for callbacks and to look for signals.

mod data;
mod error;
mod program;
mod session;

use pyo3::prelude::*;

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("version", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<program::Program>()?;
    module.add_class::<session::Session>()?;
    Ok(())
}
