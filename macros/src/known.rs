//! The attributes, their options, and the span kinds.

/// The attribute that the options belong to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attr {
    Traced,
    TracedSpawn,
}

/// The options of `#[traced]`.
pub(crate) const TRACED: &[&str] =
    &["name", "kind", "parent", "link", "links", "root", "tags", "err", "ret", "cancel", "stream", "skip", "crate"];
/// The options of `#[traced_spawn]`.
pub(crate) const TRACED_SPAWN: &[&str] = &[
    "name", "kind", "parent", "link", "links", "root", "tags", "err", "ret", "cancel", "blocking", "thread", "local",
    "on", "crate",
];

/// Each span kind, and the name of its variant.
pub(crate) const KINDS: &[(&str, &str)] = &[
    ("server", "Server"),
    ("client", "Client"),
    ("producer", "Producer"),
    ("consumer", "Consumer"),
    ("internal", "Internal"),
];

/// Whether it is the name of a span kind.
pub(crate) fn is_kind(name: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == name)
}
