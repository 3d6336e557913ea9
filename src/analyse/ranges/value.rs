//! What is known of a node's elements: each is a function of one element of one whole-number leaf, or lies between bounds.
//!
//! A node put together from several such values (`concat`) has one [`Known`] for each: all of them occur. Which elements of the
//! leaf are meant is followed through slices, reshapes and broadcasts as far as axes keep apart.

use super::sets::{FAR, Function};
use crate::ir::{DType, Dim, Shape};
use crate::ops::{BinaryCode, Broadcast, Cast, Op, Pointwise, Slice, UnaryCode};

/// Part of an axis of a leaf: the elements `start + i * stride` for `i` below `extent`; none for all of it.
pub type Stretch = Option<(usize, usize, usize)>;

/// What runs along an axis of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// an axis of the leaf
    Leaf(usize),
    /// the same elements again
    Same,
    /// elements of the leaf in an order that is not followed
    Mixed,
}

/// The elements of a leaf that a node's are functions of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// the leaf, by its place among those that are followed
    pub leaf: usize,
    pub axes: Vec<Along>,
    /// by the leaf's axes, the first of which is `batch`
    pub region: Vec<Stretch>,
}

/// Elements of which something is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    pub source: Option<Source>,
    pub function: Function,
    /// the axis along which the elements run through all whole numbers between the function's bounds
    pub sweep: Option<usize>,
}

/// What is known of a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Value {
    /// every one of these occurs; empty when nothing is known
    pub known: Vec<Known>,
    /// whether it depends on inputs or targets
    pub by_data: bool,
    /// in the body of a loop, whether it differs from step to step
    pub by_step: bool,
}

/// More parts than this are not followed.
const MOST_PARTS: usize = 16;

impl Value {
    pub fn unknown(by_data: bool, by_step: bool) -> Self {
        Self { known: Vec::new(), by_data, by_step }
    }

    pub fn between(low: f64, high: f64) -> Self {
        if low.is_nan() || high.is_nan() {
            return Self::default();
        }
        let known = Known { source: None, function: Function::between(low, high), sweep: None };
        Self { known: vec![known], ..Self::default() }
    }

    /// The one part, when there is but one.
    pub fn single(&self) -> Option<&Known> {
        match self.known.as_slice() {
            [known] => Some(known),
            _ => None,
        }
    }

    /// The one number that all elements are.
    pub fn constant(&self) -> Option<f64> {
        self.single().filter(|known| known.source.is_none()).and_then(|known| known.function.as_constant())
    }

    fn with(&self, known: Vec<Known>) -> Self {
        let known = if known.len() > MOST_PARTS { Vec::new() } else { known };
        Self { known: known.into_iter().map(Known::settled).collect(), ..*self }
    }

    /// Of all operands, nothing else known.
    pub fn mixed(operands: &[&Value]) -> Self {
        Self::unknown(operands.iter().any(|v| v.by_data), operands.iter().any(|v| v.by_step))
    }

    fn map(&self, f: impl Fn(&Function) -> Function) -> Self {
        let part = |known: &Known| Known { function: f(&known.function), source: known.source.clone(), sweep: None };
        self.with(self.known.iter().map(part).collect())
    }

    /// As [`Value::map`], for functions that keep whole numbers in a row.
    fn map_in_order(&self, f: impl Fn(&Function) -> Function) -> Self {
        let part = |known: &Known| Known { function: f(&known.function), ..known.clone() };
        self.with(self.known.iter().map(part).collect())
    }

    /// Element by element of both.
    fn zip(&self, other: &Self, keeps_order: bool, f: impl Fn(&Function, &Function) -> Function) -> Self {
        let flags = Self::mixed(&[self, other]);
        if self.known.len() > 1 && other.known.len() > 1 {
            return flags;
        }
        let mut known = Vec::new();
        for a in &self.known {
            for b in &other.known {
                known.push(joined(a, b, keeps_order, &f));
            }
        }
        flags.with(known)
    }
}

impl Known {
    /// Without a source when the value does not depend on it.
    fn settled(mut self) -> Self {
        if self.function.as_constant().is_some() {
            self.function = self.function.hull();
            self.source = None;
        }
        self
    }
}

fn joined(a: &Known, b: &Known, keeps_order: bool, f: impl Fn(&Function, &Function) -> Function) -> Known {
    let sweep = match (a.sweep, b.sweep) {
        (Some(axis), None) if keeps_order && b.source.is_none() && b.function.as_constant().is_some() => Some(axis),
        (None, Some(axis)) if keeps_order && a.source.is_none() && a.function.as_constant().is_some() => Some(axis),
        _ => None,
    };
    let width = |known: &Known| {
        let (low, high) = known.function.bounds();
        high - low
    };
    let (source, function) = match (&a.source, &b.source) {
        (None, source) | (source, None) => (source.clone(), f(&a.function, &b.function)),
        (Some(x), Some(y)) if x == y => (Some(x.clone()), f(&a.function, &b.function)),
        // Functions of two elements: of one of them the bounds are all that is kept.
        (_, Some(y)) if width(a) < width(b) => (Some(y.clone()), f(&a.function.hull(), &b.function)),
        (Some(x), _) => (Some(x.clone()), f(&a.function, &b.function.hull())),
    };
    Known { source, function, sweep }
}

/// The value of an op's result by those of its operands, with their shapes and element types.
pub(super) fn apply(op: &Op, operands: &[&Value], shapes: &[&Shape], dtypes: &[DType], result: &Shape) -> Value {
    match op {
        Op::Constant(constant) => Value::between(constant.value.0, constant.value.0),
        Op::Size(size) => size.dim.as_known().map_or_else(Value::default, |n| Value::between(n as f64, n as f64)),
        Op::Iota(iota) => match iota.ty.shape[iota.axis].as_known() {
            Some(n) if n > 0 => {
                let mut value = Value::between(0.0, n as f64 - 1.0);
                value.known[0].sweep = Some(iota.axis);
                value
            }
            _ => Value::between(0.0, FAR as f64),
        },
        // What the register machine has no operation for.
        Op::Round(_) => operands[0].map_in_order(Function::rounded),
        Op::Rem(_) => match operands[1].constant() {
            Some(divisor) => operands[0].map(|f| f.modulo(divisor)),
            None => Value::mixed(operands),
        },
        Op::Cast(Cast { to: DType::I32 }) if dtypes[0] == DType::F32 => operands[0].map_in_order(Function::rounded),
        Op::Cast(Cast { to: DType::I32 }) | Op::StopGradient(_) => operands[0].clone(),
        // Of zeros; anything else would need the number of elements.
        Op::Sum(_) if operands[0].constant() == Some(0.0) => operands[0].clone(),
        Op::Reshape(_) => operands[0].relaid(|known| reshaped(known, shapes[0], result)),
        Op::Transpose(op) => operands[0].relaid(|known| {
            let axes = |old: &[Along]| op.permutation.iter().map(|axis| old[*axis]).collect();
            let sweep = known.sweep.and_then(|axis| op.permutation.iter().position(|old| *old == axis));
            Some(known.moved(axes, sweep))
        }),
        Op::Broadcast(op) => operands[0].relaid(|known| Some(broadcast(known, op, shapes[0]))),
        Op::Slice(op) => operands[0].relaid(|known| sliced(known, op, shapes[0])),
        Op::Reverse(op) => operands[0].relaid(|known| {
            let reverse = |(axis, along): (usize, &Along)| match along {
                Along::Leaf(_) if op.axes.contains(&axis) => Along::Mixed,
                along => *along,
            };
            Some(known.moved(|old| old.iter().enumerate().map(reverse).collect(), known.sweep))
        }),
        Op::Concat(op) => concat(operands, op.axis),
        Op::ByMode(_) => concat(operands, usize::MAX),
        op => match op.pointwise() {
            Some(pointwise) => computed(&pointwise, operands, dtypes[0] == DType::I32),
            None => Value::mixed(operands),
        },
    }
}

/// The value of an expression of the register machine; `of_ints`: whether quotients are rounded.
fn computed(pointwise: &Pointwise, operands: &[&Value], of_ints: bool) -> Value {
    let of = |part: &Pointwise| computed(part, operands, of_ints);
    match pointwise {
        Pointwise::Operand(slot) => operands[*slot].clone(),
        Pointwise::Number(number) => Value::between(*number, *number),
        Pointwise::Unary(code, x) => unary(*code, &of(x)),
        // Only NaN differs from itself, and of NaN nothing is known here.
        Pointwise::Binary(BinaryCode::NotEqual, [x, y]) if x == y => Value::mixed(operands),
        Pointwise::Binary(code, [x, y]) => binary(*code, &of(x), &of(y), of_ints),
        Pointwise::Select([mask, then, otherwise]) => select(&[&of(mask), &of(then), &of(otherwise)]),
    }
}

fn unary(code: UnaryCode, x: &Value) -> Value {
    match code {
        UnaryCode::Neg => x.map_in_order(Function::neg),
        UnaryCode::Abs => x.map(|f| f.choose(&f.neg(), true)),
        UnaryCode::Floor => x.map_in_order(Function::rounded),
        UnaryCode::Not => x.map(|f| Function::between(1.0, 1.0).add(&f.neg())),
        // Of what is not linear nothing is followed.
        _ => Value::mixed(&[x]),
    }
}

fn binary(code: BinaryCode, x: &Value, y: &Value, of_ints: bool) -> Value {
    let compared = |signs: &[i8]| x.zip(y, false, |a, b| a.compare(b, signs));
    match code {
        BinaryCode::Add => x.zip(y, true, Function::add),
        BinaryCode::Sub => x.zip(y, true, |a, b| a.add(&b.neg())),
        BinaryCode::Mul => x.zip(y, false, Function::mul),
        BinaryCode::Div => match y.constant() {
            Some(divisor) if of_ints => x.map(|f| f.divided_by(divisor).rounded()),
            Some(divisor) => x.map(|f| f.divided_by(divisor)),
            None => Value::mixed(&[x, y]),
        },
        BinaryCode::Max | BinaryCode::Or => x.zip(y, false, |a, b| a.choose(b, true)),
        BinaryCode::Min | BinaryCode::And => x.zip(y, false, |a, b| a.choose(b, false)),
        BinaryCode::Equal => compared(&[0]),
        BinaryCode::NotEqual => compared(&[-1, 1]),
        BinaryCode::Less => compared(&[-1]),
        BinaryCode::LessEqual => compared(&[-1, 0]),
        BinaryCode::Pow => Value::mixed(&[x, y]),
    }
}

fn select(operands: &[&Value]) -> Value {
    let flags = Value::mixed(operands);
    let (Some(condition), Some(then), Some(otherwise)) =
        (operands[0].single(), operands[1].single(), operands[2].single())
    else {
        return flags;
    };
    // The branches beside one another first, then the condition over both: each step keeps one source.
    let sources: Vec<&Source> =
        [condition, then, otherwise].into_iter().filter_map(|known| known.source.as_ref()).collect();
    if sources.windows(2).any(|pair| pair[0] != pair[1]) {
        return flags;
    }
    let function = condition.function.select(&then.function, &otherwise.function);
    flags.with(vec![Known { source: sources.first().map(|source| (*source).clone()), function, sweep: None }])
}

fn concat(operands: &[&Value], axis: usize) -> Value {
    let flags = Value::mixed(operands);
    if operands.iter().any(|operand| operand.known.is_empty()) {
        return flags;
    }
    let mut known: Vec<Known> = Vec::new();
    for part in operands.iter().flat_map(|operand| &operand.known) {
        let mix = |(at, along): (usize, &Along)| if at == axis { Along::Mixed } else { *along };
        let part = part.moved(|old| old.iter().enumerate().map(mix).collect(), None);
        if !known.contains(&part) {
            known.push(part);
        }
    }
    flags.with(known)
}

impl Value {
    /// Every part laid out anew; nothing is known when one cannot be followed.
    fn relaid(&self, f: impl Fn(&Known) -> Option<Known>) -> Self {
        self.with(self.known.iter().map(f).collect::<Option<Vec<Known>>>().unwrap_or_default())
    }
}

impl Known {
    fn moved(&self, axes: impl Fn(&[Along]) -> Vec<Along>, sweep: Option<usize>) -> Self {
        let source = self.source.as_ref().map(|source| Source { axes: axes(&source.axes), ..source.clone() });
        Self { source, function: self.function.clone(), sweep }
    }

    /// In the body of a loop: a slice of the sequence.
    pub fn slice_of_steps(&self) -> Self {
        self.moved(|old| old.get(1..).unwrap_or_default().to_vec(), self.sweep.and_then(|axis| axis.checked_sub(1)))
    }
}

fn reshaped(known: &Known, from: &Shape, to: &Shape) -> Option<Known> {
    // The axes of more than one element, in order, where they are the same before and after.
    let long = |shape: &Shape| -> Vec<usize> { (0..shape.len()).filter(|axis| !shape[*axis].is_one()).collect() };
    let (old, new) = (long(from), long(to));
    let keeps = old.len() == new.len() && old.iter().zip(&new).all(|(a, b)| from[*a] == to[*b]);
    let axes = |along: &[Along]| {
        let mut axes = vec![Along::Same; to.len()];
        for (at, axis) in new.iter().enumerate() {
            axes[*axis] = if keeps { along[old[at]] } else { Along::Mixed };
        }
        // An axis of one element that the leaf has is still its axis.
        for axis in 0..to.len() {
            if from.len() == to.len() && from[axis].is_one() && to[axis].is_one() && keeps {
                axes[axis] = along[axis];
            }
        }
        axes
    };
    let sweep = known.sweep.filter(|_| keeps).and_then(|axis| old.iter().position(|a| *a == axis)).map(|at| new[at]);
    if known.source.is_some() || keeps || known.function.as_constant().is_some() {
        return Some(known.moved(axes, sweep));
    }
    Some(Known { sweep: None, ..known.clone() })
}

fn broadcast(known: &Known, op: &Broadcast, from: &Shape) -> Known {
    let axes = |old: &[Along]| {
        let mut axes = vec![Along::Same; op.shape.len()];
        for (at, axis) in op.axes.iter().enumerate() {
            axes[*axis] =
                if from[at] == op.shape[*axis] { old.get(at).copied().unwrap_or(Along::Same) } else { Along::Same };
        }
        axes
    };
    known.moved(axes, known.sweep.map(|axis| op.axes[axis]))
}

fn sliced(known: &Known, op: &Slice, from: &Shape) -> Option<Known> {
    let is_whole = |axis: usize| op.starts[axis].is_zero() && op.strides[axis] == 1 && op.extents[axis] == from[axis];
    let cut: Vec<usize> = (0..from.len()).filter(|axis| !is_whole(*axis)).collect();
    let mut known = known.clone();
    known.sweep = known.sweep.filter(|axis| !cut.contains(axis));
    let Some(source) = &mut known.source else { return Some(known) };
    for axis in cut {
        let Along::Leaf(leaf) = source.axes[axis] else {
            if source.axes[axis] == Along::Same {
                continue;
            }
            return None;
        };
        // Samples are not told apart.
        let known_dim = |dim: &Dim| dim.as_known();
        let (Some(start), Some(extent), true) = (known_dim(&op.starts[axis]), known_dim(&op.extents[axis]), leaf > 0)
        else {
            return None;
        };
        let (first, _, stride) = source.region[leaf].unwrap_or((0, 0, 1));
        source.region[leaf] = Some((first + start * stride, extent, stride * op.strides[axis]));
    }
    Some(known)
}
