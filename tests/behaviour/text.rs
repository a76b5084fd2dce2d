//! The same characters are escaped in all output.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use throughline::console::Console;
use throughline::log::{Text, current};
use throughline::span;
use throughline::testing::Capture;
use throughline::text::{needs_escape, sanitize};
use tracing::info;

/// One of each kind: line breaks, terminal control characters, bidirectional controls, invisible characters.
const ESCAPED: [char; 16] = [
    '\n',
    '\r',
    '\u{1b}',
    '\u{7f}',
    '\u{85}',
    '\u{9b}',
    '\u{ad}',
    '\u{61c}',
    '\u{200b}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202e}',
    '\u{2069}',
    '\u{feff}',
    '\u{e0041}',
];

/// `a`, the character, `b`; and the same escaped.
fn text(c: char) -> (String, String) {
    (format!("a{c}b"), format!("a{}b", c.escape_default()))
}

#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().expect("no panic"))).expect("UTF-8")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_set_has_each_of_them() {
    for c in ESCAPED {
        assert!(needs_escape(c), "{}", c.escape_unicode());
        assert_eq!(sanitize(text(c).0.into()), "a\u{fffd}b");
    }
}

#[test]
fn a_captured_tree_escapes_them() {
    for c in ESCAPED {
        let (text, shown) = text(c);
        let capture = Capture::new();
        capture.run(|| {
            let _ = span(text.clone()).tag("tag", text.clone()).try_run(|| Err::<(), _>(text.clone()));
        });
        assert_eq!(capture.tree_with(&["tag"]), format!("{shown} !error: {shown} tag=\"{shown}\""));
    }
}

#[test]
fn the_console_escapes_them() {
    let output = Output::default();
    let capture = Capture::with_provider(|builder| builder.with_span_processor(Console::with_writer(output.clone())));
    for c in ESCAPED {
        let (text, shown) = text(c);
        capture.run(|| {
            let _ = span(text.clone()).tag("tag", text.clone()).try_run(|| Err::<(), _>(text.clone()));
        });
        let printed = output.take();
        for part in [format!("\n{shown}  "), format!("error: {shown}  "), format!("tag=\"{shown}\"")] {
            assert!(printed.contains(&part), "{part:?} in {printed:?}");
        }
        assert!(!printed.contains(&text), "{printed:?}");
    }
}

#[test]
fn a_log_line_escapes_them() {
    let output = Output::default();
    let writer = output.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .event_format(Text::new())
        .with_writer(move || writer.clone())
        .finish();
    crate::subscriber::with_default(subscriber, || {
        for c in ESCAPED {
            let (text, shown) = text(c);
            Capture::new().run(|| {
                span("order").biz_tag("tag", text.clone()).run(|| {
                    info!(field = %text, "message {text}");
                    assert!(current().to_string().ends_with(&format!(" tag=\"{shown}\"")));
                });
            });
            let line = output.take();
            for part in [format!(" tag=\"{shown}\" "), format!("message {shown} "), format!("field={shown}\n")] {
                assert!(line.contains(&part), "{part:?} in {line:?}");
            }
        }
    });
}
