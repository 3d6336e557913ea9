//! The plan's checker is checked: plans of real programs are broken at random, in every way that a plan can be wrong. The
//! checker must refuse what is wrong; what it accepts must compute the very same values.
#![allow(clippy::print_stdout, reason = "what was caught, for those who ask with --nocapture")]

use crate::common::values::{compiled, floats, initial};
use anabranch::diag::{SourceId, Span};
use anabranch::exec::{Clock, Executor, ExecutorOptions, Mode, Store};
use anabranch::ir::{Builder, DType, Dim, DimSizes, Graph, Provenance, Role, TensorType, bind};
use anabranch::ops::{self, Input, InputKind};
use anabranch::passes::simplify;
use anabranch::plan::{
    BufferId, ConstantValue, Group, IndexMap, Loop, Place, Plan, Reference, Storage, Work, check, plan,
};
use std::collections::BTreeMap;

/// Mutations that change something, over all programs.
const MUTATIONS: usize = 1000;

const LOOP: &str = "
    input x: f32[batch, T, 2]
    target y: f32[batch, 2]
    param decay: f32[2] = ones()
    param open: f32[2, 2] = orthogonal()
    fn cell(x, carry, open, decay) { return [tanh(x + carry[0] @ open), carry[1] * decay + carry[0]] }
    let start = full([batch, 2], 0)
    let run = scan(cell, x, [start, start + 1], rest=[open, decay])
    output z = run[0][1]
    loss l = mean_squared_error(y, z) + mean(run[0][0] ** 2, axes=1)
    train { minimize l optimizer adam(lr=0.1) }";

const RECURRENT: &str = "
    input x: f32[batch, T, 3]
    target y: f32[batch, 2]
    output z = lstm(x, units=2) + gru(x, units=2)
    loss l = mean_squared_error(y, z)
    train { minimize l optimizer adam(lr=0.1) }";

const SWAPPED: &str = "
    input x: f32[batch]
    input seen: bool[batch]
    state a: f32 = 1
    state b: f32 = 2
    update a = b
    update b = a
    output z = where(seen, x, 0) * 2
    param w: f32 = 0
    metric before = w
    loss l = (x - w) ** 2
    train { minimize l optimizer sgd(lr=0.1) }";

const PROGRAMS: [(&str, &str); 15] = [
    ("loop", LOOP),
    ("recurrent", RECURRENT),
    ("swapped", SWAPPED),
    ("localizer, W1", include_str!("../../examples/localizer/localizer.anb")),
    ("w2", include_str!("../oracle/w2.anb")),
    ("w3", include_str!("../oracle/w3.anb")),
    ("w4", include_str!("../oracle/w4.anb")),
    ("w5", include_str!("../oracle/w5.anb")),
    ("w6", include_str!("../oracle/w6.anb")),
    ("digits", include_str!("../../examples/digits/digits.anb")),
    ("gan", include_str!("../../examples/gan/gan.anb")),
    ("segmentation", include_str!("../../examples/segmentation/segmentation.anb")),
    ("semi_supervised", include_str!("../../examples/semi_supervised/semi_supervised.anb")),
    ("sequence_tagger", include_str!("../../examples/sequence_tagger/sequence_tagger.anb")),
    ("vae", include_str!("../../examples/vae/vae.anb")),
];

/// A stream of choices, the same on every run.
struct Choices(u64);

impl Choices {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize
    }

    /// A position in a list; 0 of none.
    fn of(&mut self, n: usize) -> usize {
        let choice = self.next();
        if n == 0 { 0 } else { choice % n }
    }

    fn pick<'a, X>(&mut self, list: &'a mut [X]) -> Option<&'a mut X> {
        let at = self.of(list.len());
        list.get_mut(at)
    }

    fn shifted(&mut self, number: usize) -> usize {
        match self.of(6) {
            0 => number + 1,
            1 => number.saturating_sub(1),
            2 => number + 16,
            3 => number.saturating_sub(16),
            4 => number / 2,
            _ => number * 2,
        }
    }
}

/// A way to break a plan.
type Mutation = (&'static str, fn(&mut Plan, &mut Choices) -> Option<()>);

const KINDS: [Mutation; 22] = [
    ("shift an offset", |plan, choices| {
        let (offset, other) = (choices.next(), choices.of(2));
        let offsets: Vec<usize> = plan.buffers.iter().filter_map(|buffer| offset_of(&buffer.place)).collect();
        let buffer = choices.pick(&mut plan.buffers)?;
        let Place::Arena { offset: at } = &mut buffer.place else { return None };
        *at = if other == 0 { choices.shifted(*at) } else { offsets[offset % offsets.len()] };
        Some(())
    }),
    ("change a length", |plan, choices| {
        let buffer = choices.pick(&mut plan.buffers)?;
        buffer.len = choices.shifted(buffer.len);
        Some(())
    }),
    ("shrink an arena", |plan, choices| {
        let len = if choices.of(2) == 0 { &mut plan.float_len } else { &mut plan.int_len };
        *len = len.checked_sub(1 + choices.of(20))?;
        Some(())
    }),
    ("change a place", |plan, choices| {
        let place = choices.pick(&mut plan.buffers)?.place.clone();
        let buffer = choices.pick(&mut plan.buffers)?;
        match choices.of(3) {
            0 => buffer.place = place,
            1 => buffer.storage = if buffer.storage == Storage::Int { Storage::Float } else { Storage::Int },
            _ => match &mut buffer.place {
                Place::Constant(ConstantValue::Splat(value)) => *value += 1.0,
                Place::Constant(ConstantValue::Iota { extent, inner }) => std::mem::swap(extent, inner),
                Place::Leaf { name, .. } => *name = "another".into(),
                Place::Arena { .. } => return None,
            },
        }
        Some(())
    }),
    ("swap steps", |plan, choices| {
        let (a, b) = (choices.of(plan.steps.len()), choices.of(plan.steps.len()));
        let b = if choices.of(2) == 0 { b } else { (a + 1).min(plan.steps.len().saturating_sub(1)) };
        (a != b).then(|| plan.steps.swap(a, b))
    }),
    ("drop a step", |plan, choices| {
        let at = choices.of(plan.steps.len());
        (at < plan.steps.len()).then(|| drop(plan.steps.remove(at)))
    }),
    ("repeat a step", |plan, choices| {
        let at = choices.of(plan.steps.len());
        let step = plan.steps.get(at)?.clone();
        let to = at + choices.of(plan.steps.len() - at + 1);
        plan.steps.insert(to, step);
        Some(())
    }),
    ("change an output", |plan, choices| {
        let buffer = BufferId(choices.of(plan.buffers.len()));
        match choices.of(3) {
            0 => {
                plan.outputs.pop()?;
            }
            1 => choices.pick(&mut plan.outputs)?.output += 1,
            _ => choices.pick(&mut plan.outputs)?.buffer = buffer,
        }
        Some(())
    }),
    ("change a group's range", |plan, choices| {
        let group = group(plan, choices)?;
        group.n = choices.shifted(group.n);
        Some(())
    }),
    ("drop or claim over", |plan, choices| {
        let group = group(plan, choices)?;
        let loads = group.loads.len();
        let write = choices.pick(&mut group.writes)?;
        write.over = if write.over.is_some() && choices.of(2) == 0 { None } else { Some(choices.of(loads)) };
        Some(())
    }),
    ("change an index map", |plan, choices| {
        let group = group(plan, choices)?;
        let n = group.n;
        let load = choices.pick(&mut group.loads)?;
        let mut dims = load.map.dims().to_vec();
        match choices.of(5) {
            0 => choices.pick(&mut dims)?.1 += 1,
            1 => dims.reverse(),
            2 => dims = vec![(n, 0)],
            3 => dims = vec![(n, 1)],
            _ => {
                let part = (2..8).find(|part| n.is_multiple_of(*part))?;
                dims = vec![(n / part, 1), (part, n / part)];
            }
        }
        load.map = IndexMap::from_dims(dims);
        Some(())
    }),
    ("read another buffer in a group", |plan, choices| {
        let n_buffers = plan.buffers.len();
        let group = group(plan, choices)?;
        let load = choices.pick(&mut group.loads)?;
        match choices.of(3) {
            0 => load.is_int = !load.is_int,
            _ => load.buffer = BufferId(choices.of(n_buffers)),
        }
        Some(())
    }),
    ("change an instruction's operands", |plan, choices| {
        let group = group(plan, choices)?;
        let (loads, instructions) = (group.loads.len(), group.instructions.len());
        let instruction = choices.pick(&mut group.instructions)?;
        match choices.of(4) {
            0 => instruction.operands.reverse(),
            1 => *choices.pick(&mut instruction.operands)? = Reference::Load(choices.of(loads)),
            2 => *choices.pick(&mut instruction.operands)? = Reference::Instruction(choices.of(instructions)),
            _ => match choices.pick(&mut instruction.operands)? {
                Reference::Constant(number) => *number += 1.0,
                Reference::Load(other) | Reference::Instruction(other) => *other += 1,
            },
        }
        Some(())
    }),
    ("change an instruction", |plan, choices| {
        let group = group(plan, choices)?;
        let other = choices.pick(&mut group.instructions)?.clone();
        let at = choices.of(group.instructions.len());
        match choices.of(4) {
            0 => group.instructions[at].op = other.op,
            1 => group.instructions[at].node = other.node,
            2 => drop(group.instructions.remove(at)),
            _ => group.instructions[at] = other,
        }
        Some(())
    }),
    ("redirect a write", |plan, choices| {
        let n_buffers = plan.buffers.len();
        let group = group(plan, choices)?;
        let other = choices.pick(&mut group.writes)?.clone();
        let write = choices.pick(&mut group.writes)?;
        match choices.of(3) {
            0 => write.buffer = BufferId(choices.of(n_buffers)),
            1 => write.node = other.node,
            _ => write.buffer = other.buffer,
        }
        Some(())
    }),
    ("write another value", |plan, choices| {
        let group = group(plan, choices)?;
        let instructions = group.instructions.len();
        let write = choices.pick(&mut group.writes)?;
        match choices.of(3) {
            0 => write.value = Reference::Load(0),
            1 => write.value = Reference::Instruction(choices.of(instructions)),
            _ => write.sum_inner = write.sum_inner.map_or(Some(2), |inner| (inner > 2).then_some(inner / 2)),
        }
        Some(())
    }),
    ("change a bias", |plan, choices| {
        let n_buffers = plan.buffers.len();
        for _ in 0..20 {
            let Work::Kernel { bias, .. } = &mut choices.pick(&mut plan.steps)?.work else { continue };
            let Some(given) = bias else { continue };
            match choices.of(3) {
                0 => given.relu = !given.relu,
                1 => *bias = None,
                _ => given.buffer = BufferId(choices.of(n_buffers)),
            }
            return Some(());
        }
        None
    }),
    ("change a kernel's operands", |plan, choices| {
        let n_buffers = plan.buffers.len();
        let Work::Kernel { operands, .. } = &mut kernel(plan, choices)? else { return None };
        match choices.of(4) {
            0 => operands.reverse(),
            1 => choices.pick(operands)?.buffer = BufferId(choices.of(n_buffers)),
            2 => choices.pick(operands)?.shape.reverse(),
            _ => {
                let operand = choices.pick(operands)?;
                operand.dtype = if operand.dtype == DType::F32 { DType::I32 } else { DType::F32 };
            }
        }
        Some(())
    }),
    ("change a kernel", |plan, choices| {
        let n_buffers = plan.buffers.len();
        let other = kernel(plan, choices)?.clone();
        let Work::Kernel { op, result, shape, node, .. } = &mut kernel(plan, choices)? else { return None };
        let Work::Kernel { op: other_op, node: other_node, .. } = other else { return None };
        match choices.of(4) {
            0 => *op = other_op,
            1 => *node = other_node,
            2 => shape.reverse(),
            _ => *result = BufferId(choices.of(n_buffers)),
        }
        Some(())
    }),
    ("change a copy", |plan, choices| {
        let n_buffers = plan.buffers.len();
        for _ in 0..50 {
            if let Work::Copy { from, to } = &mut choices.pick(&mut plan.steps)?.work {
                match choices.of(3) {
                    0 => std::mem::swap(from, to),
                    1 => *from = BufferId(choices.of(n_buffers)),
                    _ => *to = BufferId(choices.of(n_buffers)),
                }
                return Some(());
            }
        }
        None
    }),
    ("change a loop", |plan, choices| {
        let n_buffers = plan.buffers.len();
        change_loop(repeated(plan, choices)?, n_buffers, choices)
    }),
    ("change a loop's body", |plan, choices| {
        let work = repeated(plan, choices)?;
        // Any other mutation, of the plan of a step.
        let (_, mutate) = KINDS[choices.of(KINDS.len() - 2)];
        mutate(&mut work.step, choices)
    }),
];

fn offset_of(place: &Place) -> Option<usize> {
    match place {
        Place::Arena { offset } => Some(*offset),
        Place::Leaf { .. } | Place::Constant(_) => None,
    }
}

fn group<'p>(plan: &'p mut Plan, choices: &mut Choices) -> Option<&'p mut Group> {
    let groups = plan.steps.iter_mut().filter_map(|step| match &mut step.work {
        Work::Group(group) => Some(group),
        _ => None,
    });
    let mut groups: Vec<&mut Group> = groups.collect();
    let at = choices.of(groups.len());
    (at < groups.len()).then(|| groups.swap_remove(at))
}

fn kernel<'p>(plan: &'p mut Plan, choices: &mut Choices) -> Option<&'p mut Work> {
    let works = plan.steps.iter_mut().map(|step| &mut step.work);
    let mut kernels: Vec<&mut Work> = works.filter(|work| matches!(work, Work::Kernel { .. })).collect();
    let at = choices.of(kernels.len());
    (at < kernels.len()).then(|| kernels.swap_remove(at))
}

fn repeated<'p>(plan: &'p mut Plan, choices: &mut Choices) -> Option<&'p mut Loop> {
    let loops = plan.steps.iter_mut().filter_map(|step| match &mut step.work {
        Work::Loop(work) => Some(&mut **work),
        _ => None,
    });
    let mut loops: Vec<&mut Loop> = loops.collect();
    let at = choices.of(loops.len());
    (at < loops.len()).then(|| loops.swap_remove(at))
}

fn change_loop(work: &mut Loop, n_buffers: usize, choices: &mut Choices) -> Option<()> {
    let buffer = BufferId(choices.of(n_buffers));
    match choices.of(16) {
        0 => work.length = choices.shifted(work.length),
        1 => work.reverse = !work.reverse,
        2 => work.scratch.swap(0, 1),
        3 => work.scratch[choices.of(2)] = buffer,
        4 => choices.pick(&mut work.carries)?.first = buffer,
        5 => choices.pick(&mut work.carries)?.home = buffer,
        6 => choices.pick(&mut work.carries)?.leaf = None,
        7 => work.carries.reverse(),
        8 => choices.pick(&mut work.inputs)?.from = buffer,
        9 => {
            let input = choices.pick(&mut work.inputs)?;
            input.is_sequence = !input.is_sequence;
        }
        10 => {
            work.inputs.pop()?;
        }
        11 => {
            let leaf = choices.pick(&mut work.inputs)?.leaf;
            choices.pick(&mut work.inputs)?.leaf = leaf;
        }
        12 => {
            work.incoming.pop()?;
        }
        13 => choices.pick(&mut work.incoming)?.1 = buffer,
        14 => choices.pick(&mut work.stacked)?.1 = buffer,
        _ => choices.pick(&mut work.results)?.1 = buffer,
    }
    Some(())
}

/// A bound program with its first store, its plan, and what it computes by definition.
struct Program {
    name: String,
    graph: Graph,
    store: Store<f64>,
    plan: Plan,
    wanted: BTreeMap<String, Vec<f64>>,
}

fn options(mode: Mode) -> ExecutorOptions {
    ExecutorOptions { mode, threads: 1, ..ExecutorOptions::default() }
}

fn programs() -> Vec<Program> {
    let mut programs = Vec::new();
    for (name, text) in PROGRAMS {
        let compiled = compiled(text);
        let store = initial::<f64>(&compiled, Mode::Reference);
        for (stage, graph) in [("train", &compiled.simplified.train), ("predict", &compiled.simplified.predict)] {
            // The rows of W6 are parts of one batch.
            let rows = if name == "w6" { 2200 } else { 2 };
            let graph = simplify(&bind(graph, &sizes(graph, rows)));
            let mut reference = Executor::new(&graph, &DimSizes::new(), &options(Mode::Reference)).unwrap();
            let wanted = results(&mut reference, &graph, store.clone());
            let plan = plan(&graph);
            programs.push(Program { name: format!("{name} {stage}"), graph, store: store.clone(), plan, wanted });
        }
    }
    programs
}

/// So many rows, and three of whatever else is open.
fn sizes(graph: &Graph, rows: usize) -> DimSizes {
    let symbols = graph.ids().flat_map(|id| graph.ty(id).shape.iter().flat_map(Dim::symbols).collect::<Vec<_>>());
    symbols.map(|name| (name.clone(), if &*name == "batch" { rows } else { 3 })).collect()
}

/// What two steps give, and what the store holds then.
fn results(executor: &mut Executor<f64>, graph: &Graph, mut store: Store<f64>) -> BTreeMap<String, Vec<f64>> {
    for i in 0..executor.feeds().len() {
        let number = |at: usize| ((i + 1) as f64 * 0.618 + (at as f64 + 1.0) * 2.399).sin();
        if let Some(values) = executor.feed_float(i) {
            values.iter_mut().enumerate().for_each(|(at, value)| *value = 0.5 + 0.4 * number(at));
        } else if let Some(values) = executor.feed_int(i) {
            values.iter_mut().enumerate().for_each(|(at, value)| *value = i32::from(number(at) > 0.0));
        }
    }
    (0..2).for_each(|step| executor.run(&mut store, Clock { step, ..Clock::default() }).unwrap());
    let mut found = BTreeMap::new();
    for (at, output) in graph.outputs.iter().enumerate() {
        if !matches!(output.role, Role::Param | Role::State) {
            found.insert(format!("{} {}", output.role.as_str(), output.name), floats(executor.result(at).unwrap()));
        }
    }
    found.extend(store.entries().map(|entry| (format!("{:?} {}", entry.kind(), entry.name()), floats(entry.values()))));
    found
}

/// The first value that is another one.
fn different(found: &BTreeMap<String, Vec<f64>>, wanted: &BTreeMap<String, Vec<f64>>) -> Option<String> {
    let equal = |x: f64, y: f64| x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-7 * (1.0 + y.abs());
    let entries = wanted.iter().filter_map(|(name, wanted)| {
        let found = &found[name];
        let at = found.iter().zip(wanted).position(|(x, y)| !equal(*x, *y))?;
        Some(format!("{name}[{at}] is {} and should be {}", found[at], wanted[at]))
    });
    entries.into_iter().next()
}

#[test]
fn broken_plans_are_refused_or_compute_the_same() {
    let programs = programs();
    for program in &programs {
        let mut executor = Executor::of_plan(&program.graph, program.plan.clone(), &options(Mode::Planned)).unwrap();
        let found = results(&mut executor, &program.graph, program.store.clone());
        assert_eq!(different(&found, &program.wanted), None, "{}", program.name);
    }
    let mut choices = Choices(7);
    let (mut done, mut accepted) = (0, 0);
    let mut caught: BTreeMap<&str, usize> = BTreeMap::new();
    for turn in 0.. {
        if done == MUTATIONS {
            break;
        }
        let program = &programs[turn / KINDS.len() % programs.len()];
        let (kind, mutate) = KINDS[turn % KINDS.len()];
        let mut broken = program.plan.clone();
        if mutate(&mut broken, &mut choices).is_none() || broken == program.plan {
            continue;
        }
        done += 1;
        if check(&broken, &program.graph).is_err() {
            *caught.entry(kind).or_default() += 1;
            continue;
        }
        accepted += 1;
        let mut executor = Executor::of_plan(&program.graph, broken, &options(Mode::Planned)).unwrap();
        let found = results(&mut executor, &program.graph, program.store.clone());
        assert_eq!(different(&found, &program.wanted), None, "{}: {kind} is accepted", program.name);
    }
    println!("{accepted} of {done} accepted and right; caught {caught:?}");
    // Every way to break a plan is found out; what is accepted is a minority.
    for (kind, _) in KINDS {
        assert!(caught.contains_key(kind), "{kind}: nothing caught in {caught:?}");
    }
    assert!(accepted * 4 < done, "{accepted} of {done} accepted; caught {caught:?}");
}

/// A chain of so many nodes, element-wise and products by turns, with the sum of each ten as an output.
fn chain(n_nodes: usize) -> Graph {
    let mut graph = Graph::new();
    let name = Provenance { name: "x".into(), span: Span::new(SourceId::NOWHERE, 0, 0) };
    let mut b = Builder::new(&mut graph, name);
    let ty = TensorType::f32(vec![Dim::known(4), Dim::known(4)]);
    let x = b.emit(Input { kind: InputKind::Param, ty }, &[]);
    let (mut last, mut sums) = (x, Vec::new());
    for i in 0..n_nodes / 2 {
        last = if i % 3 == 0 {
            b.emit(ops::MatMul { transpose_x: false, transpose_y: false }, &[last, x])
        } else {
            b.add2(last, x)
        };
        last = b.emit(ops::Tanh, &[last]);
        if i % 10 == 0 {
            sums.push(b.sum(last, &[0, 1]));
        }
    }
    for (i, sum) in sums.into_iter().enumerate() {
        graph.add_output(Role::Output, format!("y{i}"), sum);
    }
    graph
}

#[test]
fn plans_of_many_nodes_are_checked() {
    for n_nodes in [10_000, 100_000] {
        let graph = chain(n_nodes);
        assert_eq!(check(&plan(&graph), &graph), Ok(()));
    }
}
