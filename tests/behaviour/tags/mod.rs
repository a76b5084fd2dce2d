//! Business tags.
#![allow(clippy::unused_async, reason = "the functions are there to be traced, and are as short as can be")]

mod baggage;
mod forms;
mod others;
mod scope;
