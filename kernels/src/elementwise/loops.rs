//! One vectorised loop per operation and kind of operands.

use super::super::simd::Vector;
use super::{Binary, Fused, Ternary, Unary};

/// An operand of a loop: one number for each element, or one for all.
#[derive(Clone, Copy)]
pub(super) struct Operand<T> {
    pub(super) start: *const T,
    pub(super) uniform: bool,
}

/// The vector of an operand for the elements from `at`.
#[inline(always)]
unsafe fn read<V: Vector, const UNIFORM: bool>(operand: *const V::Element, at: usize, count: usize) -> V {
    // SAFETY: the caller vouches for the operand's elements `at..at + count`, or its one number.
    unsafe {
        if UNIFORM {
            V::splat(*operand)
        } else if count >= V::LANES {
            V::load(operand.add(at))
        } else {
            V::load_partial(operand.add(at), count)
        }
    }
}

/// Runs `$body` for every vector of the result, each `$x` bound to its operand's vector; `$uniform` says whether the
/// operand is one number for all.
macro_rules! each_vector {
    ($V:ident, $to:ident, $count:ident, [$($x:ident = $operand:ident, $uniform:expr);*], $body:expr) => {{
        let mut at = 0;
        while at + $V::LANES <= $count {
            {
                $(let $x = read::<$V, { $uniform }>($operand.start, at, $V::LANES);)*
                $body.store($to.add(at));
            }
            at += $V::LANES;
        }
        if at < $count {
            $(let $x = read::<$V, { $uniform }>($operand.start, at, $count - at);)*
            $body.store_partial($to.add(at), $count - at);
        }
    }};
}

/// 1 where the mask holds, else 0.
#[inline(always)]
fn truth<V: Vector>(proof: V, mask: V::Mask) -> V {
    proof.constant(1.0).select(mask, proof.constant(0.0))
}

#[inline(always)]
fn is_true<V: Vector>(x: V) -> V::Mask {
    x.mask_not(x.equal(x.constant(0.0)))
}

/// # Safety
/// The machine has the instruction set. `a` has `count` numbers (or one, if uniform), `to` room for `count`; they are
/// the same place or apart.
#[inline(always)]
pub(super) unsafe fn unary<V: Vector>(
    operation: Unary,
    operand: Operand<V::Element>,
    to: *mut V::Element,
    count: usize,
) {
    macro_rules! each {
        ($($name:ident($a:ident) $body:expr;)*) => {
            match operation {
                // SAFETY: by the contract of this function.
                $(Unary::$name => unsafe { each_vector!(V, to, count, [$a = operand, false], $body) },)*
            }
        };
    }
    each! {
        Neg(a) a.neg();
        Abs(a) a.abs();
        Sign(a) sign(a);
        Exp(a) a.exp();
        Log(a) a.ln();
        Log1p(a) a.ln_1p();
        Expm1(a) a.exp_m1();
        Sqrt(a) a.sqrt();
        Rsqrt(a) a.constant(1.0).div(a.sqrt());
        Reciprocal(a) a.constant(1.0).div(a);
        Square(a) a.mul(a);
        Sin(a) a.sin();
        Cos(a) a.cos();
        Tanh(a) a.tanh();
        Sigmoid(a) a.sigmoid();
        Softplus(a) a.softplus();
        Erf(a) a.erf();
        Floor(a) a.floor();
        Not(a) truth(a, a.equal(a.constant(0.0)));
    }
}

#[inline(always)]
fn sign<V: Vector>(a: V) -> V {
    let zero = a.constant(0.0);
    a.constant(1.0).select(zero.less(a), a.constant(-1.0).select(a.less(zero), a))
}

/// # Safety
/// As [`unary`].
#[inline(always)]
pub(super) unsafe fn copy<V: Vector>(operand: Operand<V::Element>, to: *mut V::Element, count: usize) {
    // SAFETY: by the contract of this function.
    unsafe {
        if operand.uniform {
            each_vector!(V, to, count, [a = operand, true], a)
        } else {
            each_vector!(V, to, count, [a = operand, false], a)
        }
    }
}

/// # Safety
/// As [`unary`], for both operands.
#[inline(always)]
pub(super) unsafe fn binary<V: Vector>(
    operation: Binary,
    left: Operand<V::Element>,
    right: Operand<V::Element>,
    to: *mut V::Element,
    count: usize,
) {
    macro_rules! each {
        ($($name:ident($a:ident, $b:ident) $body:expr;)*) => {
            match operation {
                // SAFETY: by the contract of this function. An operation on two uniform operands is uniform itself:
                // it comes here for one element, once a run.
                $(Binary::$name => unsafe {
                    match (left.uniform, right.uniform) {
                        (false, false) => each_vector!(V, to, count, [$a = left, false; $b = right, false], $body),
                        (false, true) => each_vector!(V, to, count, [$a = left, false; $b = right, true], $body),
                        (true, false) => each_vector!(V, to, count, [$a = left, true; $b = right, false], $body),
                        (true, true) => each_vector!(V, to, count, [$a = left, true; $b = right, true], $body),
                    }
                },)*
            }
        };
    }
    each! {
        Add(a, b) a.add(b);
        Sub(a, b) a.sub(b);
        Mul(a, b) a.mul(b);
        Div(a, b) a.div(b);
        Pow(a, b) a.pow(b);
        Max(a, b) a.maximum(b);
        Min(a, b) a.minimum(b);
        Equal(a, b) truth(a, a.equal(b));
        NotEqual(a, b) truth(a, a.mask_not(a.equal(b)));
        Less(a, b) truth(a, a.less(b));
        LessEqual(a, b) truth(a, a.less_equal(b));
        And(a, b) truth(a, V::mask_and(is_true(a), is_true(b)));
        Or(a, b) truth(a, V::mask_or(is_true(a), is_true(b)));
    }
}

/// # Safety
/// As [`unary`], for the three operands.
#[inline(always)]
pub(super) unsafe fn ternary<V: Vector>(
    operation: Ternary,
    operands: [Operand<V::Element>; 3],
    to: *mut V::Element,
    count: usize,
) {
    let [mut first, mut second, third] = operands;
    if operation != Ternary::Select && first.uniform {
        std::mem::swap(&mut first, &mut second);
    }
    macro_rules! each {
        ($($name:ident($a:ident, $b:ident, $c:ident) $body:expr;)*) => {
            match operation {
                // SAFETY: by the contract of this function.
                $(Ternary::$name => unsafe {
                    match (first.uniform, second.uniform, third.uniform) {
                        (false, false, false) => each_vector!(V, to, count,
                            [$a = first, false; $b = second, false; $c = third, false], $body),
                        (false, true, false) => each_vector!(V, to, count,
                            [$a = first, false; $b = second, true; $c = third, false], $body),
                        (false, false, true) => each_vector!(V, to, count,
                            [$a = first, false; $b = second, false; $c = third, true], $body),
                        (false, true, true) => each_vector!(V, to, count,
                            [$a = first, false; $b = second, true; $c = third, true], $body),
                        (true, true, false) => each_vector!(V, to, count,
                            [$a = first, true; $b = second, true; $c = third, false], $body),
                        (true, false, false) => each_vector!(V, to, count,
                            [$a = first, true; $b = second, false; $c = third, false], $body),
                        (true, false, true) => each_vector!(V, to, count,
                            [$a = first, true; $b = second, false; $c = third, true], $body),
                        (true, true, true) => each_vector!(V, to, count,
                            [$a = first, true; $b = second, true; $c = third, true], $body),
                    }
                },)*
            }
        };
    }
    each! {
        MulAdd(a, b, c) a.mul_add(b, c);
        MulSub(a, b, c) a.mul_sub(b, c);
        SubFromMul(a, b, c) a.sub_from_mul(b, c);
        Select(a, b, c) b.select(is_true(a), c);
    }
}

/// # Safety
/// As [`unary`]; the second and the last operand are uniform, the others are not.
#[inline(always)]
pub(super) unsafe fn fused<V: Vector>(
    operation: Fused,
    [first, second, third, fourth]: [Operand<V::Element>; 4],
    to: *mut V::Element,
    count: usize,
) {
    macro_rules! each {
        ($($name:ident($a:ident, $s:ident, $b:ident, $t:ident) $body:expr;)*) => {
            match operation {
                // SAFETY: by the contract of this function.
                $(Fused::$name => unsafe {
                    each_vector!(V, to, count,
                        [$a = first, false; $s = second, true; $b = third, false; $t = fourth, true], $body)
                },)*
            }
        };
    }
    each! {
        WeightedSum(a, s, b, t) a.mul_add(s, b.mul(t));
        WeightedSquare(a, s, b, t) a.mul_add(s, b.mul(b).mul(t));
        RootRatio(a, s, b, _t) a.div(b.sqrt().add(s));
    }
}

/// See [`super::update::Adam`] for the order of operands, numbers and results.
///
/// # Safety
/// As [`unary`], for all operands and results; a result may be the same place as an operand.
#[inline(always)]
pub(super) unsafe fn adam<V: Vector>(
    [m, g, v, p]: [Operand<V::Element>; 4],
    [s1, t1, s2, t2, epsilon, rate]: [V::Element; 6],
    [next_m, next_v, next_p]: [*mut V::Element; 3],
    count: usize,
) {
    // SAFETY: by the contract of this function.
    unsafe {
        let (s1, t1, s2, t2) = (V::splat(s1), V::splat(t1), V::splat(s2), V::splat(t2));
        let (epsilon, rate) = (V::splat(epsilon), V::splat(rate));
        let mut at = 0;
        while at < count {
            let rest = count - at;
            let g: V = read::<V, false>(g.start, at, rest);
            let m = read::<V, false>(m.start, at, rest).mul_add(s1, g.mul(t1));
            let v = read::<V, false>(v.start, at, rest).mul_add(s2, g.mul(g).mul(t2));
            let ratio = m.div(v.sqrt().add(epsilon));
            let p = ratio.sub_from_mul(rate, read::<V, false>(p.start, at, rest));
            for (value, to) in [(m, next_m), (v, next_v), (p, next_p)] {
                if rest >= V::LANES {
                    value.store(to.add(at));
                } else {
                    value.store_partial(to.add(at), rest);
                }
            }
            at += V::LANES;
        }
    }
}

/// The sum of numbers: four running vectors, folded in a fixed order.
///
/// # Safety
/// The machine has the instruction set and `from` has `count` numbers.
#[inline(always)]
pub(super) unsafe fn sum<V: Vector>(from: *const V::Element, count: usize) -> V::Element {
    // SAFETY: only numbers below `count` are read.
    unsafe {
        let mut sums = [V::splat(V::Element::default()); 4];
        let mut at = 0;
        while at + 4 * V::LANES <= count {
            for (i, sum) in sums.iter_mut().enumerate() {
                *sum = sum.add(V::load(from.add(at + i * V::LANES)));
            }
            at += 4 * V::LANES;
        }
        while at < count {
            sums[0] = sums[0].add(read::<V, false>(from, at, count - at));
            at += V::LANES;
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
    }
}
