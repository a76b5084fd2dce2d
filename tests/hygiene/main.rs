//! Generated code neither depends on names in its scope nor adds any.

mod items;
mod names;
mod shadowed;
