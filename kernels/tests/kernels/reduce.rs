//! Reductions against sums in double precision.

use crate::testing::{assert_close, at_every_level, numbers};
use anabranch_kernels::Context;
use anabranch_kernels::reduce::*;
use proptest::prelude::*;

/// What a reduction is over nothing.
fn start(reduction: Reduction) -> f64 {
    match reduction {
        Reduction::Sum => 0.0,
        Reduction::Product => 1.0,
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    }
}

fn combined(reduction: Reduction, a: f64, b: f64) -> f64 {
    match reduction {
        Reduction::Sum => a + b,
        Reduction::Product => a * b,
        Reduction::Max if a.is_nan() || a > b => a,
        Reduction::Min if a.is_nan() || a < b => a,
        Reduction::Max | Reduction::Min => b,
    }
}

fn exact(reduction: Reduction, dims: &[Dim], x: &[f64]) -> Vec<f64> {
    let kept: usize = dims.iter().filter(|dim| !dim.1).map(|dim| dim.0).product();
    let mut y = vec![start(reduction); kept];
    for (i, x) in x.iter().enumerate() {
        let (mut rest, mut place, mut stride) = (i, 0, 1);
        for &(extent, reduced) in dims.iter().rev() {
            if !reduced {
                place += rest % extent * stride;
                stride *= extent;
            }
            rest /= extent;
        }
        y[place] = combined(reduction, y[place], *x);
    }
    y
}

fn check(dims: &[Dim]) {
    let length = dims.iter().map(|dim| dim.0).product();
    for reduction in [Reduction::Sum, Reduction::Product, Reduction::Max, Reduction::Min] {
        let mut x = numbers::<f32>(length, 1);
        if reduction == Reduction::Product {
            x.iter_mut().for_each(|x| *x = 1.0 + *x * 0.01);
        }
        let doubles: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let expected = exact(reduction, dims, &doubles);
        let compute = |context: &Context<'_>| {
            let mut y = vec![f32::NAN; expected.len()];
            reduce(context, reduction, dims, &x, &mut y);
            y
        };
        at_every_level(compute, |level, y| {
            assert_close(&format!("{level} {reduction:?} {dims:?}"), y, &expected, 2e-5);
        });
    }
}

#[test]
fn reductions_of_many_shapes() {
    for n in [0, 1, 7, 63, 513, 5000, 100_003] {
        check(&[(n, true)]);
        check(&[(n, false)]);
    }
    check(&[]);
    check(&[(513, true), (200, false)]);
    check(&[(700, true), (129, false)]);
    check(&[(129, false), (700, true)]);
    check(&[(5, true), (6, false), (7, true)]);
    check(&[(40, true), (6, false), (9, true), (80, false)]);
    check(&[(3, false), (4, true), (5, false), (6, true), (0, false)]);
    check(&[(3, false), (0, true)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn reductions_of_any_shape(dims in prop::collection::vec((0usize..9, any::<bool>()), 0..5)) {
        check(&dims);
    }
}

#[test]
fn long_sums_are_accurate() {
    let x = vec![0.1f32; 10_000_000];
    let compute = |context: &Context<'_>| {
        let mut y = [0.0];
        reduce(context, Reduction::Sum, &[(x.len(), true)], &x, &mut y);
        y.to_vec()
    };
    at_every_level(compute, |_, y| assert!((y[0] / 1_000_000.0 - 1.0).abs() < 1e-6, "{}", y[0]));
}

#[test]
fn argmax_takes_the_first() {
    let mut indices = [0; 3];
    argmax(&[1.0, 3.0, 3.0, f32::NAN, 9.0, f32::NAN, -1.0, -2.0, -3.0], 3, &mut indices);
    assert_eq!(indices, [1, 0, 0]);
    argmax::<f64>(&[], 3, &mut []);
}

#[test]
fn cumulative_sums_in_all_directions() {
    let x = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
    let cases = [
        (false, false, [1.0, 10.0, 3.0, 30.0, 6.0, 60.0]),
        (false, true, [0.0, 0.0, 1.0, 10.0, 3.0, 30.0]),
        (true, false, [6.0, 60.0, 5.0, 50.0, 3.0, 30.0]),
        (true, true, [5.0, 50.0, 3.0, 30.0, 0.0, 0.0]),
    ];
    for (reverse, exclusive, expected) in cases {
        let mut y = [f32::NAN; 6];
        cumulative_sum([1, 3, 2], reverse, exclusive, &x, &mut y);
        assert_eq!(y, expected);
    }
}

#[test]
fn logarithms_of_softmax_keep_their_digits_at_an_offset() {
    for row in [1, 7, 16, 100] {
        let small: Vec<f32> = numbers::<f32>(4 * row, 1).iter().map(|x| (x * 16.0).round()).collect();
        let x: Vec<f32> = small.iter().map(|x| x + 1e6).collect();
        let log_sum = |x: &[f32]| x.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        let expected: Vec<f64> =
            small.chunks(row).flat_map(|x| x.iter().map(move |v| f64::from(*v) - log_sum(x))).collect();
        let compute = |context: &Context<'_>| {
            let mut y = vec![f32::NAN; x.len()];
            softmax(context, Softmax::Logarithms, row, &x, &mut y);
            y
        };
        at_every_level(compute, |level, y| assert_close(&format!("{level} {row}"), y, &expected, 1e-6));
    }
}

#[test]
fn softmax_of_rows() {
    for (rows, row) in [(1, 1), (3, 10), (5, 63), (40, 1000), (0, 5)] {
        let x: Vec<f32> = numbers::<f32>(rows * row, 1).iter().map(|x| x * 30.0 + 100.0).collect();
        let sums: Vec<f64> = x.chunks(row).map(|x| x.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln()).collect();
        for kind in [Softmax::Probabilities, Softmax::Logarithms, Softmax::LogSum] {
            let expected: Vec<f64> = match kind {
                Softmax::Probabilities => (0..x.len()).map(|i| (f64::from(x[i]) - sums[i / row]).exp()).collect(),
                Softmax::Logarithms => (0..x.len()).map(|i| f64::from(x[i]) - sums[i / row]).collect(),
                Softmax::LogSum => sums.clone(),
            };
            let compute = |context: &Context<'_>| {
                let mut y = vec![f32::NAN; expected.len()];
                softmax(context, kind, row, &x, &mut y);
                y
            };
            at_every_level(compute, |level, y| assert_close(&format!("{level} {kind:?} {row}"), y, &expected, 1e-5));
        }
    }
}
