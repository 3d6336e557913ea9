//! `dkernel` from `x` and `g` (shaped as `y`): the convolution's transpose in the kernel. See the folder.

use super::{ConvolutionAttributes, visit_products};
use crate::ops::prelude::*;
use crate::ops::{Convolution, ConvolutionInputGradient};
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ConvolutionKernelGradient {
    pub attributes: ConvolutionAttributes,
    /// the shape of the kernel
    pub shape: Vec<Dim>,
}

impl Primitive for ConvolutionKernelGradient {
    const NAME: &'static str = "convolution_kernel_gradient";
    primitive!(linear, kernel);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, g] = take(Self::NAME, operands)?;
        let kernel = TensorType::f32(self.shape.clone());
        let y = self.attributes.infer_forward(x, &kernel)?;
        if *g != y {
            return Err(OpError::shape(format!("{}: a cotangent {g} for a result {y}", Self::NAME)));
        }
        Ok(kernel)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        if slot == 0 {
            let shape = b.shape(site.operands[0]).to_vec();
            b.emit(ConvolutionInputGradient { attributes, shape }, &[site.operands[1], cotangent])
        } else {
            b.emit(Convolution { attributes }, &[site.operands[0], cotangent])
        }
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (first, second) = (operands[0].float().as_standard_layout(), operands[1].float().as_standard_layout());
        let shape = extents(result);
        let mut out = vec![T::zero(); shape.iter().product()];
        let (a, b) = (first.as_slice().unwrap_or(&[]), second.as_slice().unwrap_or(&[]));
        let geometry = self.attributes.geometry(first.shape(), &shape, second.shape());
        let (channels, filters) = (first.shape()[first.ndim() - 1], shape[shape.len() - 1]);
        visit_products(&geometry, self.attributes.groups, channels, filters, |x, k, y| out[k] += a[x] * b[y]);
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), out).expect("internal: one value an element"))
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        let shape = self.shape.iter().map(|dim| dim.bind(sizes)).collect();
        Self { attributes: self.attributes.clone(), shape }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let rank = types.result.rank();
        let row = |axis: usize| if axis == 0 { Along::Added } else { Along::Mixed };
        Locality::Axes(vec![(0..rank).map(row).collect(), (0..rank).map(row).collect()])
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        self.attributes.bounds(ranges)
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        Work::convolution(extents.result, &extents.operands[1])
    }
}
