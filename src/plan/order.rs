//! Which nodes run together, and in which order.
//!
//! Every computed node gets a *level*: one more than the highest level among its operands, except that an element-wise
//! node stays on the level of element-wise operands of its own extent. Element-wise nodes of one level and extent then
//! form a group, and every path from one group to another climbs, so groups cannot depend on each other in a circle.
//! Afterwards nodes whose users all stand in one later group of the same extent sink into it: what is cheap to
//! compute is computed where it is used, and not kept.

use super::reading::Reading;
use super::views::Views;
use crate::ir::{DType, Graph, NodeId, Operands};
use crate::ops::{Op, Scan, behind, elementwise};
use std::collections::{BTreeMap, HashMap};

/// How a node is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// nothing is computed: leaves and constants
    Given,
    /// another view of its operand's elements: reshape, stop, and broadcasts read by groups
    View,
    /// inside a fused group
    Elementwise,
    /// a sum over trailing elements of a group's value, taken by the group itself
    Tail,
    /// by its own kernel
    Kernel,
    /// inside the kernel of a later node
    Absorbed,
}

/// The class of an op by itself; broadcasts and sums are settled by what uses them and what they read.
#[allow(unreachable_patterns, reason = "views stand in the table among the ops behind those of elements")]
fn classify(graph: &Graph, id: NodeId) -> Class {
    let op = graph.op(id);
    match op {
        Op::Input(_) | Op::Constant(_) | Op::Size(_) | Op::Iota(_) => Class::Given,
        Op::Reshape(_) | Op::StopGradient(_) | Op::Broadcast(_) => Class::View,
        // Casts read ints as they load them.
        Op::Cast(_) if op.pointwise().is_some() => Class::Elementwise,
        op if op.pointwise().is_some() => {
            // Other arithmetic on ints stays exact in its own kernel.
            let whole = |id: NodeId| graph.ty(id).dtype == DType::I32;
            let exact = whole(id) || graph.operands(id).into_iter().any(whole);
            if exact { Class::Kernel } else { Class::Elementwise }
        }
        elementwise!() | behind!() | Op::Random(_) => Class::Kernel,
    }
}

/// Classes of all needed nodes, and what views look at.
fn classes(graph: &Graph, needed: &[bool], reading: &Reading) -> (Vec<Class>, Views) {
    let class = |id| match reading.fused(id) {
        Some(_) => Class::Kernel,
        None if reading.is_absorbed(id) => Class::Absorbed,
        None => classify(graph, id),
    };
    let mut class: Vec<Class> = graph.ids().map(class).collect();
    let mut whole = vec![false; graph.len()];
    for output in &graph.outputs {
        whole[output.node.index()] = true;
    }
    // A broadcast that something reads as a whole buffer is written out.
    for id in graph.ids().rev().filter(|id| needed[id.index()]) {
        let is_broadcast = matches!(graph.op(id), Op::Broadcast(_));
        for user in reading.users(id) {
            whole[id.index()] |= match class[user.index()] {
                Class::Kernel | Class::Tail => true,
                Class::View if matches!(graph.op(*user), Op::Broadcast(_)) => false,
                Class::View => whole[user.index()],
                Class::Elementwise | Class::Given | Class::Absorbed => false,
            };
        }
        if is_broadcast && whole[id.index()] {
            class[id.index()] = Class::Kernel;
        }
    }
    let views = Views::settle(graph, needed, &mut class);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        if tail_inner(graph, id).is_some_and(|inner| inner <= LONGEST_TAIL)
            && class[views.source(graph.operands(id)[0]).index()] == Class::Elementwise
            && views.is_plain(graph.operands(id)[0])
        {
            class[id.index()] = Class::Tail;
        }
    }
    (class, views)
}

/// Sums over more elements than this have a kernel of their own, which shares the work among threads.
const LONGEST_TAIL: usize = 16 * 1024;

/// The number of trailing elements that a sum adds up, when it sums trailing axes only.
pub(super) fn tail_inner(graph: &Graph, id: NodeId) -> Option<usize> {
    let Op::Sum(sum) = graph.op(id) else { return None };
    let operand = graph.ty(graph.operands(id)[0]);
    let first = *sum.axes.first()?;
    if !operand.is_float() || sum.axes.len() != operand.rank() - first {
        return None;
    }
    let inner: usize = operand.shape[first..].iter().map(|dim| dim.as_known().unwrap_or(0)).product();
    (inner > 0).then_some(inner)
}

/// Levels of all nodes that the outputs need.
#[derive(Debug)]
pub(super) struct Levels {
    pub class: Vec<Class>,
    pub level: Vec<usize>,
    pub needed: Vec<bool>,
    pub reading: Reading,
    pub views: Views,
}

/// The number of elements of a node's value.
pub(super) fn count(graph: &Graph, id: NodeId) -> usize {
    graph.ty(id).shape.iter().map(|dim| dim.as_known().unwrap_or(0)).product()
}

pub(super) fn levels(graph: &Graph) -> Levels {
    let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
    let reading = Reading::of(graph, &needed);
    let (class, views) = classes(graph, &needed, &reading);
    let mut level = vec![0; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let operands = reading.operands(id);
        let highest = |step: &dyn Fn(NodeId) -> usize| {
            operands.iter().map(|operand| level[operand.index()] + step(*operand)).max().unwrap_or(0)
        };
        level[id.index()] = match class[id.index()] {
            Class::Given | Class::Absorbed => 0,
            Class::View => highest(&|_| 0),
            Class::Kernel => highest(&|_| 1),
            Class::Tail => highest(&|_| 0),
            Class::Elementwise => {
                let n = count(graph, id);
                highest(&|operand| usize::from(!joins(graph, &class, &views, operand, n)))
            }
        };
    }
    let mut levels = Levels { class, level, needed, reading, views };
    sink(graph, &mut levels);
    levels
}

/// Whether an element-wise user of extent `n` may stand in one group with the operand (or with what it views).
fn joins(graph: &Graph, class: &[Class], views: &Views, operand: NodeId, n: usize) -> bool {
    let source = views.source(operand);
    match class[source.index()] {
        Class::Given => true,
        Class::Elementwise => views.is_plain(operand) && count(graph, source) == n,
        Class::Kernel | Class::Tail | Class::Absorbed | Class::View => false,
    }
}

/// What a chain of views looks at.
pub(super) fn origin(graph: &Graph, mut id: NodeId) -> NodeId {
    while matches!(graph.op(id), Op::Reshape(_) | Op::StopGradient(_) | Op::Broadcast(_)) {
        id = graph.operands(id)[0];
    }
    id
}

/// Moves element-wise nodes to the level of their users, where these agree on one group.
fn sink(graph: &Graph, levels: &mut Levels) {
    let is_output: Vec<bool> = {
        let mut outputs = vec![false; graph.len()];
        for output in &graph.outputs {
            outputs[levels.views.source(output.node).index()] = true;
        }
        outputs
    };
    for id in graph.ids().rev().filter(|id| levels.needed[id.index()]) {
        if levels.class[id.index()] != Class::Elementwise || is_output[id.index()] {
            continue;
        }
        let n = count(graph, id);
        let group = |user: &NodeId| {
            let same = match levels.class[user.index()] {
                Class::Elementwise => count(graph, *user) == n,
                Class::Tail => true,
                Class::Kernel | Class::View | Class::Given | Class::Absorbed => false,
            };
            same.then(|| levels.level[user.index()])
        };
        let targets: Option<Vec<usize>> = levels.reading.users(id).iter().map(group).collect();
        if let Some(targets) = targets
            && let Some(&first) = targets.first()
            && targets.iter().all(|target| *target == first)
        {
            levels.level[id.index()] = first;
        }
    }
}

/// A unit of work before buffers are known: its nodes in id order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unit {
    Group {
        n: usize,
        nodes: Vec<NodeId>,
        tails: Vec<NodeId>,
    },
    Kernel(NodeId),
    /// the nodes of one loop
    Loop(Vec<NodeId>),
}

/// Groups of more elements than this are split into parts that share nothing, so that their operands fit the cache.
const SMALL: usize = 4096;

/// The units of a program in an order in which operands come first.
pub(super) fn units(graph: &Graph, levels: &Levels) -> Vec<Unit> {
    let mut groups: BTreeMap<(usize, usize), Vec<NodeId>> = BTreeMap::new();
    // Within a level a sum that its group could not take follows the groups.
    let mut keyed: Vec<(usize, bool, NodeId, Unit)> = Vec::new();
    let mut tails: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    let mut loops = Loops::default();
    for id in graph.ids().filter(|id| levels.needed[id.index()]) {
        let level = levels.level[id.index()];
        match levels.class[id.index()] {
            Class::Elementwise => groups.entry((level, count(graph, id))).or_default().push(id),
            Class::Kernel if matches!(graph.op(id), Op::Scan(_)) => loops.add(graph, id),
            Class::Kernel => keyed.push((level, false, id, Unit::Kernel(id))),
            Class::Tail => tails.entry(levels.views.source(graph.operands(id)[0])).or_default().push(id),
            Class::Given | Class::View | Class::Absorbed => {}
        }
    }
    for nodes in loops.nodes {
        // They have one level: their operands are the same.
        keyed.push((levels.level[nodes[0].index()], false, nodes[0], Unit::Loop(nodes)));
    }
    for ((level, n), nodes) in groups {
        let parts = if n > SMALL { components(graph, levels, &nodes) } else { vec![nodes] };
        for nodes in parts {
            let all: Vec<NodeId> = nodes.iter().filter_map(|id| tails.get(id)).flatten().copied().collect();
            let inner = all.first().and_then(|id| tail_inner(graph, *id));
            let (taken, late): (Vec<NodeId>, Vec<NodeId>) =
                all.into_iter().partition(|id| tail_inner(graph, *id) == inner);
            keyed.extend(late.into_iter().map(|id| (level, true, id, Unit::Kernel(id))));
            keyed.push((level, false, nodes[0], Unit::Group { n, nodes, tails: taken }));
        }
    }
    keyed.sort_by_key(|(level, late, first, _)| (*level, *late, *first));
    keyed.into_iter().map(|(.., unit)| unit).collect()
}

/// The nodes of each loop.
#[derive(Debug, Default)]
struct Loops {
    nodes: Vec<Vec<NodeId>>,
    /// Only looked up, never walked.
    known: HashMap<(Scan, Operands), usize>,
}

impl Loops {
    fn add(&mut self, graph: &Graph, id: NodeId) {
        let Op::Scan(scan) = graph.op(id) else { return };
        let key = (scan.loop_key(), graph.operands(id));
        let at = *self.known.entry(key).or_insert(self.nodes.len());
        self.nodes.resize(self.nodes.len().max(at + 1), Vec::new());
        self.nodes[at].push(id);
    }
}

/// Splits a group into connected parts: nodes that share an operand of the group or read one value.
fn components(graph: &Graph, levels: &Levels, nodes: &[NodeId]) -> Vec<Vec<NodeId>> {
    let mut sets = Sets((0..nodes.len()).collect());
    let mut readers: BTreeMap<NodeId, usize> = BTreeMap::new();
    for (i, id) in nodes.iter().enumerate() {
        readers.entry(*id).or_insert(i);
        for operand in levels.reading.operands(*id) {
            let value = levels.views.source(*operand);
            // Small operands, such as a learning rate, tie nothing together.
            if matches!(graph.op(value), Op::Constant(_)) || count(graph, value) <= SMALL {
                continue;
            }
            match readers.get(&value) {
                Some(&other) => {
                    sets.union(i, other);
                }
                None => {
                    readers.insert(value, i);
                }
            }
        }
    }
    let mut parts: BTreeMap<usize, Vec<NodeId>> = BTreeMap::new();
    for (i, id) in nodes.iter().enumerate() {
        parts.entry(sets.find(i)).or_default().push(*id);
    }
    parts.into_values().collect()
}

/// Disjoint sets of positions.
struct Sets(Vec<usize>);

impl Sets {
    fn find(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        // The smaller position leads, so that parts keep the order of their first nodes.
        self.0[a.max(b)] = a.min(b);
    }
}
