//! Calls: definitions are expanded here, in a frame of their own.

use super::arguments::Arguments;
use super::builtins::{Builtin, Run};
use super::findings::Findings;
use super::signature::signature_text;
use super::value::{Binding, DefinitionValue, Frame, Instance, Partial, Value};
use super::{Lowered, Lowering, Reported};
use crate::diag::{Code, Diagnostic, Span};
use crate::syntax::ast::{Argument, DefinitionKind, Expr};
use indexmap::IndexMap;
use std::sync::Arc;

impl Lowering {
    pub(super) fn call_expr(
        &mut self,
        frame: &mut Frame,
        callee: &Expr,
        piped: Option<(Value, Span)>,
        arguments: &[Argument],
        span: Span,
    ) -> Lowered<Value> {
        // A broken callee does not hide what is wrong with the arguments.
        let function = self.expr(frame, callee);
        if let Ok(Value::Builtin(Builtin { run: Run::Form(run), .. })) = function {
            return run(self, frame, piped, arguments, callee.span.to(span));
        }
        let arguments = self.arguments(frame, piped, arguments);
        let (function, arguments) = (function?, arguments?);
        // The call's own text is the best place to point at; a pipe's left side is somebody else's.
        let span = callee.span.to(span);
        self.call(frame, &function, arguments, callee.span, span)
    }

    pub(super) fn call(
        &mut self,
        frame: &mut Frame,
        function: &Value,
        arguments: Arguments,
        callee: Span,
        span: Span,
    ) -> Lowered<Value> {
        match function {
            Value::Builtin(builtin) => {
                let matched = self.findings.match_builtin(builtin.name, builtin.parameters, arguments, span)?;
                builtin.call(self, frame, &matched)
            }
            Value::Definition(definition) => self.call_definition(frame, definition, arguments, callee, span),
            Value::Partial(partial) if partial.definition.definition.kind != DefinitionKind::Optimizer => {
                let arguments = merge(&partial.arguments, arguments, span);
                self.call_definition(frame, &partial.definition.clone(), arguments, callee, span)
            }
            Value::Instance(instance) => self.call_instance(frame, &instance.clone(), arguments, span),
            Value::Poison => Err(Reported),
            other => {
                let found = self.graphs.describe(other);
                let mut finding = Diagnostic::error(Code::E0204, format!("{found} cannot be called"))
                    .at(callee, "not a function or layer");
                match other {
                    Value::Tensor(_) => {
                        finding = finding.with_help(
                            "a layer's result is a value; to use one layer twice, name it: `layer enc = dense(units=8)`, then `enc(x)`",
                        );
                    }
                    Value::Text(text) => finding = self.scopes.unquoted(text, finding),
                    _ => {}
                }
                Err(self.findings.report(finding))
            }
        }
    }

    fn call_definition(
        &mut self,
        frame: &mut Frame,
        definition: &Arc<DefinitionValue>,
        arguments: Arguments,
        callee: Span,
        span: Span,
    ) -> Lowered<Value> {
        let name = definition.definition.name.name.clone();
        let kind = definition.definition.kind;
        if matches!(kind, DefinitionKind::Fn | DefinitionKind::Layer | DefinitionKind::Combiner)
            && is_unfinished(definition, &arguments)
        {
            let arguments = self.named_only(definition, arguments, &[], span)?;
            return Ok(Value::Partial(Arc::new(Partial { definition: definition.clone(), arguments })));
        }
        let mut inner = Frame {
            locals: Some(IndexMap::new()),
            path: frame.path.clone(),
            value_path: frame.value_path.clone(),
            home: definition.home,
            kind: Some(kind),
            instances: IndexMap::new(),
            reuse: frame.reuse,
            init_shape: frame.init_shape.clone(),
            captures: Vec::new(),
        };
        match kind {
            DefinitionKind::Fn => {}
            DefinitionKind::Layer | DefinitionKind::Combiner if frame.kind == Some(DefinitionKind::Fn) => {
                return Err(self.findings.report(
                    Diagnostic::error(Code::E0402, format!("a `fn` calls the {} `{name}`", kind.keyword()))
                        .at(callee, "a `fn` owns no params")
                        .with_help("make the calling definition a `layer`"),
                ));
            }
            DefinitionKind::Layer => inner.path = frame.instance_path(&name),
            DefinitionKind::Combiner => {
                self.emit().outside_loops("a combiner", callee)?;
                // The combiner of an item owns the item's own path: `total.alpha`.
                let first = frame.instances.is_empty() && frame.kind.is_none();
                let path = frame.instance_path(&name);
                inner.path = if first { frame.path.clone() } else { path };
            }
            DefinitionKind::Initializer => match &frame.init_shape {
                Some(shape) => {
                    let dims = shape.iter().map(Value::dim).collect();
                    inner.locals =
                        Some(IndexMap::from([("shape".into(), Binding::parameter(Value::List(dims), span))]));
                }
                None => return self.partial(definition, arguments, span),
            },
            DefinitionKind::Optimizer => return self.partial(definition, arguments, span),
        }
        if kind != DefinitionKind::Fn {
            inner.value_path = inner.path.clone();
        }
        self.findings.enter(&definition.definition.name.name, definition.home, frame.home, span)?;
        let result = self.expand_body(&mut inner, definition, arguments, span);
        self.findings.leave();
        result
    }

    /// Binds the arguments and lowers the body.
    fn expand_body(
        &mut self,
        inner: &mut Frame,
        definition: &DefinitionValue,
        arguments: Arguments,
        span: Span,
    ) -> Lowered<Value> {
        self.bind(inner, &definition.definition, arguments, span)?;
        let tensor = |(name, binding): (&Arc<str>, &Binding)| match binding.value {
            Value::Tensor(tensor) => Some((name.clone(), self.graphs.ty(tensor).clone())),
            _ => None,
        };
        let operands = inner.locals.iter().flatten().filter_map(tensor).collect();
        self.findings.note_operands(operands);
        match self.block(inner, &definition.definition.body)? {
            Some(value) => Ok(value),
            None => {
                let name = &definition.definition.name;
                Err(self.findings.error(
                    Code::E0403,
                    name.span,
                    format!("`{}` ends without `return`", name.name),
                    "every path through the body must return a value",
                ))
            }
        }
    }

    fn call_instance(
        &mut self,
        frame: &mut Frame,
        instance: &Instance,
        arguments: Arguments,
        span: Span,
    ) -> Lowered<Value> {
        let mut inner = Frame {
            locals: Some(IndexMap::new()),
            path: instance.path.clone(),
            value_path: instance.path.clone(),
            home: instance.definition.home,
            kind: Some(instance.definition.definition.kind),
            instances: IndexMap::new(),
            reuse: true,
            init_shape: None,
            captures: Vec::new(),
        };
        let arguments = merge(&instance.arguments, arguments, span);
        self.findings.enter(&instance.definition.definition.name.name, instance.definition.home, frame.home, span)?;
        let result = self.expand_body(&mut inner, &instance.definition, arguments, span);
        self.findings.leave();
        result
    }

    /// A definition with some of its arguments; the rest comes later.
    fn partial(&mut self, definition: &Arc<DefinitionValue>, arguments: Arguments, span: Span) -> Lowered<Value> {
        let implicit: &[&str] = match definition.definition.kind {
            DefinitionKind::Optimizer => &["param", "grad"],
            DefinitionKind::Initializer => &["shape"],
            DefinitionKind::Fn | DefinitionKind::Layer | DefinitionKind::Combiner => &[],
        };
        let arguments = self.named_only(definition, arguments, implicit, span)?;
        Ok(Value::Partial(Arc::new(Partial { definition: definition.clone(), arguments })))
    }

    /// Arguments by name; positional ones go to the parameters after the `implicit` ones.
    pub(super) fn named_only(
        &mut self,
        definition: &DefinitionValue,
        arguments: Arguments,
        implicit: &[&str],
        span: Span,
    ) -> Lowered<IndexMap<Arc<str>, Value>> {
        let name = &definition.definition.name.name;
        let parameters: Vec<Arc<str>> = definition
            .definition
            .parameters
            .iter()
            .map(|parameter| parameter.name.name.clone())
            .filter(|name| !implicit.contains(&&**name))
            .collect();
        if arguments.positional.len() > parameters.len() {
            return Err(self.findings.error(
                Code::E0401,
                span,
                format!("`{name}` takes {} arguments here, {} given", parameters.len(), arguments.positional.len()),
                "too many",
            ));
        }
        let mut result: IndexMap<Arc<str>, Value> =
            parameters.iter().cloned().zip(arguments.positional.into_iter().map(|(value, _)| value)).collect();
        for (ident, value, _) in arguments.named {
            if !parameters.contains(&ident.name) {
                return Err(self.findings.unknown_argument(name, &ident, parameters.iter().map(|name| &**name)));
            }
            if result.insert(ident.name.clone(), value).is_some() {
                return Err(self.findings.error(
                    Code::E0401,
                    ident.span,
                    format!("argument `{}` of `{name}` is given twice", ident.name),
                    "already given by position",
                ));
            }
        }
        Ok(result)
    }

    /// `layer enc = dense(units=64)`
    pub(super) fn instance(&mut self, frame: &mut Frame, name: &Arc<str>, value: &Expr) -> Lowered<Value> {
        let (callee, arguments) = match &value.kind {
            crate::syntax::ast::ExprKind::Call { callee, arguments } => (&**callee, arguments.as_slice()),
            _ => (value, [].as_slice()),
        };
        let function = self.expr(frame, callee)?;
        let Value::Definition(definition) = &function else {
            let found = self.graphs.describe(&function);
            return Err(self.findings.error(
                Code::E0204,
                callee.span,
                format!("{found} is not a layer"),
                "expected a layer",
            ));
        };
        if definition.definition.kind != DefinitionKind::Layer {
            let found = self.graphs.describe(&function);
            return Err(self.findings.error(
                Code::E0204,
                callee.span,
                format!("{found} is not a layer"),
                "expected a layer",
            ));
        }
        let arguments = self.arguments(frame, None, arguments)?;
        if let Some((_, at)) = arguments.positional.first() {
            return Err(self.findings.report(
                Diagnostic::error(Code::E0401, "a named layer takes its settings by name")
                    .at(*at, "this would be the layer's input")
                    .with_help("write for example `units=64`; the inputs come when the layer is called"),
            ));
        }
        let arguments = self.named_only(definition, arguments, &[], value.span)?;
        let path = frame.child_path(name);
        Ok(Value::Instance(Arc::new(Instance { definition: definition.clone(), arguments, path })))
    }

    /// An optimizer as it is written: by its name alone, with its defaults, or with some of its arguments.
    pub(super) fn as_optimizer(&mut self, frame: &mut Frame, value: Value, span: Span) -> Lowered<Arc<Partial>> {
        let value = match value {
            value @ Value::Definition(_) => {
                if !matches!(&value, Value::Definition(d) if d.definition.kind == DefinitionKind::Optimizer) {
                    return Err(self.no_optimizer(&value, span));
                }
                self.call(frame, &value, Arguments::default(), span, span)?
            }
            value => value,
        };
        match value {
            Value::Partial(partial) if partial.definition.definition.kind == DefinitionKind::Optimizer => Ok(partial),
            other => Err(self.no_optimizer(&other, span)),
        }
    }

    fn no_optimizer(&mut self, found: &Value, span: Span) -> Reported {
        let description = self.graphs.describe(found);
        let finding = Diagnostic::error(Code::E0406, format!("{description} is not an optimizer"))
            .at(span, "expected an optimizer");
        let finding = match found {
            Value::Text(text) => self.scopes.unquoted(text, finding),
            _ => finding,
        };
        self.findings.report(finding)
    }
}

impl Findings {
    /// A function of what is left stands where its value is needed.
    pub(super) fn unfinished(&mut self, partial: &Partial, span: Span) -> Reported {
        let definition = &partial.definition.definition;
        let missing = definition
            .parameters
            .iter()
            .filter(|parameter| parameter.default.is_none() && !partial.arguments.contains_key(&parameter.name.name));
        let missing: Vec<String> = missing.map(|parameter| format!("`{}`", parameter.name.name)).collect();
        let name = &definition.name.name;
        self.report(
            Diagnostic::error(Code::E0401, format!("`{name}` lacks its argument {}", missing.join(", ")))
                .at(span, "a value is needed here, and this is a function")
                .with_note(signature_text(definition)),
        )
    }
}

/// Whether a call only sets options, so that it gives a function of what is left: `leaky_relu(slope=0.1)`.
fn is_unfinished(definition: &DefinitionValue, arguments: &Arguments) -> bool {
    let given = |name: &Arc<str>| arguments.named.iter().any(|(ident, ..)| ident.name == *name);
    let mut needed = definition.definition.parameters.iter().filter(|parameter| parameter.default.is_none());
    arguments.positional.is_empty()
        && !arguments.named.is_empty()
        && needed.any(|parameter| !given(&parameter.name.name))
}

/// Stored arguments together with those of the call.
fn merge(stored: &IndexMap<Arc<str>, Value>, mut arguments: Arguments, span: Span) -> Arguments {
    for (name, value) in stored {
        let ident = crate::syntax::ast::Ident { name: name.clone(), span };
        if !arguments.named.iter().any(|(other, ..)| other.name == *name) {
            arguments.named.push((ident, value.clone(), span));
        }
    }
    arguments
}
