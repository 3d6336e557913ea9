//! `y = e^x / Σ e^x` along an axis.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) the axis exists.
//! Gradient: `y (g - Σ g y)`; the Jacobian is symmetric. Numerics: the largest element is taken out first, so nothing
//! overflows. NaN where every element is `-inf`.

use super::{Element, Flow, OpError, Primitive, Site, Tensor, check_axes, take};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Softmax {
    pub axis: usize,
}

impl Softmax {
    fn differential(&self, b: &mut Builder<'_>, y: NodeId, v: NodeId) -> NodeId {
        let weighted = b.mul(v, y);
        let mean = b.sum(weighted, &[self.axis]);
        let shape = b.shape(y).to_vec();
        let mean = b.unreduce(mean, &shape, &[self.axis]);
        let centred = b.sub(v, mean);
        b.mul(y, centred)
    }
}

impl Primitive for Softmax {
    const NAME: &'static str = "softmax";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("softmax takes f32, found {x}")));
        }
        check_axes(Self::NAME, &[self.axis], x.rank())?;
        Ok(x.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axis", self.axis.to_string())]
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Differentiable
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        self.differential(b, site.result, cotangent)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        self.differential(b, site.result, tangent)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let mut y = operands[0].float().clone();
        for mut lane in y.lanes_mut(Axis(self.axis)) {
            let peak = lane.iter().copied().fold(T::neg_infinity(), T::max);
            lane.mapv_inplace(|x| (x - peak).exp());
            let total = lane.sum();
            lane.mapv_inplace(|e| e / total);
        }
        Tensor::Float(y)
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
