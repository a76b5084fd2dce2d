// The front page needs these features for its examples.
#![cfg_attr(all(feature = "otlp", feature = "axum"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "otlp", feature = "axum")),
    doc = "Keeps distributed traces whole. The front page is shown with the features `otlp` and `axum`."
)]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ambient;
mod block;
mod busy;
mod callsite;
mod caught;
mod current;
mod error_text;
mod failure;
#[cfg(any(feature = "console", feature = "testing"))]
mod forest;
mod future;
#[cfg(feature = "otlp")]
mod open;
mod origin;
mod outcome;
mod record;
#[cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "texts of errors have URLs in them, and so have transports")
)]
mod redact;
mod run;
mod secret;
#[cfg(any(feature = "redis", feature = "sql"))]
mod server_text;
mod snapshot;
mod source;
mod span;
mod tags;
#[cfg(feature = "propagation")]
mod trace_state;
mod value;

#[cfg(feature = "propagation")]
pub mod propagation;

mod carried;
#[cfg(feature = "tokio")]
pub mod jobs;
#[cfg(feature = "tokio")]
mod spawn;

mod transport;

#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "log")]
pub mod log;
pub mod semconv;
#[cfg(feature = "sdk")]
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use block::{Block, in_span, in_span_async, span, try_in_span, try_in_span_async};
pub use current::Attached;
pub use error_text::{ErrorText, set_error_text};
pub use future::{Traced, TracedStream, WithSnapshot};
pub use opentelemetry::trace::SpanKind;
pub use opentelemetry::{Context, KeyValue, Value};
pub use origin::Origin;
pub use outcome::Outcome;
pub use record::{debug, display, record, record_all, record_error};
pub use secret::set_hash_key;
pub use snapshot::Snapshot;
pub use source::install;
pub use tags::current_tags;
#[cfg(feature = "otlp")]
pub use telemetry::init;
pub use value::{DebugValue, DisplayValue, MAX_LIST_LEN, MAX_TEXT_BYTES, TagValue};

pub use carried::Carried;
#[cfg(feature = "propagation")]
pub use propagation::Carrier;
#[cfg(feature = "rayon")]
pub use spawn::rayon;
#[cfg(feature = "amqp")]
pub use transport::amqp;
#[cfg(feature = "grpc")]
pub use transport::grpc;
#[cfg(feature = "http")]
pub use transport::http;
#[cfg(feature = "kafka")]
pub use transport::kafka;
#[cfg(feature = "redis")]
pub use transport::redis;
#[cfg(feature = "reqwest")]
pub use transport::reqwest;
#[cfg(feature = "rocketmq")]
pub use transport::rocketmq;
#[cfg(feature = "sql")]
pub use transport::sql;

#[cfg(feature = "tokio")]
pub use spawn::{
    JoinSetExt, TryJoinSetExt, spawn, spawn_blocking, spawn_local, spawn_thread, try_spawn, try_spawn_blocking,
    try_spawn_local, try_spawn_thread,
};

#[doc = include_str!("../doc/biz_tags.md")]
pub use throughline_macros::biz_tags;
#[doc = include_str!("../doc/traced.md")]
pub use throughline_macros::traced;
#[cfg(feature = "tokio")]
#[doc = include_str!("../doc/traced_spawn.md")]
pub use throughline_macros::traced_spawn;
