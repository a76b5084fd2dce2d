//! Log lines as text.

mod allocations;
mod context;
mod current;
mod hostile;
mod layout;

use throughline::log::Text;

use crate::log::{Noon, Output};

/// Runs `f` with a subscriber that writes in `format`, and returns its output.
fn written_with(format: Text<Noon>, ansi: bool, f: impl FnOnce()) -> Output {
    let output = Output::default();
    let subscriber = subscriber().with_ansi(ansi).event_format(format).with_writer(output.writer()).finish();
    crate::subscriber::with_default(subscriber, f);
    output
}

fn subscriber() -> tracing_subscriber::fmt::SubscriberBuilder {
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE)
}

fn written(f: impl FnOnce()) -> Output {
    written_with(Text::new().with_timer(Noon), false, f)
}

/// Removes the styles that a line may have.
fn unstyled(text: &str) -> String {
    let mut text = text.to_owned();
    for code in [0, 1, 2, 3, 31, 32, 33, 34, 35] {
        text = text.replace(&format!("\u{1b}[{code}m"), "");
    }
    text
}
