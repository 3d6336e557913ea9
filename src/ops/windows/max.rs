//! `y = max x` over each window, and the two maps that pass values to and from the maximal elements. See the folder.

use super::{PoolAttributes, check_result};
use crate::ops::prelude::*;
use ndarray::{ArrayD, IxDyn};

/// The winner of a window that lies in the padding alone.
const NONE: usize = usize::MAX;

/// For each element of the result, the position of the first maximal element of its window; NaN counts as largest.
fn winners<T: Element>(attributes: &PoolAttributes, x: &[T], x_shape: &[usize], y_shape: &[usize]) -> Vec<usize> {
    let channels = x_shape[x_shape.len() - 1];
    let mut best = vec![NONE; y_shape.iter().product()];
    attributes.geometry(x_shape, y_shape).visit(|i, o, _| {
        for c in 0..channels {
            let (from, to) = (i * channels + c, o * channels + c);
            let larger = best[to] == NONE || {
                let largest = x[best[to]];
                !largest.is_nan() && (x[from] > largest || x[from].is_nan())
            };
            if larger {
                best[to] = from;
            }
        }
    });
    best
}

/// The value at each winner, `absent` where there is none.
fn pick<T: Element>(values: &[T], winners: &[usize], shape: &[usize], absent: T) -> Tensor<T> {
    let picked = winners.iter().map(|i| values.get(*i).copied().unwrap_or(absent)).collect();
    Tensor::Float(ArrayD::from_shape_vec(IxDyn(shape), picked).expect("internal: one value an element"))
}

/// `y[n, o, c] = max_k x[n, o·stride + k − low, c]`
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct MaxPool {
    pub attributes: PoolAttributes,
}

impl Primitive for MaxPool {
    const NAME: &'static str = "max_pool";
    primitive!(differentiable, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(Self::NAME, operands)?;
        self.attributes.infer_forward(Self::NAME, x)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolScatter { attributes }, &[site.operands[0], cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolSelect { attributes }, &[site.operands[0], tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let x = operands[0].float().as_standard_layout();
        let (values, shape) = (x.as_slice().unwrap_or(&[]), extents(result));
        pick(values, &winners(&self.attributes, values, x.shape(), &shape), &shape, T::neg_infinity())
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::windows(types, true)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let largest = ranges.of(0);
        let is_always = self.attributes.has_elements(&ranges.types.operands[0].shape);
        if is_always { largest } else { Interval::new(f64::NEG_INFINITY, largest.high) }
    }
}

/// `dx`: each element of `g` (shaped as the result) added where its window's first maximum stood in `x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct MaxPoolScatter {
    pub attributes: PoolAttributes,
}

impl Primitive for MaxPoolScatter {
    const NAME: &'static str = "max_pool_scatter";
    primitive!(kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, g] = take(Self::NAME, operands)?;
        check_result(Self::NAME, g, &self.attributes.infer_forward(Self::NAME, x)?)?;
        Ok(x.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Zero } else { Flow::Differentiable }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolSelect { attributes }, &[site.operands[0], cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolScatter { attributes }, &[site.operands[0], tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (x, g) = (operands[0].float().as_standard_layout(), operands[1].float().as_standard_layout());
        let (values, shape) = (x.as_slice().unwrap_or(&[]), extents(result));
        let mut sums = vec![T::zero(); values.len()];
        let winners = winners(&self.attributes, values, x.shape(), g.shape());
        for (winner, g) in winners.into_iter().zip(g.iter()).filter(|(winner, _)| *winner != NONE) {
            sums[winner] += *g;
        }
        Tensor::Float(ArrayD::from_shape_vec(IxDyn(&shape), sums).expect("internal: one value an element"))
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::windows(types, true)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(1).sums_from(0)
    }
}

/// The value of `v` (shaped as `x`) where each window's first maximum stands in `x`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct MaxPoolSelect {
    pub attributes: PoolAttributes,
}

impl Primitive for MaxPoolSelect {
    const NAME: &'static str = "max_pool_select";
    primitive!(kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x, v] = take(Self::NAME, operands)?;
        check_result(Self::NAME, v, x)?;
        self.attributes.infer_forward(Self::NAME, x)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.attributes.show()
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == 0 { Flow::Zero } else { Flow::Differentiable }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolScatter { attributes }, &[site.operands[0], cotangent])
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        let attributes = self.attributes.clone();
        b.emit(MaxPoolSelect { attributes }, &[site.operands[0], tangent])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], result: &TensorType) -> Tensor<T> {
        let (x, v) = (operands[0].float().as_standard_layout(), operands[1].float().as_standard_layout());
        let (values, shape) = (x.as_slice().unwrap_or(&[]), extents(result));
        let winners = winners(&self.attributes, values, x.shape(), &shape);
        pick(v.as_slice().unwrap_or(&[]), &winners, &shape, T::zero())
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::windows(types, true)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(1).hull(Interval::ZERO)
    }
}
