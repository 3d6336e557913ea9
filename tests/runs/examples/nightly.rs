//! What takes too long for every `cargo test`: `just nightly`.

mod burgers;
#[expect(dead_code, reason = "the quick tests of the examples use the rest")]
mod support;

#[test]
fn the_whole_training_solves_burgers_equation() {
    let error = burgers::relative_error("run.yaml");
    assert!(error <= 0.05, "relative L2 error {error}");
}
