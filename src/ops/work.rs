//! How much arithmetic an op is.

use crate::ir::{Dim, Graph};

/// The extents at one use of an op.
#[derive(Clone, Copy, Debug)]
pub struct Extents<'a> {
    pub operands: &'a [Vec<usize>],
    pub result: &'a [usize],
}

impl Extents<'_> {
    /// The number of elements of the result.
    pub fn result_elements(&self) -> f64 {
        elements(self.result)
    }

    /// The number of elements of the operand at `slot`.
    pub fn elements(&self, slot: usize) -> f64 {
        elements(&self.operands[slot])
    }

    /// The number of elements of the largest value that takes part.
    pub fn largest(&self) -> f64 {
        self.operands.iter().map(|shape| elements(shape)).fold(self.result_elements(), f64::max)
    }
}

fn elements(shape: &[usize]) -> f64 {
    shape.iter().map(|extent| *extent as f64).product()
}

/// The arithmetic of one evaluation.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// Nothing is computed: the value is given, or another view of its operand.
    Free,
    /// an operation for each of so many elements, as dear as so many additions
    Elements { count: f64, weight: f64 },
    /// multiplications and additions of a matrix product or convolution
    Products { flops: f64 },
    /// the graph of a step, `length` times
    Loop { body: &'a Graph, length: &'a Dim },
}

impl Work<'_> {
    /// An addition or something as cheap for each element of the largest value.
    pub fn plain(extents: Extents<'_>) -> Self {
        Self::Elements { count: extents.largest(), weight: 1.0 }
    }

    /// `2 · output elements · kernel elements / output channels`: each element of the input meets each element of the kernel
    /// of its group about once an output position.
    pub fn convolution(kernel: &[usize], output: &[usize]) -> Self {
        let channels = kernel.last().copied().unwrap_or(1).max(1) as f64;
        Self::Products { flops: 2.0 * elements(output) * elements(kernel) / channels }
    }

    /// Floating-point operations, each counted once.
    pub fn flops(self) -> f64 {
        match self {
            Self::Free | Self::Loop { .. } => 0.0,
            Self::Elements { count, .. } => count,
            Self::Products { flops } => flops,
        }
    }
}
