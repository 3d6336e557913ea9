//! Random chains of views for properties: broadcasts, reshapes, upsampling, slices, transposes, padding, joins, with
//! element-wise ops between them and sums at the end, over every kind of leaf, in and out of loops.
//!
//! A chain is built from a list of choices, so that a failing one shrinks well. All dims are known; extents 0 and 1 occur.

use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Dim, Graph, NodeId, Provenance, Role, TensorType};
use anabranch::ops::scan::Body;
use anabranch::ops::{self, Input, InputKind, LoopResult, Op, Scan};
use anabranch::passes::differentiate;
use proptest::prelude::*;

/// One step: what is done, and three choices for how.
pub type Choice = [u32; 4];

/// Between 3 and 24 steps.
pub fn choices() -> impl Strategy<Value = Vec<Choice>> {
    proptest::collection::vec(any::<Choice>(), 3..24)
}

/// Values of more elements than this are not built upon.
const MOST_ELEMENTS: usize = 30_000;

fn provenance(name: &str) -> Provenance {
    Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) }
}

fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|extent| Dim::known(*extent)).collect()
}

struct Chain {
    graph: Graph,
    /// floats that may be built upon, the newest last
    pool: Vec<NodeId>,
    /// whether leaves are the ports of a loop's body
    is_body: bool,
    /// whether a value is computed whose last digits depend on the way there
    is_rounded: bool,
}

impl Chain {
    fn new(is_body: bool) -> Self {
        Self { graph: Graph::new(), pool: Vec::new(), is_body, is_rounded: false }
    }

    fn builder(&mut self) -> Builder<'_> {
        let name = format!("n{}", self.graph.len());
        Builder::new(&mut self.graph, provenance(&name))
    }

    fn emit(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        self.builder().emit(op, operands)
    }

    fn shape(&self, id: NodeId) -> Vec<usize> {
        self.graph.ty(id).known_shape().expect("known")
    }

    fn count(&self, id: NodeId) -> usize {
        self.shape(id).iter().product()
    }

    fn push(&mut self, id: NodeId) {
        if self.count(id) <= MOST_ELEMENTS && self.graph.ty(id).rank() <= 7 && self.graph.ty(id).is_float() {
            self.pool.push(id);
        }
    }

    /// A value to go on with: the newest half of the time, so that chains are long.
    fn pick(&self, choice: u32) -> NodeId {
        let last = self.pool.len() - 1;
        if choice & 1 == 0 { self.pool[last] } else { self.pool[(choice >> 1) as usize % self.pool.len()] }
    }

    /// A value of the same type, perhaps itself.
    fn pick_like(&self, like: NodeId, choice: u32) -> NodeId {
        let alike: Vec<NodeId> =
            self.pool.iter().copied().filter(|id| self.graph.ty(*id) == self.graph.ty(like)).collect();
        alike[choice as usize % alike.len()]
    }

    fn leaf_shape(choice: u32) -> Vec<usize> {
        const EXTENTS: [usize; 16] = [1, 2, 3, 4, 6, 2, 3, 4, 5, 12, 1, 2, 3, 8, 0, 90];
        let rank = (choice % 4) as usize;
        let shape: Vec<usize> = (0..rank).map(|axis| EXTENTS[(choice >> (4 + 4 * axis)) as usize % 16]).collect();
        if shape.iter().product::<usize>() > MOST_ELEMENTS { vec![EXTENTS[15]] } else { shape }
    }

    fn leaf(&mut self, kind: u32, choice: u32) {
        let shape = Self::leaf_shape(choice);
        let name = format!("p{}", self.graph.len());
        let ty = |dtype| TensorType::new(dtype, dims(&shape));
        let input = |kind, dtype| Op::from(Input { kind, ty: ty(dtype) });
        let kinds: [InputKind; 3] = [InputKind::Param, InputKind::State, InputKind::Input];
        let kind_of = kinds[(kind >> 8) as usize % 3];
        let op = match kind % 8 {
            0..=2 if !self.is_body => input(kind_of, DType::F32),
            3 if !self.is_body => input(InputKind::Input, DType::I32),
            4 if !self.is_body => input(InputKind::Input, DType::Bool),
            5 if !shape.is_empty() => ops::Iota { axis: kind as usize / 8 % shape.len(), ty: ty(DType::F32) }.into(),
            6 if !shape.is_empty() => ops::Iota { axis: kind as usize / 8 % shape.len(), ty: ty(DType::I32) }.into(),
            7 => {
                let id = self.builder().constant(0.25, &ty(DType::F32));
                return self.push(id);
            }
            _ if self.is_body => return,
            _ => input(InputKind::Param, DType::F32),
        };
        let mut b = Builder::new(&mut self.graph, provenance(&name));
        let mut id = b.emit(op, &[]);
        if !b.ty(id).is_float() {
            // A view of the whole numbers or truth values themselves, some of the time.
            if kind & 0x1_0000 != 0 {
                let shape = [vec![Dim::known(2)], b.shape(id).to_vec()].concat();
                let axes = (1..shape.len()).collect();
                id = b.emit(ops::Broadcast { shape, axes }, &[id]);
            }
            id = b.emit(ops::Cast { to: DType::F32 }, &[id]);
        }
        self.push(id);
    }

    fn broadcast(&mut self, x: NodeId, choice: u32) -> NodeId {
        const EXTENTS: [usize; 8] = [2, 3, 1, 4, 2, 5, 3, 40];
        let shape = self.shape(x);
        let mut count = self.count(x);
        let mut target = Vec::new();
        let mut axes = Vec::new();
        for axis in 0..=shape.len() {
            let extent = EXTENTS[(choice >> (8 + 2 * axis)) as usize % 8];
            if (choice >> axis) & 1 == 1 && count * extent <= MOST_ELEMENTS {
                target.push(extent);
                count *= extent;
            }
            if axis < shape.len() {
                axes.push(target.len());
                target.push(shape[axis]);
            }
        }
        self.emit(ops::Broadcast { shape: dims(&target), axes }, &[x])
    }

    /// The same elements under other extents.
    fn reshape(&mut self, x: NodeId, choice: u32) -> NodeId {
        let mut rest = self.count(x);
        let mut shape = Vec::new();
        let mut choice = choice;
        while rest > 1 && shape.len() < 5 {
            let divisors: Vec<usize> = (1..=rest.min(12)).filter(|divisor| rest.is_multiple_of(*divisor)).collect();
            let divisor = divisors[choice as usize % divisors.len()];
            choice = choice.rotate_right(5);
            shape.push(divisor);
            rest /= divisor;
        }
        if rest != 1 || choice & 1 == 1 {
            shape.push(rest);
        }
        self.emit(ops::Reshape { shape: dims(&shape) }, &[x])
    }

    /// Every element of an axis repeated.
    fn upsample(&mut self, x: NodeId, choice: u32) -> Option<NodeId> {
        let shape = self.shape(x);
        let axis = choice as usize % shape.len().max(1);
        let factor = 2 + (choice >> 8) as usize % 2;
        if self.count(x) * factor > MOST_ELEMENTS {
            return None;
        }
        let mut parted = shape.clone();
        let mut joined = shape.clone();
        parted.insert((axis + 1).min(shape.len()), factor);
        *joined.get_mut(axis)? *= factor;
        let axes = (0..parted.len()).filter(|other| *other != axis + 1).collect();
        let repeated = self.emit(ops::Broadcast { shape: dims(&parted), axes }, &[x]);
        Some(self.emit(ops::Reshape { shape: dims(&joined) }, &[repeated]))
    }

    /// Moves along one axis, and of all axes.
    fn layout(&mut self, x: NodeId, [what, choice]: [u32; 2]) -> Option<NodeId> {
        let shape = self.shape(x);
        let rank = shape.len();
        let axis = choice as usize % rank.max(1);
        let extent = *shape.get(axis)?;
        let part = (choice >> 8) as usize;
        let op: Op = match what % 5 {
            0 => {
                let mut permutation: Vec<usize> = (0..rank).collect();
                permutation.rotate_left(axis);
                ops::Transpose { permutation }.into()
            }
            1 => {
                let stride = 1 + part % 2;
                let start = (part / 2) % (extent + 1);
                let mut starts = vec![0; rank];
                let mut extents = shape;
                let mut strides = vec![1; rank];
                (starts[axis], strides[axis]) = (start, stride);
                extents[axis] = (extent - start).div_ceil(stride);
                ops::Slice { starts: dims(&starts), extents: dims(&extents), strides }.into()
            }
            2 => {
                let mut starts = vec![0; rank];
                let mut wide = shape;
                starts[axis] = part % 3;
                wide[axis] = extent + part % 3 + (part / 3) % 3;
                ops::Pad { starts: dims(&starts), strides: vec![1; rank], shape: dims(&wide) }.into()
            }
            3 => ops::Reverse { axes: vec![axis] }.into(),
            _ => {
                let other = self.pick_like(x, choice);
                return Some(self.emit(ops::Concat { axis }, &[x, other]));
            }
        };
        Some(self.emit(op, &[x]))
    }

    /// Element by element.
    fn pointwise(&mut self, x: NodeId, [what, choice]: [u32; 2]) -> NodeId {
        let other = self.pick_like(x, choice);
        let mut b = self.builder();
        match what % 10 {
            0 => b.emit(ops::Neg, &[x]),
            1 => b.emit(ops::Abs, &[x]),
            2 => b.emit(ops::StopGradient, &[x]),
            3 => b.emit(ops::Max, &[x, other]),
            4 => {
                let zero = b.constant_like(0.0, x);
                b.emit(ops::Max, &[zero, x])
            }
            5 => {
                // The derivative of a ReLU beside it.
                let zero = b.constant_like(0.0, x);
                let mask = b.emit(ops::Less, &[zero, x]);
                b.select(mask, other, x)
            }
            6 => {
                self.is_rounded = true;
                self.emit(ops::Tanh, &[x])
            }
            7 => {
                self.is_rounded = true;
                let mut b = self.builder();
                let half = b.constant_like(0.5, x);
                let scaled = b.mul(half, x);
                b.add2(scaled, other)
            }
            8 => b.sub(x, other),
            _ => {
                let half = b.constant_like(0.5, x);
                b.mul(x, half)
            }
        }
    }

    fn sum(&mut self, x: NodeId, choice: u32) -> NodeId {
        self.is_rounded = true;
        let rank = self.shape(x).len();
        let trailing = choice as usize % (rank + 1);
        let axes: Vec<usize> = match choice >> 8 & 1 {
            0 => (trailing..rank).collect(),
            _ => (0..rank).filter(|axis| (choice >> axis) & 1 == 1).collect(),
        };
        let sum = self.emit(ops::Sum { axes }, &[x]);
        let mut b = self.builder();
        let scale = b.constant_like(0.25, sum);
        b.mul(sum, scale)
    }

    fn step(&mut self, [what, a, b, c]: Choice) {
        let x = self.pick(a);
        let made = match what % 16 {
            0 => return self.leaf(b, c),
            1..=3 => Some(self.broadcast(x, c)),
            4 | 5 => Some(self.reshape(x, c)),
            6 | 7 => self.upsample(x, c),
            8..=10 => self.layout(x, [b, c]),
            11..=13 => Some(self.pointwise(x, [b, c])),
            14 => Some(self.sum(x, c)),
            _ if self.is_body => None,
            _ => self.scan(x, b, c),
        };
        if let Some(id) = made {
            self.push(id);
        }
    }

    /// A loop over the first axis, whose step is a chain of its own.
    fn scan(&mut self, x: NodeId, b: u32, c: u32) -> Option<NodeId> {
        let shape = self.shape(x);
        let (&length, slice) = shape.split_first()?;
        if length > 6 {
            return None;
        }
        let ty = TensorType::f32(dims(slice));
        let mut body = Chain::new(true);
        for (port, name) in ["carry", "slice", "constant"].into_iter().enumerate() {
            let mut b = Builder::new(&mut body.graph, provenance(name));
            let id = b.emit(Input { kind: InputKind::Port(port), ty: ty.clone() }, &[]);
            body.pool.push(id);
        }
        let ports = body.pool.clone();
        let mut state = b ^ c.rotate_left(9);
        for _ in 0..2 + b % 6 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state >> 3
            };
            body.step([next(), next(), next(), next()]);
        }
        let last = *body.pool.last()?;
        // The next carry: something of the chain of the carry's type, moved a little.
        let like = body.pick_like(ports[0], c >> 4);
        let carry = match c & 3 {
            0 => ports[0],
            1 => ports[1],
            _ => {
                let mut b = body.builder();
                let half = b.constant_like(0.5, like);
                let scaled = b.mul(like, half);
                b.add2(scaled, ports[1])
            }
        };
        body.graph.add_output(Role::State, "0", carry);
        body.graph.add_output(Role::Output, "1", last);
        let result = match c >> 2 & 3 {
            0 => LoopResult::Incoming(0),
            1 => LoopResult::Carry(0),
            _ => LoopResult::Stacked(0),
        };
        self.is_rounded = true;
        let first = self.slice_of(x, 0);
        let constant = self.slice_of(x, length.saturating_sub(1));
        let reverse = c & 16 != 0;
        let body = Body::new(body.graph);
        let scan = Scan { body, carries: 1, sequences: 1, length: Dim::known(length), reverse, result };
        let mut b = self.builder();
        let id = b.emit(scan.clone(), &[first, x, constant]);
        if c & 32 != 0 {
            let other = b.emit(scan.with(LoopResult::Carry(0)), &[first, x, constant]);
            self.push(other);
        }
        Some(id)
    }

    /// One slice of the first axis, or zeros where there is none.
    fn slice_of(&mut self, x: NodeId, at: usize) -> NodeId {
        let shape = self.shape(x);
        let rest = shape[1..].to_vec();
        if shape[0] == 0 {
            return self.builder().constant(0.0, &TensorType::f32(dims(&rest)));
        }
        let mut starts = vec![0; shape.len()];
        starts[0] = at;
        let extents = [vec![1], rest.clone()].concat();
        let strides = vec![1; shape.len()];
        let slice = self.emit(ops::Slice { starts: dims(&starts), extents: dims(&extents), strides }, &[x]);
        self.emit(ops::Reshape { shape: dims(&rest) }, &[slice])
    }

    /// What the program gives back: the newest values, some views among the older ones, and the next values of leaves.
    fn outputs(&mut self, choice: u32) {
        let mut nodes: Vec<NodeId> = self.pool.iter().rev().take(2).copied().collect();
        let views = self.graph.ids().filter(|id| matches!(self.graph.op(*id), Op::Broadcast(_) | Op::Reshape(_)));
        let views: Vec<NodeId> = views.collect();
        if !views.is_empty() {
            nodes.push(views[choice as usize % views.len()]);
        }
        for (i, node) in nodes.into_iter().enumerate() {
            self.graph.add_output(Role::Output, format!("y{i}"), node);
        }
        for id in self.graph.ids().collect::<Vec<_>>() {
            let Op::Input(input) = self.graph.op(id) else { continue };
            let role = match input.kind {
                InputKind::Param => Role::Param,
                InputKind::State => Role::State,
                _ => continue,
            };
            let name = self.graph.node(id).provenance.name.clone();
            let next = self.pick_like(id, choice.rotate_right(id.index() as u32));
            self.graph.add_output(role, name, next);
        }
    }

    /// The gradients of the newest value by the params, as outputs.
    fn gradients(&mut self) {
        let Some(&last) = self.pool.last() else { return };
        let axes = (0..self.graph.ty(last).rank()).collect();
        let total = self.emit(ops::Sum { axes }, &[last]);
        for id in self.graph.ids().collect::<Vec<_>>() {
            if let Op::Input(input) = self.graph.op(id)
                && input.kind == InputKind::Param
            {
                let gradient = self.emit(ops::Gradient, &[total, id]);
                self.graph.add_output(Role::Gradient, format!("d{}", id.index()), gradient);
            }
        }
        self.is_rounded = true;
        self.graph = differentiate(&self.graph);
    }
}

/// A chain, and whether nothing in it rounds, so that a plan must give every bit of the definitions.
pub fn build(choices: &[Choice]) -> (Graph, bool) {
    let mut chain = Chain::new(false);
    let first = choices.first().copied().unwrap_or_default();
    chain.leaf(first[1] & !7, first[2]);
    for choice in choices {
        chain.step(*choice);
    }
    chain.outputs(first[3]);
    if first[3] & 0x1000 != 0 {
        chain.gradients();
    }
    (chain.graph, !chain.is_rounded)
}
