//! `y = mean x` over the real elements of each window, and its transpose. See the folder.

use super::{PoolAttributes, check_result};
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

/// The number of real elements in the window of each spatial position of the result (batch counted in).
fn window_counts(attributes: &PoolAttributes, x_shape: &[usize], y_shape: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; y_shape[..y_shape.len() - 1].iter().product()];
    attributes.geometry(x_shape, y_shape).visit(|_, o, _| counts[o] += 1);
    counts
}

/// `y[n, o, c] = mean_k x[n, o·stride + k − low, c]` over the `k` that meet the input
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct AveragePool {
    pub attributes: PoolAttributes,
}

impl Primitive for AveragePool {
    const NAME: &'static str = "average_pool";
    primitive!(linear, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        self.attributes.infer_forward(Self::NAME, x)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        let shape = b.shape(site.operands[0]).to_vec();
        b.emit(AveragePoolScatter { attributes, shape }, &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let x = operands[0].float().as_standard_layout();
        let (values, shape) = (x.as_slice().unwrap_or(&[]), extents(result));
        let channels = shape[shape.len() - 1];
        let counts = window_counts(&self.attributes, x.shape(), &shape);
        let mut means = vec![T::zero(); shape.iter().product()];
        self.attributes.geometry(x.shape(), &shape).visit(|i, o, _| {
            for c in 0..channels {
                means[o * channels + c] += values[i * channels + c] / T::of(counts[o] as f64);
            }
        });
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), means).expect("internal: one value an element"))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::windows(types, true)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let mean = ranges.of(0);
        if self.attributes.has_elements(&ranges.types.operands[0].shape) { mean } else { mean.hull(Interval::ZERO) }
    }
}

/// `dx` from `g` (shaped as the result): each element of `g` spread evenly over its window's real elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct AveragePoolScatter {
    pub attributes: PoolAttributes,
    /// the shape of `x`
    pub shape: Vec<Dim>,
}

impl Primitive for AveragePoolScatter {
    const NAME: &'static str = "average_pool_scatter";
    primitive!(linear, kernel, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [g] = take(Self::NAME, operands)?;
        let x = TensorType::f32(self.shape.clone());
        check_result(Self::NAME, g, &self.attributes.infer_forward(Self::NAME, &x)?)?;
        Ok(x)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        let _ = site;
        b.emit(AveragePool { attributes }, &[cotangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let g = operands[0].float().as_standard_layout();
        let (values, shape) = (g.as_slice().unwrap_or(&[]), extents(result));
        let channels = shape[shape.len() - 1];
        let counts = window_counts(&self.attributes, &shape, g.shape());
        let mut sums = vec![T::zero(); shape.iter().product()];
        self.attributes.geometry(&shape, g.shape()).visit(|i, o, _| {
            for c in 0..channels {
                sums[i * channels + c] += values[o * channels + c] / T::of(counts[o] as f64);
            }
        });
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), sums).expect("internal: one value an element"))
    }

    fn bind(&self, sizes: &DimSizes) -> Self {
        let shape = self.shape.iter().map(|dim| dim.bind(sizes)).collect();
        Self { attributes: self.attributes.clone(), shape }
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::windows(types, true)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(0).sums_from(0)
    }
}
