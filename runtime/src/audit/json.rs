//! A report as JSON, in the schema that `docs/audit.md` documents.

use opentelemetry::trace::SpanId;
use opentelemetry::{Array, Value as Attribute};
use serde_json::{Map, Value, json};

use super::judge::kind_name;
use super::model::{Place, Span};
use super::report::{Break, BrokenTrace, Counts, EntryReport, Report, ServiceReport, Skipped};

/// The version of the schema. Members may be added without a new one.
const SCHEMA: &str = "throughline.audit/1";

impl Report {
    /// Returns the report as JSON, in the schema that `docs/audit.md` documents.
    pub fn to_json(&self) -> Value {
        json!({
            "schema": SCHEMA,
            "total": counts(&self.total),
            "services": self.services.iter().map(service).collect::<Vec<_>>(),
            "breaks": self.breaks.iter().map(found).collect::<Vec<_>>(),
            "traces": self.traces.iter().map(trace).collect::<Vec<_>>(),
            "skipped": skipped(&self.skipped),
        })
    }
}

fn counts(counts: &Counts) -> Value {
    json!({
        "traces": counts.traces,
        "spans": counts.spans,
        "complete": counts.complete,
        "completeness": counts.completeness(),
    })
}

fn service(service: &ServiceReport) -> Value {
    json!({
        "name": &*service.name,
        "counts": counts(&service.counts),
        "breaks": service.breaks,
        "entries": service.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn entry(entry: &EntryReport) -> Value {
    json!({
        "name": &*entry.name,
        "kind": kind_name(&entry.kind),
        "counts": counts(&entry.counts),
        "breaks": entry.breaks,
    })
}

fn found(found: &Break) -> Value {
    let examples = found.examples.iter().map(|example| {
        json!({
            "trace_id": example.trace_id.map(|id| id.to_string()),
            "span_ids": example.spans.iter().map(SpanId::to_string).collect::<Vec<_>>(),
            "detail": example.detail,
        })
    });
    json!({
        "kind": found.kind.name(),
        "breaks_the_tree": found.kind.breaks_the_tree(),
        "service": &*found.service,
        "entry": &*found.entry,
        "span": &*found.span,
        "subject": found.subject.as_deref(),
        "place": found.place.as_deref().map(place),
        "count": found.count,
        "examples": examples.collect::<Vec<_>>(),
    })
}

fn place(place: &Place) -> Value {
    json!({ "file": &*place.file, "line": place.line, "function": place.function.as_deref() })
}

fn trace(trace: &BrokenTrace) -> Value {
    let marks = trace.marks.iter();
    let marks = marks.map(|mark| json!({ "kind": mark.kind.name(), "span": mark.span, "detail": mark.detail }));
    json!({
        "trace_id": trace.trace_id.to_string(),
        "spans": trace.spans.iter().map(span).collect::<Vec<_>>(),
        "spans_left_out": trace.spans_left_out,
        "marks": marks.collect::<Vec<_>>(),
    })
}

fn span(span: &Span) -> Value {
    let attributes = span.attributes.iter().map(|attribute| (attribute.key.to_string(), value(&attribute.value)));
    json!({
        "service": &*span.service,
        "name": &*span.name,
        "kind": kind_name(&span.kind),
        "span_id": span.span_id.to_string(),
        "parent_id": span.parent_id.map(|id| id.to_string()),
        // As text, because many programs read JSON numbers with only 53 bits of precision.
        "start_unix_nano": span.start.to_string(),
        "end_unix_nano": span.end.map(|end| end.to_string()),
        "is_error": span.is_error,
        "place": span.code_place().as_deref().map(place),
        "attributes": attributes.collect::<Map<_, _>>(),
        "links": span.links.iter().map(|link| {
            json!({ "trace_id": link.trace_id.to_string(), "span_id": link.span_id.to_string() })
        }).collect::<Vec<_>>(),
    })
}

fn value(value: &Attribute) -> Value {
    match value {
        Attribute::Bool(value) => json!(value),
        Attribute::I64(value) => json!(value),
        Attribute::F64(value) => json!(value),
        Attribute::Array(Array::Bool(values)) => json!(values),
        Attribute::Array(Array::I64(values)) => json!(values),
        Attribute::Array(Array::F64(values)) => json!(values),
        other => json!(other.as_str()),
    }
}

fn skipped(skipped: &Skipped) -> Value {
    json!({
        "traces_given_up": skipped.traces_given_up,
        "traces_pending": skipped.traces_pending,
        "spans_late": skipped.spans_late,
        "traces_late": skipped.traces_late,
    })
}
