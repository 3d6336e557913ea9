//! What each op computes, on values small enough to check by hand, in f64 and in f32.
//!
//! Kinks, ties, NaN, infinities and empty axes stand here: the places where implementations differ.

mod rows;

use anabranch::ir::{DType, TensorType};
use anabranch::ops::{Element, Op, Tensor};
use ndarray::{ArrayD, IxDyn};
use rows::rows;
use std::collections::BTreeSet;

/// A value written down: its type as text, its elements row-major (truth values as 0 and 1).
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
    let ty = crate::ty(value.ty);
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
