//! Spans that are open for too long are told of.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::notice;
use super::shared::TICK;
use crate::span::registry::Table;

/// Looks for spans that have been open for `limit`, and tells of each once: in one warning for all that
/// began at one place, because what does not end seldom does not end alone.
pub(super) fn look(open: &Table, limit: Duration) {
    open.tick();
    let mut places = BTreeMap::new();
    for (span, age) in open.overdue(limit) {
        let (oldest, count) =
            places.entry((span.name.clone(), span.place)).or_insert_with(|| ((span.identity.clone(), age), 0));
        *count += 1;
        if age > oldest.1 {
            *oldest = (span.identity, age);
        }
    }
    for ((name, place), ((identity, age), count)) in places {
        let at = place.map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
        let more = if count > 1 { format!(", and {} more of it", count - 1) } else { String::new() };
        tracing::warn!(
            target: notice::TARGET,
            trace_id = %identity.trace_id(),
            span_id = %identity.span_id(),
            "the span `{name}`{at} has been open for {} s and may never end{more}",
            age.as_secs(),
        );
    }
}

/// Does so on a thread of its own, where there is none that sends, until what it gives is dropped.
/// What was to be told before there was a log is told there too.
pub(super) fn watch(open: Arc<Table>, limit: Duration) -> io::Result<mpsc::Sender<Infallible>> {
    let (watching, over) = mpsc::channel();
    thread::Builder::new().name("throughline-watch".to_owned()).spawn(move || {
        while let Err(mpsc::RecvTimeoutError::Timeout) = over.recv_timeout(TICK) {
            notice::tell();
            look(&open, limit);
        }
    })?;
    Ok(watching)
}
