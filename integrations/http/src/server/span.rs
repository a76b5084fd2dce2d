//! The span of a request: its parent, its tags, its attributes and its request ID.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::{self, HeaderValue};
use http::request;
use opentelemetry::trace::{SpanId, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use throughline::{
    ContextExt as _, LastError, RequestId, Span, SpanBuilder, Tag, TagScope, Tags, current_context, propagation,
    semconv,
};

use super::Config;
use crate::facts::{self, Forwarded};
use crate::tag::Edge;
use crate::{Headers, X_REQUEST_ID};

const RECORDED_ID: &str = "http.request.header.x-request-id";

/// The route of a request that was not known when its span started.
pub(super) type FoundRoute = Arc<OnceLock<Box<str>>>;

/// The span of the request, stored in its extensions for inner layers.
#[derive(Debug, Clone)]
pub(crate) struct Entered {
    /// The context with the span.
    context: Context,
    /// Where an inner layer stores the route; `None` if this layer knows it.
    found: Option<FoundRoute>,
    /// Whether its caller is not trusted.
    is_public: bool,
}

/// The `X-Request-ID` that a request was received with, if it was replaced. In the context, because clients whose
/// requests have no extensions forward headers, too.
#[derive(Debug)]
pub(crate) struct RefusedId(pub(crate) HeaderValue);

fn identity(context: &Context) -> (TraceId, SpanId) {
    let span = context.span();
    let span = span.span_context();
    (span.trace_id(), span.span_id())
}

impl Config {
    /// Starts the span of the request.
    pub(super) fn enter(
        &self,
        parts: &mut request::Parts,
        route: Option<&str>,
        missing: &mut Vec<&'static str>,
        found: Option<FoundRoute>,
    ) -> (Span, Option<HeaderValue>, Option<Arc<LastError>>) {
        let headers = Headers(&parts.headers);
        let caller = if self.public {
            propagation::get().extract_identity(&headers)
        } else {
            propagation::extract(&headers).with_tags(as_tags(&self.tag_headers.read(&parts.headers)))
        };
        let continues = !self.public && caller.span().span_context().is_valid();
        let given = parts.headers.get(&X_REQUEST_ID).and_then(|id| RequestId::parse(id.as_bytes()));
        let as_trace = given.as_ref().and_then(RequestId::as_trace_id);
        let keeps = !self.fresh_request_id || continues;
        let wanted = as_trace.filter(|_| keeps && !continues && !self.public);

        let parent = if self.public { Context::new() } else { caller.clone() };

        let mut builder =
            SpanBuilder::new(facts::span_name(&parts.method, route)).kind(SpanKind::Server).parent(&parent);
        if self.public {
            builder = builder.link(&caller);
        }
        if let Some(id) = wanted {
            builder = builder.trace_id(id);
        }
        let mut span =
            builder.propagate(|tags| self.resolve(parts, route, &parent, missing, tags)).start_with(|tags| {
                self.describe(parts, route, tags);
                let other = given.as_ref().filter(|_| wanted.is_none());
                let same_trace = caller.span().span_context().trace_id();
                if let Some(id) = other.filter(|_| !continues || as_trace != Some(same_trace)) {
                    tags.attribute(RECORDED_ID, recorded_id(id));
                }
            });

        let context = span.context();
        let trace = context.span().span_context().trace_id();
        if let Some(given) = given.as_ref().filter(|_| wanted.is_some_and(|id| id != trace)) {
            if trace != TraceId::INVALID {
                warn_of_generator(given);
                context.span().set_attribute(KeyValue::new(RECORDED_ID, recorded_id(given)));
            }
        }
        let given = given.filter(|_| keeps);
        let refused = if given.is_none() { parts.headers.get(&X_REQUEST_ID).cloned() } else { None };
        let id = given
            .unwrap_or_else(|| if trace == TraceId::INVALID { RequestId::generate() } else { RequestId::from(trace) });
        let header = HeaderValue::from_str(id.as_ref()).ok();
        // The id is not known before the span has started.
        let mut last_error = None;
        span.map_context(|context| {
            context.with_extensions(|extensions| {
                extensions.insert(LastError::new());
                extensions.insert(id.clone());
                if let Some(id) = refused {
                    extensions.insert(RefusedId(id));
                }
                last_error = extensions.get();
            })
        });
        parts.extensions.insert(id);
        parts.extensions.insert(Entered { context, found, is_public: self.public });
        (span, header, last_error)
    }

    /// Adds what this layer knows to the span that an outer layer has started.
    pub(super) fn join(
        &self,
        entered: &Entered,
        parts: &request::Parts,
        route: Option<&str>,
        missing: &mut Vec<&'static str>,
    ) -> Span {
        let current = current_context();
        // The span of the request, which is not current if a layer in between has started another one.
        let span = entered.context.span();
        if let (Some(route), Some(found)) = (route, &entered.found) {
            let _ = found.set(route.into());
            span.update_name(facts::span_name(&parts.method, Some(route)));
            span.set_attribute(KeyValue::new(semconv::HTTP_ROUTE, route.to_owned()));
        }
        // Tags that the caller claims, which do not replace those of the outer layer.
        let is_trusted = !self.public && !entered.is_public;
        let mut claimed = if is_trusted { self.tag_headers.read(&parts.headers) } else { Vec::new() };
        if !claimed.is_empty() {
            let known = current.tags();
            claimed.retain(|(key, _)| known.iter().all(|known| known.key.as_str() != *key));
        }
        let parent = current.with_tags(as_tags(&claimed));
        let scope = TagScope::new().propagate(|tags| {
            // A tag of this layer with the same key inherits the value.
            claimed.retain(|(key, _)| self.tags.iter().all(|tag| tag.key() != *key));
            for (key, value) in claimed {
                tags.scope(key, || Tag::new(Some(value)));
            }
            self.resolve(parts, route, &parent, missing, tags);
        });
        let scope = scope.start_with(|_| {});
        if identity(&current) != identity(&entered.context) && span.is_recording() {
            let (known, tags) = (current.tags(), scope.context().tags());
            span.set_attributes(tags.iter().filter(|tag| !known.contains(tag)).cloned());
        }
        scope
    }

    /// Adds the tags of the request. Without a route, required ones without a value are added to `missing`.
    fn resolve(
        &self,
        parts: &request::Parts,
        route: Option<&str>,
        parent: &Context,
        missing: &mut Vec<&'static str>,
        tags: &mut Tags,
    ) {
        let edge = Edge { parts, route, path: facts::original_uri(parts).path(), parent };
        for tag in &self.tags {
            tag.resolve(&edge, missing, tags);
        }
    }

    /// Adds the attributes that are known when the span starts, so that the sampler sees them.
    fn describe(&self, parts: &request::Parts, route: Option<&str>, tags: &mut Tags) {
        facts::add_method(&parts.method, tags);
        if let Some(route) = route {
            tags.attribute(semconv::HTTP_ROUTE, route.to_owned());
        }
        let uri = facts::original_uri(parts);
        facts::add_target(uri.path(), uri.query(), &self.rules, tags);
        let forwarded = Forwarded::of(parts, self.proxies);
        let own = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            _ => self.scheme,
        };
        let scheme = forwarded.proto.unwrap_or(own);
        tags.attribute(semconv::URL_SCHEME, scheme);
        if let Some(authority) = forwarded.host.map(Cow::Owned).or_else(|| facts::authority(parts)) {
            let port = authority.port_u16().or_else(|| facts::default_port(scheme));
            facts::add_host(authority.host(), port, tags);
        }
        let peer = facts::peer(parts);
        // Without proxies, the other end of the connection is the client.
        if let Some(client) = forwarded.client.or(peer.map(|peer| peer.ip())) {
            tags.attribute(semconv::CLIENT_ADDRESS, client.to_string());
        }
        if let Some(peer) = peer {
            tags.attribute(semconv::NETWORK_PEER_ADDRESS, peer.ip().to_string());
            tags.attribute(semconv::NETWORK_PEER_PORT, i64::from(peer.port()));
        }
        if let Some(version) = facts::version(parts.version) {
            tags.attribute(semconv::NETWORK_PROTOCOL_VERSION, version);
        }
        facts::add_text(semconv::USER_AGENT_ORIGINAL, &header::USER_AGENT, &parts.headers, tags);
        facts::add_headers(&self.request_headers, &parts.headers, tags);
    }
}

fn as_tags(tags: &[(&'static str, Value)]) -> impl Iterator<Item = KeyValue> {
    tags.iter().map(|(key, value)| KeyValue::new(*key, value.clone()))
}

/// The conventions define the value of a header as a list.
fn recorded_id(id: &RequestId) -> Value {
    Value::Array(Array::String(vec![StringValue::from(id.to_string())]))
}

/// Logs once why the IDs differ.
fn warn_of_generator(id: &RequestId) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "throughline",
            "the request ID `{id}` is not the trace ID: the tracer provider's ID generator has chosen another one; set \
             `throughline::telemetry::RequestIdGenerator` as its ID generator; further ones are not logged"
        );
    }
}
