//! Pricing: over HTTP, with a cache, tasks that panic, a race, and work in rayon's pool.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use http::StatusCode;
use throughline::{traced, traced_spawn};
use throughline_http::ServerLayer;
use tokio::time::{sleep, timeout};

use super::cached;
use crate::facts::{Order, Step};
use crate::plan::fault;
use crate::service::{PLANNED_PANIC, Service};
use crate::store::Cache;

pub(super) async fn play(service: Service) {
    let cache = Arc::new(Cache::connect(&service.config).await);
    let router = Router::new().route("/quote", post(handle)).layer(ServerLayer::new()).with_state(cache);
    let listener = service.listen().await;
    axum::serve(listener, router).with_graceful_shutdown(service.stopped()).await.expect("it serves");
}

async fn handle(State(cache): State<Arc<Cache>>, body: String) -> Result<String, StatusCode> {
    let order = Order::parse(&body).ok_or(StatusCode::BAD_REQUEST)?;
    quote(&cache, Step::begin("pricing.quote", order, "server,client"), order).await;
    Ok("1.00".to_owned())
}

#[traced("pricing.quote", tags("storm.step" = step.tag()))]
async fn quote(cache: &Cache, step: Step, order: Order) {
    if order.first_has(fault::TIMEOUT) {
        // The caller gives up waiting, and this is dropped.
        let _ = timeout(Duration::from_secs(60), std::future::pending::<()>()).await;
    }
    cached(cache, &step, "price").await;
    let estimated = estimate(step.below("pricing.estimate"), order).await;
    assert_eq!(estimated.is_err(), order.has(fault::PANIC));
    // The job has a span of its own.
    let ranked = step.below_by("pricing.rank", "internal");
    throughline::rayon::spawn(move || rank(ranked));
    if order.has(fault::RACE) {
        tokio::select! {
            biased;
            () = slow(step.below("pricing.slow")) => {}
            () = fast(step.below("pricing.fast")) => {}
        }
    }
    step.done();
}

#[traced_spawn("pricing.estimate", tags("storm.step" = step.tag()))]
async fn estimate(step: Step, order: Order) {
    tokio::task::yield_now().await;
    assert!(!order.has(fault::PANIC), "{PLANNED_PANIC}");
    step.done();
}

/// A detached job in rayon's pool, which shares its work with another thread of it.
#[traced("pricing.rank", tags("storm.step" = step.tag()))]
fn rank(step: Step) {
    let (weighed, measured) = (step.below("pricing.weigh"), step.below("pricing.measure"));
    throughline::rayon::join(|| weigh(weighed), || measure(measured));
    step.done();
}

#[traced("pricing.weigh", tags("storm.step" = step.tag()))]
fn weigh(step: Step) {
    step.done();
}

#[traced("pricing.measure", tags("storm.step" = step.tag()))]
fn measure(step: Step) {
    step.done();
}

#[traced("pricing.fast", tags("storm.step" = step.tag()))]
async fn fast(step: Step) {
    sleep(Duration::from_millis(1)).await;
    step.done();
}

#[traced("pricing.slow", tags("storm.step" = step.tag()))]
async fn slow(step: Step) {
    sleep(Duration::from_secs(60)).await;
    step.done();
}
