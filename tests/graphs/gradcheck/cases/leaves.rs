//! Leaves, and ops whose purpose is to choose where gradients go.

use super::{USUAL, case, floats, ints, ty, values};
use crate::gradcheck::harness::Case;
use anabranch::ir::{DType, Dim};
use anabranch::ops::*;

pub fn cases() -> Vec<Case> {
    let scalar = ty(DType::F32, &[]);
    let random = |distribution| Random { distribution, stream: 1, ty: ty(DType::F32, &[4]) };
    let clock = || vec![ints(&[], &[3]), ints(&[], &[5])];
    vec![
        case(Input { kind: InputKind::Param, ty: scalar.clone() }, vec![], USUAL),
        case(Constant { value: Scalar(2.0), ty: scalar }, vec![], USUAL),
        case(Size { dim: Dim::known(3) }, vec![], USUAL),
        case(Iota { axis: 1, ty: ty(DType::F32, &[2, 3]) }, vec![], USUAL),
        case(random(Distribution::Uniform), clock(), USUAL),
        case(random(Distribution::Normal), clock(), USUAL),
        case(StopGradient, vec![floats(&[2, 3], -1.0, 1.0)], USUAL),
        case(ByMode, vec![floats(&[2, 3], -1.0, 1.0), floats(&[2, 3], 1.0, 2.0)], USUAL),
        // The value does not depend on `x`, so only the direction 0 is its derivative.
        case(Directed, vec![floats(&[], -1.0, 1.0), floats(&[2, 3], -1.0, 1.0), values(&[2, 3], &[0.0; 6])], USUAL),
    ]
}
