//! Arguments of a call, evaluated and matched to parameters.

use super::counterparts::suggest_argument;
use super::emit::Emitter;
use super::findings::Findings;
use super::value::{Frame, TensorValue, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{DType, Dim, Shape};
use crate::syntax::ast::{Argument, Expr, Ident};

/// Arguments as evaluated, not yet matched.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    pub positional: Vec<(Value, Span)>,
    pub named: Vec<(Ident, Value, Span)>,
}

/// Arguments matched to the parameters of a built-in function, by position.
#[derive(Clone, Debug)]
pub(super) struct Matched {
    pub values: Vec<Option<(Value, Span)>>,
    pub span: Span,
    pub parameters: &'static [&'static str],
}

/// Ints up to here are told apart from their neighbours, whatever is computed with them.
const MOST_INT: f64 = 1e15;

/// A large number as a person would write it: `9e18`, `infinity`.
fn amount(number: f64) -> String {
    if number.is_finite() { format!("{number:e}") } else { "infinity".to_string() }
}

impl Matched {
    pub fn get(&self, slot: usize) -> Option<&(Value, Span)> {
        self.values[slot].as_ref()
    }
}

/// `1 argument`, `2 arguments`
pub(super) fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A built-in function's parameter without the mark that it may be left out.
fn plain(parameter: &str) -> &str {
    parameter.trim_end_matches('?')
}

impl Lowering {
    pub(super) fn arguments(
        &mut self,
        frame: &mut Frame,
        piped: Option<(Value, Span)>,
        arguments: &[Argument],
    ) -> Lowered<Arguments> {
        let mut result = Arguments { positional: piped.into_iter().collect(), named: Vec::new() };
        let values: Vec<Lowered<Value>> = arguments.iter().map(|argument| self.expr(frame, &argument.value)).collect();
        for (argument, value) in arguments.iter().zip(values) {
            match (&argument.name, value?) {
                (None, Value::List(items)) if argument.spread => {
                    result.positional.extend(items.into_iter().map(|item| (item, argument.span)));
                }
                (None, Value::Group(group)) if argument.spread => {
                    result.positional.extend(group.values().into_iter().map(|item| (item, argument.span)));
                }
                (_, value) if argument.spread => {
                    let found = self.graphs.describe(&value);
                    return Err(self.findings.error(
                        Code::E0401,
                        argument.span,
                        format!("`...` spreads a list, found {found}"),
                        "not a list",
                    ));
                }
                (None, _) if !result.named.is_empty() => {
                    return Err(self.findings.report(
                        Diagnostic::error(Code::E0401, "a positional argument after a named one")
                            .at(argument.span, "give it a name, or move it forward"),
                    ));
                }
                (None, value) => result.positional.push((value, argument.value.span)),
                (Some(name), value) => {
                    if let Some((first, ..)) = result.named.iter().find(|(other, ..)| other.name == name.name) {
                        let first = first.span;
                        return Err(self.findings.report(
                            Diagnostic::error(Code::E0401, format!("argument `{}` is given twice", name.name))
                                .at(name.span, "again here")
                                .with_label(first, "first here"),
                        ));
                    }
                    result.named.push((name.clone(), value, argument.value.span));
                }
            }
        }
        Ok(result)
    }

    pub(super) fn integer_expr(&mut self, frame: &mut Frame, expr: &Expr) -> Lowered<i64> {
        let value = self.expr(frame, expr)?;
        self.emit().integer(&value, expr.span)
    }
}

impl Findings {
    /// Matches arguments to a built-in function's parameters. Names that end in `?` may be left out.
    pub(super) fn match_builtin(
        &mut self,
        name: &str,
        parameters: &'static [&'static str],
        arguments: Arguments,
        span: Span,
    ) -> Lowered<Matched> {
        let mut values: Vec<Option<(Value, Span)>> = vec![None; parameters.len()];
        let places: Vec<Span> = arguments.positional.iter().map(|(_, at)| *at).collect();
        self.check_builtin_count(name, parameters, &places)?;
        self.check_builtin_names(name, parameters, arguments.named.iter().map(|(ident, ..)| ident))?;
        for (slot, argument) in arguments.positional.into_iter().enumerate() {
            values[slot] = Some(argument);
        }
        for (ident, value, at) in arguments.named {
            let Some(slot) = parameters.iter().position(|parameter| plain(parameter) == &*ident.name) else { continue };
            if values[slot].is_some() {
                return Err(self.error(
                    Code::E0401,
                    ident.span,
                    format!("argument `{}` of `{name}` is given twice", ident.name),
                    "already given by position",
                ));
            }
            values[slot] = Some((value, at));
        }
        for (slot, parameter) in parameters.iter().enumerate() {
            if values[slot].is_none() && !parameter.ends_with('?') {
                return Err(self.error(
                    Code::E0401,
                    span,
                    format!("`{name}` lacks its argument `{parameter}`"),
                    format!("`{name}({})`", parameters.join(", ")),
                ));
            }
        }
        Ok(Matched { values, span, parameters })
    }

    /// As many positional arguments, at their places, as a built-in function has parameters.
    pub(super) fn check_builtin_count(&mut self, name: &str, parameters: &[&str], positional: &[Span]) -> Lowered<()> {
        let Some(at) = positional.get(parameters.len()) else { return Ok(()) };
        let count = plural(parameters.len(), "argument");
        let headline = format!("`{name}` takes {count}, {} given", positional.len());
        Err(self.error(Code::E0401, *at, headline, "one too many"))
    }

    /// Every named argument of a built-in function must be a parameter's.
    pub(super) fn check_builtin_names<'i>(
        &mut self,
        name: &str,
        parameters: &[&str],
        mut names: impl Iterator<Item = &'i Ident>,
    ) -> Lowered<()> {
        match names.find(|ident| !parameters.iter().any(|parameter| plain(parameter) == &*ident.name)) {
            Some(ident) => Err(self.unknown_argument(name, ident, parameters.iter().map(|p| plain(p)))),
            None => Ok(()),
        }
    }

    pub(super) fn unknown_argument<'a>(
        &mut self,
        name: &str,
        ident: &Ident,
        known: impl Iterator<Item = &'a str>,
    ) -> Reported {
        let known: Vec<&str> = known.collect();
        let finding = Diagnostic::error(Code::E0401, format!("`{name}` has no argument `{}`", ident.name))
            .at(ident.span, "unknown argument")
            .with_note(format!("it takes: {}", known.join(", ")));
        self.report(suggest_argument(finding, &ident.name, &known))
    }
}

impl Emitter<'_> {
    /// The argument at `slot` as a tensor.
    pub(super) fn tensor_argument(&mut self, frame: &Frame, m: &Matched, slot: usize) -> Lowered<TensorValue> {
        match m.get(slot).cloned() {
            Some((value, at)) => self.to_tensor(frame, value, at),
            None => Err(self.error(
                Code::E0401,
                m.span,
                format!("argument `{}` is missing", m.parameters[slot]),
                "needed here",
            )),
        }
    }

    /// The argument at `slot` as a tensor of ints: a list of ints is one.
    pub(super) fn int_tensor_argument(&mut self, frame: &Frame, m: &Matched, slot: usize) -> Lowered<TensorValue> {
        match m.get(slot).cloned() {
            Some((value, at)) => self.to_tensor_of(frame, value, DType::I32, at),
            None => self.tensor_argument(frame, m, slot),
        }
    }

    pub(super) fn bool_argument(&mut self, m: &Matched, slot: usize, default: bool) -> Lowered<bool> {
        match m.get(slot).cloned() {
            None => Ok(default),
            Some((Value::Bool(value), _)) => Ok(value),
            Some((other, at)) => {
                let found = self.describe(&other);
                Err(self.error(Code::E0304, at, format!("expected true or false, found {found}"), "not a `bool`"))
            }
        }
    }

    pub(super) fn number(&mut self, value: &Value, span: Span) -> Lowered<f64> {
        match value {
            Value::Number { value, .. } => Ok(*value),
            Value::Poison => Err(Reported),
            other => {
                let found = self.describe(other);
                Err(self.report(
                    Diagnostic::error(Code::E0307, format!("expected a compile-time number, found {found}"))
                        .at(span, "must be known when the spec is compiled"),
                ))
            }
        }
    }

    pub(super) fn integer(&mut self, value: &Value, span: Span) -> Lowered<i64> {
        let number = self.number(value, span)?;
        if number.fract() == 0.0 && number.abs() < MOST_INT {
            Ok(number as i64)
        } else if number.fract() == 0.0 {
            let finding = format!("expected an int below {MOST_INT:e}, found {}", amount(number));
            Err(self.error(Code::E0304, span, finding, "too large an int"))
        } else {
            Err(self.error(Code::E0304, span, format!("expected an int, found {number}"), "not an int"))
        }
    }

    /// An int that is not negative, for extents and counts.
    pub(super) fn count(&mut self, value: &Value, span: Span) -> Lowered<usize> {
        let number = self.integer(value, span)?;
        match usize::try_from(number) {
            Ok(count) if count as i64 <= crate::ir::MAX_EXTENT => Ok(count),
            _ => {
                let most = crate::ir::MAX_EXTENT;
                let finding = format!("expected a size from 0 to {most}, found {number}");
                Err(self.error(Code::E0304, span, finding, "out of range"))
            }
        }
    }

    /// One number for all of `n` axes, or a list of `n`.
    pub(super) fn counts(&mut self, m: &Matched, slot: usize, n: usize, default: usize) -> Lowered<Vec<usize>> {
        match m.get(slot).cloned() {
            None => Ok(vec![default; n]),
            Some((Value::List(items), at)) => {
                if items.len() != n {
                    return Err(self.error(
                        Code::E0304,
                        at,
                        format!(
                            "`{}` has {} numbers for {n} axes",
                            m.parameters[slot].trim_end_matches('?'),
                            items.len()
                        ),
                        format!("expected a number or a list of {n}"),
                    ));
                }
                items.iter().map(|item| self.count(item, at)).collect()
            }
            Some((value, at)) => Ok(vec![self.count(&value, at)?; n]),
        }
    }

    /// An axis number, counted from the end when negative.
    pub(super) fn axis(&mut self, value: &Value, rank: usize, span: Span) -> Lowered<usize> {
        let at = self.integer(value, span)?;
        let axis = if at < 0 { at + rank as i64 } else { at };
        match usize::try_from(axis) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => Err(self.error(
                Code::E0303,
                span,
                format!(
                    "axis {at} of a value with {}",
                    if rank == 1 { "1 axis".to_string() } else { format!("{rank} axes") }
                ),
                "no such axis",
            )),
        }
    }

    /// `axes=…`: one axis, a list, or all when left out; ascending and distinct.
    pub(super) fn axes(&mut self, m: &Matched, slot: usize, rank: usize) -> Lowered<Vec<usize>> {
        let (items, at) = match m.get(slot).cloned() {
            None | Some((Value::None, _)) => return Ok((0..rank).collect()),
            Some((Value::List(items), at)) => (items, at),
            Some((value, at)) => (vec![value], at),
        };
        let mut axes = Vec::with_capacity(items.len());
        for item in &items {
            axes.push(self.axis(item, rank, at)?);
        }
        axes.sort_unstable();
        if axes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(self.error(Code::E0303, at, "an axis is named twice", "axes must be distinct"));
        }
        Ok(axes)
    }

    /// A list of extents. One of them may be -1: whatever is left of `total` elements.
    pub(super) fn shape(&mut self, value: &Value, total: Option<&Dim>, span: Span) -> Lowered<Shape> {
        let Value::List(items) = value else {
            let found = self.describe(value);
            return Err(self.error(Code::E0304, span, format!("expected a shape, found {found}"), "a list of extents"));
        };
        let (mut shape, mut open): (Shape, Option<usize>) = (Vec::new(), None);
        for item in items {
            match item {
                Value::Dim(dim) => shape.push(dim.clone()),
                Value::Number { value, .. } if *value == -1.0 && open.is_none() && total.is_some() => {
                    open = Some(shape.len());
                    shape.push(Dim::known(1));
                }
                item => shape.push(Dim::known(self.count(item, span)?)),
            }
        }
        if let (Some(open), Some(total)) = (open, total) {
            let rest = crate::ir::element_count(&shape).and_then(|others| total.div_exact(&others));
            match rest {
                Some(rest) => shape[open] = rest,
                None => {
                    return Err(self.error(
                        Code::E0301,
                        span,
                        format!("{total} elements do not divide among {}", crate::ir::show_shape(&shape)),
                        "-1 cannot be worked out",
                    ));
                }
            }
        }
        Ok(shape)
    }
}
