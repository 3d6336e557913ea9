//! Elements in other places: none is computed.

mod broadcast;
mod concat;
mod pad;
mod reshape;
mod reverse;
mod slice;
mod transpose;

pub use broadcast::Broadcast;
pub use concat::Concat;
pub use pad::Pad;
pub use reshape::Reshape;
pub use reverse::Reverse;
pub use slice::Slice;
pub use transpose::Transpose;
