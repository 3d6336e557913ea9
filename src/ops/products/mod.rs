//! Sums of products: matrices and convolutions.

pub mod convolution;
mod matmul;

pub use convolution::{Convolution, ConvolutionInputGradient, ConvolutionKernelGradient};
pub use matmul::MatMul;
