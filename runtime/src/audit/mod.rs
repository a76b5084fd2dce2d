//! The completeness audit: whether traces are whole, and if not, where they break and why.
//!
//! An [`Audit`] examines finished spans from any tracer: the spans of a test, of a file written by a collector, or of
//! this process while it runs (`telemetry::builder().audit(..)`). Its [`Report`] has the number of traces and spans and
//! the share of complete traces for each service and each entry point, and every [`Break`] with its source location.
//!
//! A trace is *complete* if its spans form one connected tree in which every parent is present and every span has
//! ended. `docs/audit.md` has a section for each [kind of break](BreakKind), with its usual cause and the change that
//! fixes it.
//!
//! ```
//! use throughline::audit::{Audit, BreakKind, Rules, Span};
//!
//! let trace = 0x4bf9_u128.into();
//! let root = Span::new(trace, 1.into(), "GET /orders");
//! let mut child = Span::new(trace, 3.into(), "load order");
//! child.parent_id = Some(2.into()); // which was never exported
//!
//! let mut audit = Audit::new(Rules::new());
//! audit.push(root);
//! audit.push(child);
//! let report = audit.finish();
//! assert_eq!(report.count(BreakKind::MissingParent), 1);
//! assert_eq!(report.total.completeness(), 0.0);
//! println!("{report}");
//! ```

#[cfg(feature = "otlp")]
mod decode;
mod json;
mod judge;
mod kind;
#[cfg(feature = "otlp")]
mod live;
#[cfg(feature = "otlp")]
mod metrics;
mod model;
mod report;
mod rules;
mod sdk;
mod tally;
#[cfg(test)]
mod tests;
mod text;
mod tree;
mod window;

pub use self::kind::{BreakKind, UnknownBreak};
#[cfg(feature = "otlp")]
pub use self::live::LiveAudit;
pub use self::model::{Event, Link, Place, Span};
pub use self::report::{Break, BrokenTrace, Counts, EntryReport, Example, Mark, Report, ServiceReport, Skipped};
pub use self::rules::Rules;
#[cfg(feature = "audit-page")]
pub(crate) use self::text::{displayed, plural_ending};
pub use self::window::Audit;
