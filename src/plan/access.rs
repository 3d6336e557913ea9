//! How a fused group reads an operand of another shape: broadcasts without a copy.

use crate::ops::{Broadcast, Op};

/// Which element of a buffer belongs to element `i` of an index range.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// element `i`
    Contiguous,
    /// element 0
    Scalar,
    /// element `i % period`: repeated along leading axes, as a bias is
    Cyclic { period: usize },
    /// element `i / inner`: repeated along trailing axes, as a row's mean is
    Stretched { inner: usize },
    /// row-major over `dims`, each `(extent, stride)`
    Strided { dims: Vec<(usize, usize)> },
}

/// How a broadcast's result reads its operand.
pub(super) fn broadcast_access(op: &Broadcast) -> Option<Access> {
    let shape: Option<Vec<usize>> = op.shape.iter().map(|dim| dim.as_known()).collect();
    let shape = shape?;
    // Strides of the operand, 0 along new axes; extents of 1 do not matter.
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for &axis in op.axes.iter().rev() {
        strides[axis] = stride;
        stride *= shape[axis];
    }
    let count: usize = shape.iter().product();
    if stride == count {
        return Some(Access::Contiguous);
    }
    if stride == 1 {
        return Some(Access::Scalar);
    }
    let significant: Vec<(usize, usize)> =
        shape.iter().copied().zip(strides).filter(|(extent, _)| *extent != 1).collect();
    let kept = |(_, stride): &(usize, usize)| *stride != 0;
    let first_kept = significant.iter().position(kept).unwrap_or(0);
    let last_kept = significant.iter().rposition(kept).unwrap_or(0);
    let all_kept = significant[first_kept..=last_kept].iter().all(kept);
    let inner: usize = significant[last_kept + 1..].iter().map(|(extent, _)| extent).product();
    if all_kept && inner == 1 {
        return Some(Access::Cyclic { period: stride });
    }
    if all_kept && first_kept == 0 {
        return Some(Access::Stretched { inner });
    }
    // Neighbours that are stepped through alike are one dimension.
    let mut dims: Vec<(usize, usize)> = Vec::new();
    for (extent, stride) in significant {
        match dims.last_mut() {
            Some((last_extent, last_stride)) if *last_stride == stride * extent => {
                *last_extent *= extent;
                *last_stride = stride;
            }
            _ => dims.push((extent, stride)),
        }
    }
    Some(Access::Strided { dims })
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Dim;

    fn access(shape: &[usize], axes: &[usize]) -> Access {
        let shape = shape.iter().map(|extent| Dim::known(*extent)).collect();
        broadcast_access(&Broadcast { shape, axes: axes.to_vec() }).unwrap()
    }

    #[test]
    fn broadcasts_are_recognised() {
        assert_eq!(access(&[7, 3], &[]), Access::Scalar);
        assert_eq!(access(&[7, 3], &[1]), Access::Cyclic { period: 3 });
        assert_eq!(access(&[7, 3], &[0]), Access::Stretched { inner: 3 });
        assert_eq!(access(&[7, 3, 1], &[0, 1]), Access::Contiguous);
        assert_eq!(access(&[2, 7, 3, 5], &[0, 3]), Access::Strided { dims: vec![(2, 5), (21, 0), (5, 1)] });
        assert_eq!(access(&[1, 7, 3], &[0, 2]), Access::Cyclic { period: 3 });
    }
}
