//! Inner loops on plain slices.
