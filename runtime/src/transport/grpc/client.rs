//! Calls that go out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use http::{Request, Response, Uri};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::Context;
use opentelemetry::trace::SpanKind;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::call::{Call, ResponseBody, ResponseFuture};
use super::status::Side;
use super::target;
use crate::context::current;
use crate::propagation::{self, SendBaggage};
use crate::span::builder::SpanBuilder;
use crate::span::handle::{Span, is_off};
use crate::transport::http::HeadersMut;

/// Opens a client span for each gRPC call, and sends the context along.
///
/// It goes around a [`Channel`](tonic::transport::Channel) or another service that takes its
/// requests. What stands above it in the stack may call it several times for one call of the user's:
/// each retry is a span of its own. What hands requests to a task of its own, as `tower::buffer` does,
/// goes below it: nothing is current there. Neither back-pressure nor errors change.
///
/// ```no_run
/// use throughline::grpc::ClientLayer;
/// use tonic::transport::Channel;
/// use tower::ServiceBuilder;
///
/// # async fn example() -> Result<(), tonic::transport::Error> {
/// let channel = Channel::from_static("http://orders:50051").connect().await?;
/// let channel = ServiceBuilder::new().layer(ClientLayer::new()).service(channel);
/// // let client = OrdersClient::new(channel);
/// # let _ = channel;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClientLayer {
    server: Option<(Arc<str>, Option<u16>)>,
    /// The keys of the baggage that is sent; all, if not said.
    baggage: Option<SendBaggage>,
}

impl ClientLayer {
    /// A layer that knows no more than the requests tell.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the server that the channel leads to, for `server.address` and `server.port`: a request
    /// does not know it before it is in the channel. Give it the URI of the endpoint,
    /// [`Endpoint::uri`](tonic::transport::Endpoint::uri). A request with a server of its own
    /// (`OrdersClient::with_origin`) goes before it.
    #[must_use]
    pub fn server(mut self, uri: &Uri) -> Self {
        self.server = target::server_of(uri).map(|(host, port)| (host.into(), port));
        self
    }

    /// Sends of the baggage only the members with these keys: for a channel to a third party. All, if not
    /// called. A single call is kept shorter by [`SendBaggage`] in the extensions of its `tonic::Request`.
    #[must_use]
    pub fn baggage<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.baggage = Some(SendBaggage::only(keys));
        self
    }

    /// Sends no baggage.
    #[must_use]
    pub fn no_baggage(mut self) -> Self {
        self.baggage = Some(SendBaggage::none());
        self
    }

    fn inject(&self, context: &Context, request: &mut Request<tonic::body::Body>) {
        let asked_for = request.extensions().get::<SendBaggage>().cloned();
        let limits = [self.baggage.as_ref(), asked_for.as_ref()];
        let sent = |key: &str| limits.iter().flatten().all(|only| only.has(key));
        propagation::get().inject_filtered(context, &sent, &mut HeadersMut(request.headers_mut()));
    }

    fn open<B>(&self, request: &Request<B>) -> Call {
        if current::with(is_off) {
            return Call::none(Side::Client);
        }
        let path = request.uri().path();
        let method = target::method(path);
        let builder = method.map_or_else(|| SpanBuilder::new("grpc"), |method| SpanBuilder::new(method.to_owned()));
        let span = builder.kind(SpanKind::Client).start_with(|tags| {
            target::describe(tags, method, path);
            let port = if let Some((host, port)) = target::server_of(request.uri()) {
                tags.attribute("server.address", host.to_owned());
                port
            } else if let Some((host, port)) = &self.server {
                tags.attribute("server.address", Arc::clone(host));
                *port
            } else {
                None
            };
            if let Some(port) = port {
                tags.attribute("server.port", i64::from(port));
            }
        });
        let timeout = span.is_recording().then(|| target::timeout(request.headers())).flatten();
        Call::new(span, Side::Client, timeout)
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> ClientService<S> {
        ClientService { inner, layer: self.clone() }
    }
}

/// A channel whose calls have client spans. Made by [`ClientLayer`].
#[derive(Debug, Clone)]
pub struct ClientService<S> {
    inner: S,
    layer: ClientLayer,
}

impl<S, ResBody> Service<Request<tonic::body::Body>> for ClientService<S>
where
    S: Service<Request<tonic::body::Body>, Response = Response<ResBody>>,
    S::Error: 'static,
    ResBody: Body,
{
    type Response = Response<ResponseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<tonic::body::Body>) -> Self::Future {
        let mut call = self.layer.open(&request);
        let context = context_of(call.span());
        self.layer.inject(&context, &mut request);
        let request = request.map(|body| RequestBody::wrap(body, context));
        let inner = call.run(|| self.inner.call(request));
        ResponseFuture::new(inner, call)
    }
}

/// What is current in the stream of requests, which another task polls, perhaps longer than the
/// caller's span lives: of that it gets no more than the identity.
fn context_of(span: &Span) -> Context {
    span.detached_context()
}

pin_project! {
    /// The messages of a request, with the context of their call.
    struct RequestBody {
        #[pin]
        inner: Option<tonic::body::Body>,
        context: Context,
    }

    impl PinnedDrop for RequestBody {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _attached = current::attach(this.context.clone());
            this.inner.set(None);
        }
    }
}

impl RequestBody {
    fn wrap(inner: tonic::body::Body, context: Context) -> tonic::body::Body {
        // `Body::new` keeps nothing of a body without messages.
        tonic::body::Body::new(Self { inner: Some(inner), context })
    }
}

impl Body for RequestBody {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<bytes::Bytes>, tonic::Status>>> {
        let this = self.project();
        let _attached = current::attach(this.context.clone());
        this.inner.as_pin_mut().map_or(Poll::Ready(None), |inner| inner.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
