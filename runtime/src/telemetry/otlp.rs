//! The exporter to a collector.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_otlp::{
    Compression, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tonic::metadata::{MetadataKey, MetadataMap};
use tonic::transport::Endpoint;

use super::InitError;
use super::env::{Otlp, Protocol};

/// A batch is tried for as long as there may be an outage: what bounds the wait is the queue.
const PATIENCE: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Must be called in the runtime that the exporter is to live in.
pub(super) fn exporter(otlp: &Otlp, resource: &Resource) -> Result<SpanExporter, InitError> {
    // Errors that come back in spite of this are those that would come again.
    let retry = RetryPolicy::recommended().with_max_retries(usize::MAX).with_max_delay(Duration::from_secs(5));
    let wrong = |why: String| InitError::exporter(&otlp.endpoint, why);
    // It would be tried in vain for ever.
    if otlp.endpoint.starts_with("https://") {
        return Err(wrong("there is no TLS here; give `Builder::exporter` an exporter that has it".to_owned()));
    }
    let mut exporter = match otlp.protocol {
        Protocol::Grpc => {
            let endpoint = Endpoint::from_shared(otlp.endpoint.clone()).map_err(|error| wrong(error.to_string()))?;
            // Our own channel, because the exporter's time limit is that of all its tries.
            let endpoint = endpoint.timeout(otlp.timeout).connect_timeout(otlp.timeout);
            let mut builder = SpanExporter::builder()
                .with_tonic()
                .with_channel(endpoint.connect_lazy())
                .with_metadata(metadata(&otlp.headers))
                .with_timeout(PATIENCE)
                .with_retry_policy(retry);
            if otlp.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build().map_err(|error| wrong(error.to_string()))?
        }
        Protocol::HttpProtobuf => {
            let client =
                reqwest::Client::builder().timeout(otlp.timeout).build().map_err(|error| wrong(error.to_string()))?;
            let mut builder = SpanExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_endpoint(&otlp.endpoint)
                .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
                .with_headers(HashMap::from_iter(otlp.headers.iter().cloned()))
                .with_timeout(PATIENCE)
                .with_retry_policy(retry);
            if otlp.gzip {
                builder = builder.with_compression(Compression::Gzip);
            }
            builder.build().map_err(|error| wrong(error.to_string()))?
        }
    };
    exporter.set_resource(resource);
    Ok(exporter)
}

fn metadata(headers: &[(String, String)]) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    for (name, value) in headers {
        // Both were looked at when they were read.
        if let (Ok(name), Ok(value)) = (MetadataKey::from_bytes(name.as_bytes()), value.parse()) {
            metadata.insert(name, value);
        }
    }
    metadata
}
