//! What the kernels' tests share: numbers to compute with and pools to compute on.

use anabranch_kernels::{Context, Level, Pool, Real};

/// Numbers in [-1, 1) without a pattern, the same on every run.
pub fn numbers<T: Real>(count: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            T::from_double((state >> 40) as f64 / f64::from(1u32 << 23) - 1.0)
        })
        .collect()
}

/// Runs `check` at every level of this machine, and there `compute` with 1, 2 and 3 threads, which must agree to the
/// bit.
pub fn at_every_level<T: Real>(compute: impl Fn(&Context<'_>) -> Vec<T>, check: impl Fn(&str, &[T])) {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(3)];
    for level in Level::available() {
        let results = pools.each_ref().map(|pool| compute(&Context { level, pool }));
        check(level.name(), &results[0]);
        for other in &results[1..] {
            let same = other.iter().zip(&results[0]).all(|(a, b)| a.to_double().to_bits() == b.to_double().to_bits());
            assert!(same && other.len() == results[0].len(), "{}: threads change the result", level.name());
        }
    }
}

/// Asserts that numbers agree to `tolerance`, absolute below 1 and relative above, or are the same infinity.
pub fn assert_close<T: Real>(what: &str, found: &[T], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: lengths");
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = found.to_double();
        let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(close || found == *expected, "{what}: at {i} found {found}, expected {expected}");
    }
}
