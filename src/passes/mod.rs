//! Graph to graph: plain functions that build a new graph and leave the old one as it was.

mod bind;
mod copy;
mod differentiate;
mod simplify;
mod split;

pub use bind::bind;
pub use copy::{Copier, prune};
pub use differentiate::{differentiate, gradient_path, gradient_reach, gradients};
pub use simplify::simplify;
pub use split::{Split, split};
