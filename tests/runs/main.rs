//! The program as a user meets it: commands, files, whole examples, and inputs that nobody means well with.

mod callers;
mod cli;
mod data;
mod divergence;
mod examples;
mod files;
mod formulas;
mod hostile;
mod logs;
mod memory;
mod mutations;
mod observe;
mod parquet;
mod predict;
mod projects;
mod ranges;
mod reliability;
mod replay;
mod session;
mod stages;
mod start;
mod statistics;
mod suggest;
mod support;
mod sweep;
mod watch;
