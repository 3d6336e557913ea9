//! Signatures: arguments bound to a definition's parameters, shapes matched against patterns.

use super::arguments::Arguments;
use super::findings::Findings;
use super::scopes::UNUSED;
use super::value::{Binding, Frame, TensorValue, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{BATCH, DType, Dim, TensorType};
use crate::syntax::ast::{
    Definition, DefinitionKind, DefinitionParameter, DimExpr, Expr, ExprKind, Ident, TypeExpr, UnaryOp,
};
use std::sync::Arc;

impl Lowering {
    /// Binds arguments to parameters in `frame`, left to right; defaults see the parameters before them.
    pub(super) fn bind(
        &mut self,
        frame: &mut Frame,
        definition: &Definition,
        mut arguments: Arguments,
        span: Span,
    ) -> Lowered<()> {
        let name = definition.name.name.clone();
        let parameters = &definition.parameters;
        // An initializer's shape is bound before the call.
        let is_bound = |frame: &Frame, parameter: &DefinitionParameter| {
            definition.kind == DefinitionKind::Initializer
                && &*parameter.name.name == "shape"
                && frame.locals.as_ref().is_some_and(|locals| locals.contains_key("shape"))
        };
        self.findings.check_argument_names(definition, arguments.named.iter().map(|(ident, ..)| ident))?;
        let mut positional = std::mem::take(&mut arguments.positional).into_iter();
        for parameter in parameters {
            if is_bound(frame, parameter) {
                continue;
            }
            let named = arguments.named.iter().position(|(ident, ..)| ident.name == parameter.name.name);
            let (value, at) = if parameter.variadic {
                let items: Vec<(Value, Span)> = positional.by_ref().collect();
                self.bind_variadic(frame, definition, parameter, items, span)?
            } else if let Some(argument) = positional.next() {
                if let Some(named) = named {
                    let at = arguments.named[named].0.span;
                    return Err(self.findings.error(
                        Code::E0401,
                        at,
                        format!("argument `{}` of `{name}` is given twice", parameter.name.name),
                        "already given by position",
                    ));
                }
                (self.conform(frame, definition, parameter, argument.0, argument.1)?, argument.1)
            } else if let Some(named) = named {
                let (_, value, at) = arguments.named.swap_remove(named);
                (self.conform(frame, definition, parameter, value, at)?, at)
            } else if let Some(default) = &parameter.default {
                (self.expr(frame, default)?, span)
            } else {
                return Err(self.findings.missing_argument(definition, parameter, span));
            };
            if &*parameter.name.name != UNUSED {
                frame.locals.get_or_insert_default().insert(parameter.name.name.clone(), Binding::parameter(value, at));
            }
        }
        match positional.next() {
            Some((_, at)) => Err(self.findings.too_many_arguments(definition, at)),
            None => Ok(()),
        }
    }

    fn bind_variadic(
        &mut self,
        frame: &mut Frame,
        definition: &Definition,
        parameter: &DefinitionParameter,
        items: Vec<(Value, Span)>,
        span: Span,
    ) -> Lowered<(Value, Span)> {
        if items.is_empty() {
            return Err(self.findings.missing_argument(definition, parameter, span));
        }
        let mut values = Vec::with_capacity(items.len());
        for (value, at) in items {
            values.push(self.conform(frame, definition, parameter, value, at)?);
        }
        let count = Binding::parameter(Value::integer(values.len()), span);
        frame.locals.get_or_insert_default().entry("K".into()).or_insert(count);
        Ok((Value::List(values), span))
    }

    /// Checks a value against its parameter's type, binding the names of the pattern.
    fn conform(
        &mut self,
        frame: &mut Frame,
        definition: &Definition,
        parameter: &DefinitionParameter,
        value: Value,
        span: Span,
    ) -> Lowered<Value> {
        let Some(ty) = &parameter.ty else {
            return match &value {
                Value::Text(text) if self.scopes.takes_function(frame, parameter) => {
                    let name = (&parameter.name.name, &definition.name.name);
                    let headline = format!("`{}` of `{}` is the text {text:?}, expected a function", name.0, name.1);
                    let finding = Diagnostic::error(Code::E0304, headline)
                        .at(span, "does not fit the signature")
                        .with_note(signature_text(definition));
                    Err(self.findings.report(self.scopes.unquoted(text, finding)))
                }
                _ => Ok(value),
            };
        };
        let wrong = |this: &mut Self, value: &Value, expected: &str| {
            let found = this.graphs.describe(value);
            this.findings.report(
                Diagnostic::error(
                    Code::E0304,
                    format!("`{}` of `{}` is {found}, expected {expected}", parameter.name.name, definition.name.name),
                )
                .at(span, "does not fit the signature")
                .with_note(signature_text(definition)),
            )
        };
        match (&*ty.element.name, &ty.dims) {
            ("int", None) => match &value {
                Value::Dim(_) => Ok(value),
                Value::Number { value: number, .. } if number.fract() == 0.0 => Ok(value),
                other => Err(wrong(self, other, "an int")),
            },
            ("number", None) => match &value {
                Value::Number { .. } | Value::Dim(_) => Ok(value),
                other => Err(wrong(self, other, "a number")),
            },
            ("text", None) => match &value {
                Value::Text(_) => Ok(value),
                other => Err(wrong(self, other, "a text")),
            },
            ("f32" | "i32" | "bool", None) if !matches!(value, Value::Tensor(_)) => Ok(value),
            _ => self.conform_tensor(frame, definition, parameter, ty, value, span),
        }
    }

    fn conform_tensor(
        &mut self,
        frame: &mut Frame,
        definition: &Definition,
        parameter: &DefinitionParameter,
        ty: &TypeExpr,
        value: Value,
        span: Span,
    ) -> Lowered<Value> {
        let dtype = self.findings.dtype(&ty.element)?;
        let mut tensor = self.emit().to_tensor_of(frame, value, dtype, span)?;
        let pattern = ty.dims.as_deref().unwrap_or(&[]);
        let is_loss = definition.kind == DefinitionKind::Combiner;
        if is_loss && tensor.which == super::value::Which::Step && self.graphs.ty(tensor).is_float() {
            self.note_branch(frame, &parameter.name.name, tensor, span);
        }
        if is_loss && pattern.is_empty() && self.graphs.ty(tensor).is_per_sample() {
            tensor = self.emit().mean(frame, tensor, &[0], span);
        }
        let found = self.graphs.ty(tensor).clone();
        let names = self.match_pattern(frame, pattern, &found.shape);
        match names {
            Some(names) if found.dtype == dtype => {
                for (name, dim) in names {
                    let binding = Binding::parameter(Value::dim(&dim), span);
                    frame.locals.get_or_insert_default().entry(name).or_insert(binding);
                }
                Ok(Value::Tensor(tensor))
            }
            _ => {
                let mut finding = Diagnostic::error(
                    Code::E0304,
                    format!(
                        "`{}` of `{}` is {found}, expected {}",
                        parameter.name.name,
                        definition.name.name,
                        type_text(ty)
                    ),
                )
                .at(span, format!("this is {found}"))
                .with_note(signature_text(definition));
                if dtype == DType::I32 && found.is_float() {
                    finding = finding.with_help(self.int_help(tensor));
                }
                if is_loss && found.rank() > 1 {
                    let axes: Vec<usize> = (1..found.rank()).collect();
                    finding = finding
                        .with_help(format!("a loss is one number per sample: reduce it with `|> mean(axes={axes:?})`"));
                }
                Err(self.findings.report(finding))
            }
        }
    }

    /// How a float becomes the int that is wanted: data is declared so, another value converted.
    fn int_help(&self, tensor: TensorValue) -> String {
        match self.graphs.data_name(tensor) {
            Some((kind, name)) => {
                let ty = TensorType { dtype: DType::I32, ..self.graphs.ty(tensor).clone() };
                format!("declare `{} {name}: {ty}`", kind.as_str())
            }
            None => "`i32(x)` converts a float, rounding towards zero".to_string(),
        }
    }

    /// Notes what a combiner is given as a loss, for analysis.
    fn note_branch(&mut self, frame: &Frame, name: &str, tensor: TensorValue, span: Span) {
        let path = frame.child_path(name);
        let taken = self.module.branches.keys().filter(|other| other.starts_with(&*path)).count();
        let path = if taken == 0 { path } else { format!("{path}_{}", taken + 1).into() };
        let span = self.findings.user_span(span);
        self.module.branches.insert(path, (tensor.node, span));
    }

    /// Matches extents against a pattern; gives the names it binds, or `None` when they do not fit.
    fn match_pattern(&mut self, frame: &mut Frame, pattern: &[DimExpr], shape: &[Dim]) -> Option<Vec<(Arc<str>, Dim)>> {
        let rest = pattern.iter().position(|dim| matches!(dim, DimExpr::Rest(_)));
        let fits = match rest {
            Some(_) => shape.len() + 1 >= pattern.len(),
            None => shape.len() == pattern.len(),
        };
        if !fits {
            return None;
        }
        let mut names: Vec<(Arc<str>, Dim)> = Vec::new();
        for (i, dim) in pattern.iter().enumerate() {
            let DimExpr::Expr(expr) = dim else { continue };
            let at = if rest.is_some_and(|rest| i > rest) { shape.len() - (pattern.len() - i) } else { i };
            let extent = &shape[at];
            let wanted = match &expr.kind {
                ExprKind::Name(name) if &**name == UNUSED => continue,
                ExprKind::Name(name) if &**name == BATCH => Dim::batch(),
                ExprKind::Name(name) => {
                    let local = frame.locals.as_ref().and_then(|locals| locals.get(name)).map(|b| b.value.clone());
                    let bound = names.iter().find(|(other, _)| other == name).map(|(_, dim)| dim.clone());
                    match (bound, local) {
                        (Some(dim), _) => dim,
                        (None, Some(Value::Dim(dim))) => dim,
                        (None, Some(Value::Number { value, .. })) => Dim::known(value as usize),
                        _ => {
                            names.push((name.clone(), extent.clone()));
                            continue;
                        }
                    }
                }
                _ => match self.expr(frame, expr).ok()? {
                    Value::Dim(dim) => dim,
                    Value::Number { value, .. } if value >= 0.0 => Dim::known(value as usize),
                    _ => return None,
                },
            };
            if wanted != *extent {
                return None;
            }
        }
        Some(names)
    }
}

impl Findings {
    /// Every named argument must be a parameter's.
    pub(super) fn check_argument_names<'i>(
        &mut self,
        definition: &Definition,
        mut names: impl Iterator<Item = &'i Ident>,
    ) -> Lowered<()> {
        let parameters = &definition.parameters;
        match names.find(|ident| !parameters.iter().any(|parameter| parameter.name.name == ident.name)) {
            Some(ident) => {
                Err(self.unknown_argument(&definition.name.name, ident, parameters.iter().map(|p| &*p.name.name)))
            }
            None => Ok(()),
        }
    }

    /// As many positional arguments, at their places, as there are parameters to take them.
    pub(super) fn check_argument_count(&mut self, definition: &Definition, positional: &[Span]) -> Lowered<()> {
        let takes_any = definition.parameters.iter().any(|parameter| parameter.variadic);
        match positional.get(definition.parameters.len()) {
            Some(at) if !takes_any => Err(self.too_many_arguments(definition, *at)),
            _ => Ok(()),
        }
    }

    fn too_many_arguments(&mut self, definition: &Definition, at: Span) -> Reported {
        let count = super::arguments::plural(definition.parameters.len(), "argument");
        self.report(
            Diagnostic::error(Code::E0401, format!("`{}` takes {count}, more are given", definition.name.name))
                .at(at, "one too many")
                .with_note(signature_text(definition)),
        )
    }

    pub(super) fn missing_argument(
        &mut self,
        definition: &Definition,
        parameter: &DefinitionParameter,
        span: Span,
    ) -> Reported {
        self.report(
            Diagnostic::error(
                Code::E0401,
                format!("`{}` lacks its argument `{}`", definition.name.name, parameter.name.name),
            )
            .at(span, "in this call")
            .with_note(signature_text(definition)),
        )
    }
}

/// The signature as written, for notes.
pub(super) fn signature_text(definition: &Definition) -> String {
    format!("signature: {} {}", definition.kind.keyword(), call_text(definition))
}

/// The name and the parameters as written.
pub(super) fn call_text(definition: &Definition) -> String {
    let parameters: Vec<String> = definition
        .parameters
        .iter()
        .map(|parameter| {
            let mut text = parameter.name.name.to_string();
            if parameter.variadic {
                text.push_str("...");
            }
            if let Some(ty) = &parameter.ty {
                text.push_str(": ");
                text.push_str(&type_text(ty));
            }
            if let Some(default) = &parameter.default {
                text.push('=');
                text.push_str(&expr_text(default));
            }
            text
        })
        .collect();
    format!("{}({})", definition.name.name, parameters.join(", "))
}

/// A short expression as written; of a longer one its place only.
fn expr_text(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Name(name) => name.to_string(),
        ExprKind::Number { text, .. } => text.to_string(),
        ExprKind::String(text) => format!("{text:?}"),
        ExprKind::Bool(value) => value.to_string(),
        ExprKind::None => "none".to_string(),
        ExprKind::Unary { op: UnaryOp::Negate, operand } => format!("-{}", expr_text(operand)),
        ExprKind::List(items) => format!("[{}]", items.iter().map(expr_text).collect::<Vec<_>>().join(", ")),
        _ => "…".to_string(),
    }
}

/// A type as written.
pub(super) fn type_text(ty: &TypeExpr) -> String {
    let dims = ty.dims.as_ref().map(|dims| {
        let dims: Vec<String> = dims
            .iter()
            .map(|dim| match dim {
                DimExpr::Rest(_) => "...".to_string(),
                DimExpr::Expr(expr) => expr_text(expr),
            })
            .collect();
        format!("[{}]", dims.join(", "))
    });
    format!("{}{}{}", ty.element.name, dims.unwrap_or_default(), if ty.optional { "?" } else { "" })
}
