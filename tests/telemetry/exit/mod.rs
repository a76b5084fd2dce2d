//! Shutdown: all spans are accounted for, and nothing blocks the process beyond the limit.

mod concurrent;
mod exporters;
mod jobs;
mod limits;
mod process_end;
mod roles;

pub(crate) use roles::play;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A timeout that is reached. A quarter of it is enough to export a few spans.
pub(crate) const SHORT: Duration = Duration::from_secs(4);

/// Polls once: a shutdown has then begun, and no later signal is missed.
pub(crate) async fn begin(mut future: Pin<&mut impl Future>) {
    assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await);
}
