//! Random graphs for properties, built from a list of choices so that a failing one shrinks well.
//!
//! Values stay moderate: each node carries a bound on its elements, and an op that would leave the bound is passed over,
//! as is one out of its domain. Ops with jumps read leaves only, for a rounding error must not decide them.

use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Dim, DimSizes, Graph, NodeId, Provenance, Role, TensorType};
use anabranch::ops::{self, InputKind, Op, Tensor};
use ndarray::{ArrayD, IxDyn};
use proptest::prelude::*;

/// One step: which op, and three choices for its operands and attributes.
pub type Choice = [u32; 4];

/// Which ops may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ops {
    All,
    /// only functions with derivatives of every order
    Smooth,
}

/// Between 5 and 40 steps.
pub fn choices() -> impl Strategy<Value = Vec<Choice>> {
    proptest::collection::vec(any::<Choice>(), 5..40)
}

/// The size of the open dim in [`build`]'s graphs.
pub fn sizes() -> DimSizes {
    DimSizes::from([("batch".into(), 2)])
}

pub fn provenance(name: &str) -> Provenance {
    Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) }
}

/// A leaf's value: the same for a name on every call, without ties, within 1.2.
pub fn leaf_value(name: &str, ty: &TensorType, salt: usize) -> Tensor<f64> {
    let shape = ty.known_shape().expect("bound");
    let seed = name.bytes().fold(salt as f64, |sum, byte| sum * 1.7 + f64::from(byte));
    let n_elements: usize = shape.iter().product();
    let value = |i: usize| 1.2 * (seed * 0.618 + (i as f64 + 1.0) * 2.399).sin();
    let values: Vec<f64> = (0..n_elements).map(value).collect();
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values).expect("one value an element");
    match ty.dtype {
        DType::F32 => Tensor::Float(array),
        DType::I32 => Tensor::Int(array.mapv(|x| (x * 3.0) as i32)),
        DType::Bool => Tensor::Bool(array.mapv(|x| x > 0.0)),
    }
}

struct Growth {
    graph: Graph,
    /// Floats only: the node, a bound on its elements, and whether it is a leaf or a rearrangement of one.
    pool: Vec<(NodeId, f64, bool)>,
    ops: Ops,
}

const LARGEST: f64 = 50.0;

impl Growth {
    fn builder(&mut self) -> Builder<'_> {
        let name = format!("n{}", self.graph.len());
        Builder::new(&mut self.graph, provenance(&name))
    }

    fn shape(&self, id: NodeId) -> Vec<Dim> {
        self.graph.ty(id).shape.clone()
    }

    fn push(&mut self, id: NodeId, bound: f64, is_exact: bool) {
        if bound <= LARGEST && self.graph.ty(id).rank() <= 4 {
            self.pool.push((id, bound, is_exact));
        }
    }

    fn pick(&self, choice: u32) -> (NodeId, f64, bool) {
        self.pool[choice as usize % self.pool.len()]
    }

    /// A node of the same type as `like`, itself at worst.
    fn pick_like(&self, like: NodeId, choice: u32) -> (NodeId, f64, bool) {
        let alike: Vec<_> = self.pool.iter().filter(|(id, _, _)| self.graph.ty(*id) == self.graph.ty(like)).collect();
        *alike[choice as usize % alike.len()]
    }

    fn leaf(&mut self, choice: u32) {
        let extents = [Dim::known(1), Dim::known(2), Dim::known(3), Dim::batch()];
        let rank = (choice % 4) as usize;
        let shape = (0..rank).map(|axis| extents[(choice >> (4 + 2 * axis)) as usize % 4].clone()).collect();
        let name = format!("p{}", self.graph.len());
        let mut b = Builder::new(&mut self.graph, provenance(&name));
        let id = b.emit(ops::Input { kind: InputKind::Param, ty: TensorType::f32(shape) }, &[]);
        self.push(id, 1.2, true);
    }

    fn unary(&mut self, [_, a, b, _]: Choice) {
        let (x, bound, is_exact) = self.pick(a);
        let small = |op: Op, limit: f64, result: f64| (bound <= limit).then_some((op, result));
        let chosen = match b % 14 {
            0 | 1 => Some((ops::Neg.into(), bound)),
            2 => small(ops::Exp.into(), 3.0, bound.exp()),
            3 => small(ops::Expm1.into(), 3.0, bound.exp()),
            4 => Some((ops::Sin.into(), 1.0)),
            5 => Some((ops::Cos.into(), 1.0)),
            6 => Some((ops::Tanh.into(), 1.0)),
            7 => Some((ops::Sigmoid.into(), 1.0)),
            8 => Some((ops::Softplus.into(), bound + 0.7)),
            9 => Some((ops::Erf.into(), 1.0)),
            _ if self.ops == Ops::Smooth => None,
            10 => Some((ops::Abs.into(), bound)),
            11 => is_exact.then(|| (ops::Floor.into(), bound + 1.0)),
            12 => is_exact.then(|| (ops::Sign.into(), 1.0)),
            _ => Some((ops::StopGradient.into(), bound)),
        };
        let Some((op, result)) = chosen else { return };
        let keeps = matches!(op, Op::Neg(_) | Op::StopGradient(_));
        let id = self.builder().emit(op, &[x]);
        self.push(id, result, is_exact && keeps);
    }

    /// Functions with a domain, on something positive.
    fn on_positive(&mut self, [_, a, b, c]: Choice) {
        let (x, bound, _) = self.pick(a);
        if bound > 3.0 {
            return;
        }
        let mut builder = self.builder();
        let one = builder.constant_like(1.0, x);
        let (positive, largest, least) = match c % 4 {
            0 => (builder.emit(ops::Sigmoid, &[x]), 1.0, 0.04),
            1 => (builder.emit(ops::Exp, &[x]), bound.exp(), 0.04),
            2 => {
                let sigmoid = builder.emit(ops::Sigmoid, &[x]);
                (builder.sub(one, sigmoid), 1.0, 0.04)
            }
            _ => {
                let square = builder.mul(x, x);
                (builder.add2(one, square), 1.0 + bound * bound, 1.0)
            }
        };
        let (id, result) = match b % 7 {
            0 | 1 => (builder.emit(ops::Log, &[positive]), 3.3),
            2 => (builder.emit(ops::Sqrt, &[positive]), largest),
            3 => (builder.emit(ops::Rsqrt, &[positive]), 5.0),
            4 => (builder.div(one, positive), 1.0 / least),
            5 => (builder.div(x, positive), bound / least),
            _ => (builder.emit(ops::Log1p, &[positive]), 3.3),
        };
        self.push(id, result, false);
    }

    fn binary(&mut self, [_, a, b, c]: Choice) {
        let (x, x_bound, _) = self.pick(a);
        let (y, y_bound, _) = self.pick_like(x, b);
        let count = if self.ops == Ops::Smooth { 3 } else { 5 };
        let (op, bound): (Op, f64) = match c % count {
            0 => (ops::Add.into(), x_bound + y_bound),
            1 => (ops::Sub.into(), x_bound + y_bound),
            2 => (ops::Mul.into(), x_bound * y_bound),
            3 => (ops::Max.into(), x_bound.max(y_bound)),
            _ => (ops::Min.into(), x_bound.max(y_bound)),
        };
        let id = self.builder().emit(op, &[x, y]);
        self.push(id, bound, false);
    }

    fn with_constant(&mut self, [_, a, b, c]: Choice) {
        const VALUES: [f64; 9] = [0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -0.7, 1.3, 0.1];
        let (x, bound, _) = self.pick(a);
        let is_smooth = self.ops == Ops::Smooth;
        let value = VALUES[(c >> 8) as usize % VALUES.len()];
        let mut builder = self.builder();
        let constant = builder.constant_like(value, x);
        let (id, bound) = match b % 8 {
            0 => (builder.add2(x, constant), bound + value.abs()),
            1 => (builder.sub(x, constant), bound + value.abs()),
            2 => (builder.sub(constant, x), bound + value.abs()),
            3 => (builder.mul(constant, x), bound * value.abs()),
            4 => (builder.mul(x, constant), bound * value.abs()),
            5 if value != 0.0 => (builder.div(x, constant), bound / value.abs()),
            6 => {
                let whole = builder.constant_like(f64::from(c % 4), x);
                (builder.emit(ops::Pow, &[x, whole]), bound.powi((c % 4) as i32).max(1.0))
            }
            _ if !is_smooth => (builder.emit(ops::Max, &[constant, x]), bound.max(value.abs())),
            _ => (builder.add2(constant, constant), 2.0 * value.abs()),
        };
        self.push(id, bound, false);
    }

    fn layout(&mut self, [_, a, b, c]: Choice) {
        let (x, bound, is_exact) = self.pick(a);
        let shape = self.shape(x);
        let rank = shape.len();
        let mut builder = self.builder();
        let id = match b % 6 {
            0 => {
                let mut permutation: Vec<usize> = (0..rank).collect();
                permutation.rotate_left(if rank == 0 { 0 } else { c as usize % rank });
                builder.emit(ops::Transpose { permutation }, &[x])
            }
            1 => {
                let mut target = shape;
                if rank > 0 && target[c as usize % rank].is_one() {
                    target.remove(c as usize % rank);
                } else {
                    target.insert(c as usize % (rank + 1), Dim::known(1));
                }
                builder.emit(ops::Reshape { shape: target }, &[x])
            }
            2 | 3 => {
                let extents = [Dim::known(1), Dim::known(2), Dim::known(3), Dim::batch()];
                let at = c as usize % (rank + 1);
                let axes: Vec<usize> = (0..rank).map(|axis| axis + usize::from(axis >= at)).collect();
                let mut target = shape;
                target.insert(at, extents[(c >> 8) as usize % 4].clone());
                builder.emit(ops::Broadcast { shape: target, axes }, &[x])
            }
            4 if rank > 0 => {
                let axis = c as usize % rank;
                let Some(extent) = shape[axis].as_known().filter(|extent| *extent > 1) else { return };
                let start = (c >> 8) as usize % extent;
                let mut starts = vec![Dim::known(0); rank];
                let mut extents = shape;
                (starts[axis], extents[axis]) = (Dim::known(start), Dim::known(extent - start));
                builder.emit(ops::Slice { starts, extents, strides: vec![1; rank] }, &[x])
            }
            5 if rank > 0 => {
                let axis = c as usize % rank;
                builder.emit(ops::Concat { axis }, &[x, x])
            }
            _ => return,
        };
        self.push(id, bound, is_exact);
    }

    fn reduce(&mut self, [_, a, b, c]: Choice) {
        let (x, bound, _) = self.pick(a);
        let rank = self.shape(x).len();
        let axes: Vec<usize> = (0..rank).filter(|axis| (c >> axis) & 1 == 1).collect();
        let is_sum = self.ops == Ops::Smooth || b % 3 != 0;
        let op: Op = if is_sum { ops::Sum { axes }.into() } else { ops::MaxReduce { axes }.into() };
        let id = self.builder().emit(op, &[x]);
        self.push(id, if is_sum { bound * 9.0 } else { bound }, false);
    }

    fn matmul(&mut self, [_, a, b, c]: Choice) {
        let (x, x_bound, _) = self.pick(a);
        let op = ops::MatMul { transpose_x: c & 1 == 1, transpose_y: c & 2 == 2 };
        for offset in 0..self.pool.len() as u32 {
            let (y, y_bound, _) = self.pick(b.wrapping_add(offset));
            if let Ok(id) = self.builder().add(op.clone(), &[x, y]) {
                self.push(id, 3.0 * x_bound * y_bound, false);
                return;
            }
        }
    }

    fn choose(&mut self, [_, a, b, c]: Choice) {
        let (x, x_bound, _) = self.pick(a);
        let (y, y_bound, _) = self.pick_like(x, b);
        let exact: Vec<NodeId> = self.pool.iter().filter(|entry| entry.2).map(|entry| entry.0).collect();
        let Some(judge) = exact.into_iter().find(|id| self.graph.ty(*id) == self.graph.ty(x)) else { return };
        let mut builder = self.builder();
        let bound = builder.constant_like(0.3, judge);
        let mut mask = builder.emit(ops::Less, &[judge, bound]);
        if c & 1 == 1 {
            mask = builder.emit(ops::Not, &[mask]);
        }
        let chosen = builder.select(mask, x, y);
        let counted = builder.emit(ops::Cast { to: DType::F32 }, &[mask]);
        self.push(chosen, x_bound.max(y_bound), false);
        self.push(counted, 1.0, false);
    }
}

/// A graph of params named `p…` whose outputs are the last nodes.
pub fn build(choices: &[Choice], ops: Ops) -> Graph {
    let mut growth = Growth { graph: Graph::new(), pool: Vec::new(), ops };
    growth.leaf(choices.first().map_or(0, |choice| choice[1]));
    for choice in choices {
        match choice[0] % 16 {
            0 | 1 => growth.leaf(choice[1]),
            2..=4 => growth.unary(*choice),
            5 => growth.on_positive(*choice),
            6..=8 => growth.binary(*choice),
            9 | 10 => growth.with_constant(*choice),
            11 | 12 => growth.layout(*choice),
            13 => growth.reduce(*choice),
            14 => growth.matmul(*choice),
            _ if ops == Ops::All => growth.choose(*choice),
            _ => growth.binary(*choice),
        }
    }
    let last: Vec<NodeId> = growth.pool.iter().rev().take(3).map(|entry| entry.0).collect();
    for (i, node) in last.into_iter().enumerate() {
        growth.graph.add_output(Role::Output, format!("y{i}"), node);
    }
    growth.graph
}
