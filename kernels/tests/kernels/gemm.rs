//! Products against the sums that define them, in double precision.

use crate::testing::{assert_close, at_every_level, numbers};
use anabranch_kernels::gemm::*;
use anabranch_kernels::{Context, Real};
use proptest::prelude::*;

/// The layout of an operand: `n`ot transposed or transposed.
fn strides(transposed: bool, rows: usize, columns: usize) -> (usize, usize) {
    if transposed { (1, rows) } else { (columns, 1) }
}

fn check_product<T: Real>(shape: Shape, flips: [bool; 2], beta: f64, epilogue: u8, tolerance: f64) {
    let Shape { batch, rows, inner, columns } = shape;
    let a_strides = strides(flips[0], rows, inner);
    let b_strides = strides(flips[1], inner, columns);
    let a = numbers::<T>(batch * rows * inner, 1);
    let b = numbers::<T>(batch * inner * columns, 2);
    let bias = numbers::<T>(columns, 3);
    let c_row = columns + 3 * usize::from(columns > 1);
    let start = numbers::<T>(batch * rows * c_row, 4);
    let mut expected: Vec<f64> = start.iter().map(|x| x.to_double()).collect();
    for n in 0..batch {
        for i in 0..rows {
            for j in 0..columns {
                let mut sum = 0.0;
                for p in 0..inner {
                    sum += a[n * rows * inner + i * a_strides.0 + p * a_strides.1].to_double()
                        * b[n * inner * columns + p * b_strides.0 + j * b_strides.1].to_double();
                }
                let c = &mut expected[n * rows * c_row + i * c_row + j];
                *c = sum + beta * *c;
                if epilogue > 0 {
                    *c += bias[j].to_double();
                }
                if epilogue > 1 {
                    *c = c.max(0.0);
                }
            }
        }
    }
    let compute = |context: &Context<'_>| {
        let mut c = start.clone();
        let mut workspace = vec![T::nan(); workspace_len::<T>(context, shape, a_strides, b_strides)];
        let matrix = |data, size, strides: (usize, usize)| Matrix {
            data,
            batch_stride: size,
            row_stride: strides.0,
            column_stride: strides.1,
        };
        let epilogue = match epilogue {
            0 => Epilogue::None,
            1 => Epilogue::Bias(&bias[..]),
            _ => Epilogue::BiasRelu(&bias[..]),
        };
        let result = MatrixMut { data: &mut c, batch_stride: rows * c_row, row_stride: c_row };
        let (a, b) = (matrix(&a[..], rows * inner, a_strides), matrix(&b[..], inner * columns, b_strides));
        gemm(context, shape, [a, b], T::from_double(beta), result, epilogue, &mut workspace);
        c
    };
    at_every_level(compute, |level, c| {
        let what = format!("{level} {shape:?} {flips:?} {beta} {epilogue}");
        assert_close(&what, c, &expected, tolerance * (1.0 + inner as f64).sqrt());
    });
}

#[test]
fn shapes_of_the_workloads() {
    for (rows, inner, columns) in [
        (7, 50, 2),
        (128, 784, 32),
        (64, 512, 10),
        (128, 512, 1),
        (65, 130, 300),
        (1, 513, 70),
        (200, 3, 300),
        (70, 1024, 66),
    ] {
        for flips in [[false, false], [true, false], [false, true], [true, true]] {
            let shape = Shape { batch: 1, rows, inner, columns };
            check_product::<f32>(shape, flips, 0.0, 2, 1e-6);
            check_product::<f32>(shape, flips, 0.0, 0, 1e-6);
            check_product::<f64>(shape, flips, 1.0, 1, 1e-14);
        }
    }
}

#[test]
fn an_empty_inner_dimension_gives_zeros() {
    check_product::<f32>(Shape { batch: 2, rows: 3, inner: 0, columns: 5 }, [false; 2], 0.0, 0, 0.0);
    check_product::<f32>(Shape { batch: 2, rows: 0, inner: 4, columns: 5 }, [false; 2], 0.0, 0, 0.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_shape(batch in 1usize..4, rows in 1usize..70, inner in 0usize..90, columns in 1usize..80,
                 flips: [bool; 2], beta in 0u8..3, epilogue in 0u8..3) {
        let shape = Shape { batch, rows, inner, columns };
        check_product::<f32>(shape, flips, f64::from(beta), epilogue, 1e-6);
        check_product::<f64>(shape, flips, f64::from(beta), epilogue, 1e-14);
    }
}
