//! `y = ln Σ e^x` over axes, which go away.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) axes in range, distinct, ascending.
//! Gradient: `g e^(x - y)`, the softmax of `x` over the axes.
//! Numerics: the largest element is taken out first, so nothing overflows. An empty sum, or one of `-inf` alone, is `-inf`,
//! and passes the gradient 0: impossible paths of a dynamic programme stay out of it.

use super::sum::drop_axes;
use super::tensor::map_groups;
use super::{Element, Exp, Flow, Max, OpError, Primitive, Site, Tensor, check_axes, show_list, take};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LogSumExp {
    pub axes: Vec<usize>,
}

impl LogSumExp {
    /// `e^(x - y)` in the shape of `x`, 0 where `y` is `-inf`.
    fn shares(&self, b: &mut Builder<'_>, site: Site<'_>) -> NodeId {
        let x = site.operands[0];
        // Against the lowest finite number `-inf` stays `-inf`, against itself it would be NaN.
        let lowest = b.constant_like(f64::from(f32::MIN), site.result);
        let total = b.emit(Max, &[site.result, lowest]);
        let shape = b.shape(x).to_vec();
        let total = b.unreduce(total, &shape, &self.axes);
        let relative = b.sub(x, total);
        b.emit(Exp, &[relative])
    }
}

impl Primitive for LogSumExp {
    const NAME: &'static str = "log_sum_exp";

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("log_sum_exp takes f32, found {x}")));
        }
        check_axes(Self::NAME, &self.axes, x.rank())?;
        Ok(drop_axes(x, &self.axes))
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![("axes", show_list(&self.axes))]
    }

    fn flow(&self, _slot: usize) -> Flow {
        Flow::Differentiable
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let shares = self.shares(b, site);
        let shape = b.shape(site.operands[0]).to_vec();
        let cotangent = b.unreduce(cotangent, &shape, &self.axes);
        b.mul(cotangent, shares)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let shares = self.shares(b, site);
        let weighted = b.mul(tangent, shares);
        b.sum(weighted, &self.axes)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Float(map_groups(operands[0].float(), &self.axes, |group: &[T]| {
            let peak = group.iter().fold(T::neg_infinity(), |peak, x| if *x > peak || x.is_nan() { *x } else { peak });
            if peak.is_infinite() {
                return peak;
            }
            peak + group.iter().fold(T::zero(), |sum, x| sum + (*x - peak).exp()).ln()
        }))
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
