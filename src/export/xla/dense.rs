//! Small dense matrices, in f64 as the ops define them. Their extents are known, so most loops over columns are written out.

use super::Emitter;
use super::text::{Element, Text, Value, list};
use crate::ops::TriangularSolve;

impl Emitter {
    fn wide(&mut self, x: &Value) -> Value {
        self.text.convert(x, Element::F64)
    }

    fn narrow(&mut self, y: &Value, like: &Value) -> Value {
        self.text.convert(y, like.element)
    }

    pub(super) fn solve(&mut self, is_turned: bool, a: &Value, b: &Value) -> Value {
        let (mut wide, right) = (self.wide(a), self.wide(b));
        let t = &mut self.text;
        if is_turned {
            wide = t.transpose(&wide, &[1, 0]);
        }
        let n = wide.shape[0];
        let columns = t.reshape(&right, &[n, right.count() / n.max(1)]);
        let solved = solve(t, &wide, &columns);
        let solved = t.reshape(&solved, &b.shape);
        self.narrow(&solved, b)
    }

    /// By columns: each takes its outer product off what is left.
    pub(super) fn cholesky(&mut self, a: &Value) -> Value {
        let wide = self.wide(a);
        let t = &mut self.text;
        let (rank, n) = (wide.rank(), wide.shape[wide.rank() - 1]);
        let turned = t.transpose(&wide, &swapped(rank));
        let sum = t.add(&wide, &turned);
        let mut rest = t.scale(0.5, &sum);
        let mut columns = Vec::new();
        for at in 0..n {
            let column = t.part(&rest, rank - 1, at, at + 1);
            let pivot = t.part(&column, rank - 2, at, at + 1);
            let pivot = t.map("sqrt", &[&pivot]);
            let spread = spread(t, &pivot, &column.shape);
            let column = t.div(&column, &spread);
            let rows = t.iota(rank - 2, Element::I32, &column.shape);
            let (is_below, zero) = (t.is("GE", &rows, at as f64), t.like(0.0, &column));
            let column = t.select(&is_below, &column, &zero);
            let outer = t.dot(&column, &column, false, true);
            rest = t.sub(&rest, &outer);
            columns.push(column);
        }
        let lower = t.concat(&columns, rank - 1);
        self.narrow(&lower, a)
    }

    /// Row after row, in the order in which each depends on those before.
    pub(super) fn triangular_solve(&mut self, op: &TriangularSolve, a: &Value, b: &Value) -> Value {
        let (mut triangle, mut rest) = (self.wide(a), self.wide(b));
        let t = &mut self.text;
        let (rank, n) = (rest.rank(), triangle.shape[triangle.rank() - 1]);
        if op.transpose {
            triangle = t.transpose(&triangle, &swapped(rank));
        }
        // The transpose of an upper triangle is a lower one.
        let is_upper = op.upper != op.transpose;
        let mut rows: Vec<Option<Value>> = vec![None; n];
        let order: Vec<usize> = if is_upper { (0..n).rev().collect() } else { (0..n).collect() };
        for at in order {
            let column = t.part(&triangle, rank - 1, at, at + 1);
            let pivot = t.part(&column, rank - 2, at, at + 1);
            let row = t.part(&rest, rank - 2, at, at + 1);
            let pivot = spread(t, &pivot, &row.shape);
            let row = t.div(&row, &pivot);
            let place = t.iota(rank - 2, Element::I32, &column.shape);
            let (is_left, zero) = (t.is(if is_upper { "LT" } else { "GT" }, &place, at as f64), t.like(0.0, &column));
            let column = t.select(&is_left, &column, &zero);
            let outer = t.dot(&column, &row, false, false);
            rest = t.sub(&rest, &outer);
            rows[at] = Some(row);
        }
        let rows: Vec<Value> = rows.into_iter().flatten().collect();
        let solved = t.concat(&rows, rank - 2);
        self.narrow(&solved, b)
    }

    /// Gram and Schmidt, twice: that is as orthogonal as reflections where the columns are independent.
    pub(super) fn orthonormal(&mut self, a: &Value) -> Value {
        let wide = self.wide(a);
        let t = &mut self.text;
        let (rank, n) = (wide.rank(), wide.shape[wide.rank() - 1]);
        let mut columns: Vec<Value> = Vec::new();
        for at in 0..n {
            let mut column = t.part(&wide, rank - 1, at, at + 1);
            for _ in 0..2 {
                if !columns.is_empty() {
                    let basis = t.concat(&columns, rank - 1);
                    let shares = t.dot(&basis, &column, true, false);
                    let known = t.dot(&basis, &shares, false, false);
                    column = t.sub(&column, &known);
                }
            }
            let square = t.dot(&column, &column, true, false);
            let length = t.map("sqrt", &[&square]);
            let length = spread(t, &length, &column.shape);
            columns.push(t.div(&column, &length));
        }
        let basis = t.concat(&columns, rank - 1);
        self.narrow(&basis, a)
    }

    pub(super) fn eigh(&mut self, a: &Value) -> Value {
        let wide = self.wide(a);
        let t = &mut self.text;
        let (values, vectors) = eigen(t, &wide);
        let row = t.reshape(&values, &[1, a.shape[0]]);
        let joined = t.concat(&[row, vectors], 0);
        self.narrow(&joined, a)
    }

    pub(super) fn pinv(&mut self, tolerance: f64, a: &Value) -> Value {
        let wide = self.wide(a);
        let t = &mut self.text;
        let (values, vectors) = eigen(t, &wide);
        let size = t.map("abs", &[&values]);
        let largest = t.reduce(&size, "maximum", 0.0, &[0]);
        let least = t.scale(tolerance, &largest);
        let least = t.splat(&least, &values.shape);
        let (is_small, is_zero) = (t.compare("LE", &size, &least), t.is("EQ", &size, 0.0));
        let is_zero = t.or(&is_small, &is_zero);
        let (one, zero) = (t.like(1.0, &values), t.like(0.0, &values));
        let divisor = t.select(&is_zero, &one, &values);
        let inverse = t.div(&one, &divisor);
        let inverse = t.select(&is_zero, &zero, &inverse);
        let scales = t.broadcast(&inverse, &vectors.shape, &[1]);
        let scaled = t.mul(&vectors, &scales);
        let joined = t.dot(&scaled, &vectors, false, true);
        self.narrow(&joined, a)
    }

    pub(super) fn simplex_qp(&mut self, matrix: &Value, linear: Option<&Value>) -> Value {
        let wide = self.wide(matrix);
        let linear = match linear {
            Some(linear) => self.wide(linear),
            None => self.text.full(0.0, Element::F64, &matrix.shape[..1]),
        };
        let weights = minimise(&mut self.text, &wide, &linear, true);
        self.narrow(&weights, matrix)
    }

    /// With v = b + z: zᵀ G z + 2 (G b)ᵀ z over z ≥ 0.
    pub(super) fn nonneg_qp(&mut self, matrix: &Value, bound: &Value) -> Value {
        let (wide, bound) = (self.wide(matrix), self.wide(bound));
        let t = &mut self.text;
        let turned = t.transpose(&wide, &[1, 0]);
        let sum = t.add(&wide, &turned);
        let symmetric = t.scale(0.5, &sum);
        let linear = times(t, &symmetric, &bound);
        let above = minimise(t, &wide, &linear, false);
        let moved = t.add(&bound, &above);
        self.narrow(&moved, matrix)
    }
}

/// The last two axes exchanged.
fn swapped(rank: usize) -> Vec<usize> {
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(rank - 2, rank - 1);
    permutation
}

/// A value with extents of 1 where it repeats.
fn spread(t: &mut Text, x: &Value, shape: &[usize]) -> Value {
    t.broadcast(x, shape, &(0..shape.len()).collect::<Vec<_>>())
}

/// A matrix times a vector.
fn times(t: &mut Text, matrix: &Value, vector: &Value) -> Value {
    let n = vector.shape[0];
    let column = t.reshape(vector, &[n, 1]);
    let product = t.dot(matrix, &column, false, false);
    t.reshape(&product, &[matrix.shape[0]])
}

/// Whether all numbers are finite, in a shape.
fn all_finite(t: &mut Text, x: &Value) -> Value {
    let size = t.map("abs", &[x]);
    let is_finite = t.is("LT", &size, f64::INFINITY);
    t.reduce(&is_finite, "and", 1.0, &(0..x.rank()).collect::<Vec<_>>())
}

/// `A⁻¹ B` by elimination above and below the diagonal, with the largest pivot of each column.
fn solve(t: &mut Text, a: &Value, b: &Value) -> Value {
    let (n, m) = (a.shape[0], b.shape[1]);
    let width = n + m;
    let mut rows = t.concat(&[a.clone(), b.clone()], 1);
    let place = t.iota(0, Element::I32, &[n]);
    for at in 0..n {
        let column = t.part(&rows, 1, at, at + 1);
        let column = t.reshape(&column, &[n]);
        let size = t.map("abs", &[&column]);
        let (is_done, minus) = (t.is("LT", &place, at as f64), t.like(-1.0, &size));
        let size = t.select(&is_done, &minus, &size);
        let largest = t.reduce(&size, "maximum", f64::NEG_INFINITY, &[0]);
        let largest = t.splat(&largest, &[n]);
        let is_largest = t.compare("EQ", &size, &largest);
        // Where none is, all are NaN, and so is the result.
        let last = t.like(n as f64 - 1.0, &place);
        let places = t.select(&is_largest, &place, &last);
        let pivot = t.reduce(&places, "minimum", f64::from(i32::MAX), &[0]);
        let here = t.full(at as f64, Element::I32, &[]);
        let (pivot_row, row) = (t.row(&rows, &pivot), t.row(&rows, &here));
        rows = t.with_row(&rows, &row, &pivot);
        rows = t.with_row(&rows, &pivot_row, &here);
        let diagonal = t.part(&pivot_row, 0, at, at + 1);
        let diagonal = t.reshape(&diagonal, &[]);
        let column = t.part(&rows, 1, at, at + 1);
        let column = t.reshape(&column, &[n]);
        let diagonal = t.splat(&diagonal, &[n]);
        let factors = t.div(&column, &diagonal);
        let (is_here, zero) = (t.is("EQ", &place, at as f64), t.like(0.0, &factors));
        let factors = t.select(&is_here, &zero, &factors);
        let factors = t.broadcast(&factors, &[n, width], &[0]);
        let pivot_row = t.broadcast(&pivot_row, &[n, width], &[1]);
        let taken = t.mul(&factors, &pivot_row);
        rows = t.sub(&rows, &taken);
    }
    let left = t.part(&rows, 1, 0, n);
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let zero = t.like(0.0, &left);
    let diagonal = t.select(&is_diagonal, &left, &zero);
    let diagonal = t.reduce(&diagonal, "add", 0.0, &[1]);
    let right = t.part(&rows, 1, n, width);
    let diagonal = t.broadcast(&diagonal, &[n, m], &[0]);
    t.div(&right, &diagonal)
}

/// Eigenvalues, ascending, and eigenvectors by Jacobi's rotations: all planes in order, until none is turned.
fn eigen(t: &mut Text, matrix: &Value) -> (Value, Value) {
    const MOST_SWEEPS: f64 = 60.0;
    let n = matrix.shape[0];
    let turned = t.transpose(matrix, &[1, 0]);
    let sum = t.add(matrix, &turned);
    let a = t.scale(0.5, &sum);
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let v = t.convert(&is_diagonal, Element::F64);
    let is_finite = all_finite(t, &a);
    let pairs: Vec<[usize; 2]> = (0..n).flat_map(|p| (p + 1..n).map(move |q| [p, q])).collect();
    let (mut a, mut v) = (a, v);
    if !pairs.is_empty() {
        let rows: Vec<String> = pairs.iter().map(|pair| list(pair)).collect();
        let text = format!("stablehlo.constant dense<{}> : tensor<{}x2xi32>", list(&rows), pairs.len());
        let planes = t.value(&text, Element::I32, &[pairs.len(), 2]);
        let zero = t.full(0.0, Element::I32, &[]);
        let yes = t.full(1.0, Element::Bool, &[]);
        let done = t.repeat_while(
            &[a, v, zero.clone(), yes, planes],
            |t, carried| {
                let is_early = t.is("LT", &carried[2], MOST_SWEEPS);
                t.and(&is_early, &carried[3])
            },
            |t, carried| {
                let (zero, no) = (t.full(0.0, Element::I32, &[]), t.full(0.0, Element::Bool, &[]));
                let first = [carried[0].clone(), carried[1].clone(), zero, no, carried[4].clone()];
                let swept = t.repeat_while(
                    &first,
                    |t, carried| t.is("LT", &carried[2], pairs.len() as f64),
                    |t, carried| rotated(t, carried, n),
                );
                let next = t.offset(&carried[2], 1.0);
                vec![swept[0].clone(), swept[1].clone(), next, swept[3].clone(), carried[4].clone()]
            },
        );
        (a, v) = (done[0].clone(), done[1].clone());
    }
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let zero = t.like(0.0, &a);
    let diagonal = t.select(&is_diagonal, &a, &zero);
    let values = t.reduce(&diagonal, "add", 0.0, &[1]);
    // The place of each value in the order, by how many come before it.
    let (left, right) = (t.broadcast(&values, &[n, n], &[0]), t.broadcast(&values, &[n, n], &[1]));
    let is_less = t.compare("LT", &right, &left);
    let is_equal = t.compare("EQ", &right, &left);
    let is_earlier = t.compare("LT", &across, &down);
    let is_tied = t.and(&is_equal, &is_earlier);
    let is_before = t.or(&is_less, &is_tied);
    let counts = t.convert(&is_before, Element::I32);
    let places = t.reduce(&counts, "add", 0.0, &[1]);
    let places = t.broadcast(&places, &[n, n], &[0]);
    let moves = t.compare("EQ", &places, &across);
    let moves = t.convert(&moves, Element::F64);
    let vectors = t.dot(&v, &moves, false, false);
    let row = t.reshape(&values, &[1, n]);
    let sorted = t.dot(&row, &moves, false, false);
    let sorted = t.reshape(&sorted, &[n]);
    // The first largest element of each vector is positive.
    let size = t.map("abs", &[&vectors]);
    let largest = t.reduce(&size, "maximum", 0.0, &[0]);
    let largest = t.broadcast(&largest, &[n, n], &[1]);
    let is_largest = t.compare("EQ", &size, &largest);
    let beyond = t.like(n as f64, &down);
    let rows = t.select(&is_largest, &down, &beyond);
    let first = t.reduce(&rows, "minimum", n as f64, &[0]);
    let first = t.broadcast(&first, &[n, n], &[1]);
    let is_first = t.compare("EQ", &down, &first);
    let zero = t.like(0.0, &vectors);
    let leading = t.select(&is_first, &vectors, &zero);
    let leading = t.reduce(&leading, "add", 0.0, &[0]);
    let leading = t.broadcast(&leading, &[n, n], &[1]);
    let is_negative = t.is("LT", &leading, 0.0);
    let minus = t.map("negate", &[&vectors]);
    let vectors = t.select(&is_negative, &minus, &vectors);
    [sorted, vectors]
        .map(|x| {
            let is_finite = t.splat(&is_finite, &x.shape);
            let none = t.like(f64::NAN, &x);
            t.select(&is_finite, &x, &none)
        })
        .into()
}

/// One plane turned: `carried` are the matrix, the vectors, the number of the plane, whether one was turned, and the planes.
fn rotated(t: &mut Text, carried: &[Value], n: usize) -> Vec<Value> {
    let [a, v, at, has_turned, planes] = carried else { return carried.to_vec() };
    let plane = t.row(planes, at);
    let place = t.iota(0, Element::I32, &[n]);
    let [p, q] = [0, 1].map(|which| {
        let number = t.part(&plane, 0, which, which + 1);
        let number = t.reshape(&number, &[]);
        let number = t.splat(&number, &[n]);
        let is_it = t.compare("EQ", &place, &number);
        t.convert(&is_it, Element::F64)
    });
    let (of_p, of_q) = (times(t, a, &p), times(t, a, &q));
    let mut inner = |x: &Value, y: &Value| {
        let product = t.mul(x, y);
        t.reduce(&product, "add", 0.0, &[0])
    };
    let (pp, pq, qq) = (inner(&p, &of_p), inner(&q, &of_p), inner(&q, &of_q));
    let product = t.mul(&pp, &qq);
    let product = t.map("abs", &[&product]);
    let scale = t.map("sqrt", &[&product]);
    let least = t.scale(f64::EPSILON, &scale);
    let size = t.map("abs", &[&pq]);
    let is_turned = t.compare("GT", &size, &least);
    let one = t.like(1.0, &pq);
    let divisor = t.select(&is_turned, &pq, &one);
    let twice = t.scale(2.0, &divisor);
    let difference = t.sub(&qq, &pp);
    let gap = t.div(&difference, &twice);
    let square = t.mul(&gap, &gap);
    let sum = t.offset(&square, 1.0);
    let root = t.map("sqrt", &[&sum]);
    let size = t.map("abs", &[&gap]);
    let sum = t.add(&size, &root);
    let is_negative = t.is("LT", &gap, 0.0);
    let minus = t.map("negate", &[&one]);
    let sign = t.select(&is_negative, &minus, &one);
    let tangent = t.div(&sign, &sum);
    let zero = t.like(0.0, &pq);
    let tangent = t.select(&is_turned, &tangent, &zero);
    let square = t.mul(&tangent, &tangent);
    let sum = t.offset(&square, 1.0);
    let root = t.map("sqrt", &[&sum]);
    let cosine = t.div(&one, &root);
    let sine = t.mul(&tangent, &cosine);
    // The rotation: 1 but for c, s, -s, c in the plane.
    let outer = |t: &mut Text, x: &Value, y: &Value| {
        let (x, y) = (t.reshape(x, &[n, 1]), t.reshape(y, &[1, n]));
        t.dot(&x, &y, false, false)
    };
    let (p_p, q_q) = (outer(t, &p, &p), outer(t, &q, &q));
    let (p_q, q_p) = (outer(t, &p, &q), outer(t, &q, &p));
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let unit = t.convert(&is_diagonal, Element::F64);
    let (both, off) = (t.add(&p_p, &q_q), t.sub(&p_q, &q_p));
    let less = t.offset(&cosine, -1.0);
    let (less, sine) = (t.splat(&less, &[n, n]), t.splat(&sine, &[n, n]));
    let (stretched, turned) = (t.mul(&less, &both), t.mul(&sine, &off));
    let rotation = t.add(&unit, &stretched);
    let rotation = t.add(&rotation, &turned);
    let right = t.dot(a, &rotation, false, false);
    let next = t.dot(&rotation, &right, true, false);
    let cross = t.add(&p_q, &q_p);
    let is_cross = t.is("NE", &cross, 0.0);
    let mask = t.splat(&is_turned, &[n, n]);
    let is_cleared = t.and(&is_cross, &mask);
    let none = t.like(0.0, &next);
    let next = t.select(&is_cleared, &none, &next);
    let vectors = t.dot(v, &rotation, false, false);
    let at = t.offset(at, 1.0);
    vec![next, vectors, at, t.or(has_turned, &is_turned), planes.clone()]
}

/// The least of `½ zᵀ H z + cᵀ z` over `z ≥ 0`, on the simplex where it says so, by the active set of `src/ops/dense/active_set.rs`.
fn minimise(t: &mut Text, matrix: &Value, linear: &Value, on_simplex: bool) -> Value {
    let n = matrix.shape[0];
    let turned = t.transpose(matrix, &[1, 0]);
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let zero = t.like(0.0, matrix);
    let diagonal = t.select(&is_diagonal, matrix, &zero);
    let diagonal = t.reduce(&diagonal, "add", 0.0, &[1]);
    let size = t.map("abs", &[&diagonal]);
    let largest = t.reduce(&size, "maximum", 0.0, &[0]);
    let one = t.like(1.0, &largest);
    let is_positive = t.is("GT", &largest, 0.0);
    let scale = t.select(&is_positive, &largest, &one);
    let sum = t.add(matrix, &turned);
    let half = t.scale(0.5, &sum);
    let divisor = t.splat(&scale, &[n, n]);
    let scaled = t.div(&half, &divisor);
    let ridge = t.convert(&is_diagonal, Element::F64);
    let ridge = t.scale(1e-12, &ridge);
    let quadratic = t.add(&scaled, &ridge);
    let divisor = t.splat(&scale, &[n]);
    let linear = t.div(linear, &divisor);
    let (finite_matrix, finite_linear) = (all_finite(t, &quadratic), all_finite(t, &linear));
    let is_finite = t.and(&finite_matrix, &finite_linear);
    let size = t.map("abs", &[&linear]);
    let largest = t.reduce(&size, "maximum", 0.0, &[0]);
    let bound = t.offset(&largest, 1.0);
    let tolerance = t.scale(-1e-14, &bound);
    let place = t.iota(0, Element::I32, &[n]);
    let first = if on_simplex {
        let diagonal = t.select(&is_diagonal, &quadratic, &zero);
        let diagonal = t.reduce(&diagonal, "add", 0.0, &[1]);
        let smallest = first_least(t, &diagonal, &place);
        let is_it = t.compare("EQ", &place, &smallest);
        t.convert(&is_it, Element::F64)
    } else {
        t.full(0.0, Element::F64, &[n])
    };
    let free = t.is("GT", &first, 0.0);
    let (count, yes) = (t.full(0.0, Element::I32, &[]), t.full(1.0, Element::Bool, &[]));
    let yes = t.and(&yes, &is_finite);
    // Each turn is a minor step, and where that meets no bound a major one.
    let most = (60 * n + 60) as f64;
    let done = t.repeat_while(
        &[first, free, count, yes, quadratic, linear, tolerance],
        |t, carried| {
            let is_early = t.is("LT", &carried[2], most);
            t.and(&is_early, &carried[3])
        },
        |t, carried| step(t, carried, on_simplex),
    );
    let mask = t.splat(&is_finite, &[n]);
    let none = t.full(f64::NAN, Element::F64, &[n]);
    t.select(&mask, &done[0], &none)
}

/// The first place of the least number, repeated.
fn first_least(t: &mut Text, x: &Value, place: &Value) -> Value {
    let n = x.shape[0];
    let least = t.reduce(x, "minimum", f64::INFINITY, &[0]);
    let least = t.splat(&least, &[n]);
    let is_least = t.compare("EQ", x, &least);
    let last = t.like(n as f64 - 1.0, place);
    let places = t.select(&is_least, place, &last);
    let first = t.reduce(&places, "minimum", f64::from(i32::MAX), &[0]);
    t.splat(&first, &[n])
}

/// `carried` are z, which elements are free, the number of turns, whether to go on, and the problem.
fn step(t: &mut Text, carried: &[Value], on_simplex: bool) -> Vec<Value> {
    let [z, free, count, _, quadratic, linear, tolerance] = carried else { return carried.to_vec() };
    let n = z.shape[0];
    let place = t.iota(0, Element::I32, &[n]);
    let target = minimum_on(t, free, quadratic, linear, on_simplex);
    let is_beyond = t.is("LE", &target, 0.0);
    let is_blocked = t.and(free, &is_beyond);
    let has_bound = t.reduce(&is_blocked, "or", 0.0, &[0]);
    // The minor step: to the first bound on the way.
    let way = t.sub(z, &target);
    let goes_down = t.is("GT", &way, 0.0);
    let (one, zero) = (t.like(1.0, z), t.like(0.0, z));
    let divisor = t.select(&goes_down, &way, &one);
    let part = t.div(z, &divisor);
    let part = t.select(&goes_down, &part, &zero);
    let infinite = t.like(f64::INFINITY, z);
    let reach = t.select(&is_blocked, &part, &infinite);
    let blocking = first_least(t, &reach, &place);
    let reach = t.reduce(&reach, "minimum", f64::INFINITY, &[0]);
    let no_way = t.like(0.0, &reach);
    let reach = t.select(&has_bound, &reach, &no_way);
    let reach = t.splat(&reach, &[n]);
    let forward = t.sub(&target, z);
    let moved = t.mul(&forward, &reach);
    let moved = t.add(z, &moved);
    let is_it = t.compare("EQ", &place, &blocking);
    let moved = t.select(&is_it, &zero, &moved);
    let is_positive = t.is("GT", &moved, 0.0);
    let kept = t.and(free, &is_positive);
    // The major step: the steepest of those that are held.
    let gradient = times(t, quadratic, &target);
    let gradient = t.add(&gradient, linear);
    let slopes = if on_simplex {
        let product = t.mul(&target, &gradient);
        let mean = t.reduce(&product, "add", 0.0, &[0]);
        let mean = t.splat(&mean, &[n]);
        t.sub(&gradient, &mean)
    } else {
        gradient
    };
    let held = t.select(free, &infinite, &slopes);
    let entering = first_least(t, &held, &place);
    let least = t.reduce(&held, "minimum", f64::INFINITY, &[0]);
    let enters = t.compare("LT", &least, tolerance);
    let is_entering = t.compare("EQ", &place, &entering);
    let mask = t.splat(&enters, &[n]);
    let is_entering = t.and(&is_entering, &mask);
    let grown = t.or(free, &is_entering);
    let mask = t.splat(&has_bound, &[n]);
    let next = t.select(&mask, &moved, &target);
    let free = t.select(&mask, &kept, &grown);
    let goes_on = t.or(&has_bound, &enters);
    let count = t.offset(count, 1.0);
    vec![next, free, count, goes_on, quadratic.clone(), linear.clone(), tolerance.clone()]
}

/// The minimum with all elements that are not free at 0 and the others of any sign.
fn minimum_on(t: &mut Text, free: &Value, quadratic: &Value, linear: &Value, on_simplex: bool) -> Value {
    let n = free.shape[0];
    let open = t.convert(free, Element::F64);
    let (rows, columns) = (t.broadcast(&open, &[n, n], &[0]), t.broadcast(&open, &[n, n], &[1]));
    let both = t.mul(&rows, &columns);
    let inner = t.mul(quadratic, &both);
    let (down, across) = (t.iota(0, Element::I32, &[n, n]), t.iota(1, Element::I32, &[n, n]));
    let is_diagonal = t.compare("EQ", &down, &across);
    let is_held = t.is("EQ", &rows, 0.0);
    let is_unit = t.and(&is_diagonal, &is_held);
    let unit = t.convert(&is_unit, Element::F64);
    let system = t.add(&inner, &unit);
    let minus = t.map("negate", &[linear]);
    let right = t.mul(&minus, &open);
    let right = t.reshape(&right, &[n, 1]);
    let solved = if on_simplex {
        let (column, row) = (t.reshape(&open, &[n, 1]), t.reshape(&open, &[1, n]));
        let (corner, one) = (t.full(0.0, Element::F64, &[1, 1]), t.full(1.0, Element::F64, &[1, 1]));
        let upper = t.concat(&[system, column], 1);
        let lower = t.concat(&[row, corner], 1);
        let system = t.concat(&[upper, lower], 0);
        let right = t.concat(&[right, one], 0);
        let solved = solve(t, &system, &right);
        t.part(&solved, 0, 0, n)
    } else {
        solve(t, &system, &right)
    };
    let solved = t.reshape(&solved, &[n]);
    t.mul(&solved, &open)
}
