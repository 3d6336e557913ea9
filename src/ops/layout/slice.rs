//! A regular part of a value: `y[i] = x[start + i * stride]` on each axis.
//!
//! Operands/Results: `x: T[...]` → `T[extents]`. Constraints: (C1) one start, extent and stride for each axis, strides
//! from 1 to the largest extent;
//! (C2) the part lies within `x`, as far as extents are known. Gradient: the cotangent put back into zeros (`pad`).

use crate::ir::MAX_EXTENT;
use crate::ops::Pad;
use crate::ops::prelude::*;
use crate::ops::tensor::Rearrange;
use ndarray::{ArrayD, SliceInfo, SliceInfoElem};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Slice {
    pub starts: Vec<Dim>,
    pub extents: Shape,
    pub strides: Vec<usize>,
}

/// Whether `start + (extent - 1) * stride < bound`, as far as it can be known; an empty part fits up to the bound.
pub(crate) fn fits(start: &Dim, extent: &Dim, stride: usize, bound: &Dim) -> bool {
    match (start.as_known(), extent.as_known(), bound.as_known()) {
        (Some(start), Some(0), Some(bound)) => start <= bound,
        (Some(start), Some(extent), Some(bound)) => {
            let last = (extent - 1).checked_mul(stride).and_then(|span| span.checked_add(start));
            last.is_some_and(|last| last < bound)
        }
        _ => !start.is_negative() && !extent.is_negative(),
    }
}

/// Whether every stride is one that positions can be counted with.
pub(crate) fn are_strides(strides: &[usize]) -> bool {
    strides.iter().all(|stride| (1..=MAX_EXTENT as usize).contains(stride))
}

/// The view of `x` that a slice takes.
pub(crate) fn slice_info(starts: &[Dim], extents: &[usize], strides: &[usize]) -> Vec<SliceInfoElem> {
    let known = |dim: &Dim| dim.as_known().unwrap_or_else(|| panic!("internal: {dim} is not bound"));
    let axes = starts.iter().zip(extents).zip(strides);
    axes.map(|((start, extent), stride)| {
        let start = known(start) as isize;
        let end = if *extent == 0 { start } else { start + ((*extent - 1) * stride) as isize + 1 };
        SliceInfoElem::Slice { start, end: Some(end), step: *stride as isize }
    })
    .collect()
}

struct Part(Vec<SliceInfoElem>);

impl Rearrange for Part {
    fn apply<E: Clone + Default>(&self, x: &ArrayD<E>) -> ArrayD<E> {
        let info = SliceInfo::<_, ndarray::IxDyn, ndarray::IxDyn>::try_from(self.0.as_slice());
        x.slice(info.expect("internal: one range an axis")).to_owned()
    }
}

impl Primitive for Slice {
    const NAME: &'static str = "slice";
    primitive!(linear, kernel, moving, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        let rank = x.rank();
        if [self.starts.len(), self.extents.len(), self.strides.len()] != [rank; 3] || !are_strides(&self.strides) {
            return Err(OpError::constraint(format!("a slice of {x} needs a range for each axis (C1)")));
        }
        for axis in 0..rank {
            if !fits(&self.starts[axis], &self.extents[axis], self.strides[axis], &x.shape[axis]) {
                return Err(OpError::shape(format!(
                    "the slice of axis {axis} starts at {} and takes {} of {} elements (C2)",
                    self.starts[axis], self.extents[axis], x.shape[axis]
                )));
            }
        }
        Ok(TensorType::new(x.dtype, self.extents.clone()))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("starts", show_shape(&self.starts))];
        if self.strides.iter().any(|stride| *stride != 1) {
            attributes.push(("strides", show_list(&self.strides)));
        }
        attributes
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let shape = b.shape(site.operands[0]).to_vec();
        b.emit(Pad { starts: self.starts.clone(), strides: self.strides.clone(), shape }, &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        operands[0].rearrange(Part(slice_info(&self.starts, &extents(result), &self.strides)))
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        let bind = |dims: &[Dim]| dims.iter().map(|dim| dim.bind(sizes)).collect();
        Self { starts: bind(&self.starts), extents: bind(&self.extents), strides: self.strides.clone() }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let is_whole = |axis: &usize| {
            self.starts[*axis].is_zero()
                && self.strides[*axis] == 1
                && self.extents[*axis] == types.operands[0].shape[*axis]
        };
        let parts: Vec<usize> = (0..self.starts.len()).filter(|axis| !is_whole(axis)).collect();
        Locality::but(types, &parts, Along::Mixed)
    }
}
