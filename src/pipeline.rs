//! The compiler as one column of stages.
//!
//! text → `syntax` → `lower` → `split` → `differentiate` → `simplify`: the names are the folders and the values of
//! `compile --emit`. A [`Compiled`] program is run after three more: `bind` → `plan` → `engine`.

mod directions;
mod running;
mod simple;

pub use directions::Derivative;
pub use running::{bind, engine, plan};
pub use simple::Simple;

use crate::analyse::{self, Policy};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, SourceMap};
use crate::ir::{Graph, NodeId, Output, Role, verify};
use crate::lower::{self, Library, Module, Options};
use crate::passes::{
    Addends, Product, Split, Told, Totals, accumulate, differentiate, parts_of_term, prune, resolve_prediction,
    resolve_training, split, with_terms,
};
use crate::syntax::{Loaded, Reader, ast, load, words};
use directions::Directed;
use std::sync::Arc;

/// A compiled spec: every stage's result, and what later stages need to know.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub tree: ast::File,
    /// The lowered spec, before it is split and differentiated.
    pub module: Module,
    /// The prediction program, as sliced out.
    pub predict: Graph,
    /// The training step, with its derivatives written out.
    pub train: Graph,
    pub simplified: Simplified,
    /// What adds up to each total that is made of losses, by the names of what a run reports.
    pub addends: Addends,
    /// The direction that was chosen for each `grad` of the spec.
    pub derivatives: Vec<Derivative>,
    /// Warnings and notes.
    pub findings: Vec<Diagnostic>,
    /// What becomes of findings that only a run can make.
    pub policy: Policy,
}

/// The programs that run, each simplified when it is first used.
#[derive(Clone, Debug)]
pub struct Simplified {
    /// (seed) → first params and states
    pub init: Simple,
    /// (params, states, inputs) → outputs
    pub predict: Simple,
    /// (params, states, inputs, targets) → losses, metrics, sums
    pub evaluate: Simple,
    /// (sums over all batches, params, states) → those metrics that are functions of sums
    pub evaluate_metrics: Simple,
    /// what is to be added to the sums of each batch
    pub evaluate_products: Vec<Product>,
    /// (params, states, inputs, targets, clock, seed) → next params, next states, losses, metrics, sums
    pub train: Simple,
    /// (sums over the batches of an epoch, params, states, clock) → those metrics that are functions of sums
    pub train_metrics: Simple,
    pub train_products: Vec<Product>,
    /// (params, states, inputs, targets, clock, seed) → the gradient of each trained param, before any clipping
    pub gradients: Simple,
}

impl Simplified {
    /// Simplifies every program now.
    pub fn force(&self) {
        let Self { init, predict, evaluate, evaluate_metrics, train, train_metrics, gradients, .. } = self;
        for program in [init, predict, evaluate, evaluate_metrics, train, train_metrics, gradients] {
            let _: &Graph = program;
        }
    }
}

impl Compiled {
    /// The training step with the outputs of the spec and its `let`s as outputs, each by its name.
    pub fn train_with_values(&self) -> Graph {
        let mut graph = self.module.graph.clone();
        for (name, node) in &self.module.values {
            graph.add_output(Role::Output, name.clone(), *node);
        }
        let at_training = accumulate(&resolve_training(&graph), &self.module.batch_metrics);
        prune(&differentiate(&at_training.graph), |output| !matches!(output.role, Role::Gradient | Role::Term))
    }

    /// A comment line for each `grad` of the spec: which way it is taken, and why.
    pub fn derivative_notes(&self) -> String {
        self.derivatives.iter().map(|derivative| format!("// {derivative}\n")).collect()
    }
}

/// Compiles a spec that stands alone: [`compile_with`] a reader that has no files.
///
/// # Errors
/// All findings, when at least one is an error.
pub fn compile(sources: &mut SourceMap, spec: SourceId, options: &Options) -> Result<Compiled, Diagnostics> {
    let none = |_: &str| Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no other files are at hand"));
    compile_with(sources, spec, options, &none)
}

/// Compiles a spec. `sources` gets the texts added that it uses, which `read` finds by their paths, and those of the
/// standard library.
///
/// # Errors
/// All findings, when at least one is an error.
pub fn compile_with(
    sources: &mut SourceMap,
    spec: SourceId,
    options: &Options,
    read: Reader<'_>,
) -> Result<Compiled, Diagnostics> {
    is_at_hand(sources, spec)?;
    let loaded = load(sources, spec, read)?;
    let library = library_of(sources, &loaded)?;
    let mut compiled = compile_loaded(loaded, &library, options)?;
    compiled.derivatives.iter_mut().for_each(|derivative| derivative.quote(sources));
    Ok(compiled)
}

/// All findings about a spec, without the programs: what [`compile_with`] finds, in a part of its time.
///
/// # Errors
/// All findings, when at least one is an error.
pub fn check_with(
    sources: &mut SourceMap,
    spec: SourceId,
    options: &Options,
    read: Reader<'_>,
) -> Result<Vec<Diagnostic>, Diagnostics> {
    is_at_hand(sources, spec)?;
    let loaded = load(sources, spec, read)?;
    let library = library_of(sources, &loaded)?;
    let lowered = lower::lower(&loaded.spec, &loaded.used, &library, options, &[])?;
    Ok(examine(&loaded, lowered, options)?.findings)
}

/// Compiles trees that were read before. Who compiles many specs parses the `library` once.
///
/// # Errors
/// All findings, when at least one is an error.
pub fn compile_loaded(loaded: Loaded, library: &Library, options: &Options) -> Result<Compiled, Diagnostics> {
    let lower = |wanted: &[lower::Direction]| lower::lower(&loaded.spec, &loaded.used, library, options, wanted);
    let Directed { module, findings, derivatives } = directions::choose(lower)?;
    let Analysed { module, split, findings, policy } = examine(&loaded, (module, findings), options)?;
    let Told { graph: told, addends } = with_terms(&analyse::observed(&module, options.observe), &totals(&module));
    let at_training = accumulate(&resolve_training(&told), &module.batch_metrics);
    let reported = |output: &Output| match output.role {
        Role::Loss | Role::Metric | Role::Weight => true,
        // Of a total that is evaluated.
        Role::Term => {
            parts_of_term(&output.name).is_some_and(|(total, _)| module.graph.output(Role::Loss, total).is_some())
        }
        _ => false,
    };
    let at_prediction = resolve_prediction(&told, reported, &module.stand_ins);
    // A metric of what comes after a step takes the step's gradients.
    let at_prediction = differentiate(&at_prediction);
    let at_prediction = accumulate(&at_prediction, &module.batch_metrics);
    let whole = differentiate(&at_training.graph);
    check(&whole, "differentiate");
    let train = prune(&whole, |output| !matches!(output.role, Role::Output | Role::Gradient | Role::Term));
    let told = prune(&whole, |output| !matches!(output.role, Role::Output | Role::Gradient));
    let simplified = Simplified {
        init: Simple::of(module.init.clone()),
        predict: Simple::of(differentiate(&split.predict)),
        evaluate: Simple::of(at_prediction.graph),
        evaluate_metrics: Simple::of(at_prediction.finals),
        evaluate_products: at_prediction.products,
        train: Simple::of(told),
        train_metrics: Simple::of(at_training.finals),
        train_products: at_training.products,
        gradients: Simple::of(prune(&whole, |output| output.role == Role::Gradient)),
    };
    let (tree, predict) = (loaded.spec, split.predict);
    Ok(Compiled { tree, module, predict, train, simplified, addends, derivatives, findings, policy })
}

/// The losses and objectives of a spec, any of which may be made of other losses.
fn totals(module: &Module) -> Totals {
    let graph = &module.graph;
    let losses = graph.outputs.iter().filter(|output| output.role == Role::Loss);
    let mut totals: Vec<(Arc<str>, NodeId)> = losses.map(|output| (output.name.clone(), output.node)).collect();
    for objective in &module.objectives {
        if !totals.iter().any(|(name, _)| *name == objective.name) {
            totals.push((objective.name.clone(), objective.node));
        }
    }
    let masked = graph.outputs.iter().filter(|output| output.role == Role::Weight);
    Totals {
        totals,
        losses: module.losses.iter().map(|(name, (node, _))| (name.clone(), *node)).collect(),
        masked: masked.map(|output| output.name.clone()).collect(),
        // A direction counts by what it reports.
        reported: module.directions.iter().map(|info| (info.node, graph.operands(info.reported)[0])).collect(),
    }
}

/// A spec that is sound.
struct Analysed {
    module: Module,
    split: Split,
    findings: Vec<Diagnostic>,
    policy: Policy,
}

/// The stages that can find mistakes. Those behind them cannot.
fn examine(loaded: &Loaded, lowered: (Module, Vec<Diagnostic>), options: &Options) -> Result<Analysed, Diagnostics> {
    let Loaded { spec, used } = loaded;
    let (module, mut findings) = lowered;
    check(&module.graph, "lower");
    let split = split(&module.graph, &module.stand_ins);
    findings.extend(analyse::target_leaks(&module, &split));
    findings.extend(analyse::contracts(&module));
    stop_at_errors(&findings)?;
    // An output that was put together from targets often trains nothing either: the leak is what to mend first.
    findings.extend(analyse::idle_training(&module));
    stop_at_errors(&findings)?;
    // Lints look at specs that are otherwise sound: a broken contract says more than the lint that it also sets off.
    let files: Vec<&ast::File> = used.iter().chain([spec]).collect();
    let (policy, misspelt) = Policy::read(&files, &options.deny);
    findings.extend(misspelt);
    findings.extend(analyse::lints(&module, &policy, options.watched.as_ref()));
    stop_at_errors(&findings)?;
    Ok(Analysed { module, split, findings: shown(findings), policy })
}

fn stop_at_errors(findings: &[Diagnostic]) -> Result<(), Diagnostics> {
    if findings.iter().any(Diagnostic::is_error) { Err(Diagnostics(shown(findings.to_vec()))) } else { Ok(()) }
}

/// Findings shown in one run; of more, their number.
const MAX_FINDINGS: usize = 100;

/// The first findings, and how many more there are. An error is never left out for a warning.
fn shown(mut findings: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let n_more = findings.len().saturating_sub(MAX_FINDINGS);
    if n_more > 0 {
        findings.sort_by_key(|finding| finding.severity);
        findings.truncate(MAX_FINDINGS);
        if let Some(last) = findings.pop() {
            findings.push(last.with_note(format!("{n_more} more findings are not shown")));
        }
    }
    findings
}

/// An id of another map has no text in this one.
fn is_at_hand(sources: &SourceMap, spec: SourceId) -> Result<(), Diagnostics> {
    match sources.get(spec) {
        Some(_) => Ok(()),
        None => Err(Diagnostic::error(Code::E0601, "the spec is not among the texts at hand")
            .with_note("found: an id that this `SourceMap` did not give out")
            .with_help("add the text to the map that is passed, and pass the id that `add` gives")
            .into()),
    }
}

/// What a spec and the files that it uses can reach of the standard library.
fn library_of(sources: &mut SourceMap, loaded: &Loaded) -> Result<Library, Diagnostics> {
    let files = loaded.used.iter().chain([&loaded.spec]);
    let texts: Vec<Arc<str>> = files.map(|file| Arc::clone(&sources.file(file.span.source).text)).collect();
    Library::reached(sources, texts.iter().flat_map(|text| words(text)))
}

/// Verifies a pass's result in debug builds and tests.
fn check(graph: &Graph, stage: &str) {
    if cfg!(debug_assertions)
        && let Err(broken) = verify(graph)
    {
        panic!("internal: the graph after {stage} breaks a law: {broken}");
    }
}
