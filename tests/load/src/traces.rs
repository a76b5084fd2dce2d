//! Counts the traces and spans that have arrived, and those that are complete.

use std::collections::{HashMap, HashSet};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};

/// The attribute with the number of spans of the whole trace, on each of them.
pub const EXPECTED: &str = "load.spans";

/// The traces that have arrived.
#[derive(Debug, Default)]
pub struct Traces(HashMap<u128, Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    expected: usize,
    spans: HashSet<u64>,
    parents: HashSet<u64>,
    duplicates: u64,
}

/// The numbers of traces and spans that have arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Traces with at least one span.
    pub traces: u64,
    /// Traces with all spans, and with the parent of each span except the root.
    pub complete: u64,
    /// Distinct spans.
    pub spans: u64,
    /// Spans that arrived more than once.
    pub duplicates: u64,
}

/// A span as it is stored in a file.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// The trace ID.
    pub trace: u128,
    /// The span ID.
    pub span: u64,
    /// The span ID of the parent; zero if there is none.
    pub parent: u64,
    /// The number of spans of the trace.
    pub expected: u32,
}

impl Line {
    /// The length of the encoded form.
    pub const BYTES: usize = 36;

    fn of(span: &Span) -> Self {
        let id = |bytes: &[u8]| bytes.iter().fold(0u128, |id, &byte| id << 8 | u128::from(byte));
        let short = |bytes: &[u8]| u64::try_from(id(bytes)).unwrap_or_default();
        let expected = span.attributes.iter().find(|attribute| attribute.key == EXPECTED);
        let expected = match expected.and_then(|attribute| attribute.value.as_ref()?.value.as_ref()) {
            Some(Value::IntValue(count)) => u32::try_from(*count).unwrap_or_default(),
            _ => 0,
        };
        Self { trace: id(&span.trace_id), span: short(&span.span_id), parent: short(&span.parent_span_id), expected }
    }

    /// Converts all spans.
    pub fn all(spans: &[ResourceSpans]) -> impl Iterator<Item = Self> {
        spans.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans).map(Self::of)
    }

    /// Encodes the span.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.trace.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.parent.to_le_bytes());
        bytes[32..].copy_from_slice(&self.expected.to_le_bytes());
        bytes
    }

    /// Decodes a span.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            let mut part = [0; N];
            part.copy_from_slice(&bytes[at..at + N]);
            part
        }
        Self {
            trace: u128::from_le_bytes(part(bytes, 0)),
            span: u64::from_le_bytes(part(bytes, 16)),
            parent: u64::from_le_bytes(part(bytes, 24)),
            expected: u32::from_le_bytes(part(bytes, 32)),
        }
    }
}

impl Traces {
    /// Adds spans that have arrived.
    pub fn add(&mut self, lines: impl IntoIterator<Item = Line>) {
        for line in lines {
            let trace = self.0.entry(line.trace).or_default();
            trace.expected = line.expected as usize;
            if trace.spans.insert(line.span) {
                trace.parents.insert(line.parent);
            } else {
                trace.duplicates += 1;
            }
        }
    }

    /// Counts the spans and traces.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for trace in self.0.values() {
            tally.traces += 1;
            tally.spans += trace.spans.len() as u64;
            tally.duplicates += trace.duplicates;
            // Every parent has to be there, except for that of the root, which is zero.
            let orphans = trace.parents.iter().filter(|parent| **parent != 0 && !trace.spans.contains(parent)).count();
            let rooted = trace.parents.contains(&0);
            tally.complete += u64::from(trace.spans.len() == trace.expected && orphans == 0 && rooted);
        }
        tally
    }
}
