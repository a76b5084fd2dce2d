//! Metadata as a carrier.

use opentelemetry::{Context, KeyValue};
use tonic::metadata::MetadataMap;
use tonic::{Request, Status};

use crate::context::current;
use crate::context::origin::Origin;
use crate::propagation;
use crate::transport::http::{Headers, HeadersMut};

/// Writes the current context into metadata: for code that sends requests past a
/// [`ClientLayer`](super::ClientLayer). Metadata that is there already under the same names is
/// replaced; binary metadata is left alone.
///
/// ```
/// let mut request = tonic::Request::new("order 1001");
/// throughline::in_span("send", || throughline::grpc::inject(request.metadata_mut()));
/// ```
pub fn inject(into: &mut MetadataMap) {
    propagation::inject_context(&current::get(), &mut HeadersMut(into.as_mut()));
}

/// [`inject`] as an interceptor, for clients without a [`ClientLayer`](super::ClientLayer). There is
/// no client span then: the server's span is a child of whatever is current.
///
/// # Errors
///
/// None. The signature is `tonic`'s.
///
/// ```
/// use tonic::service::interceptor::InterceptedService;
/// use tonic::transport::Channel;
///
/// fn wrap(channel: Channel) {
///     // Or, with a generated client: `OrdersClient::with_interceptor(channel, intercept)`.
///     let channel = InterceptedService::new(channel, throughline::grpc::intercept);
///     # let _ = channel;
/// }
/// ```
pub fn intercept(mut request: Request<()>) -> Result<Request<()>, Status> {
    inject(request.metadata_mut());
    Ok(request)
}

impl Origin for MetadataMap {
    fn origin(&self) -> Context {
        propagation::extract(&Headers(self.as_ref()))
    }
}

impl<T> Origin for Request<T> {
    fn origin(&self) -> Context {
        self.metadata().origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("rpc.system.name", "grpc"));
        if let Some(peer) = self.remote_addr() {
            attributes.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
            attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
        }
    }
}
