//! The contexts of spans that are registered as open, and of unrecorded calls.

use std::sync::Arc;

use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState};
use throughline::{Context, ContextExt as _, LastError, Outcome, Snapshot, biz_tags, traced};

use crate::process::alone;
use crate::support::Kept;

alone! {
    fn a_failure_is_recorded_in_a_changed_context() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        for name in ["at the end", "in a closure"] {
            let mut span = throughline::span(name).start();
            let mut last_error = None;
            span.map_context(|context| {
                let changed = context.with_extension(LastError::new());
                last_error = changed.extension();
                changed
            });
            let last_error: Arc<LastError> = last_error.expect("the extension is set");
            let failed = || Outcome::exception("io", name);
            if name == "at the end" {
                span.end(failed);
            } else {
                span.run(|| {}, |()| failed());
            }
            assert_eq!(last_error.take().as_deref(), Some(name));
        }
        assert!(telemetry.open_spans().is_empty());
    }
}

alone! {
    fn the_context_of_an_unsampled_call_has_its_tags() {
        #[traced]
        #[biz_tags(tenant_id)]
        fn handle(tenant_id: &str, check: impl FnOnce()) {
            check();
            throughline::span("tick").root().run(|| ());
        }
        #[traced]
        fn untagged(check: impl FnOnce()) {
            check();
        }
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let caller = SpanContext::new(7.into(), 9.into(), TraceFlags::default(), true, TraceState::NONE);
        let caller = Snapshot::from_context(&Context::new().with_remote_span_context(caller));
        let none_is_open = || assert!(telemetry.open_spans().is_empty());
        caller.run(|| handle("acme", none_is_open));
        caller.run(|| untagged(none_is_open));
        drop(telemetry);
        assert_eq!(kept.count(), 1);
        let tick = kept.span("tick");
        assert!(tick.attributes.iter().any(|attribute| attribute.key == "tenant_id"), "{tick:?}");
    }
}
