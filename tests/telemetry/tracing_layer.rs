//! The guarantees also hold for spans of `tracing`: shutdown, shedding, and a warning if they are switched off.

use std::thread;
use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline_load::Behaviour;
use throughline_load::trace::Span;
use tracing::{Level, info_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::process::{Program, alone, until};
use crate::support::{Kept, Log, attributes, run};

const LIMIT: Duration = Duration::from_secs(30);

fn with_layer() {
    tracing_subscriber::registry().with(throughline::tracing_layer()).init();
}

/// The roles, named after their subscriber.
const MISTAKEN: &str = "a filter for all";
const RIGHT: &str = "a filter for the log";
const NARROW: &str = "a layer that records less";
const GONE: &str = "a subscriber that is gone";

/// The roles of the second process.
pub(crate) fn play(role: &str) -> Option<()> {
    let log = || tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let filter = || EnvFilter::new("error");
    let registry = tracing_subscriber::registry();
    match role {
        MISTAKEN => registry.with(log()).with(throughline::tracing_layer()).with(filter()).init(),
        RIGHT => registry.with(log().with_filter(filter())).with(throughline::tracing_layer()).init(),
        NARROW => {
            let spans = tracing_subscriber::filter::Targets::new().with_default(Level::ERROR);
            let layer = throughline::tracing_layer::Builder::new().spans(spans).build();
            registry.with(log()).with(layer).with(filter()).init();
        }
        GONE => {
            drop(tracing::Dispatch::new(registry.with(throughline::tracing_layer()).with(filter())));
            tracing_subscriber::registry().with(log()).with(filter()).init();
        }
        _ => return None,
    }
    let kept = Kept::start();
    let telemetry = kept.builder().init().expect("a valid configuration");
    run(async {
        throughline::in_span("one", || ());
        telemetry.shutdown(LIMIT).await;
    });
    Some(())
}

#[test]
fn a_filter_for_the_whole_subscriber_is_warned_of_once() {
    let warnings = |role| {
        let (_, err) = Program::start(role, &[]).succeed();
        err.lines().filter(|line| line.contains("spans of `tracing` are disabled")).count()
    };
    assert_eq!(warnings(MISTAKEN), 1);
    assert_eq!((warnings(RIGHT), warnings(NARROW), warnings(GONE)), (0, 0, 0));
}

alone! {
    fn the_warning_is_logged_where_the_filter_lets_it_pass() {
        let log = Log::default();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
        let registry = tracing_subscriber::registry().with(layer).with(throughline::tracing_layer());
        registry.with(EnvFilter::new("info")).init();
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let cause = "records those up to debug, but a filter for the whole subscriber lets only those up to info pass";
        let warned = || log.count(cause);
        until("the message is logged", || warned() == 1);
        run(telemetry.shutdown(LIMIT));
        assert_eq!((warned(), log.count("are disabled")), (1, 1), "{}", log.text());
    }
}

alone! {
    fn a_span_that_is_open_at_the_shutdown_is_ended() {
        with_layer();
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        let request = info_span!("request", order_no = 7);
        let entered = request.enter();
        let stuck = info_span!("stuck").entered();
        throughline::in_span("done", || ());
        let report = run(telemetry.shutdown(LIMIT));
        // The clock of open spans is too coarse to order them.
        let mut names: Vec<_> = report.unfinished.iter().map(|span| &*span.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["request", "stuck"]);
        assert!(!report.is_complete(), "{report:?}");
        drop((stuck, entered));
        drop(request);

        let (request, stuck, done) = (kept.span("request"), kept.span("stuck"), kept.span("done"));
        assert_eq!((&stuck.parent_span_id, &done.parent_span_id), (&request.span_id, &stuck.span_id));
        let unfinished = |span: &Span| attributes(&span.attributes).get("throughline.unfinished").cloned();
        assert_eq!((unfinished(&request), unfinished(&done)), (Some("true".to_owned()), None));
        assert_eq!(attributes(&request.attributes)["order_no"], "7");
        assert_eq!(kept.count(), 3, "none is exported twice");
    }
}

/// A trace of `1 + children` spans, each with that number as an attribute.
fn trace(children: u32) {
    let spans = children + 1;
    let _root = info_span!(parent: None, "root", load.spans = spans).entered();
    for _ in 0..children {
        info_span!("child", load.spans = spans).in_scope(|| ());
    }
}

alone! {
    fn overload_sheds_whole_traces() {
        const THREADS: u32 = 2;
        const TRACES: u32 = 2_000;
        with_layer();
        let kept = Kept::start();
        kept.set(Behaviour::Slow(Duration::from_millis(5)));
        let telemetry = kept.builder().max_queue_size(500).init().expect("a valid configuration");
        thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || (0..TRACES).for_each(|n| trace((n + thread) % 12)));
            }
        });
        kept.set(Behaviour::Accept);
        until("everything is exported", || telemetry.queue_len() == 0);
        let stats = run(telemetry.shutdown(LIMIT)).stats;
        let tally = kept.tally();
        assert_eq!((tally.complete, tally.duplicates), (tally.traces, 0), "{tally:?} {stats:?}");
        assert!(tally.traces > 0 && stats.traces_not_started > 0, "{tally:?} {stats:?}");
        assert_eq!(tally.traces + stats.traces_shed(), u64::from(THREADS * TRACES), "{tally:?} {stats:?}");
        assert_eq!((stats.exported, stats.spans_dropped), (tally.spans, 0), "{stats:?}");
    }
}

// Several subscribers of a process would be consulted for each span in any case.
alone! {
    fn a_layer_that_is_alone_is_consulted_for_each_span_below_one_that_is_not_sampled() {
        let layer = throughline::tracing_layer::Builder::new().without_unsampled().build();
        tracing_subscriber::registry().with(layer).init();
        let child = || {
            let span = info_span!("child");
            span.in_scope(|| span.is_disabled())
        };
        let unsampled = Capture::with_sampler(Sampler::AlwaysOff);
        let disabled = unsampled.run(|| throughline::in_span("root", || [child(), child(), child()]));
        assert_eq!(disabled, [false, true, true]);
        let sampled = Capture::new();
        assert_eq!(sampled.run(|| throughline::in_span("root", || [child(), child()])), [false, false]);
        sampled.assert_tree("root\n├── child\n└── child");
    }
}
