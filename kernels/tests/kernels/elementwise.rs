//! Programs against loops in double precision.

use crate::testing::{assert_close, at_every_level, numbers};
use anabranch_kernels::elementwise::*;
use anabranch_kernels::{Context, Pool, Real};

/// An operation, whether its operand is positive, and what it computes.
type UnaryRow = (Unary, bool, fn(f64) -> f64);
type BinaryRow = (Binary, fn(f64, f64) -> f64);
/// An access and the place it reads for an index.
type AccessRow = (Access, fn(usize) -> usize);

const LENGTHS: [usize; 7] = [0, 1, 7, 63, 513, 1024, 40_003];

fn run<T: Real>(
    context: &Context<'_>,
    program: &Program<T>,
    n: usize,
    sources: &[Source<'_, T>],
    out: usize,
) -> Vec<T> {
    let mut result = vec![T::nan(); out];
    let mut workspace = vec![T::nan(); program.workspace_len(context, n)];
    program.run(context, n, sources, &mut [Destination::new(&mut result)], &mut workspace);
    result
}

fn check_unary<T: Real>(operation: Unary, positive: bool, exact: fn(f64) -> f64, tolerance: f64) {
    for n in LENGTHS {
        let mut x = numbers::<T>(n, 1);
        for (i, x) in x.iter_mut().enumerate() {
            *x = (if positive { x.abs() + T::from_double(1e-3) } else { *x }) * T::from_double([1.0, 8.0][i % 2]);
        }
        let expected: Vec<f64> = x.iter().map(|x| exact(x.to_double())).collect();
        let mut builder = GroupBuilder::new();
        let a = builder.load(0, Access::Contiguous);
        let b = builder.unary(operation, a);
        builder.store(0, b, None);
        let program = builder.finish();
        at_every_level(
            |context| run(context, &program, n, &[Source::numbers(&x)], n),
            |level, y| assert_close(&format!("{level} {operation:?} {n}"), y, &expected, tolerance),
        );
    }
}

#[test]
fn unary_operations() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let rows: [UnaryRow; 19] = [
        (Unary::Neg, false, |x| -x),
        (Unary::Abs, false, f64::abs),
        (Unary::Sign, false, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        (Unary::Exp, false, f64::exp),
        (Unary::Log, true, f64::ln),
        (Unary::Log1p, true, f64::ln_1p),
        (Unary::Expm1, false, f64::exp_m1),
        (Unary::Sqrt, true, f64::sqrt),
        (Unary::Rsqrt, true, |x| 1.0 / x.sqrt()),
        (Unary::Reciprocal, true, f64::recip),
        (Unary::Square, false, |x| x * x),
        (Unary::Sin, false, f64::sin),
        (Unary::Cos, false, f64::cos),
        (Unary::Tanh, false, f64::tanh),
        (Unary::Sigmoid, false, sigmoid),
        (Unary::Softplus, false, |x| x.exp().ln_1p()),
        (Unary::Erf, false, anabranch_kernels::math::erf_double),
        (Unary::Floor, false, f64::floor),
        (Unary::Not, false, |x| f64::from(u8::from(x == 0.0))),
    ];
    for (operation, positive, exact) in rows {
        check_unary::<f32>(operation, positive, exact, 3e-7);
        check_unary::<f64>(operation, positive, exact, 1e-15);
    }
}

fn binary_rows() -> [BinaryRow; 13] {
    [
        (Binary::Add, |a, b| a + b),
        (Binary::Sub, |a, b| a - b),
        (Binary::Mul, |a, b| a * b),
        (Binary::Div, |a, b| a / b),
        (Binary::Pow, f64::powf),
        (Binary::Max, f64::max),
        (Binary::Min, f64::min),
        (Binary::Equal, |a, b| f64::from(u8::from(a == b))),
        (Binary::NotEqual, |a, b| f64::from(u8::from(a != b))),
        (Binary::Less, |a, b| f64::from(u8::from(a < b))),
        (Binary::LessEqual, |a, b| f64::from(u8::from(a <= b))),
        (Binary::And, |a, b| f64::from(u8::from(a != 0.0 && b != 0.0))),
        (Binary::Or, |a, b| f64::from(u8::from(a != 0.0 || b != 0.0))),
    ]
}

/// Numbers on a coarse grid, so that some are equal and some are 0 (but for divisors).
fn grid<T: Real>(n: usize, seed: u64, zeros: bool) -> Vec<T> {
    let four = T::from_double(4.0);
    let shift = if zeros { T::zero() } else { T::from_double(5.0) };
    numbers::<T>(n, seed).iter().map(|x| (*x * four).floor() + shift).collect()
}

#[test]
fn binary_operations_on_elements_and_scalars() {
    for (operation, exact) in binary_rows() {
        let zeros = !matches!(operation, Binary::Div | Binary::Pow);
        for n in LENGTHS {
            let (a, b) = (grid::<f32>(n, 1, zeros), grid::<f32>(n, 2, zeros));
            let scalar = [grid::<f32>(1, 3, zeros)[0]];
            for form in 0..3 {
                let mut builder = GroupBuilder::new();
                let first = builder.load(
                    usize::from(form == 1) * 2,
                    [Access::Contiguous, Access::Scalar][usize::from(form == 1)].clone(),
                );
                let second = builder.load(
                    1 + usize::from(form == 2),
                    [Access::Contiguous, Access::Scalar][usize::from(form == 2)].clone(),
                );
                let value = builder.binary(operation, first, second);
                builder.store(0, value, None);
                let program = builder.finish();
                let sources = [Source::numbers(&a), Source::numbers(&b), Source::numbers(&scalar)];
                let expected: Vec<f64> = (0..n)
                    .map(|i| {
                        let left = if form == 1 { scalar[0] } else { a[i] };
                        let right = if form == 2 { scalar[0] } else { b[i] };
                        exact(f64::from(left), f64::from(right))
                    })
                    .collect();
                at_every_level(
                    |context| run(context, &program, n, &sources, n),
                    |level, y| assert_close(&format!("{level} {operation:?} {form} {n}"), y, &expected, 2e-7),
                );
            }
        }
    }
}

#[test]
fn nan_spreads_through_max_and_min() {
    let (a, b) = ([f32::NAN, 1.0, f32::NAN], [1.0, f32::NAN, f32::NAN]);
    for operation in [Binary::Max, Binary::Min] {
        let mut builder = GroupBuilder::new();
        let first = builder.load(0, Access::Contiguous);
        let second = builder.load(1, Access::Contiguous);
        let value = builder.binary(operation, first, second);
        builder.store(0, value, None);
        let program = builder.finish();
        at_every_level(
            |context| run(context, &program, 3, &[Source::numbers(&a), Source::numbers(&b)], 3),
            |level, y| assert!(y.iter().all(|y| y.is_nan()), "{level} {operation:?} {y:?}"),
        );
    }
}

#[test]
fn products_fuse_and_select_chooses() {
    let n = 1000;
    let (a, b, c) = (grid::<f64>(n, 1, true), numbers::<f64>(n, 2), numbers::<f64>(n, 3));
    let scalar = [0.75];
    // Every combination of elements and one scalar for each operand of a * b ± c and select.
    for uniform in 0..7usize {
        for kind in 0..5 {
            let mut builder = GroupBuilder::new();
            let mut operand = |i: usize| {
                let is_uniform = uniform >> i & 1 == 1;
                let (source, access) = if is_uniform { (3, Access::Scalar) } else { (i, Access::Contiguous) };
                builder.load(source, access)
            };
            let (x, y, z) = (operand(0), operand(1), operand(2));
            let value = if kind == 4 {
                builder.ternary(Ternary::Select, x, y, z)
            } else {
                let product = builder.binary(Binary::Mul, x, y);
                match kind {
                    0 => builder.binary(Binary::Add, product, z),
                    1 => builder.binary(Binary::Add, z, product),
                    2 => builder.binary(Binary::Sub, product, z),
                    _ => builder.binary(Binary::Sub, z, product),
                }
            };
            builder.store(0, value, None);
            let program = builder.finish();
            assert!(program.steps() == 1 || uniform == 3 && kind < 4);
            let at = |i: usize, numbers: &[f64], k: usize| if uniform >> i & 1 == 1 { scalar[0] } else { numbers[k] };
            let expected: Vec<f64> = (0..n)
                .map(|k| {
                    let (a, b, c) = (at(0, &a, k), at(1, &b, k), at(2, &c, k));
                    match kind {
                        0 | 1 => a * b + c,
                        2 => a * b - c,
                        3 => c - a * b,
                        _ => {
                            if a != 0.0 {
                                b
                            } else {
                                c
                            }
                        }
                    }
                })
                .collect();
            let sources = [Source::numbers(&a[..]), Source::numbers(&b), Source::numbers(&c), Source::numbers(&scalar)];
            at_every_level(
                |context| run(context, &program, n, &sources, n),
                |level, y| assert_close(&format!("{level} {uniform} {kind}"), y, &expected, 1e-15),
            );
        }
    }
}

#[test]
fn every_access_finds_its_element() {
    let n = 6 * 7 * 50;
    let x = numbers::<f32>(n + 3, 1);
    let whole: Vec<i32> = (0..n as i32).collect();
    let accesses: [AccessRow; 6] = [
        (Access::Contiguous, |i| i),
        (Access::Scalar, |_| 0),
        (Access::Cyclic { period: 13 }, |i| i % 13),
        (Access::Stretched { inner: 50 }, |i| i / 50),
        (Access::Strided { offset: 2, dims: vec![(6, 1), (7, 0), (50, 42)] }, |i| 2 + i / 350 + i % 50 * 42),
        (Access::Strided { offset: 2099, dims: vec![(2100, -1)] }, |i| 2099 - i),
    ];
    for (access, place) in accesses {
        let mut builder = GroupBuilder::new();
        let a = builder.load(0, access.clone());
        let b = builder.load_integers(1, access.clone());
        let one = builder.constant(1.0);
        let b = builder.binary(Binary::Mul, b, one);
        let value = builder.binary(Binary::Add, a, b);
        builder.store(0, value, None);
        let program = builder.finish();
        let expected: Vec<f64> =
            (0..n).map(|i| f64::from(x[place(i)]) + f64::from(whole[place(i).min(n - 1)])).collect();
        let integers: Vec<i32> = whole.iter().copied().chain([2099; 3]).collect();
        at_every_level(
            |context| run(context, &program, n, &[Source::numbers(&x), Source::integers(&integers)], n),
            |level, y| assert_close(&format!("{level} {access:?}"), y, &expected, 1e-6),
        );
    }
}

#[test]
fn sums_over_inner_runs() {
    for (n, inner) in [(12, 3), (7000, 7), (5130, 513), (200_000, 100_000), (100_000, 10), (3, 1)] {
        let x = numbers::<f32>(n, 1);
        let mut builder = GroupBuilder::new();
        let a = builder.load(0, Access::Contiguous);
        let square = builder.unary(Unary::Square, a);
        builder.store_sum(0, square, inner);
        let program = builder.finish();
        let expected: Vec<f64> =
            x.chunks(inner).map(|run| run.iter().map(|x| f64::from(*x) * f64::from(*x)).sum()).collect();
        at_every_level(
            |context| run(context, &program, n, &[Source::numbers(&x)], n / inner),
            |level, y| assert_close(&format!("{level} {n} {inner}"), y, &expected, 1e-5),
        );
    }
}

/// The program of an Adam update with parameters and moments in place; the parameters decay by a part of themselves, and
/// their relative change may be a result of its own.
fn adam(decay: f32, keeps_direction: bool) -> Program<f32> {
    let mut builder = GroupBuilder::new();
    let [p, m, v, g] = [0, 1, 2, 3].map(|source| builder.load(source, Access::Contiguous));
    let rate = builder.load(4, Access::Scalar);
    let [b1, c1, b2, c2, epsilon] = [0.9, 0.1, 0.999, 0.001, 1e-8].map(|number| builder.constant(number));
    let kept = builder.binary(Binary::Mul, m, b1);
    let fresh = builder.binary(Binary::Mul, g, c1);
    let m_next = builder.binary(Binary::Add, kept, fresh);
    let kept = builder.binary(Binary::Mul, v, b2);
    let square = builder.unary(Unary::Square, g);
    let fresh = builder.binary(Binary::Mul, square, c2);
    let v_next = builder.binary(Binary::Add, kept, fresh);
    let root = builder.unary(Unary::Sqrt, v_next);
    let divisor = builder.binary(Binary::Add, root, epsilon);
    let direction = builder.binary(Binary::Div, m_next, divisor);
    let change = builder.binary(Binary::Mul, direction, rate);
    let mut moved = p;
    if decay != 0.0 {
        let decay = builder.constant(decay);
        let lost = builder.binary(Binary::Mul, p, decay);
        moved = builder.binary(Binary::Sub, p, lost);
    }
    let p_next = builder.binary(Binary::Sub, moved, change);
    if keeps_direction {
        builder.store(3, direction, None);
    }
    builder.store(0, p_next, Some(p));
    builder.store(1, m_next, Some(m));
    builder.store(2, v_next, Some(v));
    builder.finish()
}

#[test]
fn updates_in_place() {
    for decay in [0.0, 0.02] {
        let program = adam(decay, false);
        let others = usize::from(decay != 0.0);
        assert_eq!(program.loops(), 1 + others, "both moments, their ratio and a move are one loop");
        update_in_place(&program, f64::from(decay), false);
        let program = adam(decay, true);
        assert!(program.loops() > 3 + others, "the ratio is a result of its own: {}", program.loops());
        update_in_place(&program, f64::from(decay), true);
    }
}

/// Holds an update of many parameters against the formula.
fn update_in_place(program: &Program<f32>, decay: f64, keeps_direction: bool) {
    let n = 30_001;
    let (p, m, g) = (numbers::<f32>(n, 1), numbers::<f32>(n, 2), numbers::<f32>(n, 4));
    let v: Vec<f32> = numbers::<f32>(n, 3).iter().map(|x| x.abs()).collect();
    let rate = [0.01f32];
    let mut expected = [const { Vec::new() }; 4];
    for i in 0..n {
        let (p, m, v, g) = (f64::from(p[i]), f64::from(m[i]), f64::from(v[i]), f64::from(g[i]));
        let m = 0.9 * m + 0.1 * g;
        let v = 0.999 * v + 0.001 * g * g;
        let direction = m / (v.sqrt() + 1e-8);
        let row = [p - decay * p - 0.01 * direction, m, v, if keeps_direction { direction } else { 0.0 }];
        expected.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    let update = |context: &Context<'_>| {
        let mut buffers = [p.clone(), m.clone(), v.clone(), vec![0.0; n]];
        let mut workspace = vec![0.0; program.workspace_len(context, n)];
        let starts = buffers.each_mut().map(|buffer| buffer.as_mut_ptr());
        // SAFETY: the buffers live to the end of the run, and the stores say which loads they replace.
        let mut sources = unsafe { [0, 1, 2].map(|row| Source::shared(starts[row].cast_const(), n)) }.to_vec();
        sources.extend([Source::numbers(&g), Source::numbers(&rate)]);
        // SAFETY: as above.
        let mut destinations = unsafe { starts.map(|start| Destination::shared(start, n)) };
        program.run(context, n, &sources, &mut destinations, &mut workspace);
        buffers.concat()
    };
    at_every_level(update, |level, result| assert_close(level, result, &expected.concat(), 1e-6));
}

#[test]
fn a_store_over_a_load_that_is_still_needed_waits() {
    let n = 700;
    let x = numbers::<f32>(n, 1);
    let mut builder = GroupBuilder::new();
    let a = builder.load(0, Access::Contiguous);
    let doubled = builder.binary(Binary::Add, a, a);
    let sine = builder.unary(Unary::Sin, a);
    let sum = builder.binary(Binary::Mul, doubled, sine);
    builder.store(0, doubled, Some(a));
    builder.store(1, sum, None);
    let program = builder.finish();
    let pool = Pool::new(1);
    let context = Context::new(&pool);
    let (mut buffer, mut other) = (x.clone(), vec![0.0; n]);
    let mut workspace = vec![0.0; program.workspace_len(&context, n)];
    // SAFETY: the buffer lives to the end of the run, and the store says that it replaces the load.
    let sources = [unsafe { Source::shared(buffer.as_ptr(), n) }];
    // SAFETY: as above.
    let mut destinations = [unsafe { Destination::shared(buffer.as_mut_ptr(), n) }, Destination::new(&mut other)];
    program.run(&context, n, &sources, &mut destinations, &mut workspace);
    for i in 0..n {
        assert_eq!(buffer[i], 2.0 * x[i]);
        assert!((other[i] - 2.0 * x[i] * x[i].sin()).abs() < 1e-6);
    }
}

#[test]
fn two_buffers_change_places() {
    let n = 1300;
    let (x, y) = (numbers::<f32>(n, 1), numbers::<f32>(n, 2));
    let mut builder = GroupBuilder::new();
    let a = builder.load(0, Access::Contiguous);
    let b = builder.load(1, Access::Contiguous);
    builder.store(0, b, Some(a));
    builder.store(1, a, Some(b));
    let program = builder.finish();
    let pool = Pool::new(1);
    let context = Context::new(&pool);
    let mut buffers = [x.clone(), y.clone()];
    let mut workspace = vec![0.0; program.workspace_len(&context, n)];
    let starts = buffers.each_mut().map(|buffer| buffer.as_mut_ptr());
    // SAFETY: the buffers live to the end of the run, and the stores say which loads they replace.
    let sources = unsafe { starts.map(|start| Source::shared(start.cast_const(), n)) };
    // SAFETY: as above.
    let mut destinations = unsafe { starts.map(|start| Destination::shared(start, n)) };
    program.run(&context, n, &sources, &mut destinations, &mut workspace);
    assert_eq!(buffers, [y, x]);
}

#[test]
fn loads_uniforms_and_values_can_be_stored_twice() {
    let n = 600;
    let x = numbers::<f32>(n, 1);
    let mut builder = GroupBuilder::new();
    let a = builder.load(0, Access::Contiguous);
    let seven = builder.constant(7.0);
    let negative = builder.unary(Unary::Neg, a);
    builder.store(0, a, None);
    builder.store(1, seven, None);
    builder.store(2, negative, None);
    builder.store(3, negative, None);
    let program = builder.finish();
    let pool = Pool::new(1);
    let context = Context::new(&pool);
    let mut results = [(); 4].map(|()| vec![0.0; n]);
    let mut destinations = results.each_mut().map(|result| Destination::new(result));
    let mut workspace = vec![0.0; program.workspace_len(&context, n)];
    program.run(&context, n, &[Source::numbers(&x)], &mut destinations, &mut workspace);
    let negated: Vec<f32> = x.iter().map(|x| -x).collect();
    assert_eq!(results, [x, vec![7.0; n], negated.clone(), negated]);
}
