//! Runs a plan on buffers; `kernels` holds the inner loops.

pub mod kernels;
pub mod reference;
