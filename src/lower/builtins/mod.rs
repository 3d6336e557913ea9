//! Built-in functions: the closed set of primitive ops under the names that specs use, one row each.
//!
//! Everything else a spec calls is a definition of the standard library or its own.

mod along;
mod arrange;
mod einsum;
mod layout;
mod lists;
mod losses;
mod math;
pub(super) mod pace;
mod reduce;
mod scan;
mod special;
mod window;

use super::arguments::Matched;
use super::value::{Frame, Value};
use super::{Lowered, Lowering};

pub(super) type Run = fn(&mut Lowering, &mut Frame, &Matched) -> Lowered<Value>;

/// A built-in function.
#[derive(Clone, Copy)]
pub struct Builtin {
    pub name: &'static str,
    /// Parameter names in order; those that end in `?` may be left out.
    pub parameters: &'static [&'static str],
    /// What it computes, in a line.
    pub doc: &'static str,
    pub(super) run: Run,
}

impl std::fmt::Debug for Builtin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name, self.parameters.join(", "))
    }
}

const fn row(name: &'static str, parameters: &'static [&'static str], doc: &'static str, run: Run) -> Builtin {
    Builtin { name, parameters, doc, run }
}

/// All built-in functions, by kind.
pub static TABLE: &[&[Builtin]] = &[
    math::ROWS,
    reduce::ROWS,
    along::ROWS,
    layout::ROWS,
    window::ROWS,
    special::ROWS,
    arrange::ROWS,
    einsum::ROWS,
    lists::ROWS,
    scan::ROWS,
    losses::ROWS,
    pace::ROWS,
];

pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().flat_map(|rows| rows.iter()).find(|builtin| builtin.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|rows| rows.iter()).map(|builtin| builtin.name)
}
