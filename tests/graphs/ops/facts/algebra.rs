//! The laws that rewrites make use of.

use super::{Draws, evaluate, named, numbers, pick, subjects, tensor};
use crate::gradcheck::harness::Case;
use anabranch::ir::DType;
use anabranch::ops::*;
use ndarray::ArrayD;

/// Zeros are one number, and NaN is itself.
fn is_equal(a: &ArrayD<f64>, b: &ArrayD<f64>) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()))
}

/// The law that an op breaks, if any.
fn broken(case: &Case, algebra: Algebra) -> Option<String> {
    let mut draws = Draws::new(3);
    let of = |operands: &[Tensor<f64>]| numbers(&evaluate::<f32>(case, operands));
    if algebra == Algebra::NONE {
        return None;
    }
    for _ in 0..40 {
        let operands: Vec<Tensor<f64>> =
            case.operands
                .iter()
                .map(|operand| {
                    let scale = pick(&mut draws, &[1.0, 3.0, 100.0]);
                    let mut number = || scale * (2.0 * draws.uniform() - 1.0);
                    tensor(&operand.ty, || {
                        if operand.ty.dtype == DType::Bool { f64::from(number() > 0.0) } else { number() }
                    })
                })
                .collect();
        let value = of(&operands);
        if algebra.is_commutative && !is_equal(&value, &of(&[operands[1].clone(), operands[0].clone()])) {
            return Some(format!("{case} is not commutative"));
        }
        if algebra.is_idempotent
            && operands.len() == 2
            && !is_equal(
                &numbers(&operands[0]),
                &numbers(&evaluate::<f64>(case, &[operands[0].clone(), operands[0].clone()])),
            )
        {
            return Some(format!("{case} of equal operands is not the operand"));
        }
        if algebra.is_idempotent && operands.len() == 1 && !is_equal(&value, &of(&[Tensor::Float(value.clone())])) {
            return Some(format!("{case} is not idempotent"));
        }
        let [Tensor::Float(x)] = operands.as_slice() else { continue };
        let negated = of(&[Tensor::Float(-x)]);
        let holds = match algebra.parity {
            None => true,
            Some(Parity::Even) => is_equal(&value, &negated),
            Some(Parity::Odd) => is_equal(&value, &-&negated),
        };
        if !holds {
            return Some(format!("{case} is not {:?}", algebra.parity));
        }
    }
    None
}

#[test]
fn laws_hold() {
    let broken: Vec<String> = subjects().iter().filter_map(|case| broken(case, case.op.algebra())).collect();
    assert!(broken.is_empty(), "{} ops break their laws:\n{}", broken.len(), broken.join("\n"));
}

#[test]
fn wrong_laws_are_caught() {
    let wrong = [
        ("sub", Algebra::COMMUTATIVE),
        ("less", Algebra::COMMUTATIVE),
        ("add", Algebra::NONE.idempotent()),
        ("sin", Algebra::NONE.idempotent()),
        ("exp", Algebra::EVEN),
        ("cos", Algebra::ODD),
    ];
    for (name, algebra) in wrong {
        let is_caught = named(name).iter().any(|case| broken(case, algebra).is_some());
        assert!(is_caught, "{name} passes for {algebra:?}");
    }
}
