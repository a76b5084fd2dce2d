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
        .with(|__span| __span.parent(&message.context))
        .with(|__span| __span.links(&*others))
        .start_with(|__tags| {
            __tags
                .collect(
                    "length",
                    false,
                    |__tags| ::throughline::__private::put(
                        __tags,
                        "length",
                        false,
                        &message.body.len(),
                    ),
                );
            __tags.add_value("attempt", &attempt);
        })
        .__run(
            move || -> Result<usize, String> {
                let (message, attempt) = (message, attempt);
                let (_, _) = (&message, &attempt);
                match () {
                    () => Ok(message.body.len() + others.len()),
                }
            },
            move |__result| {
                ::throughline::__private::inspect(__result)
                    .__debug()
                    .returned(|| {
                        ::throughline::__private::inspect(__result)
                            .__value()
                            .and_then(|__value| ::throughline::__private::value(__value))
                    })
            },
        )
}
fn every_hour(
    before: &Context,
) -> impl ::throughline::__private::Future<Output = Option<u64>> {
    ::throughline::__private::future(
        move || {
            (
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
                    .with(|__span| __span.link(&before))
                    .start_with(|_| {}),
                ::throughline::__private::with_output(
                    || -> Option<u64> { ::throughline::__private::returns() },
                    async move {
                        if false {
                            let __returned: Option<u64> = ::throughline::__private::returns();
                            return __returned;
                        }
                        match () {
                            () => before.get::<u64>().copied(),
                        }
                    },
                ),
            )
        },
        move |__result| {
            ::throughline::__private::inspect(__result)
                .__off()
                .returned(|| {
                    ::throughline::__private::inspect(__result)
                        .__value()
                        .and_then(|__value| ::throughline::__private::debug(__value))
                })
        },
    )
}
