//! Values of leaves, and of every node of a graph by the ops' definitions.

use crate::common::values::largest;
use anabranch::exec::Clock;
use anabranch::ir::{DType, DimSizes, Graph, NodeId, TensorType};
use anabranch::ops::{InputKind, Op, Tensor};
use ndarray::{ArrayD, IxDyn};

pub type Values = Tensor<f64>;

pub fn clock() -> Clock {
    Clock { step: 3, epoch: 1, epoch_end: true, seed: 5, epochs: 7, steps_per_epoch: 11 }
}

/// A leaf's value: the same for a name on every call, without ties, within 1.2, and exact in f32. A name that starts with `matrix`
/// gives matrices that are easily solved, one with `index` whole numbers that may lie outside, one with `missing` some NaN.
pub fn leaf_value(name: &str, ty: &TensorType) -> Values {
    let shape = ty.known_shape().expect("bound");
    let seed = name.bytes().fold(0.3, |sum, byte| (sum * 1.7 + f64::from(byte)) % 1000.0);
    let n_elements: usize = shape.iter().product();
    let value = |i: usize| f64::from((1.2 * (seed * 0.618 + (i as f64 + 1.0) * 2.399).sin()) as f32);
    let values: Vec<f64> = (0..n_elements).map(value).collect();
    let mut array = ArrayD::from_shape_vec(IxDyn(&shape), values).expect("one value an element");
    if name.starts_with("matrix") {
        array.indexed_iter_mut().filter(|(at, _)| at[0] == at[1]).for_each(|(_, x)| *x += 4.0);
    }
    if name.starts_with("missing") {
        array.iter_mut().step_by(2).for_each(|x| *x = f64::NAN);
    }
    match ty.dtype {
        DType::F32 => Tensor::Float(array),
        DType::I32 => Tensor::Int(array.mapv(|x| (x * 4.0).floor() as i32)),
        DType::Bool => Tensor::Bool(array.mapv(|x| x > 0.0)),
    }
}

/// What a leaf of a program is fed with.
pub fn feed_values(kind: InputKind, name: &str, ty: &TensorType) -> Values {
    let scalar = |value: i32| Tensor::Int(ArrayD::from_elem(IxDyn(&[]), value));
    match kind {
        InputKind::Step => scalar(clock().step),
        InputKind::Epoch => scalar(clock().epoch),
        InputKind::EpochEnd => scalar(i32::from(clock().epoch_end)),
        InputKind::Epochs => scalar(clock().epochs),
        InputKind::StepsPerEpoch => scalar(clock().steps_per_epoch),
        InputKind::TotalSteps => scalar(clock().total_steps()),
        InputKind::Seed => scalar(clock().seed),
        _ => leaf_value(name, ty),
    }
}

/// A number between -1 and 1 for a place, the same on every call.
fn disturbance(node: usize, element: usize) -> f64 {
    ((node as f64 + 1.0) * 12.9898 + (element as f64 + 1.0) * 78.233).sin()
}

/// The value with every float moved by up to `noise` of the largest.
pub fn disturbed(value: Values, place: usize, noise: f64) -> Values {
    let Tensor::Float(mut array) = value else { return value };
    if noise == 0.0 {
        return Tensor::Float(array);
    }
    let size = largest(array.iter().map(|x| x.abs()));
    array.iter_mut().enumerate().for_each(|(i, x)| *x += noise * size * disturbance(place, i));
    Tensor::Float(array)
}

/// Every node's value by its definition, in f64, each result disturbed.
///
/// # Panics
/// When the graph has nodes without a value of their own (gradients).
pub fn evaluate_all(graph: &Graph, sizes: &DimSizes, noise: f64) -> Vec<Values> {
    evaluate(graph, sizes, noise, |id| {
        let node = graph.node(id);
        let Op::Input(input) = &node.op else { panic!("a leaf") };
        feed_values(input.kind, &node.provenance.name, &node.ty.bind(sizes))
    })
}

/// Every node's value with the leaves' values given.
pub fn evaluate_with(graph: &Graph, sizes: &DimSizes, leaf: impl Fn(NodeId) -> Values) -> Vec<Values> {
    evaluate(graph, sizes, 0.0, leaf)
}

fn evaluate(graph: &Graph, sizes: &DimSizes, noise: f64, leaf: impl Fn(NodeId) -> Values) -> Vec<Values> {
    let mut values: Vec<Values> = Vec::with_capacity(graph.len());
    for id in graph.ids() {
        let node = graph.node(id);
        values.push(match &node.op {
            Op::Input(_) => leaf(id),
            op => {
                let operands: Vec<&Values> =
                    graph.operands(id).iter().map(|operand| &values[operand.index()]).collect();
                let value = op.bind(sizes).evaluate(&operands, &node.ty.bind(sizes));
                disturbed(value, id.index(), noise)
            }
        });
    }
    values
}

pub fn evaluate_outputs(graph: &Graph, sizes: &DimSizes, noise: f64) -> Vec<Values> {
    let values = evaluate_all(graph, sizes, noise);
    graph.outputs.iter().map(|output| values[output.node.index()].clone()).collect()
}

const LARGEST: f64 = 50.0;

/// How far two values of one node lie apart at most; nothing where rounding decides, or where one is not moderate.
pub fn spread(exact: &Values, noisy: &Values) -> Option<f64> {
    match (exact, noisy) {
        (Tensor::Float(exact), Tensor::Float(noisy)) => {
            let size = largest(exact.iter().map(|x| x.abs()));
            let apart = largest(exact.iter().zip(noisy).map(|(x, y)| (x - y).abs()));
            // Written so that NaN fails.
            (size <= LARGEST && apart <= 1e-3 * (1.0 + size)).then_some(apart)
        }
        (Tensor::Int(exact), Tensor::Int(noisy)) => {
            (exact == noisy && exact.iter().all(|x| (-1000..=1000).contains(x))).then_some(0.0)
        }
        (exact, noisy) => (exact == noisy).then_some(0.0),
    }
}
