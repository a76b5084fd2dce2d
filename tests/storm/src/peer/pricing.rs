//! Pricing.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use axum_tracing_opentelemetry::middleware::{OtelAxumLayer, OtelInResponseLayer};
use http::StatusCode;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, Span, instrument};

use super::cached;
use crate::facts::{Order, Step};
use crate::plan::{Plan, fault};
use crate::service::{PLANNED_PANIC, Service};
use crate::store::Cache;

pub(super) async fn play(service: Service) {
    let cache = Arc::new(Cache::connect(&service.config).await);
    let router = Router::new()
        .route("/quote", post(handle))
        .layer(OtelInResponseLayer)
        .layer(OtelAxumLayer::default())
        .with_state(cache);
    let listener = service.listen().await;
    axum::serve(listener, router).with_graceful_shutdown(service.stopped()).await.expect("it serves");
}

async fn handle(State(cache): State<Arc<Cache>>, body: String) -> Result<String, StatusCode> {
    let order = Order::parse(&body).ok_or(StatusCode::BAD_REQUEST)?;
    quote(&cache, Step::begin("pricing.quote", order, "server,client"), order).await;
    Ok("1.00".to_owned())
}

#[instrument(
    name = "pricing.quote",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn quote(cache: &Cache, step: Step, order: Order) {
    if order.first_has(fault::TIMEOUT) {
        // The caller gives up waiting, and this is dropped.
        let _ = timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
    }
    cached(cache, &step, "price").await;
    let work = estimate(step.below("pricing.estimate"), order);
    let estimated = tokio::spawn(work.instrument(Span::current())).await;
    assert_eq!(estimated.is_err(), order.has(fault::PANIC));
    let (span, ranked) = (Span::current(), step.below("pricing.rank"));
    rayon::spawn(move || span.in_scope(|| rank(ranked, order)));
    if order.has(fault::RACE) {
        tokio::select! {
            biased;
            () = slow(step.below("pricing.slow"), order) => {}
            () = fast(step.below("pricing.fast"), order) => {}
        }
    }
    step.done();
}

#[instrument(
    name = "pricing.estimate",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn estimate(step: Step, order: Order) {
    tokio::task::yield_now().await;
    assert!(!order.has(fault::PANIC), "{PLANNED_PANIC}");
    step.done();
}

/// A detached job in rayon's pool, which shares its work with another thread of it.
#[instrument(
    name = "pricing.rank",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn rank(step: Step, order: Order) {
    let (span, weighed, measured) = (Span::current(), step.below("pricing.weigh"), step.below("pricing.measure"));
    rayon::join(|| span.in_scope(|| weigh(weighed, order)), || span.in_scope(|| measure(measured, order)));
    step.done();
}

#[instrument(
    name = "pricing.weigh",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn weigh(step: Step, order: Order) {
    step.done();
}

#[instrument(
    name = "pricing.measure",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn measure(step: Step, order: Order) {
    step.done();
}

#[instrument(
    name = "pricing.fast",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn fast(step: Step, order: Order) {
    sleep(Duration::from_millis(1)).await;
    step.done();
}

#[instrument(
    name = "pricing.slow",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn slow(step: Step, order: Order) {
    sleep(Duration::from_secs(60)).await;
    step.done();
}
