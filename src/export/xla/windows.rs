//! Convolutions, pools and their transposes.

use super::Emitter;
use super::text::{Element, Value, array, list};
use crate::ops::convolution::ConvolutionAttributes;
use crate::ops::windows::PoolAttributes;

/// What a convolution is told besides its operands; pads may be negative.
struct Convolution {
    dimensions: String,
    strides: Vec<usize>,
    pads: Vec<(i64, i64)>,
    left_dilation: Vec<usize>,
    right_dilation: Vec<usize>,
    reversed: bool,
    feature_groups: usize,
    batch_groups: usize,
}

/// The windows of a pool over all axes.
struct Windows {
    window: Vec<usize>,
    strides: Vec<usize>,
    dilation: Vec<usize>,
    pads: Vec<(usize, usize)>,
}

impl Windows {
    fn of(op: &PoolAttributes) -> Self {
        let around = |values: &[usize]| [1].into_iter().chain(values.iter().copied()).chain([1]).collect();
        let pads = [(0, 0)].into_iter().chain(op.windows.padding.iter().copied()).chain([(0, 0)]).collect();
        Self {
            window: around(&op.window),
            strides: around(&op.windows.strides),
            dilation: around(&op.windows.dilation),
            pads,
        }
    }
}

impl Emitter {
    fn convolve(&mut self, x: &Value, kernel: &Value, how: &Convolution, shape: &[usize]) -> Value {
        let t = &mut self.text;
        let pads: Vec<String> = how.pads.iter().map(|(low, high)| format!("[{low}, {high}]")).collect();
        let precision = if t.is_highest {
            ", precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"
        } else {
            ""
        };
        let text = format!(
            "stablehlo.convolution({}, {}) dim_numbers = {}, window = {{stride = {}, pad = [{}], lhs_dilate = {}, rhs_dilate = {}, \
             reverse = {}}} {{batch_group_count = {} : i64, feature_group_count = {} : i64{precision}}} : ({}, {}) -> {}",
            x.name,
            kernel.name,
            how.dimensions,
            list(&how.strides),
            pads.join(", "),
            list(&how.left_dilation),
            list(&how.right_dilation),
            list(&vec![how.reversed; how.strides.len()]),
            how.batch_groups,
            how.feature_groups,
            t.ty(x),
            t.ty(kernel),
            t.tensor(x.element, shape)
        );
        t.value(&text, x.element, shape)
    }

    pub(super) fn convolution(
        &mut self,
        op: &ConvolutionAttributes,
        x: &Value,
        kernel: &Value,
        shape: &[usize],
    ) -> Value {
        let n = op.windows.n_axes();
        let axes = spatial(n);
        let how = Convolution {
            dimensions: format!("[b, {axes}, f]x[{axes}, i, o]->[b, {axes}, f]"),
            strides: op.windows.strides.clone(),
            pads: op.windows.padding.iter().map(|(low, high)| (*low as i64, *high as i64)).collect(),
            left_dilation: vec![1; n],
            right_dilation: op.windows.dilation.clone(),
            reversed: false,
            feature_groups: op.groups,
            batch_groups: 1,
        };
        self.convolve(x, kernel, &how, shape)
    }

    /// The cotangent with zeros between its elements, under the kernel reversed and its channels exchanged.
    pub(super) fn input_gradient(
        &mut self,
        op: &ConvolutionAttributes,
        g: &Value,
        kernel: &Value,
        shape: &[usize],
    ) -> Value {
        let n = op.windows.n_axes();
        let (channels, filters) = (shape[n + 1], g.shape[n + 1]);
        let window = kernel.shape[..n].to_vec();
        let mut kernel = kernel.clone();
        if op.groups > 1 {
            // `[K..., C/G, F]` as `[K..., C, F/G]`.
            let (inner, outer) = (channels / op.groups, filters / op.groups);
            let split = [&window[..], &[inner, op.groups, outer]].concat();
            let permutation: Vec<usize> = (0..n).chain([n + 1, n, n + 2]).collect();
            let t = &mut self.text;
            kernel = t.reshape(&kernel, &split);
            kernel = t.transpose(&kernel, &permutation);
            kernel = t.reshape(&kernel, &[&window[..], &[channels, outer]].concat());
        }
        let (strides, dilation) = (&op.windows.strides, &op.windows.dilation);
        let pads = |axis: usize| {
            let reach = (dilation[axis] * (window[axis] - 1)) as i64;
            let low = reach - op.windows.padding[axis].0 as i64;
            let spread = (strides[axis] * (g.shape[axis + 1] - 1) + 1) as i64;
            (low, shape[axis + 1] as i64 - spread - low + reach)
        };
        let axes = spatial(n);
        let how = Convolution {
            dimensions: format!("[b, {axes}, f]x[{axes}, o, i]->[b, {axes}, f]"),
            strides: vec![1; n],
            pads: (0..n).map(pads).collect(),
            left_dilation: strides.clone(),
            right_dilation: dilation.clone(),
            reversed: true,
            feature_groups: op.groups,
            batch_groups: 1,
        };
        self.convolve(g, &kernel, &how, shape)
    }

    /// The input under the cotangent, the batch being what is summed over.
    pub(super) fn kernel_gradient(
        &mut self,
        op: &ConvolutionAttributes,
        x: &Value,
        g: &Value,
        shape: &[usize],
    ) -> Value {
        let n = op.windows.n_axes();
        let (strides, dilation) = (&op.windows.strides, &op.windows.dilation);
        let pads = |axis: usize| {
            let low = op.windows.padding[axis].0 as i64;
            let reach = dilation[axis] * (shape[axis] - 1) + strides[axis] * (g.shape[axis + 1] - 1) + 1;
            (low, reach as i64 - x.shape[axis + 1] as i64 - low)
        };
        let axes = spatial(n);
        let how = Convolution {
            dimensions: format!("[f, {axes}, b]x[i, {axes}, o]->[{axes}, b, f]"),
            strides: dilation.clone(),
            pads: (0..n).map(pads).collect(),
            left_dilation: vec![1; n],
            right_dilation: strides.clone(),
            reversed: false,
            feature_groups: 1,
            batch_groups: op.groups,
        };
        self.convolve(x, g, &how, shape)
    }

    /// A reduction over windows; `write` joins two of the operands' elements.
    fn reduce_windows(
        &mut self,
        operands: &[Value],
        starts: &[Value],
        windows: &Windows,
        shape: &[usize],
        write: impl FnOnce(&mut super::text::Text, &[Value]) -> Vec<Value>,
    ) -> Vec<Value> {
        let elements: Vec<Element> = operands.iter().chain(operands).map(|operand| operand.element).collect();
        let region = self.text.region(&elements, write);
        let t = &mut self.text;
        let pads: Vec<String> = windows.pads.iter().map(|(low, high)| format!("[{low}, {high}]")).collect();
        let kinds: Vec<(Element, Vec<usize>)> =
            operands.iter().map(|operand| (operand.element, shape.to_vec())).collect();
        let results: Vec<String> = kinds.iter().map(|(element, shape)| t.tensor(*element, shape)).collect();
        let results = if results.len() == 1 { results[0].clone() } else { format!("({})", results.join(", ")) };
        let all = [operands, starts].concat();
        let text = format!(
            "\"stablehlo.reduce_window\"({}) <{{window_dimensions = {}, window_strides = {}, window_dilations = {}, \
             padding = dense<[{}]> : tensor<{}x2xi64>}}> ({region}) : ({}) -> {results}",
            super::text::names(&all),
            array(&windows.window),
            array(&windows.strides),
            array(&windows.dilation),
            pads.join(", "),
            windows.pads.len(),
            t.types(&all)
        );
        t.values(&text, &kinds)
    }

    fn sum_windows(&mut self, x: &Value, windows: &Windows, shape: &[usize]) -> Value {
        let zero = self.text.full(0.0, x.element, &[]);
        let add = |t: &mut super::text::Text, pair: &[Value]| vec![t.add(&pair[0], &pair[1])];
        self.reduce_windows(std::slice::from_ref(x), &[zero], windows, shape, add).swap_remove(0)
    }

    pub(super) fn max_pool(&mut self, op: &PoolAttributes, x: &Value, shape: &[usize]) -> Value {
        let least = self.text.full(f64::NEG_INFINITY, x.element, &[]);
        let larger = |t: &mut super::text::Text, pair: &[Value]| vec![t.map("maximum", &[&pair[0], &pair[1]])];
        self.reduce_windows(std::slice::from_ref(x), &[least], &Windows::of(op), shape, larger).swap_remove(0)
    }

    /// For each window the position of its first largest element among all of `x`, NaN counting as largest; one that no element has
    /// for a window in the padding alone.
    fn winners(&mut self, op: &PoolAttributes, x: &Value, shape: &[usize]) -> Value {
        let count = x.count();
        let t = &mut self.text;
        let place = t.iota(0, Element::I32, &[count]);
        let place = t.reshape(&place, &x.shape);
        let (least, beyond) =
            (t.full(f64::NEG_INFINITY, x.element, &[]), t.full(f64::from(i32::MAX), Element::I32, &[]));
        let first_largest = |t: &mut super::text::Text, pair: &[Value]| {
            let [left, left_place, right, right_place] = pair else { return Vec::new() };
            let (left_nan, right_nan) = (t.is_nan(left), t.is_nan(right));
            let right_known = t.not(&right_nan);
            let is_above = t.compare("GT", left, right);
            let is_nan_alone = t.and(&left_nan, &right_known);
            let wins = t.or(&is_above, &is_nan_alone);
            let (is_equal, are_nan) = (t.compare("EQ", left, right), t.and(&left_nan, &right_nan));
            let ties = t.or(&is_equal, &are_nan);
            let is_before = t.compare("LT", left_place, right_place);
            let wins_tie = t.and(&ties, &is_before);
            let wins = t.or(&wins, &wins_tie);
            vec![t.select(&wins, left, right), t.select(&wins, left_place, right_place)]
        };
        let found = self.reduce_windows(&[x.clone(), place], &[least, beyond], &Windows::of(op), shape, first_largest);
        found.into_iter().nth(1).unwrap_or_else(|| x.clone())
    }

    pub(super) fn max_pool_scatter(&mut self, op: &PoolAttributes, x: &Value, g: &Value, shape: &[usize]) -> Value {
        let winners = self.winners(op, x, &g.shape);
        let (count, n_windows) = (x.count(), g.count());
        let t = &mut self.text;
        let (places, updates) = (t.reshape(&winners, &[n_windows]), t.reshape(g, &[n_windows]));
        let sums = self.scatter_flat(&places, &updates, count);
        self.text.reshape(&sums, shape)
    }

    /// Numbers added up where places say; those beyond are left out.
    fn scatter_flat(&mut self, places: &Value, updates: &Value, count: usize) -> Value {
        let region = self.text.adding(updates.element);
        let t = &mut self.text;
        let zeros = t.full(0.0, updates.element, &[count]);
        let text = format!(
            "\"stablehlo.scatter\"({}, {}, {}) <{{scatter_dimension_numbers = #stablehlo.scatter<inserted_window_dims = [0], \
             scatter_dims_to_operand_dims = [0], index_vector_dim = 1>}}> ({region}) : ({}, {}, {}) -> {}",
            zeros.name,
            places.name,
            updates.name,
            t.ty(&zeros),
            t.ty(places),
            t.ty(updates),
            t.ty(&zeros)
        );
        t.value(&text, updates.element, &[count])
    }

    pub(super) fn max_pool_select(&mut self, op: &PoolAttributes, x: &Value, v: &Value, shape: &[usize]) -> Value {
        let winners = self.winners(op, x, shape);
        let t = &mut self.text;
        let n_windows = winners.count();
        let (places, flat) = (t.reshape(&winners, &[n_windows]), t.reshape(v, &[v.count()]));
        let text = format!(
            "\"stablehlo.gather\"({}, {}) <{{dimension_numbers = #stablehlo.gather<collapsed_slice_dims = [0], start_index_map = [0], \
             index_vector_dim = 1>, slice_sizes = array<i64: 1>}}> : ({}, {}) -> {}",
            flat.name,
            places.name,
            t.ty(&flat),
            t.ty(&places),
            t.tensor(v.element, &[n_windows])
        );
        let found = t.value(&text, v.element, &[n_windows]);
        let found = t.reshape(&found, shape);
        let is_none = t.is("EQ", &winners, f64::from(i32::MAX));
        let zero = t.like(0.0, &found);
        t.select(&is_none, &zero, &found)
    }

    /// How many elements each window holds, at least 1, in the shape of the windows.
    fn counts(&mut self, op: &PoolAttributes, large: &[usize], small: &[usize], kind: Element) -> Value {
        let n = large.len() - 2;
        let (spread, narrow) = ([&[1], &large[1..=n], &[1]].concat(), [&[1], &small[1..=n], &[1]].concat());
        let ones = self.text.full(1.0, kind, &spread);
        let counts = self.sum_windows(&ones, &Windows::of(op), &narrow);
        let t = &mut self.text;
        let one = t.like(1.0, &counts);
        let counts = t.map("maximum", &[&counts, &one]);
        let counts = t.reshape(&counts, &small[1..=n]);
        t.broadcast(&counts, small, &(1..=n).collect::<Vec<_>>())
    }

    pub(super) fn average_pool(&mut self, op: &PoolAttributes, x: &Value, shape: &[usize]) -> Value {
        let counts = self.counts(op, &x.shape, shape, x.element);
        let sums = self.sum_windows(x, &Windows::of(op), shape);
        self.text.div(&sums, &counts)
    }

    /// Shares of the windows, with zeros between them, summed over the windows of the transpose.
    pub(super) fn average_pool_scatter(&mut self, op: &PoolAttributes, g: &Value, shape: &[usize]) -> Value {
        let counts = self.counts(op, shape, &g.shape, g.element);
        let shares = self.text.div(g, &counts);
        let mut windows = Windows::of(op);
        let rank = shape.len();
        let (mut low, mut high) = (vec![0; rank], vec![0; rank]);
        for axis in 1..rank - 1 {
            let reach = (windows.dilation[axis] * (windows.window[axis] - 1)) as i64;
            low[axis] = reach - windows.pads[axis].0 as i64;
            let spread = (windows.strides[axis] * (g.shape[axis] - 1) + 1) as i64;
            high[axis] = shape[axis] as i64 - spread - low[axis] + reach;
        }
        let interior: Vec<usize> = windows.strides.iter().map(|stride| stride - 1).collect();
        let spread = self.text.pad(&shares, &low, &high, &interior, 0.0);
        windows.strides = vec![1; rank];
        windows.pads = vec![(0, 0); rank];
        self.sum_windows(&spread, &windows, shape)
    }
}

fn spatial(n: usize) -> String {
    (0..n).map(|axis| axis.to_string()).collect::<Vec<_>>().join(", ")
}
