# What CI runs.
ready:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --no-default-features --lib -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
    cargo test --profile ci

# Whole trainings that take minutes, and ten thousand random graphs, specs and chains of views.
nightly:
    cargo test --profile ci --test nightly
    GRAPHS=10000 cargo test --profile ci --test graphs properties::
    GRAPHS=10000 cargo test --profile ci --test numerics random_specs::
    VIEW_CHAINS=10000 cargo test --profile ci --test graphs chains_of_views

# Memory and threads under the compiler's sanitizers.
sanitize:
    tests/sanitize

# The Python package: a wheel for tests, and its tests.
python:
    python/check
