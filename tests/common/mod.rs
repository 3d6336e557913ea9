//! What the tests share: specs compiled and run, values fed and compared, random graphs.
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod numpy;
pub mod random_graph;
pub mod random_views;
pub mod run;
pub mod values;
