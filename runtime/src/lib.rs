// The code of the front page needs `throughline-http`, which needs this crate: `throughline-tests` compiles it.
#![cfg_attr(not(doctest), doc = include_str!("../README.md"))]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "log", feature = "otlp", all(feature = "tokio", tokio_unstable)))]
mod atomic;
#[cfg(feature = "audit")]
pub mod audit;
#[cfg(feature = "sdk")]
mod clock;
mod context;
#[cfg(feature = "sdk")]
mod encoding;
mod guard;
mod metrics;
#[cfg(feature = "audit-page")]
mod page;
pub mod redact;
#[cfg(any(feature = "audit", feature = "console", feature = "testing"))]
mod render;
mod span;
#[cfg(any(feature = "tracing", all(feature = "tokio", tokio_unstable)))]
mod table;
mod tags;
pub mod text;

#[cfg(feature = "propagation")]
pub mod messaging;
#[cfg(feature = "propagation")]
pub mod propagation;

#[cfg(feature = "tokio")]
mod job;

#[cfg(feature = "console")]
pub mod console;
#[cfg(feature = "log")]
pub mod log;
pub mod semconv;
#[cfg(all(feature = "otlp", feature = "tracing"))]
mod subscriber;
#[cfg(feature = "sdk")]
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "sdk")]
#[cfg_attr(not(feature = "otlp"), expect(dead_code, reason = "only the exporter reads encoded spans"))]
mod tracer;
#[cfg(feature = "tracing")]
pub mod tracing_layer;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(all(fuzzing, feature = "sdk"))]
#[doc(hidden)]
pub use tracer::fuzzing as __fuzzing;

pub use context::current::{Attached, get as current_context};
#[cfg(feature = "integration")]
pub use context::extensions::{ContextExt, Extensions};
#[cfg(feature = "integration")]
pub use context::last_error::LastError;
pub use context::origin::{Origin, Origins};
#[cfg(feature = "integration")]
pub use context::request_id::RequestId;
pub use context::snapshot::Snapshot;
pub use opentelemetry::trace::SpanKind;
pub use opentelemetry::{Context, KeyValue, Value};
pub use redact::error_text::{ErrorText, set_error_text};
pub use span::builder::{SpanBuilder, in_span, in_span_async, span, try_in_span, try_in_span_async};
#[cfg(feature = "propagation")]
pub use span::carried::Carried;
pub use span::failure::{EventFields, event_in};
pub use span::handle::Span;
pub use span::instrumented::{Instrumented, ItemObserver, NoObserver, Observe, Observer, OutputObserver};
#[cfg(feature = "integration")]
pub use span::integration::enabled;
pub use span::outcome::Outcome;
pub use span::record::{debug, display, record, record_all, record_error};
pub use span::scope::{TagScope, in_tags, in_tags_async};
pub use span::tracer::install;
pub use tags::secret::set_hash_key;
pub use tags::set::{Tag, Tags, current_tags};
pub use tags::value::{DebugValue, DisplayValue, MAX_LIST_LEN, MAX_TEXT_BYTES, Optional, TagValue};
#[cfg(feature = "otlp")]
pub use telemetry::init;

#[cfg(all(feature = "otlp", feature = "tracing"))]
pub use subscriber::init_with_subscriber;
#[cfg(feature = "tracing")]
pub use tracing_layer::tracing_layer;

#[cfg(feature = "rayon")]
pub use job::rayon;
#[cfg(feature = "propagation")]
pub use propagation::Carrier;

#[cfg(all(feature = "tokio", tokio_unstable))]
pub use job::automatic::{Automatic, AutomaticTasks, without_context};
#[cfg(feature = "tokio")]
pub use job::spawn::{
    spawn, spawn_blocking, spawn_local, spawn_thread, try_spawn, try_spawn_blocking, try_spawn_local, try_spawn_thread,
};
#[cfg(feature = "tokio")]
pub use job::tracker as jobs;
#[cfg(feature = "tokio")]
pub use job::{JoinSetExt, TryJoinSetExt};

#[doc = include_str!("../doc/biz_tags.md")]
pub use throughline_macros::biz_tags;
#[doc = include_str!("../doc/traced.md")]
pub use throughline_macros::traced;
#[cfg(feature = "tokio")]
#[doc = include_str!("../doc/traced_spawn.md")]
pub use throughline_macros::traced_spawn;

/// Reports the features that are missing.
#[cfg(not(all(feature = "audit", feature = "testing")))]
#[doc(hidden)]
#[macro_export]
macro_rules! assert_unbroken {
    ($($any:tt)*) => {
        ::core::compile_error!("`assert_unbroken!` requires the features `audit` and `testing` of `throughline`")
    };
}
