//! Logic on bools, element by element.
//!
//! Operands/Results: `bool[...]` (two, or one for `not`) → `bool[...]`. Constraints: (C1) equal shapes; (C2) bools.
//! No gradient passes.

use super::binary::infer_pair;
use super::{Element, Flow, OpError, Primitive, Site, Tensor, take};
use crate::ir::{Builder, DType, DimSizes, NodeId, TensorType};
use ndarray::Zip;

macro_rules! logic {
    ($($(#[$doc:meta])* $op:ident $name:literal $infer:expr, $evaluate:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl Primitive for $op {
            const NAME: &'static str = $name;

            fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
                let infer: fn(&[&TensorType]) -> Result<TensorType, OpError> = $infer;
                let ty = infer(operands)?;
                if ty.dtype != DType::Bool {
                    return Err(OpError::dtype(format!("{} takes bool, found {ty} (C2)", Self::NAME)));
                }
                Ok(ty)
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
                let evaluate: fn(&[&Tensor<T>]) -> ndarray::ArrayD<bool> = $evaluate;
                Tensor::Bool(evaluate(operands))
            }

            fn bind(&self, _sizes: &DimSizes) -> Self {
                self.clone()
            }
        }
    )* };
}

logic! {
    /// `x and y`
    And "and" |types| infer_pair("and", types),
        |values| Zip::from(values[0].bool()).and(values[1].bool()).map_collect(|x, y| *x && *y);
    /// `x or y`
    Or "or" |types| infer_pair("or", types),
        |values| Zip::from(values[0].bool()).and(values[1].bool()).map_collect(|x, y| *x || *y);
    /// `not x`
    Not "not" |types| take::<1>("not", types).map(|[x]| x.clone()),
        |values| values[0].bool().mapv(|x| !x);
}
