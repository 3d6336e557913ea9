//! Training a compiled program: its run configuration.

pub mod config;
