//! `y = erf x`, the error function. Derivative: `2/√π e^(-x²)`.

use super::Unary;
use crate::ir::{Builder, NodeId};
use crate::ops::{Element, Flow};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Erf;

impl Unary for Erf {
    const NAME: &'static str = "erf";
    const FLOW: Flow = Flow::Differentiable;

    fn apply<T: Element>(x: T) -> T {
        x.erf()
    }

    fn differential(b: &mut Builder<'_>, x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
        let square = b.mul(x, x);
        let exponent = b.neg(square);
        let bell = b.emit(crate::ops::Exp, &[exponent]);
        let slope = b.scale(std::f64::consts::FRAC_2_SQRT_PI, bell);
        b.mul(v, slope)
    }
}
