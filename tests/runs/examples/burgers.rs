//! The equation's solution is known at the test points; training never sees it.

use super::support::Example;

/// The relative L2 error at the test points after training by a config.
pub fn relative_error(config: &str) -> f64 {
    let run = Example::by_config("burgers", config).trained();
    let last = run.history.epochs.last().unwrap();
    (last.get("test", "squared_error").unwrap() / last.get("test", "squared_size").unwrap()).sqrt()
}
