//! HTTP: server and client layers for tower.

mod body;
mod client;
mod edge;
mod facts;
mod headers;
mod server;
mod url;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use http::header::HeaderName;

pub use body::TracedBody;
pub use client::{Attempts, ClientFuture, ClientLayer, ClientService, UrlTemplate};
pub use edge::Tag;
pub use headers::{Headers, HeadersMut};
pub use server::{ServerFuture, ServerLayer, ServerService};

#[cfg(feature = "reqwest")]
pub(crate) use client::{Outgoing, Target};

pub use crate::request_id::RequestId;

use crate::outcome::Outcome;
use crate::span::Span;

pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a piece of the code that a span is for. A panic ends the span, and goes on.
fn run_in<T>(span: &mut Span, run: impl FnOnce() -> T) -> T {
    let attached = span.attach();
    // After a panic the span is over, and nothing here looks at the code again.
    let result = catch_unwind(AssertUnwindSafe(run));
    drop(attached);
    result.unwrap_or_else(|payload| {
        span.finish(|| Outcome::panicked(&*payload));
        resume_unwind(payload)
    })
}
