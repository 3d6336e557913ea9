//! Products of matrices: `x @ y`.
//!
//! A vector on the left is a row, one on the right a column, and its axis goes away. The axes before a matrix's two count products,
//! which align as those of element-wise operands do.

use super::Lowered;
use super::align::aligned_shape;
use super::emit::Emitter;
use super::value::{Frame, TensorValue, Value};
use crate::diag::{Code, Diagnostic, Span};
use crate::ir::{Dim, Shape, TensorType, show_shape};
use crate::ops::{self, Reshape};

/// Two operands and where they stand.
#[derive(Clone, Copy)]
struct Sides {
    tensors: [TensorValue; 2],
    spans: [Span; 2],
    span: Span,
}

impl Emitter<'_> {
    /// `x @ y`: products over the last axis of `x` and the second-last of `y`, or the only one of a vector.
    pub(super) fn matmul(
        &mut self,
        frame: &Frame,
        left: (Value, Span),
        right: (Value, Span),
        span: Span,
    ) -> Lowered<TensorValue> {
        let x = self.to_tensor(frame, left.0, left.1)?;
        let y = self.to_tensor(frame, right.0, right.1)?;
        let sides = Sides { tensors: [x, y], spans: [left.1, right.1], span };
        let (x_shape, y_shape) = (self.ty(x).shape.clone(), self.ty(y).shape.clone());
        let (Some(inner), false) = (x_shape.last(), y_shape.is_empty()) else {
            return Err(self.matmul_mismatch(sides));
        };
        if *inner != y_shape[y_shape.len().saturating_sub(2)] {
            return Err(self.matmul_mismatch(sides));
        }
        let row = [&[Dim::known(1)], x_shape.as_slice()].concat();
        let column = [y_shape.as_slice(), &[Dim::known(1)]].concat();
        match (x_shape.len(), y_shape.len()) {
            (1, 1) => {
                let product = self.product(frame, sides, row, column)?;
                self.add(frame, span, Reshape { shape: Vec::new() }, &[product])
            }
            (_, 1) => {
                let product = self.product(frame, sides, x_shape.clone(), column)?;
                self.add(frame, span, Reshape { shape: x_shape[..x_shape.len() - 1].to_vec() }, &[product])
            }
            (1, _) => {
                let product = self.product(frame, sides, row, y_shape.clone())?;
                let mut shape = y_shape;
                shape.remove(shape.len() - 2);
                self.add(frame, span, Reshape { shape }, &[product])
            }
            _ => self.product(frame, sides, x_shape, y_shape),
        }
    }

    /// The product of two values that are looked at as matrices, with axes before them.
    fn product(&mut self, frame: &Frame, sides: Sides, x_shape: Shape, y_shape: Shape) -> Lowered<TensorValue> {
        let Sides { tensors: [x, y], spans: [left, right], span } = sides;
        let (x_axes, y_axes) = (&x_shape[..x_shape.len() - 2], &y_shape[..y_shape.len() - 2]);
        if !x_axes.is_empty() && y_axes.is_empty() {
            // Leading axes of x are rows alike.
            let Some(rows) = crate::ir::element_count(&x_shape[..x_shape.len() - 1]) else {
                return Err(self.error(Code::E0701, span, "the product has too many rows", "too large"));
            };
            let flat = vec![rows, x_shape[x_shape.len() - 1].clone()];
            let flat = self.add(frame, left, Reshape { shape: flat }, &[x])?;
            let matrix = self.reshaped_to(frame, y, y_shape.clone(), right)?;
            let product = self.add(frame, span, ops::MatMul::default(), &[flat, matrix])?;
            let shape = [&x_shape[..x_shape.len() - 1], &y_shape[1..]].concat();
            return self.add(frame, span, Reshape { shape }, &[product]);
        }
        // Rows that are samples meet no matrix of each sample: nobody means all pairs of them.
        let pairs_samples = x_axes.is_empty() && x_shape[0].as_known().is_none() && y_axes.contains(&x_shape[0]);
        let axes = if pairs_samples { None } else { aligned_shape(x_axes, y_axes) };
        let Some(axes) = axes else { return Err(self.matmul_mismatch(sides)) };
        let mut operands = [x, y];
        for (operand, (shape, at)) in operands.iter_mut().zip([(&x_shape, left), (&y_shape, right)]) {
            let full = [axes.as_slice(), &shape[shape.len() - 2..]].concat();
            let matrices = self.reshaped_to(frame, *operand, shape.clone(), at)?;
            *operand = self.expand(frame, matrices, &full, at)?;
        }
        self.add(frame, span, ops::MatMul::default(), &operands)
    }

    fn reshaped_to(&mut self, frame: &Frame, x: TensorValue, shape: Shape, span: Span) -> Lowered<TensorValue> {
        if self.ty(x).shape == shape { Ok(x) } else { self.add(frame, span, Reshape { shape }, &[x]) }
    }

    fn matmul_mismatch(&mut self, sides: Sides) -> super::Reported {
        let [x, y] = sides.tensors.map(|tensor| self.ty(tensor).clone());
        let finding = Diagnostic::error(
            Code::E0301,
            format!("cannot multiply matrices {} and {}", show_shape(&x.shape), show_shape(&y.shape)),
        )
        .at(
            sides.span,
            "`@` contracts the last axis of the left side with the second-last of the right side, or its only one",
        )
        .with_label(sides.spans[0], x.to_string())
        .with_label(sides.spans[1], y.to_string());
        let finding = match row_of_each(&x, &y) {
            Some(help) => finding.with_help(help),
            None => finding,
        };
        self.report(finding)
    }
}

/// What to write for a vector of each sample by a matrix of each.
fn row_of_each(x: &TensorType, y: &TensorType) -> Option<String> {
    let n = y.rank();
    let is_row = n == x.rank() + 1 && x.rank() >= 2 && x.shape[..x.rank() - 1] == y.shape[..n - 2];
    let fits = is_row && x.shape.last() == y.shape.get(n - 2);
    fits.then(|| "a row of each sample by a matrix of each: `einsum(\"...i,...ij->...j\", x, y)`".into())
}
