//! Inner loops on plain slices.
//!
//! Takes slices, extents and strides; gives numbers. Nothing here knows a graph, a plan or a shape with names.
//! Every kernel takes a [`Context`]: the instruction set to use and the threads to use it on. Kernels allocate nothing:
//! one that needs scratch memory has a `..workspace_len` function beside it and takes the scratch as its last argument.
//!
//! Relies on: lengths that cover what extents and strides address (each kernel's `# Panics` names what it checks).
//! Establishes: the same bits for every thread count, since work is split by shape alone and each result element is
//! summed in an order that the split does not change. Instruction sets may differ in the last bits (fused
//! multiply-add, lane counts), runs on one machine do not.
//!
//! This crate holds the vector intrinsics, the threads, and output slices that several of them write: what is `unsafe`
//! about arithmetic. The crate `anabranch` is the compiler and runtime above it.

#[allow(unsafe_code, reason = "zeroed memory that may be refused")]
pub mod buffer;
#[allow(unsafe_code, reason = "results that threads write in parts")]
pub mod conv;
pub mod elementwise;
mod entry;
#[allow(unsafe_code, reason = "results that threads write in parts")]
pub mod gemm;
pub mod index;
pub mod integers;
#[allow(unsafe_code, reason = "results that threads write in parts")]
pub mod layout;
pub mod math;
#[allow(unsafe_code, reason = "hands a borrowed task to threads and waits for them")]
pub mod pool;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
pub mod pooling;
pub mod real;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
pub mod reduce;
#[allow(unsafe_code, reason = "results that threads write in parts")]
mod share;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
pub mod simd;
#[allow(unsafe_code, reason = "vector instructions, which a machine must have")]
mod tile;

pub use pool::Pool;
pub use real::Real;
pub use simd::Level;

/// What a kernel runs on: an instruction set that this machine has, and threads.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instruction set.
    pub level: Level,
    /// The threads.
    pub pool: &'a Pool,
}

impl<'a> Context<'a> {
    /// The best instruction set of this machine on the given threads.
    pub fn new(pool: &'a Pool) -> Self {
        Context { level: Level::detect(), pool }
    }
}
