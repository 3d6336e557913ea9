//! Names and what they stand for: local names of a frame, the spec's items and definitions, the library's, the built-in ones.

use super::counterparts::{function_named, suggest_name};
use super::expr::AMBIENT;
use super::findings::Findings;
use super::value::{Binding, DefinitionValue, Frame, Home, Value};
use super::{Lowered, Reported, Setting, builtins};
use crate::diag::{Code, Diagnostic, Span};
use crate::syntax::ast::{self, DefinitionParameter, Ident};
use indexmap::IndexMap;
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The name of what is not used: it may stand for many things, and for none when it is read.
pub(super) const UNUSED: &str = "_";

/// The names of one lowering; those of a definition's body are in its [`Frame`].
#[derive(Default)]
pub(crate) struct Scopes {
    library: IndexMap<Arc<str>, Value>,
    /// all names of the library, those that are not in `library` included
    library_names: Vec<Arc<str>>,
    definitions: IndexMap<Arc<str>, (Value, Span)>,
    /// file-level names, in order
    globals: IndexMap<Arc<str>, Binding>,
    /// where the spec defines each name
    later_items: IndexMap<Arc<str>, Span>,
    /// names that were looked up
    named: FxHashSet<Arc<str>>,
    /// `--set NAME=VALUE`
    overrides: IndexMap<String, Setting>,
    /// names of `const`s
    constants: BTreeSet<Arc<str>>,
}

impl Scopes {
    pub(super) fn new(library_names: Vec<Arc<str>>, overrides: IndexMap<String, Setting>) -> Self {
        Self { library_names, overrides, ..Self::default() }
    }

    /// Registers the definitions of a file; they may be used anywhere in it.
    pub(super) fn collect_definitions(&mut self, findings: &mut Findings, file: &ast::File, home: Home) {
        for statement in &file.statements {
            let ast::StatementKind::Definition(definition) = &statement.kind else { continue };
            let name = definition.name.name.clone();
            let value = Value::Definition(Arc::new(DefinitionValue { definition: Arc::clone(definition), home }));
            if home == Home::Library {
                self.library.insert(name, value);
            } else if let Some((_, first)) = self.definitions.get(&name) {
                findings.report(
                    Diagnostic::error(Code::E0202, format!("`{name}` is defined twice"))
                        .at(definition.name.span, "defined again here")
                        .with_label(*first, "first defined here")
                        .with_help("rename one of them"),
                );
            } else {
                self.definitions.insert(name, (value, definition.name.span));
            }
        }
    }

    /// Notes where each name of the file is defined, to tell a name used too early from an unknown one.
    pub(super) fn note_items(&mut self, file: &ast::File) {
        for statement in &file.statements {
            for name in statement.kind.item_names().filter(|name| &*name.name != UNUSED) {
                self.later_items.entry(name.name.clone()).or_insert(name.span);
            }
            if let ast::StatementKind::Const { name, .. } = &statement.kind {
                self.constants.insert(name.name.clone());
            }
        }
    }

    /// Whether an item of the spec has this name, wherever it stands.
    pub(super) fn is_item(&self, name: &str) -> bool {
        self.later_items.contains_key(name)
    }

    /// Whether a definition of the spec has this name.
    pub(super) fn is_definition(&self, name: &str) -> bool {
        self.definitions.contains_key(name)
    }

    /// Gives a name a value in the innermost scope.
    pub(super) fn declare(
        &mut self,
        findings: &mut Findings,
        frame: &mut Frame,
        name: &Ident,
        value: Value,
    ) -> Lowered<()> {
        if &*name.name == UNUSED {
            return Ok(());
        }
        let first = match &frame.locals {
            Some(locals) => locals.get(&name.name).filter(|binding| !binding.is_parameter).map(|binding| binding.span),
            None => (self.globals.get(&name.name).map(|binding| binding.span))
                .or_else(|| self.definitions.get(&name.name).map(|(_, span)| *span)),
        };
        if let Some(first) = first {
            return Err(findings.report(
                Diagnostic::error(Code::E0202, format!("`{}` is defined twice", name.name))
                    .at(name.span, "defined again here")
                    .with_label(first, "first defined here")
                    .with_help("every name means one thing: rename one of them"),
            ));
        }
        let binding = Binding::own(value, name.span);
        match &mut frame.locals {
            Some(locals) => locals.insert(name.name.clone(), binding),
            None => self.globals.insert(name.name.clone(), binding),
        };
        Ok(())
    }

    /// The name of a broken item fails silently where it is used.
    pub(super) fn poison(&mut self, name: &Ident) {
        let broken = || Binding::own(Value::Poison, name.span);
        self.globals.entry(name.name.clone()).or_insert_with(broken);
    }

    /// What a name stands for: local names, then the spec's, then the library's, then the built-in ones.
    pub(super) fn find(&self, frame: &Frame, name: &str) -> Option<Value> {
        if let Some(binding) = frame.locals.as_ref().and_then(|locals| locals.get(name)) {
            return Some(binding.value.clone());
        }
        if frame.home == Home::Spec {
            if let Some(binding) = self.globals.get(name) {
                return Some(binding.value.clone());
            }
            if let Some((definition, _)) = self.definitions.get(name) {
                return Some(definition.clone());
            }
        }
        self.library.get(name).cloned().or_else(|| builtins::find(name).map(Value::Builtin))
    }

    /// What a name of an extent stands for: extents have names of values only, not of functions.
    pub(super) fn find_extent(&self, frame: &Frame, name: &str) -> Option<Value> {
        let known = frame.locals.as_ref().and_then(|locals| locals.get(name)).or_else(|| self.globals.get(name));
        known.map(|binding| binding.value.clone())
    }

    /// Notes that something names this.
    pub(super) fn note_use(&mut self, name: &Arc<str>) {
        if !self.named.contains(name) {
            self.named.insert(name.clone());
        }
    }

    /// Whether something names this.
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.named.contains(name)
    }

    pub(super) fn unknown_name(&self, findings: &mut Findings, frame: &Frame, name: &Arc<str>, span: Span) -> Reported {
        if let Some(later) = self.later_items.get(name).copied().filter(|_| frame.home == Home::Spec) {
            return findings.report(
                Diagnostic::error(Code::E0203, format!("`{name}` is used before it is defined"))
                    .at(span, "used here")
                    .with_label(later, "defined here")
                    .with_help("items are read from top to bottom: move the definition above its first use"),
            );
        }
        if &**name == UNUSED {
            return findings.report(
                Diagnostic::error(Code::E0201, "`_` is the name of what is not used")
                    .at(span, "and used here")
                    .with_help("give the value a name of its own where it is made"),
            );
        }
        let finding =
            Diagnostic::error(Code::E0201, format!("unknown name `{name}`")).at(span, "nothing in scope has this name");
        findings.report(self.suggest(frame, name, finding))
    }

    /// Adds what an unknown name may have meant.
    pub(super) fn suggest(&self, frame: &Frame, name: &str, finding: Diagnostic) -> Diagnostic {
        let known = self.known_names(frame);
        let known: Vec<&str> = known.iter().map(|name| &**name).collect();
        suggest_name(finding, name, &known)
    }

    /// Adds what a name behind that of another library's module is here.
    pub(super) fn of_module(&self, frame: &Frame, member: &str, finding: Diagnostic) -> Diagnostic {
        let known = self.known_names(frame);
        let known: Vec<&str> = known.iter().map(|name| &**name).collect();
        match function_named(member, &known) {
            Some(name) => finding.with_help(format!("write `{name}`: functions stand by themselves")),
            None => suggest_name(finding, member, &known),
        }
    }

    /// Adds what `value.member` is here: a function of the value.
    pub(super) fn method(&self, frame: &Frame, value: &str, member: &str, finding: Diagnostic) -> Diagnostic {
        let known = self.known_names(frame);
        let known: Vec<&str> = known.iter().map(|name| &**name).collect();
        if member == "T" {
            return finding.with_help(format!("write `transpose({value})`"));
        }
        match function_named(member, &known) {
            Some(name) => {
                let written = format!("`{name}({value}, …)`, or `{value} |> {name}(…)`");
                finding.with_help(format!("functions stand before their values: {written}"))
            }
            None => suggest_name(finding, member, &known),
        }
    }

    /// All names that can be used here.
    fn known_names(&self, frame: &Frame) -> Vec<Arc<str>> {
        let mut known: Vec<Arc<str>> = frame.locals.iter().flatten().map(|(name, _)| name.clone()).collect();
        if frame.home == Home::Spec {
            known.extend(self.globals.keys().chain(self.definitions.keys()).cloned());
        }
        known.extend(self.library_names.iter().cloned());
        known.extend(builtins::names().map(Arc::<str>::from));
        known.extend(AMBIENT.map(Arc::<str>::from));
        known
    }

    /// What stands for a function in quotes: its name without them.
    pub(super) fn unquoted(&self, text: &str, finding: Diagnostic) -> Diagnostic {
        let file = Frame::file();
        let is_function = match self.find(&file, text) {
            Some(value) => {
                matches!(value, Value::Definition(_) | Value::Builtin(_) | Value::Instance(_) | Value::Partial(_))
            }
            // What the spec does not name is not read of the library.
            None => self.library_names.iter().any(|name| &**name == text),
        };
        if is_function {
            return finding.with_help(format!("write `{text}` without quotes"));
        }
        self.suggest(&file, text, finding)
    }

    /// Whether a definition's parameter takes a function, as its default is one.
    pub(super) fn takes_function(&self, frame: &Frame, parameter: &DefinitionParameter) -> bool {
        let default = parameter.default.as_ref().and_then(ast::Expr::as_name);
        default.is_some_and(|name| matches!(self.find(frame, name), Some(Value::Definition(_) | Value::Builtin(_))))
    }

    /// What `--set` gives a name.
    pub(super) fn setting(&self, name: &str) -> Option<&Setting> {
        self.overrides.get(name)
    }

    /// `--set` of a name that no `const` has is a mistake worth saying.
    pub(super) fn check_settings(&self, findings: &mut Findings) {
        for name in self.overrides.keys().filter(|name| !self.constants.contains(name.as_str())) {
            findings.report(
                Diagnostic::error(Code::E0201, format!("`--set {name}`: the spec has no `const {name}`"))
                    .with_suggestion(name, self.constants.iter().map(|name| &**name)),
            );
        }
    }
}
