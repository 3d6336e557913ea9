//! The graphs under construction: the training step, the initial values, and the bodies of the loops that are open.
//!
//! Holds what belongs to their nodes: the leaves that the compiler feeds itself, masks of values that may be missing, the
//! streams of random draws. Knows no names of the spec and reports nothing; [`super::emit::Emitter`] adds nodes and does.

use super::body::OpenBody;
use super::elsewhere::After;
use super::module::Direction;
use super::value::{TensorValue, Value, Which};
use crate::ir::{Builder, Graph, NodeId, Provenance, TensorType, show_shape};
use crate::ops::{Input, InputKind, Op};
use indexmap::IndexMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The graphs of one lowering.
pub(crate) struct Graphs {
    /// the training step
    pub step: Graph,
    /// the initial values
    pub init: Graph,
    /// which graph is being built
    pub which: Which,
    /// bodies of loops that are being built, outermost first
    pub bodies: Vec<OpenBody>,
    leaves: IndexMap<(InputKind, Arc<str>, Which), NodeId>,
    /// for each node that may be missing, the node of its mask
    masks: BTreeMap<NodeId, NodeId>,
    /// random draws made under one name so far
    streams: IndexMap<Arc<str>, u32>,
    /// the values that `it` stands for in turn, whose gradients are taken together
    pub siblings: Vec<NodeId>,
    /// the gradients of a value by siblings that were taken
    pub taken: BTreeMap<(NodeId, NodeId), NodeId>,
    /// the nodes that stand for values at the next params
    pub afters: Vec<After>,
    /// the values that gradients were taken by as bundles, by the names of the bundles' members
    pub places: IndexMap<Arc<str>, NodeId>,
    /// the gradients of single losses that bundles are made of: which of its losses each is of
    pub loss_of_gradient: BTreeMap<NodeId, usize>,
    /// the weighted sums of bundles
    pub combined: Vec<Combined>,
    /// which way each `grad` is to be taken, in order
    pub directions: Vec<Direction>,
}

/// `combine(bundles, weights)`, by the nodes of the bundles' members.
pub(crate) struct Combined {
    pub members: Vec<NodeId>,
    pub bundles: Vec<Vec<NodeId>>,
    pub weights: Vec<NodeId>,
}

impl Graphs {
    pub(super) fn new(directions: Vec<Direction>) -> Self {
        Self {
            step: Graph::new(),
            init: Graph::new(),
            which: Which::Step,
            bodies: Vec::new(),
            leaves: IndexMap::new(),
            masks: BTreeMap::new(),
            streams: IndexMap::new(),
            siblings: Vec::new(),
            taken: BTreeMap::new(),
            afters: Vec::new(),
            places: IndexMap::new(),
            loss_of_gradient: BTreeMap::new(),
            combined: Vec::new(),
            directions,
        }
    }

    pub(crate) fn current(&mut self) -> &mut Graph {
        match self.which {
            Which::Step => &mut self.step,
            Which::Init => &mut self.init,
            Which::Body(depth) => &mut self.bodies[depth].draft.graph,
        }
    }

    pub(crate) fn of(&self, which: Which) -> &Graph {
        match which {
            Which::Step => &self.step,
            Which::Init => &self.init,
            Which::Body(depth) => &self.bodies[depth].draft.graph,
        }
    }

    pub(crate) fn ty(&self, tensor: TensorValue) -> &TensorType {
        self.of(tensor.which).ty(tensor.node)
    }

    /// The nodes of all graphs.
    pub(super) fn n_nodes(&self) -> usize {
        let in_bodies: usize = self.bodies.iter().map(|body| body.draft.graph.len()).sum();
        self.step.len() + self.init.len() + in_bodies
    }

    /// The graph around all bodies.
    pub(super) fn outermost(&self) -> Which {
        self.bodies.first().map_or(self.which, |body| if self.which == Which::Init { Which::Init } else { body.outer })
    }

    /// The clock, the seed and other leaves that the compiler itself feeds, one node each.
    pub(super) fn leaf(&mut self, kind: InputKind, name: &str, ty: &TensorType, provenance: Provenance) -> TensorValue {
        let which = self.outermost();
        let key = (kind, Arc::<str>::from(name), which);
        if let Some(node) = self.leaves.get(&key) {
            return TensorValue { node: *node, which };
        }
        let input = Input { kind, ty: ty.clone() };
        let graph = if which == Which::Init { &mut self.init } else { &mut self.step };
        let node = Builder::new(graph, provenance).emit(input, &[]);
        self.leaves.insert(key, node);
        TensorValue { node, which }
    }

    /// The mask of a value that may be missing.
    pub(super) fn mask(&self, tensor: TensorValue) -> Option<NodeId> {
        match tensor.which {
            Which::Step => self.masks.get(&tensor.node).copied(),
            Which::Init => None,
            Which::Body(depth) => self.bodies[depth].masks.get(&tensor.node).copied(),
        }
    }

    /// Notes that a value may be missing; its mask is a node of the same graph.
    pub(super) fn set_mask(&mut self, tensor: TensorValue, mask: NodeId) {
        match tensor.which {
            Which::Step => self.masks.insert(tensor.node, mask),
            Which::Init => None,
            Which::Body(depth) => self.bodies[depth].masks.insert(tensor.node, mask),
        };
    }

    /// A stream number that depends on the path and on how many draws it made, not on the rest of the spec: a change
    /// elsewhere leaves a param's initial values as they are.
    pub(super) fn stream(&mut self, path: &Arc<str>) -> u32 {
        let count = self.streams.entry(path.clone()).or_insert(0);
        *count += 1;
        // FNV-1a, 32 bits.
        let bytes = path.bytes().chain(count.to_le_bytes());
        bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    /// The kind and name of an `input` or `target`, where a value is one.
    pub(super) fn data_name(&self, tensor: TensorValue) -> Option<(InputKind, &Arc<str>)> {
        let graph = self.of(tensor.which);
        match graph.op(tensor.node) {
            Op::Input(Input { kind: kind @ (InputKind::Input | InputKind::Target), .. }) => {
                Some((*kind, &graph.node(tensor.node).provenance.name))
            }
            _ => None,
        }
    }

    /// A value in a few words, with its type where it is a tensor.
    pub(super) fn describe(&self, value: &Value) -> String {
        match value {
            Value::Tensor(tensor) => self.ty(*tensor).to_string(),
            Value::Number { value, .. } => format!("the number {value}"),
            Value::Dim(dim) => format!("the run-time dim `{dim}`"),
            Value::Bool(value) => format!("`{value}`"),
            Value::Text(text) => format!("the text {text:?}"),
            Value::Definition(definition) => {
                format!("the {} `{}`", definition.definition.kind.keyword(), definition.definition.name.name)
            }
            Value::Builtin(builtin) => format!("the function `{}`", builtin.name),
            Value::Group(group) => format!("the {} values of a pattern", group.members.len()),
            Value::None | Value::List(_) | Value::Instance(_) | Value::Partial(_) | Value::Poison => {
                value.kind().to_string()
            }
        }
    }

    /// A shape for messages.
    pub(super) fn shape_text(&self, tensor: TensorValue) -> String {
        show_shape(&self.ty(tensor).shape)
    }
}
