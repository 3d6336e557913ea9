//! Convolution over 1 to 3 spatial dimensions, channels last, and its two derivatives.
//!
//! Images are `[batch, spatial.., channels]`, kernels `[spatial.., in channels / groups, out channels]`, as in Keras.
//! A convolution is a matrix product whose rows step through the image: no patch matrix is built. For one row of
//! output pixels the inner loop of `tile` walks the kernel's places and, at each, the contiguous channels.
//!
//! | pass | rows of the panel | columns | walk |
//! |---|---|---|---|
//! | forward | output pixels along the last dimension | out channels | kernel places, in channels |
//! | input gradient | input pixels of one phase of the stride | in channels | kernel places of the phase, out channels |
//! | kernel gradient | (last kernel place, in channel) | out channels | output rows, output pixels |
//!
//! Padding along the last dimension is real: image rows are copied with their borders into the workspace, one image
//! at a time. Along the other dimensions the walk just leaves out what lies outside. The input gradient needs the
//! kernel with its channel axes swapped, which is copied once.
//!
//! Three by three places in steps of 1 go by way of `winograd` where there are channels enough.
//!
//! Each result number is summed in one order: the forward pass and the input gradient are split over output rows, and
//! the kernel gradient over a number of image groups that depends on the geometry alone, summed in their order.

mod geometry;
mod winograd;

use super::share::{Shared, block};
use super::tile::{self, Finish, Panel, Walk};
use super::{Context, Level, Real};

pub use geometry::{ConvGeometry, Dim};
use geometry::{Image, PARALLEL_PRODUCTS, image};

/// The partial sums of a small kernel gradient: groups of images.
const IMAGE_GROUPS: usize = 8;
/// A kernel gradient larger than this is split over its rows instead.
const GROUPED_KERNEL: usize = 64 * 1024;

/// Several chunks of images a thread, where there are images enough.
fn chunks(context: &Context<'_>, batch: usize, tasks: usize) -> usize {
    let several = context.pool.several();
    if tasks > 1 && batch >= 2 * several { several } else { tasks }
}

/// How the chunks of a pass share the images: whole images, or rows of output of one image after another.
fn split(batch: usize, rows: usize, tasks: usize, task: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
    if batch >= 2 * tasks || rows < tasks {
        (block(batch, tasks, 1, task), 0..rows)
    } else {
        (0..batch, block(rows, tasks, 1, task))
    }
}

/// Whether a convolution goes by way of `winograd`, to the points and back.
#[inline]
pub fn goes_by_points<T: Real>(geometry: &ConvGeometry) -> bool {
    winograd::suits::<T>(geometry)
}

/// How many numbers of workspace [`forward`] needs.
#[inline]
pub fn forward_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    T::forward_workspace_len(context, geometry)
}

pub(crate) fn run_forward_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    if winograd::suits::<T>(geometry) {
        return winograd::forward_workspace_len::<T>(context, geometry);
    }
    geometry.tasks(context) * geometry.bordered().map_or(0, |borders| borders.len(geometry.in_channels))
}

/// Computes `y`, the convolution of `x` with `kernel`, plus a bias per out channel, then the maximum with 0 if `relu`.
///
/// # Panics
/// Where a slice has another length than the geometry says, or the workspace is too short.
#[inline]
pub fn forward<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    x: &[T],
    kernel: &[T],
    epilogue: (Option<&[T]>, bool),
    y: &mut [T],
    workspace: &mut [T],
) {
    T::forward(context, geometry, x, kernel, epilogue, y, workspace)
}

pub(crate) fn run_forward<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    x: &[T],
    kernel: &[T],
    epilogue: (Option<&[T]>, bool),
    y: &mut [T],
    workspace: &mut [T],
) {
    let g = geometry;
    assert!(x.len() == g.input_len() && kernel.len() == g.kernel_len() && y.len() == g.output_len(), "lengths");
    assert!(epilogue.0.is_none_or(|bias| bias.len() == g.out_channels), "the bias has one number per out channel");
    if y.is_empty() {
        return;
    }
    assert!(workspace.len() >= run_forward_workspace_len::<T>(context, g), "the workspace is too short");
    if winograd::suits::<T>(g) {
        return winograd::forward(context, g, x, kernel, epilogue, y, workspace);
    }
    let tasks = g.tasks(context);
    let share = workspace.len() / tasks;
    let (y, workspace) = (Shared::new(y), Shared::new(workspace));
    let [planes, rows, _] = g.outputs();
    let chunks = chunks(context, g.batch, tasks);
    context.pool.share(chunks, &|slot, chunk| {
        // SAFETY: each slot has its own stretch of the workspace.
        let workspace = unsafe { workspace.part(slot * share, share) };
        let (images, rows) = split(g.batch, planes * rows, chunks, chunk);
        for n in images {
            let borders = g.bordered();
            let length = borders.map_or(0, |borders| borders.len(g.in_channels));
            let pixels = &x[n * g.image_len()..][..g.image_len()];
            let image = image(borders, pixels, g.dims[2].input, g.in_channels, &mut workspace[..length]);
            let to = y.pointer().wrapping_add(n * g.output_image_len());
            for row in rows.clone() {
                forward_row(context.level, g, image, kernel, epilogue, row, to);
            }
        }
    });
}

/// One row of output pixels of one image. `to` is the image's first output.
fn forward_row<T: Real>(
    level: Level,
    g: &ConvGeometry,
    image: Image<'_, T>,
    kernel: &[T],
    epilogue: (Option<&[T]>, bool),
    row: usize,
    to: *mut T,
) {
    let [depth, height, width] = g.dims;
    let [_, out_height, out_width] = g.outputs();
    let (z, y) = (row / out_height, row % out_height);
    let (places_z, places_y) = (depth.kernel_places(z), height.kernel_places(y));
    let (group_in, group_out) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let pixel = |z: usize, y: usize, x: usize| ((z * height.input + y) * image.row + x) * g.in_channels;
    let b_row = group_in * g.out_channels;
    // With one group and undilated places the channels of a kernel row are one run.
    let runs = if g.groups == 1 && width.dilation == 1 { 1 } else { width.kernel };
    let walk = Walk {
        counts: [places_z.len(), places_y.len(), runs],
        a_steps: [pixel(depth.dilation, 0, 0), pixel(0, height.dilation, 0), width.dilation * g.in_channels]
            .map(|step| step as isize),
        b_steps: [height.kernel * width.kernel * b_row, width.kernel * b_row, b_row].map(|step| step as isize),
        length: width.kernel / runs * group_in,
        a_step: 1,
        b_step: g.out_channels as isize,
    };
    let start_z = (z * depth.stride + places_z.start * depth.dilation).saturating_sub(depth.padding.0);
    let start_y = (y * height.stride + places_y.start * height.dilation).saturating_sub(height.padding.0);
    let a = image.pixels.as_ptr().wrapping_add(pixel(start_z, start_y, 0));
    let b = (places_z.start * height.kernel + places_y.start) * width.kernel * b_row;
    let panel = Panel {
        walk: &walk,
        rows: out_width,
        columns: group_out,
        a,
        a_row: (width.stride * g.in_channels) as isize,
        b: kernel.as_ptr().wrapping_add(b),
        c: to.wrapping_add(row * out_width * g.out_channels),
        c_row: g.out_channels as isize,
        finish: Finish {
            bias: epilogue.0.map_or(std::ptr::null(), <[T]>::as_ptr),
            relu: epilogue.1,
            ..Finish::store()
        },
    };
    // SAFETY: the kernel places kept by `kernel_places` lie inside the image, and along the last dimension inside its
    // borders; the lengths were checked; output rows belong to one task each.
    unsafe { each_group(level, g, panel, group_in, group_out) };
}

/// Computes a panel for every group, given that of the first with all its columns. From one group to the next `a` and
/// `b` move by `a_group` and `b_group`, the result and the bias by the columns.
///
/// # Safety
/// As [`tile::compute`], for all groups.
unsafe fn each_group<T: Real>(level: Level, g: &ConvGeometry, first: Panel<'_, T>, a_group: usize, b_group: usize) {
    if g.is_depthwise() {
        // SAFETY: by the contract of this function; groups are the columns.
        return unsafe { tile::compute_lanewise(level, Panel { columns: g.groups, ..first }) };
    }
    let width = tile::width::<T>(level);
    for group in 0..g.groups {
        for column in (0..first.columns).step_by(width) {
            let channel = group * first.columns + column;
            let bias = first.finish.bias;
            let bias = if bias.is_null() { bias } else { bias.wrapping_add(channel) };
            let panel = Panel {
                columns: (first.columns - column).min(width),
                a: first.a.wrapping_add(group * a_group),
                b: first.b.wrapping_add(group * b_group + column),
                c: first.c.wrapping_add(channel),
                finish: Finish { bias, ..first.finish },
                ..first
            };
            // SAFETY: by the contract of this function.
            unsafe { tile::compute(level, panel) };
        }
    }
}

/// How many numbers of workspace [`input_gradient`] needs.
#[inline]
pub fn input_gradient_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    T::input_gradient_workspace_len(context, geometry)
}

pub(crate) fn run_input_gradient_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    if winograd::suits::<T>(geometry) {
        return geometry.kernel_len() + winograd::input_gradient_workspace_len::<T>(context, geometry);
    }
    let bordered = geometry.bordered_output().map_or(0, |borders| borders.len(geometry.out_channels));
    geometry.kernel_len() + geometry.tasks(context) * bordered
}

/// Computes `dx`, the cotangent of the input, from `dy`, that of the output.
///
/// # Panics
/// Where a slice has another length than the geometry says, or the workspace is too short.
#[inline]
pub fn input_gradient<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    dy: &[T],
    kernel: &[T],
    dx: &mut [T],
    workspace: &mut [T],
) {
    T::input_gradient(context, geometry, dy, kernel, dx, workspace)
}

pub(crate) fn run_input_gradient<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    dy: &[T],
    kernel: &[T],
    dx: &mut [T],
    workspace: &mut [T],
) {
    let g = geometry;
    assert!(dx.len() == g.input_len() && kernel.len() == g.kernel_len() && dy.len() == g.output_len(), "lengths");
    assert!(workspace.len() >= run_input_gradient_workspace_len::<T>(context, g), "the workspace is too short");
    if dy.is_empty() {
        return dx.fill(T::zero());
    }
    let (swapped, rest) = workspace.split_at_mut(g.kernel_len());
    swap_channels(g, kernel, swapped);
    let swapped = &*swapped;
    if winograd::suits::<T>(g) {
        return winograd::input_gradient(context, g, dy, swapped, dx, rest);
    }
    let tasks = g.tasks(context);
    let share = rest.len() / tasks;
    let (dx, rest) = (Shared::new(dx), Shared::new(rest));
    let rows = g.dims[0].input * g.dims[1].input;
    let chunks = chunks(context, g.batch, tasks);
    context.pool.share(chunks, &|slot, chunk| {
        // SAFETY: each slot has its own stretch of the workspace.
        let workspace = unsafe { rest.part(slot * share, share) };
        let (images, rows) = split(g.batch, rows, chunks, chunk);
        for n in images {
            let borders = g.bordered_output();
            let length = borders.map_or(0, |borders| borders.len(g.out_channels));
            let pixels = &dy[n * g.output_image_len()..][..g.output_image_len()];
            let image = image(borders, pixels, g.outputs()[2], g.out_channels, &mut workspace[..length]);
            let to = dx.pointer().wrapping_add(n * g.image_len());
            for row in rows.clone() {
                for phase in 0..g.dims[2].stride.min(g.dims[2].input) {
                    input_row(context.level, g, image, swapped, [row, phase], to);
                }
            }
        }
    });
}

/// `[place, in / groups, out]` to `[place, group, out / groups, in / groups]`.
fn swap_channels<T: Real>(g: &ConvGeometry, kernel: &[T], swapped: &mut [T]) {
    let (group_in, group_out) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let place_len = (group_in * g.out_channels).max(1);
    for (from, to) in kernel.chunks_exact(place_len).zip(swapped.chunks_exact_mut(place_len)) {
        for group in 0..g.groups {
            for o in 0..group_out {
                for i in 0..group_in {
                    to[(group * group_out + o) * group_in + i] = from[i * g.out_channels + group * group_out + o];
                }
            }
        }
    }
}

/// The pixels `phase`, `phase + stride`, .. of one row of one image of `dx`. `to` is the image's first number.
fn input_row<T: Real>(
    level: Level,
    g: &ConvGeometry,
    image: Image<'_, T>,
    swapped: &[T],
    [row, phase]: [usize; 2],
    to: *mut T,
) {
    let [depth, height, width] = g.dims;
    let [_, out_height, _] = g.outputs();
    let z = depth.adjoint_places(row / height.input);
    let y = height.adjoint_places(row % height.input);
    // Along the last dimension all places of the phase count: the borders of `image` hold zeros.
    let (step, back) = width.adjoint_steps();
    let meets = |kernel: &usize| {
        let shift = (phase + width.padding.0) as isize - (kernel * width.dilation) as isize;
        shift % width.stride as isize == 0
    };
    let mut places = (0..width.kernel).filter(meets);
    let first = places.next();
    let count = if first.is_some() { 1 + places.count() } else { 0 };
    let first = first.unwrap_or(0);
    let shift = (phase + width.padding.0) as isize - (first * width.dilation) as isize;
    let start_x = image.before as isize + shift.div_euclid(width.stride as isize);
    let (group_in, group_out) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let pixel = |z: usize, y: usize, x: usize| (((z * out_height + y) * image.row + x) * g.out_channels) as isize;
    let b_place = group_in * g.out_channels;
    let walk = Walk {
        counts: [z.count, y.count, count],
        a_steps: [-pixel(z.back, 0, 0), -pixel(0, y.back, 0), -pixel(0, 0, back)],
        b_steps: [z.step * height.kernel * width.kernel * b_place, y.step * width.kernel * b_place, step * b_place]
            .map(|step| step as isize),
        length: group_out,
        a_step: 1,
        b_step: group_in as isize,
    };
    let a = image.pixels.as_ptr().wrapping_offset(pixel(z.output, y.output, 0) + start_x * g.out_channels as isize);
    let b = ((z.first * height.kernel + y.first) * width.kernel + first) * b_place;
    let panel = Panel {
        walk: &walk,
        rows: (width.input - phase).div_ceil(width.stride),
        columns: group_in,
        a,
        a_row: g.out_channels as isize,
        b: swapped.as_ptr().wrapping_add(b),
        c: to.wrapping_add((row * width.input + phase) * g.in_channels),
        c_row: (width.stride * g.in_channels) as isize,
        finish: Finish::store(),
    };
    // SAFETY: the places kept lie inside the output, and along the last dimension inside its borders; the lengths were
    // checked; input rows belong to one task each.
    unsafe { each_group(level, g, panel, group_out, group_out * group_in) };
}

/// How many partial sums the kernel gradient has: by the geometry alone.
fn image_groups(g: &ConvGeometry) -> usize {
    if g.kernel_len() <= GROUPED_KERNEL && g.products() >= PARALLEL_PRODUCTS {
        g.batch.clamp(1, IMAGE_GROUPS)
    } else {
        1
    }
}

/// How many numbers of workspace [`kernel_gradient`] needs.
#[inline]
pub fn kernel_gradient_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    T::kernel_gradient_workspace_len(context, geometry)
}

pub(crate) fn run_kernel_gradient_workspace_len<T: Real>(context: &Context<'_>, geometry: &ConvGeometry) -> usize {
    if winograd::suits::<T>(geometry) {
        return winograd::kernel_gradient_workspace_len::<T>(context, geometry);
    }
    let groups = image_groups(geometry);
    let partial = if groups > 1 { groups * geometry.kernel_len() } else { 0 };
    let tasks = if groups > 1 { groups } else { geometry.tasks(context) };
    partial + tasks * geometry.bordered().map_or(0, |borders| borders.len(geometry.in_channels))
}

/// Computes `dk`, the cotangent of the kernel, from `dy`, that of the output.
///
/// # Panics
/// Where a slice has another length than the geometry says, or the workspace is too short.
#[inline]
pub fn kernel_gradient<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    x: &[T],
    dy: &[T],
    dk: &mut [T],
    workspace: &mut [T],
) {
    T::kernel_gradient(context, geometry, x, dy, dk, workspace)
}

pub(crate) fn run_kernel_gradient<T: Real>(
    context: &Context<'_>,
    geometry: &ConvGeometry,
    x: &[T],
    dy: &[T],
    dk: &mut [T],
    workspace: &mut [T],
) {
    let g = geometry;
    assert!(x.len() == g.input_len() && dk.len() == g.kernel_len() && dy.len() == g.output_len(), "lengths");
    assert!(workspace.len() >= run_kernel_gradient_workspace_len::<T>(context, g), "the workspace is too short");
    if dy.is_empty() {
        return dk.fill(T::zero());
    }
    if winograd::suits::<T>(g) {
        return winograd::kernel_gradient(context, g, x, dy, dk, workspace);
    }
    let groups = image_groups(g);
    let kernel_rows = kernel_rows(g);
    if groups == 1 {
        let tasks = g.tasks(context);
        let share = workspace.len() / tasks;
        let (dk, workspace) = (Shared::new(dk), Shared::new(workspace));
        context.pool.run(tasks, &|task| {
            // SAFETY: each task has its own stretch of the workspace and its own rows of the kernel.
            let workspace = unsafe { workspace.part(task * share, share) };
            let rows = block(kernel_rows, tasks, 1, task);
            kernel_rows_of_images(context.level, g, x, dy, 0..g.batch, rows, dk.pointer(), workspace);
        });
        return;
    }
    let (partial, rest) = workspace.split_at_mut(groups * g.kernel_len());
    let share = rest.len() / groups;
    let (sums, rest) = (Shared::new(&mut *partial), Shared::new(rest));
    context.pool.run(groups, &|group| {
        // SAFETY: each group has its own stretch of the workspace and its own partial sum.
        let workspace = unsafe { rest.part(group * share, share) };
        let images = block(g.batch, groups, 1, group);
        let to = sums.pointer().wrapping_add(group * g.kernel_len());
        kernel_rows_of_images(context.level, g, x, dy, images, 0..kernel_rows, to, workspace);
    });
    let (first, others) = partial.split_at(g.kernel_len());
    dk.copy_from_slice(first);
    for other in others.chunks_exact(g.kernel_len()) {
        for (sum, number) in dk.iter_mut().zip(other) {
            *sum = *sum + *number;
        }
    }
}

/// The kernel as a matrix of out channels: its rows but for the in channels of one run.
fn kernel_rows(g: &ConvGeometry) -> usize {
    let [depth, height, width] = g.dims;
    depth.kernel * height.kernel * if joins_width(g) { 1 } else { width.kernel }
}

/// Whether one panel covers the last kernel dimension: it is one run of the image with the in channels, or each
/// channel is by itself.
fn joins_width(g: &ConvGeometry) -> bool {
    g.is_depthwise() || (g.groups == 1 && g.dims[2].dilation == 1)
}

#[allow(clippy::too_many_arguments, reason = "one call site each, and a struct would only repeat the names")]
fn kernel_rows_of_images<T: Real>(
    level: Level,
    g: &ConvGeometry,
    x: &[T],
    dy: &[T],
    images: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    to: *mut T,
    workspace: &mut [T],
) {
    let borders = g.bordered();
    let length = borders.map_or(0, |borders| borders.len(g.in_channels));
    // Few images at once: one panel sums over all of them.
    if borders.is_none() && g.products() < PARALLEL_PRODUCTS {
        let image = Image { pixels: &x[images.start * g.image_len()..], row: g.dims[2].input, before: 0 };
        let cotangent = &dy[images.start * g.output_image_len()..];
        for row in rows {
            kernel_row(level, g, (image, images.len()), cotangent, row, to, Finish::store());
        }
        return;
    }
    let mut finish = Finish::store();
    for n in images {
        let pixels = &x[n * g.image_len()..][..g.image_len()];
        let image = image(borders, pixels, g.dims[2].input, g.in_channels, &mut workspace[..length]);
        let cotangent = &dy[n * g.output_image_len()..][..g.output_image_len()];
        for row in rows.clone() {
            kernel_row(level, g, (image, 1), cotangent, row, to, finish);
        }
        finish = Finish::accumulate();
    }
}

/// One row of the kernel gradient, from some images.
fn kernel_row<T: Real>(
    level: Level,
    g: &ConvGeometry,
    (image, images): (Image<'_, T>, usize),
    dy: &[T],
    row: usize,
    to: *mut T,
    finish: Finish<T>,
) {
    let [depth, height, width] = g.dims;
    let [_, out_height, out_width] = g.outputs();
    let (group_in, group_out) = (g.in_channels / g.groups, g.out_channels / g.groups);
    let joins = joins_width(g);
    let (joined, kernel_x) = if joins { (width.kernel, 0) } else { (1, row % width.kernel) };
    let place = row / (width.kernel / joined);
    let (kernel_z, kernel_y) = (place / height.kernel, place % height.kernel);
    let (z, y) = (depth.output_places(kernel_z), height.output_places(kernel_y));
    let pixel = |z: usize, y: usize, x: usize| ((z * height.input + y) * image.row + x) * g.in_channels;
    let start_z = (z.start * depth.stride + kernel_z * depth.dilation).saturating_sub(depth.padding.0);
    let start_y = (y.start * height.stride + kernel_y * height.dilation).saturating_sub(height.padding.0);
    let walk = Walk {
        counts: [z.len(), y.len(), images],
        a_steps: [pixel(depth.stride, 0, 0), pixel(0, height.stride, 0), g.image_len()].map(|step| step as isize),
        b_steps: [out_height * out_width * g.out_channels, out_width * g.out_channels, g.output_image_len()]
            .map(|step| step as isize),
        length: out_width,
        a_step: (width.stride * g.in_channels) as isize,
        b_step: g.out_channels as isize,
    };
    let a = image.pixels.as_ptr().wrapping_add(pixel(start_z, start_y, kernel_x * width.dilation));
    let b = (z.start * out_height + y.start) * out_width * g.out_channels;
    let panel = Panel {
        walk: &walk,
        rows: if g.is_depthwise() { width.kernel } else { joined * group_in },
        columns: group_out,
        a,
        a_row: if g.is_depthwise() { (width.dilation * g.in_channels) as isize } else { 1 },
        b: dy.as_ptr().wrapping_add(b),
        c: to.wrapping_add(row * joined * group_in * g.out_channels),
        c_row: g.out_channels as isize,
        finish,
    };
    // SAFETY: the output places kept by `output_places` put the kernel place inside the image, and along the last
    // dimension inside its borders; the lengths were checked; kernel rows belong to one task each.
    unsafe { each_group(level, g, panel, group_in, group_out) };
}
