// What the compiler gets for `traced_options.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use opentelemetry::Context;
use throughline::traced;
struct Message {
    context: Context,
    body: String,
}
fn receive(message: Message, others: &[Context], attempt: u32) -> Result<usize, String> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                        "place order",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::receive"
                        ),
                    )
                    .kind(::throughline::__private::SpanKind::Consumer)
            },
        )
        .with(|span| span.parent(&message.context))
        .with(|span| span.links(&*others))
        .start(|tags| {
            tags.add(
                "length",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::value(&message.body.len()),
                ),
            );
            tags.add(
                "attempt",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::value(&attempt),
                ),
            );
        })
        .run(
            move || -> Result<usize, String> {
                #[allow(clippy::shadow_reuse, clippy::shadow_same)]
                let (message, attempt) = (message, attempt);
                let (_, _) = (&message, &attempt);
                match () {
                    () => Ok(message.body.len() + others.len()),
                }
            },
            move |result| {
                ::throughline::__private::seen(result)
                    .debug()
                    .returned(
                        ::throughline::__private::seen(result)
                            .ok()
                            .and_then(|value| ::throughline::__private::value(value)),
                    )
            },
        )
}
#[allow(clippy::async_yields_async)]
async fn every_hour(before: &Context) -> Option<u64> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "every_hour",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::every_hour"
                    ),
                )
            },
        )
        .root()
        .with(|span| span.link(&before))
        .start(|_| {})
        .future(
            async move {
                if false {
                    return ::throughline::__private::returns::<Option<u64>>();
                }
                match () {
                    () => before.get::<u64>().copied(),
                }
            },
            move |result| {
                ::throughline::__private::seen(result)
                    .off()
                    .returned(
                        ::throughline::__private::seen(result)
                            .ok()
                            .and_then(|value| ::throughline::__private::debug(value)),
                    )
            },
        )
        .await
}
