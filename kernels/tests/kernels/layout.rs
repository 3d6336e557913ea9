//! Copies of strided data against their places.

use anabranch_kernels::layout::*;
use proptest::prelude::*;

fn dim(extent: usize, from: isize, to: isize) -> Dim {
    Dim { extent, from, to }
}

#[test]
fn transposes_of_any_size() {
    for (rows, columns) in [(1, 1), (7, 63), (513, 33), (16, 16), (100, 1), (0, 5)] {
        let x: Vec<usize> = (0..rows * columns).collect();
        let mut y = vec![usize::MAX; x.len()];
        copy(&[dim(columns, 1, rows as isize), dim(rows, columns as isize, 1)], &x, 0, &mut y, 0);
        for (i, y) in y.iter().enumerate() {
            assert_eq!(*y, i % rows.max(1) * columns + i / rows.max(1));
        }
    }
}

#[test]
fn slices_paddings_reversals_and_broadcasts() {
    let x: Vec<i32> = (0..12).collect();
    let mut y = vec![-1; 20];
    // Rows 1 and 2 of a 3 by 4 matrix, columns reversed, inside a border of one.
    copy(&[dim(2, 4, 6), dim(4, -1, 1)], &x, 7, &mut y, 1);
    assert_eq!(y[..12], [-1, 7, 6, 5, 4, -1, -1, 11, 10, 9, 8, -1]);
    copy(&[dim(2, 0, 3), dim(3, 1, 1)], &x, 4, &mut y, 0);
    assert_eq!(y[..6], [4, 5, 6, 4, 5, 6]);
    copy(&[dim(2, 1, 3), dim(3, 0, 1)], &x, 4, &mut y, 0);
    assert_eq!(y[..6], [4, 4, 4, 5, 5, 5]);
    copy(&[], &x, 11, &mut y, 0);
    assert_eq!(y[0], 11);
}

#[test]
#[should_panic(expected = "outside its slice")]
fn a_copy_outside_its_slice_is_a_bug() {
    copy(&[dim(4, 1, 1)], &[0; 3], 0, &mut [0; 4], 0);
}

proptest! {
    #[test]
    fn any_permutation(extents in prop::collection::vec(1usize..7, 1..6), seed: u64) {
        let mut order: Vec<usize> = (0..extents.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, (seed >> (8 * i)) as usize % (i + 1));
        }
        let strides = |extents: &[usize]| {
            let mut strides = vec![1; extents.len()];
            for i in (1..extents.len()).rev() {
                strides[i - 1] = strides[i] * extents[i];
            }
            strides
        };
        let out: Vec<usize> = order.iter().map(|axis| extents[*axis]).collect();
        let (from, to) = (strides(&extents), strides(&out));
        let dims: Vec<Dim> =
            order.iter().zip(&to).map(|(axis, to)| dim(extents[*axis], from[*axis] as isize, *to as isize)).collect();
        let x: Vec<usize> = (0..extents.iter().product()).collect();
        let mut y = vec![usize::MAX; x.len()];
        copy(&dims, &x, 0, &mut y, 0);
        for (i, y) in y.iter().enumerate() {
            let place: usize = (0..out.len()).map(|d| i / to[d] % out[d] * from[order[d]]).sum();
            prop_assert_eq!(*y, place);
        }
    }
}
