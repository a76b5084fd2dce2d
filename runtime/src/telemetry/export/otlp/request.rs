//! A request, and how large it may be.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;

/// The size limit, which only a request with a single span may exceed: by default gRPC servers in Go, Java and Rust
/// refuse messages of more than 4 MiB.
const MAX_BYTES: usize = (4 << 20) - (64 << 10);

/// The tag and the length of a nested message, at most.
const FRAME: usize = 6;

/// After this number of requests near the limit, a larger one is tried.
const REQUESTS_BEFORE_GROWING: u8 = 16;

/// The size limit for requests, learned from responses: it is halved immediately and doubled slowly.
#[derive(Debug, Clone, Copy)]
pub(super) struct SizeLimit {
    pub(super) bytes: usize,
    /// Requests near the limit that have succeeded.
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

#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: ExportTraceServiceRequest,
    pub(super) spans: usize,
    /// The size of the message, uncompressed.
    pub(super) bytes: usize,
}

impl Request {
    pub(super) fn new(resource_spans: Vec<ResourceSpans>) -> Self {
        let message = ExportTraceServiceRequest { resource_spans };
        let scopes = message.resource_spans.iter().flat_map(|spans| &spans.scope_spans);
        Self { spans: scopes.map(|scope| scope.spans.len()).sum(), bytes: message.encoded_len(), message }
    }

    /// Whether it may be too large: it can be split, or is larger than most collectors accept.
    pub(super) fn can_be_too_large(&self) -> bool {
        self.spans > 1 || self.bytes > MAX_BYTES
    }

    /// Merges several requests into one, if there are any.
    pub(super) fn joined(parts: Vec<Self>) -> Option<Self> {
        (!parts.is_empty()).then(|| Self::new(parts.into_iter().flat_map(|part| part.message.resource_spans).collect()))
    }

    /// Splits it into requests of at most `limit` bytes, or of a single span, in the same order.
    pub(super) fn split(self, limit: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Part::default();
        for mut resource in self.message.resource_spans {
            let scopes = std::mem::take(&mut resource.scope_spans);
            for mut scope in scopes {
                let spans = std::mem::take(&mut scope.spans);
                let shell = resource.encoded_len() + scope.encoded_len() + 2 * FRAME;
                let mut opened = false;
                for span in spans {
                    let size = span.encoded_len() + FRAME;
                    let wanted = if opened { size } else { shell + size };
                    if part.bytes > 0 && part.bytes + wanted > limit {
                        parts.push(std::mem::take(&mut part));
                        opened = false;
                    }
                    if !opened {
                        part.bytes += shell;
                        part.spans.push(ResourceSpans { scope_spans: vec![scope.clone()], ..resource.clone() });
                        opened = true;
                    }
                    part.bytes += size;
                    if let Some(ScopeSpans { spans, .. }) =
                        part.spans.last_mut().and_then(|resource| resource.scope_spans.last_mut())
                    {
                        spans.push(span);
                    }
                }
            }
        }
        parts.push(part);
        parts.into_iter().map(|part| Self::new(part.spans)).collect()
    }
}

/// A request under construction.
#[derive(Default)]
struct Part {
    spans: Vec<ResourceSpans>,
    /// An upper bound of its size.
    bytes: usize,
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;

    fn request(spans: usize, scopes: usize, length: usize) -> Request {
        let span = |at: usize| Span { name: format!("{at:0length$}"), ..Span::default() };
        let scope = |scope: usize| ScopeSpans {
            scope: Some(InstrumentationScope { name: format!("scope {scope}"), ..InstrumentationScope::default() }),
            spans: (0..spans).map(|at| span(scope * spans + at)).collect(),
            schema_url: "schema".to_owned(),
        };
        Request::new(vec![ResourceSpans {
            scope_spans: (0..scopes).map(scope).collect(),
            schema_url: "schema of the resource".to_owned(),
            ..ResourceSpans::default()
        }])
    }

    fn names(pieces: &[Request]) -> Vec<String> {
        let resources = pieces.iter().flat_map(|piece| &piece.message.resource_spans);
        resources
            .flat_map(|resource| &resource.scope_spans)
            .flat_map(|scope| &scope.spans)
            .map(|span| span.name.clone())
            .collect()
    }

    #[test]
    fn pieces_are_no_larger_than_allowed_and_hold_all_in_order() {
        for limit in [1, 60, 100, 333, 1_000, 5_000, 1 << 20] {
            let whole = request(40, 3, 30);
            let (spans, expected) = (whole.spans, names(std::slice::from_ref(&whole)));
            let pieces = whole.split(limit);
            assert_eq!(names(&pieces), expected);
            assert_eq!(pieces.iter().map(|piece| piece.spans).sum::<usize>(), spans);
            for piece in &pieces {
                assert!(piece.spans == 1 || piece.bytes <= limit, "{limit}: {}", piece.bytes);
                for resource in &piece.message.resource_spans {
                    assert_eq!(resource.schema_url, "schema of the resource");
                    assert!(
                        resource.scope_spans.iter().all(|scope| scope.scope.is_some() && scope.schema_url == "schema")
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_larger_than_allowed_comes_apart() {
        let whole = request(2, 1, 100);
        let limit = whole.bytes - 1;
        assert_eq!(whole.split(limit).len(), 2, "or it would be split for ever");
    }

    #[test]
    fn the_size_shrinks_at_once_and_grows_slowly() {
        let mut limit = SizeLimit::below(10_000);
        assert_eq!(limit.bytes, 5_000);
        for _ in 0..100 {
            limit = limit.after_success(100);
        }
        assert_eq!(limit.bytes, 5_000, "small requests say nothing");
        for _ in 0..=REQUESTS_BEFORE_GROWING {
            assert_eq!(limit.bytes, 5_000);
            limit = limit.after_success(4_000);
        }
        assert_eq!(limit.bytes, 10_000);
        assert_eq!(SizeLimit::below(1).bytes, 1);
        assert_eq!(SizeLimit::default().after_success(MAX_BYTES).bytes, MAX_BYTES);
    }
}
