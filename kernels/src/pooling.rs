//! Maximum and average pooling over 1 to 3 spatial dimensions, channels last, with what their derivatives need.
//!
//! Images are `[batch, spatial.., channels]`. Padding adds no elements: a maximum is over the real elements of its
//! window, an average divides by their number, as Keras and TensorFlow do with `same`. The gradient of a maximum goes
//! to the first largest element of the window in row-major order; [`max_scatter`] sends numbers there, and
//! [`max_select`], its transpose, fetches numbers from there.
//!
//! Work is split over images, and every number is summed over its windows in their order.

use super::share::{Shared, block};
use super::simd::{self, Kernel, Vector};
use super::{Context, Real};

/// The extents of a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolGeometry {
    batch: usize,
    channels: usize,
    dims: [Dim; 3],
}

/// One spatial dimension of a pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim {
    /// Extent of the input.
    pub input: usize,
    /// Extent of the window, at least 1.
    pub window: usize,
    /// At least 1.
    pub stride: usize,
    /// Places before and after the input; less than the window, so that no window is empty.
    pub padding: (usize, usize),
}

impl Dim {
    /// Extent of the output, 0 where the window does not fit.
    pub fn output(&self) -> usize {
        let padded = self.input + self.padding.0 + self.padding.1;
        if padded < self.window { 0 } else { (padded - self.window) / self.stride + 1 }
    }

    fn window_at(&self, output: usize) -> std::ops::Range<usize> {
        let start = output * self.stride;
        let end = (start + self.window).saturating_sub(self.padding.0).min(self.input);
        start.saturating_sub(self.padding.0).min(end)..end
    }
}

/// Below this many elements read a second thread costs more than it gives.
const PARALLEL_ELEMENTS: usize = 64 * 1024;

impl PoolGeometry {
    /// The geometry of `batch` images with 1 to 3 spatial dimensions.
    ///
    /// # Panics
    /// For another number of dimensions, a zero window or stride, or padding as long as the window.
    pub fn new(batch: usize, channels: usize, dims: &[Dim]) -> PoolGeometry {
        assert!((1..=3).contains(&dims.len()), "a pooling has 1 to 3 spatial dimensions");
        let valid = |dim: &Dim| dim.window > dim.padding.0 && dim.window > dim.padding.1 && dim.stride > 0;
        assert!(dims.iter().all(valid), "a zero extent, or a window that may lie in the padding");
        let mut all = [Dim { input: 1, window: 1, stride: 1, padding: (0, 0) }; 3];
        all[3 - dims.len()..].copy_from_slice(dims);
        PoolGeometry { batch, channels, dims: all }
    }

    /// The number of input elements.
    pub fn input_len(&self) -> usize {
        self.batch * self.image_len()
    }

    /// The number of output elements.
    pub fn output_len(&self) -> usize {
        self.batch * self.output_image_len()
    }

    fn image_len(&self) -> usize {
        self.dims.iter().map(|dim| dim.input).product::<usize>() * self.channels
    }

    fn output_image_len(&self) -> usize {
        self.dims.iter().map(|dim| dim.output()).product::<usize>() * self.channels
    }

    /// Whether no input element lies in two windows.
    fn windows_are_apart(&self) -> bool {
        self.dims.iter().all(|dim| dim.stride >= dim.window)
    }

    /// Whether every input element lies in exactly one window.
    fn windows_tile(&self) -> bool {
        let tiles = |dim: &Dim| dim.stride == dim.window && dim.output() * dim.window == dim.input;
        self.dims.iter().all(|dim| tiles(dim) && dim.padding == (0, 0))
    }

    /// Runs `image` for every image, in parallel where it is worth it.
    fn each_image(&self, context: &Context<'_>, image: &(dyn Fn(usize) + Sync)) {
        let tasks = if self.input_len() < PARALLEL_ELEMENTS { 1 } else { context.pool.several().min(self.batch) };
        context.pool.run(tasks, &|task| block(self.batch, tasks, 1, task).for_each(image));
    }
}

/// The real elements of a window.
#[derive(Debug, Clone, Copy)]
struct Window {
    start: [usize; 3],
    end: [usize; 3],
    /// Height, width and channels of the image.
    extents: [usize; 3],
}

impl Window {
    fn count(&self) -> usize {
        (0..3).map(|i| self.end[i] - self.start[i]).product()
    }
}

/// Runs `$body` for the place of every pixel of a window, in row-major order.
macro_rules! each_pixel {
    ($window:expr, |$pixel:ident| $body:expr) => {{
        let [height, width, channels] = $window.extents;
        for z in $window.start[0]..$window.end[0] {
            for y in $window.start[1]..$window.end[1] {
                let row = (z * height + y) * width;
                for x in $window.start[2]..$window.end[2] {
                    let $pixel = (row + x) * channels;
                    $body
                }
            }
        }
    }};
}

/// What is done with the vectors of channels of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Max,
    /// Whether windows are apart, so that nothing has to be added to.
    MaxScatter {
        apart: bool,
    },
    MaxSelect,
    Average,
    AverageScatter,
}

/// One image: `x` is what windows look at, `v` what is scattered or selected, `to` the result.
struct Image<'a, T> {
    geometry: &'a PoolGeometry,
    operation: Operation,
    x: &'a [T],
    v: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> Kernel<T> for Image<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector<Element = T>>(self) {
        let (x, v, to) = (self.x.as_ptr(), self.v.as_ptr(), self.to.as_mut_ptr());
        let channels = self.geometry.channels;
        let [depth, height, width] = self.geometry.dims;
        let mut place = 0;
        for z in 0..depth.output() {
            for y in 0..height.output() {
                for column in 0..width.output() {
                    let ranges = [depth.window_at(z), height.window_at(y), width.window_at(column)];
                    let window = Window {
                        start: ranges.each_ref().map(|range| range.start),
                        end: ranges.each_ref().map(|range| range.end),
                        extents: [height.input, width.input, channels],
                    };
                    let mut channel = 0;
                    while channel < channels {
                        let rest = channels - channel;
                        // SAFETY: windows lie inside the image, `place` inside the output image, and only the
                        // channels below `rest` are read and written; the passes checked the lengths.
                        unsafe {
                            let (x, v, to) = (x.wrapping_add(channel), v.wrapping_add(channel), to.add(channel));
                            window_vectors::<V>(self.operation, &window, place, [x, v], to, rest);
                        }
                        channel += V::LANES;
                    }
                    place += channels;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn window_vectors<V: Vector>(
    operation: Operation,
    window: &Window,
    place: usize,
    [x, v]: [*const V::Element; 2],
    to: *mut V::Element,
    rest: usize,
) {
    // SAFETY: by the word of the caller.
    unsafe {
        let zero = V::splat(V::Element::default());
        match operation {
            Operation::Max => {
                largest::<V>(window, x, rest).store_partial(to.add(place), rest);
            }
            Operation::Average => {
                let mut sum = zero;
                each_pixel!(window, |pixel| {
                    sum = sum.add(V::load_partial(x.add(pixel), rest));
                });
                sum.div(zero.constant(window.count() as f64)).store_partial(to.add(place), rest);
            }
            Operation::AverageScatter => {
                let share = V::load_partial(v.add(place), rest).div(zero.constant(window.count() as f64));
                each_pixel!(window, |pixel| {
                    let to = to.add(pixel);
                    V::load_partial(to.cast_const(), rest).add(share).store_partial(to, rest);
                });
            }
            Operation::MaxScatter { apart: true } => {
                let largest = largest::<V>(window, x, rest);
                let mut left = V::load_partial(v.add(place), rest);
                each_pixel!(window, |pixel| {
                    let is_largest = is_same(V::load_partial(x.add(pixel), rest), largest);
                    left.select(is_largest, zero).store_partial(to.add(pixel), rest);
                    left = zero.select(is_largest, left);
                });
            }
            Operation::MaxScatter { .. } => {
                let largest = largest::<V>(window, x, rest);
                let mut left = V::load_partial(v.add(place), rest);
                each_pixel!(window, |pixel| {
                    let is_largest = is_same(V::load_partial(x.add(pixel), rest), largest);
                    let to = to.add(pixel);
                    let sum = V::load_partial(to.cast_const(), rest).add(left.select(is_largest, zero));
                    sum.store_partial(to, rest);
                    left = zero.select(is_largest, left);
                });
            }
            Operation::MaxSelect => {
                let largest = largest::<V>(window, x, rest);
                let (one, mut found, mut chosen) = (zero.constant(1.0), zero, zero);
                each_pixel!(window, |pixel| {
                    let is_largest = is_same(V::load_partial(x.add(pixel), rest), largest);
                    let is_first = V::mask_and(is_largest, found.equal(zero));
                    chosen = V::load_partial(v.add(pixel), rest).select(is_first, chosen);
                    found = one.select(is_largest, found);
                });
                chosen.store_partial(to.add(place), rest);
            }
        }
    }
}

/// Equal, or both NaN.
#[inline(always)]
fn is_same<V: Vector>(a: V, b: V) -> V::Mask {
    let both = V::mask_and(a.mask_not(a.equal(a)), b.mask_not(b.equal(b)));
    V::mask_or(a.equal(b), both)
}

#[inline(always)]
unsafe fn largest<V: Vector>(window: &Window, x: *const V::Element, rest: usize) -> V {
    // SAFETY: by the word of the caller.
    unsafe {
        let mut largest = V::splat(V::Element::default()).constant(f64::NEG_INFINITY);
        each_pixel!(window, |pixel| {
            largest = largest.maximum(V::load_partial(x.add(pixel), rest));
        });
        largest
    }
}

pub(crate) fn run<T: Real>(
    context: &Context<'_>,
    geometry: &PoolGeometry,
    operation: Operation,
    x: Option<&[T]>,
    v: Option<&[T]>,
    to: &mut [T],
) {
    let (input, output) = (geometry.image_len(), geometry.output_image_len());
    let scatters = matches!(operation, Operation::MaxScatter { .. } | Operation::AverageScatter);
    let (v_len, to_len) = if scatters { (output, input) } else { (input, output) };
    assert!(x.is_none_or(|x| x.len() == geometry.input_len()), "the length of the operand");
    assert!(v.is_none_or(|v| v.len() == geometry.batch * v_len), "the length of what is sent");
    assert_eq!(to.len(), geometry.batch * to_len, "the length of the result");
    let overwrites = operation == Operation::MaxScatter { apart: true } && geometry.windows_tile();
    let shared = Shared::new(to);
    geometry.each_image(context, &|image| {
        // SAFETY: each image is one task's.
        let to = unsafe { shared.part(image * to_len, to_len) };
        if scatters && !overwrites {
            to.fill(T::zero());
        }
        let x = x.map_or(&[][..], |x| &x[image * input..][..input]);
        let v = v.map_or(&[][..], |v| &v[image * v_len..][..v_len]);
        simd::dispatch(context.level, Image { geometry, operation, x, v, to });
    });
}

/// The largest element of each window.
///
/// # Panics
/// Where a slice has another length than the geometry says; so do all functions here.
#[inline]
pub fn max_forward<T: Real>(context: &Context<'_>, geometry: &PoolGeometry, x: &[T], y: &mut [T]) {
    T::pool(context, geometry, Operation::Max, Some(x), None, y);
}

/// Adds `g`, one number per window, at the first largest element of the window in `x`; `dx` is overwritten.
#[inline]
pub fn max_scatter<T: Real>(context: &Context<'_>, geometry: &PoolGeometry, x: &[T], g: &[T], dx: &mut [T]) {
    T::pool(context, geometry, Operation::MaxScatter { apart: geometry.windows_are_apart() }, Some(x), Some(g), dx);
}

/// Takes from `v`, shaped as `x`, what stands at the first largest element of each window in `x`.
#[inline]
pub fn max_select<T: Real>(context: &Context<'_>, geometry: &PoolGeometry, x: &[T], v: &[T], y: &mut [T]) {
    T::pool(context, geometry, Operation::MaxSelect, Some(x), Some(v), y);
}

/// The mean of the real elements of each window.
#[inline]
pub fn average_forward<T: Real>(context: &Context<'_>, geometry: &PoolGeometry, x: &[T], y: &mut [T]) {
    T::pool(context, geometry, Operation::Average, Some(x), None, y);
}

/// Spreads `g`, one number per window, over the real elements of the window; `dx` is overwritten.
#[inline]
pub fn average_scatter<T: Real>(context: &Context<'_>, geometry: &PoolGeometry, g: &[T], dx: &mut [T]) {
    T::pool(context, geometry, Operation::AverageScatter, None, Some(g), dx);
}
