//! Kinds of return values.

mod borrowed;
mod functions;
mod opaque;
mod owned;
