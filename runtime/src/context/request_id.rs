//! The request ID, which is usually the trace ID.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::Write as _;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt as _, TraceId};

use crate::context::current;
use crate::context::extensions::ContextExt as _;
use crate::text::hex;

/// Longer values are rejected, because they could be used to flood logs.
const MAX_BYTES: usize = 256;

/// The ID of a request, as sent in the `X-Request-ID` header.
///
/// This is usually the trace ID, as 32 lowercase hexadecimal digits, or the unchanged ID that the caller sent. It
/// consists of at most 256 bytes of visible ASCII and spaces, so it cannot forge log lines. Cloning does not copy the
/// text.
///
/// It is stored as an [extension](crate::ContextExt::extension) of the context by integrations that accept requests.
/// Log lines include it if it differs from the trace ID.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Parses the ID that a caller has sent, ignoring leading and trailing spaces and tabs. Returns `None` if it is
    /// empty, longer than 256 bytes, or contains bytes other than visible ASCII and spaces.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok()?.trim_matches([' ', '\t']);
        let passes = (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        passes.then(|| Self(text.into()))
    }

    /// Generates a random ID, for a request without a trace.
    pub fn generate() -> Self {
        // The keys of `RandomState` come from the operating system's random numbers, and no two instances share them.
        let random = || RandomState::new().build_hasher().finish();
        let id = u128::from(random()) << 64 | u128::from(random());
        Self::from(TraceId::from(id.max(1)))
    }

    /// Returns the request ID of the current context, which detached jobs inherit, or `None` outside of a request.
    ///
    /// The cost is one lookup in the context.
    pub fn current() -> Option<Self> {
        current::with(Self::from_context)
    }

    /// Returns the request ID of `context`.
    pub fn from_context(context: &Context) -> Option<Self> {
        context.extension::<Self>().map(|id| Self::clone(&id))
    }

    /// Returns the ID to send to other services from `context`: its request ID, or its trace ID if it has none.
    pub fn outgoing(context: &Context) -> Option<Self> {
        Self::from_context(context).or_else(|| {
            let trace = context.span().span_context().trace_id();
            (trace != TraceId::INVALID).then(|| Self::from(trace))
        })
    }

    /// Returns the ID as a trace ID, if it consists of 32 hexadecimal digits or is a UUID.
    pub fn as_trace_id(&self) -> Option<TraceId> {
        let groups = self.0.split('-').map(str::len);
        if !groups.clone().eq([32]) && !groups.eq([8, 4, 4, 4, 12]) {
            return None;
        }
        let id = hex::parse(self.0.bytes().filter(|byte| *byte != b'-'))?;
        (id != 0).then(|| TraceId::from(id))
    }

    /// Returns the ID as text that is cheap to clone.
    #[cfg(feature = "log")]
    pub(crate) fn text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl From<TraceId> for RequestId {
    fn from(trace: TraceId) -> Self {
        // Not `to_string`, which would allocate a second time.
        let mut digits = [0; 32];
        let _ = write!(&mut digits[..], "{trace}");
        Self(std::str::from_utf8(&digits).unwrap_or_default().into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

impl AsRef<str> for RequestId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace_of(text: &str) -> Option<String> {
        RequestId::parse(text.as_bytes())?.as_trace_id().map(|id| id.to_string())
    }

    #[test]
    fn a_uuid_or_32_digits_can_be_a_trace_id() {
        let id = Some("0af7651916cd43dd8448eb211c80319c".to_owned());
        assert_eq!(trace_of("0af7651916cd43dd8448eb211c80319c"), id);
        assert_eq!(trace_of("0AF7651916CD43DD8448EB211C80319C"), id);
        assert_eq!(trace_of("0af76519-16cd-43dd-8448-eb211c80319c"), id);
        assert_eq!(trace_of("0AF76519-16CD-43DD-8448-EB211C80319C"), id);
        assert_eq!(trace_of(" 0af76519-16cd-43dd-8448-eb211c80319c\t"), id);
    }

    #[test]
    fn no_other_text_can_be_a_trace_id() {
        for text in [
            "0af7651916cd43dd8448eb211c80319",
            "0af7651916cd43dd8448eb211c80319cc",
            "0af7651916cd43dd8448eb211c80319g",
            "+af7651916cd43dd8448eb211c80319c",
            "0af7651916cd43dd8448eb211c80319c----",
            "0af765191-6cd-43dd-8448-eb211c80319c",
            "{0af7651916cd43dd8448eb211c80319c}",
            "00000000000000000000000000000000",
            "00000000-0000-0000-0000-000000000000",
            "order-7",
        ] {
            assert!(RequestId::parse(text.as_bytes()).is_some(), "{text} is a valid request id");
            assert_eq!(trace_of(text), None, "{text}");
        }
    }

    #[test]
    fn text_that_could_forge_a_log_line_is_rejected() {
        let long = "x".repeat(MAX_BYTES + 1);
        for header in [&b""[..], b"  ", b"a\nb", b"a\tb", b"a\x7fb", b"\xff", "é".as_bytes(), long.as_bytes()] {
            assert_eq!(RequestId::parse(header), None, "{header:?}");
        }
        assert!(RequestId::parse("x".repeat(MAX_BYTES).as_bytes()).is_some());
    }

    #[test]
    fn generated_ids_are_unique_trace_ids() {
        let (one, other) = (RequestId::generate(), RequestId::generate());
        assert_ne!(one, other);
        let text = one.to_string();
        assert_eq!(text.len(), 32);
        assert!(!text.starts_with(&"0".repeat(16)) && !text.ends_with(&"0".repeat(16)), "both halves random: {text}");
        assert!(text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)), "{text}");
        assert_eq!(RequestId::parse(text.as_bytes()).and_then(|id| id.as_trace_id()), one.as_trace_id());
    }
}
