//! What data may hold, as the graph demands it: asked of a graph once its sizes are known, held against whole datasets as they
//! are read and against the rows of each batch.

use crate::analyse::ranges::{Demand, Set, Share, demands, shares};
use crate::data::{Dataset, Field, Flaw, MISSING_INT, Numbers, counted, index_of};
use crate::diag::{Code, Diagnostic};
use crate::ir::{DimSizes, Graph, bind};
use crate::ops::{InputKind, Op};

use std::collections::BTreeSet;
use std::sync::Arc;

/// The demands of a graph on its inputs and targets.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    /// where demands follow from sizes that data bring
    graph: Option<Graph>,
    optional: BTreeSet<Arc<str>>,
    sizes: DimSizes,
    demands: Vec<Demand>,
}

impl Ranges {
    /// `optional` are the fields whose values may be missing.
    pub fn of(graph: &Graph, optional: impl IntoIterator<Item = Arc<str>>) -> Self {
        let optional: BTreeSet<Arc<str>> = optional.into_iter().collect();
        let demands = demands(graph, &|name| optional.contains(name));
        let reads_data = |id: crate::ir::NodeId| match graph.op(id) {
            Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target) => !input.ty.is_float(),
            _ => false,
        };
        let is_open = graph.ids().any(|id| {
            let symbols = graph.ty(id).shape.iter().flat_map(crate::ir::Dim::symbols);
            symbols.into_iter().any(|name| &*name != crate::ir::BATCH)
        });
        let graph = (is_open && graph.ids().any(reads_data)).then(|| graph.clone());
        Self { graph, optional, sizes: DimSizes::new(), demands }
    }

    /// The demands that hold whatever the sizes are, or under the sizes that were given last.
    pub fn demands(&self) -> &[Demand] {
        &self.demands
    }

    /// Takes the sizes of the run-time dims other than `batch`.
    pub fn set_sizes(&mut self, sizes: &DimSizes) {
        let Some(graph) = &self.graph else { return };
        if self.sizes != *sizes {
            self.demands = demands(&bind(graph, sizes), &|name| self.optional.contains(name));
            self.sizes = sizes.clone();
        }
    }

    /// Everything in a dataset that lies outside.
    pub fn flaws(&self, data: &Dataset) -> Vec<Flaw> {
        let rows = 0..u32::try_from(data.rows).unwrap_or(u32::MAX);
        self.demands.iter().filter_map(|demand| self.flaw(demand, data, rows.clone())).collect()
    }

    /// Holds some rows of a dataset against the demands.
    ///
    /// # Errors
    /// E0610 with the rows that lie outside.
    pub fn check(&self, data: &Dataset, rows: &[u32]) -> Result<(), Diagnostic> {
        match self.demands.iter().find_map(|demand| self.flaw(demand, data, rows.iter().copied())) {
            Some(flaw) => Err(flaw.without_file(data)),
            None => Ok(()),
        }
    }

    fn flaw(&self, demand: &Demand, data: &Dataset, rows: impl Iterator<Item = u32>) -> Option<Flaw> {
        let field = data.fields.get(&*demand.field)?;
        // Fields of another form are refused where they are fed.
        let Numbers::I32(values) = &field.values else { return None };
        let row_len = field.row_len();
        let is_optional = self.optional.contains(&demand.field);
        // One value for all rows stands where the first row's would.
        let n_rows = if values.len() == row_len { 1 } else { usize::MAX };
        let rows = rows.take(n_rows).map(|row| if n_rows == 1 { 0 } else { row });
        let is_whole = demand.region.iter().all(Option::is_none);
        let mut flaw = Flaw::new(&demand.field);
        for row in rows {
            let start = row as usize * row_len;
            let Some(elements) = values.get(start..start + row_len) else { continue };
            // A sample with a missing element is missing.
            if is_optional && elements.contains(&MISSING_INT) {
                continue;
            }
            for (at, value) in elements.iter().enumerate() {
                if !demand.accepted.contains(i64::from(*value))
                    && (is_whole || demand.concerns(&index_of(at, &field.shape)))
                {
                    flaw.note(start + at);
                }
            }
        }
        if flaw.count == 0 {
            return None;
        }
        let first = flaw.first.first().map_or(0, |at| i64::from(values[*at]));
        Some(flaw.because(|count| refused(demand, count, first)))
    }
}

/// The targets that a graph's losses take for probabilities, held against data.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    optional: BTreeSet<Arc<str>>,
    shares: Vec<Share>,
}

/// How far from a probability a number may be that was rounded on its way.
const ROUNDING: f64 = 1e-3;

impl Shares {
    /// `optional` are the fields whose values may be missing.
    pub fn of(graph: &Graph, optional: impl IntoIterator<Item = Arc<str>>) -> Self {
        let optional: BTreeSet<Arc<str>> = optional.into_iter().collect();
        let shares = shares(graph, &|name| optional.contains(name));
        Self { optional, shares }
    }

    /// Everything in a dataset that is no probability: warnings.
    pub fn flaws(&self, data: &Dataset) -> Vec<Flaw> {
        self.shares
            .iter()
            .flat_map(|share| self.outside(share, data).into_iter().chain(self.sums(share, data)))
            .collect()
    }

    /// The rows of a field that are there, by the position of their first value.
    fn rows<'d>(&'d self, field: &'d Field, name: &'d str, n_rows: usize) -> impl Iterator<Item = usize> + 'd {
        let row_len = field.row_len();
        let is_missing = move |start: usize| {
            self.optional.contains(name)
                && (start..start + row_len).any(|at| {
                    let value = field.values.get(at);
                    value.is_nan() || value == f64::from(MISSING_INT)
                })
        };
        // One value for all rows stands where the first row's would.
        let n_rows = if field.values.len() == row_len { n_rows.min(1) } else { n_rows };
        (0..n_rows).map(move |row| row * row_len).filter(move |start| !is_missing(*start))
    }

    fn outside(&self, share: &Share, data: &Dataset) -> Option<Flaw> {
        let field = data.fields.get(&*share.field)?;
        let mut flaw = Flaw::new(&share.field);
        for start in self.rows(field, &share.field, data.rows) {
            for at in start..start + field.row_len() {
                let value = field.values.get(at);
                if value < share.low - ROUNDING || value > share.high + ROUNDING {
                    flaw.note(at);
                }
            }
        }
        let warned = |count: usize| {
            let verb = if count == 1 { "is" } else { "are" };
            let headline = format!("{} of `{}` {verb} no probability", counted(count, "value"), share.field);
            no_probability(share, headline, format!("numbers from {} to {}", share.low, share.high))
        };
        (flaw.count > 0).then(|| flaw.because(warned))
    }

    fn sums(&self, share: &Share, data: &Dataset) -> Option<Flaw> {
        let (axis, total) = share.total?;
        let field = data.fields.get(&*share.field)?;
        let n = *field.shape.get(axis)?;
        let stride: usize = field.shape[axis + 1..].iter().product();
        let mut flaw = Flaw::new(&share.field);
        for start in self.rows(field, &share.field, data.rows) {
            let firsts = (0..field.row_len()).filter(|at| (at / stride.max(1)).is_multiple_of(n.max(1)));
            for first in firsts {
                let sum: f64 = (0..n).map(|class| field.values.get(start + first + class * stride)).sum();
                if (sum - total).abs() > ROUNDING * n as f64 {
                    flaw.note(start + first);
                }
            }
        }
        let warned = |count: usize| {
            let rows =
                if count == 1 { "a row of classes does".to_string() } else { format!("{count} rows of classes do") };
            let headline = format!("in `{}` {rows} not sum to {total}", share.field);
            no_probability(
                share,
                headline,
                format!("rows that sum to {total}, such as one 1 and else 0; their first values stand above"),
            )
        };
        (flaw.count > 0).then(|| flaw.because(warned))
    }
}

fn no_probability(share: &Share, headline: String, expected: String) -> Diagnostic {
    Diagnostic::warning(Code::L0013, headline)
        .at(share.span, "taken for a probability")
        .with_note(format!("expected: {expected}"))
        .with_help("scale the target, make it one-hot, or take a loss of numbers such as `mean_squared_error`")
}

fn refused(demand: &Demand, count: usize, first: i64) -> Diagnostic {
    let Demand { field, accepted, role, by, span, .. } = demand;
    let verb = if count == 1 { "lies" } else { "lie" };
    let headline = format!("{} of `{field}` {verb} outside of what the spec indexes", counted(count, "value"));
    let finding = Diagnostic::error(Code::E0610, headline).with_note(format!("expected: {accepted}, {role} in `{by}`"));
    // Spans of programs that were read without their text point nowhere.
    let is_placed = span.start < span.end;
    let finding = if is_placed { finding.at(*span, format!("taken for {role}")) } else { finding };
    finding.with_help(way_out(field, accepted, first))
}

fn way_out(field: &str, accepted: &Set, value: i64) -> String {
    let most = accepted.intervals().last().map_or(0, |interval| interval.1);
    if value < 0 {
        format!("count from 0; a mark such as {value} is left out by a mask: `where({field} >= 0, …, 0)`")
    } else if value == most + 1 {
        format!("ids count from 0: take `{field} - 1` when the data count from 1, or one more row or class")
    } else {
        "correct the data, or take as many rows or classes as there are ids".to_string()
    }
}
