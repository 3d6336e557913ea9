//! `y[i] = Σ_{j ≤ i} x[j]` along an axis; over `j ≥ i` with `reverse`, without `x[i]` itself with `exclusive`.
//!
//! Operands/Results: `x: f32[..., N, ...]` → `f32[..., N, ...]`. Constraints: (C1) the axis exists.
//! Gradient: the cumulative sum of the cotangent in the other direction.

use super::{Element, Flow, OpError, Primitive, Site, Tensor, check_axes, take};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};
use ndarray::Axis;

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct CumulativeSum {
    pub axis: usize,
    pub reverse: bool,
    pub exclusive: bool,
}

impl Primitive for CumulativeSum {
    const NAME: &'static str = "cumulative_sum";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("cumulative_sum takes f32, found {x}")));
        }
        check_axes(Self::NAME, &[self.axis], x.rank())?;
        Ok(x.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let flag = |name, on: bool| on.then(|| (name, "true".to_string()));
        let flags = [flag("reverse", self.reverse), flag("exclusive", self.exclusive)];
        [("axis", self.axis.to_string())].into_iter().chain(flags.into_iter().flatten()).collect()
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Differentiable
    }

    fn vjp(&self, b: &mut Builder<'_>, _site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        b.emit(Self { reverse: !self.reverse, ..self.clone() }, &[cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, _site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        b.emit(self.clone(), &[tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let mut y = operands[0].float().clone();
        for mut lane in y.lanes_mut(Axis(self.axis)) {
            let (mut sum, n) = (T::zero(), lane.len());
            for step in 0..n {
                let i = if self.reverse { n - 1 - step } else { step };
                let (before, x) = (sum, lane[i]);
                sum += x;
                lane[i] = if self.exclusive { before } else { sum };
            }
        }
        Tensor::Float(y)
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
