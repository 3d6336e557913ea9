//! Functions of two numbers, element by element: `z[i] = f(x[i], y[i])`.
//!
//! Operands/Results: `x: T[...]`, `y: T[...]` → `T[...]`. Constraints: (C1) equal shapes: broadcasting is a node of its
//! own; (C2) both of floats, or both of ints where the function is defined on them.

mod add;
mod atan2;
mod div;
mod max;
mod min;
mod mul;
mod pow;
mod rem;
mod sub;

pub use add::Add;
pub use atan2::Atan2;
pub use div::Div;
pub use max::Max;
pub use min::Min;
pub use mul::Mul;
pub use pow::Pow;
pub use rem::Rem;
pub use sub::Sub;

use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};
use ndarray::Zip;

/// What distinguishes one function of two numbers from another.
pub trait Binary: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash + Default {
    const NAME: &'static str;
    /// Whether the function is defined on ints too.
    const TAKES_INTS: bool = true;

    fn apply<T: Element>(x: T, y: T) -> T;
    /// On ints; wraps on overflow.
    fn apply_int(x: i32, y: i32) -> i32;

    /// `v * ∂f/∂x` (`slot` 0) or `v * ∂f/∂y` (`slot` 1), where `z = f(x, y)`.
    fn differential(b: &mut Builder<'_>, operands: [NodeId; 2], z: NodeId, v: NodeId, slot: usize) -> NodeId;
}

/// The type of a function of two values of one type: (C1) equal shapes.
pub(crate) fn infer_pair(name: &str, operands: &[&TensorType]) -> Result<TensorType, OpError> {
    let [x, y] = take(name, operands)?;
    let refusal = || match verb(name) {
        Some(verb) => format!("cannot {verb} {x} and {y}"),
        None => format!("{name} cannot take {x} and {y}"),
    };
    if x.dtype != y.dtype {
        return Err(OpError::dtype(format!("{}: element types differ (C2)", refusal())));
    }
    if x.shape != y.shape {
        return Err(OpError::shape(format!("{} (C1)", refusal())));
    }
    Ok(x.clone())
}

/// What people say for an op.
fn verb(name: &str) -> Option<&'static str> {
    Some(match name {
        "add" => "add",
        "sub" => "subtract",
        "mul" => "multiply",
        "div" => "divide",
        "less" | "less_equal" | "equal" => "compare",
        _ => return None,
    })
}

macro_rules! binary_primitive {
    ($($op:ident),*) => { $(
        impl Primitive for $op {
            const NAME: &'static str = <$op as Binary>::NAME;

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let ty = infer_pair(<$op as Binary>::NAME, operands)?;
                if ty.dtype == DType::Bool {
                    return Err(OpError::dtype(format!("{} takes numbers, found {ty} (C2)", <$op as Binary>::NAME)));
                }
                if ty.dtype == DType::I32 && !<$op as Binary>::TAKES_INTS {
                    return Err(OpError::dtype(format!("{} takes f32, found {ty} (C2)", <$op as Binary>::NAME)));
                }
                Ok(ty)
            }

            fn attributes(&self) -> Vec<(&'static str, String)> {
                Vec::new()
            }

            fn flow(&self, _slot: usize) -> Flow {
                Flow::Differentiable
            }

            fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, cotangent: NodeId, slot: usize) -> NodeId {
                <$op as Binary>::differential(b, [site.operands[0], site.operands[1]], site.result, cotangent, slot)
            }

            fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, tangent: NodeId, slot: usize) -> NodeId {
                <$op as Binary>::differential(b, [site.operands[0], site.operands[1]], site.result, tangent, slot)
            }

            fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
                match (operands[0], operands[1]) {
                    (Tensor::Int(x), Tensor::Int(y)) => {
                        Tensor::Int(Zip::from(x).and(y).map_collect(|x, y| <$op as Binary>::apply_int(*x, *y)))
                    }
                    (x, y) => Tensor::Float(
                        Zip::from(x.float()).and(y.float()).map_collect(|x, y| <$op as Binary>::apply(*x, *y)),
                    ),
                }
            }

            fn bind(&self, _sizes: &DimSizes) -> Self {
                self.clone()
            }
        }
    )* };
}

binary_primitive!(Add, Sub, Mul, Div, Pow, Max, Min, Atan2, Rem);
