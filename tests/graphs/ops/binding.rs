//! Run-time dims: differentiating before sizes are known gives what differentiating afterwards gives.

use crate::ops::{dims, types};
use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Dim, DimSizes, Graph, Provenance, Role, TensorType, bind, check_bound, verify};
use anabranch::ops::convolution::{ConvolutionAttributes, Windows};
use anabranch::ops::reference::evaluate;
use anabranch::ops::windows::PoolAttributes;
use anabranch::ops::*;
use anabranch::passes::differentiate;
use ndarray::{ArrayD, IxDyn};

fn sizes() -> DimSizes {
    DimSizes::from([("n".into(), 4), ("m".into(), 3)])
}

/// Ops over run-time dims, with the types of their operands.
fn cases() -> Vec<(Op, &'static str)> {
    [leaves_and_layout(), computations()].concat()
}

fn leaves_and_layout() -> Vec<(Op, &'static str)> {
    let ty = |text: &str| types(text).swap_remove(0);
    let random = Random { distribution: Distribution::Normal, stream: 3, ty: ty("f32[n, 2]") };
    let slice = Slice { starts: dims("0, 1"), extents: dims("n, 2"), strides: vec![1, 1] };
    let pad = Pad { starts: dims("1, 0"), strides: vec![1, 1], shape: dims("n + 2, m") };
    vec![
        (Constant { value: Scalar(2.0), ty: ty("f32[n]") }.into(), ""),
        (Size { dim: Dim::symbol("n") }.into(), ""),
        (Iota { axis: 0, ty: ty("f32[n]") }.into(), ""),
        (random.into(), "i32, i32"),
        (Reshape { shape: dims("m, n, 2") }.into(), "f32[n, 2, m]"),
        (Transpose { permutation: vec![1, 0] }.into(), "f32[n, m]"),
        (Broadcast { shape: dims("m, n"), axes: vec![1] }.into(), "f32[n]"),
        (Concat { axis: 0 }.into(), "f32[n, 2], f32[m, 2], f32[1, 2]"),
        (slice.into(), "f32[n, m]"),
        (pad.into(), "f32[n, m]"),
        (Reverse { axes: vec![0] }.into(), "f32[n, m]"),
        (Gather { fill: Scalar(0.0) }.into(), "f32[n, m], i32[m]"),
        (ScatterAdd { rows: Dim::symbol("n") }.into(), "i32[m], f32[m, n]"),
        (TakeAlong { axis: 1, fill: Scalar(0.0) }.into(), "f32[n, m], i32[n, 2]"),
        (PutAlong { axis: 0, extent: Dim::symbol("n") }.into(), "i32[m], f32[m]"),
        (ByMode.into(), "f32[n], f32[n]"),
        (Directed.into(), "f32, f32[n], f32[n]"),
    ]
}

fn computations() -> Vec<(Op, &'static str)> {
    let convolution = || ConvolutionAttributes { windows: Windows::plain(1), groups: 1 };
    let pooling = || PoolAttributes { window: vec![2], windows: Windows::plain(1) };
    let shape = dims("m, n, 1");
    vec![
        (Exp.into(), "f32[n]"),
        (Pow.into(), "f32[n], f32[n]"),
        (MatMul::default().into(), "f32[n, m], f32[m, n]"),
        (Convolution { attributes: convolution() }.into(), "f32[m, n, 2], f32[2, 2, 1]"),
        (
            ConvolutionInputGradient { attributes: convolution(), shape: shape.clone() }.into(),
            "f32[m, n - 1, 1], f32[2, 1, 1]",
        ),
        (MaxPool { attributes: pooling() }.into(), "f32[m, n, 2]"),
        (AveragePool { attributes: pooling() }.into(), "f32[m, n, 2]"),
        (AveragePoolScatter { attributes: pooling(), shape }.into(), "f32[m, n - 1, 1]"),
        (Sum { axes: vec![0] }.into(), "f32[n, m]"),
        (Product { axes: vec![0, 1] }.into(), "f32[n, m, 2]"),
        (MaxReduce { axes: vec![0] }.into(), "f32[n, m]"),
        (LogSumExp { axes: vec![1] }.into(), "f32[n, m]"),
        (CumulativeSum { axis: 0, reverse: true, exclusive: true }.into(), "f32[n, m]"),
        (LinearRecurrence { axis: 0, reverse: true }.into(), "f32[n, m], f32[n, m]"),
        (Softmax { axis: 0 }.into(), "f32[n, m]"),
        (LogSoftmax { axis: 1 }.into(), "f32[n, m]"),
        (Sort { axis: 0, descending: true }.into(), "f32[n, m]"),
    ]
}

/// The op over leaves, and gradients of its sum of squares by each float operand.
fn graph(op: &Op, operands: &[TensorType]) -> Graph {
    let mut graph = Graph::new();
    let at = |name: String| Provenance { name: name.into(), span: Span::new(SourceId::NOWHERE, 0, 0) };
    let mut b = Builder::new(&mut graph, at("y".into()));
    let mut leaves = Vec::new();
    for (slot, ty) in operands.iter().enumerate() {
        b.set_provenance(at(format!("x{slot}")));
        leaves.push(b.emit(Input { kind: InputKind::Input, ty: ty.clone() }, &[]));
    }
    b.set_provenance(at("y".into()));
    let y = b.add(op.clone(), &leaves).unwrap_or_else(|error| panic!("{op:?}: {error}"));
    let square = b.mul(y, y);
    let floats: Vec<_> = leaves.into_iter().filter(|leaf| b.ty(*leaf).is_float()).collect();
    let gradients: Vec<_> = floats.into_iter().map(|leaf| b.emit(Gradient, &[square, leaf])).collect();
    graph.add_output(Role::Output, "y", y);
    for (slot, gradient) in gradients.into_iter().enumerate() {
        graph.add_output(Role::Gradient, format!("g{slot}"), gradient);
    }
    graph
}

fn values(graph: &Graph) -> Vec<Tensor<f64>> {
    verify(graph).unwrap_or_else(|broken| panic!("{broken}"));
    evaluate(graph, |leaf| {
        let ty = graph.ty(leaf);
        let shape = IxDyn(&ty.known_shape().expect("the graph is bound"));
        let mut count = leaf.index() as f64;
        let mut next = || {
            count += 1.0;
            (count * 1.7).sin() + 1.5
        };
        match ty.dtype {
            DType::I32 => Tensor::Int(ArrayD::from_shape_simple_fn(shape, || next() as i32)),
            _ => Tensor::Float(ArrayD::from_shape_simple_fn(shape, next)),
        }
    })
}

#[test]
fn binding_and_differentiating_commute() {
    for (op, operands) in cases() {
        let symbolic = graph(&op, &types(operands));
        let bound: Vec<TensorType> = types(operands).iter().map(|ty| ty.bind(&sizes())).collect();
        let expected = values(&differentiate(&graph(&op.bind(&sizes()), &bound)));
        for found in [bind(&differentiate(&symbolic), &sizes()), differentiate(&bind(&symbolic, &sizes()))] {
            assert_eq!(values(&found), expected, "{op:?}({operands})");
        }
    }
}

#[test]
fn sizes_that_break_a_rule_are_refused() {
    let slice = Slice { starts: dims("1"), extents: dims("3"), strides: vec![1] };
    let windows = ConvolutionAttributes { windows: Windows::plain(1), groups: 1 };
    let rows: [(Op, &str, &str); 2] = [
        (slice.into(), "f32[n]", "the slice of axis 0 starts at 1 and takes 3 of 2 elements (C2)"),
        (
            Convolution { attributes: windows }.into(),
            "f32[1, n, 1], f32[4, 1, 1]",
            "convolution: a window of 4 (dilation 1) does not fit 2 elements with padding (0, 0) (C3)",
        ),
    ];
    for (op, operands, message) in rows {
        let symbolic = graph(&op, &types(operands));
        assert_eq!(check_bound(&bind(&symbolic, &sizes())), Ok(()));
        let (node, error) = check_bound(&bind(&symbolic, &DimSizes::from([("n".into(), 2)]))).unwrap_err();
        assert_eq!((error.message.as_str(), symbolic.op(node).name()), (message, op.name()));
    }
    let symbolic = graph(&Exp.into(), &types("f32[n - 1]"));
    let (_, error) = check_bound(&bind(&symbolic, &DimSizes::from([("n".into(), 0)]))).unwrap_err();
    assert_eq!(error.message, "f32[n - 1] has no size");
}
