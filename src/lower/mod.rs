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
//!
//! A lowering has parts: `findings` (what is reported), `scopes` (what names stand for), `graphs` (the nodes),
//! `train`'s `Training`, and the [`Module`] that comes of it. What only looks names up takes the first two
//! (`resolve`), what only adds nodes takes findings and graphs (`emit`); expressions and calls take the whole.

mod align;
mod arguments;
mod assertions;
mod body;
mod builtins;
mod call;
mod carried;
mod counterparts;
mod elementwise;
mod elsewhere;
mod emit;
mod encode;
mod expr;
mod findings;
mod fold;
mod graphs;
mod index;
mod items;
mod library;
mod losses;
mod matmul;
mod missing;
mod module;
mod patterns;
mod reference;
mod resolve;
mod scopes;
mod signature;
mod statements;
mod train;
mod types;
mod value;

pub use builtins::{Builtin, TABLE as BUILTINS};
pub use elsewhere::VALIDATION_PREFIX;
pub(crate) use elsewhere::{Copies, copy_slice};
pub use encode::{Coding, Encoding, Fitted};
pub use library::{Library, STANDARD_LIBRARY, StandardFile};
pub use module::{
    Better, Constraint, Contract, DataInfo, DerivativeInfo, Direction, DirectionInfo, Meaning, MeantAs, Module,
    ObjectiveInfo, Owner, ParamInfo, ParamPattern, StateInfo, glob,
};
pub use reference::{Entry, LAWS, counterpart_help, laws_of, library_index};

use crate::diag::{Diagnostic, Diagnostics, Span};
use crate::ir::Role;
use crate::syntax::ast;
use emit::Emitter;
use findings::Findings;
use graphs::Graphs;
use indexmap::IndexMap;
use resolve::Resolver;
use scopes::Scopes;
use std::sync::Arc;
use train::Training;
use value::{Frame, Home};

/// Options of a compilation that change the meaning of a spec.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `--set NAME=VALUE`: overrides of `const`
    pub overrides: IndexMap<String, Setting>,
    /// `--deny LINT`: lints that are errors
    pub deny: Vec<String>,
    /// What a run judges its epochs by.
    pub watched: Option<Watched>,
    /// Params that are not trained, whatever the spec's `train` block says.
    pub frozen: Vec<Frozen>,
    /// What the training step reports of how its losses are combined.
    pub observe: Observe,
    /// Inputs and targets, by name, of which data holds something that is still to be encoded.
    pub encodings: IndexMap<String, Encoding>,
    /// Outputs, by name, that are told in the units of a target.
    pub decode: IndexMap<String, String>,
}

/// What a run asks to see of how losses are combined. What is not asked for has no node in any program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observe {
    /// by how much each loss counts in its total
    pub weights: bool,
    /// the length of each loss's gradient by the params that losses share
    pub norms: bool,
    /// the cosine of each pair of these gradients
    pub cosines: bool,
    /// lengths and cosines of each layer too
    pub layers: bool,
    /// the weights that are fixed numbers too
    pub fixed: bool,
}

impl Observe {
    /// What a run reports unless its config says otherwise.
    pub const WEIGHTS: Self = Self { weights: true, norms: false, cosines: false, layers: false, fixed: false };

    /// Each with the name by which configs know it.
    pub fn named(&mut self) -> [(&'static str, &mut bool); 4] {
        let Self { weights, norms, cosines, layers, fixed: _ } = self;
        [("weights", weights), ("norms", norms), ("cosines", cosines), ("layers", layers)]
    }

    /// The names of what is asked for.
    pub fn names(mut self) -> Vec<&'static str> {
        self.named().into_iter().filter(|(_, is_asked)| **is_asked).map(|(name, _)| name).collect()
    }
}

/// A pattern of param paths, as `over` and `for` have them in a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    pub pattern: String,
    /// Where the run config names it.
    pub span: Option<Span>,
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
    let mut lowering = Lowering::new(library.names.clone(), options.overrides.clone(), directions.to_vec());
    lowering.training.frozen.clone_from(&options.frozen);
    lowering.encodings.clone_from(&options.encodings);
    lowering.decode.clone_from(&options.decode);
    for file in &library.files {
        lowering.findings.note_library_text(file.span.source);
        lowering.scopes.collect_definitions(&mut lowering.findings, file, Home::Library);
    }
    for file in used.iter().chain([spec]) {
        lowering.scopes.collect_definitions(&mut lowering.findings, file, Home::Spec);
        lowering.scopes.note_items(file);
    }
    let Lowering { scopes, findings, .. } = &mut lowering;
    for file in used.iter().chain([spec]) {
        Resolver { scopes, findings }.definitions(file);
    }
    let mut frame = Frame::file();
    for statement in used.iter().flat_map(|file| &file.statements) {
        let _ = lowering.used_item(&mut frame, statement);
    }
    for statement in &spec.statements {
        // One broken item does not hide the findings of the next.
        let _ = lowering.item(&mut frame, statement);
        if lowering.findings.has_enough() {
            break;
        }
    }
    lowering.finish()
}

/// One lowering: its parts, which know nothing of each other. A function takes those that it needs.
pub(crate) struct Lowering {
    /// what is reported
    findings: Findings,
    /// what names stand for
    scopes: Scopes,
    /// nodes, and what belongs to them
    graphs: Graphs,
    /// what a `train` block asks for
    training: Training,
    /// what comes of it, but for the graphs
    module: Module,
    /// how fields are encoded, by name
    encodings: IndexMap<String, Encoding>,
    /// the targets in whose units outputs are told
    decode: IndexMap<String, String>,
}

impl Lowering {
    fn new(library: Vec<Arc<str>>, overrides: IndexMap<String, Setting>, directions: Vec<Direction>) -> Self {
        Self {
            findings: Findings::default(),
            scopes: Scopes::new(library, overrides),
            graphs: Graphs::new(directions),
            training: Training::default(),
            module: Module::default(),
            encodings: IndexMap::new(),
            decode: IndexMap::new(),
        }
    }

    /// For what adds nodes and knows no names.
    fn emit(&mut self) -> Emitter<'_> {
        Emitter { graphs: &mut self.graphs, findings: &mut self.findings }
    }

    /// For what also reads or notes facts about the spec.
    fn emit_for_module(&mut self) -> (Emitter<'_>, &mut Module) {
        (Emitter { graphs: &mut self.graphs, findings: &mut self.findings }, &mut self.module)
    }

    fn finish(mut self) -> Result<(Module, Vec<Diagnostic>), Diagnostics> {
        // Every state without an `update` keeps its value.
        for (name, state) in &self.module.states {
            let next = state.next.unwrap_or(state.node);
            self.graphs.step.add_output(Role::State, name.clone(), next);
        }
        // What fails is reported.
        let _ = elsewhere::resolve_after(&mut self.graphs, &mut self.module, &mut self.findings);
        self.scopes.check_settings(&mut self.findings);
        let warnings = self.findings.finish()?;
        let mut module = self.module;
        module.idle_values.retain(|name, _| !self.scopes.is_used(name));
        module.graph = self.graphs.step;
        module.init = self.graphs.init;
        Ok((module, warnings))
    }
}
