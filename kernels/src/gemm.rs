//! Matrix products `C = A · B + beta C`, in batches, with a bias and ReLU on the way out.
//!
//! Takes operands in place through a row stride and a column stride, so a transpose is a swap of two numbers and costs
//! no copy. `B` is copied panel by panel into the workspace where its columns are not contiguous, or where it is large
//! and read by many rows; `A` only where its rows lie whole pages apart. Work is cut into blocks of rows or of columns that
//! threads take one after another; the inner dimension is cut at fixed places, so every sum has one order (see `tile`).

use super::share::{Shared, block};
use super::simd::{self, Kernel, Vector};
use super::tile::{self, Finish, Panel, Walk};
use super::{Context, Real, layout};

/// The extents of `batch` products of `rows × inner` by `inner × columns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub batch: usize,
    pub rows: usize,
    pub inner: usize,
    pub columns: usize,
}

/// A matrix, or a batch of them, read in place. Strides count elements; a batch stride of 0 repeats one matrix.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    pub data: &'a [T],
    pub batch_stride: usize,
    pub row_stride: usize,
    pub column_stride: usize,
}

/// The result: rows of contiguous numbers.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    pub data: &'a mut [T],
    pub batch_stride: usize,
    pub row_stride: usize,
}

/// What is done to each number of the product before it is stored.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a, T> {
    /// Nothing.
    None,
    /// Adds one number per column.
    Bias(&'a [T]),
    /// Adds one number per column, then takes the maximum with 0.
    BiasRelu(&'a [T]),
}

/// The inner dimension is summed in blocks of this length.
const INNER_BLOCK: usize = 512;
/// Columns of `B` packed together.
const COLUMN_BLOCK: usize = 256;
/// Rows of `A` that a packed block of `B` is used for before the next panel: they stay in the second-level cache.
const ROW_BLOCK: usize = 196;
/// Below this many products a second thread costs more than it gives.
const PARALLEL_PRODUCTS: usize = 100_000;
/// A chunk of fewer products is not worth taking by itself: some tens of microseconds.
const PRODUCTS_OF_A_CHUNK: usize = 1 << 21;
/// A copy of `B` is used for this many rows at least.
const ROWS_OF_A_COPY: usize = 98;

/// How many numbers of workspace [`gemm`] needs for these operands.
#[inline]
pub fn workspace_len<T: Real>(context: &Context<'_>, shape: Shape, a: (usize, usize), b: (usize, usize)) -> usize {
    T::gemm_workspace_len(context, shape, a, b)
}

pub(crate) fn run_workspace_len<T: Real>(
    context: &Context<'_>,
    shape: Shape,
    a: (usize, usize),
    b: (usize, usize),
) -> usize {
    let share = share_len::<T>(context, shape, a, b.1);
    if swaps_roles(shape, a.0) {
        // Whether roles are swapped also depends on the result and the epilogue.
        let swapped = share_len::<T>(context, swapped_shape(shape), (b.1, b.0), a.0);
        return slots(context, shape) * share.max(swapped);
    }
    slots(context, shape) * share
}

/// What one thread copies operands into.
fn share_len<T: Real>(context: &Context<'_>, shape: Shape, a: (usize, usize), b_column_stride: usize) -> usize {
    packed_len::<T>(context, shape, b_column_stride) + copied_len::<T>(shape, a)
}

/// How many threads take part.
fn slots(context: &Context<'_>, shape: Shape) -> usize {
    if products(shape) < PARALLEL_PRODUCTS { 1 } else { context.pool.threads() }
}

fn products(shape: Shape) -> usize {
    shape.batch * shape.rows * shape.inner * shape.columns
}

/// A column vector as the result is computed as a row vector, if `A` then has contiguous columns.
fn swaps_roles(shape: Shape, a_row_stride: usize) -> bool {
    shape.columns == 1 && shape.rows > 1 && a_row_stride == 1
}

fn swapped_shape(shape: Shape) -> Shape {
    Shape { rows: shape.columns, columns: shape.rows, ..shape }
}

/// The packed part of `B` that one thread holds, 0 where `B` is read in place.
fn packed_len<T: Real>(context: &Context<'_>, shape: Shape, b_column_stride: usize) -> usize {
    if packs(shape, b_column_stride) {
        let width = tile::width::<T>(context.level);
        shape.inner.min(INNER_BLOCK) * shape.columns.min(COLUMN_BLOCK).next_multiple_of(width)
    } else {
        0
    }
}

/// The rows of `A` that one thread copies, 0 where `A` is read in place. Rows that lie whole pages apart share the few
/// places of the first-level cache that a tile needs all of.
fn copied_len<T: Real>(shape: Shape, (row_stride, column_stride): (usize, usize)) -> usize {
    let collides = column_stride == 1 && (row_stride * size_of::<T>()).is_multiple_of(4096);
    if collides && shape.rows > 8 && shape.columns >= 64 {
        shape.rows.min(ROW_BLOCK) * copied_row_stride(shape)
    } else {
        0
    }
}

fn copied_row_stride(shape: Shape) -> usize {
    shape.inner.min(INNER_BLOCK) + 16
}

fn packs(shape: Shape, b_column_stride: usize) -> bool {
    let is_large = shape.rows >= 42 && shape.inner * shape.columns > 32 * 1024;
    shape.columns > 1 && (b_column_stride != 1 || is_large)
}

/// Computes `C = A · B + beta C`, then the epilogue. With `beta` 0 what `C` held is not read.
///
/// # Panics
/// Where an operand, the result, the bias or the workspace is shorter than shape and strides reach.
#[inline]
pub fn gemm<T: Real>(
    context: &Context<'_>,
    shape: Shape,
    operands: [Matrix<'_, T>; 2],
    beta: T,
    c: MatrixMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    workspace: &mut [T],
) {
    T::gemm(context, shape, operands, beta, c, epilogue, workspace)
}

pub(crate) fn run<T: Real>(
    context: &Context<'_>,
    shape: Shape,
    [a, b]: [Matrix<'_, T>; 2],
    beta: T,
    c: MatrixMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    workspace: &mut [T],
) {
    if shape.batch == 0 || shape.rows == 0 || shape.columns == 0 {
        return;
    }
    check(shape, &a, &b, &c, epilogue);
    let product = Product {
        context: *context,
        shape,
        a,
        b,
        beta,
        c: Shared::new(c.data),
        c_strides: [c.batch_stride, c.row_stride],
        epilogue,
    };
    let swapped = swaps_roles(shape, a.row_stride) && c.row_stride == 1 && matches!(epilogue, Epilogue::None);
    let product = if swapped { product.transposed() } else { product };
    product.run(workspace);
}

fn check<T>(shape: Shape, a: &Matrix<'_, T>, b: &Matrix<'_, T>, c: &MatrixMut<'_, T>, epilogue: Epilogue<'_, T>) {
    let reach = |extents: [usize; 3], strides: [usize; 3]| {
        1 + extents.iter().zip(strides).map(|(extent, stride)| (extent - 1) * stride).sum::<usize>()
    };
    let Shape { batch, rows, inner, columns } = shape;
    if inner > 0 {
        let a_reach = reach([batch, rows, inner], [a.batch_stride, a.row_stride, a.column_stride]);
        let b_reach = reach([batch, inner, columns], [b.batch_stride, b.row_stride, b.column_stride]);
        assert!(a_reach <= a.data.len() && b_reach <= b.data.len(), "an operand is shorter than its shape");
    }
    assert!(
        reach([batch, rows, columns], [c.batch_stride, c.row_stride, 1]) <= c.data.len(),
        "the result is too short"
    );
    assert!(rows == 1 || c.row_stride >= columns, "the rows of the result overlap");
    assert!(batch == 1 || c.batch_stride >= (rows - 1) * c.row_stride + columns, "the results of a batch overlap");
    if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = epilogue {
        assert!(bias.len() >= columns, "the bias is shorter than the columns");
    }
}

#[derive(Clone, Copy)]
struct Product<'a, T> {
    context: Context<'a>,
    shape: Shape,
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    beta: T,
    c: Shared<'a, T>,
    c_strides: [usize; 2],
    epilogue: Epilogue<'a, T>,
}

#[derive(Clone, Copy)]
enum Along {
    Batch,
    Rows,
    Columns,
}

/// How a product is cut: into how many chunks along what, in multiples of which unit.
struct Cut {
    along: Along,
    unit: usize,
    chunks: usize,
}

/// What one chunk computes.
#[derive(Clone)]
struct Part {
    batch: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
}

impl<'a, T: Real> Product<'a, T> {
    /// `Cᵀ = Bᵀ · Aᵀ` for a result of one column.
    fn transposed(self) -> Self {
        let flip = |matrix: Matrix<'a, T>| Matrix {
            row_stride: matrix.column_stride,
            column_stride: matrix.row_stride,
            ..matrix
        };
        let shape = swapped_shape(self.shape);
        let c_strides = [self.c_strides[0], self.shape.rows];
        Product { shape, a: flip(self.b), b: flip(self.a), c_strides, ..self }
    }

    fn run(&self, workspace: &mut [T]) {
        let Shape { batch, rows, columns, .. } = self.shape;
        let share =
            share_len::<T>(&self.context, self.shape, (self.a.row_stride, self.a.column_stride), self.b.column_stride);
        let slots = slots(&self.context, self.shape);
        assert!(workspace.len() >= slots * share, "the workspace is too short");
        let whole = Part { batch: 0..batch, rows: 0..rows, columns: 0..columns };
        if slots == 1 {
            return self.part(whole, workspace);
        }
        let workspace = Shared::new(workspace);
        let cut = self.cut(slots);
        self.context.pool.share(cut.chunks, &|slot, chunk| {
            let mut part = whole.clone();
            let (extent, range) = match cut.along {
                Along::Batch => (batch, &mut part.batch),
                Along::Rows => (rows, &mut part.rows),
                Along::Columns => (columns, &mut part.columns),
            };
            *range = block(extent, cut.chunks, cut.unit, chunk);
            // SAFETY: each slot has its own stretch of the workspace.
            self.part(part, unsafe { workspace.part(slot * share, share) });
        });
    }

    /// Several chunks a thread, so that a thread that the system holds up is not waited for, but none that is over sooner
    /// than it is begun, or that copies `B` for a few rows.
    fn cut(&self, slots: usize) -> Cut {
        let Shape { batch, rows, columns, .. } = self.shape;
        let most = (products(self.shape) / PRODUCTS_OF_A_CHUNK).clamp(slots, self.context.pool.several());
        let (width, height) = (tile::width::<T>(self.context.level), tile::height::<T>(self.context.level));
        let (along, extent, unit, least) = if batch >= slots {
            (Along::Batch, batch, 1, 1)
        } else if columns >= rows && columns >= slots * width {
            (Along::Columns, columns, width, width)
        } else if packs(self.shape, self.b.column_stride) {
            (Along::Rows, rows, height, ROWS_OF_A_COPY)
        } else {
            (Along::Rows, rows, if rows >= 4 * slots * height { height } else { 1 }, 1)
        };
        Cut { along, unit, chunks: (extent / least).clamp(slots, most.max(slots)) }
    }

    fn part(&self, part: Part, workspace: &mut [T]) {
        let packs = packs(self.shape, self.b.column_stride);
        for batch in part.batch.clone() {
            if self.shape.columns == 1 && self.a.column_stride == 1 && self.b.row_stride == 1 && self.shape.inner > 1 {
                self.dots(batch, part.rows.clone());
                continue;
            }
            let column_block = if packs { COLUMN_BLOCK } else { usize::MAX };
            let mut column = part.columns.start;
            while column < part.columns.end {
                let columns = (part.columns.end - column).min(column_block);
                self.columns(batch, &part, [column, columns], packs, workspace);
                column += columns;
            }
        }
    }

    fn columns(&self, batch: usize, part: &Part, [column, columns]: [usize; 2], packs: bool, workspace: &mut [T]) {
        let Shape { inner, .. } = self.shape;
        let width = tile::width::<T>(self.context.level);
        let copied_len = copied_len::<T>(self.shape, (self.a.row_stride, self.a.column_stride));
        let (copied, packed) = workspace.split_at_mut(copied_len);
        let mut packed = packs.then_some(packed);
        let mut depth = 0;
        loop {
            let length = (inner - depth).min(INNER_BLOCK);
            let last = depth + length == inner;
            if let Some(packed) = packed.as_deref_mut() {
                self.pack(batch, depth, length, column, columns, packed);
            }
            let mut row = part.rows.start;
            while row < part.rows.end {
                let rows = (part.rows.end - row).min(ROW_BLOCK);
                let a = self.a_rows([batch, row, depth], [rows, length], copied);
                let mut offset = 0;
                while offset < columns {
                    let wide = (columns - offset).min(width);
                    let (b, b_step) = match packed.as_deref() {
                        Some(packed) => (packed[offset * length..].as_ptr(), width),
                        None => (self.b_at(batch, depth, column + offset), self.b.row_stride),
                    };
                    let walk = Walk::run(length, self.a.column_stride as isize, b_step as isize);
                    let place = [batch, row, column + offset];
                    self.panel(place, [rows, wide], &walk, depth, (a, b), last);
                    offset += wide;
                }
                row += rows;
            }
            depth += length;
            if last {
                return;
            }
        }
    }

    fn b_at(&self, batch: usize, depth: usize, column: usize) -> *const T {
        let offset = batch * self.b.batch_stride + depth * self.b.row_stride + column * self.b.column_stride;
        self.b.data.as_ptr().wrapping_add(offset)
    }

    /// Where rows of `A` are read and how far apart they are: in place, or copied if there is room to.
    fn a_rows(&self, [batch, row, depth]: [usize; 3], extent: [usize; 2], copied: &mut [T]) -> (*const T, usize) {
        let offset = batch * self.a.batch_stride + row * self.a.row_stride + depth * self.a.column_stride;
        if copied.is_empty() || extent[1] == 0 {
            return (self.a.data.as_ptr().wrapping_add(offset), self.a.row_stride);
        }
        let stride = copied_row_stride(self.shape);
        for (i, to) in copied.chunks_exact_mut(stride).enumerate().take(extent[0]) {
            to[..extent[1]].copy_from_slice(&self.a.data[offset + i * self.a.row_stride..][..extent[1]]);
        }
        (copied.as_ptr(), stride)
    }

    fn panel(
        &self,
        [batch, row, column]: [usize; 3],
        extent: [usize; 2],
        walk: &Walk,
        depth: usize,
        ((a, a_row), b): ((*const T, usize), *const T),
        last: bool,
    ) {
        let c_offset = batch * self.c_strides[0] + row * self.c_strides[1] + column;
        let mut finish = Finish { beta: if depth == 0 { self.beta } else { T::one() }, ..Finish::store() };
        if last && let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = self.epilogue {
            finish.bias = bias[column..].as_ptr();
            finish.relu = matches!(self.epilogue, Epilogue::BiasRelu(_));
        }
        let panel = Panel {
            walk,
            rows: extent[0],
            columns: extent[1],
            a,
            a_row: a_row as isize,
            b,
            c: self.c.pointer().wrapping_add(c_offset),
            c_row: self.c_strides[1] as isize,
            finish,
        };
        // SAFETY: `check` proved that shape and strides stay inside the slices; tasks have disjoint parts of `C`.
        unsafe { tile::compute(self.context.level, panel) };
    }

    /// Copies `length × columns` of `B` into panels of the tile's width, each a run of rows.
    fn pack(&self, batch: usize, depth: usize, length: usize, column: usize, columns: usize, packed: &mut [T]) {
        let width = tile::width::<T>(self.context.level);
        let start = batch * self.b.batch_stride + depth * self.b.row_stride + column * self.b.column_stride;
        let from = &self.b.data[start.min(self.b.data.len())..];
        let mut offset = 0;
        while offset < columns {
            let wide = (columns - offset).min(width);
            let panel = &mut packed[offset * length..][..width * length];
            let from = &from[(offset * self.b.column_stride).min(from.len())..];
            if self.b.column_stride == 1 {
                for (row, to) in panel.chunks_exact_mut(width).enumerate() {
                    to[..wide].copy_from_slice(&from[row * self.b.row_stride..][..wide]);
                }
            } else if self.b.row_stride == 1 {
                layout::transpose([length, wide], from, self.b.column_stride, panel, width);
            } else {
                for (row, to) in panel.chunks_exact_mut(width).enumerate() {
                    for (i, to) in to[..wide].iter_mut().enumerate() {
                        *to = from[row * self.b.row_stride + i * self.b.column_stride];
                    }
                }
            }
            offset += wide;
        }
    }

    /// Rows of contiguous numbers times one contiguous column.
    fn dots(&self, batch: usize, rows: std::ops::Range<usize>) {
        let inner = self.shape.inner;
        let vector = &self.b.data[batch * self.b.batch_stride..][..inner];
        for row in rows {
            let numbers = &self.a.data[batch * self.a.batch_stride + row * self.a.row_stride..][..inner];
            let mut sum = simd::dispatch(self.context.level, Dot { left: numbers, right: vector });
            if let Epilogue::Bias(bias) | Epilogue::BiasRelu(bias) = self.epilogue {
                sum = sum + bias[0];
            }
            // SAFETY: tasks have disjoint rows of `C`, and `check` proved the place to be inside.
            let c = unsafe { self.c.part(batch * self.c_strides[0] + row * self.c_strides[1], 1) };
            if self.beta != T::zero() {
                sum = self.beta * c[0] + sum;
            }
            let negative = matches!(self.epilogue, Epilogue::BiasRelu(_)) && sum < T::zero();
            c[0] = if negative { T::zero() } else { sum };
        }
    }
}

/// The inner product of two slices of one length: four running vectors, folded in a fixed order.
struct Dot<'a, T> {
    left: &'a [T],
    right: &'a [T],
}

impl<T: Real> Kernel<T> for Dot<'_, T> {
    type Output = T;

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) -> T {
        let length = self.left.len().min(self.right.len());
        // SAFETY: every read is of numbers below `length`.
        unsafe {
            let (left, right) = (self.left.as_ptr(), self.right.as_ptr());
            let mut sums = [V::splat(T::zero()); 4];
            let mut i = 0;
            while i + 4 * V::LANES <= length {
                for (j, sum) in sums.iter_mut().enumerate() {
                    let at = i + j * V::LANES;
                    *sum = V::load(left.add(at)).mul_add(V::load(right.add(at)), *sum);
                }
                i += 4 * V::LANES;
            }
            while i < length {
                let rest = length - i;
                sums[0] = V::load_partial(left.add(i), rest).mul_add(V::load_partial(right.add(i), rest), sums[0]);
                i += V::LANES;
            }
            sums[0].add(sums[1]).add(sums[2].add(sums[3])).sum()
        }
    }
}
