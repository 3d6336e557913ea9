//! What is said to the passes: where no gradient passes, which derivative is wanted, what differs between training and
//! prediction.

mod by_mode;
mod directed;
mod gradient;
mod stop;

pub use by_mode::ByMode;
pub use directed::Directed;
pub use gradient::Gradient;
pub use stop::StopGradient;
