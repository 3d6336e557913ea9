//! Patterns in expressions: `trunk.*.kernel` is the params whose paths fit, and what takes one value takes each of them.
//!
//! A pattern's value is a [`Group`]. Operators and functions of one value are applied to each member, two groups member by
//! member; sums, means and extremes are taken over all elements of all members; what takes a list takes the members.
//!
//! Where a pattern is what values are put in the place of (`at`, `update`), the other patterns of that line follow it: with
//! the same characters for their `*` they name one param each.

use super::emit::Emitter;
use super::module::{Module, ParamPattern};
use super::value::{Binding, Frame, Group, TensorValue, Value, Which};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::NodeId;
use crate::syntax::ast::{BinaryOp, Expr, Ident, Pattern};
use indexmap::IndexMap;
use std::sync::Arc;

/// A param or state that a pattern names.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub path: Arc<str>,
    pub node: NodeId,
    /// what each `*` of the pattern stands for
    pub captures: Vec<Arc<str>>,
}

impl Lowering {
    /// The value of `trunk.*.kernel`.
    pub(super) fn wildcard(&mut self, frame: &Frame, text: &Arc<str>, span: Span) -> Lowered<Value> {
        let pattern = Pattern { text: text.clone(), span };
        let pattern = self.module.pattern(&self.findings, frame, &pattern);
        if let Some(path) = filled_in(&pattern.path, &frame.captures)
            && let Some(node) = self.module.carried_node(&path)
        {
            return Ok(Value::Tensor(TensorValue { node, which: Which::Step }));
        }
        let places = self.named_by(frame, &pattern)?;
        let member = |place: Place| (place.path, TensorValue { node: place.node, which: Which::Step });
        Ok(Value::Group(Arc::new(Group { members: places.into_iter().map(member).collect() })))
    }

    /// What a written pattern, path or name of this scope names among params and states.
    pub(super) fn places(&mut self, frame: &Frame, name: &Ident) -> Lowered<Vec<Place>> {
        let pattern = Pattern { text: name.name.clone(), span: name.span };
        let pattern = self.module.pattern(&self.findings, frame, &pattern);
        self.named_by(frame, &pattern)
    }

    /// A pattern that matches nothing is a misspelling, or stands above the params that it means.
    fn named_by(&mut self, frame: &Frame, pattern: &ParamPattern) -> Lowered<Vec<Place>> {
        let places = self.module.places(pattern);
        if !places.is_empty() {
            return Ok(places);
        }
        let owner = pattern.path.split('.').next().unwrap_or_default();
        let help = match self.scopes.find(frame, owner) {
            Some(Value::Instance(_)) => {
                Some(format!("a layer's params are made by its first call: call `{owner}` above this line"))
            }
            None if self.scopes.is_item(owner) => {
                Some(format!("`{owner}` stands further down: a pattern names the params that stand above it"))
            }
            _ => None,
        };
        let finding = nothing_named(&self.module, pattern);
        Err(self.findings.report(match help {
            Some(help) => Diagnostic { helps: vec![help], ..finding },
            None => finding,
        }))
    }

    /// The value of an expression in which a name stands for a value.
    pub(super) fn expr_with(
        &mut self,
        frame: &mut Frame,
        name: &Ident,
        value: Value,
        captures: &[Arc<str>],
        expr: &Expr,
    ) -> Lowered<Value> {
        let is_file = frame.locals.is_none();
        let before =
            frame.locals.get_or_insert_default().insert(name.name.clone(), Binding::parameter(value, name.span));
        let outer = std::mem::replace(&mut frame.captures, captures.to_vec());
        let result = self.expr(frame, expr);
        frame.captures = outer;
        if let Some(locals) = &mut frame.locals {
            match before {
                Some(binding) => locals.insert(name.name.clone(), binding),
                None => locals.shift_remove(&name.name),
            };
        }
        if is_file {
            frame.locals = None;
        }
        result
    }

    /// `[f(l) for l in losses]`
    pub(super) fn list_of(&mut self, frame: &mut Frame, element: &Expr, name: &Ident, source: &Expr) -> Lowered<Value> {
        let items = match self.expr(frame, source)? {
            Value::List(items) => items,
            Value::Group(group) => group.values(),
            other => {
                let found = self.graphs.describe(&other);
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0304, format!("expected a list, found {found}"))
                        .at(source.span, "the elements are taken from here")
                        .with_help("`unstack(x, axis)` is the list of a tensor's slices, `range(0, n)` that of the ints below n"),
                ));
            }
        };
        let captures = frame.captures.clone();
        let each = items.into_iter().map(|item| self.expr_with(frame, name, item, &captures, element));
        each.collect::<Lowered<Vec<Value>>>().map(Value::List)
    }
}

impl Module {
    /// The node of a param or state.
    pub(super) fn carried_node(&self, path: &str) -> Option<NodeId> {
        let param = self.params.get(path).map(|param| param.node);
        param.or_else(|| self.states.get(path).map(|state| state.node))
    }

    /// The params that a pattern names; where it names none, the states.
    fn places(&self, pattern: &ParamPattern) -> Vec<Place> {
        let place = |path: &Arc<str>, node: NodeId| {
            let captures = pattern.captures(path)?;
            Some(Place { path: path.clone(), node, captures })
        };
        let mut places: Vec<Place> = self.params.iter().filter_map(|(path, param)| place(path, param.node)).collect();
        if places.is_empty() {
            places = self.states.iter().filter_map(|(path, state)| place(path, state.node)).collect();
        }
        places
    }
}

/// That a pattern matches no param, with those that there are.
pub(super) fn nothing_named(module: &Module, pattern: &ParamPattern) -> Diagnostic {
    let known: Vec<String> = module.params.keys().map(ToString::to_string).collect();
    let params =
        if known.is_empty() { "there are no params yet".into() } else { format!("params: {}", known.join(", ")) };
    Diagnostic::error(Code::E0201, format!("`{}` names no param", pattern.text))
        .at(pattern.span, "matches nothing")
        .with_note(params)
        .with_suggestion(&pattern.text, known.iter().map(String::as_str))
}

/// A pattern with its `*`s filled in, where there are as many.
pub(super) fn filled_in(pattern: &str, captures: &[Arc<str>]) -> Option<String> {
    let n_open = pattern.matches('*').count();
    if n_open == 0 || n_open != captures.len() {
        return None;
    }
    let mut parts = pattern.split('*');
    let mut path = parts.next().unwrap_or_default().to_string();
    for (capture, part) in captures.iter().zip(parts) {
        path.push_str(capture);
        path.push_str(part);
    }
    Some(path)
}

impl Group {
    /// The members as a list.
    pub fn values(&self) -> Vec<Value> {
        self.members.iter().map(|(_, tensor)| Value::Tensor(*tensor)).collect()
    }
}

impl Emitter<'_> {
    /// An operator on each member.
    pub(super) fn binary_each(
        &mut self,
        frame: &Frame,
        op: BinaryOp,
        left: (Value, Span),
        right: (Value, Span),
        span: Span,
    ) -> Lowered<Value> {
        let operands = [(left.0, left.1), (right.0, right.1)];
        let places = [operands[0].1, operands[1].1];
        let [left, right] = operands;
        self.each(frame, &[Some(left), Some(right)], span, |emit, mut values| {
            let (right, left) = (values.pop().flatten(), values.pop().flatten());
            let (Some(left), Some(right)) = (left, right) else { return Err(Reported) };
            emit.binary(frame, op, (left.0, places[0]), (right.0, places[1]), span)
        })
    }

    /// Applies a function to the members of groups, one after the other; what is no group is the same for all.
    pub(super) fn each(
        &mut self,
        frame: &Frame,
        values: &[Option<(Value, Span)>],
        span: Span,
        mut function: impl FnMut(&mut Self, Vec<Option<(Value, Span)>>) -> Lowered<Value>,
    ) -> Lowered<Value> {
        let paths = self.paths_of(values, span)?;
        let mut members = IndexMap::new();
        for (at, path) in paths.iter().enumerate() {
            let own = values.iter().map(|value| value.clone().map(|(value, span)| (member(value, at), span))).collect();
            let result = function(self, own)?;
            members.insert(path.clone(), self.to_tensor(frame, result, span)?);
        }
        Ok(Value::Group(Arc::new(Group { members: members.into_iter().collect() })))
    }

    /// The paths of the groups among some values, which must be equally many.
    pub(super) fn paths_of(&mut self, values: &[Option<(Value, Span)>], span: Span) -> Lowered<Vec<Arc<str>>> {
        let mut paths: Option<Vec<Arc<str>>> = None;
        for (value, at) in values.iter().flatten() {
            let Value::Group(group) = value else { continue };
            match &paths {
                Some(paths) if paths.len() != group.members.len() => {
                    return Err(self.report(
                        Diagnostic::error(
                            Code::E0301,
                            format!(
                                "a pattern that names {} params beside one that names {}",
                                group.members.len(),
                                paths.len()
                            ),
                        )
                        .at(span, "params are taken in pairs, in order")
                        .with_label(*at, "the second")
                        .with_help(
                            "in `update slow.* = …` and `at(…, slow.* = …)` each pattern follows the one on the left",
                        ),
                    ));
                }
                Some(_) => {}
                None => paths = Some(group.members.iter().map(|(path, _)| path.clone()).collect()),
            }
        }
        Ok(paths.unwrap_or_default())
    }
}

/// A group's member, or the value that is no group.
pub(super) fn member(value: Value, at: usize) -> Value {
    match value {
        Value::Group(group) => group.members.get(at).map_or(Value::Poison, |(_, tensor)| Value::Tensor(*tensor)),
        value => value,
    }
}

#[cfg(test)]
mod tests {
    use super::filled_in;
    use std::sync::Arc;

    #[test]
    fn a_pattern_is_filled_in_with_as_many_captures_as_it_has_stars() {
        let captures = |texts: &[&str]| texts.iter().map(|text| Arc::from(*text)).collect::<Vec<Arc<str>>>();
        assert_eq!(filled_in("slow.*", &captures(&["dense.kernel"])).as_deref(), Some("slow.dense.kernel"));
        assert_eq!(filled_in("a.*.b.*", &captures(&["x", "y"])).as_deref(), Some("a.x.b.y"));
        assert_eq!(filled_in("slow.*", &captures(&["x", "y"])), None);
        assert_eq!(filled_in("slow.bias", &captures(&[])), None);
    }
}
