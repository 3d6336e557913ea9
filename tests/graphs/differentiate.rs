//! Differentiation on random smooth graphs: first and second derivatives against central differences.

use crate::common::random_graph::{Ops, build, choices, leaf_value, provenance, sizes};
use anabranch::ir::{Builder, DType, Dim, Graph, NodeId, Role, TensorType, bind, print, verify};
use anabranch::ops::reference::evaluate;
use anabranch::ops::{Constant, Directed, Gradient, Input, InputKind, Op, Scalar, Tensor};
use anabranch::passes::{differentiate, gradients, simplify};
use proptest::prelude::*;

/// The number at the only output, with each param moved by `t` along its own fixed direction.
fn at(graph: &Graph, t: f64) -> f64 {
    let values = evaluate(graph, |id| {
        let (name, ty) = (&graph.node(id).provenance.name, graph.ty(id));
        let value = leaf_value(name, ty, 0);
        if !matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param) {
            return value;
        }
        Tensor::Float(value.float() + &(leaf_value(name, ty, 11).float() * t))
    });
    values[0].float().sum()
}

/// `Σ x w` to a scalar, `w` a leaf: a random projection.
fn project(b: &mut Builder<'_>, x: NodeId, name: &str) -> NodeId {
    let ty = b.ty(x).clone();
    b.set_provenance(provenance(name));
    let weight = b.emit(Input { kind: InputKind::Input, ty }, &[]);
    let product = b.mul(x, weight);
    let axes: Vec<usize> = (0..b.shape(product).len()).collect();
    b.sum(product, &axes)
}

fn params(graph: &Graph) -> Vec<NodeId> {
    let is_param = |id: &NodeId| matches!(graph.op(*id), Op::Input(input) if input.kind == InputKind::Param);
    graph.ids().filter(is_param).collect()
}

/// Adds the derivative of a scalar along the params' directions, as another scalar.
fn derivative_along_directions(graph: &mut Graph, y: NodeId) -> NodeId {
    let params = params(graph);
    let names: Vec<_> = params.iter().map(|param| graph.node(*param).provenance.name.clone()).collect();
    let mut b = Builder::new(graph, provenance("derivative"));
    let mut total = b.constant(0.0, &TensorType::scalar(DType::F32));
    for (param, name) in params.into_iter().zip(names) {
        let gradient = b.emit(Gradient, &[y, param]);
        let part = project(&mut b, gradient, &format!("direction of {name}"));
        total = b.add2(total, part);
    }
    total
}

/// The graph with one output, derivatives written out, sizes bound.
fn program(graph: &Graph, y: NodeId) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.clear();
    graph.add_output(Role::Output, "y", y);
    bind(&differentiate(&graph), &sizes())
}

/// The value of a derivative program: directions are fed to it as leaves, by the same numbers that [`at`] moves along.
fn derivative(graph: &Graph) -> f64 {
    derivative_at(graph, 0.0)
}

fn derivative_at(graph: &Graph, t: f64) -> f64 {
    let values = evaluate(graph, |id| {
        let (name, ty) = (&graph.node(id).provenance.name, graph.ty(id));
        match name.strip_prefix("direction of ") {
            Some(param) => leaf_value(param, ty, 11),
            None if matches!(graph.op(id), Op::Input(input) if input.kind == InputKind::Param) => {
                Tensor::Float(leaf_value(name, ty, 0).float() + &(leaf_value(name, ty, 11).float() * t))
            }
            None => leaf_value(name, ty, 0),
        }
    });
    values[0].float().sum()
}

const STEP: f64 = 1e-4;

/// Central differences, and how far they may be off: their own error is estimated by halving the step.
fn difference(f: impl Fn(f64) -> f64) -> (f64, f64) {
    let slope = |h: f64| (f(h) - f(-h)) / (2.0 * h);
    let (coarse, fine) = (slope(STEP), slope(STEP / 2.0));
    let rounding = 1e-15 * (f(0.0).abs() + 100.0) / STEP;
    (fine, 2.0 * (coarse - fine).abs() + rounding + 1e-9 * fine.abs())
}

fn config() -> ProptestConfig {
    let rng_seed = proptest::test_runner::RngSeed::Fixed(3);
    ProptestConfig { cases: 192, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn derivatives_of_random_graphs_match_differences(choices in choices()) {
        let mut graph = build(&choices, Ops::Smooth);
        let outputs: Vec<NodeId> = graph.outputs.iter().map(|output| output.node).collect();
        let mut b = Builder::new(&mut graph, provenance("y"));
        let mut y = b.constant(0.0, &TensorType::scalar(DType::F32));
        for (i, output) in outputs.into_iter().enumerate() {
            let part = project(&mut b, output, &format!("weight of {i}"));
            y = b.add2(y, part);
        }
        let first = derivative_along_directions(&mut graph, y);
        let (value, slope) = (program(&graph, y), program(&graph, first));
        prop_assert_eq!(verify(&slope), Ok(()));
        let (expected, tolerance) = difference(|t| at(&value, t));
        let found = derivative(&slope);
        prop_assert!((found - expected).abs() <= tolerance, "first: {found} against {expected} ± {tolerance}\n{}", print(&value, "value"));
        let simple = derivative(&simplify(&slope));
        prop_assert!((found - simple).abs() <= 1e-9 * found.abs().max(1.0), "simplified: {simple} against {found}");

        // Again: the derivative program is a graph like any other, with gradients of gradients written out.
        let mut again = slope.clone();
        let once = again.outputs[0].node;
        let directions: Vec<NodeId> = params(&again);
        let mut b = Builder::new(&mut again, provenance("second"));
        let mut second = b.constant(0.0, &TensorType::scalar(DType::F32));
        for param in directions {
            let gradient = b.emit(Gradient, &[once, param]);
            let name = b.graph().node(param).provenance.name.clone();
            let direction = b.graph().ids().find(|id| {
                *b.graph().node(*id).provenance.name == *format!("direction of {name}")
                    && matches!(b.graph().op(*id), Op::Input(_))
            });
            let Some(direction) = direction else { continue };
            let product = b.mul(gradient, direction);
            let axes: Vec<usize> = (0..b.shape(product).len()).collect();
            let part = b.sum(product, &axes);
            second = b.add2(second, part);
        }
        let curvature = program(&again, second);
        prop_assert_eq!(verify(&curvature), Ok(()));
        let (expected, tolerance) = difference(|t| derivative_at(&slope, t));
        let found = derivative(&curvature);
        prop_assert!((found - expected).abs() <= tolerance, "second: {found} against {expected} ± {tolerance}\n{}", print(&value, "value"));
    }
}

/// Whatever its value is computed from, the gradient of a direction is the direction, and by the value its own.
#[test]
fn a_direction_is_the_gradient() {
    let mut graph = Graph::new();
    let mut b = Builder::new(&mut graph, provenance("t"));
    let mut constant = |value: f64, shape: &[usize]| {
        let shape = shape.iter().map(|extent| Dim::known(*extent)).collect();
        b.emit(Constant { value: Scalar(value), ty: TensorType::f32(shape) }, &[])
    };
    let (y, x, d) = (constant(2.0, &[]), constant(3.0, &[2]), constant(0.5, &[2]));
    let square = b.mul(y, y);
    let directed = b.emit(Directed, &[square, x, d]);
    let twice = b.add2(directed, directed);
    let found = gradients(&mut graph, twice, &[y, x, d]);
    for (name, node) in ["y", "x", "d"].into_iter().zip(found) {
        graph.add_output(Role::Metric, name, node);
    }
    let values = evaluate::<f64>(&graph, |_| panic!("no leaf"));
    let floats: Vec<Vec<f64>> = values.iter().map(|value| value.float().iter().copied().collect()).collect();
    assert_eq!(floats, [vec![8.0], vec![1.0; 2], vec![0.0; 2]]);
}
