//! Minimises `½ zᵀ H z + cᵀ z` over `z ≥ 0`, or over the simplex `z ≥ 0`, `Σ z = 1`.
//!
//! Takes a symmetric positive semidefinite H; gives a minimiser as exact as its arithmetic. Method: active set, as
//! non-negative least squares does it (Lawson, Hanson 1974, chapter 23) and, on the simplex, the nearest point of a polytope
//! (Wolfe 1976): elements off the bound form the free set; a major step frees the element with the steepest descent, minor
//! steps move to the minimum on the free set and fix what would turn negative. Each major step lowers the objective, so
//! no free set comes back and the search ends; ties go to the lower index.
//! H is scaled to a largest diagonal of 1 and gets a ridge of 1e-12: that makes the minimiser unique, and smallest among
//! many, at a cost in the objective below 1e-12 of the scale.

use super::solve_system;
use ndarray::{Array1, Array2};

const RIDGE: f64 = 1e-12;
/// Descents below this are rounding.
const TOLERANCE: f64 = 1e-14;

/// A problem scaled for the search.
#[derive(Debug)]
pub(super) struct Problem {
    quadratic: Array2<f64>,
    linear: Array1<f64>,
    on_simplex: bool,
}

impl Problem {
    pub(super) fn new(matrix: Array2<f64>, linear: Array1<f64>, on_simplex: bool) -> Self {
        let order = matrix.nrows();
        let largest = matrix.diag().iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        let scale = if largest > 0.0 { largest } else { 1.0 };
        let symmetric = (&matrix + &matrix.t()) / (2.0 * scale);
        let quadratic = symmetric + Array2::<f64>::eye(order) * RIDGE;
        Self { quadratic, linear: linear / scale, on_simplex }
    }

    fn is_finite(&self) -> bool {
        self.quadratic.iter().chain(&self.linear).all(|x| x.is_finite())
    }

    /// The gradient at `z`, less the multiplier of the sum: negative where an element would like to grow.
    fn slopes(&self, z: &Array1<f64>) -> Array1<f64> {
        let gradient = self.quadratic.dot(z) + &self.linear;
        if self.on_simplex { &gradient - z.dot(&gradient) } else { gradient }
    }

    /// The minimum with all elements outside `free` at 0 and those inside of any sign.
    fn minimum_on(&self, free: &[usize]) -> Array1<f64> {
        let n = free.len();
        let order = n + usize::from(self.on_simplex);
        let system = Array2::from_shape_fn((order, order), |(row, column)| match (free.get(row), free.get(column)) {
            (Some(i), Some(j)) => self.quadratic[[*i, *j]],
            (None, None) => 0.0,
            _ => 1.0,
        });
        let right = Array2::from_shape_fn((order, 1), |(row, _)| free.get(row).map_or(1.0, |i| -self.linear[*i]));
        let solution = solve_system(system, right);
        let mut z = Array1::zeros(self.linear.len());
        for (position, i) in free.iter().enumerate() {
            z[*i] = solution[[position, 0]];
        }
        z
    }

    /// Minor steps: from `z` to the minimum on the free set, shrinking that set while the minimum lies beyond a bound.
    fn descend(&self, mut z: Array1<f64>, free: &mut Vec<usize>) -> Array1<f64> {
        while !free.is_empty() {
            let target = self.minimum_on(free);
            let Some((blocking, reach)) = first_bound(&z, &target, free) else { return target };
            z = &z + &((&target - &z) * reach);
            z[blocking] = 0.0;
            free.retain(|i| z[*i] > 0.0);
        }
        z
    }
}

/// The element that meets its bound first on the way from `z` to `target`, and the part of the way until then.
fn first_bound(z: &Array1<f64>, target: &Array1<f64>, free: &[usize]) -> Option<(usize, f64)> {
    let bounds = free.iter().filter(|i| target[**i] <= 0.0).map(|i| {
        let way = z[*i] - target[*i];
        (*i, if way > 0.0 { z[*i] / way } else { 0.0 })
    });
    bounds.reduce(|first, next| if next.1 < first.1 { next } else { first })
}

/// A minimiser; NaN when the problem has values that are not finite.
pub(super) fn minimise(problem: &Problem) -> Array1<f64> {
    let order = problem.linear.len();
    if !problem.is_finite() {
        return Array1::from_elem(order, f64::NAN);
    }
    let mut z = Array1::zeros(order);
    let mut free = Vec::new();
    if problem.on_simplex {
        let diagonal = problem.quadratic.diag();
        let smallest = (1..order).fold(0, |best, i| if diagonal[i] < diagonal[best] { i } else { best });
        z[smallest] = 1.0;
        free.push(smallest);
    }
    let tolerance = TOLERANCE * (1.0 + problem.linear.iter().fold(0.0, |largest: f64, c| largest.max(c.abs())));
    // In exact arithmetic the search ends by itself; rounding could make two free sets alternate.
    for _ in 0..10 * order + 10 {
        let slopes = problem.slopes(&z);
        let held = (0..order).filter(|i| !free.contains(i));
        let steepest = held.reduce(|best, i| if slopes[i] < slopes[best] { i } else { best });
        let Some(entering) = steepest.filter(|i| slopes[*i] < -tolerance) else { break };
        let at = free.partition_point(|i| *i < entering);
        free.insert(at, entering);
        z = problem.descend(z, &mut free);
    }
    z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The conditions of a minimum: slopes are zero off the bounds and not negative on them.
    fn check(problem: &Problem, z: &Array1<f64>) {
        let slopes = problem.slopes(z);
        for (z, slope) in z.iter().zip(&slopes) {
            assert!(*z >= 0.0 && *slope > -1e-11, "z {z}, slope {slope}");
            assert!(*z == 0.0 || slope.abs() < 1e-11, "z {z}, slope {slope}");
        }
        assert!(!problem.on_simplex || (z.sum() - 1.0).abs() < 1e-12, "sum {}", z.sum());
    }

    /// Inner products of `n` vectors of length `rank` with entries that look random.
    fn gram(n: usize, rank: usize, seed: f64) -> Array2<f64> {
        let entry = |(i, j): (usize, usize)| ((i * 37 + j * 101) as f64 * 0.7 + seed).sin() * (1.0 + i as f64);
        let vectors = Array2::from_shape_fn((n, rank), entry);
        vectors.dot(&vectors.t())
    }

    #[test]
    fn minima_satisfy_their_conditions() {
        for n in [1, 2, 3, 5, 8, 20, 64] {
            for rank in [1, 2, n, 3 * n] {
                for seed in 0..4 {
                    let matrix = gram(n, rank, f64::from(seed));
                    let bound = Array1::from_shape_fn(n, |i| ((i + 1) as f64 * (f64::from(seed) + 0.3)).cos());
                    let simplex = Problem::new(matrix.clone(), Array1::zeros(n), true);
                    check(&simplex, &minimise(&simplex));
                    let cone = Problem::new(matrix.clone(), matrix.dot(&bound), false);
                    check(&cone, &minimise(&cone));
                }
            }
        }
    }

    #[test]
    fn equal_rows_get_equal_weights() {
        for value in [0.0, 3.0] {
            let z = minimise(&Problem::new(Array2::from_elem((3, 3), value), Array1::zeros(3), true));
            assert!(z.iter().all(|z| (z - 1.0 / 3.0).abs() < 1e-3), "{z}");
        }
    }
}
