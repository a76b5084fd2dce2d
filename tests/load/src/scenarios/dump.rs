//! An OTLP dump, to measure `throughline audit`.

use std::io::{self, BufWriter, Write as _};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;

use super::Checks;
use crate::common::{AnyValue, KeyValue, any_value::Value};
use crate::resource::Resource;
use crate::trace::{ResourceSpans, ScopeSpans, Span};

/// The number of spans of a trace.
const TREE: u64 = 6;

/// The number of spans of a request, about as many as an exporter sends.
const BATCH: u64 = 85 * TREE;

/// Writes `spans` spans to standard output, in traces of six spans of two services, as length-delimited messages.
pub fn dump(spans: u64, checks: &mut Checks) {
    checks.violated += u32::from(write(spans).is_err());
}

fn write(spans: u64) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for first in (0..spans).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        let numbers = first..spans.min(first + BATCH);
        let of = |service: &str, is_its: fn(u64) -> bool| ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", Value::StringValue(service.to_owned()))],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: numbers.clone().filter(|n| is_its(n % TREE)).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        };
        let resource_spans = vec![of("orders", |at| at < 4), of("stock", |at| at >= 4)];
        out.write_all(&ExportTraceServiceRequest { resource_spans }.encode_length_delimited_to_vec())?;
    }
    out.flush()
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// An ID. IDs are spread like random ones.
fn id(number: u64) -> u64 {
    (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Span number `n`. The first three below the root are its children, and each of the last two is a child of the
/// previous span.
fn span(n: u64) -> Span {
    const NAMES: [&str; 6] = ["POST /orders", "load", "price", "GET /stock", "GET /stock", "query"];
    // The numbers in OTLP: internal, server, client.
    const KINDS: [i32; 6] = [2, 1, 1, 3, 2, 3];
    let (trace, at) = (n / TREE, n % TREE);
    let index = usize::try_from(at).unwrap_or_default();
    let parent = match at {
        0 => None,
        1..=3 => Some(n - at),
        _ => Some(n - 1),
    };
    let start = 1_700_000_000_000_000_000 + trace * 1_000_000 + at * 1_000;
    let text = |text: &str| Value::StringValue(text.to_owned());
    Span {
        trace_id: (u128::from(id(trace)) << 64 | u128::from(!id(trace))).to_be_bytes().to_vec(),
        span_id: id(n).to_be_bytes().to_vec(),
        parent_span_id: parent.map_or_else(Vec::new, |parent| id(parent).to_be_bytes().to_vec()),
        // Sampled; whether the parent is remote is known.
        flags: 0x101 | if at == 4 { 0x200 } else { 0 },
        name: NAMES[index].to_owned(),
        kind: KINDS[index],
        start_time_unix_nano: start,
        end_time_unix_nano: start + 900_000 - at * 2_000,
        attributes: vec![
            attribute("code.file.path", text("src/orders.rs")),
            attribute("code.line.number", Value::IntValue(100 + i64::try_from(at).unwrap_or_default())),
            attribute("code.function.name", text("orders::place")),
            attribute("tenant_id", text(["acme", "globex", "initech"][usize::try_from(trace % 3).unwrap_or_default()])),
            attribute("order_no", Value::IntValue(i64::try_from(trace).unwrap_or_default())),
            attribute("server.address", text("stock.internal")),
        ],
        ..Span::default()
    }
}
