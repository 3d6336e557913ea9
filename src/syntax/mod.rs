//! Text to syntax tree, and back.

pub mod ast;
mod format;
mod parse;
mod print;
mod scan;

pub use format::format;
pub use parse::{MAXIMUM_ERRORS, MAXIMUM_HEIGHT, MAXIMUM_NESTING, MAXIMUM_TEXT, parse};
pub use print::print;
