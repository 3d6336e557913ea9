//! One case of a gradient check, and the checks.
//!
//! Each check builds `s = Σ c · op(x…)` with a random projection `c`, asks for derivatives by gradient nodes, lets
//! `differentiate` write them out, and compares what the reference executor computes with central differences of it.

use anabranch::diag::{SourceId, Span};
use anabranch::ir::{Builder, DType, Graph, NodeId, Provenance, Role, TensorType, verify};
use anabranch::ops::reference::evaluate;
use anabranch::ops::{Cast, Flow, Gradient, Input, InputKind, Op, Site, Tensor};
use anabranch::passes::differentiate;
use ndarray::{ArrayD, IxDyn};
use std::fmt;

/// The step of the differences: error terms h² and ε/h both stay near 1e-10.
const STEP: f64 = 1e-5;
const N_DIRECTIONS: u64 = 3;

#[derive(Clone, Debug)]
pub struct Operand {
    pub ty: TensorType,
    pub value: Tensor<f64>,
}

/// An op with operands, away from kinks by more than the step.
#[derive(Clone, Debug)]
pub struct Case {
    pub op: Op,
    pub operands: Vec<Operand>,
    /// of a derivative against differences, relative to `1 + |expected|`
    pub tolerance: f64,
}

impl Case {
    /// The operands whose derivatives are checked. Ints and bools carry none.
    pub fn differentiable_slots(&self) -> Vec<usize> {
        let is_open = |slot: &usize| self.operands[*slot].ty.is_float() && self.op.flow(*slot) == Flow::Differentiable;
        (0..self.operands.len()).filter(is_open).collect()
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types: Vec<String> = self.operands.iter().map(|operand| operand.ty.to_string()).collect();
        let attributes: Vec<String> =
            self.op.attributes().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, "{}({}; {})", self.op.name(), types.join(", "), attributes.join(", "))
    }
}

/// Pseudorandom numbers (SplitMix64; Steele, Lea, Flood 2014): the same on every run.
#[derive(Debug)]
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform on [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn array(&mut self, extents: &[usize], low: f64, high: f64) -> ArrayD<f64> {
        ArrayD::from_shape_simple_fn(IxDyn(extents), || low + (high - low) * self.uniform())
    }
}

/// What derivatives are multiplied by before they are judged: 1, but where it is asked whether a wrong one is seen.
#[derive(Clone, Copy, Debug)]
pub struct Bent(pub f64);

pub const STRAIGHT: Bent = Bent(1.0);

/// A graph under construction whose leaves have values.
struct Scene {
    graph: Graph,
    leaves: Vec<(NodeId, Tensor<f64>)>,
    bent: Bent,
}

impl Scene {
    fn new(bent: Bent) -> Self {
        Self { graph: Graph::new(), leaves: Vec::new(), bent }
    }

    fn bend(&mut self, derivative: NodeId) -> NodeId {
        let Bent(factor) = self.bent;
        if factor == 1.0 { derivative } else { self.builder("bent").scale(factor, derivative) }
    }

    fn builder(&mut self, name: &str) -> Builder<'_> {
        let span = Span::new(SourceId::NOWHERE, 0, 0);
        Builder::new(&mut self.graph, Provenance { name: name.into(), span })
    }

    fn leaf(&mut self, name: &str, ty: &TensorType, value: Tensor<f64>) -> NodeId {
        let input = Input { kind: InputKind::Param, ty: ty.clone() };
        let id = self.builder(name).emit(input, &[]);
        self.leaves.push((id, value));
        id
    }

    /// The op of a case over fresh leaves.
    fn apply(&mut self, case: &Case) -> (Vec<NodeId>, NodeId) {
        let leaf =
            |(slot, operand): (usize, &Operand)| self.leaf(&format!("x{slot}"), &operand.ty, operand.value.clone());
        let operands: Vec<NodeId> = case.operands.iter().enumerate().map(leaf).collect();
        let result = self.builder("y").add(case.op.clone(), &operands);
        (operands, result.unwrap_or_else(|error| panic!("{case}: {error}")))
    }

    /// `Σ c · value` with a random `c`.
    fn project(&mut self, name: &str, value: NodeId, seed: u64) -> NodeId {
        let ty = self.graph.ty(value).clone();
        let extents = ty.known_shape().expect("cases have known extents");
        let c = self.leaf(name, &ty, Tensor::Float(Draws::new(seed).array(&extents, -1.0, 1.0)));
        let mut b = self.builder("s");
        let product = b.mul(value, c);
        let axes: Vec<usize> = (0..ty.rank()).collect();
        b.sum(product, &axes)
    }

    fn gradient(&mut self, y: NodeId, x: NodeId) -> NodeId {
        self.builder("g").emit(Gradient, &[y, x])
    }

    fn output(&mut self, name: &str, node: NodeId) {
        self.graph.add_output(Role::Gradient, name, node);
    }

    /// Writes the gradients out, checks the result and makes it ready to evaluate.
    fn finish(self) -> Program {
        let graph = differentiate(&self.graph);
        if let Err(broken) = verify(&graph) {
            panic!("the differentiated graph breaks a law: {broken}");
        }
        let kept = |graph: &Graph, name: &str| {
            graph.ids().find(|id| matches!(graph.op(*id), Op::Input(_)) && &*graph.node(*id).provenance.name == name)
        };
        let leaves = self.leaves.into_iter().map(|(id, value)| {
            let name = self.graph.node(id).provenance.name.clone();
            (kept(&graph, &name).expect("differentiation keeps leaves"), value)
        });
        Program { leaves: leaves.collect(), graph }
    }
}

/// A differentiated graph with values for its leaves.
struct Program {
    graph: Graph,
    leaves: Vec<(NodeId, Tensor<f64>)>,
}

impl Program {
    /// The outputs with the leaf at position `slot` moved by `step` along `direction`.
    fn run_moved(&self, slot: usize, direction: &ArrayD<f64>, step: f64) -> Vec<ArrayD<f64>> {
        let value = |id: NodeId| {
            let (position, (_, value)) =
                self.leaves.iter().enumerate().find(|(_, (leaf, _))| *leaf == id).expect("every leaf has a value");
            if position == slot { Tensor::Float(value.float() + &(direction * step)) } else { value.clone() }
        };
        evaluate(&self.graph, value).into_iter().map(|value| value.float().clone()).collect()
    }

    fn run(&self) -> Vec<ArrayD<f64>> {
        let still = ArrayD::zeros(IxDyn(self.leaves[0].1.shape()));
        // No leaf stands at this position, so nothing moves.
        self.run_moved(usize::MAX, &still, 0.0)
    }

    /// The central difference of one output along a direction of one leaf.
    fn difference(&self, slot: usize, direction: &ArrayD<f64>, output: usize) -> ArrayD<f64> {
        let (up, down) = (self.run_moved(slot, direction, STEP), self.run_moved(slot, direction, -STEP));
        (&up[output] - &down[output]) / (2.0 * STEP)
    }
}

fn inner(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    (a * b).sum()
}

fn directions(case: &Case, slot: usize) -> impl Iterator<Item = ArrayD<f64>> {
    let extents = case.operands[slot].ty.known_shape().expect("cases have known extents");
    (0..N_DIRECTIONS).map(move |i| Draws::new(77 + i).array(&extents, -1.0, 1.0))
}

fn close(what: &str, found: f64, expected: f64, tolerance: f64) -> Result<(), String> {
    let error = (found - expected).abs() / (1.0 + expected.abs());
    // Written so that NaN fails.
    if error <= tolerance {
        Ok(())
    } else {
        Err(format!("{what} is {found}, expected {expected} (off by {error:.1e})"))
    }
}

/// The gradient of `Σ c · op(x)` along random directions against differences.
pub fn check_vjp(case: &Case, slot: usize, bent: Bent) -> Result<(), String> {
    let mut scene = Scene::new(bent);
    let (xs, y) = scene.apply(case);
    let s = scene.project("c", y, 1);
    let g = scene.gradient(s, xs[slot]);
    let g = scene.bend(g);
    scene.output("s", s);
    scene.output("g", g);
    let program = scene.finish();
    let gradient = program.run().swap_remove(1);
    for direction in directions(case, slot) {
        let expected = program.difference(slot, &direction, 0).sum();
        close("the vjp", inner(&gradient, &direction), expected, case.tolerance)?;
    }
    Ok(())
}

/// The jvp against differences element by element, and against the vjp by duality.
pub fn check_jvp(case: &Case, slot: usize, bent: Bent) -> Result<(), String> {
    for direction in directions(case, slot) {
        let mut scene = Scene::new(bent);
        let (xs, y) = scene.apply(case);
        let tangent = scene.leaf("t", &case.operands[slot].ty, Tensor::Float(direction.clone()));
        let moved = case.op.jvp(&mut scene.builder("jvp"), Site { operands: &xs, result: y }, tangent, slot);
        if scene.graph.ty(moved) != scene.graph.ty(y) {
            return Err(format!("the jvp has type {}, the result {}", scene.graph.ty(moved), scene.graph.ty(y)));
        }
        let moved = scene.bend(moved);
        let s = scene.project("c", y, 1);
        let dual = scene.project("d", moved, 1);
        let g = scene.gradient(s, xs[slot]);
        for (name, node) in [("y", y), ("jvp", moved), ("dual", dual), ("g", g)] {
            scene.output(name, node);
        }
        let program = scene.finish();
        let expected = program.difference(slot, &direction, 0);
        let values = program.run();
        for (found, expected) in values[1].iter().zip(expected.iter()) {
            close("an element of the jvp", *found, *expected, case.tolerance)?;
        }
        close("⟨c, J t⟩ against ⟨Jᵀ c, t⟩", values[2].sum(), inner(&values[3], &direction), 1e-10)?;
    }
    Ok(())
}

/// The gradient of `Σ d · gradient` by every operand against differences of the gradient.
pub fn check_second(case: &Case, slot: usize, bent: Bent) -> Result<(), String> {
    for other in case.differentiable_slots() {
        let mut scene = Scene::new(bent);
        let (xs, y) = scene.apply(case);
        let s = scene.project("c", y, 1);
        let g = scene.gradient(s, xs[slot]);
        let s2 = scene.project("d", g, 2);
        let g2 = scene.gradient(s2, xs[other]);
        let g2 = scene.bend(g2);
        scene.output("s2", s2);
        scene.output("g2", g2);
        let program = scene.finish();
        let gradient = program.run().swap_remove(1);
        for direction in directions(case, other) {
            let expected = program.difference(other, &direction, 0).sum();
            let what = format!("the second derivative by operand {other}");
            close(&what, inner(&gradient, &direction), expected, case.tolerance)?;
        }
    }
    Ok(())
}

/// The gradient by a closed operand is one zero constant: no node is built for it.
pub fn check_closed(case: &Case, slot: usize) {
    let mut scene = Scene::new(STRAIGHT);
    let (xs, y) = scene.apply(case);
    let y = match scene.graph.ty(y).dtype {
        DType::F32 => y,
        _ => scene.builder("y").emit(Cast { to: DType::F32 }, &[y]),
    };
    let s = scene.project("c", y, 1);
    let n_primal = scene.graph.len();
    let g = scene.gradient(s, xs[slot]);
    scene.output("g", g);
    let program = scene.finish();
    let g = program.graph.output(Role::Gradient, "g").expect("an output was added");
    // The ones that start the reverse walk are built only where the walk has somewhere to go.
    assert_eq!(program.graph.len(), n_primal + 1, "{case}, operand {slot}: something is built");
    assert!(matches!(program.graph.op(g), Op::Constant(zero) if zero.value.0 == 0.0), "{case}, operand {slot}");
}
