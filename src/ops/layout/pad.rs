//! A value put into zeros: `y[start + i * stride] = x[i]` on each axis, 0 elsewhere. The transpose of `slice`.
//!
//! Operands/Results: `x: T[...]` → `T[shape]`. Constraints: (C1) one start and stride for each axis, strides from 1 to
//! the largest extent, equal ranks;
//! (C2) `x` fits, as far as extents are known. Gradient: the slice of the cotangent.

use super::slice::{are_strides, fits, slice_info};
use crate::ops::Slice;
use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
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
    primitive!(linear, kernel, plain);

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

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let extents = b.shape(site.operands[0]).to_vec();
        b.emit(Slice { starts: self.starts.clone(), extents, strides: self.strides.clone() }, &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Embed { pad: self, extents: extents(result) })
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        let bind = |dims: &[Dim]| dims.iter().map(|dim| dim.bind(sizes)).collect();
        Self { starts: bind(&self.starts), strides: self.strides.clone(), shape: bind(&self.shape) }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let is_whole = |axis: &usize| {
            self.starts[*axis].is_zero()
                && self.strides[*axis] == 1
                && self.shape[*axis] == types.operands[0].shape[*axis]
        };
        let padded: Vec<usize> = (0..self.starts.len()).filter(|axis| !is_whole(axis)).collect();
        Locality::but(types, &padded, Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(0).hull(Interval::ZERO)
    }
}
