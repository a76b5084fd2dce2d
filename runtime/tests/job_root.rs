//! A job that is declared to begin a trace says so in what is exported, also where this process has no audit: that of a
//! dump needs to tell it from a job that has lost its parent. Only the default features are needed here, and the tests
//! of the workspace enable all of them, so `.ci/run features` runs this one by itself.
#![cfg(feature = "tokio")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use throughline::traced_spawn;

#[derive(Debug, Clone, Default)]
struct Ended(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Ended {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[traced_spawn(root)]
async fn nightly() {}

#[traced_spawn(link)]
async fn refresh() {}

#[traced_spawn]
async fn receipt() {}

#[tokio::test]
async fn a_job_that_begins_a_trace_says_so_without_the_feature_audit() {
    let ended = Ended::default();
    throughline::install(&SdkTracerProvider::builder().with_span_processor(ended.clone()).build());
    nightly().await.unwrap();
    refresh().await.unwrap();
    receipt().await.unwrap();
    let ended = ended.0.lock().unwrap();
    let declared = KeyValue::new("throughline.job.root", true);
    let is_declared = ended.iter().map(|span| (&*span.name, span.attributes.contains(&declared)));
    assert_eq!(is_declared.collect::<Vec<_>>(), [("nightly", true), ("refresh", true), ("receipt", false)]);
}
