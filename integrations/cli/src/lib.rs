#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod convert;
mod counted;
mod dump;
mod error;
mod format;
mod json;
mod lenient;
mod protobuf;

pub use dump::{Dump, Reader};
pub use error::ReadError;
