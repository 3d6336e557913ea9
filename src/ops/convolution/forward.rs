//! `y = x ∗ kernel`. See the folder.

use super::{ConvolutionAttributes, visit_products};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};
use crate::ops::tensor::extents;
use crate::ops::{
    ConvolutionInputGradient, ConvolutionKernelGradient, Element, Flow, OpError, Primitive, Site, Tensor, take,
};
use ndarray::{ArrayD, IxDyn};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Convolution {
    pub attributes: ConvolutionAttributes,
}

impl Primitive for Convolution {
    const NAME: &'static str = "convolution";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, kernel] = take(Self::NAME, operands)?;
        self.attributes.infer_forward(x, kernel)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Differentiable
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

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        let mut operands = site.operands.to_vec();
        operands[slot] = tangent;
        b.emit(self.clone(), &operands)
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

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
