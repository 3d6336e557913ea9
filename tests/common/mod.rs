//! What the tests share: specs compiled and run, values fed and compared, random graphs.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

pub mod every_op;
pub mod numpy;
pub mod programs;
pub mod random_graph;
pub mod random_views;
pub mod run;
pub mod values;
