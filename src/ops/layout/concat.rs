//! Values one after another along an axis.
//!
//! Operands/Results: `x_1: T[..., N_1, ...]`, … → `T[..., ΣN_i, ...]`. Constraints: (C1) at least one operand; (C2) equal element
//! types and equal extents on all other axes; (C3) the axis exists. Gradient: each operand gets its slice.

use crate::ops::Slice;
use crate::ops::prelude::*;
use ndarray::{ArrayD, Axis};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Concat {
    pub axis: usize,
}

impl Concat {
    /// Where the operand at `slot` starts along the axis.
    fn start(&self, b: &Builder<'_>, operands: &[NodeId], slot: usize) -> Dim {
        operands[..slot].iter().fold(Dim::known(0), |start, operand| {
            start.add(&b.shape(*operand)[self.axis]).expect("internal: the shape rule checked the sum")
        })
    }
}

impl Primitive for Concat {
    const NAME: &'static str = "concat";
    primitive!(differentiable, of_axis, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let Some((first, rest)) = operands.split_first() else {
            return Err(OpError::constraint("concat needs at least one value (C1)"));
        };
        if self.axis >= first.rank() {
            return Err(OpError::constraint(format!("cannot concat {first} along axis {} (C3)", self.axis)));
        }
        let mut ty = (*first).clone();
        for other in rest {
            let fits = other.dtype == ty.dtype
                && other.rank() == ty.rank()
                && (0..ty.rank()).all(|axis| axis == self.axis || other.shape[axis] == ty.shape[axis]);
            if !fits {
                return Err(OpError::shape(format!("cannot concat {first} and {other} along axis {} (C2)", self.axis)));
            }
            ty.shape[self.axis] = ty.shape[self.axis]
                .add(&other.shape[self.axis])
                .ok_or_else(|| OpError::limit("the result of concat has too many elements"))?;
        }
        Ok(ty)
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let extents = b.shape(site.operands[slot]).to_vec();
        let mut starts = vec![Dim::known(0); extents.len()];
        starts[self.axis] = self.start(b, site.operands, slot);
        let strides = vec![1; extents.len()];
        b.emit(Slice { starts, extents, strides }, &[cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        let tangents: Vec<NodeId> = site
            .operands
            .iter()
            .enumerate()
            .map(|(i, operand)| if i == slot { tangent } else { b.zeros_like(*operand) })
            .collect();
        b.emit(self.clone(), &tangents)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        fn join<'a, E: Clone + 'a>(parts: impl Iterator<Item = &'a ArrayD<E>>, axis: usize) -> ArrayD<E> {
            let views: Vec<_> = parts.map(|part| part.view()).collect();
            ndarray::concatenate(Axis(axis), &views).expect("internal: (C2) holds")
        }
        match operands[0] {
            Tensor::Float(_) => Tensor::Float(join(operands.iter().map(|x| x.float()), self.axis)),
            Tensor::Int(_) => Tensor::Int(join(operands.iter().map(|x| x.int()), self.axis)),
            Tensor::Bool(_) => Tensor::Bool(join(operands.iter().map(|x| x.bool()), self.axis)),
        }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::but(types, &[self.axis], Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.hull()
    }
}
