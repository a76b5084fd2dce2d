//! A baggage member that is too large once it is encoded is reported. The warning is logged once per process, so this is
//! a single test.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use throughline::{biz_tags, propagation};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 = format!("{value:?}");
    }
}

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().expect("no panic").push(message.0);
    }
}

/// Each tag is within the limit of its length, and all of them within those of the baggage until they are encoded.
#[biz_tags(propagate(a = long, b = long, c = long))]
fn send(long: &str) -> HashMap<String, String> {
    let mut headers = HashMap::new();
    propagation::inject(&mut headers);
    headers
}

#[test]
fn a_member_that_is_too_large_when_encoded_is_reported() {
    let log = Log::default();
    let _subscriber = tracing_subscriber::registry().with(log.clone()).set_default();
    for _ in 0..2 {
        // 500 characters of two bytes, each of which is encoded as three.
        let headers = send(&"é".repeat(500));
        let keys: Vec<_> = headers["baggage"].split(',').map(|member| &member[..2]).collect();
        assert_eq!(keys, ["a=", "b="]);
    }
    let messages = log.0.lock().expect("no panic");
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("baggage member `c` not sent to other processes: W3C Baggage allows"),
        "{messages:?}"
    );
}
