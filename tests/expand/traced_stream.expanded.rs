// What the compiler gets for `traced_stream.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use futures::Stream;
use futures::stream::{self, BoxStream};
use throughline::traced;
fn pages(upto: u64) -> impl Stream<Item = u64> {
    ::throughline::__private::start_untagged(
            &const {
                ::throughline::__private::callsite(
                    "pages",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::pages"
                    ),
                )
            },
        )
        .stream(
            move || -> _ {
                {
                    let upto = upto;
                    '__body: { stream::iter(0..upto) }
                }
            },
            move |__result: &u64| ::throughline::__private::inspect(__result).__display(),
        )
}
fn boxed(upto: u64) -> BoxStream<'static, u64> {
    ::throughline::__private::Box::pin(
        ::throughline::__private::start_untagged(
                &const {
                    ::throughline::__private::callsite(
                        "boxed",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::boxed"
                        ),
                    )
                },
            )
            .stream(
                move || -> BoxStream<'static, u64> {
                    let upto = upto;
                    match () {
                        () => Box::pin(stream::iter(0..upto)),
                    }
                },
                move |__result| ::throughline::__private::inspect(__result).__display(),
            ),
    )
}
async fn subscribe(topic: String) -> impl Stream<Item = u8> {
    ::throughline::__private::start_untagged(
            &const {
                ::throughline::__private::callsite(
                    "subscribe",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::subscribe"
                    ),
                )
            },
        )
        .stream_after(
            async move {
                {
                    let topic = topic;
                    '__body: { stream::iter(topic.into_bytes()) }
                }
            },
            move |__result: &u8| ::throughline::__private::inspect(__result).__display(),
        )
        .await
}
