//! Which loss trains which param.

use crate::analyse::{Cell, FlowTable, flow};
use crate::lower::Module;
use std::fmt;

/// How a loss relates to a param.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlowCell {
    /// the loss changes the param
    Trains,
    /// the loss depends on the param, but no gradient passes
    Stopped,
    /// the loss does not depend on the param
    Unrelated,
}

/// A table of losses and params. It displays as `anabranch flow` prints it.
///
/// ```
/// use anabranch::{FlowCell, Model};
///
/// let model = Model::compile("
///     input x: f32[batch, 1]
///     target y: f32[batch, 1]
///     output line = x |> dense(units=1)
///     loss error = mean_squared_error(y, line)
///     loss copy = mean_squared_error(y, stop(line))
///     train { minimize error  optimizer sgd(lr=0.5) }")?;
/// let flow = model.flow();
/// assert_eq!(flow.cell("error", "line.dense.kernel"), Some(FlowCell::Trains));
/// assert_eq!(flow.cell("copy", "line.dense.kernel"), Some(FlowCell::Stopped));
/// # Ok::<(), anabranch::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    table: FlowTable,
}

impl Flow {
    pub(super) fn of(module: &Module) -> Self {
        Self { table: flow(module) }
    }

    /// The losses, and the values that an `assert` of the spec speaks of.
    #[must_use]
    pub fn losses(&self) -> Vec<&str> {
        self.table.rows.iter().map(|row| &*row.name).collect()
    }

    /// The params.
    #[must_use]
    pub fn params(&self) -> Vec<&str> {
        self.table.params.iter().map(|path| &**path).collect()
    }

    /// How a loss relates to a param; none where there is no such loss or param.
    #[must_use]
    pub fn cell(&self, loss: &str, param: &str) -> Option<FlowCell> {
        let row = self.table.rows.iter().find(|row| *row.name == *loss)?;
        let at = self.table.params.iter().position(|path| **path == *param)?;
        Some(match row.cells[at] {
            Cell::Path => FlowCell::Trains,
            Cell::Stopped => FlowCell::Stopped,
            Cell::None => FlowCell::Unrelated,
        })
    }

    /// By how much each loss counts in the gradient of each objective, as (objective, loss, coefficient in the spec's names).
    pub fn coefficients(&self) -> impl ExactSizeIterator<Item = (&str, &str, &str)> {
        let coefficients = self.table.coefficients.iter();
        coefficients.map(|found| (&*found.objective, &*found.loss, found.expression.as_str()))
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table.to_text())
    }
}
