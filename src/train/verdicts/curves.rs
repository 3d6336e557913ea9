//! Columns of numbers over epochs or steps.

use indexmap::IndexMap;

/// A value and the epoch, or step, that it is of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub at: u32,
    pub value: f64,
}

/// Columns by name, all of one length. What is missing is none; it may hold values that are not finite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// the epoch or step of each row
    pub at: Vec<u32>,
    pub columns: IndexMap<String, Vec<Option<f64>>>,
}

impl Curves {
    /// Takes the columns of a history apart; `epoch` says where rows stand.
    pub fn of(mut columns: IndexMap<String, Vec<Option<f64>>>) -> Self {
        let at = columns.shift_remove("epoch").unwrap_or_default();
        columns.shift_remove("step");
        let at = at.into_iter().enumerate().map(|(row, epoch)| epoch.map_or(row as u32, |epoch| epoch as u32));
        Self { at: at.collect(), columns }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// The finite values of a column.
    pub fn series(&self, name: &str) -> Vec<Point> {
        let Some(column) = self.columns.get(name) else { return Vec::new() };
        let rows = self.at.iter().zip(column);
        rows.filter_map(|(at, value)| Some(Point { at: *at, value: value.filter(|value| value.is_finite())? }))
            .collect()
    }

    pub fn first(&self, name: &str) -> Option<f64> {
        self.series(name).first().map(|point| point.value)
    }

    pub fn last(&self, name: &str) -> Option<f64> {
        self.series(name).last().map(|point| point.value)
    }

    /// Whether a column's values differ by more than a part of the largest.
    pub fn varies(&self, name: &str, part: f64) -> bool {
        let series = self.series(name);
        let (low, high) = range(&series);
        high - low > part * high.abs().max(low.abs())
    }
}

/// The lowest and the highest value; of none, infinities.
pub(super) fn range(series: &[Point]) -> (f64, f64) {
    series
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| (low.min(point.value), high.max(point.value)))
}

/// The lowest point, the first of equals.
pub(super) fn lowest(series: &[Point]) -> Option<Point> {
    series.iter().copied().reduce(|best, point| if point.value < best.value { point } else { best })
}

/// The median of the last few values: what a run came to, whatever its last batch was.
pub(super) fn settled(series: &[Point]) -> Option<f64> {
    let last = &series[series.len().saturating_sub(3)..];
    let mut values: Vec<f64> = last.iter().map(|point| point.value).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
