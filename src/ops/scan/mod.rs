//! A loop over time: `carry, stacked[t] = body(carry, slices[t], constants)` for `t = 0..length`, or from the far end.
//!
//! Operands: the first carries, then sequences `T[length, ...]`, then constants; the body's ports stand in the same order, a
//! slice for each sequence. The body's outputs are the next carries, then what is stacked. A node yields one result of the
//! loop: a last carry, one of the stacked outputs `T[length, ...]`, or a carry as it entered each step `T[length, ...]`. Nodes
//! that differ in the result only are one loop, and the planner runs it once.
//! Constraints: (C1) an operand for each port, of its type; (C2) sequences have `length` slices; (C3) the next carry has the
//! carry's type; (C4) carries and stacked outputs are f32 or i32; (C5) the result exists.
//! Gradient: a loop in the other direction, whose body computes the step again from the carries as they entered it, and
//! then its gradient (`derivative`). It carries the cotangents of the carries and sums of those of the constants. So the op
//! is closed under differentiation, and a gradient of a gradient is a loop too.
//! Numerics: those of the body. Without a step (length 0) the last carry is the first.

mod body;
mod bounds;
pub(crate) mod derivative;
mod narrow;

pub use body::Body;
pub(crate) use body::Draft;
pub(crate) use narrow::{emit_loop, output_role};

use crate::ops::prelude::*;
use crate::ops::{InputKind, Op, reference};
use ndarray::{ArrayD, Axis, IxDyn};

/// What a node of a loop yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoopResult {
    /// a carry after the last step
    Carry(usize),
    /// an output of every step along a new first axis
    Stacked(usize),
    /// a carry as it entered every step, along a new first axis
    Incoming(usize),
}

impl std::fmt::Display for LoopResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Carry(carry) => write!(f, "carry {carry}"),
            Self::Stacked(output) => write!(f, "stacked {output}"),
            Self::Incoming(carry) => write!(f, "incoming {carry}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Scan {
    pub body: Body,
    /// how many operands are carries
    pub carries: usize,
    /// how many operands after them are sequences
    pub sequences: usize,
    /// the number of steps
    pub length: Dim,
    /// from the last slice to the first
    pub reverse: bool,
    pub result: LoopResult,
}

/// What an operand is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperandKind {
    Carry,
    Sequence,
    Constant,
}

impl Scan {
    pub fn with(&self, result: LoopResult) -> Self {
        Self { result, ..self.clone() }
    }

    /// The op without the result: equal for the nodes of one loop.
    pub fn loop_key(&self) -> Self {
        self.with(LoopResult::Carry(0))
    }

    pub fn kind(&self, slot: usize) -> OperandKind {
        match slot {
            slot if slot < self.carries => OperandKind::Carry,
            slot if slot < self.carries + self.sequences => OperandKind::Sequence,
            _ => OperandKind::Constant,
        }
    }

    /// The number of outputs that are stacked.
    pub fn n_stacked(&self) -> usize {
        self.body.n_outputs().saturating_sub(self.carries)
    }

    /// The carries that a result depends on after any number of steps and the ports it depends on; with `open`, along
    /// differentiable paths.
    pub(crate) fn closure(&self, results: &[LoopResult], open: bool) -> (Vec<bool>, Vec<bool>) {
        let mut carries = vec![false; self.carries];
        let mut ports = Vec::new();
        let mut stack: Vec<usize> = Vec::new();
        for result in results {
            match result {
                LoopResult::Carry(carry) | LoopResult::Incoming(carry) => {
                    if !std::mem::replace(&mut carries[*carry], true) {
                        stack.push(*carry);
                    }
                }
                LoopResult::Stacked(output) => stack.push(self.carries + output),
            }
        }
        while let Some(output) = stack.pop() {
            for port in self.body.reached(output, open) {
                ports.resize(ports.len().max(port + 1), false);
                ports[port] = true;
                if port < self.carries && !std::mem::replace(&mut carries[port], true) {
                    stack.push(port);
                }
            }
        }
        (carries, ports)
    }

    /// Whether the result depends on the operand at `slot`.
    pub fn reads(&self, slot: usize) -> bool {
        let (carries, ports) = self.closure(&[self.result], false);
        if slot < self.carries { carries[slot] } else { ports.get(slot).copied().unwrap_or(false) }
    }

    /// Whether a gradient of the result reaches the operand at `slot`.
    fn is_open(&self, slot: usize) -> bool {
        let (_, ports) = self.closure(&[self.result], true);
        if ports.get(slot).copied().unwrap_or(false) {
            return true;
        }
        // The first carry is the first that enters, and the last one where there is no step.
        let may_be_empty = self.length.as_known().is_none_or(|length| length == 0);
        let is_float = |carry: usize| self.body.graph().ty(self.body.output(carry)).is_float();
        match self.result {
            LoopResult::Carry(carry) => carry == slot && may_be_empty && is_float(carry),
            LoopResult::Incoming(carry) => carry == slot && is_float(carry),
            LoopResult::Stacked(_) => false,
        }
    }

    /// The type of what an operand hands to a step.
    fn port_type(&self, slot: usize, operand: &TensorType) -> Result<TensorType, OpError> {
        if self.kind(slot) != OperandKind::Sequence {
            return Ok(operand.clone());
        }
        match operand.shape.split_first() {
            Some((length, rest)) if *length == self.length => Ok(TensorType::new(operand.dtype, rest.to_vec())),
            _ => Err(OpError::shape(format!("scan over {} steps cannot read {operand} (C2)", self.length))),
        }
    }

    fn stacked(&self, ty: &TensorType) -> TensorType {
        let shape: Shape = std::iter::once(self.length.clone()).chain(ty.shape.iter().cloned()).collect();
        TensorType::new(ty.dtype, shape)
    }
}

impl Primitive for Scan {
    const NAME: &'static str = "scan";
    primitive!(kernel, mixing);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let (graph, n_outputs) = (self.body.graph(), self.body.n_outputs());
        let given = self.carries.checked_add(self.sequences);
        if given.is_none_or(|given| operands.len() < given) || n_outputs < self.carries || self.length.is_negative() {
            return Err(OpError::constraint(format!(
                "scan over {} steps with {} carries and {} sequences has {} operands and {n_outputs} outputs (C1)",
                self.length,
                self.carries,
                self.sequences,
                operands.len()
            )));
        }
        let mut types = Vec::with_capacity(operands.len());
        for (slot, operand) in operands.iter().enumerate() {
            types.push(self.port_type(slot, operand)?);
        }
        for (port, id) in self.body.ports() {
            if types.get(port) != Some(graph.ty(id)) {
                return Err(OpError::shape(format!("port {port} of a scan is {}, not its operand (C1)", graph.ty(id))));
            }
        }
        for (carry, ty) in types[..self.carries].iter().enumerate() {
            let next = graph.ty(self.body.output(carry));
            if next != ty {
                return Err(OpError::shape(format!("carry {carry} of a scan is {ty}, the next one {next} (C3)")));
            }
        }
        if graph.outputs.iter().any(|output| graph.ty(output.node).dtype == DType::Bool) {
            return Err(OpError::dtype("a scan carries and stacks f32 and i32 (C4)")
                .with_help("`f32(x)` makes floats of bools, `x != 0` bools of floats"));
        }
        let missing = || OpError::constraint(format!("a scan has no {} (C5)", self.result));
        match self.result {
            LoopResult::Carry(carry) => types[..self.carries].get(carry).cloned().ok_or_else(missing),
            LoopResult::Incoming(carry) => {
                types[..self.carries].get(carry).map(|ty| self.stacked(ty)).ok_or_else(missing)
            }
            LoopResult::Stacked(output) if output < self.n_stacked() => {
                Ok(self.stacked(graph.ty(self.body.output(self.carries + output))))
            }
            LoopResult::Stacked(_) => Err(missing()),
        }
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("carries", self.carries.to_string()),
            ("sequences", self.sequences.to_string()),
            ("length", self.length.to_string()),
        ];
        if self.reverse {
            attributes.push(("reverse", "true".to_string()));
        }
        attributes.push(("result", self.result.to_string()));
        attributes
    }

    fn flow(&self, slot: usize) -> Flow {
        if self.is_open(slot) {
            Flow::Differentiable
        } else if self.body.stop().is_some() && self.reads(slot) {
            Flow::Stopped
        } else {
            Flow::Zero
        }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let mut wanted = vec![false; site.operands.len()];
        wanted[slot] = true;
        let parts = derivative::pullback(b, self, site.operands, &[(self.result, cotangent)], &wanted);
        parts[slot].unwrap_or_else(|| b.zeros_like(site.operands[slot]))
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        derivative::pushforward(b, self, site.operands, tangent, slot).unwrap_or_else(|| b.zeros_like(site.result))
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (steps, slots) = self.narrowed(&[self.result]);
        let length = steps.length.as_known().expect("internal: evaluation of a bound loop");
        let operands: Vec<&Tensor<T>> = slots.iter().map(|slot| operands[*slot]).collect();
        let mut carries: Vec<Tensor<T>> = operands[..steps.carries].iter().map(|carry| (*carry).clone()).collect();
        let mut rows: Vec<Option<Tensor<T>>> = vec![None; length];
        let graph = steps.body.graph();
        for step in 0..length {
            let time = if steps.reverse { length - 1 - step } else { step };
            let port = |id: NodeId| match graph.op(id) {
                Op::Input(input) => match input.kind {
                    InputKind::Port(port) if port < steps.carries => carries[port].clone(),
                    InputKind::Port(port) if port < steps.carries + steps.sequences => row(operands[port], time),
                    InputKind::Port(port) => operands[port].clone(),
                    kind => panic!("internal: a {} leaf in the body of a loop", kind.as_str()),
                },
                op => panic!("internal: {} is not a leaf", op.name()),
            };
            let mut outputs = reference::evaluate(graph, port);
            let stacked = outputs.split_off(steps.carries);
            rows[time] = match steps.result {
                LoopResult::Carry(_) => None,
                LoopResult::Incoming(carry) => Some(carries[carry].clone()),
                LoopResult::Stacked(output) => stacked.into_iter().nth(output),
            };
            carries = outputs;
        }
        match steps.result {
            LoopResult::Carry(carry) => carries.swap_remove(carry),
            _ => stack(rows.into_iter().flatten(), result),
        }
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { body: self.body.bind(sizes), length: self.length.bind(sizes), ..self.clone() }
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        bounds::bounds(self, ranges)
    }

    fn work(&self, _extents: Extents<'_>) -> Work<'_> {
        Work::Loop { body: self.body.graph(), length: &self.length }
    }
}

/// `x[time]`
fn row<T: Element>(x: &Tensor<T>, time: usize) -> Tensor<T> {
    match x {
        Tensor::Float(x) => Tensor::Float(x.index_axis(Axis(0), time).to_owned()),
        Tensor::Int(x) => Tensor::Int(x.index_axis(Axis(0), time).to_owned()),
        Tensor::Bool(x) => Tensor::Bool(x.index_axis(Axis(0), time).to_owned()),
    }
}

/// Rows along a new first axis.
fn stack<T: Element>(rows: impl Iterator<Item = Tensor<T>>, ty: &TensorType) -> Tensor<T> {
    let shape = IxDyn(&super::tensor::extents(ty));
    let fits = "internal: a row for each step";
    match ty.dtype {
        DType::F32 => {
            let values = rows.flat_map(|row| row.float().iter().copied().collect::<Vec<_>>()).collect();
            Tensor::Float(ArrayD::from_shape_vec(shape, values).expect(fits))
        }
        DType::I32 => {
            let values = rows.flat_map(|row| row.int().iter().copied().collect::<Vec<_>>()).collect();
            Tensor::Int(ArrayD::from_shape_vec(shape, values).expect(fits))
        }
        DType::Bool => {
            let values = rows.flat_map(|row| row.bool().iter().copied().collect::<Vec<_>>()).collect();
            Tensor::Bool(ArrayD::from_shape_vec(shape, values).expect(fits))
        }
    }
}
