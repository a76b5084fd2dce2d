//! Values that try to forge lines, and formatters that fail.

use std::error::Error;
use std::fmt;

use proptest::prelude::*;
use throughline::log::Text;
use throughline::span;
use throughline::testing::Capture;
use tracing::info;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::{subscriber, unstyled, written_with};
use crate::log::{HOSTILE, Noon, Output, harm, ids};

/// Logs `hostile` in every position that an application, or one of its users, controls.
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
        // It is still there in escaped form: in the tags, the fields and the message.
        assert!(
            text.matches(
                r"x\r\n12:00:00 ERROR forged\u{1b}[2K\u{1b}]0;t\u{7}\u{9b}1A\u{85}\u{2028}\u{202e}\u{200f}\u{200b}\t"
            )
            .count()
                >= 9
        );
        // The first `trace_id` is the real one.
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
    crate::subscriber::with_default(subscriber, || {
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
    crate::subscriber::with_default(subscriber, || info!(broken = %Broken, whole = 1, "message"));
    assert_eq!(output.text(), "<unknown time>  INFO message broken=half whole=1\n");
}
