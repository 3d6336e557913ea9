//! Matrix products, convolutions and small dense systems.

use super::{USUAL, case, dims, floats, values};
use crate::gradcheck::harness::Case;
use anabranch::ops::convolution::{ConvolutionAttributes, Windows};
use anabranch::ops::*;

pub fn cases() -> Vec<Case> {
    [matrix_products(), convolutions(), dense_systems()].concat()
}

fn matrix_products() -> Vec<Case> {
    let mut cases = Vec::new();
    for (transpose_x, transpose_y) in [(false, false), (false, true), (true, false), (true, true)] {
        for (batch, m, k, n) in
            [(vec![], 2, 3, 4), (vec![3], 2, 1, 2), (vec![2, 1], 1, 2, 3), (vec![], 2, 0, 3), (vec![0], 2, 2, 1)]
        {
            let shape = |rows, columns, flip: bool| {
                let matrix = if flip { [columns, rows] } else { [rows, columns] };
                [batch.as_slice(), &matrix].concat()
            };
            let operands =
                vec![floats(&shape(m, k, transpose_x), -1.0, 1.0), floats(&shape(k, n, transpose_y), -1.0, 1.0)];
            cases.push(case(MatMul { transpose_x, transpose_y }, operands, USUAL));
        }
    }
    cases
}

/// One convolution: shapes of `x`, the kernel and the result, and how windows move.
struct Geometry {
    x: &'static [usize],
    kernel: &'static [usize],
    y: &'static [usize],
    windows: Windows,
    groups: usize,
}

fn geometries() -> Vec<Geometry> {
    let strided = Windows { strides: vec![2, 1], dilation: vec![1, 2], padding: vec![(1, 0), (1, 2)] };
    let volume = Windows { strides: vec![1, 2, 1], dilation: vec![1; 3], padding: vec![(0, 1), (1, 0), (0, 0)] };
    let over = |n_axes| Windows::plain(n_axes);
    vec![
        Geometry { x: &[2, 5, 1], kernel: &[3, 1, 2], y: &[2, 3, 2], windows: over(1), groups: 1 },
        Geometry { x: &[1, 3, 3, 2], kernel: &[2, 2, 2, 1], y: &[1, 2, 2, 1], windows: over(2), groups: 1 },
        Geometry { x: &[2, 4, 3, 4], kernel: &[2, 2, 2, 6], y: &[2, 2, 4, 6], windows: strided, groups: 2 },
        Geometry { x: &[1, 2, 2, 3], kernel: &[2, 1, 1, 3], y: &[1, 1, 2, 3], windows: over(2), groups: 3 },
        Geometry { x: &[1, 2, 3, 2, 1], kernel: &[2, 2, 1, 1, 2], y: &[1, 2, 2, 2, 2], windows: volume, groups: 1 },
        Geometry { x: &[0, 3, 1], kernel: &[2, 1, 1], y: &[0, 2, 1], windows: over(1), groups: 1 },
    ]
}

fn convolutions() -> Vec<Case> {
    let cases = geometries().into_iter().flat_map(|geometry| {
        let attributes = || ConvolutionAttributes { windows: geometry.windows.clone(), groups: geometry.groups };
        let [x, kernel, y] = [geometry.x, geometry.kernel, geometry.y].map(|shape| floats(shape, -1.0, 1.0));
        let input_gradient = ConvolutionInputGradient { attributes: attributes(), shape: dims(geometry.x) };
        let kernel_gradient = ConvolutionKernelGradient { attributes: attributes(), shape: dims(geometry.kernel) };
        [
            case(Convolution { attributes: attributes() }, vec![x.clone(), kernel.clone()], USUAL),
            case(input_gradient, vec![y.clone(), kernel], USUAL),
            case(kernel_gradient, vec![x, y], USUAL),
        ]
    });
    cases.collect()
}

fn dense_systems() -> Vec<Case> {
    let matrix = || values(&[3, 3], &[2.0, -0.3, 0.5, 0.4, -1.7, 0.2, -0.6, 0.1, 1.3]);
    let mut cases = vec![
        case(SimplexQp, vec![matrix()], USUAL),
        case(SimplexQp, vec![matrix(), floats(&[3], -1.0, 1.0)], USUAL),
        case(Eigh, vec![matrix()], USUAL),
        case(Eigh, vec![values(&[1, 1], &[-0.7])], USUAL),
        case(Pinv { tolerance: Scalar(1e-6) }, vec![matrix()], USUAL),
        case(Pinv { tolerance: Scalar(0.0) }, vec![values(&[1, 1], &[-0.7])], USUAL),
        case(NonnegQp, vec![matrix(), floats(&[3], 0.1, 1.0)], USUAL),
        case(Solve { transpose: false }, vec![values(&[1, 1], &[0.7]), floats(&[1], -1.0, 1.0)], USUAL),
    ];
    let stacked = || values(&[2, 2, 2], &[1.1, 0.3, -0.4, 0.8, 2.0, -0.6, 0.5, 1.4]);
    cases.push(case(Orthonormal, vec![matrix()], USUAL));
    cases.push(case(Orthonormal, vec![stacked()], USUAL));
    cases.push(case(Orthonormal, vec![values(&[3, 2], &[1.1, 0.3, -0.4, 0.8, 0.7, -0.6])], USUAL));
    let definite = || values(&[3, 3], &[2.0, -0.2, 0.5, 0.4, 1.7, 0.2, -0.6, 0.1, 1.3]);
    cases.push(case(Cholesky, vec![definite()], USUAL));
    cases.push(case(Cholesky, vec![values(&[2, 2, 2], &[1.1, 0.3, -0.4, 0.8, 2.0, -0.6, 0.5, 1.4])], USUAL));
    for (upper, transpose) in [(false, false), (false, true), (true, false), (true, true)] {
        let op = || TriangularSolve { upper, transpose };
        cases.push(case(op(), vec![matrix(), floats(&[3, 2], -1.0, 1.0)], USUAL));
        cases.push(case(op(), vec![stacked(), floats(&[2, 2, 1], -1.0, 1.0)], USUAL));
    }
    for transpose in [false, true] {
        for right in [&[3][..], &[3, 2], &[3, 1], &[3, 0]] {
            cases.push(case(Solve { transpose }, vec![matrix(), floats(right, -1.0, 1.0)], USUAL));
        }
    }
    cases
}
