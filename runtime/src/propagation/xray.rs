//! AWS X-Ray's `X-Amzn-Trace-Id`: `Root=1-{time}-{24 digits};Parent={span};Sampled={0, 1 or ?}`.

use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use super::trim;
use crate::text::hex;

const HEADER: &str = "x-amzn-trace-id";
pub(super) const FIELDS: [&str; 1] = [HEADER];

/// As AWS and its libraries spell the name. In a message, the receiver may compare it with regard to case.
const SPELLED: &str = "X-Amzn-Trace-Id";

/// Longer headers are ignored; no library writes more than 256.
const MAX_LENGTH: usize = 1024;

pub(super) fn inject(span: &SpanContext, into: &mut dyn Injector) {
    if span.is_valid() {
        let trace_id = format!("{:032x}", span.trace_id());
        let (time, rest) = trace_id.split_at(8);
        let sampled = u8::from(span.is_sampled());
        into.set(SPELLED, format!("Root=1-{time}-{rest};Parent={:016x};Sampled={sampled}", span.span_id()));
    }
}

/// The fields may be in any order, and there may be others, such as `Self` of a load balancer. Without `Parent`, there
/// is no span to continue.
pub(super) fn extract(from: &dyn Extractor) -> Option<SpanContext> {
    let header = trim(from.get(HEADER)?);
    if header.len() > MAX_LENGTH {
        return None;
    }
    let (mut root, mut parent, mut sampling) = (None, None, None);
    for field in header.split(';').map(trim).filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=')?;
        let found = match name {
            "Root" => root.replace(value),
            "Parent" => parent.replace(value),
            "Sampled" => sampling.replace(value),
            _ => None,
        };
        if found.is_some() {
            return None;
        }
    }
    let sampled = match sampling {
        // Without a decision, it is left to the receiver, as in B3 without a sampling state.
        None | Some("1" | "?") => true,
        Some("0") => false,
        Some(_) => return None,
    };
    let (trace_id, span_id) = (trace_id(root?)?, span_id(parent?)?);
    Some(SpanContext::new(trace_id, span_id, TraceFlags::default().with_sampled(sampled), true, TraceState::NONE))
}

/// Leading zeros of the time may be omitted.
fn trace_id(root: &str) -> Option<TraceId> {
    let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
    if time.len() > 8 || rest.len() != 24 {
        return None;
    }
    let time = hex::parse_lower::<u128>(time.as_bytes())?;
    let rest = hex::parse_lower::<u128>(rest.as_bytes())?;
    Some(TraceId::from(time << 96 | rest)).filter(|id| *id != TraceId::INVALID)
}

fn span_id(parent: &str) -> Option<SpanId> {
    let id = hex::parse_lower::<u64>(parent.as_bytes()).filter(|_| parent.len() == 16)?;
    Some(SpanId::from(id)).filter(|id| *id != SpanId::INVALID)
}
