//! The spans that the collector has received, reduced to what is checked.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use throughline_load::Request;
use throughline_load::common::any_value::Value;
use throughline_load::trace::Span;
use throughline_load::trace::span::SpanKind;
use throughline_load::trace::status::StatusCode;

/// The value of [`Row::order`] and [`Row::tenant`] if there is none.
pub(crate) const NONE: u64 = u64::MAX;

/// One span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) trace: u128,
    pub(crate) id: u64,
    pub(crate) parent: u64,
    /// The step that it represents, or zero.
    pub(crate) step: u64,
    pub(crate) order: u64,
    pub(crate) tenant: u64,
    pub(crate) end: u64,
    pub(crate) kind: SpanKind,
    pub(crate) error: bool,
    pub(crate) cancelled: bool,
    /// See [`Received::name`].
    pub(crate) name: u32,
    /// The number of its process.
    pub(crate) process: u64,
}

/// All that has arrived.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) rows: Vec<Row>,
    /// The links of spans that represent a step, by step.
    pub(crate) links: HashMap<u64, Vec<(u128, u64)>>,
    pub(crate) duplicates: u64,
    seen: HashSet<u64>,
    names: HashMap<String, u32>,
}

/// The destination of the collector's spans.
#[derive(Debug, Default)]
pub(crate) struct Inbox(Mutex<Received>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Received> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the spans of one export request.
    pub(crate) fn accept(&self, request: &Request) {
        let mut received = self.lock();
        for resource in &request.spans {
            let attributes = resource.resource.iter().flat_map(|resource| &resource.attributes);
            let value =
                attributes.filter(|attribute| attribute.key == "storm.process").find_map(|it| it.value.as_ref());
            let process = number(value.and_then(|value| value.value.as_ref())).unwrap_or_default();
            let spans = resource.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.for_each(|span| received.add(span, process));
        }
    }

    /// Takes everything.
    pub(crate) fn take(&self) -> Received {
        std::mem::take(&mut *self.lock())
    }
}

fn id(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |id, &byte| id << 8 | u128::from(byte))
}

fn short(bytes: &[u8]) -> u64 {
    u64::try_from(id(bytes)).unwrap_or_default()
}

/// An integer, or a number as text, with an optional `t` in front.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::IntValue(number) => u64::try_from(*number).ok(),
        Value::StringValue(text) => text.trim_start_matches('t').parse().ok(),
        _ => None,
    }
}

impl Received {
    #[cfg(test)]
    pub(crate) fn of(rows: Vec<Row>, links: HashMap<u64, Vec<(u128, u64)>>) -> Self {
        Self { rows, links, ..Self::default() }
    }

    fn add(&mut self, span: &Span, process: u64) {
        let span_id = short(&span.span_id);
        if !self.seen.insert(span_id) {
            self.duplicates += 1;
            return;
        }
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let name = match self.names.get(&span.name) {
            Some(name) => *name,
            None => *self.names.entry(span.name.clone()).or_insert(next),
        };
        let status = span.status.as_ref().map_or(StatusCode::Unset, throughline_load::trace::Status::code);
        let mut row = Row {
            trace: id(&span.trace_id),
            id: span_id,
            parent: short(&span.parent_span_id),
            step: 0,
            order: NONE,
            tenant: NONE,
            end: span.end_time_unix_nano,
            kind: span.kind(),
            error: status == StatusCode::Error,
            cancelled: false,
            name,
            process,
        };
        for attribute in &span.attributes {
            let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
            match attribute.key.as_str() {
                "storm.step" => row.step = number(value).unwrap_or(NONE),
                "order_no" => row.order = number(value).unwrap_or(NONE),
                "tenant_id" => row.tenant = number(value).unwrap_or(NONE),
                "throughline.cancelled" => row.cancelled = true,
                _ => {}
            }
        }
        if row.step != 0 && !span.links.is_empty() {
            let links = span.links.iter().map(|link| (id(&link.trace_id), short(&link.span_id)));
            self.links.insert(row.step, links.collect());
        }
        self.rows.push(row);
    }

    /// The spans of all traces of a request, one line each.
    pub(crate) fn show(&self, request: u64) -> Vec<String> {
        let traces: HashSet<u128> =
            self.rows.iter().filter(|row| row.order == request && row.step != 0).map(|row| row.trace).collect();
        let rows = self.rows.iter().filter(|row| traces.contains(&row.trace));
        let line = |row: &Row| {
            let Row { trace, id, parent, step, kind, .. } = row;
            format!("{trace:032x} {id:016x} below {parent:016x} {} {kind:?} step {step}", self.name(row))
        };
        let mut lines: Vec<String> = rows.map(line).collect();
        lines.sort();
        lines
    }

    /// The name of a span.
    pub(crate) fn name(&self, row: &Row) -> &str {
        self.names.iter().find(|(_, name)| **name == row.name).map_or("", |(text, _)| text)
    }
}
