//! Rows and elements by index against written results.

use anabranch_kernels::index::*;

#[test]
fn rows_and_elements_by_index() {
    let table = [1.0f32, 2.0, 3.0, 4.0];
    let mut rows = [0.0; 6];
    gather_rows(2, &table, &[1, -1, 0], f32::NAN, &mut rows);
    assert!(rows[..2] == [3.0, 4.0] && rows[2].is_nan() && rows[4..] == [1.0, 2.0]);
    let mut sums = [9.0; 4];
    scatter_add_rows(2, &[1, 7, 1], &[1.0, 2.0, 5.0, 5.0, 10.0, 20.0], &mut sums);
    assert_eq!(sums, [0.0, 0.0, 11.0, 22.0]);
    let x = [0.0, 1.0, 10.0, 11.0, 20.0, 21.0];
    let mut y = [0.0; 6];
    gather_rows(2, &x, &[2, 0, 2], f64::NAN, &mut y);
    assert_eq!(y, [20.0, 21.0, 0.0, 1.0, 20.0, 21.0]);
    let mut sums = [0.0; 6];
    scatter_add_rows(2, &[1, 1, 0], &y, &mut sums);
    assert_eq!(sums, [20.0, 21.0, 20.0, 22.0, 0.0, 0.0]);
    gather_rows::<f32>(0, &[], &[5], 0.0, &mut []);
    let along = Along { outer: 2, extent: 2, inner: 1, picks: 1 };
    let mut picked = [0.0; 2];
    take_along(along, &table, &[1, 0], 0.0, &mut picked);
    assert_eq!(picked, [2.0, 3.0]);
    let mut put = [9.0; 4];
    put_along(along, &[1, 5], &[7.0, 8.0], &mut put);
    assert_eq!(put, [0.0, 7.0, 0.0, 0.0]);
}
