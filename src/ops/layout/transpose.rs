//! Axes in another order: axis `i` of the result is axis `permutation[i]` of `x`.
//!
//! Operands/Results: `x: T[...]` → `T[...]`. Constraints: (C1) a permutation of all axes. Gradient: the inverse permutation.

use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Transpose {
    pub permutation: Vec<usize>,
}

struct Permute<'a>(&'a [usize]);

impl Rearrange for Permute<'_> {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        x.view().permuted_axes(IxDyn(self.0)).as_standard_layout().into_owned()
    }
}

impl Transpose {
    /// The permutation that undoes this one.
    pub fn inverse(&self) -> Vec<usize> {
        let mut inverse = vec![0; self.permutation.len()];
        for (i, axis) in self.permutation.iter().enumerate() {
            inverse[*axis] = i;
        }
        inverse
    }
}

impl Primitive for Transpose {
    const NAME: &'static str = "transpose";
    primitive!(differentiable, kernel, sizeless, moving, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..x.rank()) {
            return Err(OpError::constraint(format!(
                "cannot transpose {x} by {:?}: not an order of its axes (C1)",
                self.permutation
            )));
        }
        Ok(TensorType::new(x.dtype, self.permutation.iter().map(|axis| x.shape[*axis].clone()).collect()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("permutation", show_list(&self.permutation))]
    }

    fn vjp(&self, b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.transpose(cotangent, &self.inverse())
    }

    fn jvp(&self, b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.transpose(tangent, &self.permutation)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Permute(&self.permutation))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let inverse = self.inverse();
        Locality::Axes(vec![(0..types.result.rank()).map(|axis| Along::Apart(inverse[axis])).collect()])
    }
}
