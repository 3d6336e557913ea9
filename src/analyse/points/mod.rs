//! Parts of a graph as functions of a few values, evaluated at points.
//!
//! Bounds prove; a point refutes. Where bounds do not settle a question about a formula, the lints put numbers into it: losses
//! of all magnitudes, weights within their constraints, matrices that are Gramians. What a point shows is true of the
//! formula, and its numbers are told. That no point shows it is no proof.
//!
//! A [`Formula`] is the slice between some wanted nodes and their leaves, which are the graph's own and the nodes at which it
//! is cut: losses, Gramians, and whatever is dear to compute and does not depend on what is asked about (the model's products
//! and loops, large values). A node that is cut for its cost is a free number within its bounds. Run-time dims are given sizes.
//! Points are drawn by number: the same on every run.

mod domain;
mod draw;

pub use domain::{Domain, data_domains, domains};
use draw::Draw;

use super::interval::Interval;
use crate::ir::{Dim, DimSizes, Graph, NodeId, Operands};
use crate::ops::{Extents, InputKind, Op, Tensor, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sizes of run-time dims, one after the other from point to point: a few, and as many as a batch has.
const SIZES: [usize; 2] = [3, 24];

/// A value with more elements than this is dear.
const LARGE: f64 = 2048.0;

/// A product with more arithmetic than this is dear.
const LARGE_PRODUCT: f64 = 20_000.0;

/// Arithmetic of one evaluation beyond which a formula is not evaluated at all.
const MOST_WORK: f64 = 400_000.0;

/// What a node costs besides its elements.
const NODE: f64 = 60.0;

/// A leaf of a formula.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// in the graph that the formula is of
    pub node: NodeId,
    pub domain: Domain,
}

/// The slice between wanted nodes and their leaves.
#[derive(Debug)]
pub struct Formula {
    pub leaves: Vec<Leaf>,
    programs: Vec<Program>,
    /// the arithmetic of one evaluation, in additions
    pub work: f64,
}

/// The slice for one size of run-time dims: what is computed in what order.
#[derive(Debug)]
struct Program {
    steps: Vec<Step>,
    wanted: Vec<usize>,
}

#[derive(Debug)]
enum Step {
    Leaf(usize, crate::ir::TensorType),
    Op(Op, Vec<usize>, crate::ir::TensorType),
}

/// What holds of the nodes that a formula may be made of.
struct Traits {
    /// It depends on what is asked about, or is made of constants and single numbers alone, as a learning rate in the shape of a
    /// param is: it is computed, since a free number in its place could be any.
    kept: Vec<bool>,
    /// it depends on inputs or targets
    of_data: Vec<bool>,
}

/// Numbers for the leaves of a formula.
#[derive(Clone, Debug)]
pub struct Point {
    program: usize,
    pub values: Vec<Tensor<f64>>,
}

/// What is asked of a graph.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub graph: &'a Graph,
    /// what numbers nodes may hold; the formula is cut at these
    pub domains: &'a BTreeMap<NodeId, Domain>,
    /// bounds of all nodes
    pub bounds: &'a [Interval],
}

impl Question<'_> {
    /// The formula of some nodes, in their order. What depends on `live` nodes is computed, whatever it costs, and so is what single
    /// numbers are made into. `None` where
    /// that is too much, or sizes do not fit.
    pub fn formula(&self, wanted: &[NodeId], live: &[NodeId]) -> Option<Formula> {
        let sizes = self.sizes();
        let (order, leaves) = self.slice(wanted, &self.traits(wanted, live), &sizes[0]);
        let mut work: f64 = 0.0;
        let mut programs = Vec::new();
        for sizes in &sizes {
            let (program, its_work) = self.program(wanted, &order, &leaves, sizes)?;
            work = work.max(its_work);
            programs.push(program);
            if !self.has_open_dims(&order) {
                break;
            }
        }
        (work <= MOST_WORK).then_some(Formula { leaves, programs, work })
    }

    /// What holds of what the wanted nodes are made of, back to the nodes at which the formula is cut.
    fn traits(&self, wanted: &[NodeId], live: &[NodeId]) -> Traits {
        let is_cut = |id: &NodeId| self.domains.contains_key(id);
        let mut found: Vec<bool> = vec![false; self.graph.len()];
        let mut order: Vec<NodeId> = Vec::new();
        let mut open: Vec<NodeId> = wanted.to_vec();
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut found[id.index()], true) {
                order.push(id);
                open.extend(self.graph.operands(id).into_iter().filter(|_| !is_cut(&id)));
            }
        }
        order.sort_unstable();
        let mut is_live = vec![false; self.graph.len()];
        live.iter().for_each(|id| is_live[id.index()] = true);
        let [mut kept, mut of_data, mut of_numbers] = [(); 3].map(|()| vec![false; self.graph.len()]);
        for id in order {
            let operands = if is_cut(&id) { Operands::new() } else { self.graph.operands(id) };
            let any = |marks: &[bool]| operands.iter().any(|operand| marks[operand.index()]);
            let (is_data, is_number) = match self.graph.op(id) {
                Op::Input(input) => (matches!(input.kind, InputKind::Input | InputKind::Target), input.ty.rank() == 0),
                Op::Random(_) | Op::Gradient(_) => (false, false),
                _ => (false, !is_cut(&id) && operands.iter().all(|operand| of_numbers[operand.index()])),
            };
            let at = id.index();
            is_live[at] |= any(&is_live);
            of_data[at] = is_data || any(&of_data);
            of_numbers[at] = is_number;
            kept[at] = is_live[at] || is_number;
        }
        Traits { kept, of_data }
    }

    /// The nodes of the slice in order, and its leaves.
    fn slice(&self, wanted: &[NodeId], traits: &Traits, sizes: &DimSizes) -> (Vec<NodeId>, Vec<Leaf>) {
        let mut found: BTreeSet<NodeId> = BTreeSet::new();
        let mut leaves: Vec<Leaf> = Vec::new();
        let mut open: Vec<NodeId> = wanted.to_vec();
        while let Some(id) = open.pop() {
            if !found.insert(id) {
                continue;
            }
            let domain = match (self.domains.get(&id), self.graph.op(id)) {
                (Some(domain), _) => Some(domain.clone()),
                (None, Op::Input(input)) => Some(Domain::of_leaf(input, self.bounds[id.index()])),
                (None, Op::Gradient(_)) => Some(Domain::Number(Interval::ALL)),
                (None, _) if !traits.kept[id.index()] && self.is_dear(id, traits.of_data[id.index()], sizes) => {
                    Some(Domain::of_type(self.graph.ty(id), self.bounds[id.index()]))
                }
                _ => None,
            };
            match domain {
                Some(domain) => leaves.push(Leaf { node: id, domain }),
                None => open.extend(self.graph.operands(id)),
            }
        }
        leaves.sort_by_key(|leaf| leaf.node);
        (found.into_iter().collect(), leaves)
    }

    /// Loops over data and products of data with a param, or large ones, are the model; others belong to what is asked.
    fn is_dear(&self, id: NodeId, is_of_data: bool, sizes: &DimSizes) -> bool {
        let extents = |id: NodeId| self.graph.ty(id).bind(sizes).known_shape();
        let operands: Option<Vec<Vec<usize>>> = self.graph.operands(id).into_iter().map(extents).collect();
        let (Some(operands), Some(result)) = (operands, extents(id)) else { return true };
        let extents = Extents { operands: &operands, result: &result };
        let reads_param = || self.graph.operands(id).into_iter().any(|operand| self.is_param(operand));
        let is_model = match self.graph.op(id).work(extents) {
            Work::Loop { .. } => true,
            Work::Products { flops } => flops > LARGE_PRODUCT || reads_param(),
            _ => false,
        };
        (is_model && is_of_data) || extents.largest() > LARGE
    }

    /// A param, in some shape.
    fn is_param(&self, mut id: NodeId) -> bool {
        while let (Op::Reshape(_) | Op::Broadcast(_) | Op::Transpose(_), [operand]) =
            (self.graph.op(id), self.graph.operands(id).as_slice())
        {
            id = *operand;
        }
        matches!(self.graph.op(id), Op::Input(input) if input.kind == InputKind::Param)
    }

    fn has_open_dims(&self, order: &[NodeId]) -> bool {
        order.iter().any(|id| self.graph.ty(*id).known_shape().is_none())
    }

    /// Each size of [`SIZES`] for all run-time dims.
    fn sizes(&self) -> [DimSizes; 2] {
        let shapes = self.graph.ids().flat_map(|id| self.graph.ty(id).shape.iter());
        let names: BTreeSet<Arc<str>> = shapes.filter(|dim| dim.as_known().is_none()).flat_map(Dim::symbols).collect();
        SIZES.map(|size| names.iter().map(|name| (name.clone(), size)).collect())
    }

    fn program(
        &self,
        wanted: &[NodeId],
        order: &[NodeId],
        leaves: &[Leaf],
        sizes: &DimSizes,
    ) -> Option<(Program, f64)> {
        let mut at: BTreeMap<NodeId, usize> = BTreeMap::new();
        let mut steps = Vec::with_capacity(order.len());
        let mut work = 0.0;
        for id in order {
            let ty = self.graph.ty(*id).bind(sizes);
            let shape = ty.known_shape()?;
            let step = match leaves.binary_search_by_key(id, |leaf| leaf.node) {
                Ok(leaf) => Step::Leaf(leaf, ty),
                Err(_) => {
                    let operands = self.graph.operands(*id);
                    let op = self.graph.op(*id).bind(sizes);
                    let types: Vec<_> = operands.iter().map(|operand| self.graph.ty(*operand).bind(sizes)).collect();
                    op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
                    let extents: Vec<Vec<usize>> = types.iter().map(|ty| ty.known_shape()).collect::<Option<_>>()?;
                    work += NODE + cost(&op, Extents { operands: &extents, result: &shape });
                    Step::Op(op, operands.iter().map(|operand| at[operand]).collect(), ty)
                }
            };
            at.insert(*id, steps.len());
            steps.push(step);
        }
        Some((Program { steps, wanted: wanted.iter().map(|id| at[id]).collect() }, work))
    }
}

/// The arithmetic of an op, in additions.
fn cost(op: &Op, extents: Extents<'_>) -> f64 {
    match op.work(extents) {
        Work::Free => 0.0,
        Work::Elements { count, .. } => count,
        Work::Products { flops } => flops,
        Work::Loop { body, length } => {
            let elements = |id: NodeId| match body.ty(id).known_shape() {
                Some(shape) => shape.iter().product::<usize>() as f64,
                None => LARGE,
            };
            let step: f64 = body.ids().map(|id| NODE + elements(id)).sum();
            step * length.as_known().unwrap_or(SIZES[1]) as f64
        }
    }
}

impl Formula {
    /// The point of some number.
    pub fn point(&self, number: usize) -> Point {
        let program = number % self.programs.len();
        let mut draw = Draw::new(number);
        let mut values = Vec::with_capacity(self.leaves.len());
        for step in &self.programs[program].steps {
            if let Step::Leaf(leaf, ty) = step {
                values.push((*leaf, draw.tensor(&self.leaves[*leaf].domain, ty)));
            }
        }
        values.sort_by_key(|(leaf, _)| *leaf);
        Point { program, values: values.into_iter().map(|(_, value)| value).collect() }
    }

    /// How many points an amount of arithmetic is enough for, up to `most`.
    pub fn affordable(&self, most: usize, budget: f64) -> usize {
        ((budget / (self.work + NODE)) as usize).clamp(4, most)
    }

    /// The wanted values at a point.
    pub fn at(&self, point: &Point) -> Vec<Tensor<f64>> {
        let program = &self.programs[point.program];
        let mut values: Vec<Tensor<f64>> = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let value = match step {
                Step::Leaf(leaf, _) => point.values[*leaf].clone(),
                Step::Op(op, operands, ty) => {
                    let operands: Vec<&Tensor<f64>> = operands.iter().map(|at| &values[*at]).collect();
                    op.evaluate(&operands, ty)
                }
            };
            values.push(value);
        }
        program.wanted.iter().map(|at| values[*at].clone()).collect()
    }

    /// The position of the leaf that a node is.
    pub fn leaf(&self, node: NodeId) -> Option<usize> {
        self.leaves.binary_search_by_key(&node, |leaf| leaf.node).ok()
    }
}

impl Point {
    /// The elements of a leaf of floats.
    pub fn numbers(&mut self, leaf: usize) -> &mut [f64] {
        match &mut self.values[leaf] {
            Tensor::Float(array) => array.as_slice_mut().unwrap_or_default(),
            _ => &mut [],
        }
    }
}

/// The elements of a value, whatever their type.
pub fn elements(value: &Tensor<f64>) -> Vec<f64> {
    match value {
        Tensor::Float(array) => array.iter().copied().collect(),
        Tensor::Int(array) => array.iter().map(|x| f64::from(*x)).collect(),
        Tensor::Bool(array) => array.iter().map(|x| f64::from(u8::from(*x))).collect(),
    }
}

/// The inner products of `k` vectors, by the number of the point, row by row.
pub fn gramian(number: usize, k: usize) -> Vec<f64> {
    Draw::new(number).gramian(k)
}
