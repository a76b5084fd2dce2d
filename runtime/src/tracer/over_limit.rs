//! Warnings about spans that exceed a limit ("Span Limits" in the specification of the SDK).
//!
//! The thread that ends a span does not log, because it may hold the lock of the span, which a subscriber may need. It
//! leaves a message for the export thread: one for each limit, about the first such span.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::tags::draft::Draft;
use crate::text::excerpt;

/// The maximum number of characters of a span name in a message.
const SHOWN: usize = 80;

struct Message {
    text: OnceLock<String>,
    is_logged: AtomicBool,
}

impl Message {
    const fn new() -> Self {
        Self { text: OnceLock::new(), is_logged: AtomicBool::new(false) }
    }
}

static MESSAGES: [Message; 3] = [const { Message::new() }; 3];

/// Leaves a message for each limit that a span is the first to exceed.
#[cold]
pub(super) fn note(draft: &Draft) {
    let (fields, limits) = (&draft.fields, &draft.fields.limits);
    let lost = [
        (fields.attributes, limits.attributes, "attributes", "ATTRIBUTE"),
        (fields.events, limits.events, "events", "EVENT"),
        (fields.links, limits.links, "links", "LINK"),
    ];
    for (message, (count, limit, what, name)) in MESSAGES.iter().zip(lost) {
        if count.dropped > 0 && message.text.get().is_none() {
            // Formatted outside of `get_or_init`: a traced allocator could get here again, and deadlock.
            let text = format!(
                "span `{}` exceeds the limit of {limit} {what} (`OTEL_SPAN_{name}_COUNT_LIMIT`); dropped: {}; other spans \
                 are not reported, but have the number that they have lost",
                excerpt(&draft.name, SHOWN),
                count.dropped,
            );
            let _ = message.text.set(text);
        }
    }
}

/// Returns the messages that have not been logged, and marks them as logged.
pub(crate) fn unlogged() -> impl Iterator<Item = &'static str> {
    MESSAGES.iter().filter_map(|message| {
        let text = message.text.get()?;
        (!message.is_logged.swap(true, Ordering::Relaxed)).then_some(text.as_str())
    })
}
