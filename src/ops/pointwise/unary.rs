//! Functions of one float: `y[i] = f(x[i])`.
//!
//! Operands/Results: `x: f32[...]` → `f32[...]`. Constraints: (C1) `x` is of floats.
//! The Jacobian is diagonal, so one rule serves as vjp and jvp. A row says all there is to say of a function.

use crate::ops::prelude::*;

/// What distinguishes one function of one float from another.
pub trait Unary: Clone + std::fmt::Debug + PartialEq + Eq + std::hash::Hash + Default {
    const NAME: &'static str;
    /// `Zero` for functions whose derivative is zero wherever it exists.
    const FLOW: Flow;
    const POINTWISE: Option<Pointwise>;
    const ALGEBRA: Algebra;
    /// what it costs, in additions
    const WEIGHT: f64;

    fn apply<T: Element>(x: T) -> T;

    fn bounds(x: Interval) -> Interval;

    /// Where value and derivative are finite; everywhere, unless a row says otherwise.
    fn domain() -> Option<Domain> {
        None
    }

    /// See [`Primitive::exponent`].
    fn exponent(_x: Interval) -> Option<f64> {
        None
    }

    /// `v * f'(x)`, where `y = f(x)`.
    fn differential(b: &mut Builder<'_>, x: NodeId, y: NodeId, v: NodeId) -> NodeId;
}

impl<U: Unary> Primitive for U {
    const NAME: &'static str = <U as Unary>::NAME;
    const ALGEBRA: Algebra = <U as Unary>::ALGEBRA;
    primitive!(bare, elementwise, sizeless);

    fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, OpError> {
        let [x] = take(<U as Unary>::NAME, operands)?;
        if !x.is_float() {
            return Err(OpError::dtype(format!("{} takes f32, found {x} (C1)", <U as Unary>::NAME)));
        }
        Ok(x.clone())
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
        Tensor::Float(map(operands[0].float(), U::apply))
    }

    fn pointwise(&self) -> Option<Pointwise> {
        U::POINTWISE
    }

    fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        U::bounds(ranges.of(0))
    }

    fn domain(&self, _slot: usize, _operands: &[Interval]) -> Option<Domain> {
        U::domain()
    }

    fn exponent(&self, operands: &[Interval]) -> Option<f64> {
        U::exponent(operands[0])
    }

    fn work(&self, extents: Extents<'_>) -> Work<'_> {
        Work::Elements { count: extents.largest(), weight: U::WEIGHT }
    }
}

/// Functions as rows: name and weight; value; bounds; how the register machine computes it; laws; where it is finite, if not
/// everywhere; what it is an exponential of; and `v` times the derivative by the builder `b`, where `y` is the value. Without a derivative it is zero wherever it exists.
macro_rules! unary {
    ($($(#[$doc:meta])* $op:ident $name:literal $weight:ident {
        $x:ident -> $apply:expr;
        bounds |$range:ident| $bounds:expr;
        pointwise $pointwise:expr;
        algebra $algebra:expr;
        $(domain $domain:expr;)?
        $(exponent |$operand:ident| $exponent:expr;)?
        $(derivative |$b:ident, $dx:ident, $dy:ident, $v:ident| $differential:expr;)?
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $op;

        impl $crate::ops::pointwise::unary::Unary for $op {
            const NAME: &'static str = $name;
            const POINTWISE: Option<Pointwise> = $pointwise;
            const ALGEBRA: Algebra = $algebra;
            const WEIGHT: f64 = $crate::ops::pointwise::weight::$weight;

            fn apply<T: Element>($x: T) -> T {
                $apply
            }

            fn bounds($range: Interval) -> Interval {
                $bounds
            }

            $(fn domain() -> Option<Domain> {
                Some($domain)
            })?

            $(fn exponent($operand: Interval) -> Option<f64> {
                Some($exponent)
            })?

            $crate::ops::pointwise::unary::derivative!($(|$b, $dx, $dy, $v| $differential)?);
        }
    )* };
}

macro_rules! derivative {
    () => {
        const FLOW: Flow = Flow::Zero;

        fn differential(b: &mut Builder<'_>, _x: NodeId, _y: NodeId, v: NodeId) -> NodeId {
            b.zeros_like(v)
        }
    };
    (|$b:ident, $x:ident, $y:ident, $v:ident| $differential:expr) => {
        const FLOW: Flow = Flow::Differentiable;

        fn differential($b: &mut Builder<'_>, $x: NodeId, $y: NodeId, $v: NodeId) -> NodeId {
            $differential
        }
    };
}
pub(crate) use {derivative, unary};
