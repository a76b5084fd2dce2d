//! What the unit tests of more than one message transport use.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};

use crate::context::origin::Origin;

pub(super) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The context that [`PARENT`] tells of, if it is sampled.
pub(super) fn context(flags: TraceFlags) -> Context {
    let span = SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        flags,
        false,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(span)
}

/// What `origin` tells of itself, by name.
pub(super) fn described(origin: &impl Origin) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    origin.describe(&mut attributes);
    let mut pairs: Vec<_> = attributes.iter().map(|it| (it.key.to_string(), it.value.to_string())).collect();
    pairs.sort();
    pairs
}

/// The same of what is expected.
pub(super) fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    pairs.sort();
    pairs
}
