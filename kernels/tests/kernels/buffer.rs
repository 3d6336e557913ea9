//! Memory that may be refused.

use anabranch_kernels::buffer::*;

#[test]
fn zeros_or_nothing() {
    assert_eq!(zeros::<f32>(0), Some(Vec::new()));
    assert_eq!(zeros::<f64>(5), Some(vec![0.0; 5]));
    assert_eq!(zeros::<i32>(70_000), Some(vec![0; 70_000]));
    assert_eq!(zeros::<f64>(usize::MAX / 8), None);
    assert_eq!(zeros::<f32>(usize::MAX), None);
}
