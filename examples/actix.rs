//! A web framework without a layer, here actix-web: the middleware is a single function.
//!
//! ```text
//! cargo run --example actix --features actix
//! ```
//!
//! Its span continues the trace of the request's headers, and is named after the route template. The spans of
//! `#[traced]` functions are below it, and the tags of `#[biz_tags]` are on their spans and log lines.

use std::error::Error;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::ErrorInternalServerError;
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, Responder, web};
use throughline::console::Console;
use throughline::propagation::{self, Pairs};
use throughline::telemetry::TracerProvider;
use throughline::{SpanKind, biz_tags, traced};
use throughline_reqwest::RequestBuilderExt as _;

/// The middleware. For untrusted callers, use `.root().link(&caller)` instead of `.parent(&caller)`.
async fn server_span(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    // All of them: a header may occur more than once.
    let headers: Vec<_> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
    let caller = propagation::extract(&Pairs(&headers));
    let method = request.method().to_string();
    // The route template: the path would produce a span name per order.
    let route = request.match_pattern();
    let name = route.as_ref().map_or_else(|| method.clone(), |route| format!("{method} {route}"));
    let path = request.path().to_owned();
    let mut answer = None;
    let ended = throughline::span(name)
        .kind(SpanKind::Server)
        .parent(&caller)
        .tag("http.request.method", method)
        .tag("http.route", route)
        .tag("url.path", path)
        .try_run_async(async {
            let response = next.call(request).await;
            let status = match &response {
                Ok(response) => response.status(),
                Err(error) => error.as_response_error().status_code(),
            };
            throughline::record("http.response.status_code", status.as_u16());
            answer = Some(response);
            // An error for the span only; the response is sent in any case.
            if status.is_server_error() { Err(status) } else { Ok(()) }
        })
        .await;
    answer.unwrap_or_else(|| Err(ErrorInternalServerError(format!("no answer: {ended:?}"))))
}

#[traced]
#[biz_tags(order_no = *order_no)]
async fn show(order_no: web::Path<u64>) -> impl Responder {
    match load(*order_no).await {
        Ok(order) => HttpResponse::Ok().body(order),
        Err(error) => HttpResponse::BadGateway().body(error),
    }
}

#[traced(kind = client)]
async fn load(order_no: u64) -> Result<String, String> {
    if order_no == 13 { Err("the stock does not answer".to_owned()) } else { Ok(format!("order {order_no}")) }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = HttpServer::new(|| App::new().wrap(from_fn(server_span)).route("/orders/{no}", web::get().to(show)))
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    // Runs for the lifetime of the process, so it has no span.
    let running = actix_web::rt::spawn(server);

    let client = reqwest::Client::new();
    for order_no in [7, 13] {
        let answer = client.get(format!("http://{address}/orders/{order_no}")).send_traced().await?;
        println!("{}: {}", answer.status(), answer.text().await?);
    }
    handle.stop(true).await;
    running.await??;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);
    actix_web::rt::System::new().block_on(run())?;
    provider.shutdown()?;
    Ok(())
}
