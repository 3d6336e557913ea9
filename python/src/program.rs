//! A compiled spec.

use crate::error::{json, raised};
use crate::session::{Session, options};
use engine::{Compiler, FlowCell, Model, Setting, Signature};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use std::path::PathBuf;

#[derive(Debug)]
#[pyclass(frozen, module = "anabranch._engine")]
pub struct Program(pub Model);

/// By its name and type.
type Signed = (String, String);
/// Losses, params, cells by loss, coefficients, and the table as text.
type FlowParts = (Vec<String>, Vec<String>, Vec<Vec<&'static str>>, Vec<(String, String, String)>, String);

fn signed(signatures: Vec<Signature>) -> Vec<Signed> {
    signatures.into_iter().map(|signature| (signature.name, signature.ty)).collect()
}

fn compiler(set: &Bound<'_, PyDict>, deny: Vec<String>) -> PyResult<Compiler> {
    let mut compiler = Compiler::new();
    for (name, value) in set {
        let name: String = name.extract()?;
        compiler = if let Ok(value) = value.cast::<PyBool>() {
            compiler.set(name, value.is_true())
        } else if let Ok(value) = value.cast::<PyString>() {
            compiler.set(name, value.to_string())
        } else if value.is_instance_of::<PyInt>() || value.is_instance_of::<PyFloat>() || value.hasattr("__float__")? {
            compiler.set(name, value.extract::<f64>()?)
        } else {
            let found = value.get_type();
            return Err(PyTypeError::new_err(format!(
                "`{name}` is set to {found}, not to a number, truth value or text"
            )));
        };
    }
    Ok(deny.into_iter().fold(compiler, Compiler::deny))
}

#[pymethods]
impl Program {
    /// Compiles a text; `files` are what it may `use`, by their paths.
    #[staticmethod]
    fn compile(
        py: Python<'_>,
        text: &str,
        name: &str,
        set: &Bound<'_, PyDict>,
        deny: Vec<String>,
        files: Vec<(String, String)>,
    ) -> PyResult<Self> {
        let compiler =
            files.into_iter().fold(compiler(set, deny)?.name(name), |all, (path, text)| all.file(path, text));
        py.detach(|| compiler.compile(text)).map(Self).map_err(|error| raised(py, &error))
    }

    /// Compiles a file.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf, set: &Bound<'_, PyDict>, deny: Vec<String>) -> PyResult<Self> {
        let compiler = compiler(set, deny)?;
        py.detach(|| compiler.open(path)).map(Self).map_err(|error| raised(py, &error))
    }

    /// Warnings and notes, each as its text and as JSON.
    fn findings(&self) -> Vec<(String, String)> {
        self.0.warnings().map(|finding| (finding.to_string(), json(finding))).collect()
    }

    /// The constants that were set.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (name, setting) in self.0.settings() {
            match setting {
                Setting::Number(value) => dict.set_item(name, value)?,
                Setting::Bool(value) => dict.set_item(name, value)?,
                Setting::Text(value) => dict.set_item(name, value)?,
            }
        }
        Ok(dict)
    }

    fn texts(&self) -> Vec<(String, String)> {
        self.0.texts().map(|(path, text)| (path.display().to_string(), text.to_string())).collect()
    }

    fn inputs(&self) -> Vec<Signed> {
        signed(self.0.inputs())
    }

    fn targets(&self) -> Vec<Signed> {
        signed(self.0.targets())
    }

    fn outputs(&self) -> Vec<Signed> {
        signed(self.0.outputs())
    }

    fn params(&self) -> Vec<Signed> {
        signed(self.0.params())
    }

    fn losses(&self) -> Vec<String> {
        self.0.losses()
    }

    fn metrics(&self) -> Vec<String> {
        self.0.metrics()
    }

    fn flow(&self, py: Python<'_>) -> FlowParts {
        let flow = py.detach(|| self.0.flow());
        let owned = |names: Vec<&str>| names.into_iter().map(String::from).collect::<Vec<_>>();
        let (losses, params) = (owned(flow.losses()), owned(flow.params()));
        let word = |cell: Option<FlowCell>| match cell {
            Some(FlowCell::Trains) => "trains",
            Some(FlowCell::Stopped) => "stopped",
            _ => "-",
        };
        let row = |loss: &String| params.iter().map(|param| word(flow.cell(loss, param))).collect();
        let cells = losses.iter().map(row).collect();
        let coefficients = flow.coefficients().map(|(a, b, c)| (a.into(), b.into(), c.into())).collect();
        (losses, params, cells, coefficients, flow.to_string())
    }

    /// As text and as JSON.
    fn summary(&self, py: Python<'_>) -> (String, String) {
        py.detach(|| (self.0.summary(), self.0.summary_json()))
    }

    fn svg(&self, py: Python<'_>) -> String {
        py.detach(|| self.0.to_svg())
    }

    fn stage(&self, py: Python<'_>, name: &str, sizes: Vec<(String, usize)>) -> PyResult<String> {
        py.detach(|| self.0.stage(name, &sizes)).map_err(|error| raised(py, &error))
    }

    fn session(&self, py: Python<'_>, seed: u64, precision: &str, threads: usize) -> PyResult<Session> {
        let options = options(seed, precision, threads)?;
        let session = py.detach(|| self.0.session_with(&options)).map_err(|error| raised(py, &error))?;
        Ok(Session::new(session))
    }
}
