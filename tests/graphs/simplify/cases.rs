//! For each rule an expression that it rewrites and one that looks alike but must stay.

use crate::common::random_graph::provenance;
use anabranch::ir::{Builder, DType, Dim, Graph, NodeId, Role, TensorType};
use anabranch::ops::{self, InputKind, Op, Scalar};
use std::cell::{Cell, RefCell};

/// Expressions over a few leaves.
pub struct Kit {
    graph: RefCell<Graph>,
    name: Cell<&'static str>,
    /// `f32[2, 3]`
    pub x: NodeId,
    /// `f32[2, 3]`
    pub y: NodeId,
    /// `f32[3]`
    pub s: NodeId,
    /// `f32[3]`, a param
    pub param: NodeId,
    /// `bool[2, 3]`
    pub m: NodeId,
    /// `i32[2, 3]`
    pub i: NodeId,
}

macro_rules! short {
    ($($name:ident $op:ident ($($operand:ident),+);)*) => {
        impl Kit { $(
            pub fn $name(&self, $($operand: NodeId),+) -> NodeId {
                self.emit(ops::$op, &[$($operand),+])
            }
        )* }
    };
}

short! {
    neg Neg(x); abs Abs(x); exp Exp(x); cosh Cosh(x); log Log(x); log1p Log1p(x); sqrt Sqrt(x); cos Cos(x); tanh Tanh(x);
    sigmoid Sigmoid(x); stop StopGradient(x); not Not(x);
    add Add(x, y); sub Sub(x, y); mul Mul(x, y); div Div(x, y); pow Pow(x, y); max Max(x, y); min Min(x, y);
    less Less(x, y); and And(x, y); or Or(x, y); select Select(m, x, y);
    directed Directed(y, x, d);
}

fn dims(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|extent| Dim::known(*extent)).collect()
}

impl Kit {
    pub fn emit(&self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        Builder::new(&mut self.graph.borrow_mut(), provenance(self.name.get())).emit(op, operands)
    }

    pub fn rename(&self, name: &'static str) {
        self.name.set(name);
    }

    fn leaf(&self, name: &'static str, dtype: DType, shape: &[usize]) -> NodeId {
        let ty = TensorType::new(dtype, dims(shape));
        self.rename(name);
        self.emit(ops::Input { kind: InputKind::Input, ty }, &[])
    }

    /// A constant in the shape of `x`.
    pub fn num(&self, value: f64) -> NodeId {
        self.full(value, &[2, 3])
    }

    pub fn full(&self, value: f64, shape: &[usize]) -> NodeId {
        self.emit(ops::Constant { value: Scalar(value), ty: TensorType::f32(dims(shape)) }, &[])
    }

    pub fn truth(&self, value: f64) -> NodeId {
        let ty = TensorType::new(DType::Bool, dims(&[2, 3]));
        self.emit(ops::Constant { value: Scalar(value), ty }, &[])
    }

    pub fn sum(&self, x: NodeId, axes: &[usize]) -> NodeId {
        self.emit(ops::Sum { axes: axes.to_vec() }, &[x])
    }

    pub fn max_reduce(&self, x: NodeId, axes: &[usize]) -> NodeId {
        self.emit(ops::MaxReduce { axes: axes.to_vec() }, &[x])
    }

    pub fn spread(&self, x: NodeId, shape: &[usize], axes: &[usize]) -> NodeId {
        self.emit(ops::Broadcast { shape: dims(shape), axes: axes.to_vec() }, &[x])
    }

    /// `[2]` → `[2, 3]`
    pub fn rows(&self, x: NodeId) -> NodeId {
        self.spread(x, &[2, 3], &[0])
    }

    /// `[3]` → `[2, 3]`
    pub fn columns(&self, x: NodeId) -> NodeId {
        self.spread(x, &[2, 3], &[1])
    }

    pub fn reshape(&self, x: NodeId, shape: &[usize]) -> NodeId {
        self.emit(ops::Reshape { shape: dims(shape) }, &[x])
    }

    pub fn transpose(&self, x: NodeId, permutation: &[usize]) -> NodeId {
        self.emit(ops::Transpose { permutation: permutation.to_vec() }, &[x])
    }

    pub fn softmax(&self, x: NodeId) -> NodeId {
        self.emit(ops::Softmax { axis: 1 }, &[x])
    }

    /// `x yᵀ` or `x y`
    pub fn matmul(&self, x: NodeId, y: NodeId, transpose_y: bool) -> NodeId {
        self.emit(ops::MatMul { transpose_x: false, transpose_y }, &[x, y])
    }

    pub fn slice(&self, x: NodeId, starts: &[usize], extents: &[usize]) -> NodeId {
        self.emit(ops::Slice { starts: dims(starts), extents: dims(extents), strides: vec![1; starts.len()] }, &[x])
    }

    pub fn pad(&self, x: NodeId, starts: &[usize], shape: &[usize]) -> NodeId {
        self.emit(ops::Pad { starts: dims(starts), strides: vec![1; starts.len()], shape: dims(shape) }, &[x])
    }

    pub fn concat(&self, parts: &[NodeId]) -> NodeId {
        self.emit(ops::Concat { axis: 0 }, parts)
    }

    pub fn cast(&self, x: NodeId, to: DType) -> NodeId {
        self.emit(ops::Cast { to }, &[x])
    }

    pub fn iota(&self, shape: &[usize]) -> NodeId {
        self.emit(ops::Iota { axis: 0, ty: TensorType::f32(dims(shape)) }, &[])
    }

    pub fn size(&self, dim: Dim) -> NodeId {
        self.emit(ops::Size { dim }, &[])
    }

    /// Reads a node a second time, as another output.
    pub fn also(&self, x: NodeId) {
        let mut graph = self.graph.borrow_mut();
        let name = format!("also{}", graph.outputs.len());
        graph.add_output(Role::Output, name, x);
    }
}

pub type Expression = fn(&Kit) -> NodeId;

/// The graph of an expression.
pub fn graph(expression: Expression) -> Graph {
    let zero = {
        let mut graph = Graph::new();
        Builder::new(&mut graph, provenance("")).constant(0.0, &TensorType::scalar(DType::F32))
    };
    let graph = RefCell::new(Graph::new());
    let mut kit = Kit { graph, name: Cell::new("k"), x: zero, y: zero, s: zero, param: zero, m: zero, i: zero };
    kit.x = kit.leaf("x", DType::F32, &[2, 3]);
    kit.y = kit.leaf("y", DType::F32, &[2, 3]);
    kit.s = kit.leaf("s", DType::F32, &[3]);
    let ty = TensorType::f32(dims(&[3]));
    kit.rename("param");
    kit.param = kit.emit(ops::Input { kind: InputKind::Param, ty }, &[]);
    kit.m = kit.leaf("m", DType::Bool, &[2, 3]);
    kit.i = kit.leaf("i", DType::I32, &[2, 3]);
    kit.rename("k");
    let result = expression(&kit);
    let mut graph = kit.graph.into_inner();
    graph.add_output(Role::Output, "result", result);
    graph
}

pub struct Case {
    pub rule: &'static str,
    pub fires: Expression,
    pub misses: Expression,
}

fn case(rule: &'static str, fires: Expression, misses: Expression) -> Case {
    Case { rule, fires, misses }
}

pub fn all() -> Vec<Case> {
    [
        constants(),
        identities(),
        choices(),
        signs(),
        layout(),
        reductions(),
        loops(),
        convolutions(),
        pooling(),
        stable(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn constants() -> Vec<Case> {
    vec![
        case("constant-elementwise", |k| k.add(k.num(1.5), k.num(2.0)), |k| k.add(k.num(1.5), k.x)),
        case("constant-layout", |k| k.reshape(k.num(2.0), &[6]), |k| k.reshape(k.x, &[6])),
        case("constant-pad", |k| k.pad(k.num(0.0), &[0, 1], &[2, 5]), |k| k.pad(k.num(1.0), &[0, 1], &[2, 5])),
        case("constant-concat", |k| k.concat(&[k.num(1.0), k.num(1.0)]), |k| k.concat(&[k.num(1.0), k.num(2.0)])),
        case("constant-sum", |k| k.sum(k.num(1.5), &[1]), |k| k.sum(k.x, &[1])),
        case("constant-max", |k| k.max_reduce(k.num(1.5), &[1]), |k| k.max_reduce(k.full(1.5, &[2, 0]), &[1])),
        case("constant-size", |k| k.size(Dim::known(3)), |k| k.size(Dim::batch())),
        case("constant-iota", |k| k.iota(&[1, 4]), |k| k.iota(&[2, 4])),
    ]
}

fn identities() -> Vec<Case> {
    vec![
        case("add-zero", |k| k.add(k.x, k.num(0.0)), |k| k.add(k.x, k.num(1e-9))),
        case("add-same", |k| k.add(k.x, k.x), |k| k.add(k.x, k.y)),
        case("sub-zero", |k| k.sub(k.x, k.num(0.0)), |k| k.sub(k.x, k.num(1.0))),
        case("zero-sub", |k| k.sub(k.num(0.0), k.x), |k| k.sub(k.num(1.0), k.x)),
        case("mul-one", |k| k.mul(k.x, k.num(1.0)), |k| k.mul(k.x, k.num(0.0))),
        case("mul-minus-one", |k| k.mul(k.num(-1.0), k.x), |k| k.mul(k.num(-2.0), k.x)),
        case("mul-mul", |k| k.mul(k.num(3.0), k.mul(k.num(0.7), k.x)), |k| k.mul(k.num(1e30), k.mul(k.num(1e30), k.x))),
        case("div-one", |k| k.div(k.x, k.num(1.0)), |k| k.div(k.num(1.0), k.x)),
        case("div-minus-one", |k| k.div(k.x, k.num(-1.0)), |k| k.div(k.x, k.num(-3.0))),
        case("div-power-of-two", |k| k.div(k.x, k.num(8.0)), |k| k.div(k.x, k.num(9.0))),
        case("div-div", |k| k.div(k.div(k.x, k.num(9.0)), k.num(7.0)), |k| k.div(k.div(k.x, k.y), k.num(7.0))),
        case("reciprocal-sqrt", |k| k.div(k.num(1.0), k.sqrt(k.x)), |k| k.div(k.num(3.0), k.sqrt(k.x))),
        case("pow-zero", |k| k.pow(k.x, k.num(0.0)), |k| k.pow(k.num(0.0), k.x)),
        case("pow-one", |k| k.pow(k.x, k.num(1.0)), |k| k.pow(k.num(1.0), k.x)),
        case("pow-two", |k| k.pow(k.x, k.num(2.0)), |k| k.pow(k.num(2.0), k.x)),
        case("pow-three", |k| k.pow(k.x, k.num(3.0)), |k| k.pow(k.x, k.num(4.0))),
        case("pow-half", |k| k.pow(k.x, k.num(0.5)), |k| k.pow(k.x, k.num(-0.5))),
        case("pow-minus-one", |k| k.pow(k.x, k.num(-1.0)), |k| k.pow(k.x, k.num(-2.0))),
        case("cast-same", |k| k.cast(k.x, DType::F32), |k| k.cast(k.i, DType::F32)),
        case(
            "cast-cast",
            |k| k.cast(k.cast(k.m, DType::I32), DType::F32),
            |k| k.cast(k.cast(k.x, DType::I32), DType::F32),
        ),
        case("stop", |k| k.stop(k.x), |k| k.tanh(k.x)),
        case("directed", |k| k.directed(k.sum(k.x, &[0, 1]), k.x, k.y), |k| k.tanh(k.sum(k.x, &[0, 1]))),
    ]
}

fn choices() -> Vec<Case> {
    vec![
        case("where-constant", |k| k.select(k.truth(1.0), k.x, k.y), |k| k.select(k.m, k.x, k.y)),
        case("where-same", |k| k.select(k.m, k.x, k.x), |k| k.select(k.m, k.x, k.y)),
        case("where-not", |k| k.select(k.not(k.m), k.x, k.y), |k| k.select(k.m, k.x, k.y)),
        case(
            "where-where",
            |k| k.select(k.m, k.select(k.m, k.x, k.y), k.num(0.0)),
            |k| k.select(k.m, k.select(k.less(k.x, k.y), k.x, k.y), k.num(0.0)),
        ),
        case("not-not", |k| k.not(k.not(k.m)), |k| k.not(k.m)),
        case("and-constant", |k| k.and(k.m, k.truth(1.0)), |k| k.and(k.m, k.less(k.x, k.y))),
        case("or-constant", |k| k.or(k.m, k.truth(0.0)), |k| k.or(k.m, k.less(k.x, k.y))),
        case("same-operands", |k| k.max(k.x, k.x), |k| k.max(k.x, k.y)),
        case("max-max", |k| k.max(k.num(0.1), k.max(k.x, k.num(0.2))), |k| k.min(k.num(0.1), k.max(k.x, k.num(0.2)))),
        case("less-same", |k| k.less(k.x, k.x), |k| k.less(k.x, k.y)),
    ]
}

fn signs() -> Vec<Case> {
    vec![
        case("neg-neg", |k| k.neg(k.neg(k.x)), |k| k.neg(k.abs(k.x))),
        case("neg-sub", |k| k.neg(k.sub(k.x, k.y)), |k| k.neg(k.add(k.x, k.y))),
        case(
            "neg-scaled",
            |k| k.neg(k.mul(k.num(3.0), k.x)),
            |k| {
                let scaled = k.mul(k.num(3.0), k.x);
                k.also(scaled);
                k.neg(scaled)
            },
        ),
        case("add-neg", |k| k.add(k.x, k.neg(k.y)), |k| k.add(k.x, k.abs(k.y))),
        case("sub-neg", |k| k.sub(k.x, k.neg(k.y)), |k| k.sub(k.neg(k.x), k.y)),
        case("neg-sub-left", |k| k.sub(k.neg(k.x), k.y), |k| k.sub(k.x, k.neg(k.y))),
        case("scaled-neg", |k| k.mul(k.num(3.0), k.neg(k.x)), |k| k.mul(k.y, k.neg(k.x))),
        case("product-neg", |k| k.mul(k.y, k.neg(k.x)), |k| k.max(k.y, k.neg(k.x))),
        case("even-neg", |k| k.cos(k.neg(k.x)), |k| k.exp(k.neg(k.x))),
        case("odd-neg", |k| k.tanh(k.neg(k.x)), |k| k.sigmoid(k.neg(k.x))),
        case("idempotent", |k| k.emit(ops::Round, &[k.emit(ops::Round, &[k.x])]), |k| k.cos(k.cos(k.x))),
    ]
}

fn layout() -> Vec<Case> {
    vec![
        case("reshape-same", |k| k.reshape(k.x, &[2, 3]), |k| k.reshape(k.x, &[3, 2])),
        case(
            "reshape-reshape",
            |k| k.reshape(k.reshape(k.x, &[6]), &[3, 2]),
            |k| k.reshape(k.transpose(k.x, &[1, 0]), &[6]),
        ),
        case("reshape-broadcast", |k| k.reshape(k.columns(k.s), &[2, 1, 3]), |k| k.reshape(k.columns(k.s), &[6])),
        case("transpose-same", |k| k.transpose(k.x, &[0, 1]), |k| k.transpose(k.x, &[1, 0])),
        case(
            "transpose-ones",
            |k| k.transpose(k.reshape(k.x, &[2, 1, 3]), &[1, 0, 2]),
            |k| k.transpose(k.reshape(k.x, &[2, 1, 3]), &[2, 1, 0]),
        ),
        case(
            "transpose-transpose",
            |k| k.transpose(k.transpose(k.x, &[1, 0]), &[1, 0]),
            |k| k.transpose(k.exp(k.transpose(k.x, &[1, 0])), &[1, 0]),
        ),
        case(
            "transpose-matmul",
            |k| k.transpose(k.matmul(k.x, k.y, true), &[1, 0]),
            |k| {
                let product = k.matmul(k.x, k.y, true);
                k.also(product);
                k.transpose(product, &[1, 0])
            },
        ),
        case(
            "matmul-transpose",
            |k| k.matmul(k.x, k.transpose(k.y, &[1, 0]), false),
            |k| k.matmul(k.x, k.reshape(k.y, &[3, 2]), false),
        ),
        case(
            "matmul-broadcast",
            |k| k.matmul(k.columns(k.s), k.y, true),
            |k| k.matmul(k.rows(k.sum(k.x, &[1])), k.y, true),
        ),
        case("broadcast-same", |k| k.spread(k.x, &[2, 3], &[0, 1]), |k| k.spread(k.x, &[4, 2, 3], &[1, 2])),
        case(
            "broadcast-broadcast",
            |k| k.spread(k.columns(k.s), &[4, 2, 3], &[1, 2]),
            |k| k.spread(k.x, &[4, 2, 3], &[1, 2]),
        ),
        case("broadcast-ones", |k| k.spread(k.s, &[1, 3], &[1]), |k| k.spread(k.s, &[2, 3], &[1])),
        case("broadcast-late", |k| k.div(k.columns(k.s), k.num(3.0)), |k| k.div(k.columns(k.s), k.x)),
        case("concat-one", |k| k.concat(&[k.x]), |k| k.concat(&[k.x, k.x])),
        case("slice-whole", |k| k.slice(k.x, &[0, 0], &[2, 3]), |k| k.slice(k.x, &[0, 0], &[2, 2])),
        case(
            "slice-slice",
            |k| k.slice(k.slice(k.x, &[0, 1], &[2, 2]), &[1, 1], &[1, 1]),
            |k| k.slice(k.x, &[0, 1], &[2, 2]),
        ),
        case(
            "slice-concat",
            |k| k.slice(k.concat(&[k.x, k.y]), &[2, 1], &[2, 2]),
            |k| k.slice(k.concat(&[k.x, k.y]), &[1, 0], &[2, 3]),
        ),
        case("pad-nothing", |k| k.pad(k.x, &[0, 0], &[2, 3]), |k| k.pad(k.x, &[0, 0], &[2, 4])),
    ]
}

fn reductions() -> Vec<Case> {
    vec![
        case("sum-nothing", |k| k.sum(k.x, &[]), |k| k.sum(k.x, &[0])),
        case(
            "sum-empty",
            |k| k.sum(k.slice(k.x, &[0, 0], &[2, 0]), &[1]),
            |k| k.sum(k.slice(k.x, &[0, 0], &[0, 3]), &[1]),
        ),
        case("sum-ones", |k| k.sum(k.slice(k.x, &[0, 0], &[1, 3]), &[0]), |k| k.sum(k.x, &[0])),
        case("sum-broadcast", |k| k.sum(k.columns(k.s), &[0]), |k| k.sum(k.columns(k.s), &[1])),
        case(
            "sum-sum",
            |k| k.sum(k.sum(k.x, &[0]), &[0]),
            |k| {
                let sum = k.sum(k.x, &[0]);
                k.also(sum);
                k.sum(sum, &[0])
            },
        ),
        case("sum-reshape", |k| k.sum(k.reshape(k.x, &[2, 1, 3]), &[2]), |k| k.sum(k.reshape(k.x, &[3, 2]), &[0])),
        case("sum-transpose", |k| k.sum(k.transpose(k.x, &[1, 0]), &[1]), |k| k.sum(k.x, &[1])),
        case("sum-neg", |k| k.sum(k.neg(k.x), &[1]), |k| k.sum(k.abs(k.x), &[1])),
        case("sum-scaled", |k| k.sum(k.mul(k.x, k.columns(k.s)), &[0]), |k| k.sum(k.mul(k.x, k.columns(k.s)), &[1])),
    ]
}

/// A loop over the rows of `x` with a carry that starts as `s` and a constant, `step(builder, [carry, slice, constant])`.
fn looped(k: &Kit, constant: NodeId, step: fn(&mut Builder<'_>, [NodeId; 3]) -> NodeId) -> NodeId {
    let mut body = Graph::new();
    let mut b = Builder::new(&mut body, provenance("step"));
    let ty = TensorType::f32(dims(&[3]));
    let ports = [0, 1, 2].map(|port| {
        b.set_provenance(provenance(["carry", "slice", "constant"][port]));
        b.emit(ops::Input { kind: InputKind::Port(port), ty: ty.clone() }, &[])
    });
    b.set_provenance(provenance("step"));
    let next = step(&mut b, ports);
    body.add_output(Role::State, "0", next);
    let scan = ops::Scan {
        body: ops::scan::Body::new(body),
        carries: 1,
        sequences: 1,
        length: Dim::known(2),
        reverse: false,
        result: ops::LoopResult::Carry(0),
    };
    k.emit(scan, &[k.s, k.x, constant])
}

fn loops() -> Vec<Case> {
    fn sum(b: &mut Builder<'_>, [carry, slice, constant]: [NodeId; 3]) -> NodeId {
        let product = b.mul(slice, constant);
        b.add2(carry, product)
    }
    fn doubly_negated(b: &mut Builder<'_>, ports: [NodeId; 3]) -> NodeId {
        let sum = sum(b, ports);
        let negated = b.neg(sum);
        b.neg(negated)
    }
    fn with_invariant(b: &mut Builder<'_>, [carry, slice, constant]: [NodeId; 3]) -> NodeId {
        let factor = b.emit(ops::Exp, &[constant]);
        sum(b, [carry, slice, factor])
    }
    fn with_variant(b: &mut Builder<'_>, [carry, slice, constant]: [NodeId; 3]) -> NodeId {
        let factor = b.emit(ops::Exp, &[slice]);
        sum(b, [carry, constant, factor])
    }
    vec![
        case("loop-body", |k| looped(k, k.s, doubly_negated), |k| looped(k, k.s, sum)),
        case(
            "loop-constant",
            |k| looped(k, k.emit(ops::Constant { value: Scalar(2.0), ty: TensorType::f32(dims(&[3])) }, &[]), sum),
            |k| looped(k, k.s, sum),
        ),
        case("loop-invariant", |k| looped(k, k.s, with_invariant), |k| looped(k, k.s, with_variant)),
    ]
}

/// Pairs of six numbers in a row, with or without a place of padding.
fn pairs(padding: usize) -> ops::windows::PoolAttributes {
    let windows = ops::convolution::Windows { strides: vec![2], dilation: vec![1], padding: vec![(padding, padding)] };
    ops::windows::PoolAttributes { window: vec![2], windows }
}

fn pooling() -> Vec<Case> {
    fn pooled(k: &Kit, padding: usize) -> NodeId {
        let x = k.reshape(k.x, &[1, 6, 1]);
        k.emit(ops::MaxPool { attributes: pairs(padding) }, &[k.max(k.full(0.0, &[1, 6, 1]), x)])
    }
    fn derivative(k: &Kit, bound: f64) -> NodeId {
        let (x, g) = (k.reshape(k.x, &[1, 6, 1]), k.reshape(k.s, &[1, 3, 1]));
        let zero = k.full(0.0, &[1, 6, 1]);
        let rectified = k.max(k.full(bound, &[1, 6, 1]), x);
        let scattered = k.emit(ops::MaxPoolScatter { attributes: pairs(0) }, &[rectified, g]);
        k.select(k.less(zero, x), scattered, zero)
    }
    vec![
        case("max-pool-relu", |k| pooled(k, 0), |k| pooled(k, 1)),
        case("max-pool-scatter-relu", |k| derivative(k, 0.0), |k| derivative(k, 0.5)),
    ]
}

fn convolutions() -> Vec<Case> {
    /// Two places of three channels in, three out.
    fn convolved(k: &Kit) -> NodeId {
        let windows = ops::convolution::Windows { strides: vec![1], dilation: vec![1], padding: vec![(0, 0)] };
        let attributes = ops::convolution::ConvolutionAttributes { windows, groups: 1 };
        let kernel = k.spread(k.param, &[1, 3, 3], &[1]);
        k.emit(ops::Convolution { attributes }, &[k.reshape(k.x, &[1, 2, 3]), kernel])
    }
    fn of_channels(k: &Kit, vector: NodeId) -> NodeId {
        k.spread(vector, &[1, 2, 3], &[2])
    }
    fn scaled(k: &Kit, factor: NodeId) -> NodeId {
        k.mul(k.sub(convolved(k), of_channels(k, k.s)), of_channels(k, factor))
    }
    vec![
        case("convolution-scaled", |k| scaled(k, k.exp(k.param)), |k| scaled(k, k.exp(k.s))),
        case(
            "convolution-biases",
            |k| k.add(k.sub(convolved(k), of_channels(k, k.s)), of_channels(k, k.exp(k.s))),
            |k| k.add(k.sub(convolved(k), of_channels(k, k.s)), k.exp(k.reshape(k.x, &[1, 2, 3]))),
        ),
    ]
}

fn stable() -> Vec<Case> {
    vec![
        case("log-sigmoid", |k| k.log(k.sigmoid(k.x)), |k| k.log(k.max(k.num(1e-7), k.sigmoid(k.x)))),
        case(
            "log-one-minus-sigmoid",
            |k| k.log(k.sub(k.num(1.0), k.sigmoid(k.x))),
            |k| k.log(k.sub(k.num(2.0), k.sigmoid(k.x))),
        ),
        case("log-exp-quotient", |k| k.log(k.div(k.exp(k.x), k.exp(k.y))), |k| k.log(k.div(k.x, k.exp(k.y)))),
        case("log-softmax", |k| k.log(k.softmax(k.x)), |k| k.exp(k.softmax(k.x))),
        case("log-sum-exp", |k| k.log(k.rows(k.sum(k.exp(k.x), &[1]))), |k| k.log(k.rows(k.sum(k.abs(k.x), &[1])))),
        case(
            "minus-log-sum-exp",
            |k| k.sub(k.x, k.rows(k.log(k.sum(k.exp(k.x), &[1])))),
            |k| k.sub(k.x, k.rows(k.log(k.sum(k.exp(k.y), &[1])))),
        ),
        case("log1p-minus-sigmoid", |k| k.log1p(k.neg(k.sigmoid(k.x))), |k| k.log1p(k.sigmoid(k.x))),
        case("log-exp", |k| k.log(k.exp(k.x)), |k| k.exp(k.log(k.x))),
        case("log-one-plus", |k| k.log(k.add(k.num(1.0), k.x)), |k| k.log(k.add(k.num(2.0), k.x))),
        case("log1p-exp", |k| k.log1p(k.exp(k.x)), |k| k.log1p(k.x)),
        case("log-cosh", |k| k.log(k.cosh(k.x)), |k| k.exp(k.cosh(k.x))),
        case(
            "sigmoid-quotient",
            |k| k.div(k.exp(k.x), k.add(k.num(1.0), k.exp(k.x))),
            |k| k.div(k.exp(k.y), k.add(k.num(1.0), k.exp(k.x))),
        ),
        case(
            "softmax-quotient",
            |k| k.div(k.exp(k.x), k.rows(k.sum(k.exp(k.x), &[1]))),
            |k| k.div(k.exp(k.y), k.rows(k.sum(k.exp(k.x), &[1]))),
        ),
        case(
            "tanh-quotient",
            |k| k.div(k.sub(k.exp(k.x), k.exp(k.neg(k.x))), k.add(k.exp(k.x), k.exp(k.neg(k.x)))),
            |k| k.div(k.sub(k.exp(k.x), k.exp(k.neg(k.y))), k.add(k.exp(k.x), k.exp(k.neg(k.y)))),
        ),
        case("exp-minus-one", |k| k.sub(k.exp(k.x), k.num(1.0)), |k| k.sub(k.num(1.0), k.exp(k.x))),
    ]
}
