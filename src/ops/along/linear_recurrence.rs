//! `y[i] = a[i] y[i-1] + b[i]` along an axis, from `y[-1] = 0`; with `reverse`, `y[i] = a[i] y[i+1] + b[i]` from the far end.
//!
//! Operands/Results: `a: f32[..., N, ...]`, `b: f32[..., N, ...]` → `f32[..., N, ...]`. Constraints: (C1) equal shapes; (C2) both
//! of floats; (C3) the axis exists; (C4) N is below the largest extent. The first `a` is never used.
//! Moving averages and discounted sums are recurrences, as is a cumulative product (`b = 1, 0, 0, …`).
//! Gradient: with `c` the recurrence of `g` in the other direction, by the next element's `a`: `db = c`, `da[i] = c[i] y[i-1]`. So the
//! op is closed under differentiation. Numerics: no division, zeros in `a` are no special case.

use crate::ops::pointwise::infer_pair;
use crate::ops::prelude::*;
use crate::ops::{Pad, Slice};
use ndarray::{Axis, Zip};

#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct LinearRecurrence {
    pub axis: usize,
    pub reverse: bool,
}

impl Primitive for LinearRecurrence {
    const NAME: &'static str = "linear_recurrence";
    primitive!(differentiable, kernel, sizeless, plain);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let ty = infer_pair(Self::NAME, operands)?;
        if !ty.is_float() {
            return Err(OpError::dtype(format!("linear_recurrence takes f32, found {ty} (C2)")));
        }
        let Some(extent) = ty.shape.get(self.axis) else {
            return Err(OpError::constraint(format!("linear_recurrence along axis {} of {ty} (C3)", self.axis)));
        };
        if extent.offset(1).is_none() {
            return Err(OpError::limit(format!("linear_recurrence over {extent} elements is beyond the limits (C4)")));
        }
        Ok(ty)
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        let reverse = self.reverse.then(|| ("reverse", "true".to_string()));
        [("axis", self.axis.to_string())].into_iter().chain(reverse).collect()
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
        let factors = shift(b, site.operands[0], self.axis, !self.reverse);
        let back = Self { axis: self.axis, reverse: !self.reverse };
        let summand = b.emit(back, &[factors, cotangent]);
        if slot == 1 {
            return summand;
        }
        let previous = shift(b, site.result, self.axis, self.reverse);
        b.mul(summand, previous)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
        let summand = if slot == 1 {
            tangent
        } else {
            let previous = shift(b, site.result, self.axis, self.reverse);
            b.mul(tangent, previous)
        };
        b.emit(self.clone(), &[site.operands[0], summand])
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        let (a, mut y) = (operands[0].float(), operands[1].float().clone());
        Zip::from(y.lanes_mut(Axis(self.axis))).and(a.lanes(Axis(self.axis))).for_each(|mut y, a| {
            for step in 1..a.len() {
                let (i, previous) = if self.reverse { (a.len() - 1 - step, a.len() - step) } else { (step, step - 1) };
                let carried = a[i] * y[previous];
                y[i] += carried;
            }
        });
        Tensor::Float(y)
    }

    fn locality(&self, types: Types<'_>) -> Locality {
        Locality::but(types, &[self.axis], Along::Mixed)
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        let (factor, summand) = (ranges.of(0), ranges.of(1));
        // What is carried on has the summands' sign.
        match factor.low >= 0.0 {
            true if summand.low >= 0.0 => Interval::new(summand.low, f64::INFINITY),
            true if summand.high <= 0.0 => Interval::new(f64::NEG_INFINITY, summand.high),
            _ => Interval::ALL,
        }
    }
}

/// The element before each along an axis (the one behind it when `reverse`), 0 at the end where there is none.
pub(crate) fn shift(b: &mut Builder<'_>, x: NodeId, axis: usize, reverse: bool) -> NodeId {
    let extents = b.shape(x).to_vec();
    let at = |start: usize| {
        let mut starts = vec![Dim::known(0); extents.len()];
        starts[axis] = Dim::known(start);
        starts
    };
    // One element more than `x`, so that an empty axis has a slice too.
    let mut shape = extents.clone();
    shape[axis] = shape[axis].offset(1).expect("internal: the shape rule checked the extent");
    let strides = vec![1; extents.len()];
    let padded = b.emit(Pad { starts: at(usize::from(!reverse)), strides: strides.clone(), shape }, &[x]);
    b.emit(Slice { starts: at(usize::from(reverse)), extents: extents.clone(), strides }, &[padded])
}
