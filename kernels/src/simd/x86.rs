//! AVX2 and AVX-512 vectors.
//!
//! Every method is a few intrinsics. They are `unsafe` for one reason only, that the machine must have them, and a
//! value of the type proves that it does (see the parent module).

use std::arch::x86_64::*;

use super::sealed::Sealed;
use super::{Single, Vector};
use crate::math;

macro_rules! vector_type {
    ($(#[$doc:meta])* $name:ident, $raw:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name($raw);

        impl Sealed for $name {}
    };
}
vector_type!(/// 16 single-precision numbers in an AVX-512 register.
    F32x16, __m512);
vector_type!(/// 8 double-precision numbers in an AVX-512 register.
    F64x8, __m512d);
vector_type!(/// 8 single-precision numbers in an AVX2 register.
    F32x8, __m256);
vector_type!(/// 4 double-precision numbers in an AVX2 register.
    F64x4, __m256d);

/// Methods that are one intrinsic on `self` and further vectors.
macro_rules! intrinsics {
    ($($name:ident($($operand:ident),*) = $intrinsic:ident;)*) => {
        $(
            #[inline(always)]
            fn $name(self $(, $operand: Self)*) -> Self {
                // SAFETY: a value of this type exists only on a machine with the instruction set.
                Self(unsafe { $intrinsic(self.0 $(, $operand.0)*) })
            }
        )*
    };
}

/// Methods that are an expression of intrinsics.
macro_rules! expressions {
    ($($name:ident($self:ident $(, $operand:ident: $kind:ty)*) -> $result:ty { $body:expr })*) => {
        $(
            #[inline(always)]
            fn $name($self $(, $operand: $kind)*) -> $result {
                // SAFETY: a value of this type exists only on a machine with the instruction set.
                unsafe { $body }
            }
        )*
    };
}

/// Constructors and stores: the caller vouches for instruction set and memory.
macro_rules! memory {
    ($element:ty, $splat:ident, $load:ident, $store:ident) => {
        #[inline(always)]
        unsafe fn splat(value: $element) -> Self {
            // SAFETY: the caller vouches for the instruction set.
            Self(unsafe { $splat(value) })
        }
        #[inline(always)]
        unsafe fn load(from: *const $element) -> Self {
            // SAFETY: the caller vouches for the instruction set and LANES readable numbers.
            Self(unsafe { $load(from) })
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut $element) {
            // SAFETY: the caller vouches for LANES writable numbers.
            unsafe { $store(to, self.0) }
        }
        #[inline(always)]
        fn constant(self, value: f64) -> Self {
            // SAFETY: a value of this type exists only on a machine with the instruction set.
            Self(unsafe { $splat(value as $element) })
        }
    };
}

const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
const DOWN: i32 = _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC;

macro_rules! avx512 {
    ($name:ident, $element:ty, $lanes:expr, $mask:ty, $splat:ident, $load:ident, $store:ident, $masked_load:ident,
     $masked_store:ident, $compare:ident, $blend:ident, $round:ident, $and:ident, $or:ident, $andnot:ident,
     $minimum:ident, $maximum:ident, $integers:expr, { $($arithmetic:tt)* }, { $($functions:tt)* }) => {
        impl $name {
            /// The first `count` lanes.
            #[inline(always)]
            fn first(count: usize) -> $mask {
                if count >= $lanes { !0 } else { ((1u32 << count) - 1) as $mask }
            }
        }

        impl Vector for $name {
            type Element = $element;
            type Mask = $mask;
            const LANES: usize = $lanes;
            const MANY_REGISTERS: bool = true;
            memory!($element, $splat, $load, $store);

            #[inline(always)]
            unsafe fn load_partial(from: *const $element, count: usize) -> Self {
                // SAFETY: masked lanes are not read; the caller vouches for the others.
                Self(unsafe { $masked_load(Self::first(count), from) })
            }
            #[inline(always)]
            unsafe fn store_partial(self, to: *mut $element, count: usize) {
                // SAFETY: masked lanes are not written; the caller vouches for the others.
                unsafe { $masked_store(to, Self::first(count), self.0) }
            }
            #[inline(always)]
            unsafe fn load_integers(from: *const i32) -> Self {
                // SAFETY: the caller vouches for LANES readable integers.
                Self(unsafe { $integers(from) })
            }
            intrinsics! { $($arithmetic)* }
            expressions! {
                minimum(self, other: Self) -> Self {
                    Self($blend($compare::<_CMP_UNORD_Q>(self.0, self.0), $minimum(self.0, other.0), self.0))
                }
                maximum(self, other: Self) -> Self {
                    Self($blend($compare::<_CMP_UNORD_Q>(self.0, self.0), $maximum(self.0, other.0), self.0))
                }
                neg(self) -> Self { Self($splat(-0.0)).exclusive_or(self) }
                abs(self) -> Self { Self($andnot($splat(-0.0), self.0)) }
                floor(self) -> Self { Self($round::<DOWN>(self.0)) }
                round(self) -> Self { Self($round::<NEAREST>(self.0)) }
                copy_sign(self, sign: Self) -> Self {
                    Self($or($andnot($splat(-0.0), self.0), $and($splat(-0.0), sign.0)))
                }
                equal(self, other: Self) -> $mask { $compare::<_CMP_EQ_OQ>(self.0, other.0) }
                less(self, other: Self) -> $mask { $compare::<_CMP_LT_OQ>(self.0, other.0) }
                less_equal(self, other: Self) -> $mask { $compare::<_CMP_LE_OQ>(self.0, other.0) }
                select(self, mask: $mask, other: Self) -> Self { Self($blend(mask, other.0, self.0)) }
            }
            #[inline(always)]
            fn mask_and(a: $mask, b: $mask) -> $mask {
                a & b
            }
            #[inline(always)]
            fn mask_or(a: $mask, b: $mask) -> $mask {
                a | b
            }
            #[inline(always)]
            fn mask_not(self, a: $mask) -> $mask {
                !a
            }
            #[inline(always)]
            fn first_lanes(self, count: usize) -> $mask {
                Self::first(count)
            }
            #[inline(always)]
            fn any(mask: $mask) -> bool {
                mask != 0
            }
            $($functions)*
        }
    };
}

impl F32x16 {
    #[inline(always)]
    fn exclusive_or(self, other: Self) -> Self {
        // SAFETY: a value of this type exists only on a machine with the instruction set.
        Self(unsafe { _mm512_xor_ps(self.0, other.0) })
    }
}

impl F64x8 {
    #[inline(always)]
    fn exclusive_or(self, other: Self) -> Self {
        // SAFETY: as above.
        Self(unsafe { _mm512_xor_pd(self.0, other.0) })
    }
}

avx512!(
    F32x16,
    f32,
    16,
    __mmask16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_mask_storeu_ps,
    _mm512_cmp_ps_mask,
    _mm512_mask_blend_ps,
    _mm512_roundscale_ps,
    _mm512_and_ps,
    _mm512_or_ps,
    _mm512_andnot_ps,
    _mm512_min_ps,
    _mm512_max_ps,
    |from: *const i32| _mm512_cvtepi32_ps(_mm512_loadu_si512(from.cast())),
    {
        add(other) = _mm512_add_ps;
        sub(other) = _mm512_sub_ps;
        mul(other) = _mm512_mul_ps;
        div(other) = _mm512_div_ps;
        mul_add(factor, addend) = _mm512_fmadd_ps;
        mul_sub(factor, subtrahend) = _mm512_fmsub_ps;
        sub_from_mul(factor, minuend) = _mm512_fnmadd_ps;
        sqrt() = _mm512_sqrt_ps;
    },
    {
        math::polynomials!();
    }
);

avx512!(
    F64x8,
    f64,
    8,
    __mmask8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_mask_storeu_pd,
    _mm512_cmp_pd_mask,
    _mm512_mask_blend_pd,
    _mm512_roundscale_pd,
    _mm512_and_pd,
    _mm512_or_pd,
    _mm512_andnot_pd,
    _mm512_min_pd,
    _mm512_max_pd,
    |from: *const i32| _mm512_cvtepi32_pd(_mm256_loadu_si256(from.cast())),
    {
        add(other) = _mm512_add_pd;
        sub(other) = _mm512_sub_pd;
        mul(other) = _mm512_mul_pd;
        div(other) = _mm512_div_pd;
        mul_add(factor, addend) = _mm512_fmadd_pd;
        mul_sub(factor, subtrahend) = _mm512_fmsub_pd;
        sub_from_mul(factor, minuend) = _mm512_fnmadd_pd;
        sqrt() = _mm512_sqrt_pd;
    },
    {
        super::by_lane!();
    }
);

macro_rules! avx2 {
    ($name:ident, $element:ty, $lanes:expr, $raw:ty, $splat:ident, $load:ident, $store:ident, $masked_load:ident,
     $masked_store:ident, $integer:ty, $compare:ident, $blend:ident, $round:ident, $and:ident, $or:ident,
     $andnot:ident, $xor:ident, $minimum:ident, $maximum:ident, $movemask:ident, $from_integers:ident, $integers:expr,
     { $($arithmetic:tt)* }, { $($functions:tt)* }) => {
        impl $name {
            /// The first `count` lanes: a window into a row of ones and a row of zeros.
            #[inline(always)]
            unsafe fn first(count: usize) -> __m256i {
                const WINDOW: [$integer; 2 * $lanes] = {
                    let mut window = [0; 2 * $lanes];
                    let mut i = 0;
                    while i < $lanes {
                        window[i] = -1;
                        i += 1;
                    }
                    window
                };
                let skipped = $lanes - if count > $lanes { $lanes } else { count };
                // SAFETY: skipped is at most LANES, so LANES integers follow it; the caller vouches for AVX2.
                unsafe { _mm256_loadu_si256(WINDOW.as_ptr().add(skipped).cast()) }
            }
        }

        impl Vector for $name {
            type Element = $element;
            type Mask = $raw;
            const LANES: usize = $lanes;
            const MANY_REGISTERS: bool = false;
            memory!($element, $splat, $load, $store);

            #[inline(always)]
            unsafe fn load_partial(from: *const $element, count: usize) -> Self {
                // SAFETY: masked lanes are not read; the caller vouches for the others.
                Self(unsafe { $masked_load(from, Self::first(count)) })
            }
            #[inline(always)]
            unsafe fn store_partial(self, to: *mut $element, count: usize) {
                // SAFETY: masked lanes are not written; the caller vouches for the others.
                unsafe { $masked_store(to, Self::first(count), self.0) }
            }
            #[inline(always)]
            unsafe fn load_integers(from: *const i32) -> Self {
                // SAFETY: the caller vouches for LANES readable integers.
                Self(unsafe { $integers(from) })
            }
            intrinsics! { $($arithmetic)* }
            expressions! {
                minimum(self, other: Self) -> Self {
                    Self($blend($minimum(self.0, other.0), self.0, $compare::<_CMP_UNORD_Q>(self.0, self.0)))
                }
                maximum(self, other: Self) -> Self {
                    Self($blend($maximum(self.0, other.0), self.0, $compare::<_CMP_UNORD_Q>(self.0, self.0)))
                }
                neg(self) -> Self { Self($xor($splat(-0.0), self.0)) }
                abs(self) -> Self { Self($andnot($splat(-0.0), self.0)) }
                floor(self) -> Self { Self($round::<DOWN>(self.0)) }
                round(self) -> Self { Self($round::<NEAREST>(self.0)) }
                copy_sign(self, sign: Self) -> Self {
                    Self($or($andnot($splat(-0.0), self.0), $and($splat(-0.0), sign.0)))
                }
                equal(self, other: Self) -> $raw { $compare::<_CMP_EQ_OQ>(self.0, other.0) }
                less(self, other: Self) -> $raw { $compare::<_CMP_LT_OQ>(self.0, other.0) }
                less_equal(self, other: Self) -> $raw { $compare::<_CMP_LE_OQ>(self.0, other.0) }
                mask_not(self, a: $raw) -> $raw {
                    $xor(a, $compare::<_CMP_TRUE_UQ>(self.0, self.0))
                }
                select(self, mask: $raw, other: Self) -> Self { Self($blend(other.0, self.0, mask)) }
            }
            #[inline(always)]
            fn mask_and(a: $raw, b: $raw) -> $raw {
                // SAFETY: masks come from comparisons of values, which prove the instruction set.
                unsafe { $and(a, b) }
            }
            #[inline(always)]
            fn mask_or(a: $raw, b: $raw) -> $raw {
                // SAFETY: as above.
                unsafe { $or(a, b) }
            }
            #[inline(always)]
            fn first_lanes(self, count: usize) -> $raw {
                // SAFETY: as above.
                unsafe { $from_integers(Self::first(count)) }
            }
            #[inline(always)]
            fn any(mask: $raw) -> bool {
                // SAFETY: as above.
                unsafe { $movemask(mask) != 0 }
            }
            $($functions)*
        }
    };
}

avx2!(
    F32x8,
    f32,
    8,
    __m256,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_maskload_ps,
    _mm256_maskstore_ps,
    i32,
    _mm256_cmp_ps,
    _mm256_blendv_ps,
    _mm256_round_ps,
    _mm256_and_ps,
    _mm256_or_ps,
    _mm256_andnot_ps,
    _mm256_xor_ps,
    _mm256_min_ps,
    _mm256_max_ps,
    _mm256_movemask_ps,
    _mm256_castsi256_ps,
    |from: *const i32| _mm256_cvtepi32_ps(_mm256_loadu_si256(from.cast())),
    {
        add(other) = _mm256_add_ps;
        sub(other) = _mm256_sub_ps;
        mul(other) = _mm256_mul_ps;
        div(other) = _mm256_div_ps;
        mul_add(factor, addend) = _mm256_fmadd_ps;
        mul_sub(factor, subtrahend) = _mm256_fmsub_ps;
        sub_from_mul(factor, minuend) = _mm256_fnmadd_ps;
        sqrt() = _mm256_sqrt_ps;
    },
    {
        math::polynomials!();
    }
);

avx2!(
    F64x4,
    f64,
    4,
    __m256d,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_maskload_pd,
    _mm256_maskstore_pd,
    i64,
    _mm256_cmp_pd,
    _mm256_blendv_pd,
    _mm256_round_pd,
    _mm256_and_pd,
    _mm256_or_pd,
    _mm256_andnot_pd,
    _mm256_xor_pd,
    _mm256_min_pd,
    _mm256_max_pd,
    _mm256_movemask_pd,
    _mm256_castsi256_pd,
    |from: *const i32| _mm256_cvtepi32_pd(_mm_loadu_si128(from.cast())),
    {
        add(other) = _mm256_add_pd;
        sub(other) = _mm256_sub_pd;
        mul(other) = _mm256_mul_pd;
        div(other) = _mm256_div_pd;
        mul_add(factor, addend) = _mm256_fmadd_pd;
        mul_sub(factor, subtrahend) = _mm256_fmsub_pd;
        sub_from_mul(factor, minuend) = _mm256_fnmadd_pd;
        sqrt() = _mm256_sqrt_pd;
    },
    {
        super::by_lane!();
    }
);

// getexp and getmant would do, but the shared threshold 4/3 keeps both vector types on the same numbers.
macro_rules! single {
    ($name:ident, $cast:ident, $back:ident, $to_integers:ident, $from_integers:ident, $splat:ident, $add:ident,
     $sub:ident, $shift_left:ident, $shift_right:ident, { $($scale:tt)* }, { $($odd:tt)* }) => {
        impl Single for $name {
            $($scale)*

            #[inline(always)]
            fn binary_exponent(self) -> (Self, Self) {
                // SAFETY: a value of this type exists only on a machine with the instruction set.
                unsafe {
                    // Subtracting the bits of 2/3 makes the exponent field change at 2/3 * 2^e.
                    let shifted = $sub($cast(self.0), $splat(0x3f2a_aaab));
                    let exponent = $shift_right::<23>(shifted);
                    let inverse = $sub($splat(127), exponent);
                    (Self($from_integers(exponent)), Self($back($shift_left::<23>(inverse))))
                }
            }

            $($odd)*
        }
    };
}

single!(
    F32x16,
    _mm512_castps_si512,
    _mm512_castsi512_ps,
    _mm512_cvtps_epi32,
    _mm512_cvtepi32_ps,
    _mm512_set1_epi32,
    _mm512_add_epi32,
    _mm512_sub_epi32,
    _mm512_slli_epi32,
    _mm512_srai_epi32,
    {
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: a value of this type exists only on a machine with the instruction set.
            Self(unsafe { _mm512_scalef_ps(self.0, n.0) })
        }
    },
    {
        #[inline(always)]
        fn is_odd(self) -> __mmask16 {
            // SAFETY: as above.
            unsafe { _mm512_test_epi32_mask(_mm512_cvtps_epi32(self.0), _mm512_set1_epi32(1)) }
        }
    }
);

single!(
    F32x8,
    _mm256_castps_si256,
    _mm256_castsi256_ps,
    _mm256_cvtps_epi32,
    _mm256_cvtepi32_ps,
    _mm256_set1_epi32,
    _mm256_add_epi32,
    _mm256_sub_epi32,
    _mm256_slli_epi32,
    _mm256_srai_epi32,
    {
        #[inline(always)]
        fn scale(self, n: Self) -> Self {
            // SAFETY: a value of this type exists only on a machine with the instruction set.
            unsafe {
                // Two factors, so that neither leaves the normal numbers and only the last product rounds.
                let n = _mm256_cvtps_epi32(n.0);
                let half = _mm256_srai_epi32::<1>(n);
                let rest = _mm256_sub_epi32(n, half);
                let bias = _mm256_set1_epi32(127);
                let first = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(half, bias)));
                let second = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_add_epi32(rest, bias)));
                Self(_mm256_mul_ps(_mm256_mul_ps(self.0, first), second))
            }
        }
    },
    {
        #[inline(always)]
        fn is_odd(self) -> __m256 {
            // SAFETY: as above.
            unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<31>(_mm256_cvtps_epi32(self.0))) }
        }
    }
);
