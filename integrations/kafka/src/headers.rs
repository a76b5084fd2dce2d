//! The context in the headers of a record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedHeaders, Header, Headers, OwnedHeaders};
use throughline::messaging::{self, TraceHeaders};
use throughline::{Context, Origin, current_context};

use crate::consumer::Kafka;

/// Injects the current context into `headers`, replacing the trace headers of another context. See
/// [Headers](crate#headers).
///
/// ```
/// use rdkafka::message::{Header, OwnedHeaders};
///
/// let headers = OwnedHeaders::new().insert(Header { key: "content-type", value: Some("text/plain") });
/// let headers = throughline::in_span("send", || throughline_kafka::inject(headers));
/// ```
#[must_use]
pub fn inject(headers: OwnedHeaders) -> OwnedHeaders {
    inject_context(&current_context(), headers)
}

/// Injects `context` into `headers`; otherwise like [`inject`].
#[must_use]
pub fn inject_context(context: &Context, headers: OwnedHeaders) -> OwnedHeaders {
    let outgoing = TraceHeaders::from_context(context);
    if outgoing.is_empty() {
        return headers;
    }
    let mut headers = match without_replaced(&headers, &outgoing) {
        Kept::All => headers,
        Kept::Some(kept) => kept,
        // A copy would lose the unreadable header.
        Kept::Unreadable => return headers,
    };
    for (name, value) in outgoing {
        headers = headers.insert(Header { key: &name, value: Some(&value) });
    }
    headers
}

enum Kept {
    All,
    Some(OwnedHeaders),
    Unreadable,
}

/// The headers that are kept. `rdkafka` has no way to remove one.
fn without_replaced(headers: &OwnedHeaders, outgoing: &TraceHeaders) -> Kept {
    let all: Vec<_> = read(headers).collect();
    // Among those that were not read, there may be one that is replaced.
    if all.iter().filter(|header| header.is_none()).count() >= MAX_PANICS {
        return Kept::Unreadable;
    }
    if !all.iter().flatten().any(|header| outgoing.replaces(header.key)) {
        return Kept::All;
    }
    let mut kept = OwnedHeaders::new_with_capacity(headers.count() + 3);
    for header in all {
        let Some(header) = header else { return Kept::Unreadable };
        if !outgoing.replaces(header.key) {
            kept = kept.insert(header);
        }
    }
    Kept::Some(kept)
}

/// Removes headers and returns their names. If one cannot be read, all are kept.
pub(crate) fn remove(headers: &mut Option<OwnedHeaders>, is_removed: impl Fn(&str) -> bool) -> Vec<String> {
    let mut removed = Vec::new();
    let Some(all) = headers.as_ref() else { return removed };
    let mut kept = OwnedHeaders::new();
    for header in read(all) {
        match header {
            Some(header) if is_removed(header.key) => removed.push(header.key.to_owned()),
            Some(header) => kept = kept.insert(header),
            None => return Vec::new(),
        }
    }
    if !removed.is_empty() {
        *headers = (kept.count() > 0).then_some(kept);
    }
    removed
}

impl Origin<Kafka> for BorrowedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

impl Origin<Kafka> for OwnedHeaders {
    fn origin(&self) -> Context {
        extract(self)
    }
}

/// A header without a value is read as an empty one, which is invalid in every format.
pub(crate) fn extract(headers: &impl Headers) -> Context {
    messaging::extract(read(headers).flatten().map(|header| (header.key, header.value.unwrap_or_default())))
}

/// The maximum number of panics that are caught while the headers of a message are read. A message may have hundreds of
/// thousands of headers, and each panic runs the panic hook, which prints and may log it.
const MAX_PANICS: usize = 16;

/// The headers in their order; `None` for one that cannot be read, and for all that come after [`MAX_PANICS`] such
/// headers. `rdkafka` panics if the name of a header is not UTF-8, which other clients may have written.
fn read<H: Headers>(headers: &H) -> impl Iterator<Item = Option<Header<'_, &[u8]>>> {
    let mut panics = 0;
    (0..headers.count()).map(move |at| {
        if panics == MAX_PANICS {
            return None;
        }
        // Unwind safe: the call only reads.
        catch_unwind(AssertUnwindSafe(|| headers.try_get(at))).unwrap_or_else(|_| {
            panics += 1;
            None
        })
    })
}
