//! Generated code takes nothing from where it stands, and leaves nothing there.

mod items;
mod names;
mod shadowed;
