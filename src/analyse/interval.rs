//! Between which bounds the elements of every node lie: forward interval arithmetic over a graph.
//!
//! Takes a graph and the bounds of chosen nodes (params by their constraints, losses by what is assumed of them); gives
//! bounds for all. Sound for finite values: 0 times an unknown value is 0. Coarse where an op mixes many elements. Two
//! operands known to be the same value are seen as such, so `x * x` is not negative and `x / x` is 1; a sum over an axis
//! of extent 1 is its operand.

use crate::ir::{DType, Dim, Graph, NodeId, TensorType};
use crate::ops::{Distribution, InputKind, Op};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What a run-time dim is taken to be. Signs do not depend on it, and a number keeps terms comparable that are divided by
/// the same size: `1/n - w/n` is seen to be at least 0 for w up to 1. A power of two, so that quotients are exact.
const SOME_SIZE: usize = 8;

/// Closed bounds; infinite where unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub const ALL: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY };
    pub const NOT_NEGATIVE: Self = Self { low: 0.0, high: f64::INFINITY };
    pub const UNIT: Self = Self { low: 0.0, high: 1.0 };
    pub const ZERO: Self = Self { low: 0.0, high: 0.0 };

    /// Bounds in order; what is not a number becomes unknown.
    pub fn new(low: f64, high: f64) -> Self {
        Self {
            low: if low.is_nan() { f64::NEG_INFINITY } else { low },
            high: if high.is_nan() { f64::INFINITY } else { high },
        }
    }

    pub fn point(value: f64) -> Self {
        Self::new(value, value)
    }

    pub fn is_point(self) -> bool {
        self.low == self.high && self.low.is_finite()
    }

    pub fn is_zero(self) -> bool {
        self == Self::ZERO
    }

    pub fn hull(self, other: Self) -> Self {
        Self::new(self.low.min(other.low), self.high.max(other.high))
    }

    fn add(self, other: Self) -> Self {
        Self::new(self.low + other.low, self.high + other.high)
    }

    fn neg(self) -> Self {
        Self::new(-self.high, -self.low)
    }

    fn mul(self, other: Self) -> Self {
        let product = |a: f64, b: f64| if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
        let corners = [
            product(self.low, other.low),
            product(self.low, other.high),
            product(self.high, other.low),
            product(self.high, other.high),
        ];
        Self::new(
            corners.iter().copied().fold(f64::INFINITY, f64::min),
            corners.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    fn reciprocal(self) -> Self {
        if self.low >= 0.0 {
            Self::new(1.0 / self.high, if self.low == 0.0 { f64::INFINITY } else { 1.0 / self.low })
        } else if self.high <= 0.0 {
            self.neg().reciprocal().neg()
        } else {
            Self::ALL
        }
    }

    fn div(self, other: Self) -> Self {
        if self.is_zero() { self } else { self.mul(other.reciprocal()) }
    }

    fn square(self) -> Self {
        let (low, high) = (self.low.abs(), self.high.abs());
        let least = if self.low <= 0.0 && self.high >= 0.0 { 0.0 } else { low.min(high) };
        Self::new(least * least, low.max(high).powi(2))
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(f(self.low), f(self.high))
    }

    fn pow(self, exponent: Self) -> Self {
        if !exponent.is_point() {
            return if self.low >= 0.0 { Self::NOT_NEGATIVE } else { Self::ALL };
        }
        let e = exponent.low;
        match e {
            0.0 => Self::point(1.0),
            e if self.low >= 0.0 && e > 0.0 => self.map(|x| x.powf(e)),
            e if self.low >= 0.0 => self.map(|x| x.powf(-e)).reciprocal(),
            e if e % 2.0 == 0.0 => Self::NOT_NEGATIVE,
            _ => Self::ALL,
        }
    }

    /// The sum of so many elements.
    fn sum(self, count: Option<usize>) -> Self {
        match count {
            Some(count) => self.mul(Self::point(count as f64)),
            // At least one element, and no more is known.
            None => self.hull(self.mul(Self::new(1.0, f64::INFINITY))),
        }
    }

    /// A sum of products of the elements of both.
    fn products(self, other: Self) -> Self {
        let product = self.mul(other);
        Self::new(
            if product.low >= 0.0 { 0.0 } else { f64::NEG_INFINITY },
            if product.high <= 0.0 { 0.0 } else { f64::INFINITY },
        )
    }
}

/// The bounds of every node. `known` gives those of leaves, and of other nodes where more is known than follows.
pub fn intervals(graph: &Graph, known: &BTreeMap<NodeId, Interval>) -> Vec<Interval> {
    Intervals::new(graph).given(known)
}

/// The bounds of one graph's nodes under several assumptions.
#[derive(Debug)]
pub struct Intervals<'g> {
    graph: &'g Graph,
    /// for each node the first that has the same values
    same: Vec<NodeId>,
}

impl<'g> Intervals<'g> {
    pub fn new(graph: &'g Graph) -> Self {
        Self { graph, same: same_values(graph) }
    }

    /// The bounds of every node where some are `known`.
    pub fn given(&self, known: &BTreeMap<NodeId, Interval>) -> Vec<Interval> {
        let mut bounds: Vec<Interval> = Vec::with_capacity(self.graph.len());
        for id in self.graph.ids() {
            let interval = match known.get(&id) {
                Some(interval) => *interval,
                None => of_node(self.graph, id, &bounds, &self.same),
            };
            bounds.push(interval);
        }
        bounds
    }
}

fn of_node(graph: &Graph, id: NodeId, bounds: &[Interval], same: &[NodeId]) -> Interval {
    let operands = graph.operands(id);
    let at = |slot: usize| bounds[operands[slot].index()];
    let equal = || same[operands[0].index()] == same[operands[1].index()];
    match graph.op(id) {
        Op::Input(input) => match input.kind {
            InputKind::Step | InputKind::Epoch => Interval::NOT_NEGATIVE,
            InputKind::EpochEnd => Interval::UNIT,
            _ if graph.ty(id).dtype == DType::Bool => Interval::UNIT,
            _ => Interval::ALL,
        },
        Op::Constant(constant) => Interval::point(constant.value.0),
        Op::Size(size) => Interval::point(size.dim.as_known().unwrap_or(SOME_SIZE) as f64),
        Op::Iota(_) | Op::ArgMax(_) => Interval::NOT_NEGATIVE,
        Op::Random(random) if random.distribution == Distribution::Uniform => Interval::UNIT,
        Op::Neg(_) => at(0).neg(),
        Op::Add(_) => at(0).add(at(1)),
        Op::Sub(_) if equal() => Interval::ZERO,
        Op::Sub(_) => at(0).add(at(1).neg()),
        Op::Mul(_) if equal() => at(0).square(),
        Op::Mul(_) => at(0).mul(at(1)),
        Op::Div(_) if equal() => Interval::point(1.0),
        Op::Div(_) => at(0).div(at(1)),
        Op::Pow(_) => at(0).pow(at(1)),
        Op::Max(_) => Interval::new(at(0).low.max(at(1).low), at(0).high.max(at(1).high)),
        Op::Min(_) => Interval::new(at(0).low.min(at(1).low), at(0).high.min(at(1).high)),
        Op::Less(_) | Op::LessEqual(_) | Op::Equal(_) | Op::And(_) | Op::Or(_) | Op::Not(_) => Interval::UNIT,
        Op::Select(_) => at(1).hull(at(2)),
        Op::Cast(cast) if cast.to == DType::Bool => Interval::UNIT,
        Op::Cast(cast) if cast.to == DType::I32 => at(0).map(f64::trunc),
        Op::Sum(sum) => at(0).sum(count(&graph.ty(operands[0]).shape, &sum.axes)),
        Op::Concat(_) => (1..operands.len()).fold(at(0), |hull, slot| hull.hull(at(slot))),
        Op::Pad(_) => at(0).hull(Interval::ZERO),
        Op::MatMul(_) | Op::Convolution(_) => at(0).products(at(1)),
        Op::Softmax(_) => Interval::UNIT,
        Op::LogSoftmax(_) => Interval::new(f64::NEG_INFINITY, 0.0),
        // At least the largest element, which is at least the least.
        Op::LogSumExp(_) => Interval::new(at(0).low, f64::INFINITY),
        Op::CumulativeSum(_) => at(0).sum(None).hull(at(0)),
        Op::Product(_) if at(0).low >= 0.0 => Interval::NOT_NEGATIVE,
        Op::ByMode(_) => at(0).hull(at(1)),
        Op::IsNan(_) => Interval::UNIT,
        Op::SimplexQp(_) => Interval::UNIT,
        Op::Cast(_)
        | Op::MaxReduce(_)
        | Op::Gather(_)
        | Op::TakeAlong(_)
        | Op::Sort(_)
        | Op::Reverse(_)
        | Op::Broadcast(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::StopGradient(_) => at(0),
        op => unary(op, || at(0)),
    }
}

/// The functions of one float; anything else is unknown.
fn unary(op: &Op, x: impl Fn() -> Interval) -> Interval {
    match op {
        Op::Abs(_) => {
            let x = x();
            let least = if x.low <= 0.0 && x.high >= 0.0 { 0.0 } else { x.low.abs().min(x.high.abs()) };
            Interval::new(least, x.low.abs().max(x.high.abs()))
        }
        Op::Sign(_) => x().map(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        Op::Exp(_) => x().map(f64::exp),
        Op::Expm1(_) => x().map(f64::exp_m1),
        Op::Log(_) => x().map(|x| x.max(0.0).ln()),
        Op::Log1p(_) => x().map(|x| x.max(-1.0).ln_1p()),
        Op::Sqrt(_) => x().map(|x| x.max(0.0).sqrt()),
        Op::Rsqrt(_) => {
            let root = x().map(|x| x.max(0.0).sqrt());
            root.reciprocal()
        }
        Op::Sin(_) | Op::Cos(_) => Interval::new(-1.0, 1.0),
        Op::Tanh(_) => x().map(f64::tanh),
        Op::Sigmoid(_) => x().map(|x| 1.0 / (1.0 + (-x).exp())),
        Op::Softplus(_) => x().map(|x| if x == f64::INFINITY { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() }),
        Op::Erf(_) => x().map(libm::erf),
        Op::Floor(_) => x().map(f64::floor),
        Op::Ceil(_) => x().map(f64::ceil),
        Op::Round(_) => x().map(f64::round_ties_even),
        Op::Atan(_) => x().map(f64::atan),
        Op::Sinh(_) => x().map(f64::sinh),
        Op::Asinh(_) => x().map(f64::asinh),
        _ => Interval::ALL,
    }
}

/// The number of elements along axes, where it is known.
fn count(shape: &[Dim], axes: &[usize]) -> Option<usize> {
    axes.iter().try_fold(1usize, |product, axis| {
        let extent = shape[*axis].as_known().or(shape[*axis].as_symbol().map(|_| SOME_SIZE));
        extent.map(|n| product.saturating_mul(n))
    })
}

/// For each node the first node that has the same elements in the same order.
fn same_values(graph: &Graph) -> Vec<NodeId> {
    let mut first: Vec<NodeId> = Vec::with_capacity(graph.len());
    let mut seen: FxHashMap<(Op, TensorType, Vec<NodeId>), NodeId> = FxHashMap::default();
    for id in graph.ids() {
        let operands: Vec<NodeId> = graph.operands(id).into_iter().map(|operand| first[operand.index()]).collect();
        let elements = |id: NodeId| crate::ir::element_count(&graph.ty(id).shape);
        let op = graph.op(id);
        let passes = match op {
            Op::StopGradient(_) | Op::Reshape(_) => true,
            Op::Sum(_) | Op::Broadcast(_) | Op::Concat(_) => {
                operands.len() == 1 && elements(id) == elements(graph.operands(id)[0])
            }
            Op::Div(_) => matches!(graph.op(operands[1]), Op::Constant(constant) if constant.value.0 == 1.0),
            _ => false,
        };
        let is_leaf = matches!(op, Op::Input(_) | Op::Random(_) | Op::Gradient(_));
        first.push(if passes {
            operands[0]
        } else if is_leaf {
            id
        } else {
            *seen.entry((op.clone(), graph.ty(id).clone(), operands)).or_insert(id)
        });
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_holds_its_bounds() {
        let unit = Interval::UNIT;
        assert_eq!(Interval::point(1.0).add(unit.neg()), unit);
        assert_eq!(unit.mul(Interval::ALL), Interval::ALL);
        assert_eq!(Interval::ZERO.mul(Interval::ALL), Interval::ZERO);
        assert_eq!(Interval::point(1.0).div(Interval::NOT_NEGATIVE), Interval::NOT_NEGATIVE);
        assert_eq!(Interval::point(1.0).div(Interval::ALL), Interval::ALL);
        assert_eq!(Interval::new(-2.0, 1.0).square(), Interval::new(0.0, 4.0));
        assert_eq!(Interval::new(-2.0, -1.0).square(), Interval::new(1.0, 4.0));
        assert_eq!(Interval::NOT_NEGATIVE.sum(None), Interval::NOT_NEGATIVE);
        assert_eq!(Interval::point(2.0).sum(Some(3)), Interval::point(6.0));
        assert_eq!(Interval::ALL.map(f64::exp), Interval::NOT_NEGATIVE);
        assert_eq!(Interval::new(-1.0, 2.0).pow(Interval::point(2.0)), Interval::NOT_NEGATIVE);
    }
}
