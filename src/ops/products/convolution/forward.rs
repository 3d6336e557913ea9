//! `y = x ∗ kernel`. See the folder.

use super::{ConvolutionAttributes, visit_products};
use crate::ops::prelude::*;
use crate::ops::{ConvolutionInputGradient, ConvolutionKernelGradient};
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Convolution {
    pub attributes: ConvolutionAttributes,
}

impl Primitive for Convolution {
    const NAME: &'static str = "convolution";
    primitive!(linear, kernel, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, kernel] = take(Self::NAME, operands)?;
        self.attributes.infer_forward(x, kernel)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        if slot == 0 {
            let shape = b.shape(site.operands[0]).to_vec();
            b.emit(ConvolutionInputGradient { attributes, shape }, &[cotangent, site.operands[1]])
        } else {
            let shape = b.shape(site.operands[1]).to_vec();
            b.emit(ConvolutionKernelGradient { attributes, shape }, &[site.operands[0], cotangent])
        }
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (first, second) = (operands[0].float().as_standard_layout(), operands[1].float().as_standard_layout());
        let shape = extents(result);
        let mut out = vec![T::zero(); shape.iter().product()];
        let (a, b) = (first.as_slice().unwrap_or(&[]), second.as_slice().unwrap_or(&[]));
        let geometry = self.attributes.geometry(first.shape(), second.shape(), &shape);
        let (channels, filters) = (first.shape()[first.ndim() - 1], shape[shape.len() - 1]);
        visit_products(&geometry, self.attributes.groups, channels, filters, |x, k, y| out[y] += a[x] * b[k]);
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), out).expect("internal: one value an element"))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        let channels = types.result.rank() - 1;
        let row = |axis: usize| if axis == 0 { Along::Apart(0) } else { Along::Mixed };
        let filter = |axis: usize| if axis == channels { Along::Apart(channels) } else { Along::Mixed };
        Locality::Axes(vec![(0..=channels).map(row).collect(), (0..=channels).map(filter).collect()])
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        self.attributes.bounds(ranges)
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        Work::convolution(&extents.operands[1], extents.result)
    }
}
