//! A graph under construction, with the values of its nodes.

use super::values::{Values, disturbed, evaluate_all, feed_values, spread};
use super::{NOISE, generators};
use crate::common::random_graph::provenance;
use anabranch::ir::{Builder, DType, Dim, DimSizes, Graph, NodeId, Role, TensorType};
use anabranch::ops::{self, InputKind, Op};
use anabranch::passes::{differentiate, resolve_training};

/// A node that others may read.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: NodeId,
    pub exact: Values,
    pub noisy: Values,
}

/// Pseudorandom numbers (SplitMix64; Steele, Lea, Flood 2014).
#[derive(Debug)]
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as usize % end.max(1)
    }

    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    pub fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// The most elements of a value.
const MOST_ELEMENTS: usize = 3000;
const HIGHEST_RANK: usize = 5;
/// Derivatives of derivatives grow fast.
const MOST_GRADIENTS: usize = 2;

#[derive(Debug)]
pub struct Growth {
    pub graph: Graph,
    pub pool: Vec<Entry>,
    pub sizes: DimSizes,
    /// whether this is the body of a loop, which has no leaves but its ports
    pub is_body: bool,
    pub n_gradients: usize,
}

impl Growth {
    pub fn new(batch: usize) -> Self {
        let sizes = DimSizes::from([("batch".into(), batch)]);
        Self { graph: Graph::new(), pool: Vec::new(), sizes, is_body: false, n_gradients: 0 }
    }

    /// Adds a node of an op, with the leaves it needs, if what is there allows it.
    pub fn step(&mut self, name: &str, seed: u64) {
        let draws = &mut Draws(seed);
        // What is drawn may not fit, or its value may be far or badly conditioned.
        for _ in 0..3 {
            if generators::grow(self, name, draws).is_some() {
                return;
            }
        }
    }

    pub fn ty(&self, entry: &Entry) -> TensorType {
        self.graph.ty(entry.id).clone()
    }

    pub fn shape(&self, entry: &Entry) -> Vec<Dim> {
        self.graph.ty(entry.id).shape.clone()
    }

    fn fits(&self, ty: &TensorType) -> bool {
        let extents = ty.bind(&self.sizes).known_shape();
        ty.rank() <= HIGHEST_RANK && extents.is_some_and(|extents| extents.iter().product::<usize>() <= MOST_ELEMENTS)
    }

    fn builder(&mut self) -> Builder<'_> {
        let name = format!("n{}", self.graph.len());
        Builder::new(&mut self.graph, provenance(&name))
    }

    /// The node of an op, unless it refuses its operands or its value is no good.
    pub fn apply(&mut self, op: impl Into<Op>, operands: &[&Entry]) -> Option<Entry> {
        self.node(op.into(), operands, true)
    }

    fn node(&mut self, op: Op, operands: &[&Entry], is_limited: bool) -> Option<Entry> {
        let types: Vec<TensorType> = operands.iter().map(|operand| self.ty(operand)).collect();
        let ty = op.infer(&types.iter().collect::<Vec<_>>()).ok()?;
        let bound_op = op.bind(&self.sizes);
        let bound_types: Vec<TensorType> = types.iter().map(|ty| ty.bind(&self.sizes)).collect();
        let bound = bound_op.infer(&bound_types.iter().collect::<Vec<_>>()).ok()?;
        if is_limited && !self.fits(&ty) {
            return None;
        }
        let exact: Vec<&Values> = operands.iter().map(|operand| &operand.exact).collect();
        let noisy: Vec<&Values> = operands.iter().map(|operand| &operand.noisy).collect();
        let exact = bound_op.evaluate(&exact, &bound);
        let noisy = disturbed(bound_op.evaluate(&noisy, &bound), self.graph.len(), NOISE);
        if is_limited {
            spread(&exact, &noisy)?;
        }
        let ids: Vec<NodeId> = operands.iter().map(|operand| operand.id).collect();
        let id = self.builder().emit(op, &ids);
        let entry = Entry { id, exact, noisy };
        self.pool.push(entry.clone());
        Some(entry)
    }

    /// A new leaf: a param where its extents are known, else an input. In the body of a loop, a constant or positions.
    pub fn leaf(&mut self, ty: TensorType) -> Entry {
        self.named_leaf("p", ty)
    }

    pub fn named_leaf(&mut self, name: &str, ty: TensorType) -> Entry {
        if self.is_body {
            return self.body_leaf(ty);
        }
        let is_param = ty.known_shape().is_some() && ty.is_float();
        self.leaf_of(name, if is_param { InputKind::Param } else { InputKind::Input }, ty)
    }

    pub fn leaf_of(&mut self, name: &str, kind: InputKind, ty: TensorType) -> Entry {
        let name = format!("{name}{}", self.graph.len());
        let bound = ty.bind(&self.sizes);
        let exact = feed_values(kind, &name, &bound);
        let mut b = Builder::new(&mut self.graph, provenance(&name));
        let id = b.emit(ops::Input { kind, ty }, &[]);
        let entry = Entry { id, noisy: exact.clone(), exact };
        // What is missing is for those that ask whether it is.
        if !name.starts_with("missing") {
            self.pool.push(entry.clone());
        }
        entry
    }

    fn body_leaf(&mut self, ty: TensorType) -> Entry {
        let (dtype, shape) = (ty.dtype, ty.shape.clone());
        let number = TensorType::new(if dtype == DType::Bool { DType::I32 } else { dtype }, shape);
        let op: Op = match ty.rank() {
            0 => ops::Constant { value: ops::Scalar(1.0), ty: number }.into(),
            rank => ops::Iota { axis: rank - 1, ty: number }.into(),
        };
        let entry = self.node(op, &[], false).expect("a leaf takes nothing");
        let is_bool = dtype == DType::Bool;
        let cast = is_bool.then(|| self.node(ops::Cast { to: DType::Bool }.into(), &[&entry], false));
        cast.flatten().unwrap_or(entry)
    }

    /// Some entry that is wanted, or a new leaf.
    pub fn pick(
        &mut self,
        draws: &mut Draws,
        wanted: impl Fn(&TensorType) -> bool,
        new: impl Fn(&mut Draws) -> TensorType,
    ) -> Entry {
        let found: Vec<usize> = (0..self.pool.len()).filter(|at| wanted(self.graph.ty(self.pool[*at].id))).collect();
        // Mostly late ones, so that chains grow.
        if found.is_empty() || draws.below(8) == 0 {
            let ty = new(draws);
            return self.leaf(ty);
        }
        let at = draws.below(found.len()).max(draws.below(found.len()));
        self.pool[found[at]].clone()
    }

    pub fn any(&mut self, draws: &mut Draws) -> Entry {
        self.pick(
            draws,
            |_| true,
            |draws| {
                let dtype = draws.of(&[DType::F32, DType::I32, DType::Bool]);
                TensorType::new(dtype, random_shape(draws, 0))
            },
        )
    }

    pub fn float(&mut self, draws: &mut Draws) -> Entry {
        self.float_of_rank(draws, 0)
    }

    /// A float with so many axes at least.
    pub fn float_of_rank(&mut self, draws: &mut Draws, least: usize) -> Entry {
        let wanted = |ty: &TensorType| ty.is_float() && ty.rank() >= least;
        self.pick(draws, wanted, |draws| TensorType::f32(random_shape(draws, least)))
    }

    /// An entry of this very type.
    pub fn like(&mut self, draws: &mut Draws, ty: &TensorType) -> Entry {
        self.pick(draws, |other| other == ty, |_| ty.clone())
    }

    /// A gradient with its value, by differentiating what is there.
    pub fn gradient(&mut self, y: &Entry, x: &Entry) -> Option<Entry> {
        if self.is_body || self.n_gradients == MOST_GRADIENTS {
            return None;
        }
        let mut graph = self.graph.clone();
        let id = Builder::new(&mut graph, provenance(&format!("n{}", self.graph.len())))
            .add(ops::Gradient, &[y.id, x.id])
            .ok()?;
        graph.outputs.clear();
        let mut asked = graph.clone();
        asked.add_output(Role::Gradient, "g", id);
        let written = differentiate(&resolve_training(&asked));
        let at = written.outputs[0].node.index();
        let [exact, noisy] = [0.0, NOISE].map(|noise| evaluate_all(&written, &self.sizes, noise)[at].clone());
        spread(&exact, &noisy)?;
        self.graph = graph;
        self.n_gradients += 1;
        let entry = Entry { id, exact, noisy };
        self.pool.push(entry.clone());
        Some(entry)
    }
}

/// A shape of so many axes at least: small extents mostly, now and then one that fills registers and leaves a rest.
pub fn random_shape(draws: &mut Draws, least: usize) -> Vec<Dim> {
    let rank = least + draws.below(5usize.saturating_sub(least).clamp(1, 4));
    let mut n_elements = 1;
    let mut extent = |axis: usize, draws: &mut Draws| {
        if axis == 0 && draws.flag() {
            n_elements *= 4;
            return Dim::batch();
        }
        let chosen = if n_elements < 40 { draws.of(&[1, 2, 3, 4, 5, 7, 16, 19, 33]) } else { draws.of(&[1, 2, 3]) };
        n_elements *= chosen;
        Dim::known(chosen)
    };
    (0..rank).map(|axis| extent(axis, draws)).collect()
}
