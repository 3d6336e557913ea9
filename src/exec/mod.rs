//! Runs a program: a graph whose run-time dims have got sizes.
//!
//! [`Bound`] is a program with its sizes put in, and with its plan once that is asked for. An [`Engine`] runs it: by the plan, or op by
//! op by the ops' definitions. An [`Executor`] is a bound program, an engine for it, and the buffers that are fed and read. Params and
//! states live in a [`Store`] that outlives executors, so that a short last batch (another executor, other sizes) goes on with
//! the same params.

mod bound;
mod engine;
mod executor;
mod footprint;
mod memory;
mod planned;
mod reference;
mod store;

pub use anabranch_kernels::Level;
pub use bound::{Bound, Feed, Fetch};
pub use engine::{Buffers, Engine};
pub use executor::Executor;
pub use footprint::{Budget, Claim, Footprint};
pub use store::{Carried, Entry, Store, StoreError, StoreKind, Values};

use crate::diag::{Code, Diagnostic, Diagnostics};
use anabranch_kernels::Pool;
use std::sync::Arc;

/// How a program is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// by a plan, without allocation in the step loop
    #[default]
    Planned,
    /// op by op, by each op's definition
    Reference,
}

/// Threads beyond this only wait for each other.
const MOST_THREADS_A_CORE: usize = 4;

/// Settings of an executor.
#[derive(Clone, Debug, Default)]
pub struct ExecutorOptions {
    pub mode: Mode,
    /// worker threads; 0 is as many as there are cores
    pub threads: usize,
    /// threads to share with other executors; made anew when left out
    pub pool: Option<Arc<Pool>>,
    /// the instruction set of the kernels; the best of this machine when left out
    pub level: Option<Level>,
    /// bytes that a program may take with its params, states, inputs and results; 64 GiB when left out
    pub memory: Option<u64>,
    /// what the program shares with all that is alive beside it, in the place of `memory`
    pub budget: Option<Budget>,
}

impl ExecutorOptions {
    /// What may be taken of memory.
    pub fn budget(&self) -> Budget {
        self.budget.clone().unwrap_or_else(|| Budget::new(self.memory))
    }

    /// The same for several programs: one set of threads serves them, and their memory counts together.
    ///
    /// # Errors
    /// Those of [`ExecutorOptions::pool`].
    pub fn shared(&self) -> Result<Self, Diagnostics> {
        Ok(Self { pool: Some(self.pool()?), budget: Some(self.budget()), ..self.clone() })
    }

    /// The threads to run on.
    ///
    /// # Errors
    /// E0701 when more are asked for than any machine of so many cores has use for.
    pub fn pool(&self) -> Result<Arc<Pool>, Diagnostics> {
        if let Some(pool) = &self.pool {
            return Ok(pool.clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = MOST_THREADS_A_CORE * cores;
        if self.threads > most {
            let finding = Diagnostic::error(Code::E0701, format!("{} threads are too many", self.threads))
                .with_note(format!("expected: at most {most} on this machine, {MOST_THREADS_A_CORE} for each core"))
                .with_help("0 takes as many as there are cores");
            return Err(finding.into());
        }
        Ok(Arc::new(Pool::new(if self.threads == 0 { cores } else { self.threads })))
    }
}

/// The training clock and the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub step: i32,
    pub epoch: i32,
    /// whether this is the last step of the epoch
    pub epoch_end: bool,
    pub seed: i32,
    /// how many epochs the run has; 0 where there is no run
    pub epochs: i32,
    /// how many steps an epoch has; 0 where there is no run
    pub steps_per_epoch: i32,
}

impl Clock {
    /// How many steps the run has; 0 where there is no run.
    #[must_use]
    pub fn total_steps(self) -> i32 {
        self.epochs.saturating_mul(self.steps_per_epoch)
    }
}
