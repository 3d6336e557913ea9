//! Graph to graph: plain functions that build a new graph and leave the old one as it was.

mod bind;
mod copy;
mod differentiate;
mod split;

pub use bind::{bind, check_bound};
pub use copy::{Copier, prune};
pub use differentiate::{differentiate, gradient_path};
pub use split::{Split, resolve_training, split};
