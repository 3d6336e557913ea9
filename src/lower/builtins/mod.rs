//! Built-in functions: the closed set of primitive ops under the names that specs use, one row each.
//!
//! Everything else a spec calls is a definition of the standard library or its own.

mod along;
mod arrange;
mod bundles;
mod einsum;
mod elsewhere;
mod grad;
mod layout;
mod lists;
mod losses;
pub(super) mod math;
mod matrices;
pub(super) mod pace;
mod reduce;
mod scan;
mod special;
mod window;

use super::arguments::Matched;
use super::emit::Emitter;
use super::patterns::member;
use super::value::{Frame, Group, Value};
use super::{Lowered, Lowering, Module, Reported};
use crate::diag::Span;
use crate::syntax::ast::Argument;
use std::sync::Arc;

/// A call by what is piped into it, its arguments as they are written, and its place.
type Form = fn(&mut Lowering, &mut Frame, Option<(Value, Span)>, &[Argument], Span) -> Lowered<Value>;

/// What a built-in function does, by what it can touch.
#[derive(Clone, Copy)]
pub(super) enum Run {
    /// Adds nodes for its arguments.
    Emit(fn(&mut Emitter<'_>, &Frame, &Matched) -> Lowered<Value>),
    /// Reads or notes facts about the spec besides.
    Module(fn(&mut Emitter<'_>, &mut Module, &Frame, &Matched) -> Lowered<Value>),
    /// Calls functions of the spec.
    Call(fn(&mut Lowering, &mut Frame, &Matched) -> Lowered<Value>),
    /// Takes its arguments as they are written, and what is piped into it.
    Form(Form),
}

/// What becomes of a pattern's params among the arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnGroups {
    /// the function of each
    Each,
    /// they are a list
    List,
    /// the function sees to it
    Whole,
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
    pub(super) on_groups: OnGroups,
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
    Builtin { name, parameters, doc, run: Run::Emit(run), on_groups: OnGroups::Each }
}

const fn module_row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Emitter<'_>, &mut Module, &Frame, &Matched) -> Lowered<Value>,
) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Module(run), on_groups: OnGroups::Each }
}

const fn call_row(
    name: &'static str,
    parameters: &'static [&'static str],
    doc: &'static str,
    run: fn(&mut Lowering, &mut Frame, &Matched) -> Lowered<Value>,
) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Call(run), on_groups: OnGroups::List }
}

const fn form(name: &'static str, parameters: &'static [&'static str], doc: &'static str, run: Form) -> Builtin {
    Builtin { name, parameters, doc, run: Run::Form(run), on_groups: OnGroups::Whole }
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
    matrices::ROWS,
    scan::ROWS,
    losses::ROWS,
    bundles::ROWS,
    elsewhere::ROWS,
    pace::ROWS,
];

impl Builtin {
    /// Takes a pattern's params as a list.
    const fn of_lists(self) -> Self {
        Self { on_groups: OnGroups::List, ..self }
    }

    /// Takes a pattern's params together.
    const fn of_groups(self) -> Self {
        Self { on_groups: OnGroups::Whole, ..self }
    }

    /// Whether it takes its arguments as they are written.
    pub(super) fn is_form(&self) -> bool {
        matches!(self.run, Run::Form(_))
    }

    pub(super) fn call(&self, lowering: &mut Lowering, frame: &mut Frame, matched: &Matched) -> Lowered<Value> {
        let is_group = |value: &Option<(Value, Span)>| matches!(value, Some((Value::Group(_), _)));
        if self.on_groups == OnGroups::Whole || !matched.values.iter().any(is_group) {
            return self.call_once(lowering, frame, matched);
        }
        if self.on_groups == OnGroups::List {
            let listed =
                |value: Value| if let Value::Group(group) = value { Value::List(group.values()) } else { value };
            let values = matched.values.iter().cloned().map(|value| value.map(|(value, at)| (listed(value), at)));
            let matched = Matched { values: values.collect(), ..matched.clone() };
            return self.call_once(lowering, frame, &matched);
        }
        let paths = lowering.emit().paths_of(&matched.values, matched.span)?;
        let mut members = Vec::with_capacity(paths.len());
        for (at, path) in paths.into_iter().enumerate() {
            let own = |value: &Option<(Value, Span)>| value.clone().map(|(value, span)| (member(value, at), span));
            let own = Matched { values: matched.values.iter().map(own).collect(), ..matched.clone() };
            let value = self.call_once(lowering, frame, &own)?;
            members.push((path, lowering.emit().to_tensor(frame, value, matched.span)?));
        }
        Ok(Value::Group(Arc::new(Group { members })))
    }

    fn call_once(&self, lowering: &mut Lowering, frame: &mut Frame, matched: &Matched) -> Lowered<Value> {
        match self.run {
            Run::Emit(run) => run(&mut lowering.emit(), frame, matched),
            Run::Module(run) => {
                let (mut emit, module) = lowering.emit_for_module();
                run(&mut emit, module, frame, matched)
            }
            Run::Call(run) => run(lowering, frame, matched),
            // It is called where its arguments are still as written.
            Run::Form(_) => Err(Reported),
        }
    }
}

pub(super) fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.iter().flat_map(|rows| rows.iter()).find(|builtin| builtin.name == name)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().flat_map(|rows| rows.iter()).map(|builtin| builtin.name)
}
