//! Convolutions of 3 × 3 places in steps of 1 by Winograd's minimal filtering, a quarter of the products.
//!
//! An image is cut into tiles of 4 × 4 results. Each tile's 6 × 6 operands are taken to 36 values of a polynomial, the
//! kernel's 3 × 3 to 36 more; products of values at one point are values of the product, so 36 small matrix products
//! over the channels stand for the 144 of the sum, and an interpolation gives the tile back. The kernel gradient reads
//! the same identity the other way: 4 × 4 cotangents slide over 6 × 6 pixels, which leaves 3 × 3 sums; all tiles are added
//! before they are taken back.
//!
//! The points are 0, ±5/8, ±3/2 and ∞: with them, and 32 channels of normally distributed numbers, the error is twice that
//! of the plain sum, a third of what ±1, ±2 give (7e-7 of the result's size in single precision). Doubles ask for
//! accuracy, so they are left to the plain sum.
//!
//! Source: Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016; the matrices follow from the
//! points by the construction of Toom and Cook.

mod points;

use super::geometry::ConvGeometry;
use crate::share::{Shared, block};
use crate::tile::{self, Finish, Panel, Walk};
use crate::{Context, Level, Real, simd};
use points::{FromPoints, KernelFromPoints, ToPoints, kernel_to_points};
use std::ops::Range;

/// Results on the side of a tile.
const TILE: usize = 4;
/// Operands on the side of a tile: one more than the results, for each further place of the kernel.
const SIDE: usize = 6;
/// Values a tile is taken to.
const POINTS: usize = SIDE * SIDE;
/// The partial sums of a kernel gradient.
const GROUPS: usize = 8;
/// Fewer channels than this do not repay the way to the points and back.
const FEWEST_CHANNELS: usize = 16;
/// The kernel at the points is four times as large as the kernel: this many numbers at most.
const LARGEST_KERNEL: usize = POINTS * 512 * 512;

/// Whether a convolution is computed this way.
pub(super) fn suits<T: Real>(g: &ConvGeometry) -> bool {
    let [depth, height, width] = g.dims;
    let plain = |dim: &super::Dim| {
        dim.kernel == 3 && dim.stride == 1 && dim.dilation == 1 && dim.padding.0 <= 2 && dim.padding.1 <= 2
    };
    let is_flat = depth.input == 1 && depth.kernel == 1 && depth.padding == (0, 0);
    let has_channels = g.in_channels >= FEWEST_CHANNELS && g.out_channels >= FEWEST_CHANNELS;
    let fits = POINTS * g.in_channels * g.out_channels <= LARGEST_KERNEL;
    let [_, rows, columns] = g.outputs();
    // Tiles that stick out at the end are computed in full: 36 products each instead of 9 a result.
    let saves = |rows: usize, columns: usize| {
        2 * rows * columns >= 13 * rows.div_ceil(TILE) * columns.div_ceil(TILE) && rows > 0 && columns > 0
    };
    size_of::<T>() == 4
        && g.groups == 1
        && is_flat
        && plain(&height)
        && plain(&width)
        && has_channels
        && fits
        && saves(rows, columns)
        && saves(height.input, width.input)
        && g.products() >= super::PARALLEL_PRODUCTS
}

/// Images that a pass reads or writes.
#[derive(Clone, Copy)]
struct Field {
    height: usize,
    width: usize,
    channels: usize,
}

/// The tiles of a batch, numbered image by image and row by row.
#[derive(Clone, Copy)]
struct Tiles {
    count: usize,
    rows: usize,
    columns: usize,
}

impl Tiles {
    /// The tiles that cover a field's images.
    fn over(field: Field, batch: usize) -> Self {
        let (rows, columns) = (field.height.div_ceil(TILE), field.width.div_ceil(TILE));
        Tiles { count: batch * rows * columns, rows, columns }
    }

    /// A tile's image, and its first result there.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, [usize; 2]) {
        let in_image = tile % (self.rows * self.columns);
        (tile / (self.rows * self.columns), [in_image / self.columns * TILE, in_image % self.columns * TILE])
    }
}

/// Tiles that are taken to the points together: a few of the tall tiles of [`super::tile`].
fn tiles_at_once<T: Real>(level: Level) -> usize {
    2 * tile::height::<T>(level)
}

/// A correlation with 3 × 3 places: the forward pass, or the input gradient as one of the output's cotangents.
struct Correlation {
    from: Field,
    to: Field,
    batch: usize,
    /// zeros above and left of the operand
    padding: [usize; 2],
    /// the kernel is turned by half a circle
    flipped: bool,
}

impl Correlation {
    fn forward(g: &ConvGeometry) -> Self {
        let padding = [g.dims[1].padding.0, g.dims[2].padding.0];
        Correlation { from: inputs(g), to: outputs(g), batch: g.batch, padding, flipped: false }
    }

    fn input_gradient(g: &ConvGeometry) -> Self {
        let padding = [2 - g.dims[1].padding.0, 2 - g.dims[2].padding.0];
        Correlation { from: outputs(g), to: inputs(g), batch: g.batch, padding, flipped: true }
    }

    fn kernel_len(&self) -> usize {
        POINTS * self.from.channels * self.to.channels
    }

    /// What one thread works in: operands and results of some tiles at the points, and one tile's operands.
    fn share_len<T: Real>(&self, level: Level) -> usize {
        POINTS * (tiles_at_once::<T>(level) * (self.from.channels + self.to.channels) + self.from.channels)
    }

    fn workspace_len<T: Real>(&self, context: &Context<'_>) -> usize {
        self.kernel_len() + context.pool.threads() * self.share_len::<T>(context.level)
    }

    fn run<T: Real>(
        &self,
        context: &Context<'_>,
        x: &[T],
        kernel: &[T],
        epilogue: (Option<&[T]>, bool),
        y: &mut [T],
        workspace: &mut [T],
    ) {
        let level = context.level;
        let (points, rest) = workspace.split_at_mut(self.kernel_len());
        let (inner, columns) = (self.from.channels, self.to.channels);
        kernel_to_points(level, kernel, [inner, columns], self.flipped, points);
        let points = &*points;
        let share = self.share_len::<T>(level);
        let tiles = Tiles::over(self.to, self.batch);
        let at_once = tiles_at_once::<T>(level);
        let (y, rest) = (Shared::new(y), Shared::new(rest));
        context.pool.share(tiles.count.div_ceil(at_once), &|slot, chunk| {
            // SAFETY: each slot has its own stretch of the workspace.
            let share = unsafe { rest.part(slot * share, share) };
            let range = chunk * at_once..((chunk + 1) * at_once).min(tiles.count);
            let n = range.len();
            let (operands, share) = share.split_at_mut(POINTS * at_once * inner);
            let (results, scratch) = share.split_at_mut(POINTS * at_once * columns);
            let to_points = ToPoints::<_, SIDE> {
                field: self.from,
                tiles,
                range: range.clone(),
                padding: self.padding,
                from: x,
                to: &mut *operands,
                scratch,
            };
            simd::dispatch(level, to_points);
            let walk = Walk::run(inner, 1, columns as isize);
            for point in 0..POINTS {
                let panel = Panel {
                    walk: &walk,
                    rows: n,
                    columns,
                    a: operands[point * n * inner..].as_ptr(),
                    a_row: inner as isize,
                    b: points[point * inner * columns..].as_ptr(),
                    c: results[point * n * columns..].as_mut_ptr(),
                    c_row: columns as isize,
                    finish: Finish::store(),
                };
                // SAFETY: the slices have `n` rows of operands and results at each point.
                unsafe { tile::compute_wide(level, panel) };
            }
            let from_points = FromPoints { field: self.to, tiles, range, from: results, to: y, epilogue };
            simd::dispatch(level, from_points);
        });
    }
}

fn inputs(g: &ConvGeometry) -> Field {
    Field { height: g.dims[1].input, width: g.dims[2].input, channels: g.in_channels }
}

fn outputs(g: &ConvGeometry) -> Field {
    Field { height: g.outputs()[1], width: g.outputs()[2], channels: g.out_channels }
}

pub(super) fn forward_workspace_len<T: Real>(context: &Context<'_>, g: &ConvGeometry) -> usize {
    Correlation::forward(g).workspace_len::<T>(context)
}

/// As [`super::forward`].
pub(super) fn forward<T: Real>(
    context: &Context<'_>,
    g: &ConvGeometry,
    x: &[T],
    kernel: &[T],
    epilogue: (Option<&[T]>, bool),
    y: &mut [T],
    workspace: &mut [T],
) {
    Correlation::forward(g).run(context, x, kernel, epilogue, y, workspace);
}

pub(super) fn input_gradient_workspace_len<T: Real>(context: &Context<'_>, g: &ConvGeometry) -> usize {
    Correlation::input_gradient(g).workspace_len::<T>(context)
}

/// As [`super::input_gradient`], with the kernel's channels swapped already.
pub(super) fn input_gradient<T: Real>(
    context: &Context<'_>,
    g: &ConvGeometry,
    dy: &[T],
    swapped: &[T],
    dx: &mut [T],
    workspace: &mut [T],
) {
    Correlation::input_gradient(g).run(context, dy, swapped, (None, false), dx, workspace);
}

/// What one thread works in for a kernel gradient: sums, pixels and cotangents at the points, and one tile of each.
fn gradient_share_len<T: Real>(level: Level, g: &ConvGeometry) -> usize {
    let channels = g.in_channels + g.out_channels;
    POINTS * (g.in_channels * g.out_channels + tiles_at_once::<T>(level) * channels + channels)
}

pub(super) fn kernel_gradient_workspace_len<T: Real>(context: &Context<'_>, g: &ConvGeometry) -> usize {
    GROUPS * g.kernel_len() + context.pool.threads() * gradient_share_len::<T>(context.level, g)
}

/// As [`super::kernel_gradient`].
pub(super) fn kernel_gradient<T: Real>(
    context: &Context<'_>,
    g: &ConvGeometry,
    x: &[T],
    dy: &[T],
    dk: &mut [T],
    workspace: &mut [T],
) {
    let level = context.level;
    let tiles = Tiles::over(outputs(g), g.batch);
    let groups = tiles.count.div_ceil(tiles_at_once::<T>(level)).min(GROUPS);
    let (partial, rest) = workspace.split_at_mut(GROUPS * g.kernel_len());
    let share = gradient_share_len::<T>(level, g);
    let (sums, rest) = (Shared::new(&mut *partial), Shared::new(rest));
    context.pool.share(groups, &|slot, group| {
        // SAFETY: each slot has its own stretch of the workspace, each group its own partial sum.
        let (share, to) =
            unsafe { (rest.part(slot * share, share), sums.part(group * g.kernel_len(), g.kernel_len())) };
        partial_kernel_gradient(level, g, tiles, block(tiles.count, groups, 1, group), [x, dy], to, share);
    });
    let (first, others) = partial.split_at(g.kernel_len());
    dk.copy_from_slice(first);
    for other in others.chunks_exact(g.kernel_len()).take(groups - 1) {
        for (sum, number) in dk.iter_mut().zip(other) {
            *sum = *sum + *number;
        }
    }
}

fn partial_kernel_gradient<T: Real>(
    level: Level,
    g: &ConvGeometry,
    tiles: Tiles,
    group: Range<usize>,
    [x, dy]: [&[T]; 2],
    to: &mut [T],
    share: &mut [T],
) {
    let (rows, columns, at_once) = (g.in_channels, g.out_channels, tiles_at_once::<T>(level));
    let (sums, share) = share.split_at_mut(POINTS * rows * columns);
    let (pixels, share) = share.split_at_mut(POINTS * at_once * rows);
    let (cotangents, scratch) = share.split_at_mut(POINTS * at_once * columns);
    let padding = [g.dims[1].padding.0, g.dims[2].padding.0];
    for first in group.clone().step_by(at_once) {
        let range = first..(first + at_once).min(group.end);
        let n = range.len();
        let (field, scratch) = (inputs(g), &mut *scratch);
        simd::dispatch(
            level,
            ToPoints::<_, SIDE> { field, tiles, range: range.clone(), padding, from: x, to: &mut *pixels, scratch },
        );
        let field = outputs(g);
        simd::dispatch(
            level,
            ToPoints::<_, TILE> { field, tiles, range, padding: [0; 2], from: dy, to: &mut *cotangents, scratch },
        );
        let walk = Walk::run(n, rows as isize, columns as isize);
        for point in 0..POINTS {
            let panel = Panel {
                walk: &walk,
                rows,
                columns,
                a: pixels[point * n * rows..].as_ptr(),
                a_row: 1,
                b: cotangents[point * n * columns..].as_ptr(),
                c: sums[point * rows * columns..].as_mut_ptr(),
                c_row: columns as isize,
                finish: if first == group.start { Finish::store() } else { Finish::accumulate() },
            };
            // SAFETY: the slices have `n` rows of operands and `rows` rows of sums at each point.
            unsafe { tile::compute_wide(level, panel) };
        }
    }
    simd::dispatch(level, KernelFromPoints { rows, columns, from: sums, to });
}
