//! Runs a program: a graph whose run-time dims have got sizes.
//!
//! Takes a simplified graph and the sizes; gives an [`Executor`] with buffers to feed and results to read. Params and
//! states live in a [`Store`] that outlives executors, so that a short last batch (another executor, other sizes)
//! goes on with the same params.

pub mod kernels;
pub mod reference;
mod store;

pub use store::{Store, StoreKind, Values};

use crate::diag::Diagnostics;
use crate::ir::{DType, DimSizes, Graph, NodeId, Role};
use crate::ops::{Element, InputKind, Op, Tensor};
use crate::passes::bind;
use ndarray::{ArrayD, IxDyn};
use std::sync::Arc;

/// How a program is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// by a plan, without allocation in the step loop
    #[default]
    Planned,
    /// op by op, by each op's definition
    Reference,
}

/// Settings of an executor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorOptions {
    pub mode: Mode,
    /// worker threads; 0 is as many as there are cores
    pub threads: usize,
}

/// Something that is fed before a run: an input or target that the program reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    pub kind: InputKind,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// A result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub role: Role,
    pub name: Arc<str>,
    pub dtype: DType,
    pub shape: Vec<usize>,
}

/// The training clock and the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub step: i32,
    pub epoch: i32,
    /// whether this is the last step of the epoch
    pub epoch_end: bool,
    pub seed: i32,
}

/// A program with its buffers.
#[derive(Debug)]
pub struct Executor<T> {
    graph: Graph,
    feeds: Vec<Feed>,
    feed_values: Vec<Values<T>>,
    ports: Vec<Port>,
    results: Vec<Values<T>>,
}

impl<T: Element> Executor<T> {
    /// Prepares a program for given sizes of its run-time dims.
    ///
    /// # Errors
    /// E0702 when it does not fit in memory.
    pub fn new(graph: &Graph, sizes: &DimSizes, options: ExecutorOptions) -> Result<Self, Diagnostics> {
        let _ = options;
        let graph = bind(graph, sizes);
        let feeds: Vec<Feed> = feeds(&graph);
        let ports: Vec<Port> = ports(&graph);
        let feed_values = feeds.iter().map(|feed| Values::zeros(feed.dtype, feed.shape.iter().product())).collect();
        let results = ports.iter().map(|port| Values::zeros(port.dtype, port.shape.iter().product())).collect();
        Ok(Self { graph, feeds, feed_values, ports, results })
    }

    /// What to feed, in order.
    pub fn feeds(&self) -> &[Feed] {
        &self.feeds
    }

    /// The buffer of a feed of floats; `None` when it is of another type.
    pub fn feed_float(&mut self, feed: usize) -> Option<&mut [T]> {
        match &mut self.feed_values[feed] {
            Values::Float(values) => Some(values),
            Values::Int(_) => None,
        }
    }

    /// The buffer of a feed of whole numbers, or of truth values as 0 and 1.
    pub fn feed_int(&mut self, feed: usize) -> Option<&mut [i32]> {
        match &mut self.feed_values[feed] {
            Values::Int(values) => Some(values),
            Values::Float(_) => None,
        }
    }

    /// The results, in order.
    pub fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The position of a result.
    pub fn port(&self, role: Role, name: &str) -> Option<usize> {
        self.ports.iter().position(|port| port.role == role && &*port.name == name)
    }

    /// A result of the last run. Next params and states are in the store instead.
    pub fn result(&self, port: usize) -> &Values<T> {
        &self.results[port]
    }

    /// A scalar result of the last run.
    pub fn scalar(&self, port: usize) -> f64 {
        match &self.results[port] {
            Values::Float(values) => values.first().map_or(f64::NAN, |value| value.as_f64()),
            Values::Int(values) => values.first().map_or(f64::NAN, |value| f64::from(*value)),
        }
    }

    /// Runs the program once. Params and states are read from the store; their next values are written to it.
    ///
    /// # Panics
    /// When the store lacks a param or state of the program, or has it in another shape.
    pub fn run(&mut self, store: &mut Store<T>, clock: Clock) {
        let graph = &self.graph;
        let leaf = |id: NodeId| leaf_value(graph, id, &self.feeds, &self.feed_values, store, clock);
        let values = reference::evaluate(graph, leaf);
        for ((port, value), result) in self.ports.iter().zip(values).zip(&mut self.results) {
            let value = Values::from_tensor(&value);
            match port.role {
                Role::Param => store.set(StoreKind::Param, &port.name, value),
                Role::State => store.set(StoreKind::State, &port.name, value),
                _ => *result = value,
            }
        }
    }
}

fn feeds(graph: &Graph) -> Vec<Feed> {
    let leaves = graph.ids().filter_map(|id| match graph.op(id) {
        Op::Input(input) if matches!(input.kind, InputKind::Input | InputKind::Target) => Some((id, input.kind)),
        _ => None,
    });
    leaves
        .map(|(id, kind)| Feed {
            kind,
            name: graph.node(id).provenance.name.clone(),
            dtype: graph.ty(id).dtype,
            shape: graph.ty(id).known_shape().unwrap_or_default(),
        })
        .collect()
}

fn ports(graph: &Graph) -> Vec<Port> {
    let port = |output: &crate::ir::Output| {
        let ty = graph.ty(output.node);
        let shape = ty.known_shape().unwrap_or_default();
        Port { role: output.role, name: output.name.clone(), dtype: ty.dtype, shape }
    };
    graph.outputs.iter().map(port).collect()
}

/// The value of a leaf, for the reference executor.
fn leaf_value<T: Element>(
    graph: &Graph,
    id: NodeId,
    feeds: &[Feed],
    feed_values: &[Values<T>],
    store: &Store<T>,
    clock: Clock,
) -> Tensor<T> {
    let node = graph.node(id);
    let name = &node.provenance.name;
    let shape = node.ty.known_shape().unwrap_or_default();
    let kind = match &node.op {
        Op::Input(input) => input.kind,
        op => panic!("internal: {} is not a leaf", op.name()),
    };
    let scalar = |value: i32| Tensor::Int(ArrayD::from_elem(IxDyn(&[]), value));
    match kind {
        InputKind::Step => scalar(clock.step),
        InputKind::Epoch => scalar(clock.epoch),
        InputKind::EpochEnd => scalar(i32::from(clock.epoch_end)),
        InputKind::Seed => scalar(clock.seed),
        InputKind::Param => store.get(StoreKind::Param, name).to_tensor(node.ty.dtype, &shape),
        InputKind::State => store.get(StoreKind::State, name).to_tensor(node.ty.dtype, &shape),
        InputKind::Input | InputKind::Target => {
            let at = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            let at = at.expect("internal: every input leaf has a feed");
            feed_values[at].to_tensor(node.ty.dtype, &shape)
        }
    }
}
