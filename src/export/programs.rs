//! All programs of a spec with what they read and give: the saved form of a compiled spec, `compile --emit json`.
//!
//! Takes a [`Compiled`] spec; gives [`Programs`], plain data that serde writes as JSON, and reads it back. Nothing that is read
//! is trusted: each program goes through the builder and the verifier as [`Document`](super::program::Document) does, and is
//! held against the interface that the file states. `docs/program-format.md` describes the form.

use super::interface::{AcceptForm, FieldForm, LossForm, ParamForm, ProductForm, StateForm};
use super::program::broken;
use crate::analyse::ranges::demands;
use crate::diag::{Code, Diagnostic, SourceId, Span};
use crate::ir::{Dim, Graph, GraphForm, Role, TensorType, verify};
use crate::lower::{DataInfo, Owner};
use crate::ops::{InputKind, Op, Scalar};
use crate::pipeline::Compiled;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The version of the form. A reader refuses any other. (Version 1 is that of a single program.)
pub const VERSION: u32 = 2;

/// A compiled spec as plain data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programs {
    pub version: u32,
    /// the version of anabranch that wrote it
    pub anabranch: String,
    /// of the spec and the files that it uses
    pub spec_hash: String,
    /// the run-time dims that data bring
    pub sizes: Vec<String>,
    /// the spec's constants, overrides in
    pub constants: IndexMap<String, Scalar>,
    pub inputs: Vec<FieldForm>,
    pub targets: Vec<FieldForm>,
    pub params: Vec<ParamForm>,
    pub states: Vec<StateForm>,
    pub losses: Vec<LossForm>,
    pub programs: ProgramForms,
    /// what the sums of each batch lack until these are added
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train_products: Vec<ProductForm>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluate_products: Vec<ProductForm>,
}

/// The programs that run, simplified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramForms {
    /// (seed) → first params and states
    pub init: GraphForm,
    /// (params, states, inputs) → outputs
    pub predict: GraphForm,
    /// (params, states, inputs, targets) → losses, metrics, sums
    pub evaluate: GraphForm,
    /// (sums over all batches, params, states) → metrics
    pub evaluate_metrics: GraphForm,
    /// (params, states, inputs, targets, clock, seed) → next params and states, losses, metrics, sums
    pub train: GraphForm,
    /// (sums over the batches of an epoch, params, states, clock) → metrics
    pub train_metrics: GraphForm,
    /// (params, states, inputs, targets, clock, seed) → the gradient of each trained param
    pub gradients: GraphForm,
}

/// The programs as graphs, in the order of [`ProgramForms`].
#[derive(Clone, Debug)]
pub struct Graphs {
    pub init: Graph,
    pub predict: Graph,
    pub evaluate: Graph,
    pub evaluate_metrics: Graph,
    pub train: Graph,
    pub train_metrics: Graph,
    pub gradients: Graph,
}

impl Programs {
    pub fn of(compiled: &Compiled, spec_hash: &str) -> Self {
        let (module, simplified) = (&compiled.module, &compiled.simplified);
        let form = |graph: &Graph| GraphForm::of(graph);
        let name = |name: &Arc<str>| name.to_string();
        let trained: BTreeSet<&Arc<str>> = module.objectives.iter().flat_map(|objective| &objective.trained).collect();
        let weights = |program: &Graph| -> BTreeSet<Arc<str>> {
            let weights = program.outputs.iter().filter(|output| output.role == Role::Weight);
            weights.map(|output| output.name.clone()).collect()
        };
        let weighted = weights(&simplified.evaluate);
        let losses = module.losses.keys().map(|loss| LossForm { name: name(loss), weighted: weighted.contains(loss) });
        let types = module.inputs.values().chain(module.targets.values()).map(|info| &info.ty);
        Self {
            version: VERSION,
            anabranch: env!("CARGO_PKG_VERSION").to_string(),
            spec_hash: spec_hash.to_string(),
            sizes: symbols(types).into_iter().map(|symbol| symbol.to_string()).collect(),
            constants: module.constants.iter().map(|(constant, value)| (name(constant), Scalar(*value))).collect(),
            inputs: fields(&module.inputs, &compiled.predict),
            targets: fields(&module.targets, &module.graph),
            params: (module.params.iter())
                .map(|(param, info)| ParamForm {
                    name: name(param),
                    ty: info.ty.clone(),
                    trained: trained.contains(param) && !module.frozen.contains(param),
                    of_combiner: info.owner == Owner::Combiner,
                })
                .collect(),
            states: module
                .states
                .iter()
                .map(|(state, info)| StateForm { name: name(state), ty: info.ty.clone() })
                .collect(),
            losses: losses.collect(),
            programs: ProgramForms {
                init: form(&simplified.init),
                predict: form(&simplified.predict),
                evaluate: form(&simplified.evaluate),
                evaluate_metrics: form(&simplified.evaluate_metrics),
                train: form(&simplified.train),
                train_metrics: form(&simplified.train_metrics),
                gradients: form(&simplified.gradients),
            },
            train_products: simplified.train_products.iter().map(ProductForm::from).collect(),
            evaluate_products: simplified.evaluate_products.iter().map(ProductForm::from).collect(),
        }
    }

    /// The form as JSON. Writing to a string fails on no value of these types.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// E0608 when the text is no such form or of another version.
    pub fn read(text: &str) -> Result<Self, Diagnostic> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let not_saved = |error: serde_json::Error| {
            Diagnostic::error(Code::E0608, "the text is not that of saved programs")
                .with_note(format!("found: {error}"))
        };
        // The version first: another one may have other fields.
        let Versioned { version } = serde_json::from_str(text).map_err(not_saved)?;
        if version != VERSION {
            return Err(broken(format!("version {version}; this is a reader of version {VERSION}")));
        }
        serde_json::from_str(text).map_err(not_saved)
    }

    /// The graphs, each held against the interface.
    ///
    /// # Errors
    /// E0608 when one is no graph, or reads or gives what the interface does not state.
    pub fn graphs(&self) -> Result<Graphs, Diagnostic> {
        self.check_interface()?;
        let span = Span::new(SourceId::NOWHERE, 0, 0);
        let graph = |name: &str, form: &GraphForm, kinds: &[&str], roles: &[Role]| {
            let graph = form.graph(span, verify).map_err(|reason| broken(format!("`{name}`: {reason}")))?;
            self.check(&graph, kinds, roles).map_err(|reason| broken(format!("`{name}`: {reason}")))?;
            Ok(graph)
        };
        const DATA: [&str; 6] = ["input", "target", "param", "state", "clock", "seed"];
        const REPORTED: [Role; 6] = [Role::Loss, Role::Metric, Role::Weight, Role::Sum, Role::Term, Role::Observed];
        let carried = [Role::Param, Role::State];
        let forms = &self.programs;
        let graphs = Graphs {
            init: graph("init", &forms.init, &["seed"], &carried)?,
            predict: graph("predict", &forms.predict, &["input", "param", "state", "clock", "seed"], &[Role::Output])?,
            evaluate: graph("evaluate", &forms.evaluate, &DATA, &REPORTED)?,
            evaluate_metrics: graph("evaluate_metrics", &forms.evaluate_metrics, &SUMS, &[Role::Metric])?,
            train: graph("train", &forms.train, &DATA, &[&carried[..], &REPORTED, &[Role::Objective]].concat())?,
            train_metrics: graph("train_metrics", &forms.train_metrics, &SUMS, &[Role::Metric])?,
            gradients: graph("gradients", &forms.gradients, &DATA, &[Role::Gradient])?,
        };
        self.check_carried("init", &graphs.init)?;
        self.check_carried("train", &graphs.train)?;
        for (name, program) in [("evaluate", &graphs.evaluate), ("train", &graphs.train)] {
            self.check_losses(name, program)?;
        }
        check_sums("evaluate", &graphs.evaluate, &graphs.evaluate_metrics, &self.evaluate_products)?;
        check_sums("train", &graphs.train, &graphs.train_metrics, &self.train_products)?;
        Ok(graphs)
    }

    /// Names are distinct, and `sizes` those of the fields.
    fn check_interface(&self) -> Result<(), Diagnostic> {
        let fields = self.inputs.iter().chain(&self.targets);
        for (what, names) in [
            ("field", fields.clone().map(|field| &field.name).collect::<Vec<_>>()),
            ("param", self.params.iter().map(|param| &param.name).collect()),
            ("state", self.states.iter().map(|state| &state.name).collect()),
            ("loss", self.losses.iter().map(|loss| &loss.name).collect()),
        ] {
            let mut seen = BTreeSet::new();
            if let Some(name) = names.into_iter().find(|name| !seen.insert(name.as_str())) {
                return Err(broken(format!("the {what} `{name}` stands there twice")));
            }
        }
        let brought = symbols(fields.map(|field| &field.ty));
        if !brought.iter().map(|symbol| &**symbol).eq(self.sizes.iter().map(String::as_str)) {
            return Err(broken(format!("the sizes are {:?}, those of the fields {brought:?}", self.sizes)));
        }
        Ok(())
    }

    /// What a program reads and gives is of these kinds, and what the interface states.
    fn check(&self, graph: &Graph, kinds: &[&str], roles: &[Role]) -> Result<(), String> {
        for id in graph.ids() {
            let name = &*graph.node(id).provenance.name;
            match graph.op(id) {
                Op::Gradient(_) | Op::ByMode(_) => {
                    return Err(format!("`{name}` is a {}, which is not written out", graph.op(id).name()));
                }
                Op::Input(leaf) if !kinds.contains(&leaf.kind.as_str()) => {
                    return Err(format!("it reads the {} `{name}`", leaf.kind.as_str()));
                }
                Op::Input(leaf) => {
                    // The sums of the programs of metrics are inputs of theirs, not of the spec.
                    let stated = if kinds == SUMS && leaf.kind == InputKind::Input {
                        Some(&leaf.ty)
                    } else {
                        self.stated(leaf.kind, name)
                    };
                    match stated {
                        None => {
                            return Err(format!("it reads the {} `{name}`, which is not listed", leaf.kind.as_str()));
                        }
                        Some(ty) if *ty != leaf.ty => {
                            return Err(format!("it reads `{name}` as {}, which is listed as {ty}", leaf.ty));
                        }
                        Some(_) => {}
                    }
                }
                _ => {}
            }
        }
        match graph.outputs.iter().find(|output| !roles.contains(&output.role)) {
            Some(output) => Err(format!("it gives the {} `{}`", output.role.as_str(), output.name)),
            None => Ok(()),
        }
    }

    /// The type that the interface states for a leaf.
    fn stated(&self, kind: InputKind, name: &str) -> Option<&TensorType> {
        static CLOCK: TensorType = TensorType { dtype: crate::ir::DType::I32, shape: Vec::new() };
        let field = |fields: &'_ [FieldForm]| fields.iter().position(|field| field.name == name);
        match kind {
            InputKind::Input => field(&self.inputs).map(|at| &self.inputs[at].ty),
            InputKind::Target => field(&self.targets).map(|at| &self.targets[at].ty),
            InputKind::Param => self.params.iter().find(|param| param.name == name).map(|param| &param.ty),
            InputKind::State => self.states.iter().find(|state| state.name == name).map(|state| &state.ty),
            InputKind::Port(_) => None,
            InputKind::Step
            | InputKind::Epoch
            | InputKind::EpochEnd
            | InputKind::Epochs
            | InputKind::StepsPerEpoch
            | InputKind::TotalSteps
            | InputKind::Seed => Some(&CLOCK),
        }
    }

    /// A program gives every loss, and a weight of its name where samples may be missing.
    fn check_losses(&self, program: &str, graph: &Graph) -> Result<(), Diagnostic> {
        for LossForm { name, weighted } in &self.losses {
            if graph.output(Role::Loss, name).is_none() || graph.output(Role::Weight, name).is_some() != *weighted {
                let weight = if *weighted { "with" } else { "without" };
                return Err(broken(format!("`{program}` does not give the loss `{name}` {weight} a weight")));
            }
        }
        Ok(())
    }

    /// A program gives params and states that are listed, each once and in its type, and `init` all of them. What `train` does not
    /// give stays as it is.
    fn check_carried(&self, program: &str, graph: &Graph) -> Result<(), Diagnostic> {
        let params = self.params.iter().map(|param| (Role::Param, &param.name, &param.ty));
        let carried = params.chain(self.states.iter().map(|state| (Role::State, &state.name, &state.ty)));
        let mut n_given = 0;
        for (role, name, ty) in carried {
            let given: Vec<&TensorType> = (graph.outputs.iter())
                .filter(|output| output.role == role && *output.name == **name)
                .map(|output| graph.ty(output.node))
                .collect();
            n_given += given.len();
            if given != [ty] && !(given.is_empty() && program != "init") {
                let role = role.as_str();
                return Err(broken(format!("`{program}` gives the {role} `{name}`: {ty} as {given:?}")));
            }
        }
        let n_carried = graph.outputs.iter().filter(|output| matches!(output.role, Role::Param | Role::State)).count();
        if n_carried != n_given {
            return Err(broken(format!("`{program}` gives a param or state that is not listed")));
        }
        Ok(())
    }
}

/// What programs of metrics read.
const SUMS: [&str; 5] = ["input", "param", "state", "clock", "seed"];

/// A program of metrics reads sums that the other one gives, and products speak of such sums.
fn check_sums(name: &str, program: &Graph, finals: &Graph, products: &[ProductForm]) -> Result<(), Diagnostic> {
    for id in finals.ids() {
        let sum = &finals.node(id).provenance.name;
        if let Op::Input(leaf) = finals.op(id)
            && leaf.kind == InputKind::Input
            && program.output(Role::Sum, sum).is_none_or(|given| *program.ty(given) != leaf.ty)
        {
            return Err(broken(format!("`{name}` does not give the sum `{sum}`: {}", leaf.ty)));
        }
    }
    let named = products.iter().flat_map(|product| [&product.sum, &product.left, &product.right, &product.count]);
    match named.into_iter().find(|sum| program.output(Role::Sum, sum).is_none()) {
        Some(sum) => Err(broken(format!("`{name}` does not give the sum `{sum}`"))),
        None => Ok(()),
    }
}

/// The run-time names in types, in order of their first mention.
fn symbols<'t>(types: impl Iterator<Item = &'t TensorType>) -> Vec<Arc<str>> {
    let mut found: Vec<Arc<str>> = Vec::new();
    for symbol in types.flat_map(|ty| ty.shape.iter().flat_map(Dim::symbols)) {
        if !found.contains(&symbol) {
            found.push(symbol);
        }
    }
    found
}

/// Inputs or targets, with the whole numbers that a graph takes of them.
fn fields(infos: &IndexMap<Arc<str>, DataInfo>, graph: &Graph) -> Vec<FieldForm> {
    let demands = demands(graph, &|name| infos.get(name).is_some_and(|info| info.optional));
    let form = |(name, info): (&Arc<str>, &DataInfo)| FieldForm {
        name: name.to_string(),
        ty: info.ty.clone(),
        optional: info.optional,
        columns: Vec::new(),
        accepts: demands.iter().filter(|demand| demand.field == *name).map(AcceptForm::from).collect(),
    };
    infos.iter().map(form).collect()
}
