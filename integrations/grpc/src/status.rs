//! The outcome of a call: its status code, or a substitute.

use std::any::{Any, type_name};
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode;
use throughline::{Outcome, semconv};
use tonic::{Code, Status, TimeoutExpired};

type BoxError = Box<dyn Error + Send + Sync>;

/// The side of the call that the span is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// The outcome of a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// `None`: the caller gets no status.
    pub(crate) code: Option<Code>,
    pub(crate) message: String,
    /// Whether the call was dropped before it completed.
    given_up: bool,
    /// The name of the code, or the type of the error if there is no code.
    error_type: &'static str,
}

impl End {
    fn new(code: Code, message: String) -> Self {
        Self { code: Some(code), message, given_up: false, error_type: name(code) }
    }

    /// The status in trailers, or in the headers of a response that consists of them. `Status::from_header_map` would
    /// copy all headers, and panic on details that are not Base64.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let code = Code::from_bytes(headers.get("grpc-status")?.as_bytes());
        let message = match headers.get("grpc-message") {
            Some(message) if code != Code::Ok => percent_decode(message.as_bytes()).decode_utf8_lossy().into_owned(),
            _ => String::new(),
        };
        Some(Self::new(code, message))
    }

    /// The status that a caller derives from a response without one: by gRPC's "HTTP to gRPC Status Code
    /// Mapping", and as `tonic` does for 200.
    pub(crate) fn missing(http: StatusCode) -> Self {
        let code = match http {
            StatusCode::BAD_REQUEST => Code::Internal,
            StatusCode::UNAUTHORIZED => Code::Unauthenticated,
            StatusCode::FORBIDDEN => Code::PermissionDenied,
            StatusCode::NOT_FOUND => Code::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
            _ => Code::Unknown,
        };
        Self::new(code, format!("no grpc-status in the response, HTTP status {}", http.as_u16()))
    }

    /// The error of a call or of a body, as its caller will see it. Also returns the error.
    pub(crate) fn of_error<E: 'static>(error: E, side: Side) -> (Self, E) {
        let mut slot = Some(error);
        let any: &mut dyn Any = &mut slot;
        let end = if let Some(Some(status)) = any.downcast_ref::<Option<Status>>() {
            Some(Self::new(status.code(), status.message().to_owned()))
        } else if let Some(slot) = any.downcast_mut::<Option<tonic::transport::Error>>() {
            Self::inside(slot, |error| error)
        } else if let Some(slot) = any.downcast_mut::<Option<BoxError>>() {
            Self::inside(slot, |error| &**error)
        } else {
            None
        };
        let error = slot.expect(RETURNED);
        let end = end.unwrap_or_else(|| match side {
            // What `tonic` turns an unknown error into.
            Side::Client => Self::new(Code::Unknown, String::new()),
            // The stream is reset, without a status.
            Side::Server => Self { code: None, message: String::new(), given_up: false, error_type: type_name::<E>() },
        });
        (end, error)
    }

    fn inside<E: Send + Sync + 'static>(
        slot: &mut Option<E>,
        as_error: fn(&E) -> &(dyn Error + 'static),
    ) -> Option<Self> {
        let shared = Arc::new(slot.take()?);
        let end = if let Some(expired) = find::<TimeoutExpired>(as_error(&shared)) {
            Self::new(Code::DeadlineExceeded, expired.to_string())
        } else {
            // Only `tonic` knows which status the errors of its own layers are, and its function takes the
            // error by value.
            let status = Status::from_error(Box::new(Shared { error: Arc::clone(&shared), as_error }));
            Self::new(status.code(), status.message().to_owned())
        };
        *slot = Arc::into_inner(shared);
        Some(end)
    }

    /// Whether the call has failed, as far as this side is concerned.
    pub(crate) fn is_failure(&self, side: Side) -> bool {
        match (self.code, side) {
            (Some(Code::Ok), _) => false,
            // Cancelling a call before its deadline is not an error.
            (Some(Code::Cancelled), _) if self.given_up => false,
            (None, _) | (Some(_), Side::Client) => true,
            (Some(code), Side::Server) => is_server_fault(code),
        }
    }

    pub(crate) fn outcome(self, side: Side) -> Outcome {
        let outcome = if self.is_failure(side) { Outcome::error(self.error_type, self.message) } else { Outcome::ok() };
        let outcome = match self.code {
            Some(code) => outcome.attribute(semconv::RPC_RESPONSE_STATUS_CODE, name(code)),
            None => outcome,
        };
        if self.given_up { outcome.attribute(semconv::THROUGHLINE_CANCELLED, true) } else { outcome }
    }

    /// A call that was dropped before it completed.
    pub(crate) fn given_up(is_late: bool) -> Self {
        let end = if is_late {
            Self::new(Code::DeadlineExceeded, DEADLINE_PASSED.to_owned())
        } else {
            Self::new(Code::Cancelled, String::new())
        };
        Self { given_up: true, ..end }
    }

    /// The same, but cancelled because its deadline had passed.
    pub(crate) fn too_late(self) -> Self {
        Self { given_up: self.given_up, ..Self::new(Code::DeadlineExceeded, self.message) }
    }
}

const RETURNED: &str = "the error was put back";

const DEADLINE_PASSED: &str = "the deadline has passed";

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// A shared error, for a function that takes it by value.
struct Shared<E> {
    error: Arc<E>,
    as_error: fn(&E) -> &(dyn Error + 'static),
}

impl<E> Shared<E> {
    fn get(&self) -> &(dyn Error + 'static) {
        (self.as_error)(&self.error)
    }
}

impl<E> fmt::Debug for Shared<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.get(), f)
    }
}

impl<E> fmt::Display for Shared<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.get(), f)
    }
}

impl<E> Error for Shared<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.get())
    }
}

/// The codes that are server errors according to the semantic conventions.
fn is_server_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// The name by gRPC's specification.
pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let value = |bytes| HeaderValue::from_bytes(bytes).unwrap();
        pairs.iter().map(|(name, bytes)| (name.parse().unwrap(), value(bytes))).collect()
    }

    #[test]
    fn a_status_is_read_whatever_it_holds() {
        fn end(pairs: &[(&'static str, &[u8])]) -> Option<End> {
            End::read(&headers(pairs))
        }
        assert_eq!(end(&[]), None);
        assert_eq!(end(&[("grpc-status", b"0")]), Some(End::new(Code::Ok, String::new())));
        let not_found = end(&[("grpc-status", b"5"), ("grpc-message", b"no order%20%C3%A9")]);
        assert_eq!(not_found, Some(End::new(Code::NotFound, "no order é".into())));
        for strange in [&b""[..], b"17", b"-1", b"00", b"OK", b"\xff", b"99999999999999999999"] {
            assert_eq!(end(&[("grpc-status", strange)]).and_then(|end| end.code), Some(Code::Unknown), "{strange:?}");
        }
        let hostile = end(&[("grpc-status", b"13"), ("grpc-message", b"%ff%"), ("grpc-status-details-bin", b"?!")]);
        assert_eq!(hostile, Some(End::new(Code::Internal, "\u{fffd}%".into())));
    }

    #[test]
    fn the_end_without_a_status_is_what_tonic_says() {
        for (http, code) in [(200, Code::Unknown), (400, Code::Internal), (404, Code::Unimplemented)] {
            assert_eq!(End::missing(StatusCode::from_u16(http).unwrap()).code, Some(code));
        }
        assert_eq!(End::missing(StatusCode::BAD_GATEWAY).code, Some(Code::Unavailable));
    }

    #[derive(Debug)]
    struct Outer(BoxError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&*self.0)
        }
    }

    #[test]
    fn an_error_is_seen_as_tonic_shows_it_and_given_back() {
        let boxed: BoxError = Box::new(Outer(Box::new(Status::not_found("order"))));
        let (end, boxed) = End::of_error(boxed, Side::Client);
        assert_eq!(end, End::new(Code::NotFound, "order".into()));
        assert!(boxed.is::<Outer>(), "the same error comes back");

        let (end, boxed) = End::of_error(BoxError::from("pipe broke"), Side::Client);
        assert_eq!(end, End::new(Code::Unknown, "pipe broke".into()));
        assert_eq!(Status::from_error(boxed).message(), "pipe broke");

        let (end, status) = End::of_error(Status::data_loss("half"), Side::Server);
        assert_eq!((end.code, status.code()), (Some(Code::DataLoss), Code::DataLoss));

        let (end, _) = End::of_error(7_u8, Side::Server);
        assert_eq!((end.code, end.error_type), (None, "u8"));
        assert_eq!(End::of_error(7_u8, Side::Client).0.code, Some(Code::Unknown));
    }

    #[test]
    fn sixteen_codes_fail_a_client_and_six_a_server() {
        let failures = |side| {
            let failed = |code| End::new(Code::from_i32(code), String::new()).is_failure(side);
            (0..=16).filter(|code| failed(*code)).collect::<Vec<_>>()
        };
        assert_eq!(failures(Side::Client), (1..=16).collect::<Vec<_>>());
        assert_eq!(failures(Side::Server), [2, 4, 12, 13, 14, 15]);
    }
}
