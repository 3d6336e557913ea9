//! Files to named batches.
