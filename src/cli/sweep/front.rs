//! What is best when several values count: the front of those that nothing beats in all of them, its hypervolume and its knee.

/// A point of values, each the better the lower.
pub(super) type Point = Vec<f64>;

/// Whether `a` is at least as good as `b` in every value, and better in one.
fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b) && a.iter().zip(b).any(|(a, b)| a < b)
}

/// The positions of the points that no other dominates. A point with a value that is no number is none of them.
pub(super) fn front(points: &[Point]) -> Vec<usize> {
    let is_known = |point: &Point| point.iter().all(|value| !value.is_nan());
    let is_best = |at: &usize| {
        is_known(&points[*at]) && !points.iter().any(|other| is_known(other) && dominates(other, &points[*at]))
    };
    (0..points.len()).filter(is_best).collect()
}

/// The volume that points dominate below a reference: by slices along the first value (Zitzler 1999; Fonseca, Paquete, López-Ibáñez
/// 2006, without their pruning).
pub(super) fn hypervolume(points: &[Point], reference: &[f64]) -> f64 {
    let mut within: Vec<&Point> =
        points.iter().filter(|point| point.iter().zip(reference).all(|(value, bound)| value < bound)).collect();
    let Some((bound, rest)) = reference.split_first() else { return 1.0 };
    within.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let mut volume = 0.0;
    for (at, point) in within.iter().enumerate() {
        let next = within.get(at + 1).map_or(*bound, |next| next[0]);
        let slice: Vec<Point> = within[..=at].iter().map(|point| point[1..].to_vec()).collect();
        if next > point[0] {
            volume += (next - point[0]) * hypervolume(&slice, rest);
        }
    }
    volume
}

/// The worst of each value.
pub(super) fn worst(points: &[Point]) -> Point {
    let n = points.first().map_or(0, Vec::len);
    let worst = |at: usize| {
        points.iter().map(|point| point[at]).filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max)
    };
    (0..n).map(worst).collect()
}

/// Of a front, the position of the point farthest below the plane through its ends, each value scaled to the front's extent: where
/// a little more of one value costs most of another. None where there are fewer than three points.
pub(super) fn knee(points: &[Point], front: &[usize]) -> Option<usize> {
    if front.len() < 3 {
        return None;
    }
    let n = points[front[0]].len();
    let bounds: Vec<(f64, f64)> = (0..n)
        .map(|at| {
            let values = || front.iter().map(|point| points[*point][at]);
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
        })
        .collect();
    let scaled = |point: &usize| -> f64 {
        let value =
            |(value, (low, high)): (&f64, &(f64, f64))| if high > low { (value - low) / (high - low) } else { 0.0 };
        points[*point].iter().zip(&bounds).map(value).sum()
    };
    front.iter().copied().min_by(|a, b| scaled(a).total_cmp(&scaled(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_front_its_volume_and_its_knee() {
        let points: Vec<Point> =
            [[0.0, 4.0], [1.0, 1.0], [4.0, 0.0], [2.0, 2.0], [1.0, 1.5], [f64::NAN, 0.0]].map(|p| p.to_vec()).to_vec();
        let best = front(&points);
        assert_eq!(best, [0, 1, 2]);
        assert_eq!(worst(&points), [4.0, 4.0]);
        // Columns of widths 1, 3 and 1 under (5, 5).
        assert_eq!(hypervolume(&points[..5], &[5.0, 5.0]), 1.0 + 3.0 * 4.0 + 5.0);
        assert_eq!(knee(&points, &best), Some(1));
        assert_eq!(knee(&points, &best[..2]), None);
    }

    proptest! {
        /// Against counting the cells of a grid.
        #[test]
        fn volumes_are_those_of_counted_cells(points in proptest::collection::vec(proptest::collection::vec(0_u8..6, 3), 0..8)) {
            let bound = 5_u8;
            let floats: Vec<Point> = points.iter().map(|point| point.iter().map(|value| f64::from(*value)).collect()).collect();
            let covered = |cell: [u8; 3]| points.iter().any(|point| point.iter().zip(cell).all(|(value, cell)| *value <= cell));
            let cells = (0..bound).flat_map(|a| (0..bound).flat_map(move |b| (0..bound).map(move |c| [a, b, c])));
            let counted = cells.filter(|cell| covered(*cell)).count() as f64;
            prop_assert!((hypervolume(&floats, &[5.0; 3]) - counted).abs() < 1e-9);
            for at in front(&floats) {
                prop_assert!(!floats.iter().any(|other| dominates(other, &floats[at])));
            }
        }
    }
}
