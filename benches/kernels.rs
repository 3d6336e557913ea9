//! The kernels on the shapes that training meets. "Items" are floating-point operations for products and
//! convolutions, elements elsewhere.
//!
//! `cargo bench --bench kernels -- gemm` runs a part; `ANABRANCH_BENCH_THREADS` is the number of threads (2).

#![allow(unsafe_code, reason = "buffers that are read and written in place, and vector instructions")]

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};

use anabranch_kernels::conv::{self, ConvGeometry};
use anabranch_kernels::elementwise::{Access, Binary, Destination, GroupBuilder, Program, Source, Unary, Value};
use anabranch_kernels::gemm::{self, Epilogue, Matrix, MatrixMut, Shape};
use anabranch_kernels::simd::{self, Kernel, Vector};
use anabranch_kernels::{Context, Pool, layout, pooling, reduce};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};

fn main() {
    divan::main();
}

fn pool() -> Pool {
    let threads = std::env::var("ANABRANCH_BENCH_THREADS").ok().and_then(|text| text.parse().ok());
    Pool::new(threads.unwrap_or(2))
}

/// Numbers that start on a cache line, as a plan's buffers do.
struct Buffer {
    numbers: Vec<f32>,
    start: usize,
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers[self.start..]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[self.start..]
    }
}

fn buffer(count: usize, number: impl Fn(usize) -> f32) -> Buffer {
    let mut numbers: Vec<f32> = Vec::with_capacity(count + 16);
    let start = numbers.as_ptr().align_offset(64);
    numbers.resize(start, 0.0);
    numbers.extend((0..count).map(number));
    Buffer { numbers, start }
}

fn zeros(count: usize) -> Buffer {
    buffer(count, |_| 0.0)
}

fn numbers(count: usize) -> Buffer {
    buffer(count, |i| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5)
}

/// Rows, inner, columns, and whether the operands are transposed.
const PRODUCTS: [(&str, usize, usize, usize, [bool; 2]); 16] = [
    ("NN 128x784x512", 128, 784, 512, [false, false]),
    ("NT 128x784x512", 128, 784, 512, [false, true]),
    ("TN 128x784x512", 128, 784, 512, [true, false]),
    ("NN 64x512x512", 64, 512, 512, [false, false]),
    ("NT 128x512x512", 128, 512, 512, [false, true]),
    ("TN 784x128x512", 784, 128, 512, [true, false]),
    ("NN 512x512x512", 512, 512, 512, [false, false]),
    ("NN 1024x1024x1024", 1024, 1024, 1024, [false, false]),
    ("NN 128x512x10", 128, 512, 10, [false, false]),
    ("TN 512x128x10", 512, 128, 10, [true, false]),
    ("NT 128x10x512", 128, 10, 512, [false, true]),
    ("NN 128x512x1", 128, 512, 1, [false, false]),
    ("NN 7x50x2", 7, 50, 2, [false, false]),
    ("NN 64x9216x128", 64, 9216, 128, [false, false]),
    ("TN 9216x64x128", 9216, 64, 128, [true, false]),
    ("NN 1024x128x512", 1024, 128, 512, [false, false]),
];

/// Sums that are only multiplied into: what the machine can do at most.
struct Peak;

const PEAK_STEPS: usize = 10_000;
const PEAK_SUMS: usize = 20;

impl Kernel<f32> for Peak {
    type Output = f32;

    #[inline(always)]
    unsafe fn run<V: Vector<Element = f32>>(self) -> f32 {
        // SAFETY: the machine has the instruction set, by the contract of `dispatch`.
        unsafe {
            let factor = V::splat(divan::black_box(0.5));
            let mut sums = [V::splat(divan::black_box(0.1)); PEAK_SUMS];
            for _ in 0..PEAK_STEPS {
                for sum in &mut sums {
                    *sum = sum.mul_add(factor, factor);
                }
            }
            sums.into_iter().map(|sum| sum.sum()).sum()
        }
    }
}

struct Lanes;

impl Kernel<f32> for Lanes {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<V: Vector<Element = f32>>(self) -> usize {
        V::LANES
    }
}

#[divan::bench]
fn multiply_add_peak(bencher: Bencher<'_, '_>) {
    let pool = pool();
    let level = Context::new(&pool).level;
    let operations = 2 * PEAK_SUMS * PEAK_STEPS * simd::dispatch(level, Lanes) * pool.threads();
    bencher.counter(ItemsCount::new(operations)).bench_local(|| {
        pool.run(pool.threads(), &|_| {
            divan::black_box(simd::dispatch(level, Peak));
        });
    });
}

#[divan::bench(args = PRODUCTS.map(|row| row.0))]
fn gemm(bencher: Bencher<'_, '_>, name: &str) {
    let &(_, rows, inner, columns, flips) = PRODUCTS.iter().find(|row| row.0 == name).unwrap();
    product(bencher, Shape { batch: 1, rows, inner, columns }, flips);
}

#[divan::bench(args = ["scores 64 of 64x32x64", "context 64 of 64x64x32"])]
fn gemm_batched(bencher: Bencher<'_, '_>, name: &str) {
    if name.starts_with("scores") {
        product(bencher, Shape { batch: 64, rows: 64, inner: 32, columns: 64 }, [false, true]);
    } else {
        product(bencher, Shape { batch: 64, rows: 64, inner: 64, columns: 32 }, [false, false]);
    }
}

fn product(bencher: Bencher<'_, '_>, shape: Shape, flips: [bool; 2]) {
    let Shape { batch, rows, inner, columns } = shape;
    let (a, b) = (numbers(batch * rows * inner), numbers(batch * inner * columns));
    let mut c = zeros(batch * rows * columns);
    let pool = pool();
    let context = Context::new(&pool);
    let strides = |flip: bool, rows: usize, columns: usize| if flip { (1, rows) } else { (columns, 1) };
    let (a_strides, b_strides) = (strides(flips[0], rows, inner), strides(flips[1], inner, columns));
    let mut workspace = zeros(gemm::workspace_len::<f32>(&context, shape, a_strides, b_strides));
    let matrix =
        |data, batch_stride, (row_stride, column_stride)| Matrix { data, batch_stride, row_stride, column_stride };
    bencher.counter(ItemsCount::new(2 * batch * rows * inner * columns)).bench_local(|| {
        let (a, b) = (matrix(&a[..], rows * inner, a_strides), matrix(&b[..], inner * columns, b_strides));
        let c = MatrixMut { data: &mut c, batch_stride: rows * columns, row_stride: columns };
        gemm::gemm(&context, shape, [a, b], 0.0, c, Epilogue::None, &mut workspace);
    });
}

/// Batch, height and width, channels, kernel, stride, padding, groups.
type Convolution = (&'static str, usize, usize, (usize, usize), usize, usize, (usize, usize), usize);

const CONVOLUTIONS: [Convolution; 8] = [
    ("7,5,5,2,1,3,0", 7, 5, (2, 1), 3, 1, (0, 0), 1),
    ("64,28,28,1,32,3,0", 64, 28, (1, 32), 3, 1, (0, 0), 1),
    ("64,26,26,32,64,3,0", 64, 26, (32, 64), 3, 1, (0, 0), 1),
    ("32,32,32,64,64,3,1", 32, 32, (64, 64), 3, 1, (1, 1), 1),
    ("32,32,32,64,256,1,0", 32, 32, (64, 256), 1, 1, (0, 0), 1),
    ("depthwise 32,32,32,64,3,1", 32, 32, (64, 64), 3, 1, (1, 1), 64),
    ("32,32,32,16,16,3,1", 32, 32, (16, 16), 3, 1, (1, 1), 1),
    ("32,32,32,16,32,3 stride 2", 32, 32, (16, 32), 3, 2, (0, 1), 1),
];

struct ConvBench {
    g: ConvGeometry,
    x: Buffer,
    kernel: Buffer,
    y: Buffer,
    operations: usize,
}

fn convolution(name: &str) -> ConvBench {
    let &(_, batch, side, channels, kernel, stride, padding, groups) =
        CONVOLUTIONS.iter().find(|row| row.0 == name).unwrap();
    let g = ConvGeometry::new(
        batch,
        channels,
        groups,
        &[conv::Dim { input: side, kernel, stride, dilation: 1, padding }; 2],
    );
    let operations = 2 * g.output_len() * kernel * kernel * channels.0 / groups;
    ConvBench { g, x: numbers(g.input_len()), kernel: numbers(g.kernel_len()), y: numbers(g.output_len()), operations }
}

#[divan::bench(args = CONVOLUTIONS.map(|row| row.0))]
fn conv_forward(bencher: Bencher<'_, '_>, name: &str) {
    let mut c = convolution(name);
    let pool = pool();
    let context = Context::new(&pool);
    let mut workspace = zeros(conv::forward_workspace_len::<f32>(&context, &c.g));
    bencher.counter(ItemsCount::new(c.operations)).bench_local(|| {
        conv::forward(&context, &c.g, &c.x, &c.kernel, (None, false), &mut c.y, &mut workspace);
    });
}

#[divan::bench(args = CONVOLUTIONS.map(|row| row.0))]
fn conv_input_gradient(bencher: Bencher<'_, '_>, name: &str) {
    let mut c = convolution(name);
    let pool = pool();
    let context = Context::new(&pool);
    let mut workspace = zeros(conv::input_gradient_workspace_len::<f32>(&context, &c.g));
    bencher.counter(ItemsCount::new(c.operations)).bench_local(|| {
        conv::input_gradient(&context, &c.g, &c.y, &c.kernel, &mut c.x, &mut workspace);
    });
}

#[divan::bench(args = CONVOLUTIONS.map(|row| row.0))]
fn conv_kernel_gradient(bencher: Bencher<'_, '_>, name: &str) {
    let mut c = convolution(name);
    let pool = pool();
    let context = Context::new(&pool);
    let mut workspace = zeros(conv::kernel_gradient_workspace_len::<f32>(&context, &c.g));
    bencher.counter(ItemsCount::new(c.operations)).bench_local(|| {
        conv::kernel_gradient(&context, &c.g, &c.x, &c.y, &mut c.kernel, &mut workspace);
    });
}

#[divan::bench(args = ["forward", "scatter"])]
fn max_pooling(bencher: Bencher<'_, '_>, name: &str) {
    let dim = pooling::Dim { input: 24, window: 2, stride: 2, padding: (0, 0) };
    let g = pooling::PoolGeometry::new(64, 64, &[dim; 2]);
    let (x, mut y, mut dx) = (numbers(g.input_len()), numbers(g.output_len()), numbers(g.input_len()));
    let pool = pool();
    let context = Context::new(&pool);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| match name {
        "forward" => pooling::max_forward(&context, &g, &x, &mut y),
        _ => pooling::max_scatter(&context, &g, &x, &y, &mut dx),
    });
}

#[divan::bench(args = ["all of 1M", "rows of 8192x128", "columns of 8192x128", "columns of 32768x16"])]
fn sum(bencher: Bencher<'_, '_>, name: &str) {
    let dims: &[(usize, bool)] = match name {
        "all of 1M" => &[(1 << 20, true)],
        "rows of 8192x128" => &[(8192, false), (128, true)],
        "columns of 8192x128" => &[(8192, true), (128, false)],
        _ => &[(32768, true), (16, false)],
    };
    let x = numbers(dims.iter().map(|dim| dim.0).product());
    let mut y = zeros(dims.iter().filter(|dim| !dim.1).map(|dim| dim.0).product());
    let pool = pool();
    let context = Context::new(&pool);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        reduce::reduce(&context, reduce::Reduction::Sum, dims, &x, &mut y);
    });
}

#[divan::bench(args = [(128, 1000), (64, 10), (4096, 64)])]
fn softmax(bencher: Bencher<'_, '_>, (rows, row): (usize, usize)) {
    let (x, mut y) = (numbers(rows * row), numbers(rows * row));
    let pool = pool();
    let context = Context::new(&pool);
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| {
        reduce::softmax(&context, reduce::Softmax::Probabilities, row, &x, &mut y);
    });
}

#[divan::bench]
fn transpose_1024(bencher: Bencher<'_, '_>) {
    let (x, mut y) = (numbers(1 << 20), numbers(1 << 20));
    let dims = [layout::Dim { extent: 1024, from: 1, to: 1024 }, layout::Dim { extent: 1024, from: 1024, to: 1 }];
    bencher.counter(ItemsCount::new(x.len())).bench_local(|| layout::copy(&dims, &x, 0, &mut y, 0));
}

/// Two tasks that wait for each other: the time until a second thread takes part, and back.
#[divan::bench]
fn fork_and_join(bencher: Bencher<'_, '_>) {
    let pool = pool();
    let together = pool.threads().min(2);
    bencher.bench_local(|| {
        let started = AtomicUsize::new(0);
        pool.run(2, &|_| {
            started.fetch_add(1, Ordering::Relaxed);
            while started.load(Ordering::Relaxed) < together {
                std::hint::spin_loop();
            }
        });
    });
}

/// A program over sources `0..sources` with one destination for each result.
fn program(
    bencher: Bencher<'_, '_>,
    n: usize,
    sources: usize,
    build: impl Fn(&mut GroupBuilder<f32>, &[Value]) -> Vec<Value>,
) {
    run(bencher, n, sources, false, build);
}

/// The same, with the numbers that are read and written counted as bytes.
fn traffic(
    bencher: Bencher<'_, '_>,
    sources: usize,
    in_place: bool,
    build: impl Fn(&mut GroupBuilder<f32>, &[Value]) -> Vec<Value>,
) {
    let results = if in_place { 3 } else { 1 };
    run(bencher.counter(BytesCount::new(4 * MILLION * (sources + results))), MILLION, sources, in_place, build);
}

/// With `in_place`, result `i` replaces source `i`.
fn run(
    bencher: Bencher<'_, '_>,
    n: usize,
    sources: usize,
    in_place: bool,
    build: impl Fn(&mut GroupBuilder<f32>, &[Value]) -> Vec<Value>,
) {
    let mut builder = GroupBuilder::new();
    let loads: Vec<Value> = (0..sources).map(|i| builder.load(i, Access::Contiguous)).collect();
    let results = build(&mut builder, &loads);
    for (i, result) in results.iter().enumerate() {
        builder.store(i, *result, in_place.then_some(loads[i]));
    }
    let program: Program<f32> = builder.finish();
    let mut x: Vec<Buffer> = (0..sources).map(|_| buffer(n, |i| ((i * 7919) % 1000) as f32 / 1000.0 + 0.01)).collect();
    let mut y: Vec<Buffer> = results.iter().map(|_| zeros(if in_place { 0 } else { n })).collect();
    let pool = pool();
    let context = Context::new(&pool);
    let mut workspace = zeros(program.workspace_len(&context, n));
    let starts: Vec<*mut f32> = x.iter_mut().map(|x| x.as_mut_ptr()).collect();
    // SAFETY: the buffers outlive the runs, and the stores say which loads they replace.
    let sources: Vec<_> = starts.iter().map(|start| unsafe { Source::shared(start.cast_const(), n) }).collect();
    let mut destinations: Vec<_> = if in_place {
        // SAFETY: as above.
        (0..results.len()).map(|i| unsafe { Destination::shared(starts[i], n) }).collect()
    } else {
        y.iter_mut().map(|y| Destination::new(y)).collect()
    };
    bencher.counter(ItemsCount::new(n)).bench_local(|| {
        program.run(&context, n, &sources, &mut destinations, &mut workspace);
    });
}

const MILLION: usize = 1 << 20;

/// `y = a + 3 b`: how fast memory of this size is.
#[divan::bench]
fn triad_1m(bencher: Bencher<'_, '_>) {
    traffic(bencher, 2, false, |builder, loads| {
        let three = builder.constant(3.0);
        let scaled = builder.binary(Binary::Mul, loads[1], three);
        vec![builder.binary(Binary::Add, loads[0], scaled)]
    });
}

#[divan::bench]
fn adam_1m(bencher: Bencher<'_, '_>) {
    traffic(bencher, 4, true, |builder, loads| {
        let &[p, m, v, g] = loads else { unreachable!() };
        let mut constant = |number| builder.constant(number);
        let [b1, c1, b2, c2, epsilon, rate] = [0.9, 0.1, 0.999, 0.001, 1e-8, 0.001].map(&mut constant);
        let kept = builder.binary(Binary::Mul, m, b1);
        let fresh = builder.binary(Binary::Mul, g, c1);
        let m = builder.binary(Binary::Add, kept, fresh);
        let kept = builder.binary(Binary::Mul, v, b2);
        let square = builder.unary(Unary::Square, g);
        let fresh = builder.binary(Binary::Mul, square, c2);
        let v = builder.binary(Binary::Add, kept, fresh);
        let root = builder.unary(Unary::Sqrt, v);
        let divisor = builder.binary(Binary::Add, root, epsilon);
        let direction = builder.binary(Binary::Div, m, divisor);
        let change = builder.binary(Binary::Mul, direction, rate);
        vec![builder.binary(Binary::Sub, p, change), m, v]
    });
}

#[divan::bench]
fn chain_of_8_1m(bencher: Bencher<'_, '_>) {
    program(bencher, MILLION, 2, |builder, loads| {
        let mut value = loads[0];
        for operation in
            [Binary::Add, Binary::Mul, Binary::Sub, Binary::Max, Binary::Mul, Binary::Add, Binary::Min, Binary::Mul]
        {
            value = builder.binary(operation, value, loads[1]);
        }
        vec![value]
    });
}

#[divan::bench]
fn sigmoid_and_cross_entropy_1m(bencher: Bencher<'_, '_>) {
    program(bencher, MILLION, 2, |builder, loads| {
        let one = builder.constant(1.0);
        let p = builder.unary(Unary::Sigmoid, loads[0]);
        let q = builder.binary(Binary::Sub, one, p);
        let (log_p, log_q) = (builder.unary(Unary::Log, p), builder.unary(Unary::Log, q));
        let rest = builder.binary(Binary::Sub, one, loads[1]);
        let (left, right) = (builder.binary(Binary::Mul, loads[1], log_p), builder.binary(Binary::Mul, rest, log_q));
        let sum = builder.binary(Binary::Add, left, right);
        let loss = builder.unary(Unary::Neg, sum);
        vec![loss, builder.binary(Binary::Sub, p, loads[1])]
    });
}

const FUNCTIONS: [(&str, Unary); 9] = [
    ("copy sign", Unary::Neg),
    ("exp", Unary::Exp),
    ("log", Unary::Log),
    ("tanh", Unary::Tanh),
    ("sigmoid", Unary::Sigmoid),
    ("softplus", Unary::Softplus),
    ("erf", Unary::Erf),
    ("sin", Unary::Sin),
    ("sqrt", Unary::Sqrt),
];

#[divan::bench(args = FUNCTIONS.map(|row| row.0))]
fn function_1m(bencher: Bencher<'_, '_>, name: &str) {
    let (_, operation) = FUNCTIONS.into_iter().find(|row| row.0 == name).unwrap();
    program(bencher, MILLION, 1, |builder, loads| vec![builder.unary(operation, loads[0])]);
}

#[divan::bench(args = [14, 63])]
fn chain_of_8_tiny(bencher: Bencher<'_, '_>, n: usize) {
    program(bencher, n, 2, |builder, loads| {
        let mut value = loads[0];
        for operation in
            [Binary::Add, Binary::Mul, Binary::Sub, Binary::Max, Binary::Mul, Binary::Add, Binary::Min, Binary::Mul]
        {
            value = builder.binary(operation, value, loads[1]);
        }
        vec![value]
    });
}
