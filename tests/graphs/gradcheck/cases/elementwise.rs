//! Ops that work element by element.

use super::{USUAL, bools, case, distinct, floats};
use crate::gradcheck::harness::Case;
use anabranch::ir::DType;
use anabranch::ops::*;

/// Ranks 0 to 4, extents of 1, and an empty axis.
const SHAPES: [&[usize]; 6] = [&[], &[3], &[1, 4], &[2, 0], &[2, 1, 3], &[1, 2, 1, 2]];

/// Where a function is checked: intervals that keep clear of its kinks and poles.
fn unary(op: impl Into<Op> + Clone, intervals: &[(f64, f64)], tolerance: f64) -> Vec<Case> {
    let at = |(low, high): &(f64, f64)| {
        SHAPES.map(|extents| case(op.clone(), vec![floats(extents, *low, *high)], tolerance))
    };
    intervals.iter().flat_map(at).collect()
}

fn binary(op: impl Into<Op> + Clone, x: (f64, f64), y: (f64, f64), tolerance: f64) -> Vec<Case> {
    let at =
        |extents: &[usize]| case(op.clone(), vec![floats(extents, x.0, x.1), floats(extents, y.0, y.1)], tolerance);
    SHAPES.into_iter().map(at).collect()
}

pub fn cases() -> Vec<Case> {
    [functions_of_one(), functions_of_two(), truth_values()].concat()
}

fn functions_of_one() -> Vec<Case> {
    const AROUND: (f64, f64) = (-2.0, 2.0);
    const POSITIVE: (f64, f64) = (0.3, 3.0);
    const SIDES: [(f64, f64); 2] = [(-2.0, -0.1), (0.1, 2.0)];
    [
        unary(Neg, &[AROUND], USUAL),
        unary(Abs, &SIDES, USUAL),
        unary(Sign, &SIDES, USUAL),
        unary(Exp, &[AROUND], USUAL),
        unary(Expm1, &[AROUND], USUAL),
        unary(Log, &[POSITIVE], USUAL),
        unary(Log1p, &[(-0.7, 2.0)], USUAL),
        unary(Sqrt, &[POSITIVE], USUAL),
        unary(Rsqrt, &[POSITIVE], USUAL),
        unary(Sin, &[AROUND], USUAL),
        unary(Cos, &[AROUND], USUAL),
        unary(Tan, &[(-1.2, 1.2)], USUAL),
        unary(Asin, &[(-0.9, 0.9)], USUAL),
        unary(Acos, &[(-0.9, 0.9)], USUAL),
        unary(Atan, &[AROUND], USUAL),
        unary(Sinh, &[AROUND], USUAL),
        unary(Cosh, &[AROUND], USUAL),
        unary(Asinh, &[AROUND], USUAL),
        unary(Acosh, &[(1.2, 4.0)], USUAL),
        unary(Atanh, &[(-0.8, 0.8)], USUAL),
        unary(Tanh, &[AROUND, (3.0, 6.0)], USUAL),
        unary(Sigmoid, &[AROUND, (5.0, 9.0), (-9.0, -5.0)], USUAL),
        unary(Softplus, &[AROUND, (20.0, 40.0), (-40.0, -20.0)], USUAL),
        unary(Erf, &[AROUND], USUAL),
        unary(LogGamma, &[POSITIVE, (-1.8, -1.2)], USUAL),
        unary(Polygamma { order: 0 }, &[POSITIVE, (-1.8, -1.2)], USUAL),
        unary(Polygamma { order: 1 }, &[POSITIVE], USUAL),
        unary(Polygamma { order: 4 }, &[(1.0, 3.0)], USUAL),
        unary(ErfInverse, &[(-0.9, 0.9)], USUAL),
        unary(Floor, &[(1.1, 1.9)], USUAL),
        unary(Ceil, &[(1.1, 1.9)], USUAL),
        unary(Round, &[(1.6, 2.4)], USUAL),
        unary(IsNan, &[AROUND], USUAL),
    ]
    .concat()
}

fn functions_of_two() -> Vec<Case> {
    const AROUND: (f64, f64) = (-2.0, 2.0);
    const POSITIVE: (f64, f64) = (0.4, 2.5);
    const ABOVE: (f64, f64) = (2.1, 3.0);
    [
        binary(Add, AROUND, AROUND, USUAL),
        binary(Sub, AROUND, AROUND, USUAL),
        binary(Mul, AROUND, AROUND, USUAL),
        binary(Div, AROUND, POSITIVE, USUAL),
        binary(Div, AROUND, (-2.5, -0.4), USUAL),
        binary(Pow, POSITIVE, AROUND, USUAL),
        binary(Pow, POSITIVE, (2.0, 2.0), USUAL),
        binary(Rem, (4.3, 5.7), (2.05, 2.1), USUAL),
        binary(Rem, (-1.9, -0.1), ABOVE, USUAL),
        binary(Rem, (4.3, 5.7), (-2.1, -2.05), USUAL),
        binary(Atan2, AROUND, POSITIVE, USUAL),
        binary(Atan2, POSITIVE, (-2.5, -0.4), USUAL),
        binary(Atan2, (-2.5, -0.4), AROUND, USUAL),
        binary(Max, AROUND, ABOVE, USUAL),
        binary(Max, ABOVE, AROUND, USUAL),
        binary(Min, AROUND, ABOVE, USUAL),
        binary(Min, ABOVE, AROUND, USUAL),
        binary(Less, AROUND, ABOVE, USUAL),
        binary(LessEqual, AROUND, ABOVE, USUAL),
        binary(Equal, AROUND, ABOVE, USUAL),
    ]
    .concat()
}

fn truth_values() -> Vec<Case> {
    let mask = || bools(&[2, 2], &[true, false, false, true]);
    let other = || bools(&[2, 2], &[true, true, false, false]);
    vec![
        case(And, vec![mask(), other()], USUAL),
        case(Or, vec![mask(), other()], USUAL),
        case(Not, vec![mask()], USUAL),
        case(Select, vec![mask(), floats(&[2, 2], -1.0, 1.0), distinct(&[2, 2])], USUAL),
        case(Select, vec![bools(&[], &[true]), floats(&[], -1.0, 1.0), distinct(&[])], USUAL),
        case(Select, vec![bools(&[0, 3], &[]), floats(&[0, 3], -1.0, 1.0), distinct(&[0, 3])], USUAL),
        case(Cast { to: DType::F32 }, vec![floats(&[2, 1], -1.0, 1.0)], USUAL),
        case(Cast { to: DType::I32 }, vec![floats(&[3], 1.1, 1.9)], USUAL),
        case(Cast { to: DType::Bool }, vec![floats(&[3], 0.1, 0.9)], USUAL),
    ]
}
