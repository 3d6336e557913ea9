//! The extents of a convolution and what follows from them: which kernel places meet the image where.

use crate::{Context, Real};

/// The extents of a convolution. Spatial dimensions are always three; leading ones may be 1 (see
/// [`ConvGeometry::new`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvGeometry {
    pub(super) batch: usize,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) groups: usize,
    pub(super) dims: [Dim; 3],
    outputs: [usize; 3],
}

/// One spatial dimension of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dim {
    /// Extent of the input, at least 1.
    pub input: usize,
    /// Extent of the kernel, at least 1.
    pub kernel: usize,
    /// At least 1.
    pub stride: usize,
    /// From one kernel place to the next, at least 1.
    pub dilation: usize,
    /// Zeros before and after the input.
    pub padding: (usize, usize),
}

impl Dim {
    const NONE: Dim = Dim { input: 1, kernel: 1, stride: 1, dilation: 1, padding: (0, 0) };

    /// Extent of the output, 0 where the kernel does not fit.
    pub fn output(&self) -> usize {
        let padded = self.input + self.padding.0 + self.padding.1;
        let span = (self.kernel - 1) * self.dilation + 1;
        if padded < span { 0 } else { (padded - span) / self.stride + 1 }
    }

    /// The kernel places that meet the input at an output place.
    pub(super) fn kernel_places(&self, output: usize) -> std::ops::Range<usize> {
        let start = output * self.stride;
        let first = self.padding.0.saturating_sub(start).div_ceil(self.dilation);
        let end = (self.input + self.padding.0).saturating_sub(start).div_ceil(self.dilation).min(self.kernel);
        first.min(end)..end
    }

    /// The output places at which a kernel place meets the input.
    pub(super) fn output_places(&self, kernel: usize) -> std::ops::Range<usize> {
        let offset = kernel * self.dilation;
        let first = self.padding.0.saturating_sub(offset).div_ceil(self.stride);
        let end = (self.input + self.padding.0).saturating_sub(offset).div_ceil(self.stride).min(self.output());
        first.min(end)..end
    }

    /// The kernel places that carry an output to an input place: the first, how many, and the output place of the
    /// first. From one to the next the kernel place grows by the returned step and the output place falls by `back`.
    pub(super) fn adjoint_places(&self, input: usize) -> Adjoint {
        let (step, back) = self.adjoint_steps();
        let position = input + self.padding.0;
        let reaches = |kernel: &usize| {
            let offset = kernel * self.dilation;
            offset <= position
                && (position - offset).is_multiple_of(self.stride)
                && (position - offset) / self.stride < self.output()
        };
        let mut places = (0..self.kernel).filter(reaches);
        let Some(first) = places.next() else { return Adjoint { first: 0, count: 0, output: 0, step, back } };
        let output = (position - first * self.dilation) / self.stride;
        Adjoint { first, count: 1 + places.count(), output, step, back }
    }

    pub(super) fn adjoint_steps(&self) -> (usize, usize) {
        let common = greatest_common_divisor(self.stride, self.dilation);
        (self.stride / common, self.dilation / common)
    }
}

/// See [`Dim::adjoint_places`].
pub(super) struct Adjoint {
    pub(super) first: usize,
    pub(super) count: usize,
    pub(super) output: usize,
    pub(super) step: usize,
    pub(super) back: usize,
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Below this many products a second thread costs more than it gives.
pub(super) const PARALLEL_PRODUCTS: usize = 100_000;

impl ConvGeometry {
    /// The geometry of `batch` images with 1 to 3 spatial dimensions.
    ///
    /// # Panics
    /// For another number of dimensions, a zero kernel, stride, dilation or group count, or channels that the groups
    /// do not divide.
    pub fn new(batch: usize, channels: (usize, usize), groups: usize, dims: &[Dim]) -> ConvGeometry {
        assert!((1..=3).contains(&dims.len()), "a convolution has 1 to 3 spatial dimensions");
        assert!(dims.iter().all(|dim| dim.kernel > 0 && dim.stride > 0 && dim.dilation > 0), "a zero extent");
        assert!(
            groups > 0 && channels.0.is_multiple_of(groups) && channels.1.is_multiple_of(groups),
            "groups must divide the channels"
        );
        let mut all = [Dim::NONE; 3];
        let pointwise = |dim: &Dim| dim.kernel == 1 && dim.stride == 1 && dim.padding == (0, 0);
        if dims.iter().all(pointwise) {
            // One long row of pixels instead of many short ones.
            all[2] = Dim { input: dims.iter().map(|dim| dim.input).product(), ..Dim::NONE };
        } else {
            all[3 - dims.len()..].copy_from_slice(dims);
        }
        ConvGeometry {
            batch,
            in_channels: channels.0,
            out_channels: channels.1,
            groups,
            dims: all,
            outputs: all.map(|dim| dim.output()),
        }
    }

    /// The number of input elements.
    pub fn input_len(&self) -> usize {
        self.batch * self.image_len()
    }

    /// The number of output elements.
    pub fn output_len(&self) -> usize {
        self.batch * self.output_image_len()
    }

    /// The number of kernel elements.
    pub fn kernel_len(&self) -> usize {
        self.places() * self.in_channels / self.groups * self.out_channels
    }

    /// Whether every channel is convolved by itself, into one channel.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups == self.in_channels && self.groups == self.out_channels && self.groups > 1
    }

    pub(super) fn places(&self) -> usize {
        self.dims.iter().map(|dim| dim.kernel).product()
    }

    pub(super) fn image_len(&self) -> usize {
        self.dims.iter().map(|dim| dim.input).product::<usize>() * self.in_channels
    }

    pub(super) fn output_image_len(&self) -> usize {
        self.outputs().iter().product::<usize>() * self.out_channels
    }

    pub(super) fn outputs(&self) -> [usize; 3] {
        self.outputs
    }

    pub(super) fn products(&self) -> usize {
        self.output_len() * self.places() * self.in_channels / self.groups
    }

    pub(super) fn tasks(&self, context: &Context<'_>) -> usize {
        if self.products() < PARALLEL_PRODUCTS { 1 } else { context.pool.threads() }
    }

    /// An image with borders along its last dimension, for the kernel to walk over; `None` where it needs none.
    pub(super) fn bordered(&self) -> Option<Borders> {
        let [depth, height, width] = self.dims;
        let rows = depth.input * height.input;
        let borders = Borders { rows, width: width.input, before: width.padding.0, after: width.padding.1 };
        borders.needed().then_some(borders)
    }

    /// An output image with the borders that the input gradient walks over.
    pub(super) fn bordered_output(&self) -> Option<Borders> {
        let [depth, height, width] = self.outputs();
        let last = self.dims[2];
        let reach = (last.kernel - 1) * last.dilation;
        let before = reach.saturating_sub(last.padding.0).div_ceil(last.stride);
        let furthest = (last.input + last.padding.0).saturating_sub(1) / last.stride + 1;
        let borders = Borders { rows: depth * height, width, before, after: furthest.saturating_sub(width) };
        borders.needed().then_some(borders)
    }
}

/// Rows of pixels with zeros on both sides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Borders {
    pub(super) rows: usize,
    pub(super) width: usize,
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Borders {
    fn needed(&self) -> bool {
        self.before + self.after > 0
    }

    fn row(&self) -> usize {
        self.before + self.width + self.after
    }

    pub(super) fn len(&self, channels: usize) -> usize {
        self.rows * self.row() * channels
    }

    fn fill<T: Real>(&self, image: &[T], channels: usize, bordered: &mut [T]) {
        let from = image.chunks_exact((self.width * channels).max(1));
        for (to, from) in bordered.chunks_exact_mut((self.row() * channels).max(1)).zip(from) {
            let (before, rest) = to.split_at_mut(self.before * channels);
            let (middle, after) = rest.split_at_mut(self.width * channels);
            before.fill(T::zero());
            middle.copy_from_slice(from);
            after.fill(T::zero());
        }
    }
}

/// An image as the passes read it: in place, or a bordered copy.
#[derive(Clone, Copy)]
pub(super) struct Image<'a, T> {
    pub(super) pixels: &'a [T],
    /// Pixels in a row.
    pub(super) row: usize,
    /// The pixel of the row at which the image proper starts.
    pub(super) before: usize,
}

pub(super) fn image<'a, T: Real>(
    borders: Option<Borders>,
    pixels: &'a [T],
    width: usize,
    channels: usize,
    workspace: &'a mut [T],
) -> Image<'a, T> {
    match borders {
        None => Image { pixels, row: width, before: 0 },
        Some(borders) => {
            borders.fill(pixels, channels, workspace);
            Image { pixels: workspace, row: borders.row(), before: borders.before }
        }
    }
}
