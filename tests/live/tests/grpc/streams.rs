//! Streams of requests and of responses.

use futures::Stream;
use futures::stream::{self, StreamExt as _};
use throughline::testing::Capture;
use throughline::{in_span, in_span_async};
use tonic::Code;

use crate::{Shop, all, code, lines, one, pair};

/// Messages, each created in a span of its own.
fn made(count: usize) -> impl Stream<Item = String> + Send + 'static {
    stream::iter(0..count).map(|number| in_span("make", || number.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_all_kinds_have_one_span_on_each_side() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let calls = in_span_async("calls", async {
        assert_eq!(client.collect(made(3)).await.unwrap(), "3");

        let mut updates = client.watch("order").await.unwrap();
        assert!(capture.named("shop.Orders/Watch").is_empty(), "the headers are not the end of the call");
        let mut seen = 0;
        while updates.message().await.unwrap().is_some() {
            seen += 1;
        }
        assert_eq!((seen, capture.named("shop.Orders/Watch").len()), (2, 1));

        let answers: Vec<_> = client.chat(made(4)).await.unwrap().collect().await;
        assert!(answers.len() == 4 && answers.iter().all(Result::is_ok));
    });
    capture.run_async(calls).await;
    drop(client);

    let here = lines(&capture);
    let there = shop.peer.stop();
    for (method, made, loaded) in [("Collect", 3, 3), ("Watch", 0, 2), ("Chat", 4, 4)] {
        let (client, server) = pair(&here, &there, &format!("shop.Orders/{method}"));
        assert!(client.is_child_of(one(&here, "calls")));
        assert_eq!((code(client), code(server)), ("OK", "OK"));
        // The client's connection polls the stream of requests, and the server's the stream of responses, both in the
        // context of the call.
        assert_eq!(all(&here, "make").iter().filter(|make| make.is_child_of(client)).count(), made);
        assert_eq!(all(&there, "load").iter().filter(|load| load.is_child_of(server)).count(), loaded);
    }
    assert_eq!((here.len(), there.len()), (4 + 7, 3 + 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_fails_half_way_has_the_status_of_its_trailers() {
    let shop = Shop::open("internal");
    let capture = Capture::new();
    let client = shop.client();
    let failed = capture.run_async(async {
        let mut updates = client.watch("corrupt").await.unwrap();
        (updates.message().await.is_ok(), updates.message().await.is_ok(), updates.message().await.unwrap_err().code())
    });
    assert_eq!(failed.await, (true, true, Code::DataLoss));
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (client, server) = pair(&here, &there, "shop.Orders/Watch");
    for span in [client, server] {
        assert_eq!((code(span), span.status.as_str()), ("DATA_LOSS", "error: half a page"));
    }
}
