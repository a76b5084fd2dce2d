//! In text.

use std::error::Error;
use std::fmt;

use allocation_counter::measure;
use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use proptest::prelude::*;
use throughline::log::{Text, current};
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, span, traced, traced_spawn};
use tracing::{Dispatch, Subscriber, error, info, instrument, warn};
use tracing_log::log;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer, debug_fn};
use tracing_subscriber::fmt::{self as subscriber, FmtContext};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use super::{HOSTILE, Noon, Output, harm, ids};

/// Runs `f` with a subscriber that writes in `format`, and gives what was written.
fn written_with(format: Text<Noon>, ansi: bool, f: impl FnOnce()) -> Output {
    let output = Output::default();
    let subscriber = subscriber().with_ansi(ansi).event_format(format).with_writer(output.writer()).finish();
    tracing::subscriber::with_default(subscriber, f);
    output
}

fn subscriber() -> tracing_subscriber::fmt::SubscriberBuilder {
    subscriber::fmt().with_max_level(tracing::Level::TRACE)
}

fn written(f: impl FnOnce()) -> Output {
    written_with(Text::new().with_timer(Noon), false, f)
}

const HERE: &str = module_path!();

#[test]
fn a_line_has_the_ids_and_the_tags_of_where_it_is() {
    #[traced]
    #[biz_tags(tenant_id, order_no, express = true, sum = 1.5, items = ["a b", "c"], sizes = [1u8, 2])]
    fn place(tenant_id: &str, order_no: u64) {
        let _ = (tenant_id, order_no);
        info!(sku = "A-7", count = 2, "order {}", "placed");
        pay();
        warn!("late");
    }
    #[traced(tags(secret = "of this span alone"))]
    #[biz_tags(method = "card and cash")]
    fn pay() {
        error!(method = ?Some(1), "refused");
    }
    let capture = Capture::new();
    let output = written(|| {
        capture.run(|| {
            info!("before");
            place("acme", 1001);
            info!(target: "elsewhere", "after");
        });
    });
    let tags = r#"tenant_id=acme order_no=1001 express=true sum=1.5 items=["a b",c] sizes=[1,2]"#;
    let (place, pay) = (ids(&capture.span("place")), ids(&capture.span("pay")));
    assert_eq!(
        output.lines(),
        [
            format!("12:00:00  INFO {HERE}: before"),
            format!(r#"12:00:00  INFO {place} {tags} {HERE}: order placed sku="A-7" count=2"#),
            format!(r#"12:00:00 ERROR {pay} method="card and cash" {tags} {HERE}: refused method=Some(1)"#),
            format!("12:00:00  WARN {place} {tags} {HERE}: late"),
            "12:00:00  INFO elsewhere: after".to_owned(),
        ]
    );
}

/// Where nothing is current, a line is that of `tracing_subscriber`.
#[test]
fn outside_of_a_trace_nothing_is_added() {
    #[instrument(fields(a = 1, b = "two"))]
    fn outer() {
        inner();
    }
    #[instrument]
    fn inner() {
        event();
        info!(number = 1.5, text = "x\ny", debugged = ?Some("z"), r#type = %"display", "a message");
        info!(only = true);
        let cause = std::io::Error::other("cause");
        error!(error = &Wrapped(cause) as &dyn Error, "with an error");
    }
    fn event() {
        tracing::trace!("finest");
        tracing::debug!("finer");
    }
    let full = || subscriber::format().with_timer(Noon);
    let everything = || {
        outer();
        event();
    };
    for ansi in [false, true] {
        let ours = written_with(Text::new().with_timer(Noon), ansi, everything);
        let output = Output::default();
        let theirs = subscriber().with_ansi(ansi).event_format(full()).with_writer(output.writer()).finish();
        tracing::subscriber::with_default(theirs, everything);
        if ansi {
            // They close and open a style between any two words.
            assert_eq!(unstyled(&ours.text()), unstyled(&output.text()));
        } else {
            assert_eq!(ours.text(), output.text());
        }
        assert_eq!(ours.lines().len(), 7);
    }
}

#[derive(Debug)]
struct Wrapped(std::io::Error);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Takes out the styles that are allowed in a line.
fn unstyled(text: &str) -> String {
    let mut text = text.to_owned();
    for code in [0, 1, 2, 3, 31, 32, 33, 34, 35] {
        text = text.replace(&format!("\u{1b}[{code}m"), "");
    }
    text
}

#[test]
fn colours_where_they_are_asked_for() {
    let capture = Capture::new();
    let output = written_with(Text::new().with_timer(Noon).with_target(false), true, || {
        capture.run(|| {
            span("order").biz_tag("tenant_id", "acme").run(|| {
                let _entered = tracing::info_span!("inner", a = 1).entered();
                warn!(b = 2, "done");
            });
        });
    });
    let ids = ids(&capture.span("order"));
    let expected = format!(
        "\u{1b}[2m12:00:00\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2m{ids}\u{1b}[0m \
         \u{1b}[3mtenant_id\u{1b}[0m\u{1b}[2m=\u{1b}[0macme \
         \u{1b}[1minner\u{1b}[0m\u{1b}[1m{{\u{1b}[0m\u{1b}[3ma\u{1b}[0m\u{1b}[2m=\u{1b}[0m1\u{1b}[1m}}\u{1b}[0m\u{1b}[2m:\u{1b}[0m \
         done \u{1b}[3mb\u{1b}[0m\u{1b}[2m=\u{1b}[0m2\n"
    );
    assert_eq!(output.text(), expected);
}

#[test]
fn each_part_can_be_shown_or_left_out() {
    fn named(format: Text<Noon>) -> String {
        std::thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || written_with(format, false, || info!("x")).text())
            .expect("a thread starts")
            .join()
            .expect("no panic")
    }
    let none = || Text::new().with_timer(Noon).with_target(false).with_level(false);
    assert_eq!(named(none()), "12:00:00 x\n");
    assert_eq!(named(none().with_level(true)), "12:00:00  INFO x\n");
    assert_eq!(named(none().with_target(true)), format!("12:00:00 {HERE}: x\n"));
    assert_eq!(named(none().with_thread_names(true)), "12:00:00 worker x\n");
    assert!(named(none().with_thread_ids(true)).starts_with("12:00:00 ThreadId("));
    assert_eq!(named(none().with_file(true)), format!("12:00:00 {}: x\n", file!()));
    assert!(named(none().with_file(true).with_line_number(true)).starts_with(&format!("12:00:00 {}:1", file!())));
    assert!(named(none().with_line_number(true)).starts_with("12:00:00 1"));

    let output = Output::default();
    let format = Text::new().without_time();
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    tracing::subscriber::with_default(subscriber, || info!("x"));
    assert_eq!(output.text(), format!(" INFO {HERE}: x\n"));
}

#[tokio::test]
async fn a_detached_job_has_ids_of_its_own_and_the_tags_of_its_caller() {
    #[traced]
    #[biz_tags(tenant_id)]
    async fn request(tenant_id: &str) -> tokio::task::JoinHandle<()> {
        let _ = tenant_id;
        info!("accepted");
        let handle = job();
        tokio::task::yield_now().await;
        info!("answered");
        handle
    }
    #[traced_spawn]
    async fn job() {
        info!("started");
        tokio::task::yield_now().await;
        info!("done");
    }
    let output = Output::default();
    let format = Text::new().with_timer(Noon);
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let capture = Capture::new();
    let handle = capture.run_async(request("acme")).await;
    handle.await.expect("no panic");
    let (request, job) = (capture.span("request"), capture.span("job"));
    assert_eq!(request.trace_id(), job.trace_id());
    let line = |ids, message| format!("12:00:00  INFO {ids} tenant_id=acme {HERE}: {message}");
    assert_eq!(
        output.lines(),
        [
            line(ids(&request), "accepted"),
            line(ids(&job), "started"),
            line(ids(&request), "answered"),
            line(ids(&job), "done"),
        ]
    );
}

#[tokio::test]
async fn threads_and_blocking_workers_have_ids_of_their_own() {
    #[traced_spawn(thread)]
    fn thread(dispatch: Dispatch) {
        tracing::dispatcher::with_default(&dispatch, || info!("in a thread"));
    }
    #[traced_spawn(blocking)]
    fn blocking(dispatch: Dispatch) {
        tracing::dispatcher::with_default(&dispatch, || info!("on a worker"));
    }
    let output = Output::default();
    let format = Text::new().with_timer(Noon).with_target(false);
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    let dispatch = Dispatch::new(subscriber);
    let capture = Capture::new();
    let (thread, worker) = capture.run(|| {
        span("request").biz_tag("tenant_id", "acme").run(|| (thread(dispatch.clone()), blocking(dispatch.clone())))
    });
    thread.join().expect("no panic");
    worker.await.expect("no panic");
    let mut lines = output.lines();
    lines.sort_by_key(|line| line.ends_with("worker"));
    assert_eq!(
        lines,
        [
            format!("12:00:00  INFO {} tenant_id=acme in a thread", ids(&capture.span("thread"))),
            format!("12:00:00  INFO {} tenant_id=acme on a worker", ids(&capture.span("blocking"))),
        ]
    );
}

/// Spans of `tracing`, made OpenTelemetry spans, above and below ours: the innermost counts.
#[test]
fn between_spans_of_tracing_the_innermost_span_counts() {
    #[instrument(skip_all)]
    fn above() {
        info!("1");
        ours();
        info!("5");
    }
    #[traced]
    #[biz_tags(tenant_id = "acme")]
    fn ours() {
        info!("2");
        below(7);
        info!("4");
    }
    #[instrument]
    fn below(n: u8) {
        info!("3");
        let _ = n;
    }
    let capture = Capture::new();
    let output = Output::default();
    let format = Text::new().with_timer(Noon).with_target(false);
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing")))
        .with(subscriber::layer().with_ansi(false).event_format(format).with_writer(output.writer()));
    tracing::subscriber::with_default(subscriber, || capture.run(above));
    capture.assert_tree("above\n└── ours\n    └── below");
    let [above, ours, below] = ["above", "ours", "below"].map(|name| ids(&capture.span(name)));
    assert_eq!(
        output.lines(),
        [
            format!("12:00:00  INFO {above} above: 1"),
            format!("12:00:00  INFO {ours} tenant_id=acme above: 2"),
            format!("12:00:00  INFO {below} tenant_id=acme above:below{{n=7}}: 3"),
            format!("12:00:00  INFO {ours} tenant_id=acme above: 4"),
            format!("12:00:00  INFO {above} above: 5"),
        ]
    );
}

#[test]
fn where_the_trace_is_not_sampled_the_flags_say_so() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let mut seen = None;
    let output = written(|| {
        capture.run(|| {
            in_span("order", || {
                seen = Some(Context::current().span().span_context().clone());
                info!("x");
            });
        });
    });
    let seen = seen.expect("the span runs");
    assert!(seen.is_valid());
    let (trace, span) = (seen.trace_id(), seen.span_id());
    let expected = format!("12:00:00  INFO trace_id={trace} span_id={span} trace_flags=00 {HERE}: x\n");
    assert_eq!(output.text(), expected);
}

#[test]
fn where_the_trace_is_not_sampled_the_tags_are_there_too() {
    fn never() -> u8 {
        panic!("evaluated")
    }
    #[traced(tags(own = never()))]
    #[biz_tags(tenant_id, hash(user = 7))]
    fn place(tenant_id: &str) {
        let _ = tenant_id;
        info!("placed");
        alone("visa");
        throughline::span("block").biz_tag("part", 2u8).run(|| info!("in a block"));
        std::thread::spawn(throughline::Snapshot::capture().wrap(throughline::current_tags)).join().expect("no panic");
    }
    #[biz_tags(method, tenant_id = "globex")]
    fn alone(method: &str) {
        let _ = method;
        info!("paid");
    }
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let output = written(|| capture.run(|| in_span("root", || place("acme"))));
    let lines = output.lines();
    for (line, tags) in
        lines.iter().zip(["tenant_id=acme user=", "method=visa tenant_id=globex user=", "part=2 tenant_id=acme user="])
    {
        assert!(line.contains(&format!(" trace_flags=00 {tags}")), "{line}");
    }
    assert_eq!(lines.len(), 3);
    assert!(capture.spans().is_empty());
}

/// The formatter writes ids and tags, so the event of a failed job does not.
#[test]
fn a_failed_job_has_ids_and_tags_once() {
    #[traced_spawn]
    #[biz_tags(tenant_id = "acme")]
    async fn publish() -> Result<(), String> {
        Err("no broker".to_owned())
    }
    let capture = Capture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let output = written(|| {
        runtime.block_on(capture.run_async(async {
            publish().await.expect("no panic").expect_err("it fails");
        }));
    });
    let ids = ids(&capture.span("publish"));
    assert_eq!(
        output.text(),
        format!(
            "12:00:00 ERROR {ids} tenant_id=acme throughline::jobs: detached job failed throughline.job.name=\"publish\" \
             error=\"no broker\" error.type=\"alloc::string::String\"\n"
        )
    );
    assert!(capture.span("publish").events.events.len() == 1, "the exception alone");
}

/// With the layer for spans of other libraries, and with the one that puts events on spans.
#[test]
fn a_failed_job_below_other_layers_ends_as_usual() {
    #[traced_spawn]
    async fn publish() -> Result<(), String> {
        Err("no broker".to_owned())
    }
    let capture = Capture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing")))
        .with(throughline::log::SpanEvents::new());
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(capture.run_async(async {
            let around = tracing::info_span!("around");
            let job = around.in_scope(publish);
            job.await.expect("no panic").expect_err("it fails");
        }));
    });
    let job = capture.span("publish");
    let events: Vec<_> = job.events.iter().map(|event| event.name.clone()).collect();
    assert_eq!(events, ["exception"], "the span says it once");
}

/// It reports on contexts while they cannot be looked at.
#[test]
fn what_the_opentelemetry_api_reports_of_itself_has_no_ids() {
    let capture = Capture::new();
    let output = written(|| {
        capture.run(|| {
            in_span("order", || {
                warn!(target: "opentelemetry", "too many contexts");
                warn!(target: "opentelemetry_sdk", "the queue is full");
            });
        });
    });
    let ids = ids(&capture.span("order"));
    assert_eq!(
        output.lines(),
        [
            "12:00:00  WARN opentelemetry: too many contexts".to_owned(),
            format!("12:00:00  WARN {ids} opentelemetry_sdk: the queue is full"),
        ]
    );
}

/// Tags apply although nothing is recorded. The discarded span is logged once per process, at the
/// first such span, so this is filtered out.
#[test]
fn tags_without_a_trace_are_shown() {
    let output = Output::default();
    let subscriber = subscriber()
        .with_ansi(false)
        .event_format(Text::new().with_timer(Noon))
        .with_env_filter(EnvFilter::new(HERE))
        .with_writer(output.writer())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        span("order").biz_tag("tenant_id", "acme").run(|| info!("x"));
    });
    assert_eq!(output.text(), format!("12:00:00  INFO tenant_id=acme {HERE}: x\n"));
}

#[test]
fn a_log_filter_takes_lines_and_no_ids() {
    let capture = Capture::new();
    let output = Output::default();
    let subscriber = subscriber()
        .with_ansi(false)
        .event_format(Text::new().with_timer(Noon).with_target(false))
        .with_env_filter(EnvFilter::new("warn"))
        .with_writer(output.writer())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        capture.run(|| {
            in_span("order", || {
                info!("left out");
                warn!("shown");
            });
        });
    });
    assert_eq!(output.text(), format!("12:00:00  WARN {} shown\n", ids(&capture.span("order"))));
}

#[test]
fn a_record_of_the_log_crate_shows_its_own_place() {
    let capture = Capture::new();
    let output = written_with(Text::new().with_timer(Noon).with_file(true).with_line_number(true), false, || {
        capture.run(|| {
            in_span("order", || {
                let record = |target, arguments| {
                    let mut record = log::Record::builder();
                    record.level(log::Level::Warn).target(target).file(Some("src/old.rs")).line(Some(7));
                    tracing_log::format_trace(&record.args(arguments).build()).expect("it is dispatched");
                };
                record("old\n", format_args!("from {}\n", "the log crate"));
            });
        });
    });
    let ids = ids(&capture.span("order"));
    assert_eq!(output.text(), format!("12:00:00  WARN {ids} old\\n: src/old.rs:7: from the log crate\\n\n"));
}

/// Every place that a value of a program, or of its users, can get to.
fn log_everywhere(hostile: &'static str) {
    #[derive(Debug)]
    struct Evil(&'static str);
    impl fmt::Display for Evil {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    impl Error for Evil {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            (self.0.len() > 1).then_some(&Evil("\n") as &(dyn Error + 'static))
        }
    }
    struct Raw(&'static str);
    impl fmt::Debug for Raw {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }
    let order =
        span("order").biz_tag("tag", hostile).biz_tag(hostile, "value").biz_tag("list", [hostile, "x"].as_slice());
    order.run(|| {
        let _entered = tracing::info_span!("outer", plain = hostile, shown = %hostile, raw = ?Raw(hostile)).entered();
        let evil = Evil(hostile);
        info!(text = hostile, shown = %hostile, raw = ?Raw(hostile), error = &evil as &dyn Error, "message {hostile}");
    });
}

#[test]
fn values_cannot_forge_lines() {
    for ansi in [false, true] {
        let capture = Capture::new();
        let output = written_with(Text::new().with_timer(Noon), ansi, || capture.run(|| log_everywhere(HOSTILE)));
        let text = unstyled(&output.text());
        assert!(harm(&text).is_empty(), "{text}");
        assert_eq!(output.text().matches('\n').count(), 1);
        // It is there, in a form that can be read: in the tags, the fields, the message.
        assert!(
            text.matches(
                r"x\r\n12:00:00 ERROR forged\u{1b}[2K\u{1b}]0;t\u{7}\u{9b}1A\u{85}\u{2028}\u{202e}\u{200f}\u{200b}\t"
            )
            .count()
                >= 9
        );
        // Of all that calls itself so, the first is true.
        let span = capture.span("order");
        assert!(text.starts_with(&format!("12:00:00  INFO {} tag=\"x\\r\\n", ids(&span))), "{text}");
        assert!(text.matches("trace_id=0").count() >= 9);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn one_event_is_one_line(
        value in proptest::collection::vec(
            prop_oneof![
                any::<char>(),
                (0u32..0xa0).prop_map(|c| char::from_u32(c).unwrap_or_default()),
                (0x2020u32..0x2070).prop_map(|c| char::from_u32(c).unwrap_or_default()),
                Just('\u{1b}'),
            ],
            0..24,
        ),
        ansi in any::<bool>(),
    ) {
        let value: &'static str = String::leak(value.into_iter().collect());
        let capture = Capture::new();
        let output = written_with(Text::new().with_timer(Noon), ansi, || capture.run(|| log_everywhere(value)));
        let text = unstyled(&output.text());
        prop_assert!(text.ends_with('\n'));
        prop_assert_eq!(harm(&text), Vec::<char>::new());
        let start = format!("12:00:00  INFO {} tag=", ids(&capture.span("order")));
        prop_assert!(text.starts_with(&start));
    }
}

#[test]
fn a_field_formatter_of_the_user_is_used_and_made_harmless() {
    let output = Output::default();
    let fields = debug_fn(|writer, field, value| match field.name() {
        "password" => write!(writer, "password=*** "),
        name => write!(writer, "<{name}:{value:?}> "),
    });
    let subscriber = subscriber()
        .fmt_fields(fields)
        .with_ansi(true)
        .event_format(Text::new().with_timer(Noon).with_target(false))
        .with_writer(output.writer())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let _entered = tracing::info_span!("login", password = "hunter2").entered();
        info!(password = "hunter2", user = %"a\nb\u{1b}[2K", "hello");
    });
    assert_eq!(
        unstyled(&output.text()),
        "12:00:00  INFO login{password=*** }: <message:hello> password=*** <user:a\\nb\\u{1b}[2K> \n"
    );
}

#[test]
fn a_formatter_that_fails_loses_no_line() {
    struct Broken;
    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    struct NoTime;
    impl tracing_subscriber::fmt::time::FormatTime for NoTime {
        fn format_time(&self, _: &mut Writer<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let output = Output::default();
    let format = Text::new().with_timer(NoTime).with_target(false);
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    tracing::subscriber::with_default(subscriber, || info!(broken = %Broken, whole = 1, "message"));
    assert_eq!(output.text(), "<unknown time>  INFO message broken=half whole=1\n");
}

/// What [`current`] is for.
#[test]
fn a_formatter_of_the_user_can_print_what_is_current() {
    struct Own;
    impl<S, N> FormatEvent<S, N> for Own
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(
            &self,
            ctx: &FmtContext<'_, S, N>,
            mut writer: Writer<'_>,
            event: &tracing::Event<'_>,
        ) -> fmt::Result {
            ctx.format_fields(writer.by_ref(), event)?;
            writeln!(writer, " [{}]", current())
        }
    }
    let output = Output::default();
    let subscriber = subscriber().with_ansi(false).event_format(Own).with_writer(output.writer()).finish();
    let capture = Capture::new();
    tracing::subscriber::with_default(subscriber, || {
        info!("outside");
        capture.run(|| span("order").biz_tag("note", "two\nwords").biz_tag("n", 7).run(|| info!("inside")));
    });
    let expected = format!("outside []\ninside [{} note=\"two\\nwords\" n=7]\n", ids(&capture.span("order")));
    assert_eq!(output.text(), expected);
}

#[test]
fn current_tells_the_parts() {
    assert!(current().is_empty());
    assert_eq!((current().trace_id(), current().span_id(), current().trace_flags()), (None, None, None));
    let capture = Capture::new();
    let seen = capture.run(|| span("order").biz_tag("n", 7).run(current));
    let order = capture.span("order");
    assert_eq!(seen.trace_id(), Some(order.trace_id()));
    assert_eq!(seen.span_id(), Some(order.span_id()));
    assert_eq!(seen.trace_flags(), Some(opentelemetry::TraceFlags::SAMPLED));
    assert_eq!(seen.tags(), [opentelemetry::KeyValue::new("n", 7)]);
    assert!(!seen.is_empty());
}

#[test]
fn a_line_allocates_nothing_besides_its_buffer() {
    #[traced]
    #[biz_tags(tenant_id, order_no = 7, share = 0.5, names = ["a b", "c"])]
    fn place(tenant_id: &str) {
        let _ = tenant_id;
        assert_eq!(in_lines(), 0);
    }
    /// The first line fills the buffer of the thread.
    fn in_lines() -> u64 {
        let line = || info!(sku = "A-7", count = 2, "placed");
        line();
        let counted = measure(|| (0..10).for_each(|_| line()));
        counted.count_total
    }
    let format = Text::new().with_timer(Noon);
    for ansi in [false, true] {
        let subscriber = subscriber().with_ansi(ansi).event_format(format.clone()).with_writer(std::io::sink).finish();
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!(in_lines(), 0);
            Capture::new().run(|| place("acme"));
        });
    }
    assert_eq!(measure(|| assert!(current().is_empty())).count_total, 0);
    // The counter counts.
    assert!(measure(|| drop(current().to_string() + "x")).count_total > 0);
}
