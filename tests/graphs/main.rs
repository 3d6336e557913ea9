//! Ops, graphs, and what is made of graphs: derivatives, simpler forms, loops, plans.

#[path = "../common/mod.rs"]
mod common;

mod architecture;
mod differentiate;
mod directions;
mod exec;
mod gradcheck;
mod graph_laws;
mod ops;
mod plan;
mod plan_mutations;
mod program_format;
mod properties;
mod scan;
mod simplify;
mod stablehlo;
mod views;
