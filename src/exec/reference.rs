//! The engine that runs op by op, each by its own definition: slow and obvious.

use super::footprint::{Claim, Footprint, node_bytes, with_largest};
use super::{Bound, Buffers, Clock, Engine, ExecutorOptions, Feed, Store, StoreError, StoreKind, Values};
use crate::diag::Diagnostics;
use crate::ir::{Graph, NodeId, Role};
use crate::ops::{Element, InputKind, Op, Tensor, reference};
use ndarray::{ArrayD, IxDyn};

/// Keeps nothing between runs but its place in memory.
#[derive(Debug)]
pub(super) struct Reference {
    _claim: Claim,
}

/// Evaluates a program on what was fed last, and changes nothing; `visit` is shown every node.
pub(super) fn examine<T: Element>(
    program: &Bound,
    feeds: &[Values<T>],
    store: &Store<T>,
    clock: Clock,
    visit: &mut reference::Visit<'_, T>,
) {
    let graph = program.graph();
    let leaf = |id: NodeId| leaf_value(graph, id, program.feeds(), feeds, store, clock);
    reference::evaluate_watched(graph, leaf, visit);
}

impl<T: Element> Engine<T> for Reference {
    fn prepare(program: &Bound, options: &ExecutorOptions) -> Result<Self, Diagnostics> {
        let (graph, float) = (program.graph(), size_of::<T>());
        let footprint = Footprint::around(program, most_alive(graph, float), float);
        let claim = options.budget().claim(footprint, |finding| with_largest(finding, graph, graph.ids(), float))?;
        Ok(Self { _claim: claim })
    }

    fn run(
        &mut self,
        program: &Bound,
        buffers: Buffers<'_, T>,
        store: &mut Store<T>,
        clock: Clock,
        _: &mut dyn FnMut(usize),
    ) -> Result<(), StoreError> {
        program.carried().iter().try_for_each(|what| store.get(what).map(|_| ()))?;
        let graph = program.graph();
        let leaf = |id: NodeId| leaf_value(graph, id, program.feeds(), buffers.feeds, store, clock);
        let values = reference::evaluate(graph, leaf);
        for ((fetch, value), result) in program.fetches().iter().zip(values).zip(buffers.results) {
            let value = Values::from_tensor(&value);
            match fetch.role {
                Role::Param => store.set(StoreKind::Param, &fetch.name, value)?,
                Role::State => store.set(StoreKind::State, &fetch.name, value)?,
                _ => *result = value,
            }
        }
        Ok(())
    }
}

/// The bytes of all values that are alive at once at most, as [`reference::evaluate`] goes through a graph: leaves are copied, a
/// value is dropped behind its last reader, and results are copied at the end. The body of a loop is alive beside its operands.
fn most_alive(graph: &Graph, float_size: usize) -> u64 {
    let bytes = |id: NodeId| node_bytes(graph, id, float_size);
    let needed = graph.slice_back(graph.outputs.iter().map(|output| output.node));
    let mut last = vec![usize::MAX; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        graph.operands(id).into_iter().for_each(|operand| last[operand.index()] = id.index());
    }
    graph.outputs.iter().for_each(|output| last[output.node.index()] = usize::MAX);
    let (mut alive, mut most) = (0_u64, 0_u64);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let within = match graph.op(id) {
            Op::Scan(scan) => most_alive(scan.body.graph(), float_size),
            _ => 0,
        };
        alive = alive.saturating_add(bytes(id));
        most = most.max(alive.saturating_add(within));
        let mut operands = graph.operands(id);
        operands.sort_unstable();
        operands.dedup();
        for operand in operands.into_iter().filter(|operand| last[operand.index()] == id.index()) {
            alive = alive.saturating_sub(bytes(operand));
        }
    }
    let results = graph.outputs.iter().map(|output| bytes(output.node)).fold(0, u64::saturating_add);
    most.max(alive.saturating_add(results))
}

/// The value of a leaf.
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
    let stored = |kind: StoreKind| {
        let values = store.find(kind, name).expect("internal: the store holds what the program carries");
        values.to_tensor(node.ty.dtype, &shape)
    };
    match kind {
        InputKind::Step => scalar(clock.step),
        InputKind::Epoch => scalar(clock.epoch),
        InputKind::EpochEnd => scalar(i32::from(clock.epoch_end)),
        InputKind::Epochs => scalar(clock.epochs),
        InputKind::StepsPerEpoch => scalar(clock.steps_per_epoch),
        InputKind::TotalSteps => scalar(clock.total_steps()),
        InputKind::Seed => scalar(clock.seed),
        InputKind::Port(_) => panic!("internal: a port outside the body of a loop"),
        InputKind::Param => stored(StoreKind::Param),
        InputKind::State => stored(StoreKind::State),
        InputKind::Input | InputKind::Target => {
            let at = feeds.iter().position(|feed| feed.kind == kind && feed.name == *name);
            let at = at.expect("internal: every input leaf has a feed");
            feed_values[at].to_tensor(node.ty.dtype, &shape)
        }
    }
}
