//! A layered layout: every edge runs down, boxes stand in rows, in each row in the order and at the places that keep edges
//! short and crossings few.
//!
//! Rows by longest path; long edges get a point in each row that they pass; order by barycentres, the best of several sweeps
//! (Sugiyama, Tagawa, Toda 1981); places by least squares towards the neighbours' middles under the boxes' distances, which is
//! isotonic regression (pool adjacent violators).

use std::collections::BTreeSet;

/// Distance between boxes of a row.
const GAP: f64 = 28.0;
/// Width that is kept for an edge that passes a row.
const PASS: f64 = 14.0;
const SWEEPS: usize = 12;

/// A box or a point of an edge that passes a row.
#[derive(Clone, Debug)]
struct Vertex {
    row: usize,
    width: f64,
    above: Vec<usize>,
    below: Vec<usize>,
}

/// Where the boxes stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// the middle of each box
    pub x: Vec<f64>,
    pub row: Vec<usize>,
    /// for each edge the middles of the points in the rows between its ends, from above
    pub bends: Vec<Vec<f64>>,
    pub width: f64,
    pub n_rows: usize,
}

/// Lays out boxes of the given widths; edges run from a lower to a higher number.
pub fn lay_out(widths: &[f64], edges: &BTreeSet<(usize, usize)>) -> Layout {
    let row = rows(widths.len(), edges);
    let mut vertices: Vec<Vertex> = (widths.iter().zip(&row))
        .map(|(width, row)| Vertex { row: *row, width: *width, above: Vec::new(), below: Vec::new() })
        .collect();
    let mut passes: Vec<Vec<usize>> = Vec::new();
    for (from, to) in edges {
        let mut last = *from;
        let mut points = Vec::new();
        for between in row[*from] + 1..row[*to] {
            vertices.push(Vertex { row: between, width: PASS, above: Vec::new(), below: Vec::new() });
            points.push(vertices.len() - 1);
            join(&mut vertices, last, points[points.len() - 1]);
            last = points[points.len() - 1];
        }
        join(&mut vertices, last, *to);
        passes.push(points);
    }
    let order = ordered(&vertices);
    let mut x = placed(&vertices, &order);
    let edge = |at: usize| x[at] - vertices[at].width / 2.0;
    let left = (0..x.len()).map(edge).fold(f64::INFINITY, f64::min);
    let left = if left.is_finite() { left } else { 0.0 };
    x.iter_mut().for_each(|x| *x -= left);
    let width = x.iter().zip(&vertices).map(|(x, vertex)| x + vertex.width / 2.0).fold(0.0, f64::max);
    Layout {
        bends: passes.iter().map(|points| points.iter().map(|point| x[*point]).collect()).collect(),
        n_rows: row.iter().map(|row| row + 1).max().unwrap_or(0),
        x: x[..widths.len()].to_vec(),
        row,
        width,
    }
}

fn join(vertices: &mut [Vertex], from: usize, to: usize) {
    vertices[from].below.push(to);
    vertices[to].above.push(from);
}

/// The row of each box: below all that it reads, and what reads nothing just above the first that reads it.
fn rows(n_boxes: usize, edges: &BTreeSet<(usize, usize)>) -> Vec<usize> {
    let mut row = vec![0; n_boxes];
    // In the order of their upper ends, whose row is known by then: what a box reads has a lower number.
    for (from, to) in edges {
        row[*to] = row[*to].max(row[*from] + 1);
    }
    for at in 0..n_boxes {
        let readers = edges.range((at, 0)..(at + 1, 0)).map(|(_, to)| row[*to]);
        if !edges.iter().any(|(_, to)| *to == at) {
            row[at] = readers.min().map_or(0, |reader| reader - 1);
        }
    }
    row
}

/// The vertices of each row, in order.
fn ordered(vertices: &[Vertex]) -> Vec<Vec<usize>> {
    let n_rows = vertices.iter().map(|vertex| vertex.row + 1).max().unwrap_or(0);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); n_rows];
    (0..vertices.len()).for_each(|at| rows[vertices[at].row].push(at));
    let mut best = (crossings(vertices, &rows), rows.clone());
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        let along: Vec<usize> = if is_down { (0..n_rows).collect() } else { (0..n_rows).rev().collect() };
        for row in along {
            let place = places(&rows, vertices.len());
            let middle = |at: usize| {
                let others = if is_down { &vertices[at].above } else { &vertices[at].below };
                let sum: usize = others.iter().map(|other| place[*other]).sum();
                if others.is_empty() { place[at] as f64 } else { sum as f64 / others.len() as f64 }
            };
            let keys: Vec<f64> = (0..vertices.len()).map(middle).collect();
            rows[row].sort_by(|one, other| keys[*one].total_cmp(&keys[*other]));
        }
        let found = crossings(vertices, &rows);
        if found < best.0 {
            best = (found, rows.clone());
        }
    }
    best.1
}

fn places(rows: &[Vec<usize>], n_vertices: usize) -> Vec<usize> {
    let mut place = vec![0; n_vertices];
    rows.iter().for_each(|row| row.iter().enumerate().for_each(|(at, vertex)| place[*vertex] = at));
    place
}

/// How many pairs of edges cross.
fn crossings(vertices: &[Vertex], rows: &[Vec<usize>]) -> usize {
    let place = places(rows, vertices.len());
    let mut found = 0;
    for row in rows {
        let edges: Vec<(usize, usize)> =
            row.iter().flat_map(|at| vertices[*at].below.iter().map(|to| (place[*at], place[*to]))).collect();
        for (at, one) in edges.iter().enumerate() {
            found += edges[at + 1..]
                .iter()
                .filter(|other| (one.0 < other.0 && one.1 > other.1) || (one.0 > other.0 && one.1 < other.1))
                .count();
        }
    }
    found
}

/// The middles of the vertices.
fn placed(vertices: &[Vertex], rows: &[Vec<usize>]) -> Vec<f64> {
    let mut x = vec![0.0; vertices.len()];
    for row in rows {
        let mut right = 0.0;
        for at in row {
            x[*at] = right + vertices[*at].width / 2.0;
            right += vertices[*at].width + GAP;
        }
    }
    for sweep in 0..2 * SWEEPS {
        let is_down = sweep % 2 == 0;
        let along: Vec<usize> = if is_down { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for row in along {
            let wanted = |at: &usize| {
                let vertex = &vertices[*at];
                let others: Vec<usize> = match is_down {
                    _ if sweep + 2 >= 2 * SWEEPS => vertex.above.iter().chain(&vertex.below).copied().collect(),
                    true => vertex.above.clone(),
                    false => vertex.below.clone(),
                };
                if others.is_empty() {
                    x[*at]
                } else {
                    others.iter().map(|other| x[*other]).sum::<f64>() / others.len() as f64
                }
            };
            let wanted: Vec<f64> = rows[row].iter().map(wanted).collect();
            let widths: Vec<f64> = rows[row].iter().map(|at| vertices[*at].width).collect();
            for (at, place) in rows[row].iter().zip(apart(&wanted, &widths)) {
                x[*at] = place;
            }
        }
    }
    x
}

/// The places nearest to the wanted ones, by squares, at which boxes in this order do not touch.
fn apart(wanted: &[f64], widths: &[f64]) -> Vec<f64> {
    // With the least distances taken off, places need only not fall.
    let mut offsets = vec![0.0; wanted.len()];
    for at in 1..wanted.len() {
        offsets[at] = offsets[at - 1] + (widths[at - 1] + widths[at]) / 2.0 + GAP;
    }
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (place, offset) in wanted.iter().zip(&offsets) {
        let mut pool = (place - offset, 1);
        while let Some(last) = pools.last().copied().filter(|last| last.0 > pool.0) {
            let count = last.1 + pool.1;
            pool = ((last.0 * last.1 as f64 + pool.0 * pool.1 as f64) / count as f64, count);
            pools.pop();
        }
        pools.push(pool);
    }
    let places = pools.iter().flat_map(|(place, count)| std::iter::repeat_n(*place, *count));
    places.zip(&offsets).map(|(place, offset)| place + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_run_down_and_boxes_of_a_row_do_not_touch() {
        let edges = BTreeSet::from([(0, 2), (1, 2), (2, 3), (2, 4), (3, 5), (4, 5), (0, 5), (1, 5)]);
        let widths = [80.0, 120.0, 60.0, 200.0, 40.0, 90.0];
        let layout = lay_out(&widths, &edges);
        assert!(edges.iter().all(|(from, to)| layout.row[*from] < layout.row[*to]));
        for one in 0..widths.len() {
            for other in (0..widths.len()).filter(|other| *other != one && layout.row[*other] == layout.row[one]) {
                assert!((layout.x[one] - layout.x[other]).abs() >= (widths[one] + widths[other]) / 2.0);
            }
        }
        assert!(
            layout
                .bends
                .iter()
                .zip(&edges)
                .all(|(bends, (from, to))| bends.len() + 1 == layout.row[*to] - layout.row[*from])
        );
    }

    #[test]
    fn a_crossing_that_need_not_be_is_undone() {
        // 0 reads into 3 and 1 into 2: in the order of their numbers the two edges cross.
        let edges = BTreeSet::from([(0, 3), (1, 2)]);
        let layout = lay_out(&[50.0; 4], &edges);
        let is_left = |one: usize, other: usize| layout.x[one] < layout.x[other];
        assert_eq!(is_left(0, 1), is_left(3, 2));
    }

    #[test]
    fn places_are_the_nearest_that_keep_apart() {
        assert_eq!(apart(&[0.0, 0.0], &[10.0, 10.0]), [-19.0, 19.0]);
        assert_eq!(apart(&[0.0, 500.0], &[10.0, 10.0]), [0.0, 500.0]);
    }
}
