//! Pooling and its transposes.

use super::{USUAL, case, dims, distinct, floats};
use crate::gradcheck::harness::Case;
use anabranch::ops::convolution::Windows;
use anabranch::ops::windows::PoolAttributes;
use anabranch::ops::*;

/// One pooling: shapes of `x` and the result, the window and how it moves.
fn geometries() -> Vec<(&'static [usize], &'static [usize], PoolAttributes)> {
    let plain = |window: &[usize]| PoolAttributes { window: window.to_vec(), windows: Windows::plain(window.len()) };
    let moving = |window: &[usize], strides: &[usize], dilation: &[usize], padding: &[(usize, usize)]| PoolAttributes {
        window: window.to_vec(),
        windows: Windows { strides: strides.to_vec(), dilation: dilation.to_vec(), padding: padding.to_vec() },
    };
    vec![
        (&[2, 4, 2], &[2, 3, 2], plain(&[2])),
        (&[1, 4, 4, 2], &[1, 2, 2, 2], moving(&[2, 2], &[2, 2], &[1, 1], &[(0, 0), (0, 0)])),
        (&[2, 4, 5, 1], &[2, 3, 3, 1], moving(&[2, 3], &[2, 1], &[1, 2], &[(1, 1), (1, 1)])),
        (&[1, 2, 3, 2, 1], &[1, 1, 2, 2, 1], plain(&[2, 2, 1])),
        // Windows that lie in the padding alone.
        (&[1, 2, 1], &[1, 5, 1], moving(&[2], &[1], &[1], &[(2, 2)])),
        (&[0, 3, 2], &[0, 2, 2], plain(&[2])),
        (&[2, 3, 0], &[2, 2, 0], plain(&[2])),
    ]
}

pub fn cases() -> Vec<Case> {
    let cases = geometries().into_iter().flat_map(|(x, y, attributes)| {
        let average = AveragePoolScatter { attributes: attributes.clone(), shape: dims(x) };
        // There the maximum is infinite, which differences cannot take.
        let in_padding = attributes.windows.padding.contains(&(2, 2));
        let maximum = case(MaxPool { attributes: attributes.clone() }, vec![distinct(x)], USUAL);
        let others = [
            case(MaxPoolScatter { attributes: attributes.clone() }, vec![distinct(x), floats(y, -1.0, 1.0)], USUAL),
            case(MaxPoolSelect { attributes: attributes.clone() }, vec![distinct(x), floats(x, -1.0, 1.0)], USUAL),
            case(AveragePool { attributes }, vec![floats(x, -1.0, 1.0)], USUAL),
            case(average, vec![floats(y, -1.0, 1.0)], USUAL),
        ];
        others.into_iter().chain((!in_padding).then_some(maximum))
    });
    cases.collect()
}
