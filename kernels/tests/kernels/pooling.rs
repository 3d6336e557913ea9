//! Pooling against its windows, in double precision.

use crate::testing::{assert_close, at_every_level, numbers};
use anabranch_kernels::Context;
use anabranch_kernels::pooling::*;
use proptest::prelude::*;

/// The places in the input of each window's real elements, by output place.
fn windows(batch: usize, channels: usize, dims: &[Dim]) -> Vec<Vec<usize>> {
    let mut all = [Dim { input: 1, window: 1, stride: 1, padding: (0, 0) }; 3];
    all[3 - dims.len()..].copy_from_slice(dims);
    let mut windows = Vec::new();
    let out = all.map(|dim| dim.output());
    for n in 0..batch {
        for o in 0..out.iter().product() {
            let o = [o / out[1] / out[2], o / out[2] % out[1], o % out[2]];
            let mut pixels = Vec::new();
            for w in 0..all.iter().map(|dim| dim.window).product() {
                let w = [w / all[1].window / all[2].window, w / all[2].window % all[1].window, w % all[2].window];
                let place = |i: usize| {
                    (o[i] * all[i].stride + w[i]).checked_sub(all[i].padding.0).filter(|p| *p < all[i].input)
                };
                if let (Some(z), Some(y), Some(x)) = (place(0), place(1), place(2)) {
                    pixels.push(((n * all[0].input + z) * all[1].input + y) * all[2].input + x);
                }
            }
            for channel in 0..channels {
                windows.push(pixels.iter().map(|pixel| pixel * channels + channel).collect());
            }
        }
    }
    windows
}

fn check(batch: usize, channels: usize, dims: &[Dim]) {
    let g = PoolGeometry::new(batch, channels, dims);
    // A coarse grid, so that windows have equal elements.
    let x: Vec<f32> = numbers::<f32>(g.input_len(), 1).iter().map(|x| (x * 3.0).round()).collect();
    let v = numbers::<f32>(g.input_len(), 2);
    let dy = numbers::<f32>(g.output_len(), 3);
    let windows = windows(batch, channels, dims);
    assert_eq!(windows.len(), g.output_len());
    let mut expected = [(); 3].map(|()| Vec::new());
    let mut scattered = [(); 2].map(|()| vec![0.0; g.input_len()]);
    for (window, dy) in windows.iter().zip(&dy) {
        let first = window.iter().copied().reduce(|a, b| if x[b] > x[a] { b } else { a }).unwrap_or(0);
        expected[0].push(f64::from(x[first]));
        expected[1].push(f64::from(v[first]));
        expected[2].push(window.iter().map(|i| f64::from(x[*i])).sum::<f64>() / window.len() as f64);
        scattered[0][first] += f64::from(*dy);
        window.iter().for_each(|i| scattered[1][*i] += f64::from(*dy) / window.len() as f64);
    }
    let pass = |name: &str, expected: &[f64], compute: &dyn Fn(&Context<'_>, &mut [f32])| {
        let run = |context: &Context<'_>| {
            let mut result = vec![f32::NAN; expected.len()];
            compute(context, &mut result);
            result
        };
        at_every_level(run, |level, y| assert_close(&format!("{level} {name} {g:?}"), y, expected, 1e-6));
    };
    pass("max", &expected[0], &|context, y| max_forward(context, &g, &x, y));
    pass("max select", &expected[1], &|context, y| max_select(context, &g, &x, &v, y));
    pass("average", &expected[2], &|context, y| average_forward(context, &g, &x, y));
    pass("max scatter", &scattered[0], &|context, dx| max_scatter(context, &g, &x, &dy, dx));
    pass("average scatter", &scattered[1], &|context, dx| average_scatter(context, &g, &dy, dx));
}

fn dim(input: usize, window: usize, stride: usize, padding: (usize, usize)) -> Dim {
    Dim { input, window, stride, padding }
}

#[test]
fn shapes_of_the_workloads() {
    check(3, 64, &[dim(24, 2, 2, (0, 0)); 2]);
    check(2, 64, &[dim(8, 8, 8, (0, 0)); 2]);
    check(0, 3, &[dim(8, 2, 2, (0, 0))]);
}

prop_compose! {
    fn any_dim()(input in 1usize..9, window in 1usize..4, stride in 1usize..4, before in 0usize..3, after in 0usize..3)
        -> Dim {
        dim(input, window, stride, (before.min(window - 1), after.min(window - 1)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_geometry(batch in 0usize..3, channels in 1usize..40, dims in prop::collection::vec(any_dim(), 1..4)) {
        check(batch, channels, &dims);
    }
}
