//! Functions of one float, element by element: `y[i] = f(x[i])`, same shape.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) `x` is of floats.
//! The Jacobian is diagonal, so one rule serves as vjp and jvp.

mod abs;
mod acos;
mod acosh;
mod asin;
mod asinh;
mod atan;
mod atanh;
mod ceil;
mod cos;
mod cosh;
mod erf;
mod exp;
mod expm1;
mod floor;
mod log;
mod log1p;
mod neg;
mod round;
mod rsqrt;
mod sigmoid;
mod sign;
mod sin;
mod sinh;
mod softplus;
mod sqrt;
mod tan;
mod tanh;

pub use abs::Abs;
pub use acos::Acos;
pub use acosh::Acosh;
pub use asin::Asin;
pub use asinh::Asinh;
pub use atan::Atan;
pub use atanh::Atanh;
pub use ceil::Ceil;
pub use cos::Cos;
pub use cosh::Cosh;
pub use erf::Erf;
pub use exp::Exp;
pub use expm1::Expm1;
pub use floor::Floor;
pub use log::Log;
pub use log1p::Log1p;
pub use neg::Neg;
pub use round::Round;
pub use rsqrt::Rsqrt;
pub use sigmoid::Sigmoid;
pub use sign::Sign;
pub use sin::Sin;
pub use sinh::Sinh;
pub use softplus::Softplus;
pub use sqrt::Sqrt;
pub use tan::Tan;
pub use tanh::Tanh;

use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DimSizes, NodeId, TensorType};

/// What distinguishes one function of one float from another.
pub trait Unary: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash + Default {
    const NAME: &'static str;
    /// `Zero` for functions whose derivative is zero wherever it exists.
    const FLOW: Flow;

    fn apply<T: Element>(x: T) -> T;

    /// `v * f'(x)`, where `y = f(x)`.
    fn differential(b: &mut Builder<'_>, x: NodeId, y: NodeId, v: NodeId) -> NodeId;
}

impl<U: Unary> Primitive for U {
    const NAME: &'static str = <U as Unary>::NAME;

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(<U as Unary>::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("{} takes f32, found {x} (C1)", <U as Unary>::NAME)));
        }
        Ok(x.clone())
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn flow(&self, _slot: usize) -> Flow {
        U::FLOW
    }

    fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, _slot: usize) -> NodeId {
        U::differential(b, site.operands[0], site.result, cotangent)
    }

    fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, _slot: usize) -> NodeId {
        U::differential(b, site.operands[0], site.result, tangent)
    }

    fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
        Tensor::Float(operands[0].float().mapv(U::apply))
    }

    fn bind(&self, _sizes: &DimSizes) -> Self {
        self.clone()
    }
}
