//! Calls that failed because of the server, as `tracing` events.

use std::sync::Arc;

use http::Uri;
use throughline::{Context, ContextExt as _, LastError, Span, event_in};
use tonic::Code;

use crate::status;
use crate::target::{self, OTHER};

/// The content of the event for a call, if the call fails.
#[derive(Debug)]
pub(crate) struct Report {
    uri: Uri,
    /// Whether the path of the URI is a method.
    is_method: bool,
    last_error: Arc<LastError>,
}

impl Report {
    /// Notes the errors that are recorded in `span` from now on. `None` where telemetry is suppressed.
    pub(crate) fn of(span: &mut Span, uri: Uri, is_method: bool) -> Option<Self> {
        if span.context().is_telemetry_suppressed() {
            return None;
        }
        let mut last_error = None;
        span.map_context(|context| {
            context.with_extensions(|extensions| {
                extensions.insert(LastError::new());
                last_error = extensions.get();
            })
        });
        Some(Self { uri, is_method, last_error: last_error? })
    }

    /// The last error that was recorded below the call.
    pub(crate) fn cause(&self) -> Option<String> {
        self.last_error.take()
    }

    #[cold]
    pub(crate) fn write(&self, context: &Context, code: Option<Code>, error: Option<&str>) {
        let method = target::method(self.uri.path()).filter(|_| self.is_method);
        event_in(context, |fields| {
            tracing::error!(
                target: "throughline::grpc",
                {
                    rpc.method = method.unwrap_or(OTHER),
                    rpc.response.status_code = code.map(status::name),
                    error = error,
                    trace_id = fields.trace_id.map(tracing::field::display),
                    span_id = fields.span_id.map(tracing::field::display),
                    throughline.tags = fields.tags,
                },
                "call failed"
            );
        });
    }
}
