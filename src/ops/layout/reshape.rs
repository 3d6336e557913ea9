//! The same elements in the same (row-major) order under another shape.
//!
//! Operands/Results: `x: T[...]` → `T[shape]`. Constraints: (C1) equal numbers of elements, for every size of the run-time
//! dims. Gradient: the cotangent in the old shape.

use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Reshape {
    pub shape: Shape,
}

struct Reorder(Vec<usize>);

impl Rearrange for Reorder {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        let flat = x.as_standard_layout().into_owned();
        flat.into_shape_with_order(IxDyn(&self.0)).expect("internal: (C1) holds")
    }
}

impl Primitive for Reshape {
    const NAME: &'static str = "reshape";
    primitive!(bare, kernel, moving, free, differentiable);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        match (element_count(&x.shape), element_count(&self.shape)) {
            (Some(found), Some(wanted)) if found == wanted => Ok(TensorType::new(x.dtype, self.shape.clone())),
            (Some(found), Some(wanted)) => Err(OpError::shape(format!(
                "cannot reshape {x} to {}: {found} elements against {wanted} (C1)",
                show_shape(&self.shape)
            ))),
            _ => Err(OpError::limit(format!("a reshape of {x} to {} has too many elements", show_shape(&self.shape)))),
        }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let shape = b.shape(site.operands[0]).to_vec();
        b.reshape(cotangent, shape)
    }

    fn jvp(&self, b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.reshape(tangent, self.shape.clone())
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Reorder(extents(result)))
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { shape: self.shape.iter().map(|dim| dim.bind(sizes)).collect() }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        // A position along an axis stays on the last axis behind as many elements: those before that one have one element.
        let from = &types.operands[0].shape;
        let stays = |axis: usize| {
            let before = element_count(&from[..axis])?;
            (0..self.shape.len()).rev().find(|to| element_count(&self.shape[..*to]).as_ref() == Some(&before))
        };
        Locality::Axes(vec![(0..from.len()).map(|axis| stays(axis).map_or(Along::Mixed, Along::Apart)).collect()])
    }
}
