//! The cases, a table an area. Tolerances are per op: 1e-8 unless a row says otherwise.

mod elementwise;
mod layout;
mod leaves;
mod loops;
mod products;
mod reductions;
mod windows;

use crate::gradcheck::harness::{Case, Draws, Operand};
use anabranch::ir::{DType, Dim, TensorType};
use anabranch::ops::{Op, Tensor};
use ndarray::{ArrayD, IxDyn};

/// What differences of well-behaved functions reach.
pub const USUAL: f64 = 1e-8;

pub fn all_cases() -> Vec<Case> {
    [
        leaves::cases(),
        elementwise::cases(),
        products::cases(),
        windows::cases(),
        reductions::cases(),
        layout::cases(),
        loops::cases(),
    ]
    .concat()
}

pub fn case(op: impl Into<Op>, operands: Vec<Operand>, tolerance: f64) -> Case {
    Case { op: op.into(), operands, tolerance }
}

pub fn ty(dtype: DType, extents: &[usize]) -> TensorType {
    TensorType::new(dtype, extents.iter().map(|extent| Dim::known(*extent)).collect())
}

pub fn dims(extents: &[usize]) -> Vec<Dim> {
    extents.iter().map(|extent| Dim::known(*extent)).collect()
}

/// Random floats between two bounds.
pub fn floats(extents: &[usize], low: f64, high: f64) -> Operand {
    let seed = extents.iter().fold(low.to_bits() ^ high.to_bits().rotate_left(7), |seed, extent| {
        seed.wrapping_mul(31).wrapping_add(*extent as u64)
    });
    given(Draws::new(seed).array(extents, low, high))
}

/// Floats with stated values, row-major.
pub fn values(extents: &[usize], values: &[f64]) -> Operand {
    given(ArrayD::from_shape_vec(IxDyn(extents), values.to_vec()).expect("one value an element"))
}

/// Floats in mixed order that differ from each other by at least 0.1: no ties for maxima and sorts.
pub fn distinct(extents: &[usize]) -> Operand {
    let count: usize = extents.iter().product();
    let mut order: Vec<usize> = (0..count).collect();
    let mut draws = Draws::new(count as u64);
    for i in (1..count).rev() {
        order.swap(i, (draws.uniform() * (i + 1) as f64) as usize);
    }
    let spread: Vec<f64> = order.into_iter().map(|rank| 0.1 * rank as f64 - 0.05 * count as f64).collect();
    values(extents, &spread)
}

fn given(array: ArrayD<f64>) -> Operand {
    Operand { ty: ty(DType::F32, array.shape()), value: Tensor::Float(array) }
}

pub fn ints(extents: &[usize], values: &[i32]) -> Operand {
    let array = ArrayD::from_shape_vec(IxDyn(extents), values.to_vec()).expect("one value an element");
    Operand { ty: ty(DType::I32, extents), value: Tensor::Int(array) }
}

pub fn bools(extents: &[usize], values: &[bool]) -> Operand {
    let array = ArrayD::from_shape_vec(IxDyn(extents), values.to_vec()).expect("one value an element");
    Operand { ty: ty(DType::Bool, extents), value: Tensor::Bool(array) }
}
