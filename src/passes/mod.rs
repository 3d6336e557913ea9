//! Graph to graph: plain functions that build a new graph and leave the old one as it was.

mod accumulate;
mod bind;
mod copy;
mod cost;
mod differentiate;
mod forward;
mod rows;
pub mod simplify;
mod split;

pub use accumulate::{Accumulated, accumulate};
pub use bind::{bind, check_bound};
pub use copy::{Copier, prune};
pub use cost::{Cost, cost};
pub use differentiate::{differentiate, gradient_path, gradient_reach, gradients, pullback, pushforward};
pub use forward::{Coordinates, coordinates, forward_gradient};
pub use rows::{Paths, Rows, rows};
pub use simplify::{Applied, simplify, simplify_reporting};
pub use split::{Split, StandIns, resolve_prediction, resolve_training, split};
