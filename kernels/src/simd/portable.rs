//! Vectors as small arrays: the compiler may or may not use vector instructions for them.

use super::sealed::Sealed;
use super::{MOST_LANES, Real, Vector};

/// `N` numbers, a multiply-add being two roundings (a fused one is a library call on machines without it).
#[derive(Debug, Clone, Copy)]
pub struct Lanes<T, const N: usize>([T; N]);

impl<T: Real, const N: usize> Lanes<T, N> {
    #[inline(always)]
    fn zip(self, other: Self, function: impl Fn(T, T) -> T) -> Self {
        Lanes(std::array::from_fn(|i| function(self.0[i], other.0[i])))
    }

    #[inline(always)]
    fn compare(self, other: Self, function: impl Fn(&T, &T) -> bool) -> [bool; N] {
        std::array::from_fn(|i| function(&self.0[i], &other.0[i]))
    }

    #[inline(always)]
    fn each(self, function: impl Fn(T) -> T) -> Self {
        Lanes(self.0.map(function))
    }
}

impl<T, const N: usize> Sealed for Lanes<T, N> {}

impl<T: Real, const N: usize> Vector for Lanes<T, N> {
    type Element = T;
    type Mask = [bool; N];
    const LANES: usize = {
        assert!(N <= MOST_LANES, "more lanes than any vector has");
        N
    };
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Lanes([value; N])
    }
    #[inline(always)]
    unsafe fn load(from: *const T) -> Self {
        // SAFETY: the caller vouches for N readable numbers.
        Lanes(unsafe { from.cast::<[T; N]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const T, count: usize) -> Self {
        let mut lanes = [T::zero(); N];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller vouches for min(count, N) readable numbers.
            *lane = unsafe { *from.add(i) };
        }
        Lanes(lanes)
    }
    #[inline(always)]
    unsafe fn load_integers(from: *const i32) -> Self {
        // SAFETY: the caller vouches for N readable integers.
        Lanes(std::array::from_fn(|i| T::from_integer(unsafe { *from.add(i) })))
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut T) {
        // SAFETY: the caller vouches for N writable numbers.
        unsafe { to.cast::<[T; N]>().write_unaligned(self.0) };
    }
    #[inline(always)]
    unsafe fn store_partial(self, to: *mut T, count: usize) {
        for (i, lane) in self.0.iter().enumerate().take(count) {
            // SAFETY: the caller vouches for min(count, N) writable numbers.
            unsafe { *to.add(i) = *lane };
        }
    }

    #[inline(always)]
    fn constant(self, value: f64) -> Self {
        Lanes([T::from_double(value); N])
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        self.mul(factor).add(addend)
    }
    #[inline(always)]
    fn mul_sub(self, factor: Self, subtrahend: Self) -> Self {
        self.mul(factor).sub(subtrahend)
    }
    #[inline(always)]
    fn sub_from_mul(self, factor: Self, minuend: Self) -> Self {
        minuend.sub(self.mul(factor))
    }
    #[inline(always)]
    fn minimum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b || a.is_nan() { a } else { b })
    }
    #[inline(always)]
    fn maximum(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b || a.is_nan() { a } else { b })
    }
    #[inline(always)]
    fn neg(self) -> Self {
        self.each(|a| -a)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.each(T::abs)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.each(T::sqrt)
    }
    #[inline(always)]
    fn floor(self) -> Self {
        self.each(T::floor)
    }
    #[inline(always)]
    fn round(self) -> Self {
        self.each(T::round_ties_even)
    }
    #[inline(always)]
    fn copy_sign(self, sign: Self) -> Self {
        self.zip(sign, T::copysign)
    }
    #[inline(always)]
    fn equal(self, other: Self) -> Self::Mask {
        self.compare(other, T::eq)
    }
    #[inline(always)]
    fn less(self, other: Self) -> Self::Mask {
        self.compare(other, T::lt)
    }
    #[inline(always)]
    fn less_equal(self, other: Self) -> Self::Mask {
        self.compare(other, T::le)
    }
    #[inline(always)]
    fn mask_and(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        std::array::from_fn(|i| a[i] && b[i])
    }
    #[inline(always)]
    fn mask_or(a: Self::Mask, b: Self::Mask) -> Self::Mask {
        std::array::from_fn(|i| a[i] || b[i])
    }
    #[inline(always)]
    fn mask_not(self, a: Self::Mask) -> Self::Mask {
        a.map(|lane| !lane)
    }
    #[inline(always)]
    fn any(mask: Self::Mask) -> bool {
        mask.contains(&true)
    }
    #[inline(always)]
    fn first_lanes(self, count: usize) -> Self::Mask {
        std::array::from_fn(|i| i < count)
    }
    #[inline(always)]
    fn select(self, mask: Self::Mask, other: Self) -> Self {
        Lanes(std::array::from_fn(|i| if mask[i] { self.0[i] } else { other.0[i] }))
    }

    super::by_lane!();
}
