//! Signals that terminate the process.

/// Waits for a request to terminate the process: SIGTERM or Ctrl-C (SIGINT); on Windows, Ctrl-C.
///
/// Each call waits for a signal that arrives after it was first polled, so a second call waits for a second signal.
///
/// # Cancel safety
///
/// This function is cancel safe. As with [`tokio::signal`], the first call replaces the default action of the signals
/// for the rest of the process: after that, they no longer terminate it.
///
/// # Panics
///
/// Panics if called outside a Tokio runtime, or on one whose I/O driver is not enabled.
pub async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // No handler could be registered, so there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use std::future::poll_fn;
        use std::pin::pin;
        use std::task::Poll;

        use tokio::signal::unix::{SignalKind, signal};

        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut stream) => drop(stream.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        let (mut interrupt, mut terminate) = (pin!(interrupt), pin!(terminate));
        poll_fn(|cx| {
            let received = interrupt.as_mut().poll(cx).is_ready() || terminate.as_mut().poll(cx).is_ready();
            if received { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    #[cfg(not(unix))]
    interrupt.await;
}
