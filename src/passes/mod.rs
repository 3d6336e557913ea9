//! Graph to graph: plain functions that build a new graph and leave the old one as it was.

mod accumulate;
mod cost;
mod covariance;
mod differentiate;
mod forward;
mod prune;
mod rest;
mod rows;
pub mod simplify;
mod split;
mod terms;

pub use accumulate::{Accumulated, accumulate};
pub use cost::{Cost, cost, costs};
pub use covariance::Product;
pub use differentiate::{differentiate, gradients};
pub use forward::{Coordinates, coordinates, forward_gradient};
pub use prune::prune;
pub use rest::{Rest, rest};
pub use rows::{Paths, Rows, rows};
pub use simplify::{Applied, simplify, simplify_reporting};
pub use split::{Split, StandIns, resolve_prediction, resolve_training, split, split_values};
pub use terms::{Addends, Told, Totals, parts_of_term, with_terms};
