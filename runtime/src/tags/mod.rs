//! Tags: their values, and the sets of them that spans inherit.

#[cfg(feature = "sdk")]
pub(crate) mod draft;
pub(crate) mod scoped;
pub(crate) mod secret;
pub(crate) mod set;
pub(crate) mod value;
