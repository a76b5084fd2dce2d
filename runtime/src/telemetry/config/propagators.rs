//! `OTEL_PROPAGATORS`.

use super::{ConfigError, Env};
use crate::propagation::Format;

/// `None` if the list is empty, which is not the same as `none`.
pub(super) fn from_env(env: &Env<'_>) -> Result<Option<Vec<Format>>, ConfigError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    const EXPECTED: &str =
        "a comma-separated list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, or `none`";
    let list = env.get(NAME).unwrap_or_default();
    let names: Vec<_> = list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let formats = names.into_iter().filter(|name| !name.eq_ignore_ascii_case("none"));
    let formats = formats.map(|name| name.to_ascii_lowercase().parse());
    formats.collect::<Result<_, _>>().map(Some).map_err(|_| ConfigError::new(NAME, &list, EXPECTED))
}
