//! What each op computes, on values small enough to check by hand, in f64 and in f32.
//!
//! Kinks, ties, NaN, infinities and empty axes stand here: the places where implementations differ.

mod rows;

use anabranch::ir::{DType, TensorType};
use anabranch::ops::{Distribution, Element, Op, Random, Tensor};
use ndarray::{ArrayD, IxDyn};
use rows::rows;
use std::collections::BTreeSet;

/// A value written down: its type as text, its elements row-major (bools as 0 and 1).
#[derive(Clone, Debug)]
pub struct Value {
    ty: &'static str,
    elements: Vec<f64>,
}

pub fn v(ty: &'static str, elements: impl Into<Vec<f64>>) -> Value {
    Value { ty, elements: elements.into() }
}

pub struct Row {
    op: Op,
    operands: Vec<Value>,
    expected: Value,
}

pub fn row(op: impl Into<Op>, operands: impl Into<Vec<Value>>, expected: Value) -> Row {
    Row { op: op.into(), operands: operands.into(), expected }
}

fn to_tensor<T: Element>(value: &Value) -> (TensorType, Tensor<T>) {
    let ty = crate::ops::ty(value.ty);
    let shape = IxDyn(&ty.known_shape().expect("rows have known extents"));
    let floats = ArrayD::from_shape_vec(shape, value.elements.clone()).expect("one number an element");
    let tensor = match ty.dtype {
        DType::F32 => Tensor::Float(floats.mapv(T::of)),
        DType::I32 => Tensor::Int(floats.mapv(|x| x as i32)),
        DType::Bool => Tensor::Bool(floats.mapv(|x| x != 0.0)),
    };
    (ty, tensor)
}

fn numbers<T: Element>(tensor: &Tensor<T>) -> Vec<f64> {
    match tensor {
        Tensor::Float(x) => x.iter().map(|x| x.as_f64()).collect(),
        Tensor::Int(x) => x.iter().map(|x| f64::from(*x)).collect(),
        Tensor::Bool(x) => x.iter().map(|x| f64::from(u8::from(*x))).collect(),
    }
}

fn check<T: Element>(row: &Row, tolerance: f64) {
    let (types, values): (Vec<TensorType>, Vec<Tensor<T>>) = row.operands.iter().map(to_tensor).unzip();
    let name = format!("{}{:?}", row.op.name(), row.operands);
    let ty = row.op.infer(&types.iter().collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (expected_type, expected) = to_tensor::<T>(&row.expected);
    assert_eq!(ty, expected_type, "{name}");
    let found = row.op.evaluate(&values.iter().collect::<Vec<_>>(), &ty);
    assert_eq!(found.dtype(), ty.dtype, "{name}");
    assert_eq!(found.shape(), expected.shape(), "{name}");
    for (x, y) in numbers(&found).into_iter().zip(numbers(&expected)) {
        let equal = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= tolerance * (1.0 + y.abs());
        assert!(equal, "{name} gives {found:?}, expected {expected:?}");
    }
}

#[test]
fn values_are_as_written() {
    for row in rows() {
        check::<f64>(&row, 1e-12);
        check::<f32>(&row, 1e-6);
    }
}

#[test]
fn every_op_has_a_value() {
    let covered: BTreeSet<&str> = rows().iter().map(|row| row.op.name()).collect();
    // Inputs are fed and gradients are written out before anything is evaluated; random numbers have tests of their own.
    let missing: Vec<&&str> = Op::NAMES
        .iter()
        .filter(|name| !covered.contains(**name) && !["input", "gradient", "random"].contains(*name))
        .collect();
    assert!(missing.is_empty(), "ops whose values are not tested: {missing:?}");
}

fn draws(distribution: Distribution, stream: u32, seed: i32, step: i32, count: usize) -> Vec<f64> {
    let mut values = vec![0.0; count];
    Random { distribution, stream, ty: crate::ops::ty("f32") }.fill::<f64>(seed, step, 0, &mut values);
    values
}

#[test]
fn random_numbers_depend_on_seed_step_stream_and_position_alone() {
    for distribution in [Distribution::Uniform, Distribution::Normal] {
        let first = draws(distribution, 1, 2, 3, 100);
        assert_eq!(first, draws(distribution, 1, 2, 3, 100));
        assert_eq!(first[..10], draws(distribution, 1, 2, 3, 10));
        for other in
            [draws(distribution, 0, 2, 3, 100), draws(distribution, 1, 0, 3, 100), draws(distribution, 1, 2, 0, 100)]
        {
            assert!(first.iter().zip(&other).all(|(x, y)| x != y));
        }
        let (ty, operands) =
            (crate::ops::ty("f32[100]"), [v("i32", [2.0]), v("i32", [3.0])].map(|x| to_tensor::<f32>(&x).1));
        let op = Op::from(Random { distribution, stream: 1, ty: ty.clone() });
        let found = numbers(&op.evaluate(&operands.iter().collect::<Vec<_>>(), &ty));
        assert!(
            found.iter().zip(&first).all(|(x, y)| *x == f64::from(*y as f32)),
            "f32 and f64 runs draw the same numbers"
        );
    }
}

#[test]
fn random_numbers_have_their_distribution() {
    const COUNT: usize = 100_000;
    // Five standard errors of each moment.
    let moments = |values: &[f64]| [1, 2, 4].map(|k| values.iter().map(|x| x.powi(k)).sum::<f64>() / COUNT as f64);
    let uniform = draws(Distribution::Uniform, 7, 0, 0, COUNT);
    assert!(uniform.iter().all(|x| (0.0..1.0).contains(x)));
    for (found, expected) in moments(&uniform).into_iter().zip([1.0 / 2.0, 1.0 / 3.0, 1.0 / 5.0]) {
        assert!((found - expected).abs() < 0.005, "{found} against {expected}");
    }
    let normal = draws(Distribution::Normal, 7, 0, 0, COUNT);
    for ((found, expected), tolerance) in moments(&normal).into_iter().zip([0.0, 1.0, 3.0]).zip([0.016, 0.023, 0.16]) {
        assert!((found - expected).abs() < tolerance, "{found} against {expected}");
    }
}
