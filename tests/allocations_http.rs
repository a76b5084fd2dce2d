//! The number of allocations per request.

use std::convert::Infallible;
use std::future::{Future, ready};

use allocation_counter::measure;
use http::{Request, Response};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline_http::{ClientLayer, ServerLayer};
use tower::{Layer, Service, service_fn};

const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn now<F: Future>(future: F) -> F::Output {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut cx) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// The number of allocations of a call, without those for creating the request.
fn allocations<S, R>(mut service: S) -> u64
where
    S: Service<Request<()>, Response = Response<R>, Error = Infallible>,
{
    let request = || {
        let request = Request::get("http://shop.example/orders/7").header("host", "shop.example");
        request.header("traceparent", NOT_SAMPLED).body(()).expect("a request")
    };
    // The first request fills the thread's pools.
    drop(now(service.call(request())));
    let request = request();
    measure(|| drop(now(service.call(request)))).count_total
}

fn bare() -> impl Service<Request<()>, Response = Response<String>, Error = Infallible> + Clone {
    service_fn(|_| ready(Ok(Response::new(String::new()))))
}

#[test]
fn an_unsampled_request_takes_few() {
    assert_eq!(allocations(bare()), 0, "the service itself does not allocate");
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let (server, client) =
        capture.run(|| (allocations(ServerLayer::new().layer(bare())), allocations(ClientLayer::new().layer(bare()))));
    println!("server {server}, client {client}");
    assert!(server <= 30, "a server takes {server}");
    assert!(client <= 20, "a client takes {client}");
}

#[test]
fn a_request_without_an_sdk_takes_few() {
    let server = allocations(ServerLayer::new().layer(bare()));
    let client = allocations(ClientLayer::new().layer(bare()));
    println!("server {server}, client {client}");
    assert!(server <= 30, "a server takes {server}");
    assert!(client <= 20, "a client takes {client}");
}
