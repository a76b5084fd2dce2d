//! Tags: their values, and the sets of them that spans inherit.

pub(crate) mod secret;
pub(crate) mod set;
pub(crate) mod value;
