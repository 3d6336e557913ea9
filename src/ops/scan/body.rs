//! The body of a loop: the graph of one step, shared by the nodes of the loop.
//!
//! Its leaves are ports: carries, then slices of the sequences, then constants. Its outputs are the next carries, then what
//! is stacked. Bodies are equal when they compute the same by the same nodes in the same order, whatever these are called.

use crate::autodiff::gradient_reach;
use crate::diag::{SourceId, Span};
use crate::ir::{Builder, DimSizes, Graph, GraphForm, NodeId, Provenance, TensorType, verify_body};
use crate::ops::{Input, InputKind, Op};
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The graph of one step.
#[derive(Clone)]
pub struct Body(Arc<Inner>);

struct Inner {
    graph: Graph,
    /// the leaf of each port, where the body reads it
    ports: Vec<Option<NodeId>>,
    hash: u64,
    reach: OnceLock<Reach>,
    /// set once no rule of the simplifier fits a node
    is_simple: OnceLock<()>,
}

/// For each output and port whether one depends on the other.
struct Reach {
    /// with the gradient open
    open: Vec<Vec<bool>>,
    /// by any way
    any: Vec<Vec<bool>>,
}

impl Body {
    /// A body of a graph whose leaves are ports.
    ///
    /// # Panics
    /// When another leaf is among them: a bug in the caller.
    pub fn new(graph: Graph) -> Self {
        let mut ports = Vec::new();
        for id in graph.ids() {
            if let Op::Input(input) = graph.op(id) {
                let InputKind::Port(port) = input.kind else {
                    panic!("internal: a {} leaf in the body of a loop", input.kind.as_str())
                };
                ports.resize(ports.len().max(port + 1), None);
                ports[port] = Some(id);
            }
        }
        let mut hasher = DefaultHasher::new();
        for id in graph.ids() {
            (graph.op(id), graph.operands(id)).hash(&mut hasher);
        }
        for output in &graph.outputs {
            output.node.hash(&mut hasher);
        }
        Self(Arc::new(Inner {
            hash: hasher.finish(),
            graph,
            ports,
            reach: OnceLock::new(),
            is_simple: OnceLock::new(),
        }))
    }

    pub fn graph(&self) -> &Graph {
        &self.0.graph
    }

    /// The leaf of a port; `None` when nothing in the body reads it.
    pub fn port(&self, port: usize) -> Option<NodeId> {
        self.0.ports.get(port).copied().flatten()
    }

    /// The ports that are read, with their leaves.
    pub fn ports(&self) -> impl Iterator<Item = (usize, NodeId)> {
        self.0.ports.iter().enumerate().filter_map(|(port, id)| id.map(|id| (port, id)))
    }

    pub fn output(&self, output: usize) -> NodeId {
        self.0.graph.outputs[output].node
    }

    pub fn n_outputs(&self) -> usize {
        self.0.graph.outputs.len()
    }

    /// The ports that an output depends on; with `open`, along differentiable paths and of floats.
    pub(crate) fn reached(&self, output: usize, open: bool) -> impl Iterator<Item = usize> {
        let reach = self.0.reach.get_or_init(|| Reach::of(self));
        let table = if open { &reach.open } else { &reach.any };
        let marks = table.get(output).map_or(&[][..], Vec::as_slice);
        marks.iter().enumerate().filter(|(_, mark)| **mark).map(|(port, _)| port)
    }

    /// Where in the body a `stop` stands.
    pub fn stop(&self) -> Option<NodeId> {
        self.0.graph.ids().find(|id| matches!(self.0.graph.op(*id), Op::StopGradient(_)))
    }

    /// Whether the simplifier has nothing left to do in it.
    pub(crate) fn is_simple(&self) -> bool {
        self.0.is_simple.get().is_some()
    }

    pub(crate) fn set_simple(&self) {
        let _ = self.0.is_simple.set(());
    }

    pub fn bind(&self, sizes: &DimSizes) -> Self {
        Self::new(crate::ir::bind(&self.0.graph, sizes))
    }
}

impl Reach {
    fn of(body: &Body) -> Self {
        let graph = body.graph();
        let marks = |open: bool| -> Vec<Vec<bool>> {
            let of_output = |output: &crate::ir::Output| {
                let seen = if open { gradient_reach(graph, output.node) } else { graph.slice_back([output.node]) };
                let is_reached =
                    |id: &Option<NodeId>| id.is_some_and(|id| seen[id.index()] && (!open || graph.ty(id).is_float()));
                body.0.ports.iter().map(is_reached).collect()
            };
            graph.outputs.iter().map(of_output).collect()
        };
        Self { open: marks(true), any: marks(false) }
    }
}

impl PartialEq for Body {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        let is_equal = |id: NodeId| {
            a.graph.op(id) == b.graph.op(id)
                && a.graph.ty(id) == b.graph.ty(id)
                && a.graph.operands(id) == b.graph.operands(id)
        };
        Arc::ptr_eq(&self.0, &other.0)
            || (a.hash == b.hash
                && a.graph.len() == b.graph.len()
                && a.graph.outputs.iter().map(|o| o.node).eq(b.graph.outputs.iter().map(|o| o.node))
                && a.graph.ids().all(is_equal))
    }
}

impl Eq for Body {}

impl Hash for Body {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash.hash(state);
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} nodes)", self.0.graph.len())
    }
}

impl serde::Serialize for Body {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        GraphForm::of(self.graph()).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Body {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = GraphForm::deserialize(deserializer)?;
        // No port lies beyond the operands that the shape rule asks for, so a table of ports stays small.
        let most = form.nodes.len().max(MOST_OPERANDS);
        let is_far = |op: &Op| matches!(op, Op::Input(Input { kind: InputKind::Port(port), .. }) if *port > most);
        if form.nodes.iter().any(|node| is_far(&node.op)) {
            return Err(serde::de::Error::custom("a port beyond the operands of any loop"));
        }
        let graph = form.graph(Span::new(SourceId::NOWHERE, 0, 0), verify_body).map_err(serde::de::Error::custom)?;
        Ok(Self::new(graph))
    }
}

/// More operands than this a loop of a saved program does not have.
const MOST_OPERANDS: usize = 1 << 16;

/// A body under construction, whose ports have names of their own.
#[derive(Debug)]
pub(crate) struct Draft {
    pub graph: Graph,
    names: BTreeSet<String>,
}

impl Draft {
    pub fn new() -> Self {
        Self { graph: Graph::new(), names: BTreeSet::new() }
    }

    /// A new leaf for a port; the name gets a number where it is taken.
    pub fn port(&mut self, port: usize, ty: &TensorType, provenance: &Provenance) -> NodeId {
        let mut name = provenance.name.to_string();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{}.{count}", provenance.name);
        }
        let provenance = Provenance { name: name.into(), span: provenance.span };
        let input = Input { kind: InputKind::Port(port), ty: ty.clone() };
        Builder::new(&mut self.graph, provenance).emit(input, &[])
    }

    /// Copies the nodes of a body, whose ports become what `map` says; those of ports that it leaves out must not be read.
    /// Gives what each node became.
    pub fn copy(&mut self, body: &Body, map: impl Fn(usize) -> Option<NodeId>, keep: &[bool]) -> Vec<Option<NodeId>> {
        let source = body.graph();
        let mut became: Vec<Option<NodeId>> = vec![None; source.len()];
        for (port, id) in body.ports() {
            became[id.index()] = map(port);
        }
        for id in source.ids().filter(|id| keep[id.index()] && !matches!(source.op(*id), Op::Input(_))) {
            let operands: Vec<NodeId> = source
                .operands(id)
                .into_iter()
                .map(|operand| became[operand.index()].expect("internal: operands are copied first"))
                .collect();
            became[id.index()] = Some(self.graph.push(source.node(id).clone(), &operands));
        }
        became
    }
}
