# What CI runs.
ready:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    cargo test --release

# Whole trainings that take minutes.
nightly:
    cargo test --release --test nightly
