//! A program with executors made on demand: one for each batch size that was met.
//!
//! Takes a graph and gives its results on rows of a dataset. Relies on the dataset having been loaded by the program's own
//! [`FieldSpec`](crate::data::FieldSpec)s. The last short batch of an epoch is another executor, kept like the first.

use crate::data::{Dataset, Field, Numbers, counted, listed, shape_text};
use crate::diag::{Code, Diagnostic, Diagnostics};
use crate::exec::{Clock, Executor, ExecutorOptions, Feed, Mode, Store};
use crate::ir::{BATCH, DType, Dim, DimSizes, Graph, NodeId};
use crate::ops::{Element, InputKind, Op};
use crate::passes::{Rest, rest};
use crate::pipeline::{self, Simple};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A graph and its executors.
#[derive(Debug)]
pub struct Program<T: Element> {
    graph: Simple,
    options: ExecutorOptions,
    /// of the run-time dims other than `batch`
    sizes: DimSizes,
    /// the inputs that have one value for all rows, once they were asked for
    whole: Option<Arc<BTreeSet<Arc<str>>>>,
    executors: Vec<(usize, Prepared<T>)>,
    /// whether steps on which something is not due have a program of their own
    rests: bool,
}

/// The executors for a number of rows.
#[derive(Debug)]
struct Prepared<T: Element> {
    whole: Executor<T>,
    rest: Option<Resting<T>>,
}

/// What runs in the place of the whole program while a condition of the clock has a value.
#[derive(Debug)]
struct Resting<T: Element> {
    condition: Executor<T>,
    holds: bool,
    executor: Executor<T>,
}

impl<T: Element> Resting<T> {
    fn of(program: &Graph, options: &ExecutorOptions) -> Result<Option<Self>, Diagnostics> {
        let Some(Rest { condition, holds, graph }) = rest(program) else { return Ok(None) };
        let by_definition = ExecutorOptions { mode: Mode::Reference, ..options.clone() };
        let bound = |graph: &Graph| pipeline::bind(graph, &DimSizes::new());
        let condition = pipeline::engine(bound(&condition)?, &by_definition)?;
        let executor = pipeline::engine(bound(&graph)?, options)?;
        Ok(Some(Self { condition, holds, executor }))
    }

    /// Whether it stands for the whole program now.
    fn is_now(&mut self, clock: Clock) -> Result<bool, Diagnostics> {
        self.condition.run(&mut Store::new(), clock)?;
        Ok(self.condition.scalar(0).is_some_and(|due| (due != 0.0) == self.holds))
    }
}

impl<T: Element> Program<T> {
    pub fn new(graph: impl Into<Simple>, options: ExecutorOptions) -> Self {
        // All its executors are alive at once.
        let options = ExecutorOptions { budget: Some(options.budget()), ..options };
        Self { graph: graph.into(), options, sizes: DimSizes::new(), whole: None, executors: Vec::new(), rests: false }
    }

    /// As [`Program::new`]; on steps on which the clock says that a dear part of it is not due, that part is not run.
    pub(super) fn resting(graph: impl Into<Simple>, options: ExecutorOptions) -> Self {
        Self { rests: true, ..Self::new(graph, options) }
    }

    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The executor for a number of rows; `sizes` are those of the other run-time dims.
    ///
    /// # Errors
    /// E0303 and E0603 when the sizes do not fit the program, E0701 when a tensor would be too large, E0702.
    pub fn executor(&mut self, n_rows: usize, sizes: &DimSizes) -> Result<&mut Executor<T>, Diagnostics> {
        Ok(&mut self.prepared(n_rows, sizes)?.whole)
    }

    fn prepared(&mut self, n_rows: usize, sizes: &DimSizes) -> Result<&mut Prepared<T>, Diagnostics> {
        if self.sizes != *sizes {
            self.sizes = sizes.clone();
            self.executors.clear();
        }
        let at = match self.executors.iter().position(|(rows, _)| *rows == n_rows) {
            Some(at) => at,
            None => {
                let mut sizes = self.sizes.clone();
                sizes.insert(Arc::from(BATCH), n_rows);
                let bound = pipeline::bind(&self.graph, &sizes)?;
                let rest = if self.rests { Resting::of(bound.graph(), &self.options)? } else { None };
                let whole = pipeline::engine(bound, &self.options)?;
                self.executors.push((n_rows, Prepared { whole, rest }));
                self.executors.len() - 1
            }
        };
        Ok(&mut self.executors[at].1)
    }

    /// The inputs that have one value for all rows.
    pub(super) fn whole(&mut self) -> Arc<BTreeSet<Arc<str>>> {
        let graph = &self.graph;
        let whole = || {
            let is_whole = |id: &NodeId| {
                matches!(graph.op(*id), Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target))
                    && !graph.ty(*id).shape.first().is_some_and(Dim::is_batch)
            };
            Arc::new(graph.ids().filter(is_whole).map(|id| graph.node(id).provenance.name.clone()).collect())
        };
        self.whole.get_or_insert_with(whole).clone()
    }

    /// Runs the program on rows of a dataset.
    ///
    /// # Errors
    /// Those of [`Program::executor`]; E0603 when there are no rows, a row is not in the dataset, or the dataset lacks a field
    /// or has it in another shape or element type; E0606 when the store does not fit the program.
    pub fn run(
        &mut self,
        data: &Dataset,
        sizes: &DimSizes,
        rows: &[u32],
        store: &mut Store<T>,
        clock: Clock,
    ) -> Result<&Executor<T>, Diagnostics> {
        let executor = self.fed(&[(data, rows)], sizes)?;
        executor.run(store, clock)?;
        Ok(executor)
    }

    /// The executor for rows of datasets, with those fed to it: each field from the first of the parts that has it. The first
    /// part's rows are the batch.
    ///
    /// # Errors
    /// Those of [`Program::run`] but E0606.
    pub(super) fn fed(
        &mut self,
        parts: &[(&Dataset, &[u32])],
        sizes: &DimSizes,
    ) -> Result<&mut Executor<T>, Diagnostics> {
        self.fed_by(parts, sizes, |prepared| Ok(&mut prepared.whole))
    }

    /// As [`Program::fed`], the executor that runs by this clock.
    pub(super) fn fed_at(
        &mut self,
        parts: &[(&Dataset, &[u32])],
        sizes: &DimSizes,
        clock: Clock,
    ) -> Result<&mut Executor<T>, Diagnostics> {
        self.fed_by(parts, sizes, |prepared| {
            let Prepared { whole, rest } = prepared;
            let Some(rest) = rest else { return Ok(whole) };
            Ok(if rest.is_now(clock)? { &mut rest.executor } else { whole })
        })
    }

    fn fed_by(
        &mut self,
        parts: &[(&Dataset, &[u32])],
        sizes: &DimSizes,
        choose: impl FnOnce(&mut Prepared<T>) -> Result<&mut Executor<T>, Diagnostics>,
    ) -> Result<&mut Executor<T>, Diagnostics> {
        let Some((data, rows)) = parts.first() else { return Err(no_rows("a batch has no rows").into()) };
        check_rows(data, rows)?;
        let whole = self.whole();
        let executor = choose(self.prepared(rows.len(), sizes)?)?;
        feed_from(executor, &whole, parts)?;
        Ok(executor)
    }
}

/// Feeds each field from the first of the parts that has it.
fn feed_from<T: Element>(
    executor: &mut Executor<T>,
    whole: &BTreeSet<Arc<str>>,
    parts: &[(&Dataset, &[u32])],
) -> Result<(), Diagnostics> {
    let Some(first) = parts.first() else { return Ok(()) };
    let has_others = parts[1..].iter().any(|(data, _)| !data.fields.is_empty());
    for at in 0..executor.feeds().len() {
        let name = &executor.feeds()[at].name;
        let has_it = |(data, _): &&(&Dataset, &[u32])| data.fields.contains_key(&**name);
        let (data, rows) = parts.iter().filter(|_| has_others).find(has_it).unwrap_or(first);
        let is_whole = whole.contains(name);
        let field = if is_whole {
            fitting_whole(&executor.feeds()[at], data, rows)?
        } else {
            fitting(&executor.feeds()[at], data, rows.len())?
        };
        // What is held once stands in the first row, and what is held in every row is the same in each.
        let is_once = is_whole && field.values.len() == field.row_len();
        let rows = if is_once {
            &[0]
        } else if is_whole {
            &rows[..1]
        } else {
            *rows
        };
        // Both fill: the rows and the shape were checked.
        if let Some(buffer) = executor.feed_float(at) {
            field.fill_float(rows, buffer);
        } else if let Some(buffer) = executor.feed_int(at) {
            field.fill_int(rows, buffer);
        }
    }
    Ok(())
}

fn check_rows(data: &Dataset, rows: &[u32]) -> Result<(), Diagnostic> {
    if rows.is_empty() {
        return Err(no_rows("a batch has no rows"));
    }
    match rows.iter().find(|row| **row as usize >= data.rows) {
        None => Ok(()),
        Some(row) => Err(Diagnostic::error(Code::E0603, format!("there is no row {row}"))
            .with_note(format!("found: data of {}", counted(data.rows, "row")))
            .with_note("expected: rows counted from 0")),
    }
}

pub(super) fn no_rows(headline: &str) -> Diagnostic {
    Diagnostic::error(Code::E0603, headline).with_note("found: 0 rows").with_note("expected: at least 1")
}

/// The field that a feed takes its values from, held against what the program was made for.
fn fitting<'d>(feed: &Feed, data: &'d Dataset, n_rows: usize) -> Result<&'d Field, Diagnostic> {
    let mistake = |headline: String, found: String, expected: String| {
        Diagnostic::error(Code::E0603, headline)
            .with_note(format!("found: {found}"))
            .with_note(format!("expected: {expected}"))
    };
    let name = &feed.name;
    let Some(field) = data.fields.get(&**name) else {
        let found = if data.fields.is_empty() { "none".to_string() } else { listed(data.fields.keys()) };
        return Err(mistake(format!("the data has no field `{name}`"), found, format!("a field `{name}`")));
    };
    let wanted = feed.shape.get(1..).unwrap_or_default();
    if feed.shape.first() != Some(&n_rows) {
        let headline = format!("`{name}` has no `batch` axis, so rows of data cannot be fed to it");
        return Err(mistake(headline, shape_text(&feed.shape), "`batch` as the first axis".into()));
    }
    if field.shape != wanted {
        let headline = format!("a row of the field `{name}` has another shape");
        return Err(mistake(headline, shape_text(&field.shape), shape_text(wanted)));
    }
    if field.row_len().checked_mul(data.rows) != Some(field.values.len()) {
        let headline = format!("the field `{name}` does not hold {} of its shape", counted(data.rows, "row"));
        let expected = format!("{} for each row", counted(field.row_len(), "value"));
        return Err(mistake(headline, counted(field.values.len(), "value"), expected));
    }
    let is_whole = matches!(field.values, Numbers::I32(_));
    if feed.dtype != DType::F32 && !is_whole {
        let headline = format!("the field `{name}` has another element type");
        return Err(mistake(headline, field.values.type_name().into(), "i32".into()));
    }
    Ok(field)
}

/// The field that one value for all rows is taken from: held once, or in every row of the batch alike.
fn fitting_whole<'d>(feed: &Feed, data: &'d Dataset, rows: &[u32]) -> Result<&'d Field, Diagnostic> {
    let name = &feed.name;
    let Some(field) = data.fields.get(&**name) else {
        return Err(Diagnostic::error(Code::E0603, format!("`{name}` has no value"))
            .with_note("expected: one value for all rows")
            .with_help(format!(
                "give it one: `feed: {{ {name}: … }}` in the run config, `--feed {name}=…`, or a field of the data"
            )));
    };
    let mistake = |headline: String, found: String, expected: String| {
        let finding = Diagnostic::error(Code::E0603, headline).with_note(format!("found: {found}"));
        finding.with_note(format!("expected: {expected}"))
    };
    if field.shape != feed.shape {
        let headline = format!("the field `{name}` has another shape");
        return Err(mistake(headline, shape_text(&field.shape), shape_text(&feed.shape)));
    }
    if feed.dtype != DType::F32 && !matches!(field.values, Numbers::I32(_)) {
        let headline = format!("the field `{name}` has another element type");
        return Err(mistake(headline, field.values.type_name().into(), "i32".into()));
    }
    let length = field.row_len();
    if field.values.len() == length {
        return Ok(field);
    }
    let value = |row: u32, at: usize| field.values.get(row as usize * length + at).to_bits();
    let differs = |row: &&u32| (0..length).any(|at| value(**row, at) != value(rows[0], at));
    match rows.iter().find(differs) {
        None => Ok(field),
        Some(row) => Err(mistake(
            format!("`{name}` is one value for all rows of a batch, and differs within one"),
            format!("rows {} and {row} differ", rows[0]),
            "the same in every row of a batch".into(),
        )),
    }
}
