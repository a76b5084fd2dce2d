//! What a server has sent, beside what tonic makes of it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{self, Poll, ready};

use http_body::{Frame, SizeHint};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Bytes;
use tonic::codegen::http::{HeaderMap, HeaderValue};
use tonic::metadata::MetadataMap;

pub(in super::super) const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
const GRPC_DETAILS: &str = "grpc-status-details-bin";

/// What the server has actually sent: if tonic cannot read a response, it makes up a status.
#[derive(Debug, Default)]
pub(in super::super) struct Observed {
    pub(in super::super) http_status: AtomicU16,
    /// Whether there was a `grpc-status`.
    pub(in super::super) grpc_status: AtomicBool,
    /// Whether a gRPC response has ended. Without a `grpc-status`, the server or a proxy has aborted it: hyper treats a
    /// stream reset with `NO_ERROR` or `CANCEL` as the end of the body.
    pub(super) is_cut_off: AtomicBool,
}

impl Observed {
    pub(super) fn look_for_status(&self, headers: &mut HeaderMap) {
        if headers.contains_key(GRPC_STATUS) {
            self.grpc_status.store(true, Ordering::Relaxed);
            make_readable(headers);
        }
    }
}

/// Repairs the message and the details of a status, so that tonic reads its code. tonic panics if the details are not
/// valid base64, and reports `UNKNOWN` if the message is not valid UTF-8 (gRPC over HTTP/2, "Responses": "When decoding
/// invalid values, implementations MUST NOT error").
fn make_readable(headers: &mut HeaderMap) {
    if headers.contains_key(GRPC_DETAILS) {
        let metadata = MetadataMap::from_headers(headers.clone());
        if metadata.get_bin(GRPC_DETAILS).is_none_or(|details| details.to_bytes().is_err()) {
            headers.remove(GRPC_DETAILS);
        }
    }
    if let Some(message) = headers.get_mut(GRPC_MESSAGE) {
        let text = percent_decode(message.as_bytes()).decode_utf8_lossy();
        let readable = HeaderValue::try_from(utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string());
        *message = readable.unwrap_or(HeaderValue::from_static(""));
    }
}

pub(super) struct ObservedBody {
    pub(super) body: Body,
    pub(super) is_grpc: bool,
    pub(super) observed: Arc<Observed>,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(Some(trailers))) = frame.as_mut().map(|frame| frame.as_mut().map(Frame::trailers_mut)) {
            self.observed.look_for_status(trailers);
        }
        if frame.is_none() && self.is_grpc {
            self.observed.is_cut_off.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn headers(status: &[(&'static str, &'static [u8])]) -> HeaderMap {
        let value = |value| HeaderValue::from_bytes(value).expect("it can be sent");
        status.iter().map(|(name, text)| (name.parse().expect("a name"), value(text))).collect()
    }

    #[test]
    fn a_status_with_an_invalid_message_or_details_is_read() {
        for (message, details, read) in [
            (&b"not now"[..], &b"CA4"[..], "not now"),
            (b"caf%C3%A9 100%", b"CA4=", "café 100%"),
            (b"caf\xc3\xa9", b"CA4", "café"),
            (b"caf%E9", b"CA4", "caf\u{fffd}"),
            (b"\xff%0a%25", b"CA4", "\u{fffd}\n%"),
            (b"not now", b"", "not now"),
            (b"not now", b"not base64!", "not now"),
            (b"not now", b"CA4,CA4", "not now"),
            (b"caf%E9", b"\xff", "caf\u{fffd}"),
        ] {
            let mut headers = headers(&[(GRPC_STATUS, b"14"), (GRPC_MESSAGE, message), (GRPC_DETAILS, details)]);
            Observed::default().look_for_status(&mut headers);
            let status = Status::from_header_map(&headers).expect("a status");
            assert_eq!((status.code(), status.message()), (Code::Unavailable, read), "{message:?}");
            let expected = if details.starts_with(b"CA4") && details.len() < 5 { &[8, 14][..] } else { &[] };
            assert_eq!(status.details(), expected, "{details:?}");
        }
    }
}
