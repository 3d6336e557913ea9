//! What holds for every graph, on random ones that contain every op of the table, loops and derivatives.
//!
//! `GRAPHS=10000 cargo test … properties` runs more of them (`just nightly`).

use crate::common::every_op::{self, Grown, build, choices, clock, evaluate_all, feed_values};
use crate::common::values::largest;
use anabranch::analyse::interval::{Interval, intervals};

use anabranch::exec::{Carried, Executor, ExecutorOptions, Mode, Store, StoreKind, Values};
use anabranch::ir::{Builder, Copier, Graph, NodeId, bind, print, verify};
use anabranch::ops::{Element, InputKind, Op, Tensor};
use anabranch::passes::{Paths, Rows, rows, simplify};
use anabranch::plan;
use anabranch_kernels::Level;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// Runs a check on so many graphs, the same ones in every run, and shrinks the first that fails.
fn on_random_graphs(check: impl Fn(&Grown) -> Result<(), String>) {
    let cases = std::env::var("GRAPHS").ok().and_then(|count| count.parse().ok()).unwrap_or(300);
    let config =
        ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(23), ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&choices(), |choices| {
        let grown = build(&choices);
        check(&grown).map_err(|why| TestCaseError::fail(format!("{why}\nin\n{}", print(&grown.graph, "graph"))))
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
}

#[test]
fn every_op_of_the_table_occurs() {
    let seen = RefCell::new(BTreeMap::<&str, usize>::new());
    on_random_graphs(|grown| {
        for name in &every_op::names(&grown.source) | &every_op::names(&grown.graph) {
            *seen.borrow_mut().entry(name).or_default() += 1;
        }
        Ok(())
    });
    let seen = seen.into_inner();
    let rare: Vec<_> =
        Op::NAMES.iter().map(|name| (*name, seen.get(name).copied().unwrap_or(0))).filter(|row| row.1 < 5).collect();
    assert!(rare.is_empty(), "in fewer than 5 graphs: {rare:?} of {seen:?}");
}

#[test]
fn graphs_are_lawful() {
    on_random_graphs(|grown| {
        verify(&grown.source)?;
        verify(&grown.graph)?;
        verify(&bind(&grown.graph, &grown.sizes))
    });
}

/// As the executor keeps them.
fn values_of<T: Element>(value: &Tensor<f64>) -> Values<T> {
    match value {
        Tensor::Float(x) => Values::Float(x.iter().map(|x| T::of(*x)).collect()),
        Tensor::Int(x) => Values::Int(x.iter().copied().collect()),
        Tensor::Bool(x) => Values::Int(x.iter().map(|x| i32::from(*x)).collect()),
    }
}

fn floats<T: Element>(values: &Values<T>) -> Vec<f64> {
    match values {
        Values::Float(values) => values.iter().map(|x| x.as_f64()).collect(),
        Values::Int(values) => values.iter().map(|x| f64::from(*x)).collect(),
    }
}

/// The outputs, by an executor.
pub fn results<T: Element>(graph: &Graph, grown: &Grown, options: &ExecutorOptions) -> Vec<Values<T>> {
    let mut store = Store::<T>::new();
    let bound = bind(graph, &grown.sizes);
    for id in bound.ids() {
        let node = bound.node(id);
        let Op::Input(input) = &node.op else { continue };
        let kind = match input.kind {
            InputKind::Param => StoreKind::Param,
            InputKind::State => StoreKind::State,
            _ => continue,
        };
        let value = feed_values(input.kind, &node.provenance.name, &node.ty);
        let (name, dtype, shape) = (node.provenance.name.clone(), node.ty.dtype, value.shape().to_vec());
        store.insert(Carried { kind, name, dtype, shape }, values_of(&value)).expect("of its type");
    }
    let mut executor = Executor::<T>::new(graph, &grown.sizes, options).expect("the sizes fit");
    // A second run finds the memory as the first one left it.
    for _ in 0..2 {
        for at in 0..executor.feeds().len() {
            let feed = &executor.feeds()[at];
            let dims = feed.shape.iter().map(|extent| anabranch::ir::Dim::known(*extent)).collect();
            let value = feed_values(feed.kind, &feed.name, &anabranch::ir::TensorType::new(feed.dtype, dims));
            match values_of::<T>(&value) {
                Values::Float(values) => executor.feed_float(at).expect("floats").copy_from_slice(&values),
                Values::Int(values) => executor.feed_int(at).expect("whole numbers").copy_from_slice(&values),
            }
        }
        executor.run(&mut store, clock()).expect("it runs");
    }
    (0..executor.fetches().len()).map(|fetch| executor.result(fetch).unwrap().clone()).collect()
}

/// What a result may differ by: a part of the largest element, and so many times what the disturbances of `NOISE` did.
#[derive(Clone, Copy, Debug)]
struct Tolerance {
    relative: f64,
    spreads: f64,
}

const F64: Tolerance = Tolerance { relative: 1e-9, spreads: 1e-6 };
const F32: Tolerance = Tolerance { relative: 2e-5, spreads: 20.0 };

/// Compares results with the definitions' values.
fn compare<T: Element>(grown: &Grown, found: &[Values<T>], tolerance: Tolerance, what: &str) -> Result<(), String> {
    for (at, (found, exact)) in found.iter().zip(&grown.exact).enumerate() {
        let (found, exact) = (floats(found), floats::<f64>(&values_of(exact)));
        let size = largest(exact.iter().map(|x| x.abs()));
        let allowed = tolerance.relative * (1.0 + size) + tolerance.spreads * grown.spread[at];
        let worst = largest(found.iter().zip(&exact).map(|(x, y)| (x - y).abs()));
        if found.len() != exact.len() || worst.is_nan() || worst > allowed {
            let name = &grown.graph.outputs[at].name;
            return Err(format!(
                "{what}: {name} is {found:?}\ninstead of {exact:?}\noff by {worst:.1e}, not {allowed:.1e}"
            ));
        }
    }
    Ok(())
}

fn options(mode: Mode, threads: usize, level: Option<Level>) -> ExecutorOptions {
    ExecutorOptions { mode, threads, level, ..ExecutorOptions::default() }
}

/// The graph with one node computed by another op of the same type: a kernel that does something else.
fn with_wrong_op(graph: &Graph, at: NodeId) -> Option<Graph> {
    use anabranch::ops::{Add, Constant, Cos, Max, Min, Neg, Sin, Sub, Tanh};
    let wrong: Op = match graph.op(at) {
        Op::Add(_) => Sub.into(),
        Op::Sub(_) | Op::Mul(_) => Add.into(),
        Op::Max(_) => Min.into(),
        Op::Min(_) => Max.into(),
        Op::Sin(_) => Cos.into(),
        Op::Tanh(_) | Op::Sigmoid(_) => Sin.into(),
        Op::Abs(_) | Op::Exp(_) => Neg.into(),
        Op::Neg(_) if graph.ty(at).is_float() => Tanh.into(),
        Op::Constant(constant) => {
            let value = anabranch::ops::Scalar(constant.value.0 + 1.0);
            Constant { value, ty: constant.ty.clone() }.into()
        }
        _ => return None,
    };
    let mut copier = Copier::new(graph);
    for id in graph.ids() {
        let node = graph.node(id);
        let op = if id == at { wrong.clone() } else { node.op.clone() };
        let operands = copier.operands(id);
        let copy = Builder::new(&mut copier.target, node.provenance.clone()).emit(op, &operands);
        copier.set(id, copy);
    }
    Some(copier.finish(|_| true))
}

#[test]
fn a_planted_wrong_op_is_seen() {
    let (seen, planted) = (Cell::new(0), Cell::new(0));
    on_random_graphs(|grown| {
        let planted_at = |at: NodeId| Some((at, with_wrong_op(&grown.graph, at)?));
        let Some((at, wrong)) = grown.graph.ids().rev().find_map(planted_at) else { return Ok(()) };
        let values = every_op::evaluate_outputs(&wrong, &grown.sizes, 0.0);
        let values: Vec<Values<f64>> = values.iter().map(values_of).collect();
        // An output that does not depend on it, or that is the same all the same, shows nothing.
        let is_harmless = compare(grown, &values, F64, "").is_ok();
        let found = results::<f64>(&wrong, grown, &options(Mode::Planned, 1, None));
        planted.set(planted.get() + 1);
        match compare(grown, &found, F64, "planned") {
            Ok(()) if !is_harmless => return Err(format!("a wrong {} is not seen", grown.graph.op(at).name())),
            Ok(()) => (),
            Err(_) => seen.set(seen.get() + 1),
        }
        Ok(())
    });
    assert!(2 * seen.get() > planted.get() && planted.get() > 100, "{} of {} seen", seen.get(), planted.get());
}

fn planned_is_as_defined<T: Element>(grown: &Grown, tolerance: Tolerance) -> Result<(), String> {
    let defined = results::<T>(&grown.graph, grown, &options(Mode::Reference, 1, None));
    compare(grown, &defined, tolerance, "by definition")?;
    for level in Level::available() {
        let planned = results::<T>(&grown.graph, grown, &options(Mode::Planned, 1, Some(level)));
        compare(grown, &planned, tolerance, level.name())?;
        if planned != results(&grown.graph, grown, &options(Mode::Planned, 2, Some(level))) {
            return Err(format!("{}: two threads give other values than one", level.name()));
        }
    }
    Ok(())
}

#[test]
fn planned_runs_are_as_defined_in_f64() {
    on_random_graphs(|grown| planned_is_as_defined::<f64>(grown, F64));
}

#[test]
fn planned_runs_are_as_defined_in_f32() {
    on_random_graphs(|grown| planned_is_as_defined::<f32>(grown, F32));
}

#[test]
fn plans_pass_their_checker() {
    on_random_graphs(|grown| {
        let simple = simplify(&bind(&grown.graph, &grown.sizes));
        plan::check(&plan::plan(&simple), &simple)
    });
}

#[test]
fn simplified_graphs_keep_their_values() {
    on_random_graphs(|grown| {
        let simple = simplify(&grown.graph);
        verify(&simple)?;
        let found: Vec<Values<f64>> =
            every_op::evaluate_outputs(&simple, &grown.sizes, 0.0).iter().map(values_of).collect();
        compare(grown, &found, F64, "simplified")?;
        let again = print(&simplify(&simple), "graph");
        if again == print(&simple, "graph") { Ok(()) } else { Err(format!("simplified again it is\n{again}")) }
    });
}

fn hull(value: &Tensor<f64>) -> Option<Interval> {
    let values = floats::<f64>(&values_of(value));
    let is_finite = values.iter().all(|x| x.is_finite());
    let ends = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
    (is_finite && !values.is_empty()).then(|| Interval::new(ends.0, ends.1))
}

/// The bounds that follow from those of the leaves' values.
fn bounds(graph: &Graph, values: &[Tensor<f64>]) -> Vec<Interval> {
    let is_leaf = |id: &NodeId| matches!(graph.op(*id), Op::Input(_));
    let known = graph.ids().filter(is_leaf).filter_map(|id| Some((id, hull(&values[id.index()])?))).collect();
    intervals(graph, &known)
}

/// Whether every value lies within its bounds, as far as values are finite.
fn within(graph: &Graph, values: &[Tensor<f64>], bounds: &[Interval]) -> Result<(), String> {
    let mut is_sound = vec![true; graph.len()];
    for id in graph.ids() {
        let value = floats::<f64>(&values_of(&values[id.index()]));
        let rests_on_finite = graph.operands(id).iter().all(|operand| is_sound[operand.index()]);
        is_sound[id.index()] = rests_on_finite && value.iter().all(|x| x.is_finite());
        let Interval { low, high } = bounds[id.index()];
        let outside = value.iter().find(|x| {
            let slack = 1e-9 * (1.0 + x.abs());
            !(low - slack <= **x && **x <= high + slack)
        });
        if let Some(outside) = outside.filter(|_| is_sound[id.index()]) {
            let node = graph.node(id);
            return Err(format!(
                "{} ({}) has {outside}, not within {low} to {high}",
                node.provenance.name,
                node.op.name()
            ));
        }
    }
    Ok(())
}

#[test]
fn values_lie_within_their_bounds() {
    on_random_graphs(|grown| {
        let bound = bind(&grown.graph, &grown.sizes);
        let values = evaluate_all(&bound, &grown.sizes, 0.0);
        within(&bound, &values, &bounds(&bound, &values))?;
        // Run-time dims are taken to be of size 8.
        let is_typical = grown.sizes.values().all(|size| *size == 8);
        if is_typical { within(&grown.graph, &values, &bounds(&grown.graph, &values)) } else { Ok(()) }
    });
}

#[test]
fn bounds_that_are_too_narrow_are_seen() {
    on_random_graphs(|grown| {
        let bound = bind(&grown.graph, &grown.sizes);
        let values = evaluate_all(&bound, &grown.sizes, 0.0);
        let right = bounds(&bound, &values);
        for id in bound.ids() {
            let Some(Interval { low, high }) = hull(&values[id.index()]) else { continue };
            let is_leaf = matches!(bound.op(id), Op::Input(_));
            let mut wrong = right.clone();
            wrong[id.index()] = Interval::new(low, high - 1e-6 * (1.0 + high.abs()));
            if is_leaf && within(&bound, &values, &wrong).is_ok() {
                return Err(format!("{} reaches {high}, and less is not seen", bound.node(id).provenance.name));
            }
        }
        Ok(())
    });
}

/// The value with one row of axis 0 changed.
fn with_other_row(value: &Tensor<f64>, row: usize) -> Tensor<f64> {
    let axis = ndarray::Axis(0);
    match value.clone() {
        Tensor::Float(mut x) => {
            x.index_axis_mut(axis, row).mapv_inplace(|x| 0.4 - x);
            Tensor::Float(x)
        }
        Tensor::Int(mut x) => {
            x.index_axis_mut(axis, row).mapv_inplace(|x| x + 1);
            Tensor::Int(x)
        }
        Tensor::Bool(mut x) => {
            x.index_axis_mut(axis, row).mapv_inplace(|x| !x);
            Tensor::Bool(x)
        }
    }
}

/// Whether values agree, bit for bit, but for what may depend on a row of so many.
fn agree_but_for(before: &Tensor<f64>, after: &Tensor<f64>, place: Rows, row: usize, n_rows: usize) -> bool {
    let shape = before.shape();
    let (before, after) = (floats::<f64>(&values_of(before)), floats::<f64>(&values_of(after)));
    let is_of_row = |at: usize| match place {
        Rows::Apart => false,
        Rows::Mixed => true,
        Rows::Along(axis) => {
            let behind: usize = shape[axis + 1..].iter().product();
            let position = at / behind % shape[axis];
            position / (shape[axis] / n_rows).max(1) == row
        }
    };
    (0..before.len()).all(|at| is_of_row(at) || before[at].to_bits() == after[at].to_bits())
}

pub fn rows_are_apart(
    graph: &Graph,
    grown: &Grown,
    claimed: &[Rows],
    sources: &BTreeSet<NodeId>,
) -> Result<(), String> {
    let n_rows = grown.sizes["batch"];
    let before = evaluate_all(graph, &grown.sizes, 0.0);
    for row in [0, n_rows - 1] {
        let after = every_op::evaluate_with(graph, &grown.sizes, |id| {
            let value = &before[id.index()];
            if sources.contains(&id) { with_other_row(value, row) } else { value.clone() }
        });
        for id in graph.ids() {
            let (before, after, place) = (&before[id.index()], &after[id.index()], claimed[id.index()]);
            if !agree_but_for(before, after, place, row, n_rows) {
                let node = graph.node(id);
                return Err(format!(
                    "{} ({}) has rows {place:?}, but with another row {row} {before:?} becomes {after:?}",
                    node.provenance.name,
                    node.op.name()
                ));
            }
        }
    }
    Ok(())
}

/// The leaves with a row for each sample.
fn sources(graph: &Graph) -> Vec<NodeId> {
    let is_source = |id: &NodeId| {
        let has_rows = graph.ty(*id).shape.first().is_some_and(anabranch::ir::Dim::is_batch);
        has_rows
            && matches!(graph.op(*id), Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target))
    };
    graph.ids().filter(is_source).collect()
}

#[test]
fn rows_that_are_called_apart_are_apart() {
    on_random_graphs(|grown| {
        let sources = sources(&grown.graph);
        if sources.is_empty() {
            return Ok(());
        }
        let claimed = rows(&grown.graph, &sources, Paths::All);
        rows_are_apart(&grown.graph, grown, &claimed, &sources.into_iter().collect())
    });
}

#[test]
fn rows_that_are_wrongly_called_apart_are_seen() {
    on_random_graphs(|grown| {
        let sources = sources(&grown.graph);
        let claimed = rows(&grown.graph, &sources, Paths::All);
        for source in &sources {
            // A source depends on its rows, which lie along its first axis.
            let mut wrong = claimed.clone();
            wrong[source.index()] = Rows::Apart;
            let all = sources.iter().copied().collect();
            // A row that is missing is NaN, and so is another in its place.
            let is_missing = grown.graph.node(*source).provenance.name.starts_with("missing");
            if !is_missing
                && !grown.graph.ty(*source).bind(&grown.sizes).known_shape().is_some_and(|shape| shape.contains(&0))
                && rows_are_apart(&grown.graph, grown, &wrong, &all).is_ok()
            {
                return Err("a value called apart from the rows that it holds is not seen".to_string());
            }
        }
        Ok(())
    });
}
