//! What each op's shape rule refuses: a row a constraint, with the message that the user reads.

use crate::ops::{dims, ty, types};
use anabranch::ir::{DType, Dim, TensorType};
use anabranch::ops::convolution::{ConvolutionAttributes, Windows};
use anabranch::ops::windows::PoolAttributes;
use anabranch::ops::*;
use std::collections::BTreeSet;

struct Row {
    op: Op,
    operands: &'static str,
    message: &'static str,
}

fn row(op: impl Into<Op>, operands: &'static str, message: &'static str) -> Row {
    Row { op: op.into(), operands, message }
}

#[test]
fn broken_constraints_are_named() {
    for Row { op, operands, message } in rows() {
        let types = types(operands);
        let types: Vec<&TensorType> = types.iter().collect();
        match op.infer(&types) {
            Ok(ty) => panic!("{}({operands}) is accepted as {ty}", op.name()),
            Err(error) => assert_eq!(error.message, message, "{}({operands})", op.name()),
        }
    }
}

#[test]
fn every_op_has_a_refusal() {
    let covered: BTreeSet<&str> = rows().iter().map(|row| row.op.name()).collect();
    let missing: Vec<&&str> = Op::NAMES.iter().filter(|name| !covered.contains(**name)).collect();
    assert!(missing.is_empty(), "ops whose shape rule is not tested: {missing:?}");
}

fn uniform() -> Random {
    Random { distribution: Distribution::Uniform, stream: 0, ty: ty("f32[2]") }
}

fn plain_matmul() -> MatMul {
    MatMul::default()
}

fn attributes(n_axes: usize) -> ConvolutionAttributes {
    ConvolutionAttributes { windows: Windows::plain(n_axes), groups: 1 }
}

fn convolution(n_axes: usize) -> Convolution {
    Convolution { attributes: attributes(n_axes) }
}

fn input_gradient(shape: &str) -> ConvolutionInputGradient {
    ConvolutionInputGradient { attributes: attributes(1), shape: dims(shape) }
}

fn kernel_gradient(shape: &str) -> ConvolutionKernelGradient {
    ConvolutionKernelGradient { attributes: attributes(1), shape: dims(shape) }
}

fn pooling(window: usize) -> PoolAttributes {
    PoolAttributes { window: vec![window], windows: Windows::plain(1) }
}

fn cumulative_sum(axis: usize) -> CumulativeSum {
    CumulativeSum { axis, reverse: false, exclusive: false }
}

fn recurrence(axis: usize) -> LinearRecurrence {
    LinearRecurrence { axis, reverse: false }
}

fn slice(starts: &str, extents: &str, strides: &[usize]) -> Slice {
    Slice { starts: dims(starts), extents: dims(extents), strides: strides.to_vec() }
}

fn pad(starts: &str, strides: &[usize], shape: &str) -> Pad {
    Pad { starts: dims(starts), strides: strides.to_vec(), shape: dims(shape) }
}

fn take_along(axis: usize) -> TakeAlong {
    TakeAlong { axis, fill: Scalar(0.0) }
}

fn put_along(axis: usize) -> PutAlong {
    PutAlong { axis, extent: Dim::known(2) }
}

fn rows() -> Vec<Row> {
    let areas = [
        leaves(),
        functions_of_one(),
        functions_of_two(),
        truth_values(),
        products(),
        convolutions(),
        windows(),
        reductions(),
        along_an_axis(),
        layout(),
        parts(),
        by_index(),
        loops(),
        matrices_and_modes(),
    ];
    areas.into_iter().flatten().collect()
}

fn loops() -> Vec<Row> {
    let sums = |result| crate::ops::loops::sums(3, false, result);
    let last = LoopResult::Carry(0);
    vec![
        row(
            sums(last),
            "f32[2], i32",
            "scan over 3 steps with 2 carries and 1 sequences has 2 operands and 3 outputs (C1)",
        ),
        row(sums(last), "f32[2], i32, f32[3, 2], f32", "port 3 of a scan is f32[2], not its operand (C1)"),
        row(sums(last), "f32[2], i32, f32[4, 2], f32[2]", "scan over 3 steps cannot read f32[4, 2] (C2)"),
        row(
            Scan { carries: 1, sequences: 2, ..sums(LoopResult::Carry(1)) },
            "f32[2], i32[3], f32[3, 2], f32[2]",
            "a scan has no carry 1 (C5)",
        ),
        row(sums(LoopResult::Stacked(1)), "f32[2], i32, f32[3, 2], f32[2]", "a scan has no stacked 1 (C5)"),
    ]
}

fn leaves() -> Vec<Row> {
    vec![
        row(Input { kind: InputKind::Input, ty: ty("f32") }, "f32", "input takes 0 operands, got 1"),
        row(Constant { value: Scalar(1.0), ty: ty("f32") }, "f32", "constant takes 0 operands, got 1"),
        row(Size { dim: Dim::batch() }, "f32", "size takes 0 operands, got 1"),
        row(Iota { axis: 1, ty: ty("i32[2]") }, "", "iota: axis 1 of i32[2] (C1)"),
        row(uniform(), "i32, f32", "random takes an i32 seed and step, found i32 and f32 (C1)"),
        row(uniform(), "i32[1], i32", "random takes an i32 seed and step, found i32[1] and i32 (C1)"),
    ]
}

fn functions_of_one() -> Vec<Row> {
    vec![
        row(Neg, "i32[2]", "neg takes f32, found i32[2] (C1)"),
        row(Abs, "i32[2]", "abs takes f32, found i32[2] (C1)"),
        row(Sign, "i32[2]", "sign takes f32, found i32[2] (C1)"),
        row(Exp, "i32[2]", "exp takes f32, found i32[2] (C1)"),
        row(Expm1, "i32[2]", "expm1 takes f32, found i32[2] (C1)"),
        row(Log, "i32[2]", "log takes f32, found i32[2] (C1)"),
        row(Log1p, "i32[2]", "log1p takes f32, found i32[2] (C1)"),
        row(Sqrt, "i32[2]", "sqrt takes f32, found i32[2] (C1)"),
        row(Rsqrt, "i32[2]", "rsqrt takes f32, found i32[2] (C1)"),
        row(Sin, "i32[2]", "sin takes f32, found i32[2] (C1)"),
        row(Cos, "i32[2]", "cos takes f32, found i32[2] (C1)"),
        row(Tan, "i32[2]", "tan takes f32, found i32[2] (C1)"),
        row(Asin, "i32[2]", "asin takes f32, found i32[2] (C1)"),
        row(Acos, "i32[2]", "acos takes f32, found i32[2] (C1)"),
        row(Atan, "i32[2]", "atan takes f32, found i32[2] (C1)"),
        row(Sinh, "i32[2]", "sinh takes f32, found i32[2] (C1)"),
        row(Cosh, "i32[2]", "cosh takes f32, found i32[2] (C1)"),
        row(Tanh, "i32[2]", "tanh takes f32, found i32[2] (C1)"),
        row(Asinh, "i32[2]", "asinh takes f32, found i32[2] (C1)"),
        row(Acosh, "i32[2]", "acosh takes f32, found i32[2] (C1)"),
        row(Atanh, "i32[2]", "atanh takes f32, found i32[2] (C1)"),
        row(Sigmoid, "i32[2]", "sigmoid takes f32, found i32[2] (C1)"),
        row(Softplus, "i32[2]", "softplus takes f32, found i32[2] (C1)"),
        row(Erf, "i32[2]", "erf takes f32, found i32[2] (C1)"),
        row(LogGamma, "i32[2]", "lgamma takes f32, found i32[2] (C1)"),
        row(ErfInverse, "i32[2]", "erfinv takes f32, found i32[2] (C1)"),
        row(Polygamma { order: 0 }, "i32[2]", "polygamma takes f32, found i32[2] (C1)"),
        row(Floor, "i32[2]", "floor takes f32, found i32[2] (C1)"),
        row(Ceil, "i32[2]", "ceil takes f32, found i32[2] (C1)"),
        row(Round, "i32[2]", "round takes f32, found i32[2] (C1)"),
        row(IsNan, "i32[2]", "is_nan takes f32, found i32[2] (C1)"),
    ]
}

fn functions_of_two() -> Vec<Row> {
    vec![
        row(Add, "f32[2], f32[3]", "cannot add f32[2] and f32[3] (C1)"),
        row(Sub, "f32[2], f32[3]", "cannot subtract f32[2] and f32[3] (C1)"),
        row(Mul, "f32[2], f32[3]", "cannot multiply f32[2] and f32[3] (C1)"),
        row(Div, "f32[2], f32[3]", "cannot divide f32[2] and f32[3] (C1)"),
        row(Rem, "f32[2], f32[3]", "rem cannot take f32[2] and f32[3] (C1)"),
        row(Pow, "f32[2], f32[3]", "pow cannot take f32[2] and f32[3] (C1)"),
        row(Max, "f32[2], f32[3]", "max cannot take f32[2] and f32[3] (C1)"),
        row(Min, "f32[2], f32[3]", "min cannot take f32[2] and f32[3] (C1)"),
        row(Atan2, "f32[2], f32[3]", "atan2 cannot take f32[2] and f32[3] (C1)"),
        row(Add, "f32[batch, 1], f32[batch]", "cannot add f32[batch, 1] and f32[batch] (C1)"),
        row(Add, "f32[2], i32[2]", "cannot add f32[2] and i32[2]: element types differ (C2)"),
        row(Add, "bool, bool", "add takes numbers, found bool (C2)"),
        row(Add, "f32", "add takes 2 operands, got 1"),
        row(Atan2, "i32, i32", "atan2 takes f32, found i32 (C2)"),
    ]
}

fn truth_values() -> Vec<Row> {
    vec![
        row(Less, "f32[2], f32[3]", "cannot compare f32[2] and f32[3] (C1)"),
        row(Less, "f32, i32", "cannot compare f32 and i32: element types differ (C2)"),
        row(Less, "bool, bool", "less takes numbers, found bool (C3)"),
        row(LessEqual, "bool, bool", "less_equal takes numbers, found bool (C3)"),
        row(Equal, "f32[2], f32", "cannot compare f32[2] and f32 (C1)"),
        row(And, "bool[2], bool[3]", "and cannot take bool[2] and bool[3] (C1)"),
        row(And, "i32, i32", "and takes bool, found i32 (C2)"),
        row(Or, "f32, f32", "or takes bool, found f32 (C2)"),
        row(Not, "f32", "not takes bool, found f32 (C2)"),
        row(Select, "bool, f32[2], f32[2]", "where cannot choose between f32[2] and f32[2] by bool (C1)"),
        row(Select, "bool, f32, i32", "where cannot choose between f32 and i32: element types differ (C2)"),
        row(Select, "f32, f32, f32", "where takes a bool mask, found f32 (C3)"),
        row(Cast { to: DType::F32 }, "f32, f32", "cast takes 1 operand, got 2"),
    ]
}

fn products() -> Vec<Row> {
    vec![
        row(
            plain_matmul(),
            "i32[2, 2], f32[2, 2]",
            "cannot multiply matrices i32[2, 2] and f32[2, 2]: both must be f32 (C1)",
        ),
        row(plain_matmul(), "f32[2], f32[2]", "cannot multiply matrices f32[2] and f32[2] (C1)"),
        row(
            plain_matmul(),
            "f32[2, 2, 2], f32[3, 2, 2]",
            "cannot multiply matrices f32[2, 2, 2] and f32[3, 2, 2] (C1)",
        ),
        row(
            plain_matmul(),
            "f32[2, 3], f32[2, 3]",
            "cannot multiply matrices f32[2, 3] and f32[2, 3]: 3 against 2 (C2)",
        ),
        row(
            MatMul { transpose_x: true, transpose_y: true },
            "f32[2, 3], f32[2, 3]",
            "cannot multiply matrices f32[2, 3] and f32[2, 3]: 2 against 3 (C2)",
        ),
    ]
}

fn convolutions() -> Vec<Row> {
    vec![
        row(
            convolution(1),
            "f32[1, 5, 2], f32[2, 1]",
            "a convolution over 1 axes needs x with 3 axes and a kernel with as many, found f32[1, 5, 2] and f32[2, 1] (C1)",
        ),
        row(
            convolution(1),
            "i32[1, 5, 2], f32[2, 2, 1]",
            "convolution takes f32, found i32[1, 5, 2] and a kernel f32[2, 2, 1]",
        ),
        row(
            convolution(4),
            "f32[1, 2, 2, 2, 2, 1], f32[1, 1, 1, 1, 1, 1]",
            "convolution works on 1 to 3 spatial axes (C1)",
        ),
        row(
            convolution(1),
            "f32[1, 5, 3], f32[2, 2, 1]",
            "convolution of f32[1, 5, 3] by a kernel f32[2, 2, 1] in 1 groups: 3 channels and 1 filters do not make groups of 2 channels (C2)",
        ),
        row(
            convolution(1),
            "f32[1, 5, 2], f32[6, 2, 1]",
            "convolution: a window of 6 (dilation 1) does not fit 5 elements with padding (0, 0) (C3)",
        ),
        row(
            convolution(1),
            "f32[1, 5, c], f32[2, 2, 1]",
            "convolution: the number of channels must be known at compile time, found c (C4)",
        ),
        row(
            convolution(1),
            "f32[1, 5, 2], f32[0, 2, 1]",
            "convolution: strides, dilation and window must be at least 1",
        ),
        row(
            input_gradient("1, 5, 2"),
            "f32[1, 5, 1], f32[2, 2, 1]",
            "convolution_input_gradient: a cotangent f32[1, 5, 1] for a result f32[1, 4, 1]",
        ),
        row(
            kernel_gradient("2, 2, 1"),
            "f32[1, 5, 2], f32[1, 3, 1]",
            "convolution_kernel_gradient: a cotangent f32[1, 3, 1] for a result f32[1, 4, 1]",
        ),
    ]
}

fn windows() -> Vec<Row> {
    vec![
        row(
            MaxPool { attributes: pooling(2) },
            "f32[1, 5]",
            "max_pool over 1 axes needs x with 3 axes, found f32[1, 5] (C1)",
        ),
        row(MaxPool { attributes: pooling(2) }, "i32[1, 5, 1]", "max_pool takes f32, found i32[1, 5, 1]"),
        row(
            MaxPool { attributes: pooling(6) },
            "f32[1, 5, 1]",
            "max_pool: a window of 6 (dilation 1) does not fit 5 elements with padding (0, 0) (C3)",
        ),
        row(
            MaxPoolScatter { attributes: pooling(2) },
            "f32[1, 5, 1], f32[1, 5, 1]",
            "max_pool_scatter: a value f32[1, 5, 1] for windows f32[1, 4, 1]",
        ),
        row(
            MaxPoolSelect { attributes: pooling(2) },
            "f32[1, 5, 1], f32[1, 4, 1]",
            "max_pool_select: a value f32[1, 4, 1] for windows f32[1, 5, 1]",
        ),
        row(
            AveragePool { attributes: pooling(6) },
            "f32[1, 5, 1]",
            "average_pool: a window of 6 (dilation 1) does not fit 5 elements with padding (0, 0) (C3)",
        ),
        row(
            AveragePoolScatter { attributes: pooling(2), shape: dims("1, 5, 1") },
            "f32[1, 5, 1]",
            "average_pool_scatter: a value f32[1, 5, 1] for windows f32[1, 4, 1]",
        ),
    ]
}

fn reductions() -> Vec<Row> {
    vec![
        row(Sum { axes: vec![2] }, "f32[2, 2]", "sum: axis 2 of a value of rank 2 (C1)"),
        row(Sum { axes: vec![1, 0] }, "f32[2, 2]", "sum: axes [1, 0] must be distinct and in order (C1)"),
        row(Sum { axes: vec![0, 0] }, "f32[2, 2]", "sum: axes [0, 0] must be distinct and in order (C1)"),
        row(Sum { axes: vec![0] }, "bool[2]", "sum takes numbers, found bool[2]"),
        row(Product { axes: vec![1] }, "f32[2]", "product: axis 1 of a value of rank 1 (C1)"),
        row(Product { axes: vec![0] }, "i32[2]", "product takes f32, found i32[2]"),
        row(
            Product { axes: vec![0] },
            "f32[1099511627776]",
            "a product over axes [0] of f32[1099511627776] has too many elements (C2)",
        ),
        row(MaxReduce { axes: vec![1] }, "f32[2]", "max: axis 1 of a value of rank 1 (C1)"),
        row(MaxReduce { axes: vec![0] }, "bool[2]", "max takes numbers, found bool[2]"),
        row(LogSumExp { axes: vec![1] }, "f32[2]", "log_sum_exp: axis 1 of a value of rank 1 (C1)"),
        row(LogSumExp { axes: vec![0] }, "i32[2]", "log_sum_exp takes f32, found i32[2]"),
        row(ArgMax { axis: 1 }, "f32[2]", "argmax: axis 1 of a value of rank 1 (C1)"),
        row(ArgMax { axis: 0 }, "f32[0]", "argmax over axis 0 of f32[0], which is empty (C2)"),
        row(ArgMax { axis: 0 }, "bool[2]", "argmax takes numbers, found bool[2]"),
    ]
}

fn along_an_axis() -> Vec<Row> {
    vec![
        row(cumulative_sum(1), "f32[2]", "cumulative_sum: axis 1 of a value of rank 1 (C1)"),
        row(cumulative_sum(0), "bool[2]", "cumulative_sum takes numbers, found bool[2]"),
        row(recurrence(0), "f32[2], f32[3]", "linear_recurrence cannot take f32[2] and f32[3] (C1)"),
        row(recurrence(0), "i32[2], i32[2]", "linear_recurrence takes f32, found i32[2] (C2)"),
        row(recurrence(1), "f32[2], f32[2]", "linear_recurrence along axis 1 of f32[2] (C3)"),
        row(
            recurrence(0),
            "f32[1099511627776], f32[1099511627776]",
            "linear_recurrence over 1099511627776 elements is beyond the limits (C4)",
        ),
        row(Softmax { axis: 0 }, "f32", "softmax: axis 0 of a value of rank 0 (C1)"),
        row(Softmax { axis: 0 }, "i32[2]", "softmax takes f32, found i32[2]"),
        row(LogSoftmax { axis: 0 }, "f32", "log_softmax: axis 0 of a value of rank 0 (C1)"),
        row(LogSoftmax { axis: 0 }, "i32[2]", "log_softmax takes f32, found i32[2]"),
        row(Sort { axis: 1, descending: false }, "f32[2]", "sort: axis 1 of a value of rank 1 (C1)"),
        row(Sort { axis: 0, descending: false }, "bool[2]", "sort takes numbers, found bool[2]"),
        row(ArgSort { axis: 1, descending: false }, "f32[2]", "argsort: axis 1 of a value of rank 1 (C1)"),
        row(ArgSort { axis: 0, descending: false }, "bool[2]", "argsort takes numbers, found bool[2]"),
    ]
}

fn layout() -> Vec<Row> {
    vec![
        row(Reshape { shape: dims("2, 2") }, "f32[3]", "cannot reshape f32[3] to [2, 2]: 3 elements against 4 (C1)"),
        row(
            Reshape { shape: dims("4, batch") },
            "f32[batch, 3]",
            "cannot reshape f32[batch, 3] to [4, batch]: 3*batch elements against 4*batch (C1)",
        ),
        row(
            Reshape { shape: dims("1099511627776, 2") },
            "f32[3]",
            "a reshape of f32[3] to [1099511627776, 2] has too many elements",
        ),
        row(
            Transpose { permutation: vec![0, 0] },
            "f32[2, 2]",
            "cannot transpose f32[2, 2] by [0, 0]: not an order of its axes (C1)",
        ),
        row(
            Transpose { permutation: vec![0] },
            "f32[2, 2]",
            "cannot transpose f32[2, 2] by [0]: not an order of its axes (C1)",
        ),
        row(Broadcast { shape: dims("3, 2"), axes: vec![2] }, "f32[2]", "broadcast: axis 2 of a value of rank 2 (C1)"),
        row(Broadcast { shape: dims("3, 2"), axes: vec![0] }, "f32[2]", "cannot broadcast f32[2] to [3, 2] (C2)"),
        row(Concat { axis: 0 }, "", "concat needs at least one value (C1)"),
        row(Concat { axis: 0 }, "f32[2], i32[2]", "cannot concat f32[2] and i32[2] along axis 0 (C2)"),
        row(Concat { axis: 0 }, "f32[2, 1], f32[2, 2]", "cannot concat f32[2, 1] and f32[2, 2] along axis 0 (C2)"),
        row(Concat { axis: 1 }, "f32[2], f32[2]", "cannot concat f32[2] along axis 1 (C3)"),
        row(Concat { axis: 0 }, "f32[1099511627776], f32[1]", "the result of concat has too many elements"),
    ]
}

fn parts() -> Vec<Row> {
    vec![
        row(slice("0", "2", &[1, 1]), "f32[3]", "a slice of f32[3] needs a range for each axis (C1)"),
        row(slice("0", "1", &[0]), "f32[3]", "a slice of f32[3] needs a range for each axis (C1)"),
        row(slice("0", "1", &[usize::MAX]), "f32[3]", "a slice of f32[3] needs a range for each axis (C1)"),
        row(slice("2", "2", &[1]), "f32[3]", "the slice of axis 0 starts at 2 and takes 2 of 3 elements (C2)"),
        row(
            slice("1", "2", &[1099511627776]),
            "f32[3]",
            "the slice of axis 0 starts at 1 and takes 2 of 3 elements (C2)",
        ),
        row(slice("4", "0", &[1]), "f32[3]", "the slice of axis 0 starts at 4 and takes 0 of 3 elements (C2)"),
        row(pad("0", &[1], "3, 3"), "f32[2]", "a pad of f32[2] needs a start for each axis (C1)"),
        row(pad("2", &[1], "3"), "f32[2]", "f32[2] does not fit into [3] at axis 0 (C2)"),
        row(pad("0", &[0], "3"), "f32[2]", "a pad of f32[2] needs a start for each axis (C1)"),
        row(Reverse { axes: vec![1] }, "f32[2]", "reverse: axis 1 of a value of rank 1 (C1)"),
    ]
}

fn by_index() -> Vec<Row> {
    vec![
        row(Gather { fill: Scalar(0.0) }, "i32[2], i32", "gather takes rows of an f32 table, found i32[2] (C1)"),
        row(Gather { fill: Scalar(0.0) }, "f32, i32", "gather takes rows of a table, found f32 (C1)"),
        row(Gather { fill: Scalar(0.0) }, "f32[2], f32", "gather takes i32 indices, found f32 (C2)"),
        row(ScatterAdd { rows: Dim::known(2) }, "f32[2], f32[2]", "scatter_add takes i32 indices, found f32[2] (C2)"),
        row(
            ScatterAdd { rows: Dim::known(2) },
            "i32[2], f32[3, 2]",
            "scatter_add: updates f32[3, 2] for indices i32[2] (C1)",
        ),
        row(ScatterAdd { rows: Dim::known(2) }, "i32[2], i32[2]", "scatter_add takes f32 updates, found i32[2] (C1)"),
        row(take_along(0), "i32[2], i32[2]", "take_along takes f32 by i32 indices, found i32[2] and i32[2] (C1)"),
        row(take_along(0), "f32[2], f32[2]", "take_along takes f32 by i32 indices, found f32[2] and f32[2] (C1)"),
        row(take_along(1), "f32[2], i32[2]", "cannot take from f32[2] along axis 1 by indices i32[2] (C2)"),
        row(take_along(0), "f32[2, 3], i32[2, 2]", "cannot take from f32[2, 3] along axis 0 by indices i32[2, 2] (C2)"),
        row(
            put_along(0),
            "f32[2], f32[2]",
            "put_along takes i32 indices and f32 updates, found f32[2] and f32[2] (C1)",
        ),
        row(put_along(0), "i32[2], f32[3]", "put_along: updates f32[3] for indices i32[2] (C2)"),
        row(put_along(1), "i32[2], f32[2]", "cannot put f32[2] along axis 1 (C3)"),
    ]
}

fn matrices_and_modes() -> Vec<Row> {
    vec![
        row(Solve { transpose: false }, "i32[2, 2], f32[2]", "solve takes an f32 matrix, found i32[2, 2] (C1)"),
        row(Solve { transpose: false }, "f32[2, 3], f32[2]", "solve takes a square matrix, found f32[2, 3] (C1)"),
        row(
            Solve { transpose: false },
            "f32[65, 65], f32[65]",
            "solve takes matrices of order 1 to 64, found [65, 65] (C2)",
        ),
        row(Solve { transpose: false }, "f32[2, 2], f32[3]", "cannot solve f32[2, 2] for f32[3] (C3)"),
        row(Cholesky, "i32[2, 2]", "cholesky takes f32 matrices, found i32[2, 2] (C1)"),
        row(Cholesky, "f32[2, 3]", "cholesky takes square matrices, found f32[2, 3] (C1)"),
        row(Cholesky, "f32[k, k]", "cholesky takes matrices of extents known at compile time, found f32[k, k] (C2)"),
        row(Cholesky, "f32[600, 600]", "cholesky takes matrices of extents 1 to 512, found f32[600, 600] (C2)"),
        row(Orthonormal, "f32[4]", "orthonormal takes matrices, found f32[4] (C1)"),
        row(
            Orthonormal,
            "f32[2, 3]",
            "orthonormal takes matrices with no more columns than rows, found f32[2, 3] (C1)",
        ),
        row(
            TriangularSolve::default(),
            "f32[2, 2], f32[3, 1]",
            "triangular_solve: f32[3, 1] for the matrix f32[2, 2] (C3)",
        ),
        row(SimplexQp, "f32[2]", "simplex_qp takes a square matrix, found f32[2] (C1)"),
        row(SimplexQp, "f32[k, k]", "simplex_qp takes matrices of order 1 to 64, found [k, k] (C2)"),
        row(SimplexQp, "f32[0, 0]", "simplex_qp takes matrices of order 1 to 64, found [0, 0] (C2)"),
        row(SimplexQp, "f32[2, 2], f32[3]", "simplex_qp of f32[2, 2] with the linear term f32[3] (C3)"),
        row(Eigh, "f32[2, 3]", "eigh takes a square matrix, found f32[2, 3] (C1)"),
        row(Eigh, "f32[65, 65]", "eigh takes matrices of order 1 to 64, found [65, 65] (C2)"),
        row(Pinv { tolerance: Scalar(0.0) }, "f32[2]", "pinv takes a square matrix, found f32[2] (C1)"),
        row(Pinv { tolerance: Scalar(-1.0) }, "f32[2, 2]", "pinv with the tolerance -1, which is not at least 0"),
        row(NonnegQp, "f32[2, 2], f32[3]", "nonneg_qp of f32[2, 2] from the bound f32[3] (C3)"),
        row(NonnegQp, "f32[2, 3], f32[2]", "nonneg_qp takes a square matrix, found f32[2, 3] (C1)"),
        row(ByMode, "f32[2], f32[3]", "a value is f32[2] at training and f32[3] at prediction (C1)"),
        row(ByMode, "f32, i32", "a value is f32 at training and i32 at prediction (C1)"),
        row(StopGradient, "f32, f32", "stop takes 1 operand, got 2"),
        row(Directed, "f32, f32[2], i32[2]", "a direction is of f32 values, found f32, f32[2] and i32[2] (C1)"),
        row(Directed, "f32, f32[2], f32[3]", "a direction of f32[3] for f32[2], under the value f32 (C1)"),
        row(Directed, "f32[2], f32[2], f32[2]", "a direction of f32[2] for f32[2], under the value f32[2] (C1)"),
        row(Gradient, "i32, f32", "grad takes f32 values, found i32 and f32 (C1)"),
    ]
}
