//! The numbers that specs compute, against those of other systems and against definitions written out.

#[path = "../common/mod.rs"]
mod common;

mod bundles;
mod combiner_fixtures;
mod formulas;
mod gradient_combiners;
mod gradient_methods;
mod keras_oracle;
mod layers_oracle;
mod library_oracle;
mod metrics;
mod observed;
mod oracle;
mod random_specs;
mod recurrent_state;
mod rest;
mod soap;
mod stable_gradients;
mod standard_library;
mod workloads;
