//! The kinds of breaks.

use std::fmt;
use std::str::FromStr;

/// Declares the kinds, each with its name and the texts that explain it.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $name:literal { title: $title:literal, cause: $cause:literal, remedy: $remedy:literal })*) => {
        /// A kind of defect that a trace can have.
        ///
        /// Each kind has a section in `docs/audit.md`, with its [`name`](Self::name) as the heading.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum BreakKind {
            $($(#[doc = $doc])* $kind,)*
        }

        impl BreakKind {
            /// All kinds, starting with those that [break the tree](Self::breaks_the_tree).
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Returns the name used in reports, metrics and documentation, in lower case with hyphens.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Returns a one-line description.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$kind => $title,)* }
            }

            /// Returns the usual cause.
            pub const fn cause(self) -> &'static str {
                match self { $(Self::$kind => $cause,)* }
            }

            /// Returns the change that fixes it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$kind => $remedy,)* }
            }
        }
    };
}

kinds! {
    /// A consumer span, a server span or a detached job without the parent that it should have.
    UnparentedEntry = "unparented-entry" {
        title: "an entry has no parent, although something caused it",
        cause: "the caller did not inject its context, or the receiver did not extract it: a client without the middleware, a header that a proxy or a queue drops, a bare `tokio::spawn`",
        remedy: "inject where the work is handed over and extract where it arrives: the integration's client and server layer, `parent = message`, `#[traced_spawn]` for a job"
    }
    /// A span whose parent was never received.
    MissingParent = "missing-parent" {
        title: "the parent of a span was never received",
        cause: "the parent was never exported: it never ended, its process was killed or dropped it because a queue was full, or its sampler decided otherwise; or it was recorded by a tracer that exports elsewhere",
        remedy: "flush on exit (`Telemetry::shutdown`), let one parent-based sampler decide for the whole trace, and export every service to the same place"
    }
    /// A trace with more than one root span.
    SecondRoot = "second-root" {
        title: "a trace has more than one root",
        cause: "the trace ID was used twice, for example because it is the request ID that a client sends again; or a span was started with the trace ID of another span, but not as its child",
        remedy: "start the span as a child of the other span, or with a trace ID of its own and a link"
    }
    /// Spans that are their own ancestors, or several spans with the same ID.
    Cycle = "cycle" {
        title: "spans are their own ancestors, or share an ID",
        cause: "the ID generator repeats itself, for example because it has a fixed seed or was copied by a fork, or IDs were rewritten in transit",
        remedy: "use a random generator in each process, and do not rewrite IDs"
    }
    /// A span that never ended.
    NeverEnded = "never-ended" {
        title: "a span never ended",
        cause: "something holds the span forever: a clone of its context in a background task, a future that is never polled again, a guard that is never dropped; or the process ended first",
        remedy: "let the span end with its function (`#[traced]`), give background work the span context and not the span (`#[traced_spawn]`), and set a timeout for calls that may hang"
    }
    /// A span that started after its parent had ended, without being detached or linked to it.
    EndedBeforeChild = "ended-before-child" {
        title: "a span began after its parent had ended",
        cause: "work was detached while the context was kept: a closure in a queue, a task, a callback",
        remedy: "make the work a detached job (`#[traced_spawn]`, `throughline::spawn`), run it in a `Snapshot` instead of the context, or start a new trace with a link (`link`)"
    }
    /// A required tag that has no value or is on none of the spans that should have it.
    MissingTag = "missing-tag" {
        title: "a required tag is missing",
        cause: "the value was `None`, or the code on this path sets no tag",
        remedy: "set the tag where the value is always known, or give a default: `tenant_id = tenant else \"unknown\"`"
    }
    /// A business tag with more than one value in a trace.
    ConflictingTag = "conflicting-tag" {
        title: "one trace has two values of a business tag",
        cause: "a batch or a shared connection is handled within one request's trace, or the context of one request is current while another is handled",
        remedy: "give each item a trace of its own, linked to the batch (`link`), and do not keep a context across requests"
    }
    /// A context without a span that was injected into an outgoing request or message.
    InjectionWithoutSpan = "injection-without-span" {
        title: "a context without a span was injected",
        cause: "the call was made where no span is current: in a bare `tokio::spawn`, on another thread, in a closure that runs later",
        remedy: "make the call within a span: `#[traced]` on the function, `#[traced_spawn]` or `Snapshot` for work that runs elsewhere"
    }
    /// A sampling decision that changed within a trace.
    SamplingFlipped = "sampling-flipped" {
        title: "the sampling decision changed within a trace",
        cause: "a service decides for itself instead of following its caller, or it sheds traces under load",
        remedy: "use a parent-based sampler in every service (`throughline::init` does), and raise `max_queue_size` where traces are shed"
    }
    /// A child that lies outside of its parent by more than the permitted clock difference.
    ClockSkew = "clock-skew" {
        title: "a child lies outside of its parent by more than the clock bound",
        cause: "the clocks of two machines differ, or a clock was set while the span was open",
        remedy: "synchronize the clocks (chrony, NTP), or raise the bound if the difference is known"
    }
    /// A service with an unusually large number of span names or attribute keys.
    HighCardinality = "high-cardinality" {
        title: "there are suspiciously many span names or tag keys",
        cause: "an ID or a path is part of the name or of the key",
        remedy: "name the span after the operation or the route (`/orders/{id}`), and put the ID into the value of a tag"
    }
}

impl BreakKind {
    /// Returns `true` if a trace with this defect is not complete: its spans do not form one connected tree of ended
    /// spans.
    ///
    /// The other kinds are defects of complete traces.
    pub const fn breaks_the_tree(self) -> bool {
        matches!(self, Self::UnparentedEntry | Self::MissingParent | Self::SecondRoot | Self::Cycle | Self::NeverEnded)
    }
}

impl fmt::Display for BreakKind {
    /// Writes the [name](Self::name).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The error for a name that is not the name of a [`BreakKind`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownBreak(String);

impl fmt::Display for UnknownBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown kind of break `{}`; expected one of", self.0)?;
        for (at, kind) in BreakKind::ALL.iter().enumerate() {
            write!(f, "{} `{kind}`", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownBreak {}

impl FromStr for BreakKind {
    type Err = UnknownBreak;

    fn from_str(name: &str) -> Result<Self, UnknownBreak> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or_else(|| UnknownBreak(name.to_owned()))
    }
}
