//! Compression of requests, and decompression of responses.

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use tonic::codegen::Bytes;

use super::Failure;

/// Compresses a message.
pub(super) fn compressed(message: &[u8]) -> Result<Bytes, Failure> {
    #[cfg(test)]
    tests::count();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let compressed = encoder.write_all(message).and_then(|()| encoder.finish());
    compressed.map(Bytes::from).map_err(|error| Failure::Permanent(error.to_string()))
}

/// Decompresses a message, but no more than `limit` bytes of it.
pub(super) fn decompressed(message: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    MultiGzDecoder::new(message).take(limit as u64).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use opentelemetry_sdk::Resource;
    use tokio::net::TcpListener;

    use super::super::OtlpExporter;
    use crate::encoding::wire::{SPANS, put_bytes};
    use crate::telemetry::config::{ExporterConfig, Protocol};
    use crate::telemetry::export::exporter::{Batch, BatchExporter as _};
    use crate::tracer::encoded::{QueuedSpans, Scopes};

    thread_local! {
        static COMPRESSED: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        COMPRESSED.set(COMPRESSED.get() + 1);
    }

    /// A batch of one span.
    pub(in super::super) fn batch(scopes: &Scopes) -> Batch<'_> {
        let mut bytes = Vec::new();
        put_bytes(&mut bytes, SPANS, &[0; 100]);
        let spans = QueuedSpans::complete(0, 1, bytes.into());
        Batch { spans: vec![spans], scopes, max_spans: 10 }
    }

    /// The server closes each connection, so that every attempt fails.
    #[test]
    fn a_request_is_compressed_once_for_all_attempts() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let mut config = ExporterConfig::default();
                let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
                config.set_collector(endpoint, protocol).expect("a URL");
                let mut config = config.otlp().expect("a valid configuration").clone();
                config.gzip = true;
                let resource = Resource::builder_empty().build();
                let exporter = OtlpExporter::new(&config, &resource).unwrap_or_else(|error| panic!("{error}"));
                let (scopes, outcomes) = (Scopes::default(), RefCell::new(Vec::new()));
                let report = |outcome| outcomes.borrow_mut().push(outcome);
                let hang_up = async {
                    for _ in 0..3 {
                        drop(listener.accept().await.expect("an attempt"));
                        exporter.retry_now.notify_one();
                    }
                };
                COMPRESSED.set(0);
                tokio::select! {
                    () = exporter.export(batch(&scopes), &report) => panic!("{:?}", outcomes.take()),
                    () = hang_up => {}
                    () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no attempt within a minute"),
                }
                assert_eq!(COMPRESSED.get(), 1, "{protocol:?}");
            });
        }
    }
}
