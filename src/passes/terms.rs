//! What each loss has of a total that is made of losses: its weight in the total times its value, so that a record explains the
//! total that it shows.
//!
//! Takes a graph, the totals and the losses. Follows each total back to the losses that are nearest to it, and gives the graph
//! with an output of role [`Role::Term`] for each, `term/TOTAL/LOSS`: the sum over `x` of `∂total/∂x · x`, `x` the loss as written. Where
//! a total is a weighted sum of its losses these add up to it, whatever samples are missing and whoever moves the weights; what is
//! left of any other total is `term/TOTAL/rest`. A direction that is handed in counts by what it reports, as in `weights_of`.
//!
//! A term that is always its loss's batch mean, and a rest that is always 0, say nothing and are left out. That is found by
//! evaluating the total's own formula at random values.

use super::{differentiate, resolve_training};
use crate::autodiff::derivative_provenance;
use crate::ir::{Builder, Dim, DimSizes, Graph, Node, NodeId, Role, TensorType, bind, check_bound};
use crate::ops::{self, Element, Flow, Gradient, Input, InputKind, Op, Tensor, reference};
use indexmap::IndexMap;
use ndarray::{ArrayD, IxDyn};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How the name of a term begins.
const TERM: &str = "term/";

/// The totals of a graph and what they are made of.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// scalars by name
    pub totals: Vec<(Arc<str>, NodeId)>,
    /// as written, per sample or scalar
    pub losses: Vec<(Arc<str>, NodeId)>,
    /// those whose mean leaves samples out
    pub masked: BTreeSet<Arc<str>>,
    /// what counts in the place of a node
    pub reported: BTreeMap<NodeId, NodeId>,
}

/// The total and the loss that a term's name speaks of.
pub fn parts_of_term(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(TERM)?.split_once('/')
}

/// A graph with terms.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub graph: Graph,
    /// what adds up to each total that is made of losses, by the names of terms and of losses that enter it as they are
    pub addends: Addends,
}

/// Names of values by the name of the total that they add up to.
pub type Addends = IndexMap<Arc<str>, Vec<Arc<str>>>;

/// The graph with the terms of all totals as outputs.
pub fn with_terms(graph: &Graph, totals: &Totals) -> Told {
    let mut target = graph.clone();
    let mut addends = Addends::new();
    let holds = holding(graph, totals);
    for (name, root) in &totals.totals {
        let cone = Cone::of(graph, *root, name, totals, &holds);
        if cone.leaves.is_empty() {
            continue;
        }
        let Some(shown) = cone.telling(graph, totals) else { continue };
        let Some(split) = cone.copy(graph, &mut target, totals, &mut |_, id| id) else { continue };
        let (terms, rest) = split.terms(&mut target);
        let own = addends.entry(name.clone()).or_default();
        let rest = shown.rest.then(|| (rest_name(totals).into(), rest));
        for (loss, term) in terms.into_iter().chain(rest) {
            if shown.plain.contains(&loss) {
                own.push(loss);
                continue;
            }
            let term_name: Arc<str> = format!("{TERM}{name}/{loss}").into();
            target.add_output(Role::Term, term_name.clone(), term);
            own.push(term_name);
        }
    }
    Told { graph: target, addends }
}

/// The losses, and what a loss has a way to.
fn holding(graph: &Graph, totals: &Totals) -> Vec<bool> {
    let mut holds = vec![false; graph.len()];
    for (_, node) in &totals.losses {
        holds[node.index()] = true;
    }
    for id in graph.ids().filter(|_| !totals.losses.is_empty()) {
        let holds_one = match totals.reported.get(&id) {
            Some(other) => holds[other.index()],
            None => open(graph, id).into_iter().flatten().any(|operand| holds[operand.index()]),
        };
        holds[id.index()] |= holds_one;
    }
    holds
}

/// `rest`, as long as no loss is named so.
fn rest_name(totals: &Totals) -> String {
    let mut name = "rest".to_owned();
    while totals.losses.iter().any(|(loss, _)| **loss == *name) {
        name.push('_');
    }
    name
}

/// The part of a graph between a total and its losses.
struct Cone {
    root: NodeId,
    /// on the ways back from the total, in id order
    nodes: BTreeSet<NodeId>,
    /// the nearest losses
    leaves: BTreeMap<NodeId, Arc<str>>,
}

/// Which terms are worth an output.
struct Telling {
    /// the losses whose terms are not, since they enter the total as they are
    plain: BTreeSet<Arc<str>>,
    rest: bool,
}

/// A total that was written anew as a function of its losses.
struct Split {
    root: NodeId,
    losses: Vec<(Arc<str>, NodeId)>,
}

impl Cone {
    fn of(graph: &Graph, root: NodeId, name: &str, totals: &Totals, holds: &[bool]) -> Self {
        let own = totals.losses.iter().find(|(loss, _)| **loss == *name).map_or(root, |(_, node)| *node);
        let mut cone = Self { root, nodes: BTreeSet::new(), leaves: BTreeMap::new() };
        let mut stack = vec![root];
        while let Some(id) = stack.pop() {
            if !holds[id.index()] || !cone.nodes.insert(id) {
                continue;
            }
            if let Some(other) = totals.reported.get(&id) {
                stack.push(*other);
            } else if let Some((loss, _)) = totals.losses.iter().find(|(_, node)| *node == id && id != own) {
                cone.leaves.insert(id, loss.clone());
            } else {
                stack.extend(open(graph, id).into_iter().flatten());
            }
        }
        cone
    }

    /// Writes the total anew below its losses; `outside` says what became of a node that does not depend on them. None where no
    /// loss has a way to the total.
    fn copy(
        &self,
        source: &Graph,
        target: &mut Graph,
        totals: &Totals,
        outside: &mut dyn FnMut(&mut Graph, NodeId) -> NodeId,
    ) -> Option<Split> {
        let mut copies: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        let mut losses = Vec::new();
        for id in &self.nodes {
            if let Some(name) = self.leaves.get(id) {
                let value = outside(target, *id);
                let provenance = source.node(*id).provenance.clone();
                // A node of its own, which the total is differentiated by and no further.
                let leaf = Builder::new(target, provenance).emit(ops::StopGradient, &[value]);
                losses.push((name.clone(), leaf));
                copies.insert(*id, leaf);
            } else if let Some(other) = totals.reported.get(id) {
                if let Some(copy) = copies.get(other).copied() {
                    copies.insert(*id, copy);
                }
            } else {
                let copied = |operand: Option<NodeId>| operand.and_then(|operand| copies.get(&operand).copied());
                let inside: Vec<Option<NodeId>> = open(source, *id).into_iter().map(copied).collect();
                if inside.iter().any(Option::is_some) {
                    let operands = source.operands(*id).into_iter().zip(inside);
                    let operands: Vec<NodeId> =
                        operands.map(|(operand, copy)| copy.unwrap_or_else(|| outside(target, operand))).collect();
                    copies.insert(*id, target.push(source.node(*id).clone(), &operands));
                }
            }
        }
        copies.get(&self.root).map(|root| Split { root: *root, losses })
    }

    /// Which terms say more than their losses; none where the total is no function of its losses.
    fn telling(&self, graph: &Graph, totals: &Totals) -> Option<Telling> {
        let mut alone = Alone { source: graph, copies: BTreeMap::new() };
        let mut target = Graph::new();
        let split = self.copy(graph, &mut target, totals, &mut |target, id| alone.outside(target, id))?;
        let (terms, rest) = split.terms(&mut target);
        let names = || split.losses.iter().map(|(name, _)| name.clone());
        for ((name, loss), (_, term)) in split.losses.iter().zip(&terms) {
            let mean = mean_of(&mut target, *loss);
            target.add_output(Role::Loss, name.clone(), mean);
            target.add_output(Role::Term, name.clone(), *term);
        }
        target.add_output(Role::Objective, "total", split.root);
        target.add_output(Role::Term, "rest", rest);
        let Some(points) = evaluated(&target) else { return Some(Telling { plain: BTreeSet::new(), rest: true }) };
        let is_same = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-9 * scale;
        let n_losses = split.losses.len();
        let tells = |at: usize| {
            let differs = |point: &Vec<f64>| {
                let (mean, term) = (point[2 * at], point[2 * at + 1]);
                !is_same(mean, term, mean.abs() + term.abs())
            };
            points.iter().any(differs)
        };
        let plain = names().enumerate().filter(|(at, name)| !totals.masked.contains(name) && !tells(*at));
        let has_rest = |point: &Vec<f64>| {
            let scale: f64 = (0..n_losses).map(|at| point[2 * at + 1].abs()).sum();
            let (total, rest) = (point[2 * n_losses], point[2 * n_losses + 1]);
            !is_same(rest, 0.0, scale + total.abs())
        };
        Some(Telling { plain: plain.map(|(_, name)| name).collect(), rest: points.iter().any(has_rest) })
    }
}

/// The operands of a node that a derivative passes to, by slot. A derivative that is yet to be written out has none: what it is of
/// is a value that the total takes as it is.
fn open(graph: &Graph, id: NodeId) -> Vec<Option<NodeId>> {
    let op = graph.op(id);
    let is_open = |slot: usize| !matches!(op, Op::Gradient(_)) && op.flow(slot) == Flow::Differentiable;
    let operands = graph.operands(id).into_iter().enumerate();
    operands.map(|(slot, operand)| is_open(slot).then_some(operand)).collect()
}

impl Split {
    /// What each loss has of the total, and what none has.
    fn terms(&self, target: &mut Graph) -> (Vec<(Arc<str>, NodeId)>, NodeId) {
        let provenance = derivative_provenance(target, self.root);
        let mut b = Builder::new(target, provenance);
        let mut rest = self.root;
        let mut terms = Vec::with_capacity(self.losses.len());
        for (name, loss) in &self.losses {
            let weight = b.emit(Gradient, &[self.root, *loss]);
            let weighted = b.mul(weight, *loss);
            let axes: Vec<usize> = (0..b.shape(weighted).len()).collect();
            let term = if axes.is_empty() { weighted } else { b.sum(weighted, &axes) };
            rest = b.sub(rest, term);
            terms.push((name.clone(), term));
        }
        (terms, rest)
    }
}

fn mean_of(target: &mut Graph, loss: NodeId) -> NodeId {
    let provenance = target.node(loss).provenance.clone();
    let mut b = Builder::new(target, provenance);
    let axes: Vec<usize> = (0..b.shape(loss).len()).collect();
    if axes.is_empty() { loss } else { b.mean(loss, &axes) }
}

/// A total's formula cut out of its graph: what it takes as given becomes a leaf, what is constant is copied.
struct Alone<'g> {
    source: &'g Graph,
    /// what became of nodes outside of the cone, in the one target that all calls have
    copies: BTreeMap<NodeId, NodeId>,
}

impl Alone<'_> {
    fn outside(&mut self, target: &mut Graph, id: NodeId) -> NodeId {
        if let Some(copy) = self.copies.get(&id) {
            return *copy;
        }
        let slice = self.source.slice_back([id]);
        let ids: Vec<NodeId> = self.source.ids().take(id.index() + 1).filter(|id| slice[id.index()]).collect();
        let is_given = |id: &NodeId| matches!(self.source.op(*id), Op::Input(_) | Op::Random(_) | Op::Gradient(_));
        if ids.iter().any(is_given) {
            let node = self.source.node(id);
            let mut leaf = Node { op: Input { kind: InputKind::Input, ty: node.ty.clone() }.into(), ..node.clone() };
            leaf.provenance.name = format!("{id:?}").into();
            let leaf = target.push(leaf, &[]);
            self.copies.insert(id, leaf);
            return leaf;
        }
        for id in ids {
            if !self.copies.contains_key(&id) {
                let operands: Vec<NodeId> = self.source.operands(id).iter().map(|id| self.copies[id]).collect();
                self.copies.insert(id, target.push(self.source.node(id).clone(), &operands));
            }
        }
        self.copies[&id]
    }
}

/// How many points a formula is evaluated at. A condition that is drawn anew at each is the same at all of them once in 2^15.
const N_POINTS: u64 = 16;
/// The extent of every run-time dim at such a point.
const EXTENT: usize = 3;
/// Formulas with more elements are not evaluated.
const MOST_ELEMENTS: usize = 1 << 18;

/// The outputs of a graph at random values of its leaves; none where it cannot be evaluated.
fn evaluated(graph: &Graph) -> Option<Vec<Vec<f64>>> {
    let program = differentiate(&resolve_training(graph));
    let symbols = |ty: &TensorType| ty.shape.iter().flat_map(Dim::symbols).collect::<Vec<_>>();
    let sizes: DimSizes = program.ids().flat_map(|id| symbols(program.ty(id))).map(|symbol| (symbol, EXTENT)).collect();
    let program = bind(&program, &sizes);
    check_bound(&program).ok()?;
    let mut n_elements = 0_usize;
    for id in program.ids() {
        let len = program.ty(id).known_shape()?.iter().product::<usize>();
        n_elements = n_elements.checked_add(len).filter(|n| *n <= MOST_ELEMENTS)?;
        if matches!(program.op(id), Op::Input(_)) && program.ty(id).dtype == crate::ir::DType::I32 {
            return None;
        }
    }
    let point = |number: u64| {
        let mut draw = Draw(number);
        let values = reference::evaluate::<f64>(&program, |id| draw.tensor(program.ty(id)));
        values.iter().map(|value| value.float().first().copied().unwrap_or(f64::NAN)).collect()
    };
    Some((0..N_POINTS).map(point).collect())
}

/// Numbers of the size that losses and weights have. Steele, Lea, Flood 2014: splitmix64.
struct Draw(u64);

impl Draw {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn tensor(&mut self, ty: &TensorType) -> Tensor<f64> {
        let shape = ty.known_shape().unwrap_or_default();
        let n: usize = shape.iter().product();
        let units: Vec<f64> = (0..n).map(|_| (self.bits() >> 11) as f64 / (1_u64 << 53) as f64).collect();
        let is_float = ty.is_float();
        let floats = units.iter().map(|unit| f64::of(0.25 + 1.75 * unit)).collect();
        let bools = units.iter().map(|unit| *unit < 0.5).collect();
        let shape = IxDyn(&shape);
        match is_float {
            true => Tensor::Float(ArrayD::from_shape_vec(shape, floats).expect("internal: one number an element")),
            false => Tensor::Bool(ArrayD::from_shape_vec(shape, bools).expect("internal: one value an element")),
        }
    }
}
