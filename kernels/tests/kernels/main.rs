//! Kernels against plain loops in double precision, through the functions that callers have: a test inside the crate would compile
//! all kernels of all instruction sets once more.

mod buffer;
mod conv;
#[allow(unsafe_code, reason = "buffers that are read and written in place")]
mod elementwise;
mod gemm;
mod index;
mod integers;
mod layout;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
mod math;
mod pool;
mod pooling;
mod reduce;
mod testing;
