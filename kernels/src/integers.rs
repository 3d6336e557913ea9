//! Exact arithmetic and comparisons on ints.
//!
//! Values of 2^24 and more do not fit an `f32`, so labels, tokens and clocks are never computed in floats.

use super::Real;

/// Comparisons; they give 1 or 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessEqual,
}

/// Arithmetic; it wraps on overflow, and a division by 0 gives 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
}

/// `z[i] = x[i] ⋈ y[i]` as 1 or 0.
///
/// # Panics
/// Where the lengths differ.
pub fn compare<T: Real>(comparison: Comparison, x: &[i32], y: &[i32], z: &mut [T]) {
    assert!(x.len() == z.len() && y.len() == z.len(), "the lengths");
    let holds: fn(i32, i32) -> bool = match comparison {
        Comparison::Equal => |x, y| x == y,
        Comparison::Less => |x, y| x < y,
        Comparison::LessEqual => |x, y| x <= y,
    };
    for ((z, x), y) in z.iter_mut().zip(x).zip(y) {
        *z = if holds(*x, *y) { T::one() } else { T::zero() };
    }
}

/// `z[i] = f(x[i], y[i])`
///
/// # Panics
/// Where the lengths differ.
pub fn arithmetic(operation: Arithmetic, x: &[i32], y: &[i32], z: &mut [i32]) {
    assert!(x.len() == z.len() && y.len() == z.len(), "the lengths");
    let function: fn(i32, i32) -> i32 = match operation {
        Arithmetic::Add => i32::wrapping_add,
        Arithmetic::Sub => i32::wrapping_sub,
        Arithmetic::Mul => i32::wrapping_mul,
        Arithmetic::Div => |x, y| x.checked_div(y).unwrap_or(0),
        Arithmetic::Pow => |x, y| u32::try_from(y).map_or(0, |y| x.wrapping_pow(y)),
        Arithmetic::Max => i32::max,
        Arithmetic::Min => i32::min,
    };
    for ((z, x), y) in z.iter_mut().zip(x).zip(y) {
        *z = function(*x, *y);
    }
}

/// `z[i] = x[i] where mask[i] is not 0, else y[i]`
///
/// # Panics
/// Where the lengths differ.
pub fn select<T: Real>(mask: &[T], x: &[i32], y: &[i32], z: &mut [i32]) {
    assert!(mask.len() == z.len() && x.len() == z.len() && y.len() == z.len(), "the lengths");
    for (((z, mask), x), y) in z.iter_mut().zip(mask).zip(x).zip(y) {
        *z = if *mask == T::zero() { *y } else { *x };
    }
}

/// Floats rounded towards zero; beyond the range they saturate, NaN gives 0.
///
/// # Panics
/// Where the lengths differ.
pub fn truncate<T: Real>(x: &[T], z: &mut [i32]) {
    assert_eq!(x.len(), z.len(), "the lengths");
    for (z, x) in z.iter_mut().zip(x) {
        *z = x.to_double() as i32;
    }
}
