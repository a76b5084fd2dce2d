//! `OTEL_PROPAGATORS`.

use super::{ConfigError, Env};
use crate::propagation::Format;
use crate::text::excerpt;

/// The maximum number of characters of an unknown name that are shown.
const SHOWN: usize = 20;

/// `None` if the list is empty, which is not the same as `none`. Unknown names are ignored, and the others are used.
pub(super) fn from_env(env: &Env<'_>) -> Option<Vec<Format>> {
    const NAME: &str = "OTEL_PROPAGATORS";
    const EXPECTED: &str = "a comma-separated list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`";
    let list = env.get(NAME).unwrap_or_default();
    let (mut formats, mut is_none) = (Vec::new(), false);
    for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        match name.to_ascii_lowercase().parse() {
            Ok(format) => formats.push(format),
            Err(_) if name.eq_ignore_ascii_case("none") => is_none = true,
            Err(_) => {
                let error = ConfigError::new(NAME, &list, EXPECTED);
                env.warn(format_args!("{error}; `{}` is ignored", excerpt(name, SHOWN)));
            }
        }
    }
    (is_none || !formats.is_empty()).then_some(formats)
}
