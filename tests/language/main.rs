//! What a spec says and what the compiler answers: texts, trees, findings, lints, flow, and the pages that explain them.

#[path = "../common/mod.rs"]
mod common;

mod combiners;
mod docs;
mod errors;
mod flow;
mod laws;
mod lints;
mod options;
mod oracle;
mod proofs;
mod rules;
mod syntax;
mod verdicts;
