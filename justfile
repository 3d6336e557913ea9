# What CI runs.
ready:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --no-default-features --lib -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
    cargo test --workspace --profile ci

# Whole trainings that take minutes.
nightly:
    cargo test --release --test nightly
