//! A value put into zeros: `y[start + i * stride] = x[i]` on each axis, 0 elsewhere. The transpose of `slice`.
//!
//! Operands/Results: `x: T[...]` → `T[shape]`. Constraints: (C1) one start and stride for each axis, strides from 1 to
//! the largest extent, equal ranks;
//! (C2) `x` fits, as far as extents are known. Gradient: the slice of the cotangent.

use super::slice::{are_strides, fits, slice_info};
use super::{Element, Flow, OpError, Primitive, Site, Slice, Tensor, show_list, take};
use crate::ir::{Builder, Dim, DimSizes, NodeId, Shape, TensorType, show_shape};
use crate::ops::tensor::{Rearrange, extents};
use ndarray::{ArrayD, IxDyn, SliceInfo};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Pad {
    pub starts: Vec<Dim>,
    pub strides: Vec<usize>,
    pub shape: Shape,
}

struct Embed<'a> {
    pad: &'a Pad,
    extents: Vec<usize>,
}

impl Rearrange for Embed<'_> {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        let mut y = ArrayD::from_elem(IxDyn(&self.extents), E::default());
        let elements = slice_info(&self.pad.starts, x.shape(), &self.pad.strides);
        let info = SliceInfo::<_, IxDyn, IxDyn>::try_from(elements.as_slice()).expect("internal: one range an axis");
        y.slice_mut(info).assign(x);
        y
    }
}

impl Primitive for Pad {
    const NAME: &'static str = "pad";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        let rank = x.rank();
        if [self.starts.len(), self.shape.len(), self.strides.len()] != [rank; 3] || !are_strides(&self.strides) {
            return Err(OpError::constraint(format!("a pad of {x} needs a start for each axis (C1)")));
        }
        if let Some(axis) =
            (0..rank).find(|&axis| !fits(&self.starts[axis], &x.shape[axis], self.strides[axis], &self.shape[axis]))
        {
            return Err(OpError::shape(format!(
                "{x} does not fit into {} at axis {axis} (C2)",
                show_shape(&self.shape)
            )));
        }
        Ok(TensorType::new(x.dtype, self.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("starts", show_shape(&self.starts))];
        if self.strides.iter().any(|stride| *stride != 1) {
            attributes.push(("strides", show_list(&self.strides)));
        }
        attributes
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Differentiable
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let extents = b.shape(site.operands[0]).to_vec();
        b.emit(Slice { starts: self.starts.clone(), extents, strides: self.strides.clone() }, &[cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(self.clone(), &[tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Embed { pad: self, extents: extents(result) })
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        let bind = |dims: &[Dim]| dims.iter().map(|dim| dim.bind(sizes)).collect();
        Self { starts: bind(&self.starts), strides: self.strides.clone(), shape: bind(&self.shape) }
    }
}
