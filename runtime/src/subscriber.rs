//! Telemetry and `tracing`'s global subscriber, set up in one call.

use std::io::{IsTerminal as _, stdout};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{fmt, registry};

use crate::log::Text;
use crate::telemetry::{Builder, InitError, Telemetry, builder};
use crate::tracing_layer::tracing_layer;

/// Initializes telemetry and the global subscriber of `tracing`: in place of `tracing_subscriber::fmt::init()`, it is
/// the only line of `main` that an application with `#[instrument]` needs.
///
/// In addition to what [`init`](crate::init) does, it sets a subscriber with two layers:
///
/// - The spans of `tracing` become OpenTelemetry spans: [`tracing_layer`](crate::tracing_layer()).
/// - Events are written to standard output as text with trace IDs and tags: [`Text`]. `RUST_LOG` selects them by level
///   and target (`info,my_crate=debug`), and does not affect spans. If it is not set, events of level INFO and above are
///   written. Directives that select by span or field are ignored, with a warning. There are colours only on a terminal,
///   if the feature `ansi` of `tracing-subscriber` is enabled.
///
/// Records of the `log` crate are events, too. For another format, writer or filter, build the subscriber yourself, as
/// [`tracing_layer`](mod@crate::tracing_layer) shows, and call [`init`](crate::init).
///
/// Keep the returned value until the end of `main`. Dropping it flushes for at most five seconds;
/// [`Telemetry::shutdown`] also waits for detached jobs. If the application does not handle SIGTERM or Ctrl-C, they end
/// the process without either, and the spans that are queued or open are lost; see [`Telemetry::shutdown_on_signal`].
///
/// # Errors
///
/// Returns [`InitError::Config`] if a variable other than `RUST_LOG` has an invalid value, and
/// [`InitError::Subscriber`] if a global subscriber, or a logger of the `log` crate, is already set. In both cases
/// telemetry has not been initialized. Returns [`InitError::Thread`] if a background thread could not be started; then the
/// subscriber stays set. In a `main` that returns `io::Result<()>`, `?` converts the error.
///
/// ```
/// use tracing::{info, instrument};
///
/// #[instrument]
/// fn charge(order_no: u64) {
///     info!("charged"); // with the trace ID
/// }
///
/// fn main() -> Result<(), throughline::telemetry::InitError> {
///     let _telemetry = throughline::init_with_subscriber()?;
///     charge(1001);
///     Ok(())
/// }
/// ```
pub fn init_with_subscriber() -> Result<Telemetry, InitError> {
    builder().init_with_subscriber()
}

impl Builder {
    /// Initializes telemetry and the global subscriber of `tracing`, as
    /// [`init_with_subscriber`](crate::init_with_subscriber) does.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`init_with_subscriber`](crate::init_with_subscriber).
    pub fn init_with_subscriber(mut self) -> Result<Telemetry, InitError> {
        let config = self.config()?;
        let directives = self.variable("RUST_LOG").unwrap_or_default();
        let (filter, ignored) = log_filter(&directives);
        let log = fmt::layer().event_format(Text::new());
        let log = if stdout().is_terminal() { log } else { log.with_ansi(false) };
        registry().with(log.with_filter(filter)).with(tracing_layer()).try_init().map_err(InitError::Subscriber)?;
        for directive in ignored {
            tracing::warn!(
                target: "throughline",
                "`{directive}` of `RUST_LOG` is ignored; expected a level, a target, or `target=level`"
            );
        }
        self.start(config)
    }
}

/// Parses `RUST_LOG`. Returns the filter, and the directives that are ignored.
fn log_filter(directives: &str) -> (Targets, Vec<&str>) {
    let directives = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    // `Targets` would parse a span or field selector as part of the target.
    let is_valid = |directive: &&str| !directive.contains(['[', ']', '{', '}']) && directive.parse::<Targets>().is_ok();
    let (valid, ignored): (Vec<_>, Vec<_>) = directives.partition(is_valid);
    let filter = if valid.is_empty() { None } else { valid.join(",").parse().ok() };
    (filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO)), ignored)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn unsupported_directives_do_not_affect_the_others() {
        let (filter, ignored) = log_filter("warn, shop=debug,[request{order_no=7}]=trace,shop::db=loud,");
        assert_eq!(ignored, ["[request{order_no=7}]=trace", "shop::db=loud"]);
        assert!(filter.would_enable("shop", &Level::DEBUG) && !filter.would_enable("shop", &Level::TRACE));
        assert!(filter.would_enable("other", &Level::WARN) && !filter.would_enable("other", &Level::INFO));
    }

    #[test]
    fn without_a_valid_directive_the_level_is_info() {
        for directives in ["", " , ", "[request]=trace"] {
            let (filter, _) = log_filter(directives);
            assert!(filter.would_enable("shop", &Level::INFO), "{directives}");
            assert!(!filter.would_enable("shop", &Level::DEBUG), "{directives}");
        }
    }
}
