//! Findings as exceptions.

use engine::{Error, Finding};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// A finding as JSON, as the command writes it.
pub fn json(finding: Finding<'_>) -> String {
    finding.to_json()
}

/// The package's `SpecError`: the text that the command prints, and the findings as data.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let findings: Vec<String> = error.findings().map(json).collect();
    let make = || -> PyResult<Bound<'_, PyAny>> {
        py.import("anabranch._errors")?.getattr("SpecError")?.call_method1("of_json", (error.to_string(), findings))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// Two calls of one trainer at a time.
pub fn busy() -> PyErr {
    PyRuntimeError::new_err("the trainer is at work: a callback or another thread cannot use it meanwhile")
}
