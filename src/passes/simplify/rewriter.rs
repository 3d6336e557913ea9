//! Builds the simplified graph: hash-consing, and the rules offered every node before it is added.
//!
//! Takes nodes in order, operands first; gives each the id that stands for it. Establishes: no two nodes (leaves aside)
//! have the same op and operands, and the operands of commutative ops stand in one order, constants first.

use super::{Applied, Rule};
use crate::ir::{Dim, Graph, Node, NodeId, Provenance, Shape, TensorType};
use crate::ops::scan::Body;
use crate::ops::{self, Locality, Op, Scalar, Types};
use rustc_hash::FxHashMap;
use std::cell::Cell;
use std::collections::HashMap;

/// Matches an op by the name of its variant.
macro_rules! is {
    ($($op:ident)|+) => {
        |op: &crate::ops::Op| matches!(op, $(crate::ops::Op::$op(_))|+)
    };
}
pub(super) use is;

/// A node that is about to be added.
#[derive(Clone, Copy, Debug)]
pub struct NodeView<'v> {
    pub op: &'v Op,
    pub operands: &'v [NodeId],
    pub ty: &'v TensorType,
}

impl NodeView<'_> {
    /// The operands, when the op is the wanted one.
    pub(super) fn take<const N: usize>(&self, is: fn(&Op) -> bool) -> Option<[NodeId; N]> {
        if is(self.op) { self.operands.try_into().ok() } else { None }
    }
}

/// The graph under construction.
#[derive(Debug)]
pub struct Rewriter {
    graph: Graph,
    operands: Vec<Box<[NodeId]>>,
    provenance: Vec<Provenance>,
    /// What stands for an op on operands. Only looked up, never walked.
    known: FxHashMap<(Op, Box<[NodeId]>), NodeId>,
    /// What bodies of loops became. Only looked up, never walked.
    pub(super) simple_bodies: HashMap<Body, Body>,
    rules: &'static [&'static [Rule]],
    /// Nodes that no rule looks into.
    opaque: Vec<bool>,
    /// How many readers each node has in the graph that is read.
    readers: Vec<usize>,
    /// Whether readers are worth asking: they are once equal nodes are one.
    counted: bool,
    current: Provenance,
    applied: Vec<Applied>,
    /// how often a node's op was looked at, which is what rules do
    looks: Cell<u64>,
}

impl Rewriter {
    pub(super) fn new(rules: &'static [&'static [Rule]], counted: bool, provenance: Provenance) -> Self {
        Self {
            graph: Graph::new(),
            operands: Vec::new(),
            provenance: Vec::new(),
            known: FxHashMap::default(),
            simple_bodies: HashMap::new(),
            rules,
            opaque: Vec::new(),
            readers: Vec::new(),
            counted,
            current: provenance,
            applied: Vec::new(),
            looks: Cell::new(0),
        }
    }

    /// How often a node's op was looked at.
    pub(super) fn looks(&self) -> u64 {
        self.looks.get()
    }

    /// Goes on with a graph that exists: its nodes keep their ids, and no rule looks into those of `opaque`.
    pub(super) fn over(
        graph: Graph,
        rules: &'static [&'static [Rule]],
        opaque: &[NodeId],
        provenance: Provenance,
    ) -> Self {
        let is_number = |id: &NodeId| matches!(graph.op(*id), Op::Constant(_));
        let in_order = |id: NodeId| {
            let mut operands = graph.operands(id);
            if graph.op(id).algebra().is_commutative {
                operands.sort_by_key(|id| (!is_number(id), *id));
            }
            operands.into_boxed_slice()
        };
        let operands: Vec<Box<[NodeId]>> = graph.ids().map(in_order).collect();
        let known = graph.ids().filter(|id| !matches!(graph.op(*id), Op::Input(_)));
        let known = known.map(|id| ((graph.op(id).clone(), operands[id.index()].clone()), id)).collect();
        let mut is_opaque = vec![false; graph.len()];
        opaque.iter().for_each(|id| is_opaque[id.index()] = true);
        Self {
            provenance: graph.ids().map(|id| graph.node(id).provenance.clone()).collect(),
            readers: vec![0; graph.len()],
            opaque: is_opaque,
            graph,
            operands,
            known,
            ..Self::new(rules, false, provenance)
        }
    }

    /// The graph as it stands, needed or not.
    pub(super) fn into_graph(self) -> Graph {
        self.graph
    }

    /// What stands for a node whose operands are now others, or which a rule may fit.
    pub(super) fn revise(&mut self, id: NodeId, operands: &[NodeId]) -> NodeId {
        let node = self.graph.node(id).clone();
        self.current = node.provenance.clone();
        if self.operands(id) != operands {
            return self.emit(node.op, operands);
        }
        self.offer(NodeView { op: &node.op, operands, ty: &node.ty }).unwrap_or(id)
    }

    pub fn op(&self, id: NodeId) -> &Op {
        /// What no rule matches.
        static OPAQUE: Op = Op::Gradient(ops::Gradient);
        self.looks.set(self.looks.get() + 1);
        if self.opaque.get(id.index()) == Some(&true) { &OPAQUE } else { self.graph.op(id) }
    }

    pub fn operands(&self, id: NodeId) -> &[NodeId] {
        &self.operands[id.index()]
    }

    pub fn ty(&self, id: NodeId) -> &TensorType {
        self.graph.ty(id)
    }

    pub fn shape(&self, id: NodeId) -> &[Dim] {
        &self.graph.ty(id).shape
    }

    /// The operands of a node, when its op is the wanted one.
    pub(super) fn take<const N: usize>(&self, id: NodeId, is: fn(&Op) -> bool) -> Option<[NodeId; N]> {
        if is(self.op(id)) { self.operands(id).try_into().ok() } else { None }
    }

    /// Whether each element of the result is a function of the operands' elements at its position.
    pub(super) fn is_pointwise(&self, view: NodeView<'_>) -> bool {
        let operands: Vec<&TensorType> = view.operands.iter().map(|operand| self.ty(*operand)).collect();
        view.op.locality(Types { operands: &operands, result: view.ty }) == Locality::Pointwise
    }

    /// The value that a constant repeats.
    pub fn number(&self, id: NodeId) -> Option<f64> {
        match self.op(id) {
            Op::Constant(constant) => Some(constant.value.0),
            _ => None,
        }
    }

    pub fn is_number(&self, id: NodeId, value: f64) -> bool {
        self.number(id) == Some(value)
    }

    /// Whether the node is read once, so that work moved out of it is not done twice.
    pub fn is_read_once(&self, id: NodeId) -> bool {
        self.counted && self.readers.get(id.index()) == Some(&1)
    }

    /// A tensor of one value repeated.
    pub fn constant(&mut self, value: f64, ty: &TensorType) -> NodeId {
        self.emit(ops::Constant { value: Scalar(value), ty: ty.clone() }, &[])
    }

    pub fn broadcast(&mut self, x: NodeId, shape: &[Dim], axes: &[usize]) -> NodeId {
        self.emit(ops::Broadcast { shape: shape.to_vec(), axes: axes.to_vec() }, &[x])
    }

    pub fn reshape(&mut self, x: NodeId, shape: Shape) -> NodeId {
        self.emit(ops::Reshape { shape }, &[x])
    }

    pub fn neg(&mut self, x: NodeId) -> NodeId {
        self.emit(ops::Neg, &[x])
    }

    pub fn mul(&mut self, x: NodeId, y: NodeId) -> NodeId {
        self.emit(ops::Mul, &[x, y])
    }

    /// The node for an op on operands: a known one, what a rule makes of it, or a new one.
    ///
    /// # Panics
    /// When the operands do not fit: a bug in a rule.
    pub fn emit(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        let op = op.into();
        let mut operands: Box<[NodeId]> = operands.into();
        if op.algebra().is_commutative {
            operands.sort_by_key(|id| (self.number(*id).is_none(), *id));
        }
        if let Op::Input(input) = &op {
            // Leaves are told apart by their names.
            let ty = input.ty.clone();
            return self.push(op, operands, ty);
        }
        let key = (op, operands);
        if let Some(known) = self.known.get(&key) {
            let known = *known;
            self.prefer_primal_name(known, &key.0);
            return known;
        }
        let types: Vec<&TensorType> = key.1.iter().map(|operand| self.graph.ty(*operand)).collect();
        let ty = match key.0.infer(&types) {
            Ok(ty) => ty,
            Err(error) => panic!("internal: simplify made {}({types:?}): {error}", key.0.name()),
        };
        let view = NodeView { op: &key.0, operands: &key.1, ty: &ty };
        let id = match self.offer(view) {
            Some(id) => id,
            None => self.push(key.0.clone(), key.1.clone(), ty),
        };
        self.known.insert(key, id);
        id
    }

    /// What the first rule that fits makes of a node.
    fn offer(&mut self, view: NodeView<'_>) -> Option<NodeId> {
        for rule in self.rules.iter().copied().flatten() {
            if let Some(id) = (rule.apply)(self, view) {
                debug_assert_eq!(self.ty(id), view.ty, "internal: {} changes the type", rule.name);
                self.applied.push(Applied { rule: rule.name, provenance: self.current.clone() });
                return Some(id);
            }
        }
        None
    }

    fn push(&mut self, op: Op, operands: Box<[NodeId]>, ty: TensorType) -> NodeId {
        let id = self.graph.push(Node { op, ty, provenance: self.current.clone() }, &operands);
        self.operands.push(operands);
        self.provenance.push(self.current.clone());
        self.readers.push(0);
        id
    }

    /// Where a value and a cotangent turn out to be one, the node keeps the value's name.
    fn prefer_primal_name(&mut self, id: NodeId, op: &Op) {
        let is_cotangent = |provenance: &Provenance| provenance.name.starts_with("d.");
        if is_cotangent(&self.provenance[id.index()]) && !is_cotangent(&self.current) && self.graph.op(id) == op {
            self.provenance[id.index()] = self.current.clone();
        }
    }

    /// Rebuilds a node of the graph that is read, whose readers number `readers`.
    pub(super) fn rebuild(&mut self, node: &Node, operands: &[NodeId], readers: usize) -> NodeId {
        self.current = node.provenance.clone();
        let id = self.emit(node.op.clone(), operands);
        self.readers[id.index()] += readers;
        id
    }

    /// The graph without what the outputs do not need, and what was applied.
    pub(super) fn finish(self, outputs: impl Iterator<Item = crate::ir::Output>) -> (Graph, Vec<Applied>) {
        let outputs: Vec<_> = outputs.collect();
        let needed = self.graph.slice_back(outputs.iter().map(|output| output.node));
        let mut graph = Graph::new();
        let mut map: Vec<Option<NodeId>> = vec![None; self.graph.len()];
        let copied = |map: &[Option<NodeId>], id: NodeId| map[id.index()].expect("internal: operands are copied first");
        for id in self.graph.ids().filter(|id| needed[id.index()]) {
            let operands: Vec<NodeId> = self.operands(id).iter().map(|operand| copied(&map, *operand)).collect();
            let node = Node { provenance: self.provenance[id.index()].clone(), ..self.graph.node(id).clone() };
            map[id.index()] = Some(graph.push(node, &operands));
        }
        for output in outputs {
            graph.add_output(output.role, output.name, copied(&map, output.node));
        }
        (graph, self.applied)
    }
}
