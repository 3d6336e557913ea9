//! Convolutions and pools. They are channels-first in ONNX: that is a layout of values, not a transposition of each.

use super::Lowering;
use super::op::whole;
use super::proto::Attribute;
use super::scope::{Refused, Value};
use crate::ir::{Dim, TensorType};
use crate::ops::convolution::{ConvolutionAttributes, Windows};
use crate::ops::windows::PoolAttributes;

type Lowered = Result<Value, Refused>;

/// `[N, S..., C]` with the channels second.
fn channels_first(n_axes: usize) -> Vec<usize> {
    [0, n_axes + 1].into_iter().chain(1..=n_axes).collect()
}

fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(values.iter().map(|value| *value as i64).collect())
}

fn attributes(windows: &Windows) -> Vec<(&'static str, Attribute)> {
    let (low, high) = (windows.padding.iter().map(|pad| pad.0), windows.padding.iter().map(|pad| pad.1));
    let pads: Vec<usize> = low.chain(high).collect();
    vec![("strides", ints(&windows.strides)), ("dilations", ints(&windows.dilation)), ("pads", ints(&pads))]
}

impl Lowering<'_> {
    pub(super) fn convolution(&mut self, op: &ConvolutionAttributes, operands: &[Value], ty: &TensorType) -> Lowered {
        self.convolve("Conv", op, Vec::new(), operands, ty)
    }

    /// The transpose of a convolution. What the forward one leaves over at the far end is its output padding.
    pub(super) fn convolution_transpose(
        &mut self,
        op: &ConvolutionAttributes,
        operands: &[Value],
        ty: &TensorType,
    ) -> Lowered {
        let [g, kernel] = operands else { return Err(Refused("a convolution of other than two".to_string())) };
        let windows = &op.windows;
        let mut left = Vec::new();
        for axis in 0..windows.n_axes() {
            let (low, high) = windows.padding[axis];
            let extent = kernel.ty.shape[axis].as_known().unwrap_or(1);
            let reach = (extent - 1) * windows.dilation[axis] + 1;
            let stride = windows.strides[axis];
            let covered = g.ty.shape[axis + 1].offset(-1).and_then(|dim| dim.mul(&Dim::known(stride)));
            let rest = covered
                .and_then(|covered| ty.shape[axis + 1].sub(&covered))
                .and_then(|rest| rest.offset((low + high) as i64 - reach as i64))
                .and_then(|rest| rest.as_known());
            let open =
                || Refused("its output's extent does not follow from its input's by a fixed padding".to_string());
            let rest = rest.ok_or_else(open)?;
            if rest >= stride.max(windows.dilation[axis]) {
                return Err(open());
            }
            left.push(rest);
        }
        self.convolve("ConvTranspose", op, vec![("output_padding", ints(&left))], operands, ty)
    }

    fn convolve(
        &mut self,
        name: &'static str,
        op: &ConvolutionAttributes,
        more: Vec<(&'static str, Attribute)>,
        operands: &[Value],
        ty: &TensorType,
    ) -> Lowered {
        let n = op.windows.n_axes();
        let layout = channels_first(n);
        let x = self.scopes.tensor(&operands[0], &layout, true)?;
        // `[K..., C, F]` as `[F, C, K...]`: the transpose reads the same, its inputs being the filters.
        let kernel_layout: Vec<usize> = [n + 1, n].into_iter().chain(0..n).collect();
        let kernel = self.scopes.tensor(&operands[1], &kernel_layout, true)?;
        let mut given = attributes(&op.windows);
        given.push(("group", Attribute::Int(op.groups as i64)));
        given.extend(more);
        let name = self.scopes.node(name, &[&x, &kernel], &given);
        Ok(Value { layout, ..whole(&name, ty) })
    }

    pub(super) fn pool(
        &mut self,
        name: &'static str,
        op: &PoolAttributes,
        operands: &[Value],
        ty: &TensorType,
    ) -> Lowered {
        let outside = op.windows.padding.iter().zip(&op.window).any(|((low, high), extent)| low.max(high) >= extent);
        if outside {
            return Err(Refused("a pool has windows that lie in the padding alone".to_string()));
        }
        let layout = channels_first(op.windows.n_axes());
        let x = self.scopes.tensor(&operands[0], &layout, true)?;
        let mut given = attributes(&op.windows);
        given.push(("kernel_shape", ints(&op.window)));
        if name == "AveragePool" {
            given.push(("count_include_pad", Attribute::Int(0)));
        }
        let name = self.scopes.node(name, &[&x], &given);
        Ok(Value { layout, ..whole(&name, ty) })
    }
}
