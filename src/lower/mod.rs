//! Syntax tree to typed graph: names, types, shapes; definitions expanded at their calls.
//!
//! Takes the trees of the spec and of the standard library; gives a [`Module`]: one graph of the whole training step
//! with `gradient(objective, param)` nodes still to be written out, one graph of the initial values, and what the graph
//! does not say (which params are constrained, which contracts were asserted). Findings are collected: a value whose
//! definition failed is poisoned, and what depends on it fails silently, so one mistake is reported once.
//!
//! `grad(y, x)` in a spec is written out here, since which params an objective trains, and so which optimizer
//! instances exist, depends on what a derivative depends on. Which way it is taken is the caller's choice, made by
//! lowering both ways and comparing what comes of it.

mod arguments;
mod body;
mod builtins;
mod call;
mod elementwise;
mod expr;
mod index;
mod items;
mod library;
mod missing;
mod module;
mod reference;
mod resolve;
mod signature;
mod statements;
mod train;
mod value;

pub use builtins::{Builtin, TABLE as BUILTINS};
pub use library::{Library, STANDARD_LIBRARY, StandardFile};
pub use module::{
    Constraint, Contract, DataInfo, DerivativeInfo, Direction, Module, Owner, ParamInfo, ParamPattern, StateInfo,
};
pub use reference::{Entry, library_index};

use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span};
use crate::ir::{Builder, Graph, NodeId, Provenance, TensorType};
use crate::ops::{InputKind, Op, OpError, OpErrorKind};
use crate::syntax::ast;
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use value::{Binding, Frame, Home, TensorValue, Value, Which};

/// Options of a compilation that change the meaning of a spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--set NAME=VALUE`: overrides of `const`
    pub overrides: IndexMap<String, Setting>,
    /// `--deny LINT`: lints that are errors
    pub deny: Vec<String>,
    /// What a run judges its epochs by.
    pub watched: Option<Watched>,
}

/// The loss or metric that a run stops early, or keeps its best params, by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    pub name: String,
    /// Where the run config names it.
    pub span: Option<Span>,
}

/// The value of a `--set`.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    Number(f64),
    Bool(bool),
    Text(String),
}

impl From<f64> for Setting {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl std::str::FromStr for Setting {
    type Err = std::convert::Infallible;

    /// `true` and `false`, then what reads as a number, then any text.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.replace('_', "").parse::<f64>()) {
            ("true", _) => Self::Bool(true),
            ("false", _) => Self::Bool(false),
            (_, Ok(number)) if number.is_finite() => Self::Number(number),
            _ => Self::Text(text.to_string()),
        })
    }
}

impl std::fmt::Display for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// A finding was recorded; the caller gives up on the value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported;

pub(crate) type Lowered<T> = Result<T, Reported>;

/// Beyond this many nodes a spec is a mistake (a `repeat` gone wrong), not a model.
const MAX_NODES: usize = 250_000;
/// Expressions evaluated while definitions are expanded, a list counting as its elements. Calls that call twice each double
/// with every level, whether or not they add an operation.
const MAX_EVALUATIONS: usize = 5_000_000;
/// Definitions that call definitions, at most this deep.
const MAX_CALL_DEPTH: usize = 100;
/// Labels that say nothing once the place they point at is not shown.
const GENERIC_LABELS: &[&str] = &["", "here", "in this call"];
/// Findings reported in one run.
const MAX_FINDINGS: usize = 20;

/// Lowers a spec. `used` holds the trees of the files it uses, in order; `library` what it can reach of the standard library.
/// `directions` says which way each `grad` is taken, in their order in [`Module::derivatives`]; those beyond it, and those
/// that forward mode cannot take, are taken in reverse.
///
/// # Errors
/// All findings, when one of them is an error.
pub fn lower(
    spec: &ast::File,
    used: &[ast::File],
    library: &Library,
    options: &Options,
    directions: &[Direction],
) -> Result<(Module, Vec<Diagnostic>), Diagnostics> {
    let mut lowering = Lowering::new(options.clone());
    lowering.directions = directions.to_vec();
    lowering.library_names.clone_from(&library.names);
    for file in &library.files {
        lowering.library_texts.insert(file.span.source);
        lowering.collect_definitions(file, Home::Library);
    }
    for file in used.iter().chain([spec]) {
        lowering.collect_definitions(file, Home::Spec);
        lowering.note_items(file);
    }
    for file in used.iter().chain([spec]) {
        lowering.resolve_definitions(file);
    }
    let mut frame = Frame::file();
    for statement in used.iter().flat_map(|file| &file.statements) {
        let _ = lowering.used_item(&mut frame, statement);
    }
    for statement in &spec.statements {
        // One broken item does not hide the findings of the next.
        let _ = lowering.item(&mut frame, statement);
        if lowering.has_enough() {
            break;
        }
    }
    lowering.finish()
}

/// The state of one lowering.
pub(crate) struct Lowering {
    options: Options,
    /// of the `grad`s, in order
    directions: Vec<Direction>,
    findings: Vec<Diagnostic>,
    /// the training step
    graph: Graph,
    /// the initial values
    init: Graph,
    /// which graph is being built
    which: Which,
    /// bodies of loops that are being built, outermost first
    bodies: Vec<body::Scope>,
    module: Module,
    library: IndexMap<Arc<str>, Value>,
    /// all names of the library, those that are not in `library` included
    library_names: Vec<Arc<str>>,
    library_texts: BTreeSet<SourceId>,
    definitions: IndexMap<Arc<str>, (Value, Span)>,
    /// file-level names, in order
    globals: IndexMap<Arc<str>, Binding>,
    /// calls being expanded, outermost first
    calls: Vec<value::Call>,
    leaves: IndexMap<(InputKind, Arc<str>, Which), NodeId>,
    objectives: Vec<train::Objective>,
    train_span: Option<Span>,
    /// random draws made under one name so far
    streams: IndexMap<Arc<str>, u32>,
    /// for each node that may be missing, the node of its mask
    masks: BTreeMap<NodeId, NodeId>,
    /// constraints that are functions, by param
    projections: IndexMap<Arc<str>, Value>,
    /// names of `const`s that are not numbers
    other_constants: BTreeSet<Arc<str>>,
    /// names that were looked up
    named: BTreeSet<Arc<str>>,
    /// where the spec defines each name
    later_items: IndexMap<Arc<str>, Span>,
    /// expressions evaluated so far
    evaluations: usize,
    /// of the optimizer that is being expanded, where it does not take part in every step
    pace: Option<builtins::pace::Pace>,
}

impl Lowering {
    fn new(options: Options) -> Self {
        Self {
            options,
            directions: Vec::new(),
            findings: Vec::new(),
            graph: Graph::new(),
            init: Graph::new(),
            which: Which::Step,
            bodies: Vec::new(),
            module: Module::default(),
            library: IndexMap::new(),
            library_names: Vec::new(),
            library_texts: BTreeSet::new(),
            definitions: IndexMap::new(),
            globals: IndexMap::new(),
            calls: Vec::new(),
            leaves: IndexMap::new(),
            objectives: Vec::new(),
            train_span: None,
            streams: IndexMap::new(),
            masks: BTreeMap::new(),
            projections: IndexMap::new(),
            other_constants: BTreeSet::new(),
            named: BTreeSet::new(),
            later_items: IndexMap::new(),
            evaluations: 0,
            pace: None,
        }
    }

    fn finish(mut self) -> Result<(Module, Vec<Diagnostic>), Diagnostics> {
        self.carry_states();
        self.check_overrides();
        self.findings.truncate(MAX_FINDINGS);
        if self.findings.iter().any(Diagnostic::is_error) {
            return Err(Diagnostics(self.findings));
        }
        let named = self.named;
        self.module.idle_values.retain(|name, _| !named.contains(name));
        self.module.graph = self.graph;
        self.module.init = self.init;
        Ok((self.module, self.findings))
    }

    /// Whether as many errors are found as are reported.
    fn has_enough(&self) -> bool {
        self.findings.iter().filter(|finding| finding.is_error()).count() >= MAX_FINDINGS
    }

    /// Records a finding, once: a definition may be called many times, and its names were looked up before. Inside the standard library the place to show is the user's call, not the library's text.
    pub(crate) fn report(&mut self, mut finding: Diagnostic) -> Reported {
        let in_library = |span: Span| self.library_texts.contains(&span.source);
        let inside = finding.primary.as_ref().is_some_and(|label| in_library(label.span));
        finding.labels.retain(|label| !in_library(label.span));
        if let (true, Some(call)) = (inside, self.library_call()) {
            let said = finding.primary.take().map_or_else(String::new, |label| label.message);
            let name = self.calls.last().map_or_else(String::new, |call| call.name.to_string());
            let place = format!("inside `{name}` of the standard library");
            let note = if GENERIC_LABELS.contains(&said.as_str()) { place } else { format!("{place}: {said}") };
            finding.notes.insert(0, note);
            let operands = self.calls.last().map_or_else(Vec::new, |call| call.operands.clone());
            if !operands.is_empty() {
                let operands = operands.iter().map(|(name, tensor)| format!("`{name}` is {}", self.ty(*tensor)));
                finding.notes.insert(1, operands.collect::<Vec<_>>().join(", "));
            }
            finding = finding.at(call, "in this call");
        }
        let place = |finding: &Diagnostic| finding.primary.as_ref().map(|label| label.span);
        let is_known = |known: &Diagnostic| {
            known.code == finding.code && known.headline == finding.headline && place(known) == place(&finding)
        };
        if place(&finding).is_none() || !self.findings.iter().any(is_known) {
            self.findings.push(finding);
        }
        Reported
    }

    /// Records an error at a place.
    pub(crate) fn error(
        &mut self,
        code: Code,
        span: Span,
        headline: impl Into<String>,
        label: impl Into<String>,
    ) -> Reported {
        self.report(Diagnostic::error(code, headline).at(span, label))
    }

    /// The user's innermost call, when the code being lowered is the library's.
    fn library_call(&self) -> Option<Span> {
        match self.calls.last() {
            Some(call) if call.home == Home::Library => {
                self.calls.iter().rev().find(|call| call.from == Home::Spec).map(|call| call.span)
            }
            _ => None,
        }
    }

    /// The span that nodes and findings get for library or user code at `span`.
    pub(crate) fn user_span(&self, span: Span) -> Span {
        self.library_call().unwrap_or(span)
    }

    pub(crate) fn current(&mut self) -> &mut Graph {
        match self.which {
            Which::Step => &mut self.graph,
            Which::Init => &mut self.init,
            Which::Body(depth) => &mut self.bodies[depth].draft.graph,
        }
    }

    pub(crate) fn graph_of(&self, which: Which) -> &Graph {
        match which {
            Which::Step => &self.graph,
            Which::Init => &self.init,
            Which::Body(depth) => &self.bodies[depth].draft.graph,
        }
    }

    pub(crate) fn builder(&mut self, frame: &Frame, span: Span) -> Builder<'_> {
        let provenance = Provenance { name: frame.value_path.clone(), span: self.user_span(span) };
        Builder::new(self.current(), provenance)
    }

    pub(crate) fn ty(&self, tensor: TensorValue) -> &TensorType {
        self.graph_of(tensor.which).ty(tensor.node)
    }

    /// Adds a node, reporting what its shape rule says against it.
    pub(crate) fn add(
        &mut self,
        frame: &Frame,
        span: Span,
        op: impl Into<Op>,
        operands: &[TensorValue],
    ) -> Lowered<TensorValue> {
        if self.which != Which::Init && operands.iter().any(|operand| self.mask(*operand).is_some()) {
            let mut own = Vec::with_capacity(operands.len());
            for operand in operands {
                own.push(self.in_current(*operand, span)?);
            }
            return self.add_masked(frame, span, op.into(), &own);
        }
        self.add_plain(frame, span, op, operands)
    }

    fn add_plain(
        &mut self,
        frame: &Frame,
        span: Span,
        op: impl Into<Op>,
        operands: &[TensorValue],
    ) -> Lowered<TensorValue> {
        let mut nodes = Vec::with_capacity(operands.len());
        for operand in operands {
            nodes.push(self.in_current(*operand, span)?.node);
        }
        let in_bodies: usize = self.bodies.iter().map(|body| body.draft.graph.len()).sum();
        if self.graph.len() + self.init.len() + in_bodies > MAX_NODES {
            return Err(self.error(
                Code::E0701,
                span,
                format!("the program has more than {MAX_NODES} operations"),
                "while expanding this",
            ));
        }
        match self.builder(frame, span).add(op, &nodes) {
            Ok(node) => Ok(TensorValue { node, which: self.which }),
            Err(error) => Err(self.op_error(span, error)),
        }
    }

    pub(crate) fn op_error(&mut self, span: Span, error: OpError) -> Reported {
        let code = match error.kind {
            OpErrorKind::Shape => Code::E0301,
            OpErrorKind::DType => Code::E0302,
            OpErrorKind::Constraint => Code::E0303,
            OpErrorKind::Limit => Code::E0701,
        };
        let mut finding = Diagnostic::error(code, error.message).at(span, "here");
        finding = match error.help {
            Some(help) => finding.with_help(help),
            None if code == Code::E0302 => finding.with_help("`f32(x)` and `i32(x)` convert one into the other"),
            None => finding,
        };
        self.report(finding)
    }

    /// A tensor usable in the graph being built: in the initial values a param or state stands for its own initial value.
    pub(crate) fn in_current(&mut self, tensor: TensorValue, span: Span) -> Lowered<TensorValue> {
        if tensor.which == self.which {
            return Ok(tensor);
        }
        if let Which::Body(depth) = self.which {
            return self.captured(depth, tensor, span);
        }
        if self.which == Which::Init
            && tensor.which == Which::Step
            && let Op::Input(input) = self.graph.op(tensor.node)
        {
            let name = self.graph.node(tensor.node).provenance.name.clone();
            let initial = self.init.outputs.iter().find(|output| output.name == name).map(|output| output.node);
            if let (InputKind::Param | InputKind::State, Some(node)) = (input.kind, initial) {
                return Ok(TensorValue { node, which: Which::Init });
            }
        }
        Err(self.report(
            Diagnostic::error(Code::E0404, "an initial value reads a value of the run")
                .at(span, "known only when a batch is")
                .with_help("initial values are computed once, before any data: use constants and initializers such as `zeros()`"),
        ))
    }

    /// The clock, the seed and other leaves that the compiler itself feeds, one node each.
    pub(crate) fn leaf(&mut self, kind: InputKind, name: &str, ty: &TensorType, span: Span) -> TensorValue {
        let which = self.outermost();
        let key = (kind, Arc::<str>::from(name), which);
        if let Some(node) = self.leaves.get(&key) {
            return TensorValue { node: *node, which };
        }
        let provenance = Provenance { name: name.into(), span };
        let input = crate::ops::Input { kind, ty: ty.clone() };
        let graph = if which == Which::Init { &mut self.init } else { &mut self.graph };
        let node = Builder::new(graph, provenance).emit(input, &[]);
        self.leaves.insert(key, node);
        TensorValue { node, which }
    }

    /// Every state without an `update` keeps its value.
    fn carry_states(&mut self) {
        for (name, state) in &self.module.states {
            let next = state.next.unwrap_or(state.node);
            self.graph.add_output(crate::ir::Role::State, name.clone(), next);
        }
    }

    /// `--set` of a name that no `const` has is a mistake worth saying.
    fn check_overrides(&mut self) {
        let names = self.module.constants.keys().chain(&self.other_constants);
        let constants: Vec<String> = names.map(ToString::to_string).collect();
        for name in self.options.overrides.keys() {
            if !constants.contains(name) {
                self.findings.push(
                    Diagnostic::error(Code::E0201, format!("`--set {name}`: the spec has no `const {name}`"))
                        .with_suggestion(name, constants.iter().map(String::as_str)),
                );
            }
        }
    }
}
