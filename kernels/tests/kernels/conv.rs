//! Convolutions against the sum that defines them, in double precision.

use crate::testing::{assert_close, at_every_level, numbers};
use anabranch_kernels::conv::*;
use anabranch_kernels::{Context, Real};
use proptest::prelude::*;

/// Calls `visit(x, kernel, y)` with the places of every product of the convolution.
fn products(
    batch: usize,
    channels: (usize, usize),
    groups: usize,
    dims: &[Dim],
    mut visit: impl FnMut(usize, usize, usize),
) {
    let mut all = [Dim { input: 1, kernel: 1, stride: 1, dilation: 1, padding: (0, 0) }; 3];
    all[3 - dims.len()..].copy_from_slice(dims);
    let out = all.map(|dim| dim.output());
    let (group_in, group_out) = (channels.0 / groups, channels.1 / groups);
    let inside = |output: usize, kernel: usize, dim: &Dim| {
        (output * dim.stride + kernel * dim.dilation).checked_sub(dim.padding.0).filter(|place| *place < dim.input)
    };
    let indices = |extents: [usize; 3]| {
        (0..extents[0]).flat_map(move |a| (0..extents[1]).flat_map(move |b| (0..extents[2]).map(move |c| [a, b, c])))
    };
    for n in 0..batch {
        for o in indices(out) {
            for k in indices(all.map(|dim| dim.kernel)) {
                let places = [0, 1, 2].map(|i| inside(o[i], k[i], &all[i]));
                let [Some(z), Some(y), Some(x)] = places else { continue };
                let pixel = ((n * all[0].input + z) * all[1].input + y) * all[2].input + x;
                let out_pixel = ((n * out[0] + o[0]) * out[1] + o[1]) * out[2] + o[2];
                let place = (k[0] * all[1].kernel + k[1]) * all[2].kernel + k[2];
                for channel in 0..channels.1 {
                    for i in 0..group_in {
                        visit(
                            pixel * channels.0 + channel / group_out * group_in + i,
                            (place * group_in + i) * channels.1 + channel,
                            out_pixel * channels.1 + channel,
                        );
                    }
                }
            }
        }
    }
}

fn check<T: Real>(batch: usize, channels: (usize, usize), groups: usize, dims: &[Dim], tolerance: f64) {
    let g = ConvGeometry::new(batch, channels, groups, dims);
    let x = numbers::<T>(g.input_len(), 1);
    let kernel = numbers::<T>(g.kernel_len(), 2);
    let dy = numbers::<T>(g.output_len(), 3);
    let bias = numbers::<T>(channels.1, 4);
    let mut y_expected = vec![0.0; g.output_len()];
    let mut dx_expected = vec![0.0; g.input_len()];
    let mut dk_expected = vec![0.0; g.kernel_len()];
    products(batch, channels, groups, dims, |i, k, o| {
        y_expected[o] += x[i].to_double() * kernel[k].to_double();
        dx_expected[i] += dy[o].to_double() * kernel[k].to_double();
        dk_expected[k] += dy[o].to_double() * x[i].to_double();
    });
    let ramp: Vec<f64> =
        y_expected.iter().enumerate().map(|(i, y)| (y + bias[i % channels.1].to_double()).max(0.0)).collect();
    let pass = |name: &str, expected: &[f64], compute: &dyn Fn(&Context<'_>, &mut [T]) -> usize| {
        let run = |context: &Context<'_>| {
            let mut result = vec![T::nan(); expected.len()];
            compute(context, &mut result);
            result
        };
        at_every_level(run, |level, result| {
            assert_close(&format!("{level} {name} {g:?}"), result, expected, tolerance);
        });
    };
    let workspace = |length: usize| vec![T::nan(); length];
    pass("forward", &y_expected, &|context, y| {
        let mut workspace = workspace(forward_workspace_len::<T>(context, &g));
        forward(context, &g, &x, &kernel, (None, false), y, &mut workspace);
        workspace.len()
    });
    pass("forward, bias, relu", &ramp, &|context, y| {
        let mut workspace = workspace(forward_workspace_len::<T>(context, &g));
        forward(context, &g, &x, &kernel, (Some(&bias), true), y, &mut workspace);
        workspace.len()
    });
    pass("input gradient", &dx_expected, &|context, dx| {
        let mut workspace = workspace(input_gradient_workspace_len::<T>(context, &g));
        input_gradient(context, &g, &dy, &kernel, dx, &mut workspace);
        workspace.len()
    });
    pass("kernel gradient", &dk_expected, &|context, dk| {
        let mut workspace = workspace(kernel_gradient_workspace_len::<T>(context, &g));
        kernel_gradient(context, &g, &x, &dy, dk, &mut workspace);
        workspace.len()
    });
}

fn dim(input: usize, kernel: usize, stride: usize, dilation: usize, padding: (usize, usize)) -> Dim {
    Dim { input, kernel, stride, dilation, padding }
}

#[test]
fn shapes_of_the_workloads() {
    check::<f32>(7, (2, 1), 1, &[dim(5, 3, 1, 1, (0, 0)); 2], 1e-5);
    check::<f32>(3, (1, 32), 1, &[dim(28, 3, 1, 1, (0, 0)); 2], 1e-4);
    check::<f32>(9, (16, 24), 1, &[dim(12, 3, 1, 1, (1, 1)); 2], 1e-4);
    check::<f32>(2, (16, 32), 1, &[dim(16, 3, 2, 1, (0, 1)); 2], 1e-4);
    check::<f32>(2, (16, 70), 1, &[dim(8, 1, 2, 1, (0, 0)); 2], 1e-4);
    check::<f64>(4, (64, 48), 1, &[dim(7, 1, 1, 1, (0, 0)); 2], 1e-12);
    check::<f32>(2, (40, 40), 40, &[dim(15, 3, 1, 1, (1, 1)); 2], 1e-4);
    check::<f32>(2, (6, 12), 6, &[dim(9, 3, 2, 1, (1, 0)); 2], 1e-4);
}

/// Three by three places in steps of 1, with channels enough: by way of the points.
#[test]
fn tiles_of_all_kinds() {
    let check = |batch, channels, height, width, padding| {
        let dims = [dim(height, 3, 1, 1, padding), dim(width, 3, 1, 1, padding)];
        let g = ConvGeometry::new(batch, channels, 1, &dims);
        assert!(goes_by_points::<f32>(&g) && !goes_by_points::<f64>(&g), "{g:?}");
        check::<f32>(batch, channels, 1, &dims, 1e-4);
    };
    check(2, (16, 24), 12, 13, (1, 1));
    check(3, (32, 64), 14, 14, (0, 0));
    check(5, (20, 17), 9, 16, (2, 1));
    check(1, (33, 16), 20, 21, (0, 2));
    check(40, (16, 16), 8, 8, (1, 1));
}

#[test]
fn few_channels_small_images_and_other_steps_are_summed_plainly() {
    let suits = |channels, side, dim: Dim| {
        goes_by_points::<f32>(&ConvGeometry::new(64, channels, 1, &[Dim { input: side, ..dim }; 2]))
    };
    let plain = dim(1, 3, 1, 1, (1, 1));
    assert!(suits((16, 16), 16, plain));
    assert!(!suits((3, 16), 16, plain) && !suits((16, 10), 16, plain));
    assert!(!suits((16, 16), 2, plain));
    assert!(!suits((16, 16), 16, Dim { stride: 2, ..plain }) && !suits((16, 16), 16, Dim { dilation: 2, ..plain }));
    assert!(!suits((16, 16), 16, Dim { kernel: 5, ..plain }));
}

#[test]
fn one_and_three_dimensions() {
    check::<f64>(2, (3, 5), 1, &[dim(17, 4, 2, 3, (2, 5))], 1e-12);
    let dims = [dim(5, 2, 1, 2, (1, 0)), dim(6, 3, 2, 1, (1, 1)), dim(7, 3, 3, 1, (2, 1))];
    check::<f64>(2, (4, 6), 2, &dims, 1e-12);
}

#[test]
fn empty_batches_and_kernels_that_do_not_fit() {
    check::<f32>(0, (2, 3), 1, &[dim(5, 3, 1, 1, (0, 0)); 2], 0.0);
    check::<f32>(2, (2, 3), 1, &[dim(2, 3, 1, 1, (0, 0)); 2], 0.0);
}

prop_compose! {
    fn any_dim()(input in 1usize..10, kernel in 1usize..4, stride in 1usize..4, dilation in 1usize..4,
                 before in 0usize..4, after in 0usize..4) -> Dim {
        dim(input, kernel, stride, dilation, (before, after))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_geometry(batch in 1usize..4, groups in 1usize..3, input in 1usize..6, output in 1usize..6,
                    dims in prop::collection::vec(any_dim(), 1..4)) {
        check::<f32>(batch, (groups * input, groups * output), groups, &dims, 1e-4);
        check::<f64>(batch, (groups * input, groups * output), groups, &dims, 1e-12);
    }
}
