//! Reports of spans that stay open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::process::{alone, until};
use crate::support::{Kept, Log, run};

const LIMIT: Duration = Duration::from_secs(30);

alone! {
    fn open_spans_are_listed_with_name_age_and_place() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        assert!(telemetry.open_spans().is_empty());
        let line = line!() + 1;
        throughline::in_span("outer", || {
            until("the span is old enough", || telemetry.open_spans()[0].age >= Duration::from_millis(600));
            throughline::in_span("inner", || {
                let open = telemetry.open_spans();
                let names: Vec<_> = open.iter().map(|span| &*span.name).collect();
                assert_eq!(names, ["outer", "inner"], "oldest first");
                assert_eq!(open[0].trace_id, open[1].trace_id);
                let place = open[0].place.expect("a source location");
                assert!(place.file().ends_with("unfinished.rs") && place.line() == line, "{place}");
                assert!(open[0].age > open[1].age);
            });
            assert_eq!(telemetry.open_spans().len(), 1);
        });
        assert!(telemetry.open_spans().is_empty());
        assert_eq!(telemetry.untracked_open_spans(), 0);
        let report = run(telemetry.shutdown(LIMIT));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.count(), 2);
    }
}

alone! {
    fn spans_that_have_ended_do_not_wait_for_an_open_parent() {
        let kept = Kept::start();
        let soon = |name: &str| (name == "OTEL_BSP_SCHEDULE_DELAY").then(|| "10".to_owned());
        let telemetry = kept.builder().variables(soon).init().expect("a valid configuration");
        throughline::in_span("outer", || {
            throughline::in_span("inner", || {});
            until("the inner span has arrived", || kept.count() == 1);
        });
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        assert_eq!(kept.count(), 2);
    }
}

alone! {
    fn unsampled_spans_are_not_listed() {
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_SAMPLER").then(|| "parentbased_always_off".to_owned()))
            .init()
            .expect("a valid configuration");
        throughline::in_span("outer", || assert!(telemetry.open_spans().is_empty()));
    }
}

alone! {
    fn there_is_one_warning_about_each_span() {
        let log = Log::keep();
        let kept = Kept::start();
        let telemetry = kept.builder().open_span_warning(Duration::from_millis(1)).init().expect("a valid configuration");
        let warned = |name: &str| log.count(&format!("the span `{name}`"));
        throughline::in_span("slow", || {
            until("the message is logged", || warned("slow") == 1);
            // Names are untrusted.
            throughline::in_span("a\nERROR b", || until("the message is logged", || warned("a\\nERROR b") == 1));
            // By the time a later span is logged, the first one was scanned again.
            throughline::in_span("slower", || until("the message is logged", || warned("slower") == 1));
            throughline::in_span("slowest", || until("the message is logged", || warned("slowest") == 1));
        });
        assert_eq!((warned("slow"), warned("slower"), warned("slowest")), (1, 1, 1), "{}", log.text());
        assert!(log.text().contains("unfinished.rs:") && log.text().contains("may never end"), "{}", log.text());
        drop(telemetry);
        let span = kept.span("slow");
        assert!(log.text().contains(&crate::support::hex(&span.trace_id)), "{}", log.text());
    }
}

alone! {
    fn spans_beyond_the_limit_are_counted_and_the_others_are_still_tracked() {
        let kept = Kept::start();
        let telemetry = kept.builder().max_open_spans(10).init().expect("a valid configuration");
        let (report, missed) = run(async move {
            for _ in 0..25 {
                drop(throughline::span("stuck").spawn(std::future::pending::<()>()));
            }
            until("all spans are open", || telemetry.open_spans().len() + missed(&telemetry) == 25);
            assert_eq!(telemetry.open_spans().len(), 10);
            let missed = telemetry.untracked_open_spans();
            // A quarter of the timeout is reserved for the export.
            (telemetry.shutdown(Duration::from_secs(4)).await, missed)
        });
        assert_eq!((report.jobs_left, report.unfinished.len(), missed), (25, 10, 15));
        assert_eq!(kept.count(), 10);
    }
}

alone! {
    fn there_is_one_warning_about_untracked_spans() {
        let log = Log::keep();
        let kept = Kept::start();
        let builder = kept.builder().max_open_spans(1).open_span_warning(Duration::from_millis(1));
        let telemetry = builder.init().expect("a valid configuration");
        throughline::in_span("tracked", || {
            let expected = "1 span not tracked, because too many are open";
            throughline::in_span("not tracked", || until("the message is logged", || log.count(expected) == 1));
            throughline::in_span("neither", || {});
        });
        assert_eq!(missed(&telemetry), 2);
        throughline::in_span("later", || until("the spans were scanned again", || log.count("the span `later`") == 1));
        assert_eq!(log.count("not tracked"), 1, "{}", log.text());
        run(telemetry.shutdown(LIMIT));
    }
}

alone! {
    fn the_size_of_the_registry_is_bounded() {
        let kept = Kept::start();
        let telemetry = kept.builder().max_open_spans(usize::MAX).init().expect("a valid configuration");
        throughline::in_span("open", || assert_eq!(telemetry.open_spans().len(), 1));
    }
}

fn missed(telemetry: &throughline::telemetry::Telemetry) -> usize {
    usize::try_from(telemetry.untracked_open_spans()).expect("few")
}

alone! {
    fn slots_are_reused() {
        let kept = Kept::start();
        let telemetry = kept.builder().max_open_spans(4).init().expect("a valid configuration");
        let (tell, told) = mpsc::channel();
        throughline::in_span("outer", || {
            for _ in 0..10_000 {
                throughline::in_span("inner", || {});
            }
            tell.send(telemetry.open_spans().len()).expect("received");
        });
        assert_eq!((told.recv(), telemetry.untracked_open_spans()), (Ok(1), 0));
        assert!(telemetry.open_spans().is_empty());
    }
}

alone! {
    fn there_is_a_warning_without_a_collector_too() {
        let log = Log::keep();
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
            .open_span_warning(Duration::from_millis(1))
            .init()
            .expect("a valid configuration");
        throughline::in_span("slow", || until("the message is logged", || log.count("the span `slow`") == 1));
        drop(telemetry);
    }
}

alone! {
    fn a_subscriber_that_panics_does_not_end_the_warnings() {
        use tracing_subscriber::layer::{Context, SubscriberExt as _};

        #[derive(Clone, Default)]
        struct PanicsOnce(Arc<AtomicBool>);
        impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for PanicsOnce {
            fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
                let is_first = *event.metadata().level() == tracing::Level::WARN && !self.0.swap(true, Ordering::Relaxed);
                assert!(!is_first, "a log that panics");
            }
        }
        let (log, panics) = (Log::default(), PanicsOnce::default());
        let written = tracing_subscriber::fmt::layer().with_writer(log.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(written).with(panics.clone());
        tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
            .open_span_warning(Duration::from_millis(1))
            .init()
            .expect("a valid configuration");
        throughline::in_span("first", || {
            until("the subscriber panics", || panics.0.load(Ordering::Relaxed));
            throughline::in_span("second", || until("the message is logged", || log.count("the span `second`") == 1));
        });
        drop(telemetry);
    }
}

alone! {
    fn spans_of_one_place_share_a_warning() {
        let log = Log::keep();
        let kept = Kept::start();
        let telemetry = kept.builder().open_span_warning(Duration::from_millis(1)).init().expect("a valid configuration");
        let told = || {
            let more = |line: &str| line.rsplit_once("; ").map_or(0, |(_, more)| number(more));
            let text = log.text();
            text.lines().filter(|line| line.contains("the span `stuck`")).map(|line| 1 + more(line)).sum::<usize>()
        };
        run(async {
            for _ in 0..500 {
                drop(throughline::span("stuck").spawn(std::future::pending::<()>()));
            }
            until("all are logged", || told() == 500);
            // There are several warnings if there was a scan in between.
            assert!(log.count("the span `stuck`") < 250, "{}", log.text());
        });
        drop(telemetry);
    }
}

fn number(text: &str) -> usize {
    text.split(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}
