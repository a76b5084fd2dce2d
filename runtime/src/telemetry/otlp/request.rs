//! A request, and its size.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;

/// No request is larger, but for a single span that is: by default the servers of gRPC for Go, Java and Rust
/// refuse messages of more than 4 MiB.
const LARGEST: usize = (4 << 20) - (64 << 10);

/// The tag and the length of what stands in a message.
const FRAME: usize = 6;

/// After so many requests of the size that is allowed, a larger one is tried.
const BEFORE_GROWING: u8 = 16;

/// How large requests may be, as far as the collector has let it be known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub(super) limit: usize,
    taken: u8,
}

impl Default for Size {
    fn default() -> Self {
        Self { limit: LARGEST, taken: 0 }
    }
}

impl Size {
    /// A request of `bytes` was too large.
    pub(super) fn below(bytes: usize) -> Self {
        Self { limit: (bytes / 2).clamp(1, LARGEST), taken: 0 }
    }

    /// One of `bytes` was not.
    pub(super) fn taken(self, bytes: usize) -> Self {
        match self {
            // One that is much smaller tells nothing.
            Self { limit, .. } if limit == LARGEST || bytes <= limit / 2 => self,
            Self { limit, taken: BEFORE_GROWING } => Self { limit: (limit * 2).min(LARGEST), taken: 0 },
            Self { limit, taken } => Self { limit, taken: taken + 1 },
        }
    }
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) message: ExportTraceServiceRequest,
    pub(super) spans: usize,
    /// Without compression.
    pub(super) bytes: usize,
}

impl Request {
    pub(super) fn new(resource_spans: Vec<ResourceSpans>) -> Self {
        let message = ExportTraceServiceRequest { resource_spans };
        let scopes = message.resource_spans.iter().flat_map(|spans| &spans.scope_spans);
        Self { spans: scopes.map(|scope| scope.spans.len()).sum(), bytes: message.encoded_len(), message }
    }

    /// Whether a smaller one could be sent in its place, or it is too large for most collectors.
    pub(super) fn may_be_too_large(&self) -> bool {
        self.spans > 1 || self.bytes > LARGEST
    }

    /// One of several, if there are any.
    pub(super) fn joined(parts: Vec<Self>) -> Option<Self> {
        (!parts.is_empty()).then(|| Self::new(parts.into_iter().flat_map(|part| part.message.resource_spans).collect()))
    }

    /// In pieces of `limit` bytes at most, or of a single span, in the same order.
    pub(super) fn split(self, limit: usize) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut piece = Piece::default();
        for mut resource in self.message.resource_spans {
            let scopes = std::mem::take(&mut resource.scope_spans);
            for mut scope in scopes {
                let spans = std::mem::take(&mut scope.spans);
                let shell = resource.encoded_len() + scope.encoded_len() + 2 * FRAME;
                let mut opened = false;
                for span in spans {
                    let size = span.encoded_len() + FRAME;
                    let wanted = if opened { size } else { shell + size };
                    if piece.bytes > 0 && piece.bytes + wanted > limit {
                        pieces.push(std::mem::take(&mut piece));
                        opened = false;
                    }
                    if !opened {
                        piece.bytes += shell;
                        piece.spans.push(ResourceSpans { scope_spans: vec![scope.clone()], ..resource.clone() });
                        opened = true;
                    }
                    piece.bytes += size;
                    if let Some(ScopeSpans { spans, .. }) =
                        piece.spans.last_mut().and_then(|resource| resource.scope_spans.last_mut())
                    {
                        spans.push(span);
                    }
                }
            }
        }
        pieces.push(piece);
        pieces.into_iter().map(|piece| Self::new(piece.spans)).collect()
    }
}

/// One that grows.
#[derive(Default)]
struct Piece {
    spans: Vec<ResourceSpans>,
    /// No less than its size.
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
        let mut size = Size::below(10_000);
        assert_eq!(size.limit, 5_000);
        for _ in 0..100 {
            size = size.taken(100);
        }
        assert_eq!(size.limit, 5_000, "small requests tell nothing");
        for _ in 0..=BEFORE_GROWING {
            assert_eq!(size.limit, 5_000);
            size = size.taken(4_000);
        }
        assert_eq!(size.limit, 10_000);
        assert_eq!(Size::below(1).limit, 1);
        assert_eq!(Size::default().taken(LARGEST).limit, LARGEST);
    }
}
