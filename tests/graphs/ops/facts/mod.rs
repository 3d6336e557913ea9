//! What ops say of themselves, held against what they compute: bounds, locality, laws.
//!
//! The ops come from the cases of the gradient check, of which every op in the table has one, and from those here on ints.
//! Each check is also given something wrong, which it must catch.

mod algebra;
mod bounds;
mod locality;

use crate::gradcheck::cases::{all_cases, bools, case, floats, ints};
use crate::gradcheck::harness::{Case, Draws};
use anabranch::ir::{DType, Dim, TensorType};
use anabranch::ops::*;
use ndarray::{ArrayD, IxDyn};

/// The ops that compute something, with the types of their operands.
fn subjects() -> Vec<Case> {
    let is_computed = |case: &Case| !matches!(case.op, Op::Input(_) | Op::Gradient(_));
    let whole = || ints(&[2, 3], &[1, 2, 3, 4, 5, 6]);
    let pair = || vec![whole(), whole()];
    let truths = || bools(&[2, 3], &[true, false, true, false, true, false]);
    let of_two: [Op; 11] = [
        Add.into(),
        Sub.into(),
        Mul.into(),
        Div.into(),
        Rem.into(),
        Pow.into(),
        Max.into(),
        Min.into(),
        Less.into(),
        LessEqual.into(),
        Equal.into(),
    ];
    let casts = [DType::F32, DType::I32, DType::Bool].into_iter().flat_map(|to| {
        [whole(), truths(), floats(&[2, 3], -1.0, 1.0)].map(|operand| case(Cast { to }, vec![operand], 0.0))
    });
    let others = [
        case(Select, vec![truths(), whole(), whole()], 0.0),
        case(Sum { axes: vec![1] }, vec![whole()], 0.0),
        case(Concat { axis: 1 }, pair(), 0.0),
        case(Pow, vec![floats(&[4, 4], -1.0, 1.0), floats(&[4, 4], -1.0, 1.0)], 0.0),
        case(CumulativeSum { axis: 0, reverse: false, exclusive: true }, vec![floats(&[3], 0.0, 1.0)], 0.0),
        case(CumulativeSum { axis: 0, reverse: true, exclusive: true }, vec![floats(&[1, 2], 0.0, 1.0)], 0.0),
        case(Gather { fill: Scalar(-3.5) }, vec![floats(&[3, 2], 0.0, 1.0), ints(&[4], &[0, 1, 2, 3])], 0.0),
        case(
            TakeAlong { axis: 1, fill: Scalar(9.0) },
            vec![floats(&[2, 3], 0.0, 1.0), ints(&[2, 2], &[0, 1, 2, 3])],
            0.0,
        ),
        case(MaxReduce { axes: vec![0] }, vec![floats(&[0, 2], 0.0, 1.0)], 0.0),
        case(LogSumExp { axes: vec![0] }, vec![floats(&[0, 2], 0.0, 1.0)], 0.0),
    ];
    let mut subjects: Vec<Case> = all_cases().into_iter().filter(is_computed).collect();
    subjects.extend(of_two.map(|op| case(op, pair(), 0.0)));
    subjects.extend(casts);
    subjects.extend(others);
    subjects
}

/// The cases of an op by its name.
fn named(name: &str) -> Vec<Case> {
    let cases: Vec<Case> = subjects().into_iter().filter(|case| case.op.name() == name).collect();
    assert!(!cases.is_empty(), "{name} has a case");
    cases
}

fn result_type(case: &Case) -> TensorType {
    let operands: Vec<&TensorType> = case.operands.iter().map(|operand| &operand.ty).collect();
    case.op.infer(&operands).unwrap_or_else(|error| panic!("{case}: {error}"))
}

fn extents(ty: &TensorType) -> Vec<usize> {
    ty.shape.iter().map(|dim| Dim::as_known(dim).expect("cases have known extents")).collect()
}

fn evaluate<T: Element>(case: &Case, operands: &[Tensor<f64>]) -> Tensor<T> {
    let operands: Vec<Tensor<T>> = operands.iter().map(converted).collect();
    case.op.evaluate(&operands.iter().collect::<Vec<_>>(), &result_type(case))
}

fn converted<T: Element>(x: &Tensor<f64>) -> Tensor<T> {
    match x {
        Tensor::Float(x) => Tensor::Float(x.mapv(T::of)),
        Tensor::Int(x) => Tensor::Int(x.clone()),
        Tensor::Bool(x) => Tensor::Bool(x.clone()),
    }
}

/// A tensor of numbers that suit its type.
fn tensor(ty: &TensorType, mut number: impl FnMut() -> f64) -> Tensor<f64> {
    let numbers = ArrayD::from_shape_simple_fn(IxDyn(&extents(ty)), &mut number);
    match ty.dtype {
        DType::F32 => Tensor::Float(numbers),
        DType::I32 => Tensor::Int(numbers.mapv(|x| x as i32)),
        DType::Bool => Tensor::Bool(numbers.mapv(|x| x != 0.0)),
    }
}

fn numbers<T: Element>(x: &Tensor<T>) -> ArrayD<f64> {
    match x {
        Tensor::Float(x) => x.mapv(Element::as_f64),
        Tensor::Int(x) => x.mapv(f64::from),
        Tensor::Bool(x) => x.mapv(|x| f64::from(u8::from(x))),
    }
}

/// One of several, by chance.
fn pick<T: Copy>(draws: &mut Draws, from: &[T]) -> T {
    from[(draws.uniform() * from.len() as f64) as usize]
}
