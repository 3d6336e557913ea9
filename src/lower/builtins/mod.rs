//! Built-in functions: the closed set of primitive ops under the names that specs use, one row each.
//!
//! Everything else a spec calls is a definition of the standard library or its own.

mod along;
mod arrange;
mod einsum;
mod grad;
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
use super::emit::Emitter;
use super::value::{Frame, Value};
use super::{Lowered, Lowering, Module};

/// What a built-in function does, by what it can touch.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// Adds nodes for its arguments.
    Emit(fn(&mut Emitter<'_>, &Frame, &Matched) -> Lowered<Value>),
    /// Reads or notes facts about the spec besides.
    Module(fn(&mut Emitter<'_>, &mut Module, &Frame, &Matched) -> Lowered<Value>),
    /// Calls functions of the spec.
    Call(fn(&mut Lowering, &mut Frame, &Matched) -> Lowered<Value>),
}

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

const fn row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Emitter<'_>, &Frame, &Matched) -> Lowered<Value>,
) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Emit(run) }
}

const fn module_row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Emitter<'_>, &mut Module, &Frame, &Matched) -> Lowered<Value>,
) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Module(run) }
}

const fn call_row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Lowering, &mut Frame, &Matched) -> Lowered<Value>,
) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Call(run) }
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

impl Builtin {
    pub(super) fn call(&self, lowering: &mut Lowering, frame: &mut Frame, matched: &Matched) -> Lowered<Value> {
        match self.run {
            Run::Emit(run) => run(&mut lowering.emit(), frame, matched),
            Run::Module(run) => {
                let (mut emit, module) = lowering.emit_for_module();
                run(&mut emit, module, frame, matched)
            }
            Run::Call(run) => run(lowering, frame, matched),
        }
    }
}

pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().flat_map(|rows| rows.iter()).find(|builtin| builtin.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|rows| rows.iter()).map(|builtin| builtin.name)
}
