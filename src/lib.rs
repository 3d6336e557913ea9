//! anabranch: a declarative graph compiler from a model spec to an executable training program.

pub mod analyse;
pub mod cli;
pub mod data;
pub mod diag;
pub mod exec;
pub mod export;
pub mod ir;
pub mod lower;
pub mod ops;
pub mod passes;
pub mod pipeline;
pub mod plan;
pub mod syntax;
pub mod train;
