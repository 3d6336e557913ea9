//! Pooling over 1 to 3 spatial axes, channels last.
//!
//! Operands/Results: `x: f32[N, S..., C]` → `f32[N, O..., C]`, `O` as for convolution. Constraints: (C1) 1 to 3 spatial axes; (C3) the
//! window fits the padded input. Padding never takes part: a maximum ignores it, an average counts real elements only.
//! A window that lies in the padding alone has the maximum `-inf` and the average 0, and passes no gradient.
//! The maximum's derivative selects the first maximal element of each window; `max_pool_scatter` and `max_pool_select` are
//! each other's transpose, as `average_pool` and `average_pool_scatter` are.

mod average;
mod max;

pub use average::{AveragePool, AveragePoolScatter};
pub use max::{MaxPool, MaxPoolScatter, MaxPoolSelect};

use super::convolution::{Geometry, Windows};
use super::{OpError, show_list};
use crate::ir::{Dim, TensorType};

/// The window of a pooling and how it moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PoolAttributes {
    pub window: Vec<usize>,
    pub windows: Windows,
}

impl PoolAttributes {
    pub(crate) fn show(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![("window", show_list(&self.window))];
        attributes.extend(self.windows.attributes());
        attributes
    }

    /// The type of `y`, given that of `x`.
    pub(crate) fn infer_forward(&self, name: &str, x: &TensorType) -> Result<TensorType, OpError> {
        let n = self.windows.n_axes();
        if !x.is_float() {
            return Err(OpError::dtype(format!("{name} takes f32, found {x}")));
        }
        if x.rank() != n + 2 {
            return Err(OpError::shape(format!("{name} over {n} axes needs x with {} axes, found {x} (C1)", n + 2)));
        }
        let mut shape = vec![x.shape[0].clone()];
        shape.extend(self.windows.positions(name, &x.shape[1..=n], &self.window)?);
        shape.push(x.shape[n + 1].clone());
        Ok(TensorType::f32(shape))
    }

    /// Whether every window holds an element: none lies in the padding alone.
    pub(crate) fn has_elements(&self, x: &[Dim]) -> bool {
        let n = self.windows.n_axes();
        (0..n).all(|axis| {
            let (low, high) = self.windows.padding[axis];
            let is_near = low < self.window[axis] && high < self.window[axis];
            self.windows.dilation[axis] == 1 && is_near && !x[axis + 1].is_zero()
        })
    }

    pub(crate) fn geometry(&self, x: &[usize], y: &[usize]) -> Geometry {
        let n = self.windows.n_axes();
        Geometry {
            batch: x[0],
            input: x[1..=n].to_vec(),
            output: y[1..=n].to_vec(),
            window: self.window.clone(),
            windows: self.windows.clone(),
        }
    }
}

/// Checks that `g` has the shape of the pooling's result.
pub(crate) fn check_result(name: &str, g: &TensorType, y: &TensorType) -> Result<(), OpError> {
    if g == y { Ok(()) } else { Err(OpError::shape(format!("{name}: a value {g} for windows {y}"))) }
}
