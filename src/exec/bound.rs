//! A program whose run-time dims have got sizes, and what goes in and out of it.

use super::planned;
use super::store::{Carried, StoreKind};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::ir::{DType, DimSizes, Graph, NodeId, Output, Role, bind, check_bound};
use crate::ops::{Input, InputKind, Op, OpError};
use crate::passes::simplify;
use crate::plan::{Plan, check, plan, print};
use std::sync::{Arc, OnceLock};

/// Something that is fed before a run: an input or target that the program reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    pub kind: InputKind,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// A result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetch {
    pub role: Role,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// A program with its sizes put in: what an engine is prepared for.
#[derive(Clone, Debug)]
pub struct Bound {
    graph: Graph,
    feeds: Vec<Feed>,
    fetches: Vec<Fetch>,
    carried: Vec<Carried>,
    /// made when it is first asked for: the reference needs none
    plan: OnceLock<Plan>,
}

impl Bound {
    /// Puts sizes into a program, and simplifies what they settle.
    ///
    /// # Errors
    /// E0603 when an extent is no number under the sizes, E0701 when a tensor would be too large, E0303 when an operation does
    /// not take these sizes.
    pub fn new(program: &Graph, sizes: &DimSizes) -> Result<Self, Diagnostics> {
        check_extents(program, sizes)?;
        let bound = bind(program, sizes);
        check_bound(&bound).map_err(|(id, error)| refused(&bound, id, &error))?;
        Ok(Self::of(simplify(&bound)))
    }

    fn of(graph: Graph) -> Self {
        let (feeds, fetches, carried) = (feeds(&graph), fetches(&graph), carried(&graph));
        Self { graph, feeds, fetches, carried, plan: OnceLock::new() }
    }

    /// A graph that is bound already, with a plan of it; one that the plan's checker refuses is never run.
    ///
    /// # Errors
    /// What the checker finds.
    #[doc(hidden)]
    pub fn with_plan(graph: &Graph, plan: Plan) -> Result<Self, String> {
        check(&plan, graph)?;
        Ok(Self { plan: OnceLock::from(plan), ..Self::of(graph.clone()) })
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// What to feed, in order.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// The results, in order.
    pub fn fetches(&self) -> &[Fetch] {
        &self.fetches
    }

    /// The params and states that the program reads or gives new values.
    pub fn carried(&self) -> &[Carried] {
        &self.carried
    }

    /// The plan that it is run by, made at the first call.
    ///
    /// # Panics
    /// When the plan's checker finds a mistake in the plan: a bug in the planner.
    pub fn plan(&self) -> &Plan {
        self.plan.get_or_init(|| {
            let plan = plan(&self.graph);
            if let Err(mistake) = check(&plan, &self.graph) {
                panic!("internal: the plan is wrong: {mistake}");
            }
            plan
        })
    }

    /// The plan as text.
    pub fn plan_text(&self, title: &str) -> String {
        print(self.plan(), &self.graph, title, planned::runs_by_definition)
    }
}

/// Beyond this many elements a tensor is a mistake, and its buffer would end the process instead of being refused.
const MAX_ELEMENTS: usize = 1 << 31;

/// Every extent must be a number under the sizes, and every tensor one that can be held.
fn check_extents(graph: &Graph, sizes: &DimSizes) -> Result<(), Diagnostics> {
    for id in graph.ids() {
        let node = graph.node(id);
        let size = if let Op::Size(size) = &node.op { Some(&size.dim) } else { None };
        if let Some(dim) = node.ty.shape.iter().chain(size).find(|dim| dim.evaluate(sizes).is_none()) {
            let finding =
                Diagnostic::error(Code::E0603, format!("`{}` cannot have the extent {dim}", node.provenance.name))
                    .at(node.provenance.span, format!("this is {}", node.ty))
                    .with_note(format!("found: {}", show_sizes(sizes)))
                    .with_note("expected: sizes under which every extent is 0 or more");
            return Err(finding.into());
        }
        let extents = node.ty.shape.iter().filter_map(|dim| dim.evaluate(sizes));
        let n_elements = extents.fold(1usize, usize::saturating_mul);
        if n_elements > MAX_ELEMENTS {
            let finding = Diagnostic::error(Code::E0701, format!("`{}` is too large a tensor", node.provenance.name))
                .at(node.provenance.span, format!("this is {}", node.ty.bind(sizes)))
                .with_note(format!("expected: at most {MAX_ELEMENTS} elements"));
            return Err(finding.into());
        }
    }
    Ok(())
}

/// `T = 3, batch = 7`
fn show_sizes(sizes: &DimSizes) -> String {
    let sizes: Vec<String> = sizes.iter().map(|(name, extent)| format!("{name} = {extent}")).collect();
    sizes.join(", ")
}

/// The sizes of the data do not suit an operation.
fn refused(graph: &Graph, id: NodeId, error: &OpError) -> Diagnostics {
    let provenance = &graph.node(id).provenance;
    Diagnostic::error(Code::E0303, format!("the sizes of the data do not fit the spec: {error}"))
        .at(provenance.span, format!("while computing `{}`", provenance.name))
        .into()
}

fn feeds(graph: &Graph) -> Vec<Feed> {
    let leaves = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target) => Some((id, input.kind)),
        _ => None,
    });
    leaves
        .map(|(id, kind)| Feed {
            kind,
            name: graph.node(id).provenance.name.clone(),
            dtype: graph.ty(id).dtype,
            shape: graph.ty(id).known_shape().unwrap_or_default(),
        })
        .collect()
}

fn fetches(graph: &Graph) -> Vec<Fetch> {
    let fetch = |output: &Output| {
        let ty = graph.ty(output.node);
        let shape = ty.known_shape().unwrap_or_default();
        Fetch { role: output.role, name: output.name.clone(), dtype: ty.dtype, shape }
    };
    graph.outputs.iter().map(fetch).collect()
}

/// What a graph reads from the store, and what it writes there.
fn carried(graph: &Graph) -> Vec<Carried> {
    let mut carried: Vec<Carried> = Vec::new();
    let leaves = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(Input { kind: InputKind::Param, .. }) => {
            Some((StoreKind::Param, &graph.node(id).provenance.name, id))
        }
        Op::Input(Input { kind: InputKind::State, .. }) => {
            Some((StoreKind::State, &graph.node(id).provenance.name, id))
        }
        _ => None,
    });
    let outputs = graph.outputs.iter().filter_map(|output| match output.role {
        Role::Param => Some((StoreKind::Param, &output.name, output.node)),
        Role::State => Some((StoreKind::State, &output.name, output.node)),
        _ => None,
    });
    for (kind, name, id) in leaves.chain(outputs) {
        let what = Carried {
            kind,
            name: name.clone(),
            dtype: graph.ty(id).dtype,
            shape: graph.ty(id).known_shape().unwrap_or_default(),
        };
        if !carried.contains(&what) {
            carried.push(what);
        }
    }
    carried
}
