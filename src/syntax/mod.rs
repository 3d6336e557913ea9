//! Text to syntax tree, and back.
//!
//! `parse` reads a text into the tree of [`ast`] and collects every syntax error; [`print`] shows a tree as it was
//! understood; [`format()`] sets a text in the canonical style. None of them looks up a name.

pub mod ast;
mod format;
mod load;
mod outline;
mod parse;
mod print;
mod scan;

pub use format::format;
pub use load::{Loaded, Reader, load};
pub use outline::{Outline, words};
pub use parse::{MAXIMUM_ERRORS, MAXIMUM_HEIGHT, MAXIMUM_NESTING, MAXIMUM_TEXT, parse};
pub use print::print;
