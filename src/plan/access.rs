//! Which ops run inside a fused group.

use crate::ops::Op;

/// Whether an op runs inside a fused group: one float or mask from floats or masks, element by element.
pub(super) fn is_elementwise(op: &Op) -> bool {
    matches!(
        op,
        Op::Neg(_)
            | Op::Abs(_)
            | Op::Sign(_)
            | Op::Exp(_)
            | Op::Expm1(_)
            | Op::Log(_)
            | Op::Log1p(_)
            | Op::Sqrt(_)
            | Op::Rsqrt(_)
            | Op::Sin(_)
            | Op::Cos(_)
            | Op::Tanh(_)
            | Op::Sigmoid(_)
            | Op::Softplus(_)
            | Op::Erf(_)
            | Op::Floor(_)
            | Op::Ceil(_)
            | Op::Tan(_)
            | Op::IsNan(_)
            | Op::Add(_)
            | Op::Sub(_)
            | Op::Mul(_)
            | Op::Div(_)
            | Op::Pow(_)
            | Op::Max(_)
            | Op::Min(_)
            | Op::Less(_)
            | Op::LessEqual(_)
            | Op::Equal(_)
            | Op::And(_)
            | Op::Or(_)
            | Op::Not(_)
            | Op::Select(_)
            | Op::Cast(_)
            | Op::StopGradient(_)
    )
}
