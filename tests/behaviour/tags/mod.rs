//! Business tags.

mod baggage;
mod forms;
mod others;
mod scope;
