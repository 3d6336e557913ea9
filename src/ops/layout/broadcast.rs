//! `x` repeated along new axes: axis `i` of `x` becomes axis `axes[i]` of the result.
//!
//! Operands/Results: `x: T[...]` → `T[shape]`. Constraints: (C1) `axes` ascending and in range, one for each axis of `x`;
//! (C2) extents kept: `shape[axes[i]] = x.shape[i]`. Gradient: the sum over the new axes.

use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
use ndarray::{ArrayD, Axis, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Broadcast {
    pub shape: Vec<Dim>,
    pub axes: Vec<usize>,
}

impl Broadcast {
    /// The axes that are new in the result.
    pub fn new_axes(&self) -> Vec<usize> {
        (0..self.shape.len()).filter(|axis| !self.axes.contains(axis)).collect()
    }
}

struct Repeat<'a> {
    new_axes: &'a [usize],
    extents: &'a [usize],
}

impl Rearrange for Repeat<'_> {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        let aligned = self.new_axes.iter().fold(x.view(), |view, axis| view.insert_axis(Axis(*axis)));
        aligned.broadcast(IxDyn(self.extents)).expect("internal: (C2) holds").to_owned()
    }
}

impl Primitive for Broadcast {
    const NAME: &'static str = "broadcast";
    primitive!(linear, kernel, moving, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        check_axes(Self::NAME, &self.axes, self.shape.len())?;
        if self.axes.len() != x.rank() || self.axes.iter().zip(&x.shape).any(|(axis, dim)| self.shape[*axis] != *dim) {
            return Err(OpError::shape(format!("cannot broadcast {x} to {} (C2)", show_shape(&self.shape))));
        }
        Ok(TensorType::new(x.dtype, self.shape.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axes", show_list(&self.axes))]
    }

    fn vjp(&self, b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.sum(cotangent, &self.new_axes())
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Repeat { new_axes: &self.new_axes(), extents: &extents(result) })
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        Self { shape: self.shape.iter().map(|dim| dim.bind(sizes)).collect(), axes: self.axes.clone() }
    }

    fn locality(&self, _types: Types<'_>) -> Locality {
        Locality::Axes(vec![self.axes.iter().map(|axis| Along::Apart(*axis)).collect()])
    }
}
