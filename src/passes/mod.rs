//! Graph to graph: plain functions that build a new graph and leave the old one as it was.

mod bind;
mod copy;
mod differentiate;
pub mod simplify;
mod split;

pub use bind::{bind, check_bound};
pub use copy::{Copier, prune};
pub use differentiate::{differentiate, gradient_path, gradient_reach, gradients, pullback, pushforward};
pub use simplify::{Applied, simplify, simplify_reporting};
pub use split::{Split, resolve_prediction, resolve_training, split};
