//! Requests, and the limit on their size.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as ProtoScope;
use opentelemetry_proto::tonic::resource::v1::Resource as ProtoResource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_proto::transform::common::tonic::{Attributes, ResourceAttributesWithSchema};
use opentelemetry_sdk::Resource;
use prost::Message as _;
use tonic::codegen::Bytes;

use crate::encoding::fields::make_unique;
use crate::encoding::wire::{delimited_len, put_varint};
use crate::tracer::encoded::{QueuedSpans, ScopeId, Scopes, frames};

/// The size limit for requests, which only one with a single span may exceed: by default, gRPC servers in Go, Java and
/// Rust refuse messages of more than 4 MiB.
const MAX_BYTES: usize = (4 << 20) - (64 << 10);

/// The size limit for a request with a single span ("The client SHOULD limit the size of the request message"), as the
/// specification recommends for clients and servers.
const MAX_SINGLE_BYTES: usize = 64 << 20;

/// A request of up to this size is not split because of timeouts.
const MAX_UNSPLIT_BYTES: usize = 8 << 10;

/// The maximum length of the tag and the length prefix of a nested message.
const FRAME: usize = 6;

/// After this number of successful requests near the limit, the limit is doubled.
const REQUESTS_BEFORE_GROWING: u8 = 16;

/// The size limit for requests, learned from responses: it is halved immediately and doubled slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeLimit {
    pub(super) bytes: usize,
    /// The number of successful requests near the limit.
    successes: u8,
}

impl Default for SizeLimit {
    fn default() -> Self {
        Self { bytes: MAX_BYTES, successes: 0 }
    }
}

impl SizeLimit {
    /// A request of `bytes` was too large.
    pub(super) fn below(bytes: usize) -> Self {
        Self { bytes: (bytes / 2).clamp(1, MAX_BYTES), successes: 0 }
    }

    /// A request of `bytes` has succeeded.
    pub(super) fn after_success(self, bytes: usize) -> Self {
        let Self { bytes: limit, successes } = self;
        // The success of a much smaller request is no evidence for a higher limit.
        if limit == MAX_BYTES || bytes <= limit / 2 {
            return self;
        }
        if successes == REQUESTS_BEFORE_GROWING {
            return Self { bytes: (limit * 2).min(MAX_BYTES), successes: 0 };
        }
        Self { bytes: limit, successes: successes + 1 }
    }
}

/// The number and wire type of `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u8 = 1 << 3 | 2;

/// The number and wire type of `ResourceSpans.scope_spans`.
const SCOPE_SPANS: u8 = 2 << 3 | 2;

/// The encoded fields of a message before and after its repeated field.
#[derive(Debug)]
struct Shell {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Shell {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

/// The envelope of spans in a request: the resource and the scopes, each encoded once.
#[derive(Debug)]
pub(super) struct Envelope {
    resource: Shell,
    scopes: RefCell<HashMap<ScopeId, Rc<Shell>>>,
}

impl Envelope {
    pub(super) fn new(resource: &Resource) -> Self {
        let ResourceAttributesWithSchema { attributes, schema_url } = resource.into();
        let resource = ProtoResource { attributes: attributes.0, ..ProtoResource::default() };
        let before = ResourceSpans { resource: Some(resource), ..ResourceSpans::default() };
        let after = ResourceSpans { schema_url: schema_url.unwrap_or_default(), ..ResourceSpans::default() };
        Self {
            resource: Shell { before: before.encode_to_vec(), after: after.encode_to_vec() },
            scopes: RefCell::default(),
        }
    }

    fn scope(&self, id: ScopeId, scopes: &Scopes) -> Rc<Shell> {
        let encode = || {
            let known = scopes.get(id);
            let unknown = InstrumentationScope::default();
            let scope = known.as_deref().unwrap_or(&unknown);
            // "The exported attribute collections contain only unique keys", which a scope does not enforce.
            let mut attributes = scope.attributes().cloned().collect();
            make_unique(&mut attributes);
            let message = ProtoScope { attributes: Attributes::from(attributes).0, ..(scope, None).into() };
            let before = ScopeSpans { scope: Some(message), ..ScopeSpans::default() };
            let schema_url = scope.schema_url().unwrap_or_default().to_owned();
            let after = ScopeSpans { schema_url, ..ScopeSpans::default() };
            Rc::new(Shell { before: before.encode_to_vec(), after: after.encode_to_vec() })
        };
        Rc::clone(self.scopes.borrow_mut().entry(id).or_insert_with(encode))
    }
}

/// The spans of one scope.
#[derive(Debug)]
struct Group {
    scope: Rc<Shell>,
    id: ScopeId,
    /// Runs of spans, as fields of `ScopeSpans`.
    runs: Vec<Bytes>,
}

impl Group {
    /// The length of the message `ScopeSpans`.
    fn len(&self) -> usize {
        self.scope.len() + self.runs.iter().map(Bytes::len).sum::<usize>()
    }
}

/// The encoded spans for one request, without the envelope.
#[derive(Debug, Default)]
pub(super) struct Request {
    groups: Vec<Group>,
    pub(super) spans: usize,
    /// The size of the message, uncompressed.
    pub(super) bytes: usize,
}

impl Request {
    /// Creates a request without copying the spans.
    pub(super) fn new(envelope: &Envelope, batch: Vec<QueuedSpans>, scopes: &Scopes) -> Self {
        let mut request = Self::default();
        for part in batch {
            let QueuedSpans { count, bytes, first_scope, other_scopes, .. } = part;
            request.spans += count as usize;
            let (mut id, mut bytes) = (first_scope, bytes);
            let mut start = 0;
            for (end, next) in other_scopes {
                request.add(id, || envelope.scope(id, scopes), bytes.split_to(end - start));
                (id, start) = (next, end);
            }
            request.add(id, || envelope.scope(id, scopes), bytes);
        }
        request.measured(envelope)
    }

    fn add(&mut self, id: ScopeId, scope: impl FnOnce() -> Rc<Shell>, run: Bytes) {
        if run.is_empty() {
            return;
        }
        match self.groups.iter_mut().find(|group| group.id == id) {
            Some(group) => group.runs.push(run),
            None => self.groups.push(Group { scope: scope(), id, runs: vec![run] }),
        }
    }

    fn measured(mut self, envelope: &Envelope) -> Self {
        self.bytes = delimited_len(self.resource_len(envelope));
        self
    }

    /// The length of the message `ResourceSpans`.
    fn resource_len(&self, envelope: &Envelope) -> usize {
        envelope.resource.len() + self.groups.iter().map(|group| delimited_len(group.len())).sum::<usize>()
    }

    /// The message `ExportTraceServiceRequest`.
    pub(super) fn body(&self, envelope: &Envelope) -> Bytes {
        let mut body = Vec::with_capacity(self.bytes);
        body.push(RESOURCE_SPANS);
        put_varint(&mut body, self.resource_len(envelope) as u64);
        body.extend_from_slice(&envelope.resource.before);
        for group in &self.groups {
            body.push(SCOPE_SPANS);
            put_varint(&mut body, group.len() as u64);
            body.extend_from_slice(&group.scope.before);
            for run in &group.runs {
                body.extend_from_slice(run);
            }
            body.extend_from_slice(&group.scope.after);
        }
        body.extend_from_slice(&envelope.resource.after);
        debug_assert_eq!(body.len(), self.bytes);
        body.into()
    }

    /// Whether an ambiguous response may mean that the request is too large: it can be split, or is larger than most
    /// collectors accept.
    pub(super) fn can_be_too_large(&self) -> bool {
        self.spans > 1 || self.bytes > MAX_BYTES
    }

    /// Whether a request that has timed out may be split. Small ones are not: a collector that does not respond at all
    /// would get one span at a time for a while when it responds again.
    pub(super) fn can_take_too_long(&self) -> bool {
        self.spans > 1 && self.bytes > MAX_UNSPLIT_BYTES
    }

    /// Whether the request is larger than any collector has to accept.
    pub(super) fn must_not_be_sent(&self) -> bool {
        self.bytes > MAX_SINGLE_BYTES
    }

    /// Merges several requests into one, if there are any.
    pub(super) fn joined(envelope: &Envelope, parts: Vec<Self>) -> Option<Self> {
        let mut joined = Self::default();
        for part in parts {
            joined.spans += part.spans;
            for group in part.groups {
                for run in group.runs {
                    joined.add(group.id, || Rc::clone(&group.scope), run);
                }
            }
        }
        (joined.spans > 0).then(|| joined.measured(envelope))
    }

    /// Splits the request into requests of at most `max_bytes` and `max_spans`, or of a single span, in the same order.
    pub(super) fn split(self, envelope: &Envelope, max_bytes: usize, max_spans: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Part::default();
        for group in self.groups {
            let shell = envelope.resource.len() + group.scope.len() + 2 * FRAME;
            for run in group.runs {
                let (mut begin, mut end) = (0, 0);
                for frame in frames(&run) {
                    let size = frame.len();
                    let is_open = part.request.groups.last().is_some_and(|open| open.id == group.id) || begin < end;
                    let wanted = if is_open { size } else { shell + size };
                    let is_full = part.bytes + wanted > max_bytes || part.request.spans >= max_spans;
                    if part.request.spans > 0 && is_full {
                        part.request.add(group.id, || Rc::clone(&group.scope), run.slice(begin..end));
                        parts.push(std::mem::take(&mut part).request.measured(envelope));
                        part.bytes = shell;
                        begin = end;
                    } else if !is_open {
                        part.bytes += shell;
                    }
                    part.bytes += size;
                    part.request.spans += 1;
                    end += size;
                }
                part.request.add(group.id, || Rc::clone(&group.scope), run.slice(begin..end));
            }
        }
        if part.request.spans > 0 {
            parts.push(part.request.measured(envelope));
        }
        parts
    }
}

/// A request under construction.
#[derive(Default)]
struct Part {
    request: Request,
    /// An upper bound of its size.
    bytes: usize,
}

#[cfg(test)]
mod tests;
