//! The parts of a line, and the settings that omit some of them.

use std::error::Error;
use std::fmt;

use throughline::log::Text;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, span, traced};
use tracing::{error, info, instrument, warn};
use tracing_log::log;
use tracing_subscriber::EnvFilter;

use super::{subscriber, unstyled, written, written_with};
use crate::log::{Noon, Output, ids};

const HERE: &str = module_path!();

#[test]
fn a_line_has_the_ids_and_tags_of_the_current_span() {
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

/// Without a current span, a line is the same as that of `tracing_subscriber`.
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
        info!(message = "a field");
        let cause = std::io::Error::other(Wrapped(std::io::Error::other("cause")));
        error!(error = &Wrapped(cause) as &dyn Error, "with an error");
        error!(error = &std::io::Error::other("alone") as &dyn Error, "without a source");
    }
    fn event() {
        tracing::trace!("finest");
        tracing::debug!("finer");
    }
    let full = || tracing_subscriber::fmt::format().with_timer(Noon);
    let everything = || {
        outer();
        event();
    };
    for ansi in [false, true] {
        let ours = written_with(Text::new().with_timer(Noon), ansi, everything);
        let output = Output::default();
        let theirs = subscriber().with_ansi(ansi).event_format(full()).with_writer(output.writer()).finish();
        crate::subscriber::with_default(theirs, everything);
        if ansi {
            // `tracing_subscriber` ends and restarts a style between any two words.
            assert_eq!(unstyled(&ours.text()), unstyled(&output.text()));
        } else {
            assert_eq!(ours.text(), output.text());
        }
        assert_eq!(ours.lines().len(), 9);
    }
}

/// With any setting. The thread has no name: `tracing_subscriber` pads names to the longest one that the process has had.
#[test]
fn outside_of_a_trace_the_settings_add_the_same() {
    type Theirs = tracing_subscriber::fmt::format::Format<tracing_subscriber::fmt::format::Full, Noon>;
    type Setting = (fn(Text<Noon>) -> Text<Noon>, fn(Theirs) -> Theirs);
    fn line() {
        let _entered = tracing::info_span!("outer", a = 1).entered();
        info!(number = 1.5, "a message");
    }
    let settings: [Setting; 7] = [
        (|ours| ours.with_level(false), |theirs| theirs.with_level(false)),
        (|ours| ours.with_target(false), |theirs| theirs.with_target(false)),
        (|ours| ours.with_thread_names(true), |theirs| theirs.with_thread_names(true)),
        (|ours| ours.with_thread_ids(true), |theirs| theirs.with_thread_ids(true)),
        (|ours| ours.with_file(true), |theirs| theirs.with_file(true)),
        (|ours| ours.with_line_number(true), |theirs| theirs.with_line_number(true)),
        (
            |ours| ours.with_thread_names(true).with_thread_ids(true).with_file(true).with_line_number(true),
            |theirs| theirs.with_thread_names(true).with_thread_ids(true).with_file(true).with_line_number(true),
        ),
    ];
    for (at, (ours, theirs)) in settings.into_iter().enumerate() {
        let (ours, theirs) = std::thread::spawn(move || {
            let ours = written_with(ours(Text::new().with_timer(Noon)), false, line).text();
            let theirs = theirs(tracing_subscriber::fmt::format().with_timer(Noon));
            let output = Output::default();
            let theirs = subscriber().with_ansi(false).event_format(theirs).with_writer(output.writer()).finish();
            crate::subscriber::with_default(theirs, line);
            (ours, output.text())
        })
        .join()
        .expect("no panic");
        assert_eq!(ours, theirs, "setting {at}");
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
    let both = named(none().with_thread_names(true).with_thread_ids(true));
    assert!(both.starts_with("12:00:00 worker ThreadId("), "{both}");
    assert_eq!(named(none().with_file(true)), format!("12:00:00 {}: x\n", file!()));
    let numbered = |line: &str, before: &str| {
        line.strip_prefix(before).is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
    };
    let here = format!("12:00:00 {}:", file!());
    assert!(numbered(&named(none().with_file(true).with_line_number(true)), &here));
    assert!(numbered(&named(none().with_line_number(true)), "12:00:00 "));

    let output = Output::default();
    let format = Text::new().without_time();
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    crate::subscriber::with_default(subscriber, || info!("x"));
    assert_eq!(output.text(), format!(" INFO {HERE}: x\n"));
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
    crate::subscriber::with_default(subscriber, || {
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
fn a_record_of_the_log_crate_has_its_own_location() {
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
