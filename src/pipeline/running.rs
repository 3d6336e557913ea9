//! From a program to what runs it: sizes are put in, a plan is made, an engine is prepared.

use crate::diag::Diagnostics;
use crate::exec::{Bound, Executor, ExecutorOptions, Mode};
use crate::ir::{DimSizes, Graph};
use crate::ops::Element;
use crate::plan::Plan;

/// Puts sizes into a program.
///
/// # Errors
/// Those of [`Bound::new`].
pub fn bind(program: &Graph, sizes: &DimSizes) -> Result<Bound, Diagnostics> {
    Bound::new(program, sizes)
}

/// The order, the fused groups and the memory of a bound program, proved right by the plan's checker.
pub fn plan(program: &Bound) -> &Plan {
    program.plan()
}

/// Makes a bound program ready to run, by its plan unless the options say otherwise.
///
/// # Errors
/// Those of [`Executor::of`].
pub fn engine<T: Element>(program: Bound, options: &ExecutorOptions) -> Result<Executor<T>, Diagnostics> {
    if options.mode == Mode::Planned {
        plan(&program);
    }
    Executor::of(program, options)
}
