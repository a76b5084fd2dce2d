//! What all messaging transports share: the semantic conventions for messaging spans, and headers.

#![cfg_attr(
    not(feature = "full"),
    allow(dead_code, reason = "each transport uses some of it, and any choice of them compiles")
)]

use std::sync::Arc;

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};

use crate::propagation::{self, Pairs, PairsMut, Propagator};
use crate::span::builder::SpanBuilder;
use crate::span::handle::Span;
use crate::tags::set::Tags;
use crate::text::header_value;

/// The span of one message on its way out, named `{operation} {destination}`. The context to
/// inject is [`Span::context`]: it is right also where nothing is recorded.
///
/// `more` gives the attributes that only this transport has, and is not called if nothing is
/// recorded.
pub(super) fn producer(
    system: &'static str,
    operation: &'static str,
    destination: &str,
    more: impl FnOnce(&mut Tags),
) -> Span {
    producer_to(system, operation, destination, destination, more)
}

/// The span of one message on its way out, whose destination has too many names for the name of a
/// span: it is called `{operation} {target}`.
pub(super) fn producer_to(
    system: &'static str,
    operation: &'static str,
    target: &str,
    destination: &str,
    more: impl FnOnce(&mut Tags),
) -> Span {
    SpanBuilder::new(format!("{operation} {target}")).kind(SpanKind::Producer).start_with(|tags| {
        tags.attribute("messaging.system", system);
        tags.attribute("messaging.operation.name", operation);
        tags.attribute("messaging.operation.type", "send");
        tags.attribute("messaging.destination.name", destination.to_owned());
        more(tags);
    })
}

/// What a received message tells of itself. For `Origin::describe`: on the consumer's span with
/// `parent = message`, on the link with `links = messages`.
pub(super) struct Received<'a>(&'a mut Vec<KeyValue>);

impl<'a> Received<'a> {
    pub(super) fn new(attributes: &'a mut Vec<KeyValue>, system: &'static str, destination: &str) -> Self {
        let mut this = Self(attributes);
        this.set("messaging.system", system);
        this.set("messaging.operation.name", "process");
        this.set("messaging.operation.type", "process");
        this.set("messaging.destination.name", destination.to_owned());
        this
    }

    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        self.0.push(KeyValue::new(key, value));
    }

    /// Marks a message that was delivered before.
    pub(super) fn redelivered(&mut self) {
        self.set("throughline.messaging.redelivered", true);
    }
}

/// Headers that belong to no format are not looked at, and of the others no more than this.
const MAX_HEADERS: usize = 256;

/// The context in the headers of a message. Names are compared without regard to case and may occur
/// more than once; values may be any bytes.
pub(super) fn extract<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Context {
    let propagator = propagation::get();
    let found: Vec<_> = headers
        .into_iter()
        .filter(|(name, _)| is_field(&propagator, name))
        .map(|(name, value)| (name, header_value(value)))
        .take(MAX_HEADERS)
        .collect();
    propagator.extract(&Pairs(&found))
}

fn is_field(propagator: &Propagator, name: &str) -> bool {
    propagator.fields().any(|field| field.eq_ignore_ascii_case(name))
}

/// The headers that carry a context out of the process.
pub(super) struct Outgoing {
    propagator: Arc<Propagator>,
    pairs: Vec<(String, String)>,
    has_identity: bool,
}

impl Outgoing {
    pub(super) fn of(context: &Context) -> Self {
        let propagator = propagation::get();
        let mut pairs = Vec::new();
        propagator.inject(context, &mut PairsMut(&mut pairs));
        Self { propagator, pairs, has_identity: context.span().span_context().is_valid() }
    }

    /// Nothing to write: what a message has already is passed on as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether a header that is there already has to go. All that told of another context does, also
    /// what has no counterpart in this one: the `tracestate` of one trace says nothing of another.
    pub(super) fn replaces(&self, name: &str) -> bool {
        let written = |(field, _): &(String, String)| field.eq_ignore_ascii_case(name);
        self.pairs.iter().any(written) || (self.has_identity && is_field(&self.propagator, name))
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::baggage::BaggageExt as _;

    use super::*;

    const NAMES: [&str; 5] = ["traceparent", "tracestate", "baggage", "Traceparent", "other"];
    const VALUES: [&[u8]; 4] =
        [b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"a=1,b@c=2", b"k=v%20w;p=1,l=m", b"\xff\x00"];

    /// Numbers that are the same in every run (xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap_or_default() % bound
        }
    }

    #[test]
    fn headers_of_any_bytes_give_a_bounded_context() {
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut valid = 0;
        for _ in 0..20_000 {
            let headers: Vec<_> = (0..numbers.below(6))
                .map(|_| {
                    let name = numbers.below(NAMES.len());
                    let mut value = VALUES[(name + numbers.below(8) / 7) % VALUES.len()].to_vec();
                    for _ in 0..numbers.below(3) {
                        let at = numbers.below(value.len() + 1);
                        let byte = u8::try_from(numbers.below(256)).unwrap_or_default();
                        match numbers.below(4) {
                            0 => value.insert(at, byte),
                            1 => value.truncate(at),
                            _ => {
                                if let Some(old) = value.get_mut(at) {
                                    *old = byte;
                                }
                            }
                        }
                    }
                    (NAMES[name], value)
                })
                .collect();
            let context = extract(headers.iter().map(|(name, value)| (*name, value.as_slice())));
            let parents = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("traceparent")).count();
            let is_valid = context.span().span_context().is_valid();
            assert!(!is_valid || parents == 1, "{headers:?}");
            assert!(context.baggage().len() <= 64);
            valid += usize::from(is_valid);
        }
        // Enough of them got through to show that it was not all refused.
        assert!(valid > 1_000, "{valid}");
    }

    #[test]
    fn what_is_written_replaces_what_told_of_another_context() {
        let nothing = Outgoing::of(&Context::new());
        assert!(nothing.is_empty() && !nothing.replaces("traceparent"));
        let baggage = Outgoing::of(&Context::new().with_baggage([KeyValue::new("tenant_id", "acme")]));
        assert!(baggage.replaces("Baggage") && !baggage.replaces("traceparent"));
        let parent = extract([("traceparent", VALUES[0])]);
        let identity = Outgoing::of(&parent);
        for name in ["traceparent", "TraceState", "baggage"] {
            assert!(identity.replaces(name), "{name}");
        }
        assert!(!identity.replaces("content-type"));
    }
}
