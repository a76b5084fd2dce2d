//! The context of a span that is registered as open.

use std::sync::Arc;

use throughline::{ContextExt as _, LastError, Outcome};

use crate::process::alone;
use crate::support::Kept;

alone! {
    fn a_changed_one_is_that_of_the_failure_too() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        for name in ["at the end", "in a closure"] {
            let mut span = throughline::span(name).start();
            let mut last_error = None;
            span.map_context(|context| {
                let changed = context.with_extension(LastError::new());
                last_error = changed.extension();
                changed
            });
            let last_error: Arc<LastError> = last_error.expect("it was set");
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
