//! The run configuration.
