//! Comparisons, element by element: `z[i] = x[i] ⋈ y[i]`.
//!
//! Operands/Results: `x: T[...]`, `y: T[...]` → `bool[...]`. Constraints: (C1) equal shapes; (C2) equal element types;
//! (C3) floats or ints, or bools for `equal`. No gradient passes: the result is constant wherever it is continuous.
//! The other comparisons are these with operands swapped or the result negated.

use super::binary::infer_pair;
use super::{Element, Flow, OpError, Primitive, Site, Tensor};
use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};
use ndarray::{ArrayD, Zip};

macro_rules! comparison {
    ($($(#[$doc:meta])* $op:ident $name:literal $accepts_bool:literal $compare:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl Primitive for $op {
            const NAME: &'static str = $name;

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let ty = infer_pair(Self::NAME, operands)?;
                if ty.dtype == DType::Bool && !$accepts_bool {
                    return Err(OpError::dtype(format!("{} takes numbers, found {ty} (C3)", Self::NAME)));
                }
                Ok(TensorType::new(DType::Bool, ty.shape))
            }

            fn attributes(&self) -> Vec<(&'static str, String)> {
                Vec::new()
            }

            fn flow(&self, _slot: usize) -> Flow {
                Flow::Zero
            }

            fn vjp(&self, b: &mut Builder<'_>, site: Site<'_>, _cotangent: NodeId, slot: usize) -> NodeId {
                b.zeros_like(site.operands[slot])
            }

            fn jvp(&self, b: &mut Builder<'_>, site: Site<'_>, _tangent: NodeId, _slot: usize) -> NodeId {
                b.zeros_like(site.result)
            }

            fn evaluate<T: Element>(&self, operands: &[&Tensor<T>], _result: &TensorType) -> Tensor<T> {
                fn compare<E>(x: &ArrayD<E>, y: &ArrayD<E>, f: impl Fn(&E, &E) -> bool) -> ArrayD<bool> {
                    Zip::from(x).and(y).map_collect(f)
                }
                Tensor::Bool(match (operands[0], operands[1]) {
                    (Tensor::Int(x), Tensor::Int(y)) => compare(x, y, $compare),
                    (Tensor::Bool(x), Tensor::Bool(y)) => compare(x, y, $compare),
                    (x, y) => compare(x.float(), y.float(), $compare),
                })
            }

            fn bind(&self, _sizes: &DimSizes) -> Self {
                self.clone()
            }
        }
    )* };
}

comparison! {
    /// `x < y`; false where either is NaN.
    Less "less" false |x, y| x < y;
    /// `x ≤ y`; false where either is NaN.
    LessEqual "less_equal" false |x, y| x <= y;
    /// `x = y`; false where either is NaN.
    Equal "equal" true |x, y| x == y;
}
