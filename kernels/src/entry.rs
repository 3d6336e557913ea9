//! The kernels of each element type, compiled in this crate and nowhere else.
//!
//! A generic function is compiled anew in every crate that calls it, and the kernels are large. So each is an associated function
//! of its element type, and what callers compile is the call. Nobody calls these traits but the functions of the modules.

use crate::conv::{self, ConvGeometry};
use crate::elementwise::{Destination, GroupBuilder, Program, Source};
use crate::gemm::{self, Epilogue, Matrix, MatrixMut, Shape};
use crate::pooling::{self, Operation, PoolGeometry};
use crate::reduce::{self, Reduction, Softmax};
use crate::{Context, Pool, layout};

/// Declares a trait of functions that are kernels by other names, and gives it to element types.
macro_rules! entries {
    ($(#[$doc:meta])* $trait:ident for [$($element:ty),*] $functions:tt) => {
        entries! { @trait $(#[$doc])* $trait $functions }
        $(entries! { @impl $trait $element, $functions })*
    };
    (@trait $(#[$doc:meta])* $trait:ident {
        $(fn $name:ident($($operand:ident: $type:ty),*) $(-> $result:ty)? = $kernel:path;)*
    }) => {
        $(#[$doc])*
        #[doc(hidden)]
        #[allow(clippy::too_many_arguments, reason = "those of the kernel")]
        pub trait $trait: Sized + 'static {
            $(fn $name($($operand: $type),*) $(-> $result)?;)*
        }
    };
    (@impl $trait:ident $element:ty, {
        $(fn $name:ident($($operand:ident: $type:ty),*) $(-> $result:ty)? = $kernel:path;)*
    }) => {
        impl $trait for $element {
            $(fn $name($($operand: $type),*) $(-> $result)? {
                $kernel($($operand),*)
            })*
        }
    };
}

entries! {
    /// Kernels of numbers of every type.
    NumberEntry for [f32, f64, i32] {
        fn copy_shared(
            pool: &Pool, dims: &[layout::Dim], from: &[Self], from_offset: usize, to: &mut [Self], to_offset: usize
        ) = layout::run_shared;
    }
}

entries! {
    /// Kernels of floats.
    Entry for [f32, f64] {
        fn gemm_workspace_len(context: &Context<'_>, shape: Shape, a: (usize, usize), b: (usize, usize)) -> usize
            = gemm::run_workspace_len::<Self>;
        fn gemm(
            context: &Context<'_>, shape: Shape, operands: [Matrix<'_, Self>; 2], beta: Self, c: MatrixMut<'_, Self>,
            epilogue: Epilogue<'_, Self>, workspace: &mut [Self]
        ) = gemm::run;
        fn forward_workspace_len(context: &Context<'_>, geometry: &ConvGeometry) -> usize
            = conv::run_forward_workspace_len::<Self>;
        fn forward(
            context: &Context<'_>, geometry: &ConvGeometry, x: &[Self], kernel: &[Self], epilogue: (Option<&[Self]>, bool),
            y: &mut [Self], workspace: &mut [Self]
        ) = conv::run_forward;
        fn input_gradient_workspace_len(context: &Context<'_>, geometry: &ConvGeometry) -> usize
            = conv::run_input_gradient_workspace_len::<Self>;
        fn input_gradient(
            context: &Context<'_>, geometry: &ConvGeometry, dy: &[Self], kernel: &[Self], dx: &mut [Self],
            workspace: &mut [Self]
        ) = conv::run_input_gradient;
        fn kernel_gradient_workspace_len(context: &Context<'_>, geometry: &ConvGeometry) -> usize
            = conv::run_kernel_gradient_workspace_len::<Self>;
        fn kernel_gradient(
            context: &Context<'_>, geometry: &ConvGeometry, x: &[Self], dy: &[Self], dk: &mut [Self],
            workspace: &mut [Self]
        ) = conv::run_kernel_gradient;
        fn pool(
            context: &Context<'_>, geometry: &PoolGeometry, operation: Operation, x: Option<&[Self]>, v: Option<&[Self]>,
            to: &mut [Self]
        ) = pooling::run;
        fn reduce(context: &Context<'_>, reduction: Reduction, dims: &[reduce::Dim], x: &[Self], y: &mut [Self])
            = reduce::run;
        fn softmax(context: &Context<'_>, kind: Softmax, row: usize, x: &[Self], y: &mut [Self]) = reduce::run_softmax;
        fn finish_program(builder: GroupBuilder<Self>) -> Program<Self> = GroupBuilder::run_finish;
        fn program_workspace_len(program: &Program<Self>, context: &Context<'_>, n: usize) -> usize
            = Program::run_workspace_len;
        fn run_program(
            program: &Program<Self>, context: &Context<'_>, n: usize, sources: &[Source<'_, Self>],
            destinations: &mut [Destination<'_, Self>], workspace: &mut [Self]
        ) = Program::run_blocks;
    }
}
