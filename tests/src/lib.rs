//! Tests only; see the folders beside this one.

/// The code of the page is compiled and run by the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-tracing.md")]
struct FromTracing;

/// So is that of the page for users of fastrace.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-fastrace.md")]
struct FromFastrace;

/// And of the page for users of the Java agent.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-java-agent.md")]
struct FromJavaAgent;

/// And of the page for users of OpenTelemetry's API.
#[cfg(doctest)]
#[doc = include_str!("../../docs/from-opentelemetry.md")]
struct FromOpenTelemetry;

/// So is that of the page on the gate.
#[cfg(doctest)]
#[doc = include_str!("../../docs/gate.md")]
struct Gate;

/// So is that of the front page. It needs more than the core crate, which shows the page but does not compile it.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct FrontPage;

/// And the page of the audit.
#[cfg(doctest)]
#[doc = include_str!("../../docs/audit.md")]
struct AuditPage;

/// And the page on programs of other kinds.
#[cfg(doctest)]
#[doc = include_str!("../../docs/programs.md")]
struct Programs;
