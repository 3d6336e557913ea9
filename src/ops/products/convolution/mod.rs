//! Convolution over 1 to 3 spatial axes, channels last, and its two derivatives.
//!
//! `y[n, o, c] = Σ_{k, i} x[n, o·stride + k·dilation − low, i] · kernel[k, i, c]`, where `o`, `k` run over spatial positions, `i`
//! over the input channels of the group of `c`, and `x` is 0 outside (a cross-correlation, as in the field).
//!
//! Operands/Results: `x: f32[N, S..., C]`, `kernel: f32[K..., C/groups, F]` → `y: f32[N, O..., F]` with
//! `O = floor((S + low + high − dilation (K − 1) − 1) / stride) + 1`.
//! Constraints: (C1) ranks agree, 1 to 3 spatial axes; (C2) `C` and `F` divide by `groups`; (C3) the kernel fits the padded
//! input; (C4) channels and kernel extents are known. The map is linear in each operand, so the three ops of this folder
//! are each other's derivatives.

mod forward;
mod input_gradient;
mod kernel_gradient;

pub use forward::Convolution;
pub use input_gradient::ConvolutionInputGradient;
pub use kernel_gradient::ConvolutionKernelGradient;

use crate::ir::{Dim, TensorType};
use crate::ops::{Interval, OpError, Ranges, show_list};

/// How windows move over spatial axes; one entry an axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Windows {
    pub strides: Vec<usize>,
    pub dilation: Vec<usize>,
    /// Zeros before and after.
    pub padding: Vec<(usize, usize)>,
}

impl Windows {
    /// Stride 1, no padding.
    pub fn plain(n_axes: usize) -> Self {
        Self { strides: vec![1; n_axes], dilation: vec![1; n_axes], padding: vec![(0, 0); n_axes] }
    }

    pub fn n_axes(&self) -> usize {
        self.strides.len()
    }

    pub(crate) fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = Vec::new();
        if self.strides.iter().any(|stride| *stride != 1) {
            attributes.push(("strides", show_list(&self.strides)));
        }
        if self.dilation.iter().any(|dilation| *dilation != 1) {
            attributes.push(("dilation", show_list(&self.dilation)));
        }
        if self.padding.iter().any(|padding| *padding != (0, 0)) {
            attributes.push(("padding", format!("{:?}", self.padding)));
        }
        attributes
    }

    /// The number of window positions along each spatial axis.
    pub fn positions(&self, name: &str, spatial: &[Dim], window: &[usize]) -> Result<Vec<Dim>, OpError> {
        let n = self.n_axes();
        if n == 0 || n > 3 || [spatial.len(), window.len(), self.dilation.len(), self.padding.len()] != [n; 4] {
            return Err(OpError::constraint(format!("{name} works on 1 to 3 spatial axes (C1)")));
        }
        if self.strides.contains(&0) || self.dilation.contains(&0) || window.contains(&0) {
            return Err(OpError::constraint(format!("{name}: strides, dilation and window must be at least 1")));
        }
        let too_large = || OpError::limit(format!("{name}: padding or extents beyond the limits"));
        let mut positions = Vec::with_capacity(n);
        for axis in 0..n {
            let (low, high) = self.padding[axis];
            let span = (window[axis] - 1).checked_mul(self.dilation[axis]).ok_or_else(too_large)?;
            let padded = low.checked_add(high).and_then(|sum| i64::try_from(sum).ok()).ok_or_else(too_large)?;
            let reach = padded - i64::try_from(span).map_err(|_| too_large())? - 1;
            let last = spatial[axis].offset(reach).ok_or_else(too_large)?;
            if last.is_negative() {
                return Err(OpError::shape(format!(
                    "{name}: a window of {} (dilation {}) does not fit {} elements with padding ({low}, {high}) (C3)",
                    window[axis], self.dilation[axis], spatial[axis]
                )));
            }
            let count = last.div_floor(self.strides[axis]).and_then(|dim| dim.offset(1)).ok_or_else(too_large)?;
            positions.push(count);
        }
        Ok(positions)
    }
}

/// Extents of one convolution or pooling, all known: what the reference loops and kernels need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub batch: usize,
    pub input: Vec<usize>,
    pub output: Vec<usize>,
    pub window: Vec<usize>,
    pub windows: Windows,
}

impl Geometry {
    /// Calls `visit(input_position, output_position, window_position)` for every pair that meets inside the input, with
    /// row-major positions that count the batch in.
    pub(crate) fn visit(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let n_outputs: usize = self.output.iter().product();
        let n_inputs: usize = self.input.iter().product();
        let n_window: usize = self.window.iter().product();
        for n in 0..self.batch {
            for o in 0..n_outputs {
                for k in 0..n_window {
                    if let Some(i) = self.input_position(o, k) {
                        visit(n * n_inputs + i, n * n_outputs + o, k);
                    }
                }
            }
        }
    }

    fn input_position(&self, mut output: usize, mut window: usize) -> Option<usize> {
        let (mut position, mut scale) = (0, 1);
        for axis in (0..self.input.len()).rev() {
            let o = output % self.output[axis];
            let k = window % self.window[axis];
            output /= self.output[axis];
            window /= self.window[axis];
            let padded = o * self.windows.strides[axis] + k * self.windows.dilation[axis];
            let i = padded.checked_sub(self.windows.padding[axis].0).filter(|i| *i < self.input[axis])?;
            position += i * scale;
            scale *= self.input[axis];
        }
        Some(position)
    }
}

/// What all three ops share: windows and groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ConvolutionAttributes {
    pub windows: Windows,
    pub groups: usize,
}

impl ConvolutionAttributes {
    pub(crate) fn show(&self) -> Vec<(&'static str, String)> {
        let mut attributes = self.windows.attributes();
        if self.groups != 1 {
            attributes.push(("groups", self.groups.to_string()));
        }
        attributes
    }

    /// The type of `y`, given those of `x` and the kernel.
    pub(crate) fn infer_forward(&self, x: &TensorType, kernel: &TensorType) -> Result<TensorType, OpError> {
        let n = self.windows.n_axes();
        if !x.is_float() || !kernel.is_float() {
            return Err(OpError::dtype(format!("convolution takes f32, found {x} and a kernel {kernel}")));
        }
        if x.rank() != n + 2 || kernel.rank() != n + 2 {
            return Err(OpError::shape(format!(
                "a convolution over {n} axes needs x with {} axes and a kernel with as many, found {x} and {kernel} (C1)",
                n + 2
            )));
        }
        let known = |dim: &Dim, what: &str| {
            dim.as_known().ok_or_else(|| {
                OpError::constraint(format!("convolution: the {what} must be known at compile time, found {dim} (C4)"))
            })
        };
        let channels = known(&x.shape[n + 1], "number of channels")?;
        let per_group = known(&kernel.shape[n], "kernel's input channels")?;
        let filters = known(&kernel.shape[n + 1], "number of filters")?;
        if self.groups == 0 || channels != per_group * self.groups || filters % self.groups != 0 {
            return Err(OpError::shape(format!(
                "convolution of {x} by a kernel {kernel} in {} groups: {channels} channels and {filters} filters do not make groups of \
                 {per_group} channels (C2)",
                self.groups
            )));
        }
        let window: Vec<usize> =
            kernel.shape[..n].iter().map(|dim| known(dim, "kernel's extent")).collect::<Result<_, _>>()?;
        let mut shape = vec![x.shape[0].clone()];
        shape.extend(self.windows.positions("convolution", &x.shape[1..=n], &window)?);
        shape.push(kernel.shape[n + 1].clone());
        Ok(TensorType::f32(shape))
    }

    /// The bounds of sums of products, some of which the padding leaves out.
    pub(crate) fn bounds(&self, ranges: &Ranges<'_>) -> Interval {
        (ranges.of(0) * ranges.of(1)).sums_from(0)
    }

    /// The extents of `x: [N, S..., C]`, the kernel and `y`, for the loops.
    pub(crate) fn geometry(&self, x: &[usize], kernel: &[usize], y: &[usize]) -> Geometry {
        let n = self.windows.n_axes();
        Geometry {
            batch: x[0],
            input: x[1..=n].to_vec(),
            output: y[1..=n].to_vec(),
            window: kernel[..n].to_vec(),
            windows: self.windows.clone(),
        }
    }
}

/// Calls `visit(x index, kernel index, y index)` for every product that a convolution sums.
pub(crate) fn visit_products(
    geometry: &Geometry,
    groups: usize,
    channels: usize,
    filters: usize,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let (channels_per_group, filters_per_group) = (channels / groups, filters / groups);
    geometry.visit(|i, o, k| {
        for f in 0..filters {
            let first = f / filters_per_group * channels_per_group;
            for c in 0..channels_per_group {
                visit(i * channels + first + c, (k * channels_per_group + c) * filters + f, o * filters + f);
            }
        }
    });
}
