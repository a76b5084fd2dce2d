use opentelemetry::baggage::BaggageExt as _;

use super::*;

const NAMES: [&str; 5] = ["traceparent", "tracestate", "baggage", "Traceparent", "other"];
const VALUES: [&[u8]; 4] =
    [b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"a=1,b@c=2", b"k=v%20w;p=1,l=m", b"\xff\x00"];

/// A deterministic pseudorandom number generator (xorshift).
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
fn arbitrary_headers_result_in_a_bounded_context() {
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
    // Guards against a test in which every header is rejected.
    assert!(valid > 1_000, "{valid}");
}

#[test]
fn headers_of_a_previous_context_are_replaced() {
    let nothing = TraceHeaders::from_context(&Context::new());
    assert!(nothing.is_empty() && !nothing.replaces("traceparent"));
    let baggage = TraceHeaders::from_context(&Context::new().with_baggage([KeyValue::new("tenant_id", "acme")]));
    assert!(baggage.replaces("Baggage") && !baggage.replaces("traceparent"));
    let parent = extract([("traceparent", VALUES[0])]);
    let identity = TraceHeaders::from_context(&parent);
    for name in ["traceparent", "TraceState", "baggage"] {
        assert!(identity.replaces(name), "{name}");
    }
    assert!(!identity.replaces("content-type"));
}

#[test]
fn a_receiver_that_compares_names_with_regard_to_case_finds_b3() {
    use crate::propagation::Format;

    let parent = extract([("traceparent", VALUES[0])]);
    let single = ("b3".to_owned(), "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1".to_owned());
    let multi = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled"];
    for (formats, is_single, others) in [
        (vec![Format::B3Multi], true, &multi[..]),
        (vec![Format::B3Multi, Format::B3], true, &multi),
        (vec![Format::B3], true, &[]),
        (vec![Format::TraceContext], false, &["traceparent"]),
    ] {
        let propagator = Arc::new(Propagator::new(formats.clone()));
        let headers = TraceHeaders::written_by(Arc::clone(&propagator), &parent);
        // A message that is forwarded loses all of them.
        assert!(headers.pairs.iter().all(|(name, _)| propagator.fields().any(|field| field == name)));
        let (found, left): (Vec<_>, Vec<_>) = headers.into_iter().partition(|(name, _)| name == "b3");
        assert_eq!(found, Vec::from_iter(is_single.then(|| single.clone())), "{formats:?}");
        assert_eq!(left.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), others, "{formats:?}");
    }
}

#[test]
fn at_most_256_trace_headers_are_kept_and_others_do_not_count() {
    let is_found = |before: usize, name| {
        let headers = std::iter::repeat_n((name, VALUES[2]), before).chain([("traceparent", VALUES[0])]);
        extract(headers).span().span_context().is_valid()
    };
    assert!(is_found(255, "baggage") && !is_found(256, "baggage"));
    assert!(is_found(1_000, "content-type"));
}
