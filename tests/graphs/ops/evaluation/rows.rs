//! The rows.

use super::{Row, Value, row, v};
use crate::ops::{dims, ty};
use anabranch::ir::{DType, Dim};
use anabranch::ops::convolution::{ConvolutionAttributes, Windows};
use anabranch::ops::windows::PoolAttributes;
use anabranch::ops::*;
use std::f64::consts::{E, FRAC_PI_2, FRAC_PI_4, LN_2, PI};

const EULER: f64 = 0.577_215_664_901_532_9;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

pub fn rows() -> Vec<Row> {
    let areas = [
        leaves(),
        powers_and_logarithms(),
        angles(),
        pieces(),
        functions_of_two(),
        truth_values(),
        products(),
        windows(),
        reductions(),
        along_an_axis(),
        sorts(),
        layout(),
        by_index(),
        loops(),
        matrices_and_modes(),
    ];
    areas.into_iter().flatten().collect()
}

fn leaves() -> Vec<Row> {
    vec![
        row(Constant { value: Scalar(2.5), ty: ty("f32[2]") }, [], v("f32[2]", [2.5, 2.5])),
        row(Constant { value: Scalar(1.0), ty: ty("bool") }, [], v("bool", [1.0])),
        row(Size { dim: Dim::known(7) }, [], v("f32", [7.0])),
        row(Iota { axis: 1, ty: ty("i32[2, 3]") }, [], v("i32[2, 3]", [0.0, 1.0, 2.0, 0.0, 1.0, 2.0])),
        row(Iota { axis: 0, ty: ty("f32[2, 1]") }, [], v("f32[2, 1]", [0.0, 1.0])),
    ]
}

/// An op on a vector of four numbers.
fn on_four(op: impl Into<Op>, x: [f64; 4], y: [f64; 4]) -> Row {
    row(op, [v("f32[4]", x)], v("f32[4]", y))
}

fn powers_and_logarithms() -> Vec<Row> {
    vec![
        on_four(Exp, [0.0, 1.0, -INF, INF], [1.0, E, 0.0, INF]),
        on_four(Expm1, [0.0, LN_2, -INF, 1e-30], [0.0, 1.0, -1.0, 1e-30]),
        on_four(Log, [1.0, E, 0.0, -1.0], [0.0, 1.0, -INF, NAN]),
        on_four(Log1p, [0.0, 1.0, -1.0, 1e-30], [0.0, LN_2, -INF, 1e-30]),
        on_four(Sqrt, [0.0, 4.0, 2.25, -1.0], [0.0, 2.0, 1.5, NAN]),
        on_four(Rsqrt, [0.0, 4.0, 0.25, INF], [INF, 0.5, 2.0, 0.0]),
        on_four(Sigmoid, [0.0, 1e4, -1e4, NAN], [0.5, 1.0, 0.0, NAN]),
        on_four(Softplus, [0.0, 1e4, -1e4, NAN], [LN_2, 1e4, 0.0, NAN]),
        on_four(Tanh, [0.0, 1e4, -1e4, LN_2], [0.0, 1.0, -1.0, 0.6]),
        on_four(Sinh, [0.0, LN_2, -LN_2, INF], [0.0, 0.75, -0.75, INF]),
        on_four(Cosh, [0.0, LN_2, -LN_2, -INF], [1.0, 1.25, 1.25, INF]),
        on_four(Asinh, [0.0, 0.75, -0.75, INF], [0.0, LN_2, -LN_2, INF]),
        on_four(Acosh, [1.0, 1.25, INF, 0.5], [0.0, LN_2, INF, NAN]),
        on_four(Atanh, [0.0, 0.6, -1.0, 2.0], [0.0, LN_2, -INF, NAN]),
        on_four(Erf, [0.0, 1e3, -1e3, NAN], [0.0, 1.0, -1.0, NAN]),
        on_four(ErfInverse, [0.0, 1.0, -1.0, 2.0], [0.0, INF, -INF, NAN]),
        on_four(LogGamma, [1.0, 3.0, 0.0, -0.5], [0.0, LN_2, INF, (2.0 * PI.sqrt()).ln()]),
        on_four(Polygamma { order: 0 }, [1.0, 2.0, 0.0, -1.0], [-EULER, 1.0 - EULER, NAN, NAN]),
        on_four(Polygamma { order: 1 }, [1.0, 2.0, 0.0, 0.5], [PI * PI / 6.0, PI * PI / 6.0 - 1.0, NAN, PI * PI / 2.0]),
    ]
}

fn angles() -> Vec<Row> {
    vec![
        on_four(Sin, [0.0, FRAC_PI_2, -FRAC_PI_2, INF], [0.0, 1.0, -1.0, NAN]),
        on_four(Cos, [0.0, 2.0 * PI / 3.0, PI / 3.0, INF], [1.0, -0.5, 0.5, NAN]),
        on_four(Tan, [0.0, FRAC_PI_4, -FRAC_PI_4, INF], [0.0, 1.0, -1.0, NAN]),
        on_four(Asin, [0.0, 1.0, -0.5, 2.0], [0.0, FRAC_PI_2, -PI / 6.0, NAN]),
        on_four(Acos, [0.0, 1.0, -0.5, 2.0], [FRAC_PI_2, 0.0, 2.0 * PI / 3.0, NAN]),
        on_four(Atan, [0.0, 1.0, -1.0, INF], [0.0, FRAC_PI_4, -FRAC_PI_4, FRAC_PI_2]),
    ]
}

fn pieces() -> Vec<Row> {
    vec![
        on_four(Neg, [0.0, 1.0, -INF, NAN], [0.0, -1.0, INF, NAN]),
        on_four(Abs, [0.0, 1.5, -1.5, -INF], [0.0, 1.5, 1.5, INF]),
        on_four(Sign, [0.0, 1e-30, -INF, NAN], [0.0, 1.0, -1.0, NAN]),
        on_four(Floor, [1.5, -1.5, 2.0, NAN], [1.0, -2.0, 2.0, NAN]),
        on_four(Ceil, [1.5, -1.5, 2.0, INF], [2.0, -1.0, 2.0, INF]),
        on_four(Round, [0.5, 1.5, 2.5, -0.5], [0.0, 2.0, 2.0, 0.0]),
        on_four(Round, [-1.5, 1.4, -INF, NAN], [-2.0, 1.0, -INF, NAN]),
        row(IsNan, [v("f32[4]", [0.0, NAN, INF, -INF])], v("bool[4]", [0.0, 1.0, 0.0, 0.0])),
    ]
}

fn functions_of_two() -> Vec<Row> {
    let floats =
        |op: Op, x: [f64; 4], y: [f64; 4], z: [f64; 4]| row(op, [v("f32[4]", x), v("f32[4]", y)], v("f32[4]", z));
    let ints =
        |op: Op, x: [f64; 4], y: [f64; 4], z: [f64; 4]| row(op, [v("i32[4]", x), v("i32[4]", y)], v("i32[4]", z));
    const MAX: f64 = i32::MAX as f64;
    const MIN: f64 = i32::MIN as f64;
    vec![
        floats(Add.into(), [1.0, INF, INF, 0.5], [2.0, 1.0, -INF, NAN], [3.0, INF, NAN, NAN]),
        ints(Add.into(), [1.0, MAX, -3.0, 0.0], [2.0, 1.0, 1.0, 0.0], [3.0, MIN, -2.0, 0.0]),
        floats(Sub.into(), [1.0, INF, 0.0, 0.5], [2.0, INF, 1.0, 0.25], [-1.0, NAN, -1.0, 0.25]),
        ints(Sub.into(), [1.0, MIN, -3.0, 0.0], [2.0, 1.0, 1.0, 0.0], [-1.0, MAX, -4.0, 0.0]),
        floats(Mul.into(), [2.0, 0.0, -1.0, 0.5], [3.0, INF, INF, -4.0], [6.0, NAN, -INF, -2.0]),
        ints(Mul.into(), [2.0, MAX, -3.0, 0.0], [3.0, 2.0, 1.0, 9.0], [6.0, -2.0, -3.0, 0.0]),
        floats(Div.into(), [1.0, 0.0, -1.0, 3.0], [0.0, 0.0, INF, 2.0], [INF, NAN, 0.0, 1.5]),
        ints(Div.into(), [7.0, -7.0, 7.0, MIN], [2.0, 2.0, 0.0, -1.0], [3.0, -3.0, 0.0, 0.0]),
        floats(Rem.into(), [5.5, -5.5, 5.5, 1.0], [2.0, 2.0, -2.0, 0.0], [1.5, 0.5, -0.5, NAN]),
        ints(Rem.into(), [7.0, -7.0, 7.0, MIN], [3.0, 3.0, -3.0, -1.0], [1.0, 2.0, -2.0, 0.0]),
        floats(Pow.into(), [2.0, 0.0, -2.0, -2.0], [-1.0, 0.0, 3.0, 0.5], [0.5, 1.0, -8.0, NAN]),
        ints(Pow.into(), [2.0, 0.0, -2.0, 2.0], [5.0, 0.0, 3.0, -1.0], [32.0, 1.0, -8.0, 0.0]),
        floats(Max.into(), [1.0, NAN, 1.0, -INF], [2.0, 1.0, NAN, -1.0], [2.0, NAN, NAN, -1.0]),
        ints(Max.into(), [1.0, -1.0, 0.0, MIN], [2.0, -2.0, 0.0, MAX], [2.0, -1.0, 0.0, MAX]),
        floats(Min.into(), [1.0, NAN, 1.0, -INF], [2.0, 1.0, NAN, -1.0], [1.0, NAN, NAN, -INF]),
        ints(Min.into(), [1.0, -1.0, 0.0, MIN], [2.0, -2.0, 0.0, MAX], [1.0, -2.0, 0.0, MIN]),
        floats(
            Atan2.into(),
            [1.0, 1.0, -1.0, 0.0],
            [1.0, 0.0, -1.0, -1.0],
            [FRAC_PI_4, FRAC_PI_2, -3.0 * FRAC_PI_4, PI],
        ),
    ]
}

fn truth_values() -> Vec<Row> {
    let compare = |op: Op, z: [f64; 4]| {
        row(op, [v("f32[4]", [1.0, 2.0, 2.0, NAN]), v("f32[4]", [2.0, 2.0, 1.0, NAN])], v("bool[4]", z))
    };
    let logic = |op: Op, z: [f64; 4]| {
        row(op, [v("bool[4]", [0.0, 0.0, 1.0, 1.0]), v("bool[4]", [0.0, 1.0, 0.0, 1.0])], v("bool[4]", z))
    };
    let cast = |from: &'static str, x: [f64; 4], to: &'static str, y: [f64; 4]| {
        row(Cast { to: ty(to).dtype }, [v(from, x)], v(to, y))
    };
    let mask = || v("bool[2]", [1.0, 0.0]);
    vec![
        compare(Less.into(), [1.0, 0.0, 0.0, 0.0]),
        compare(LessEqual.into(), [1.0, 1.0, 0.0, 0.0]),
        compare(Equal.into(), [0.0, 1.0, 0.0, 0.0]),
        row(Less, [v("i32", [1.0]), v("i32", [2.0])], v("bool", [1.0])),
        row(Equal, [v("bool", [1.0]), v("bool", [1.0])], v("bool", [1.0])),
        logic(And.into(), [0.0, 0.0, 0.0, 1.0]),
        logic(Or.into(), [0.0, 1.0, 1.0, 1.0]),
        row(Not, [mask()], v("bool[2]", [0.0, 1.0])),
        row(Select, [mask(), v("f32[2]", [1.0, NAN]), v("f32[2]", [NAN, 2.0])], v("f32[2]", [1.0, 2.0])),
        row(Select, [mask(), v("i32[2]", [1.0, 3.0]), v("i32[2]", [4.0, 2.0])], v("i32[2]", [1.0, 2.0])),
        cast("f32[4]", [1.9, -1.9, 1e20, NAN], "i32[4]", [1.0, -1.0, i32::MAX.into(), 0.0]),
        cast("f32[4]", [0.0, 0.1, -1.0, NAN], "bool[4]", [0.0, 1.0, 1.0, 1.0]),
        cast("i32[4]", [0.0, 2.0, -1.0, 7.0], "f32[4]", [0.0, 2.0, -1.0, 7.0]),
        cast("i32[4]", [0.0, 2.0, -1.0, 7.0], "bool[4]", [0.0, 1.0, 1.0, 1.0]),
        cast("bool[4]", [0.0, 1.0, 1.0, 0.0], "f32[4]", [0.0, 1.0, 1.0, 0.0]),
        cast("bool[4]", [0.0, 1.0, 1.0, 0.0], "i32[4]", [0.0, 1.0, 1.0, 0.0]),
        row(Cast { to: DType::F32 }, [v("f32", [1.5])], v("f32", [1.5])),
    ]
}

fn products() -> Vec<Row> {
    let matmul = |transpose_x, transpose_y| MatMul { transpose_x, transpose_y };
    let x = || v("f32[2, 2]", [1.0, 2.0, 3.0, 4.0]);
    let y = || v("f32[2, 2]", [5.0, 6.0, 7.0, 8.0]);
    // A window of 2 every 2, one zero before: windows (0, 1), (2, 3) of 1 2 3.
    let strided = || Windows { strides: vec![2], dilation: vec![1], padding: vec![(1, 0)] };
    let attributes = || ConvolutionAttributes { windows: strided(), groups: 1 };
    let grouped = ConvolutionAttributes { windows: Windows::plain(1), groups: 2 };
    let signal = || v("f32[1, 3, 1]", [1.0, 2.0, 3.0]);
    let kernel = || v("f32[2, 1, 1]", [10.0, 1.0]);
    vec![
        row(matmul(false, false), [x(), y()], v("f32[2, 2]", [19.0, 22.0, 43.0, 50.0])),
        row(matmul(true, false), [x(), y()], v("f32[2, 2]", [26.0, 30.0, 38.0, 44.0])),
        row(matmul(false, true), [x(), y()], v("f32[2, 2]", [17.0, 23.0, 39.0, 53.0])),
        row(matmul(true, true), [x(), y()], v("f32[2, 2]", [23.0, 31.0, 34.0, 46.0])),
        row(matmul(false, false), [v("f32[1, 0]", []), v("f32[0, 2]", [])], v("f32[1, 2]", [0.0, 0.0])),
        row(Convolution { attributes: attributes() }, [signal(), kernel()], v("f32[1, 2, 1]", [1.0, 23.0])),
        row(
            Convolution { attributes: grouped },
            [v("f32[1, 1, 2]", [3.0, 5.0]), v("f32[1, 1, 2]", [10.0, 100.0])],
            v("f32[1, 1, 2]", [30.0, 500.0]),
        ),
        row(
            ConvolutionInputGradient { attributes: attributes(), shape: dims("1, 3, 1") },
            [v("f32[1, 2, 1]", [1.0, 2.0]), kernel()],
            v("f32[1, 3, 1]", [1.0, 20.0, 2.0]),
        ),
        row(
            ConvolutionKernelGradient { attributes: attributes(), shape: dims("2, 1, 1") },
            [signal(), v("f32[1, 2, 1]", [1.0, 2.0])],
            v("f32[2, 1, 1]", [4.0, 7.0]),
        ),
    ]
}

fn windows() -> Vec<Row> {
    let pooling = |window: usize, low| PoolAttributes {
        window: vec![window],
        windows: Windows { strides: vec![1], dilation: vec![1], padding: vec![(low, 0)] },
    };
    // A tie in the first window: the first of the two wins.
    let x = || v("f32[1, 3, 1]", [5.0, 5.0, -1.0]);
    let g = || v("f32[1, 2, 1]", [1.0, 10.0]);
    vec![
        row(MaxPool { attributes: pooling(2, 0) }, [x()], v("f32[1, 2, 1]", [5.0, 5.0])),
        row(MaxPool { attributes: pooling(1, 1) }, [x()], v("f32[1, 4, 1]", [-INF, 5.0, 5.0, -1.0])),
        row(MaxPool { attributes: pooling(2, 0) }, [v("f32[1, 2, 1]", [NAN, 1.0])], v("f32[1, 1, 1]", [NAN])),
        row(MaxPoolScatter { attributes: pooling(2, 0) }, [x(), g()], v("f32[1, 3, 1]", [1.0, 10.0, 0.0])),
        row(
            MaxPoolSelect { attributes: pooling(1, 1) },
            [x(), v("f32[1, 3, 1]", [1.0, 2.0, 3.0])],
            v("f32[1, 4, 1]", [0.0, 1.0, 2.0, 3.0]),
        ),
        row(AveragePool { attributes: pooling(2, 1) }, [x()], v("f32[1, 3, 1]", [5.0, 5.0, 2.0])),
        row(
            AveragePoolScatter { attributes: pooling(2, 0), shape: dims("1, 3, 1") },
            [g()],
            v("f32[1, 3, 1]", [0.5, 5.5, 5.0]),
        ),
    ]
}

fn reductions() -> Vec<Row> {
    let x = || v("f32[2, 3]", [1.0, 2.0, 3.0, 4.0, 0.0, -6.0]);
    let empty = || v("f32[2, 0]", []);
    vec![
        row(Sum { axes: vec![1] }, [x()], v("f32[2]", [6.0, -2.0])),
        row(Sum { axes: vec![0, 1] }, [x()], v("f32", [4.0])),
        row(Sum { axes: vec![1] }, [empty()], v("f32[2]", [0.0, 0.0])),
        row(Sum { axes: vec![0] }, [v("i32[2]", [i32::MAX.into(), 1.0])], v("i32", [i32::MIN.into()])),
        row(Product { axes: vec![0] }, [x()], v("f32[3]", [4.0, 0.0, -18.0])),
        row(Product { axes: vec![] }, [v("f32", [2.0])], v("f32", [2.0])),
        row(Product { axes: vec![1] }, [empty()], v("f32[2]", [1.0, 1.0])),
        row(MaxReduce { axes: vec![1] }, [x()], v("f32[2]", [3.0, 4.0])),
        row(MaxReduce { axes: vec![0] }, [v("i32[3]", [-3.0, 16777217.0, 16777216.0])], v("i32", [16777217.0])),
        row(MaxReduce { axes: vec![1] }, [v("i32[1, 0]", [])], v("i32[1]", [-2147483648.0])),
        row(ArgMax { axis: 0 }, [v("i32[3]", [16777216.0, 16777217.0, 16777217.0])], v("i32", [1.0])),
        row(
            Sort { axis: 0, descending: true },
            [v("i32[3]", [16777216.0, -5.0, 16777217.0])],
            v("i32[3]", [16777217.0, 16777216.0, -5.0]),
        ),
        row(ArgSort { axis: 0, descending: false }, [v("i32[3]", [2.0, 1.0, 1.0])], v("i32[3]", [1.0, 2.0, 0.0])),
        row(
            CumulativeSum { axis: 0, reverse: false, exclusive: true },
            [v("i32[3]", [2147483647.0, 1.0, 5.0])],
            v("i32[3]", [0.0, 2147483647.0, -2147483648.0]),
        ),
        row(MaxReduce { axes: vec![1] }, [empty()], v("f32[2]", [-INF, -INF])),
        row(MaxReduce { axes: vec![0] }, [v("f32[3]", [1.0, NAN, 2.0])], v("f32", [NAN])),
        row(LogSumExp { axes: vec![0, 1] }, [v("f32[2, 2]", [1e3; 4])], v("f32", [1e3 + 2.0 * LN_2])),
        row(LogSumExp { axes: vec![0] }, [v("f32[2]", [-INF, -INF])], v("f32", [-INF])),
        row(LogSumExp { axes: vec![0] }, [v("f32[2]", [INF, 1.0])], v("f32", [INF])),
        row(LogSumExp { axes: vec![0] }, [v("f32[2]", [1.0, NAN])], v("f32", [NAN])),
        row(LogSumExp { axes: vec![1] }, [empty()], v("f32[2]", [-INF, -INF])),
        row(ArgMax { axis: 1 }, [x()], v("i32[2]", [2.0, 0.0])),
        row(ArgMax { axis: 0 }, [v("f32[4]", [1.0, 2.0, 2.0, 0.0])], v("i32", [1.0])),
        row(ArgMax { axis: 0 }, [v("f32[4]", [1.0, NAN, INF, NAN])], v("i32", [1.0])),
    ]
}

fn along_an_axis() -> Vec<Row> {
    let x = || v("f32[3]", [1.0, 2.0, 4.0]);
    let sum = |reverse, exclusive| CumulativeSum { axis: 0, reverse, exclusive };
    let factors = || v("f32[3]", [9.0, 10.0, 100.0]);
    let thirds = [1.0 / 3.0, 2.0 / 3.0];
    vec![
        row(sum(false, false), [x()], v("f32[3]", [1.0, 3.0, 7.0])),
        row(sum(false, true), [x()], v("f32[3]", [0.0, 1.0, 3.0])),
        row(sum(true, false), [x()], v("f32[3]", [7.0, 6.0, 4.0])),
        row(sum(true, true), [x()], v("f32[3]", [6.0, 4.0, 0.0])),
        row(LinearRecurrence { axis: 0, reverse: false }, [factors(), x()], v("f32[3]", [1.0, 12.0, 1204.0])),
        row(LinearRecurrence { axis: 0, reverse: true }, [factors(), x()], v("f32[3]", [379.0, 42.0, 4.0])),
        row(Softmax { axis: 0 }, [v("f32[2]", [0.0, LN_2])], v("f32[2]", thirds)),
        row(Softmax { axis: 0 }, [v("f32[2]", [1e3, 1e3])], v("f32[2]", [0.5, 0.5])),
        row(Softmax { axis: 1 }, [v("f32[1, 2]", [-INF, 0.0])], v("f32[1, 2]", [0.0, 1.0])),
        row(LogSoftmax { axis: 0 }, [v("f32[2]", [0.0, LN_2])], v("f32[2]", thirds.map(f64::ln))),
        row(LogSoftmax { axis: 0 }, [v("f32[2]", [0.0, 1e3])], v("f32[2]", [-1e3, 0.0])),
    ]
}

fn sorts() -> Vec<Row> {
    let x = || v("f32[5]", [2.0, NAN, -1.0, 2.0, 0.0]);
    let columns = || v("f32[2, 2]", [3.0, 1.0, 2.0, 4.0]);
    let sort = |axis, descending| Sort { axis, descending };
    let argsort = |axis, descending| ArgSort { axis, descending };
    vec![
        row(sort(0, false), [x()], v("f32[5]", [-1.0, 0.0, 2.0, 2.0, NAN])),
        row(sort(0, true), [x()], v("f32[5]", [2.0, 2.0, 0.0, -1.0, NAN])),
        row(argsort(0, false), [x()], v("i32[5]", [2.0, 4.0, 0.0, 3.0, 1.0])),
        row(argsort(0, true), [x()], v("i32[5]", [0.0, 3.0, 4.0, 2.0, 1.0])),
        row(sort(0, false), [columns()], v("f32[2, 2]", [2.0, 1.0, 3.0, 4.0])),
        row(argsort(1, false), [columns()], v("i32[2, 2]", [1.0, 0.0, 0.0, 1.0])),
    ]
}

fn layout() -> Vec<Row> {
    let x = || v("f32[2, 3]", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let slice = Slice { starts: dims("0, 0"), extents: dims("2, 2"), strides: vec![1, 2] };
    let pad = Pad { starts: dims("1"), strides: vec![2], shape: dims("5") };
    vec![
        row(Reshape { shape: dims("3, 2") }, [x()], v("f32[3, 2]", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        row(Transpose { permutation: vec![1, 0] }, [x()], v("f32[3, 2]", [1.0, 4.0, 2.0, 5.0, 3.0, 6.0])),
        row(
            Broadcast { shape: dims("2, 2"), axes: vec![0] },
            [v("i32[2]", [1.0, 2.0])],
            v("i32[2, 2]", [1.0, 1.0, 2.0, 2.0]),
        ),
        row(Concat { axis: 0 }, [v("bool[1]", [1.0]), v("bool[2]", [0.0, 1.0])], v("bool[3]", [1.0, 0.0, 1.0])),
        row(Concat { axis: 1 }, [x(), v("f32[2, 1]", [7.0, 8.0])], v("f32[2, 4]", [1., 2., 3., 7., 4., 5., 6., 8.])),
        row(slice, [x()], v("f32[2, 2]", [1.0, 3.0, 4.0, 6.0])),
        row(pad, [v("f32[2]", [7.0, 8.0])], v("f32[5]", [0.0, 7.0, 0.0, 8.0, 0.0])),
        row(Reverse { axes: vec![1] }, [x()], v("f32[2, 3]", [3.0, 2.0, 1.0, 6.0, 5.0, 4.0])),
        row(Reverse { axes: vec![0] }, [v("i32[3]", [1.0, 2.0, 3.0])], v("i32[3]", [3.0, 2.0, 1.0])),
    ]
}

fn by_index() -> Vec<Row> {
    let table = || v("f32[3, 2]", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let indices = || v("i32[4]", [2.0, 0.0, -1.0, 3.0]);
    let fill = Scalar(NAN);
    let updates = v("f32[4, 2]", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let picks = || v("i32[3, 1]", [1.0, 0.0, 2.0]);
    let sums = PutAlong { axis: 0, extent: Dim::known(2) };
    vec![
        row(Gather { fill }, [table(), indices()], v("f32[4, 2]", [5.0, 6.0, 1.0, 2.0, NAN, NAN, NAN, NAN])),
        row(Gather { fill: Scalar(0.0) }, [table(), v("i32", [1.0])], v("f32[2]", [3.0, 4.0])),
        row(ScatterAdd { rows: Dim::known(3) }, [indices(), updates], v("f32[3, 2]", [3.0, 4.0, 0.0, 0.0, 1.0, 2.0])),
        row(
            ScatterAdd { rows: Dim::known(2) },
            [v("i32[3]", [1.0, 1.0, 0.0]), v("f32[3]", [1.0, 2.0, 4.0])],
            v("f32[2]", [4.0, 3.0]),
        ),
        row(TakeAlong { axis: 1, fill }, [table(), picks()], v("f32[3, 1]", [2.0, 3.0, NAN])),
        row(sums, [v("i32[3]", [1.0, 1.0, 2.0]), v("f32[3]", [1.0, 2.0, 4.0])], v("f32[2]", [0.0, 3.0])),
    ]
}

fn loops() -> Vec<Row> {
    use LoopResult::{Carry, Incoming, Stacked};
    let start = || [v("f32[2]", [1.0, -1.0]), v("i32", [5.0])];
    let x = || v("f32[3, 2]", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let operands = |x: Value| [start().to_vec(), vec![x, v("f32[2]", [1.0, 0.5])]].concat();
    let sums = |reverse, result| crate::ops::loops::sums(3, reverse, result);
    vec![
        row(sums(false, Carry(0)), operands(x()), v("f32[2]", [10.0, 5.0])),
        row(sums(false, Carry(1)), operands(x()), v("i32", [8.0])),
        row(sums(false, Stacked(0)), operands(x()), v("f32[3, 2]", [2.0, 0.0, 15.0, 8.0, 50.0, 30.0])),
        row(sums(true, Stacked(0)), operands(x()), v("f32[3, 2]", [10.0, 10.0, 27.0, 16.0, 30.0, 12.0])),
        row(sums(false, Incoming(0)), operands(x()), v("f32[3, 2]", [1.0, -1.0, 2.0, 0.0, 5.0, 2.0])),
        row(sums(true, Incoming(1)), operands(x()), v("i32[3]", [7.0, 6.0, 5.0])),
        // No step: the last carry is the first, and nothing is stacked.
        row(crate::ops::loops::sums(0, false, Carry(0)), operands(v("f32[0, 2]", [])), v("f32[2]", [1.0, -1.0])),
        row(crate::ops::loops::sums(0, false, Stacked(0)), operands(v("f32[0, 2]", [])), v("f32[0, 2]", [])),
    ]
}

fn matrices_and_modes() -> Vec<Row> {
    // The first pivot is zero: rows are exchanged.
    let a = || v("f32[2, 2]", [0.0, 2.0, 1.0, 3.0]);
    let solve = |transpose| Solve { transpose };
    let opposed = || v("f32[2, 2]", [1.0, -1.0, -1.0, 4.0]);
    let lower = |transpose| TriangularSolve { upper: false, transpose };
    // What stands above the diagonal is not read.
    let triangle = || v("f32[2, 2]", [2.0, 9.0, 2.0, 3.0]);
    vec![
        row(solve(false), [a(), v("f32[2]", [4.0, 7.0])], v("f32[2]", [1.0, 2.0])),
        row(solve(true), [a(), v("f32[2]", [4.0, 7.0])], v("f32[2]", [-2.5, 4.0])),
        row(solve(false), [a(), v("f32[2, 2]", [4.0, 0.0, 7.0, 1.0])], v("f32[2, 2]", [1.0, 1.0, 2.0, 0.0])),
        row(Cholesky, [v("f32[2, 2]", [4.0, 2.0, 2.0, 10.0])], v("f32[2, 2]", [2.0, 0.0, 1.0, 3.0])),
        row(Cholesky, [v("f32[1, 1]", [-1.0])], v("f32[1, 1]", [NAN])),
        row(lower(false), [triangle(), v("f32[2, 1]", [4.0, 7.0])], v("f32[2, 1]", [2.0, 1.0])),
        row(lower(true), [triangle(), v("f32[2, 1]", [4.0, 3.0])], v("f32[2, 1]", [1.0, 1.0])),
        row(Orthonormal, [v("f32[2, 2]", [0.0, 2.0, -3.0, 5.0])], v("f32[2, 2]", [0.0, 1.0, -1.0, 0.0])),
        // w₁² + 4 w₂² - 2 w₁ w₂ on w₁ + w₂ = 1 is least at 5/7.
        row(SimplexQp, [opposed()], v("f32[2]", [5.0 / 7.0, 2.0 / 7.0])),
        // The shorter gradient alone is nearest to zero.
        row(SimplexQp, [v("f32[2, 2]", [1.0, 2.0, 2.0, 9.0])], v("f32[2]", [1.0, 0.0])),
        row(SimplexQp, [v("f32[1, 1]", [0.0])], v("f32[1]", [1.0])),
        row(SimplexQp, [v("f32[1, 1]", [NAN])], v("f32[1]", [NAN])),
        // ½ w² + ½ (1 - w)² + c w is least at w = (1 - c) / 2.
        row(SimplexQp, [v("f32[2, 2]", [1.0, 0.0, 0.0, 1.0]), v("f32[2]", [0.5, 0.0])], v("f32[2]", [0.25, 0.75])),
        row(Eigh, [v("f32[2, 2]", [2.0, 0.0, 0.0, -1.0])], v("f32[3, 2]", [-1.0, 2.0, 0.0, 1.0, 1.0, 0.0])),
        row(Eigh, [v("f32[1, 1]", [NAN])], v("f32[2, 1]", [NAN, NAN])),
        row(
            Pinv { tolerance: Scalar(1e-6) },
            [v("f32[2, 2]", [0.5, 0.5, 0.5, 0.5])],
            v("f32[2, 2]", [0.5, 0.5, 0.5, 0.5]),
        ),
        row(Pinv { tolerance: Scalar(0.0) }, [v("f32[1, 1]", [0.0])], v("f32[1, 1]", [0.0])),
        // At v = (1, 0.25) the second gradient is neutral; without opposition the bound stands.
        row(NonnegQp, [opposed(), v("f32[2]", [1.0, 0.0])], v("f32[2]", [1.0, 0.25])),
        row(NonnegQp, [v("f32[2, 2]", [1.0, 0.5, 0.5, 1.0]), v("f32[2]", [1.0, 0.5])], v("f32[2]", [1.0, 0.5])),
        row(ByMode, [v("i32", [1.0]), v("i32", [2.0])], v("i32", [1.0])),
        row(StopGradient, [v("bool", [1.0])], v("bool", [1.0])),
        row(Directed, [v("f32", [1.0]), v("f32[2]", [2.0, 3.0]), v("f32[2]", [4.0, 5.0])], v("f32", [1.0])),
    ]
}
