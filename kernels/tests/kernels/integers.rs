//! Whole numbers.

use anabranch_kernels::integers::*;

#[test]
fn large_numbers_stay_apart() {
    let (x, y) = ([16_777_216, 16_777_217, -1], [16_777_217, 16_777_217, 1]);
    let mut z = [9.0f32; 3];
    compare(Comparison::Equal, &x, &y, &mut z);
    assert_eq!(z, [0.0, 1.0, 0.0]);
    compare(Comparison::Less, &x, &y, &mut z);
    assert_eq!(z, [1.0, 0.0, 1.0]);
    let mut whole = [0; 3];
    arithmetic(Arithmetic::Div, &x, &[0, 2, 1], &mut whole);
    assert_eq!(whole, [0, 8_388_608, -1]);
    truncate(&[1.9f32, -1.9, f32::NAN], &mut whole);
    assert_eq!(whole, [1, -1, 0]);
    select(&[1.0f32, 0.0, 1.0], &[1, 1, 1], &[2, 2, 2], &mut whole);
    assert_eq!(whole, [1, 2, 1]);
}
