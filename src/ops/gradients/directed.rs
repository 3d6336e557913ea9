//! `y`, whose derivative by `x` is `d` whatever `y` is computed from: a direction that is handed in.
//!
//! Operands/Results: `y: f32[]`, `x: f32[...]`, `d: f32[...]` → `f32[]`. Constraints: (C1) all are of floats, `y` is one number, `x`
//! and `d` have one shape. The value is `y`. Gradient: to `y` its own, to `x` the cotangent times `d`; none to `d`, which is taken
//! as a constant. Several of them, one around the other, give directions for several values.
//! Simplification takes it out, as all derivatives are written out by then.

use crate::ops::prelude::*;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Directed;

impl Directed {
    pub const VALUE: usize = 0;
    pub const OF: usize = 1;
    pub const DIRECTION: usize = 2;
}

impl Primitive for Directed {
    const NAME: &'static str = "directed";
    primitive!(bare, kernel, sizeless, free);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [y, x, d] = take(Self::NAME, operands)?;
        if !y.is_float() || !x.is_float() || !d.is_float() {
            return Err(OpError::dtype(format!("a direction is of f32 values, found {y}, {x} and {d} (C1)")));
        }
        if !y.is_scalar() || x.shape != d.shape {
            return Err(OpError::shape(format!("a direction of {d} for {x}, under the value {y} (C1)")));
        }
        Ok(y.clone())
    }

    fn flow(&self, slot: usize) -> Flow {
        if slot == Self::DIRECTION { Flow::Zero } else { Flow::Differentiable }
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        if slot == Self::VALUE {
            return cotangent;
        }
        let direction = site.operands[Self::DIRECTION];
        let shape = b.shape(direction).to_vec();
        let cotangent = b.splat(cotangent, &shape);
        b.mul(cotangent, direction)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        if slot == Self::VALUE {
            return tangent;
        }
        let product = b.mul(tangent, site.operands[Self::DIRECTION]);
        let axes: Vec<usize> = (0..b.shape(product).len()).collect();
        b.sum(product, &axes)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        operands[Self::VALUE].clone()
    }

    fn locality(&self, _types: Types<'_>) -> Locality {
        Locality::Mixes
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        ranges.of(Self::VALUE)
    }
}
