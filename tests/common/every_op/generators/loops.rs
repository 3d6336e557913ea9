//! Loops, whose bodies are grown like any graph, from the values of their first step.

use crate::common::every_op::growth::{Draws, Entry, Growth};
use crate::common::every_op::values::Values;
use crate::common::random_graph::provenance;
use anabranch::ir::{Builder, DType, Role, TensorType};
use anabranch::ops::scan::Body;
use anabranch::ops::{self, InputKind, LoopResult, Op, Scan, Tensor};
use ndarray::Axis;

/// What has a value of its own in a body: no leaves, no loops within, nothing of training alone.
fn is_of_a_body(name: &str) -> bool {
    !matches!(
        name,
        "input"
            | "size"
            | "random"
            | "scan"
            | "by_mode"
            | "gradient"
            | "directed"
            | "solve"
            | "eigh"
            | "pinv"
            | "simplex_qp"
            | "nonneg_qp"
            | "cholesky"
            | "triangular_solve"
            | "orthonormal"
    )
}

fn first(value: &Values) -> Values {
    match value {
        Tensor::Float(x) => Tensor::Float(x.index_axis(Axis(0), 0).to_owned()),
        Tensor::Int(x) => Tensor::Int(x.index_axis(Axis(0), 0).to_owned()),
        Tensor::Bool(x) => Tensor::Bool(x.index_axis(Axis(0), 0).to_owned()),
    }
}

/// Ports of one or two carries, the slices of up to two sequences, and up to one constant.
struct Operands {
    all: Vec<Entry>,
    carries: usize,
    sequences: usize,
}

fn operands(g: &mut Growth, draws: &mut Draws) -> Option<Operands> {
    let first = g.float_of_rank(draws, 1);
    let length = g.shape(&first)[0].clone();
    let mut sequences = vec![first];
    if draws.flag() {
        let numbers = |ty: &TensorType| ty.dtype != DType::Bool && ty.rank() > 0 && ty.shape[0] == length;
        sequences.push(g.pick(draws, numbers, |_| TensorType::f32(vec![length.clone()])));
    }
    let slice = TensorType::f32(g.shape(&sequences[0])[1..].to_vec());
    let mut carries = vec![g.like(draws, &slice)];
    if draws.flag() {
        carries.push(g.float(draws));
    }
    let (n_carries, n_sequences) = (carries.len(), sequences.len());
    let constants = if draws.flag() { vec![g.float(draws)] } else { vec![] };
    Some(Operands { all: [carries, sequences, constants].concat(), carries: n_carries, sequences: n_sequences })
}

pub fn grow(g: &mut Growth, draws: &mut Draws) -> Option<Entry> {
    if g.is_body {
        return None;
    }
    let operands = operands(g, draws)?;
    let length = g.shape(&operands.all[operands.carries])[0].clone();
    let is_sequence = |slot: usize| (operands.carries..operands.carries + operands.sequences).contains(&slot);
    let mut body = Growth::new(2);
    (body.sizes, body.is_body) = (g.sizes.clone(), true);
    for (slot, operand) in operands.all.iter().enumerate() {
        let mut ty = g.ty(operand);
        let mut values = [operand.exact.clone(), operand.noisy.clone()];
        if is_sequence(slot) {
            ty.shape.remove(0);
            values = values.map(|value| first(&value));
        }
        let mut b = Builder::new(&mut body.graph, provenance(&format!("port{slot}")));
        let id = b.emit(ops::Input { kind: InputKind::Port(slot), ty }, &[]);
        let [exact, noisy] = values;
        body.pool.push(Entry { id, exact, noisy });
    }
    for _ in 0..3 + draws.below(6) {
        let name = Op::NAMES[draws.below(Op::NAMES.len())];
        if is_of_a_body(name) {
            body.step(name, draws.below(usize::MAX) as u64);
        }
    }
    let n_stacked = close(&mut body, operands.carries, draws)?;
    let scan = Scan {
        body: Body::new(body.graph),
        carries: operands.carries,
        sequences: operands.sequences,
        length,
        reverse: draws.flag(),
        result: LoopResult::Carry(0),
    };
    let all: Vec<&Entry> = operands.all.iter().collect();
    let mut results: Vec<LoopResult> = (0..operands.carries).map(LoopResult::Carry).collect();
    results.extend((0..n_stacked).map(LoopResult::Stacked));
    results.push(LoopResult::Incoming(0));
    results.retain(|_| draws.below(3) > 0);
    // Several results are one loop.
    results.into_iter().filter_map(|result| g.apply(scan.with(result), &all)).last()
}

/// The next carries: something of their type, bounded; and up to two values that are stacked. Says how many.
fn close(body: &mut Growth, carries: usize, draws: &mut Draws) -> Option<usize> {
    let mut outputs = Vec::new();
    for carry in 0..carries {
        let port = body.pool[carry].clone();
        let other = body.like(draws, &body.ty(&port));
        let sum = body.apply(ops::Add, &[&port, &other])?;
        outputs.push(body.apply(ops::Tanh, &[&sum])?);
    }
    let n_stacked = draws.below(3);
    for _ in 0..n_stacked {
        let numbers = |ty: &TensorType| ty.dtype != DType::Bool;
        outputs.push(body.pick(draws, numbers, |_| TensorType::scalar(DType::I32)));
    }
    for (i, output) in outputs.iter().enumerate() {
        body.graph.add_output(if i < carries { Role::State } else { Role::Output }, i.to_string(), output.id);
    }
    Some(n_stacked)
}
