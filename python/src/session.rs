//! A model in use.

use crate::data::{array, arrays, data, tensor};
use crate::error::{busy, raised};
use crate::program::Program;
use engine::{Better, Data, Engine, Epoch, Error, Fit, FitEvent, History, Monitor, Precision, SessionOptions};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Mutex, TryLockError};
use std::time::{Duration, Instant};

/// Steps may take microseconds: signals are looked for, and progress is told, so often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Debug)]
#[pyclass(frozen, module = "anabranch._engine")]
pub struct Session(Mutex<engine::Session>);

/// How a session computes, by the words of a run config.
pub fn options(seed: u64, precision: &str, threads: usize) -> PyResult<SessionOptions> {
    let precision = match precision {
        "f32" => Precision::F32,
        "f64" => Precision::F64,
        other => return Err(PyValueError::new_err(format!("the precision is `{other}`, not `f32` or `f64`"))),
    };
    Ok(SessionOptions { precision, seed, threads, ..SessionOptions::default() })
}

/// What a fitting is decided by.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
struct Settings {
    batch_size: u32,
    epochs: u32,
    shuffle: bool,
    seed: Option<u64>,
    drop_last: bool,
    monitor: Option<String>,
    higher: bool,
    min_delta: f64,
    patience: Option<u32>,
    keep_best: bool,
}

impl Settings {
    fn fit<'d>(&self, validation: Option<&'d Data>) -> Fit<'d> {
        let monitor = self.monitor.as_ref().map(|value| Monitor {
            better: if self.higher { Better::Higher } else { Better::Lower },
            min_delta: self.min_delta,
            patience: self.patience,
            keep_best: self.keep_best,
            ..Monitor::of(value.clone())
        });
        let Self { batch_size, epochs, shuffle, seed, drop_last, .. } = *self;
        Fit { epochs, batch_size, shuffle, seed, drop_last, validation, monitor }
    }
}

/// Number, steps, and values by the names that `history.csv` has.
type Row = (u32, u64, Vec<(String, f64)>);
/// Rows, the best epoch and its value, and whether the fitting ended early.
type Rows = (Vec<Row>, Option<(u32, f64)>, bool);

fn row(epoch: &Epoch) -> Row {
    let part = |name: &'static str, values: &'_ indexmap::IndexMap<String, f64>| {
        values.iter().map(|(value, number)| (format!("{name}/{value}"), *number)).collect::<Vec<_>>()
    };
    let weights = epoch.loss_weights.iter().flat_map(|(path, values)| {
        let is_one = values.len() == 1;
        let name = move |at: usize| if is_one { format!("weight/{path}") } else { format!("weight/{path}[{at}]") };
        values.iter().enumerate().map(move |(at, value)| (name(at), *value))
    });
    let values = part("train", &epoch.train).into_iter().chain(part("validation", &epoch.validation)).chain(weights);
    (epoch.number, epoch.step, values.collect())
}

fn rows(history: &History) -> Rows {
    let best = history.best.as_ref().map(|best| (best.epoch, best.value));
    (history.epochs.iter().map(row).collect(), best, history.stopped_early)
}

/// Who is told of a fitting in Python, and what came of it.
struct Told {
    /// called with an epoch's row; true ends the fitting
    on_epoch: Py<PyAny>,
    /// called with the number of steps since it began, and with how many it will have
    on_step: Option<Py<PyAny>>,
    /// called with the text of a finding
    on_finding: Py<PyAny>,
    n_steps: u64,
    n_all: u64,
    looked: Instant,
    first_epoch: u32,
    raised: Option<PyErr>,
}

impl Told {
    fn told(&mut self, event: FitEvent<'_>) -> ControlFlow<()> {
        let result = match event {
            FitEvent::Started { last_epoch, steps_per_epoch, .. } => {
                self.n_all = u64::from(last_epoch.saturating_sub(self.first_epoch)) * steps_per_epoch as u64;
                Ok(false)
            }
            FitEvent::Step(_) => {
                self.n_steps += 1;
                if self.looked.elapsed() < LOOK_EVERY {
                    return ControlFlow::Continue(());
                }
                self.looked = Instant::now();
                Python::attach(|py| self.look(py))
            }
            FitEvent::Epoch(epoch) => Python::attach(|py| {
                py.check_signals()?;
                self.on_epoch.call1(py, (row(epoch), self.n_steps, self.n_all))?.extract(py)
            }),
            FitEvent::Finding(finding) => {
                Python::attach(|py| self.on_finding.call1(py, (finding.to_string(),)).map(|_| false))
            }
            _ => Ok(false),
        };
        match result {
            Ok(false) => ControlFlow::Continue(()),
            Ok(true) => ControlFlow::Break(()),
            Err(error) => {
                // The first is what ends it; what the state before training raises is told after that is recorded.
                self.raised.get_or_insert(error);
                ControlFlow::Break(())
            }
        }
    }

    fn look(&self, py: Python<'_>) -> PyResult<bool> {
        py.check_signals()?;
        if let Some(on_step) = &self.on_step {
            on_step.call1(py, (self.n_steps, self.n_all))?;
        }
        Ok(false)
    }
}

impl Session {
    pub fn new(session: engine::Session) -> Self {
        Self(Mutex::new(session))
    }

    /// Does something with the session while Python goes on.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut engine::Session) -> Result<R, Error> + Send,
    ) -> PyResult<R> {
        let done = py.detach(|| {
            let mut session = match self.0.try_lock() {
                Ok(session) => session,
                // A panic is a bug, and what it left is not to be trusted.
                Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => return None,
            };
            Some(work(&mut session))
        });
        done.ok_or_else(busy)?.map_err(|error| raised(py, &error))
    }

    fn look<R: Send>(&self, py: Python<'_>, work: impl FnOnce(&engine::Session) -> R + Send) -> PyResult<R> {
        self.with(py, |session| Ok(work(session)))
    }
}

#[pymethods]
impl Session {
    /// Goes on from a run's folder. Gives the program also.
    #[staticmethod]
    fn open(py: Python<'_>, folder: PathBuf, threads: usize) -> PyResult<(Self, Program)> {
        let session = py.detach(|| engine::Session::open_run(folder, Engine::Planned, threads));
        let session = session.map_err(|error| raised(py, &error))?;
        let model = session.model().clone();
        Ok((Self::new(session), Program(model)))
    }

    #[allow(clippy::too_many_arguments)]
    fn fit(
        &self,
        py: Python<'_>,
        train: &Bound<'_, PyDict>,
        validation: Option<&Bound<'_, PyDict>>,
        settings: Settings,
        on_epoch: Py<PyAny>,
        on_step: Option<Py<PyAny>>,
        on_finding: Py<PyAny>,
    ) -> PyResult<Rows> {
        let train = data(train)?;
        let validation = validation.map(data).transpose()?;
        let first_epoch = self.look(py, engine::Session::n_epochs)?;
        let looked = Instant::now();
        let mut told = Told { on_epoch, on_step, on_finding, n_steps: 0, n_all: 0, looked, first_epoch, raised: None };
        let history = self.with(py, |session| {
            session.fit_observed(&train, &settings.fit(validation.as_ref()), |event| told.told(event))
        });
        match told.raised {
            Some(error) => Err(error),
            None => Ok(rows(&history?)),
        }
    }

    fn step(&self, py: Python<'_>, batch: &Bound<'_, PyDict>) -> PyResult<Vec<(String, f64)>> {
        let batch = data(batch)?;
        Ok(self.with(py, |session| session.step(&batch))?.into_iter().collect())
    }

    fn evaluate(&self, py: Python<'_>, samples: &Bound<'_, PyDict>) -> PyResult<Vec<(String, f64)>> {
        let samples = data(samples)?;
        Ok(self.with(py, |session| session.evaluate(&samples))?.into_iter().collect())
    }

    fn predict<'py>(&self, py: Python<'py>, inputs: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let inputs = data(inputs)?;
        arrays(py, &self.with(py, |session| session.predict(&inputs))?)
    }

    fn gradients<'py>(&self, py: Python<'py>, batch: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
        let batch = data(batch)?;
        arrays(py, &self.with(py, |session| session.gradients(&batch))?)
    }

    fn param<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
        let param = self.look(py, |session| session.param(path))?;
        param.map(|param| array(py, &param)).ok_or_else(|| PyKeyError::new_err(path.to_string()))
    }

    fn set_param(&self, py: Python<'_>, path: &str, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let values = tensor(path, values)?;
        self.with(py, |session| session.set_param(path, values))
    }

    fn loss_weights(&self, py: Python<'_>) -> PyResult<Vec<(String, Vec<f64>)>> {
        self.look(py, |session| session.loss_weights().into_iter().collect())
    }

    fn history(&self, py: Python<'_>) -> PyResult<Rows> {
        self.look(py, |session| rows(&session.history()))
    }

    fn n_steps(&self, py: Python<'_>) -> PyResult<u64> {
        self.look(py, engine::Session::n_steps)
    }

    fn n_epochs(&self, py: Python<'_>) -> PyResult<u32> {
        self.look(py, engine::Session::n_epochs)
    }

    fn seed(&self, py: Python<'_>) -> PyResult<u64> {
        self.look(py, engine::Session::seed)
    }

    fn precision(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.look(py, |session| match session.precision() {
            Precision::F32 => "f32",
            Precision::F64 => "f64",
        })
    }

    fn save_run(&self, py: Python<'_>, folder: PathBuf, replaces: bool) -> PyResult<()> {
        self.with(py, |session| session.save_run(folder, replaces))
    }

    fn save_state(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(py, |session| session.save(path))
    }

    fn load_state(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(py, |session| session.load(path))
    }
}
