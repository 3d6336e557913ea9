//! For each op of the table: operands from what is there, or new ones, and attributes.

use super::growth::{Draws, Entry, Growth, random_shape};
use super::values::Values;
use anabranch::ir::{DType, Dim, TensorType};
use anabranch::ops::convolution::{ConvolutionAttributes, Windows};
use anabranch::ops::windows::PoolAttributes;
use anabranch::ops::{self, Distribution, InputKind, Op, Scalar};

mod by_index;
mod layout;
mod loops;

/// The functions of one float, as far as a name is one of theirs.
fn unary(name: &str) -> Option<Op> {
    let ops: [Op; 30] = [
        ops::Neg.into(),
        ops::Abs.into(),
        ops::Sign.into(),
        ops::Exp.into(),
        ops::Expm1.into(),
        ops::Log.into(),
        ops::Log1p.into(),
        ops::Sqrt.into(),
        ops::Rsqrt.into(),
        ops::Sin.into(),
        ops::Cos.into(),
        ops::Tan.into(),
        ops::Asin.into(),
        ops::Acos.into(),
        ops::Atan.into(),
        ops::Sinh.into(),
        ops::Cosh.into(),
        ops::Tanh.into(),
        ops::Asinh.into(),
        ops::Acosh.into(),
        ops::Atanh.into(),
        ops::Sigmoid.into(),
        ops::Softplus.into(),
        ops::Erf.into(),
        ops::LogGamma.into(),
        ops::Polygamma { order: 1 }.into(),
        ops::ErfInverse.into(),
        ops::Floor.into(),
        ops::Ceil.into(),
        ops::Round.into(),
    ];
    ops.into_iter().find(|op| op.name() == name)
}

/// The functions of two numbers.
fn binary(name: &str) -> Option<Op> {
    let ops: [Op; 12] = [
        ops::Add.into(),
        ops::Sub.into(),
        ops::Mul.into(),
        ops::Div.into(),
        ops::Rem.into(),
        ops::Pow.into(),
        ops::Max.into(),
        ops::Min.into(),
        ops::Atan2.into(),
        ops::Less.into(),
        ops::LessEqual.into(),
        ops::Equal.into(),
    ];
    ops.into_iter().find(|op| op.name() == name)
}

/// Adds a node of the op with this name; nothing where what was drawn does not fit.
///
/// # Panics
/// When the table has an op that this does not know: give it a row here.
pub fn grow(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    if let Some(op) = unary(name) {
        return grow_unary(g, op, draws);
    }
    if let Some(op) = binary(name) {
        return grow_binary(g, op, draws);
    }
    match name {
        "input" | "constant" | "size" | "iota" | "random" => leaf(g, name, draws),
        "is_nan" | "and" | "or" | "not" | "where" | "cast" => choice(g, name, draws),
        "matmul" | "cholesky" | "triangular_solve" | "orthonormal" | "solve" | "eigh" | "pinv" | "simplex_qp"
        | "nonneg_qp" => matrices(g, name, draws),
        "convolution" | "convolution_input_gradient" | "convolution_kernel_gradient" => convolution(g, name, draws),
        "max_pool" | "max_pool_scatter" | "max_pool_select" | "average_pool" | "average_pool_scatter" => {
            pooling(g, name, draws)
        }
        "sum" | "product" | "max_reduce" | "log_sum_exp" => reduction(g, name, draws),
        "argmax" | "cumulative_sum" | "linear_recurrence" | "softmax" | "log_softmax" | "sort" | "argsort" => {
            along(g, name, draws)
        }
        "reshape" | "transpose" | "broadcast" | "concat" | "slice" | "pad" | "reverse" => layout::grow(g, name, draws),
        "gather" | "scatter_add" | "take_along" | "put_along" => by_index::grow(g, name, draws),
        "scan" => loops::grow(g, draws),
        "by_mode" => {
            let training = g.any(draws);
            let prediction = g.like(draws, &g.ty(&training));
            if g.is_body { None } else { g.apply(ops::ByMode, &[&training, &prediction]) }
        }
        "stop" => {
            let x = g.any(draws);
            g.apply(ops::StopGradient, &[&x])
        }
        "gradient" => gradient(g, draws),
        "directed" => {
            let y = g.float(draws);
            let axes = (0..g.ty(&y).rank()).collect();
            let total = g.apply(ops::Sum { axes }, &[&y])?;
            let x = g.float(draws);
            let direction = g.like(draws, &g.ty(&x));
            g.apply(ops::Directed, &[&total, &x, &direction])
        }
        other => panic!("no generator for `{other}`: give it one in tests/common/every_op/generators.rs"),
    }
}

fn leaf(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let shape = random_shape(draws, 0);
    let numbers = [DType::F32, DType::F32, DType::I32];
    match name {
        "input" if g.is_body => None,
        "input" => {
            let clock = [InputKind::Step, InputKind::Epoch, InputKind::EpochEnd, InputKind::Seed];
            let kind = draws.of(&[InputKind::Input, InputKind::Target, InputKind::Param, InputKind::State]);
            match draws.below(8) {
                0 => Some(g.leaf_of("c", draws.of(&clock), TensorType::scalar(DType::I32))),
                1 => Some(g.leaf_of("b", InputKind::Input, TensorType::new(DType::Bool, shape))),
                2 => Some(g.leaf_of("i", InputKind::Input, TensorType::new(DType::I32, shape))),
                // Fed ones have a row for each sample, carried ones known extents.
                _ if matches!(kind, InputKind::Input | InputKind::Target) => {
                    let shape = [vec![Dim::batch()], shape].concat();
                    Some(g.leaf_of("x", kind, TensorType::f32(shape)))
                }
                _ => {
                    let known = shape.into_iter().filter(|dim| dim.as_known().is_some()).collect();
                    Some(g.leaf_of("p", kind, TensorType::f32(known)))
                }
            }
        }
        "constant" => {
            let ty = TensorType::new(draws.of(&numbers), shape);
            let value =
                if ty.is_float() { draws.of(&[0.0, 1.0, -1.0, 0.5, 2.0, -0.75]) } else { draws.of(&[0.0, 1.0, -2.0]) };
            g.apply(ops::Constant { value: Scalar(value), ty }, &[])
        }
        "size" if g.is_body => None,
        "size" => g.apply(ops::Size { dim: Dim::batch().offset(draws.below(3) as i64)? }, &[]),
        "iota" if shape.is_empty() => None,
        "iota" => {
            g.apply(ops::Iota { axis: draws.below(shape.len()), ty: TensorType::new(draws.of(&numbers), shape) }, &[])
        }
        // In the body of a loop it reads the loop's time, which lowering provides.
        "random" if g.is_body => None,
        _ => {
            let kinds = [InputKind::Seed, InputKind::Step];
            let [seed, step] = kinds.map(|kind| g.leaf_of("c", kind, TensorType::scalar(DType::I32)));
            let distribution = draws.of(&[Distribution::Uniform, Distribution::Normal]);
            let stream = draws.below(1000) as u32;
            g.apply(ops::Random { distribution, stream, ty: TensorType::f32(shape) }, &[&seed, &step])
        }
    }
}

/// The value brought to within (-0.9, 0.9), or to above 1.
fn tamed(g: &mut Growth, x: &Entry, is_large: bool) -> Option<Entry> {
    let ty = Some(g.ty(x)).filter(TensorType::is_float)?;
    let factor = g.apply(ops::Constant { value: Scalar(if is_large { 1.1 } else { 0.9 }), ty }, &[])?;
    if is_large {
        let square = g.apply(ops::Mul, &[x, x])?;
        g.apply(ops::Add, &[&square, &factor])
    } else {
        let small = g.apply(ops::Tanh, &[x])?;
        g.apply(ops::Mul, &[&small, &factor])
    }
}

fn grow_unary(g: &mut Growth, op: Op, draws: &mut Draws) -> Option<Entry> {
    let x = if op.name() == "neg" && draws.flag() { g.any(draws) } else { g.float(draws) };
    if let Some(found) = g.apply(op.clone(), &[&x]) {
        return Some(found);
    }
    for is_large in [false, true] {
        let tame = tamed(g, &x, is_large)?;
        if let Some(found) = g.apply(op.clone(), &[&tame]) {
            return Some(found);
        }
    }
    None
}

fn grow_binary(g: &mut Growth, op: Op, draws: &mut Draws) -> Option<Entry> {
    let x = if draws.below(4) == 0 {
        g.pick(draws, |ty| ty.dtype == DType::I32, |draws| TensorType::new(DType::I32, random_shape(draws, 0)))
    } else {
        g.float(draws)
    };
    let ty = g.ty(&x);
    let y = match draws.below(4) {
        0 if ty.is_float() => {
            let value = Scalar(draws.of(&[0.0, 1.0, -1.0, 2.0, 0.5, 3.0, -0.7, 1.3, 0.1]));
            g.apply(ops::Constant { value, ty: ty.clone() }, &[])?
        }
        1 => x.clone(),
        _ => g.like(draws, &ty),
    };
    let operands = if draws.flag() { [&x, &y] } else { [&y, &x] };
    if let Some(found) = g.apply(op.clone(), &operands) {
        return Some(found);
    }
    // Away from zeros, negative bases and jumps.
    let (x, y) = (tamed(g, &x, true)?, tamed(g, &y, true)?);
    g.apply(op, &[&x, &y])
}

fn bools(g: &mut Growth, draws: &mut Draws) -> Entry {
    g.pick(draws, |ty| ty.dtype == DType::Bool, |draws| TensorType::new(DType::Bool, random_shape(draws, 0)))
}

fn choice(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    match name {
        "is_nan" => {
            let is_missing = !g.is_body && draws.flag();
            let x = if is_missing {
                let ty = TensorType::f32(random_shape(draws, 0));
                g.named_leaf("missing", ty)
            } else {
                g.float(draws)
            };
            let mask = g.apply(ops::IsNan, &[&x])?;
            if is_missing {
                // The only ways by which a value with NaN goes on.
                let zero = g.apply(ops::Constant { value: Scalar(0.0), ty: g.ty(&x) }, &[])?;
                g.apply(ops::Select, &[&mask, &zero, &x]);
            }
            Some(mask)
        }
        "not" => {
            let x = bools(g, draws);
            g.apply(ops::Not, &[&x])
        }
        "and" | "or" => {
            let x = bools(g, draws);
            let y = g.like(draws, &g.ty(&x));
            if name == "and" { g.apply(ops::And, &[&x, &y]) } else { g.apply(ops::Or, &[&x, &y]) }
        }
        "where" => {
            let x = g.any(draws);
            let y = g.like(draws, &g.ty(&x));
            let mask = g.like(draws, &TensorType::new(DType::Bool, g.shape(&x)));
            g.apply(ops::Select, &[&mask, &x, &y])
        }
        _ => {
            let x = g.any(draws);
            g.apply(ops::Cast { to: draws.of(&[DType::F32, DType::I32, DType::Bool]) }, &[&x])
        }
    }
}

fn matrices(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    if name == "matmul" {
        let x = g.float_of_rank(draws, 2);
        let op = ops::MatMul { transpose_x: draws.flag(), transpose_y: draws.flag() };
        let mut shape = g.shape(&x);
        let inner = shape[shape.len() - if op.transpose_x { 2 } else { 1 }].clone();
        let columns = Dim::known(draws.of(&[1, 2, 3, 16, 19]));
        shape.truncate(shape.len() - 2);
        shape.extend(if op.transpose_y { [columns, inner] } else { [inner, columns] });
        let y = g.like(draws, &TensorType::f32(shape));
        return g.apply(op, &[&x, &y]);
    }
    if g.is_body {
        return None;
    }
    let order = Dim::known(1 + draws.below(4));
    let square = TensorType::f32(vec![order.clone(), order.clone()]);
    let matrix = g.named_leaf("matrix", square);
    if name == "solve" {
        let columns = [vec![], vec![Dim::known(1 + draws.below(3))]];
        let columns = draws.of(&columns);
        let right = g.like(draws, &TensorType::f32([vec![order], columns].concat()));
        return g.apply(ops::Solve { transpose: draws.flag() }, &[&matrix, &right]);
    }
    if name == "orthonormal" {
        return g.apply(ops::Orthonormal, &[&matrix]);
    }
    if name == "triangular_solve" {
        let columns = Dim::known(1 + draws.below(3));
        let right = g.like(draws, &TensorType::f32(vec![order, columns]));
        let op = ops::TriangularSolve { upper: draws.flag(), transpose: draws.flag() };
        return g.apply(op, &[&matrix, &right]);
    }
    let gram = g.apply(ops::MatMul { transpose_x: false, transpose_y: true }, &[&matrix, &matrix])?;
    if name == "eigh" {
        return g.apply(ops::Eigh, &[&gram]);
    }
    if name == "pinv" {
        return g.apply(ops::Pinv { tolerance: Scalar(1e-6) }, &[&gram]);
    }
    if name == "cholesky" {
        return g.apply(ops::Cholesky, &[&gram]);
    }
    let bound = g.like(draws, &TensorType::f32(vec![order]));
    if name == "simplex_qp" {
        return if draws.flag() {
            g.apply(ops::SimplexQp, &[&gram])
        } else {
            g.apply(ops::SimplexQp, &[&gram, &bound])
        };
    }
    g.apply(ops::NonnegQp, &[&gram, &bound])
}

/// A value with one to three spatial axes and how windows move over it.
fn windows(g: &mut Growth, draws: &mut Draws) -> (Entry, Windows) {
    let wanted = |ty: &TensorType| ty.is_float() && (3..=5).contains(&ty.rank());
    let x = g.pick(draws, wanted, |draws| {
        let n = 1 + draws.below(3);
        let spatial: Vec<Dim> = (0..n).map(|_| Dim::known(draws.of(&[3, 4, 6]))).collect();
        let channels = if n == 2 { draws.of(&[1, 2, 4, 16]) } else { draws.of(&[1, 2, 4]) };
        TensorType::f32([vec![Dim::batch()], spatial, vec![Dim::known(channels)]].concat())
    });
    let n = g.ty(&x).rank() - 2;
    let plain = draws.flag();
    let windows = if plain {
        Windows { padding: vec![(1, 1); n], ..Windows::plain(n) }
    } else {
        Windows {
            strides: (0..n).map(|_| 1 + draws.below(2)).collect(),
            dilation: (0..n).map(|_| 1 + draws.below(2)).collect(),
            padding: (0..n).map(|_| (draws.below(3), draws.below(3))).collect(),
        }
    };
    (x, windows)
}

fn convolution(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let (x, windows) = windows(g, draws);
    let shape = g.shape(&x);
    let n = windows.n_axes();
    let channels = shape[n + 1].as_known()?;
    let divisors: Vec<usize> = (1..=channels).filter(|groups| channels % groups == 0).collect();
    let groups = if draws.flag() { 1 } else { draws.of(&divisors) };
    let window: Vec<Dim> = (0..n).map(|_| Dim::known(draws.of(&[1, 2, 3, 3]))).collect();
    let filters = Dim::known(groups * if channels == 16 { 16 } else { draws.of(&[1, 2, 3]) });
    let kernel = TensorType::f32([window, vec![Dim::known(channels / groups), filters]].concat());
    let attributes = ConvolutionAttributes { windows, groups };
    let forward = ops::Convolution { attributes: attributes.clone() };
    let y = Op::from(forward.clone()).infer(&[&g.ty(&x), &kernel]).ok()?;
    match name {
        "convolution" => {
            let kernel = g.like(draws, &kernel);
            g.apply(forward, &[&x, &kernel])
        }
        "convolution_input_gradient" => {
            let (cotangent, kernel) = (g.like(draws, &y), g.like(draws, &kernel));
            g.apply(ops::ConvolutionInputGradient { attributes, shape }, &[&cotangent, &kernel])
        }
        _ => {
            let cotangent = g.like(draws, &y);
            g.apply(ops::ConvolutionKernelGradient { attributes, shape: kernel.shape }, &[&x, &cotangent])
        }
    }
}

fn pooling(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let (x, windows) = windows(g, draws);
    let shape = g.shape(&x);
    let window = (0..windows.n_axes()).map(|_| draws.of(&[1, 2, 3])).collect();
    let attributes = PoolAttributes { window, windows };
    let y = Op::from(ops::AveragePool { attributes: attributes.clone() }).infer(&[&g.ty(&x)]).ok()?;
    match name {
        "max_pool" => g.apply(ops::MaxPool { attributes }, &[&x]),
        "average_pool" => g.apply(ops::AveragePool { attributes }, &[&x]),
        "max_pool_scatter" => {
            let cotangent = g.like(draws, &y);
            g.apply(ops::MaxPoolScatter { attributes }, &[&x, &cotangent])
        }
        "max_pool_select" => {
            let tangent = g.like(draws, &g.ty(&x));
            g.apply(ops::MaxPoolSelect { attributes }, &[&x, &tangent])
        }
        _ => {
            let cotangent = g.like(draws, &y);
            g.apply(ops::AveragePoolScatter { attributes, shape }, &[&cotangent])
        }
    }
}

fn reduction(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let x = g.float(draws);
    let axes: Vec<usize> = (0..g.ty(&x).rank()).filter(|_| draws.flag()).collect();
    match name {
        "sum" => g.apply(ops::Sum { axes }, &[&x]),
        "product" => g.apply(ops::Product { axes }, &[&x]),
        "max_reduce" => g.apply(ops::MaxReduce { axes }, &[&x]),
        _ => g.apply(ops::LogSumExp { axes }, &[&x]),
    }
}

fn along(g: &mut Growth, name: &str, draws: &mut Draws) -> Option<Entry> {
    let x = g.float_of_rank(draws, 1);
    let axis = draws.below(g.ty(&x).rank());
    let (reverse, descending) = (draws.flag(), draws.flag());
    match name {
        "argmax" => g.apply(ops::ArgMax { axis }, &[&x]),
        "cumulative_sum" => g.apply(ops::CumulativeSum { axis, reverse, exclusive: draws.flag() }, &[&x]),
        "linear_recurrence" => {
            let factors = g.like(draws, &g.ty(&x));
            g.apply(ops::LinearRecurrence { axis, reverse }, &[&factors, &x])
        }
        "softmax" => g.apply(ops::Softmax { axis }, &[&x]),
        "log_softmax" => g.apply(ops::LogSoftmax { axis }, &[&x]),
        "sort" => g.apply(ops::Sort { axis, descending }, &[&x]),
        _ => g.apply(ops::ArgSort { axis, descending }, &[&x]),
    }
}

/// Of the sum of something by a leaf or by a value on the way.
fn gradient(g: &mut Growth, draws: &mut Draws) -> Option<Entry> {
    let y = g.float(draws);
    let axes = (0..g.ty(&y).rank()).collect();
    let total = g.apply(ops::Sum { axes }, &[&y])?;
    let x = g.float(draws);
    g.gradient(&total, &x)
}

/// How long an axis of a value is.
fn extent(value: &Values, axis: usize) -> usize {
    value.shape()[axis]
}
