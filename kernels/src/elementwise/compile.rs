//! From values to steps: fusion, what is uniform, registers, and where results are written.

use super::super::Real;
use super::update::join_updates;
use super::{
    Access, Binary, Fused, GroupBuilder, Load, Node, Output, Place, Program, Step, Ternary, Unary, Uniform, Value,
};

pub(super) fn compile<T: Real>(builder: GroupBuilder<T>) -> Program<T> {
    check(&builder);
    let GroupBuilder { mut nodes, outputs } = builder;
    fuse_products(&mut nodes, &outputs);
    fuse_updates(&mut nodes, &outputs);
    let mut compiler = Compiler::new(nodes, outputs);
    compiler.number_uniforms();
    compiler.choose_direct_stores();
    compiler.emit();
    join_updates(&mut compiler.program.steps);
    compiler.program
}

fn check<T>(builder: &GroupBuilder<T>) {
    for (i, node) in builder.nodes.iter().enumerate() {
        assert!(operands(node).iter().all(|operand| operand.0 < i), "a value is used before it is defined");
        if let Node::Load(Load { access, .. }) = node {
            assert!(
                !matches!(access, Access::Cyclic { period: 0 } | Access::Stretched { inner: 0 }),
                "a load repeats with length 0"
            );
        }
    }
    let mut inner = None;
    for output in &builder.outputs {
        assert!(output.value.0 < builder.nodes.len(), "a store of a value that is not defined");
        if let Some(Value(load)) = output.over {
            let contiguous = matches!(builder.nodes.get(load), Some(Node::Load(load)) if load.in_place());
            assert!(contiguous, "a store over something that is no contiguous load");
        }
        if let Some(length) = output.sum_inner {
            assert!(length > 0 && *inner.get_or_insert(length) == length, "sums of different or no length");
        }
    }
}

fn operands<T>(node: &Node<T>) -> &[Value] {
    match node {
        Node::Constant(_) | Node::Load(_) => &[],
        Node::Unary(_, a) => std::slice::from_ref(a),
        Node::Binary(_, ab) => ab,
        Node::Ternary(_, abc) => abc,
        Node::Fused(_, abcd) => abcd,
    }
}

fn count_uses<T>(nodes: &[Node<T>], outputs: &[Output]) -> Vec<usize> {
    let mut uses = vec![0; nodes.len()];
    for value in nodes.iter().flat_map(operands).chain(outputs.iter().map(|output| &output.value)) {
        uses[value.0] += 1;
    }
    uses
}

/// `a * b` into the addition or subtraction that alone uses it. The product is left without a use.
fn fuse_products<T: Real>(nodes: &mut [Node<T>], outputs: &[Output]) {
    let uses = count_uses(nodes, outputs);
    for i in 0..nodes.len() {
        let product = |value: Value| match nodes[value.0] {
            Node::Binary(Binary::Mul, [a, b]) if uses[value.0] == 1 => Some((a, b)),
            Node::Unary(Unary::Square, a) if uses[value.0] == 1 => Some((a, a)),
            _ => None,
        };
        let fused = match nodes[i] {
            Node::Binary(Binary::Add, [x, y]) => product(x)
                .map(|(a, b)| (Ternary::MulAdd, [a, b, y]))
                .or_else(|| product(y).map(|(a, b)| (Ternary::MulAdd, [a, b, x]))),
            Node::Binary(Binary::Sub, [x, y]) => product(x)
                .map(|(a, b)| (Ternary::MulSub, [a, b, y]))
                .or_else(|| product(y).map(|(a, b)| (Ternary::SubFromMul, [a, b, x]))),
            _ => None,
        };
        if let Some((operation, operands)) = fused {
            nodes[i] = Node::Ternary(operation, operands);
        }
    }
}

/// The moments and the step of an optimizer: see [`Fused`]. Their parts are left without a use.
fn fuse_updates<T: Real>(nodes: &mut [Node<T>], outputs: &[Output]) {
    let uses = count_uses(nodes, outputs);
    let mut uniform: Vec<bool> = Vec::new();
    for i in 0..nodes.len() {
        let is_uniform = match &nodes[i] {
            Node::Constant(_) => true,
            Node::Load(load) => load.access == Access::Scalar,
            other => operands(other).iter().all(|operand| uniform[operand.0]),
        };
        uniform.push(is_uniform);
        // A product of elements and a number, in this order.
        let weighted = |a: Value, b: Value| match (uniform[a.0], uniform[b.0]) {
            (false, true) => Some((a, b)),
            (true, false) => Some((b, a)),
            _ => None,
        };
        let only_use = |value: Value| (uses[value.0] == 1).then(|| &nodes[value.0]);
        let fused = match nodes[i] {
            Node::Ternary(Ternary::MulAdd, [x, y, z]) => match (weighted(x, y), only_use(z)) {
                (Some((a, s)), Some(Node::Binary(Binary::Mul, [x, y]))) => {
                    weighted(*x, *y).map(|(b, t)| match only_use(b) {
                        Some(Node::Unary(Unary::Square, b)) => (Fused::WeightedSquare, [a, s, *b, t]),
                        _ => (Fused::WeightedSum, [a, s, b, t]),
                    })
                }
                _ => None,
            },
            Node::Binary(Binary::Div, [a, sum]) if !uniform[a.0] => match only_use(sum) {
                Some(Node::Binary(Binary::Add, [x, y])) => {
                    weighted(*x, *y).and_then(|(root, s)| match only_use(root) {
                        Some(Node::Unary(Unary::Sqrt, b)) => Some((Fused::RootRatio, [a, s, *b, s])),
                        _ => None,
                    })
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((operation, operands)) = fused {
            nodes[i] = Node::Fused(operation, operands);
        }
    }
}

struct Compiler<T> {
    nodes: Vec<Node<T>>,
    outputs: Vec<Output>,
    /// The row of `uniforms` for values that are the same at every index.
    uniform: Vec<Option<usize>>,
    /// The output whose destination a value is computed into.
    direct: Vec<Option<usize>>,
    /// The node after which a value is not needed, `nodes.len()` if an output needs it at the end.
    last_use: Vec<usize>,
    place: Vec<Option<Place>>,
    free: Vec<usize>,
    /// for each register
    is_free: Vec<bool>,
    program: Program<T>,
}

impl<T: Real> Compiler<T> {
    fn new(nodes: Vec<Node<T>>, outputs: Vec<Output>) -> Self {
        let count = nodes.len();
        let program = Program {
            uniforms: Vec::new(),
            uniform_steps: Vec::new(),
            steps: Vec::new(),
            loads: Vec::new(),
            stores: outputs.iter().map(|output| output.destination).collect(),
            registers: 0,
            sum_inner: outputs.iter().find_map(|output| output.sum_inner),
        };
        let mut compiler = Compiler {
            uniform: vec![None; count],
            direct: vec![None; count],
            last_use: vec![0; count],
            place: vec![None; count],
            free: Vec::new(),
            is_free: Vec::new(),
            nodes,
            outputs,
            program,
        };
        compiler.find_last_uses();
        compiler
    }

    /// Only values that an output needs count as users; the others are never computed.
    fn find_last_uses(&mut self) {
        for output in &self.outputs {
            self.last_use[output.value.0] = self.nodes.len();
        }
        for i in (0..self.nodes.len()).rev() {
            if self.last_use[i] > 0 {
                for operand in operands(&self.nodes[i]) {
                    self.last_use[operand.0] = self.last_use[operand.0].max(i);
                }
            }
        }
    }

    fn is_needed(&self, i: usize) -> bool {
        self.last_use[i] > 0
    }

    fn number_uniforms(&mut self) {
        for i in 0..self.nodes.len() {
            if !self.is_needed(i) {
                continue;
            }
            let place = |value: &Value| self.uniform[value.0].map(Place::Uniform);
            let to = Place::Uniform(self.program.uniforms.len());
            let uniform = match &self.nodes[i] {
                Node::Constant(number) => Some(Uniform::Constant(*number)),
                Node::Load(Load { source, access: Access::Scalar, integers }) => {
                    Some(Uniform::Load { source: *source, integers: *integers })
                }
                Node::Load(_) | Node::Fused(..) => None,
                Node::Unary(operation, a) => place(a).map(|a| Uniform::Computed(Step::Unary(*operation, a, to))),
                Node::Binary(operation, [a, b]) => {
                    place(a).zip(place(b)).map(|(a, b)| Uniform::Computed(Step::Binary(*operation, [a, b], to)))
                }
                Node::Ternary(operation, [a, b, c]) => place(a)
                    .zip(place(b))
                    .zip(place(c))
                    .map(|((a, b), c)| Uniform::Computed(Step::Ternary(*operation, [a, b, c], to))),
            };
            if let Some(uniform) = uniform {
                self.uniform[i] = Some(self.program.uniforms.len());
                if let Uniform::Computed(step) = uniform {
                    self.program.uniform_steps.push(step);
                }
                self.program.uniforms.push(uniform);
            }
        }
    }

    /// A value is computed into its destination if no one reads what the destination held afterwards.
    fn choose_direct_stores(&mut self) {
        for (row, output) in self.outputs.iter().enumerate() {
            let Value(i) = output.value;
            let computed = !matches!(self.nodes[i], Node::Load(_)) && self.uniform[i].is_none();
            let safe = output.over.is_none_or(|load| self.last_use[load.0] <= i);
            if computed && safe && output.sum_inner.is_none() && self.direct[i].is_none() {
                self.direct[i] = Some(row);
            }
        }
    }

    fn emit(&mut self) {
        for i in 0..self.nodes.len() {
            if !self.is_needed(i) || self.uniform[i].is_some() || matches!(self.nodes[i], Node::Load(_)) {
                continue;
            }
            let node = self.nodes[i].clone();
            let places: Vec<Place> = operands(&node).iter().map(|operand| self.place_of(*operand)).collect();
            for operand in operands(&node) {
                self.release_after(*operand, i);
            }
            let to = match self.direct[i] {
                Some(row) => Place::Store(row),
                None => Place::Register(self.take_register()),
            };
            self.place[i] = Some(to);
            self.program.steps.push(match node {
                Node::Unary(operation, _) => Step::Unary(operation, places[0], to),
                Node::Binary(operation, _) => Step::Binary(operation, [places[0], places[1]], to),
                Node::Ternary(operation, _) => Step::Ternary(operation, [places[0], places[1], places[2]], to),
                Node::Fused(operation, _) => Step::Fused(operation, [places[0], places[1], places[2], places[3]], to),
                Node::Constant(_) | Node::Load(_) => continue,
            });
        }
        self.emit_outputs();
    }

    fn emit_outputs(&mut self) {
        // First everything that reads a buffer which a copy below may overwrite.
        for row in 0..self.outputs.len() {
            let value = self.outputs[row].value;
            let from = self.place_of(value);
            let overwritten = self.outputs.iter().any(|output| output.over == Some(value) && output.value != value);
            if matches!(from, Place::Load(_)) && overwritten {
                let to = Place::Register(self.take_register());
                self.program.steps.push(Step::Copy { from, to });
                self.place[value.0] = Some(to);
            }
        }
        for row in 0..self.outputs.len() {
            if let Some(inner) = self.outputs[row].sum_inner {
                let from = self.place_of(self.outputs[row].value);
                self.program.steps.push(Step::Sum { from, store: row, inner });
            }
        }
        for row in 0..self.outputs.len() {
            let Output { value, sum_inner, .. } = self.outputs[row];
            if sum_inner.is_none() && self.direct[value.0] != Some(row) {
                let from = self.place_of(value);
                self.program.steps.push(Step::Copy { from, to: Place::Store(row) });
            }
        }
    }

    /// Where a value is read, after filling a register if it is a load that cannot be read in place.
    fn place_of(&mut self, value: Value) -> Place {
        let Value(i) = value;
        if let Some(row) = self.uniform[i] {
            return Place::Uniform(row);
        }
        if let Some(place) = self.place[i] {
            return place;
        }
        let place = match &self.nodes[i] {
            Node::Load(load) => {
                let row = self.program.loads.len();
                self.program.loads.push(load.clone());
                if load.in_place() {
                    Place::Load(row)
                } else {
                    let register = self.take_register();
                    self.program.steps.push(Step::Fill { load: row, to: register });
                    Place::Register(register)
                }
            }
            _ => Place::Register(self.take_register()),
        };
        self.place[i] = Some(place);
        place
    }

    fn release_after(&mut self, value: Value, node: usize) {
        if self.last_use[value.0] == node
            && let Some(Place::Register(register)) = self.place[value.0]
            && !std::mem::replace(&mut self.is_free[register], true)
        {
            self.free.push(register);
        }
    }

    fn take_register(&mut self) -> usize {
        let register = self.free.pop().unwrap_or_else(|| {
            self.program.registers += 1;
            self.is_free.push(false);
            self.program.registers - 1
        });
        self.is_free[register] = false;
        register
    }
}
