//! Elements in the opposite order along axes: `y[..., i, ...] = x[..., N - 1 - i, ...]`.
//!
//! Operands/Results: `x: T[...]` → `T[...]`. Constraints: (C1) axes in range, distinct, ascending. Gradient: reversed too.

use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
use ndarray::{ArrayD, Axis};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Reverse {
    pub axes: Vec<usize>,
}

struct Flip<'a>(&'a [usize]);

impl Rearrange for Flip<'_> {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        let mut view = x.view();
        for axis in self.0 {
            view.invert_axis(Axis(*axis));
        }
        view.as_standard_layout().into_owned()
    }
}

impl Primitive for Reverse {
    const NAME: &'static str = "reverse";
    primitive!(linear, of_axes, kernel, sizeless, moving, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        check_axes(Self::NAME, &self.axes, x.rank())?;
        Ok(x.clone())
    }

    fn vjp(&self, b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.emit(self.clone(), &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Flip(&self.axes))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::but(types, &self.axes, Along::Mixed)
    }
}
