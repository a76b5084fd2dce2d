//! Names jobs after the functions that create them.

use std::any::type_name;

/// The name of the function that a future or closure originates from; otherwise the name of its type.
pub(super) fn function_name<F>() -> &'static str {
    last_name(type_name::<F>())
}

/// Prefixes of wrapper futures, whose first generic argument is or identifies the inner future.
const WRAPPERS: [&str; 14] = [
    "throughline::span::function::TracedFuture<",
    "throughline::span::instrumented::Instrumented<",
    "throughline::span::builder::SpanBuilder::run_async<",
    "throughline::span::builder::SpanBuilder::try_run_async<",
    "tracing::instrument::Instrumented<",
    "tracing::instrument::WithDispatch<",
    "tokio::time::timeout::Timeout<",
    "tokio::task::coop::unconstrained::Unconstrained<",
    "opentelemetry::context::future_ext::WithContext<",
    "tokio_util::task::task_tracker::TrackedFuture<",
    "tokio_util::sync::cancellation_token::CancellationToken::run_until_cancelled_owned<",
    "async_compat::Compat<",
    "core::panic::unwind_safe::AssertUnwindSafe<",
    "core::future::poll_fn::PollFn<",
];

/// Modules of `futures_util` with wrapper futures. Most are combinators such as `Map` and `AndThen`.
const FUTURES: [&str; 5] =
    ["future::future::", "future::try_future::", "future::lazy::", "future::poll_fn::", "abortable::"];

/// The generic arguments of a wrapper future.
fn wrapped(path: &str) -> Option<&str> {
    let Some(path) = path.strip_prefix("futures_util::") else {
        return WRAPPERS.iter().find_map(|wrapper| path.strip_prefix(wrapper));
    };
    let (wrapper, arguments) = path.split_once('<')?;
    // The argument of `RemoteHandle` is the result.
    let is_wrapper = FUTURES.iter().any(|module| wrapper.starts_with(module)) && !wrapper.ends_with("Handle");
    is_wrapper.then_some(arguments)
}

/// `receipt` for `app::orders::receipt<u8>::{{closure}}`, which is the future of `receipt` or a block in it, and
/// `handle` for `<app::Orders as app::Handler>::handle::{{closure}}`.
fn last_name(path: &str) -> &str {
    let mut path = path;
    for pointer in ["core::pin::Pin<", "alloc::boxed::Box<"] {
        path = path.strip_prefix(pointer).and_then(|path| path.strip_suffix('>')).unwrap_or(path);
    }
    // The arguments of an annotated function's future are closures of that function; that of a future in a span is the
    // future itself.
    if let Some(arguments) = wrapped(path) {
        return last_name(first_argument(arguments));
    }
    // The concrete type is unknown.
    if path.starts_with("dyn ") {
        return "job";
    }
    // Generic arguments contain paths of their own.
    let (mut name, mut start, mut depth) = ("", 0, 0_usize);
    for (at, byte) in path.bytes().enumerate() {
        let is_arrow = at > 0 && path.as_bytes()[at - 1] == b'-';
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if is_arrow => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 => {
                name = named(&path[start..at]).unwrap_or(name);
                start = at + 1;
            }
            _ => {}
        }
    }
    named(&path[start..]).unwrap_or(name)
}

/// The first of a list of generic arguments, which may have generic arguments of their own.
fn first_argument(arguments: &str) -> &str {
    let (mut depth, mut before) = (0_usize, 0);
    let end = arguments.bytes().position(|byte| {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if before == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        before = byte;
        byte == b',' && depth == 0
    });
    // A single argument is followed by the closing bracket.
    let arguments = if end.is_none() { arguments.strip_suffix('>').unwrap_or(arguments) } else { arguments };
    &arguments[..end.unwrap_or(arguments.len())]
}

/// A path segment without its generic arguments, if it is a name.
fn named(part: &str) -> Option<&str> {
    part.split('<').next().filter(|name| !name.is_empty() && !name.starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_after_its_function() {
        for (path, name) in [
            ("app::orders::receipt::{{closure}}", "receipt"),
            ("app::receipt<app::Wrap<u8>, fn(u8) -> u8>::{{closure}}::{{closure}}", "receipt"),
            ("app::Wrap<app::Order>::receipt::{{closure}}", "receipt"),
            ("app::receipt<fn(u8) -> app::Order>::{{closure}}", "receipt"),
            ("<app::Orders as app::Handler>::handle::{{closure}}", "handle"),
            ("<app::Wrap<dyn Fn(u8) -> app::Order> as app::Handler<[u8; 3]>>::handle<u8>::{{closure}}", "handle"),
            ("core::pin::Pin<alloc::boxed::Box<app::receipt::{{closure}}>>", "receipt"),
            ("core::pin::Pin<alloc::boxed::Box<dyn core::future::future::Future<Output = ()> + Send>>", "job"),
            ("alloc::boxed::Box<app::receipt::{{closure}}>", "receipt"),
            (
                "throughline::span::function::TracedFuture<app::main::{{closure}}::receipt<u8, (u8, u8)>::{{closure}}, \
                 app::main::{{closure}}::receipt<u8, (u8, u8)>::{{closure}}::{{closure}}>",
                "receipt",
            ),
            (
                "throughline::span::instrumented::Instrumented<app::later::{{closure}}::{{closure}}, \
                 throughline::span::instrumented::OutputObserver<app::later::{{closure}}>>",
                "later",
            ),
            ("throughline::span::builder::SpanBuilder::run_async<app::main::{{closure}}>::{{closure}}", "main"),
            (
                "throughline::span::instrumented::Instrumented<app::Wrap<fn(u8) -> u8, u8>::later::{{closure}}, ()>",
                "later",
            ),
            ("tracing::instrument::Instrumented<app::receipt<(u8, u8)>::{{closure}}>", "receipt"),
            ("tracing::instrument::WithDispatch<tracing::instrument::Instrumented<app::a::{{closure}}>>", "a"),
            ("tokio::time::timeout::Timeout<core::pin::Pin<alloc::boxed::Box<app::receipt::{{closure}}>>>", "receipt"),
            ("opentelemetry::context::future_ext::WithContext<app::receipt::{{closure}}>", "receipt"),
            ("tokio_util::task::task_tracker::TrackedFuture<app::receipt::{{closure}}>", "receipt"),
            (
                "tokio_util::sync::cancellation_token::CancellationToken::run_until_cancelled_owned<\
                 app::receipt::{{closure}}>::{{closure}}",
                "receipt",
            ),
            ("futures_util::abortable::Abortable<app::receipt::{{closure}}>", "receipt"),
            ("futures_util::future::future::remote_handle::Remote<app::receipt::{{closure}}>", "receipt"),
            ("async_compat::Compat<app::receipt::{{closure}}>", "receipt"),
            ("futures_util::future::future::Map<app::receipt::{{closure}}, app::main::{{closure}}>", "receipt"),
            (
                "futures_util::future::try_future::AndThen<futures_util::future::try_future::MapErr<\
                 app::receipt::{{closure}}, app::main::{{closure}}>, app::charge::{{closure}}, app::main::{{closure}}>",
                "receipt",
            ),
            (
                "futures_util::future::future::catch_unwind::CatchUnwind<core::panic::unwind_safe::AssertUnwindSafe<\
                 app::receipt::{{closure}}>>",
                "receipt",
            ),
            ("futures_util::future::future::shared::Shared<app::receipt::{{closure}}>", "receipt"),
            ("futures_util::future::future::remote_handle::RemoteHandle<u8>", "RemoteHandle"),
            ("futures_util::future::join_all::JoinAll<app::receipt::{{closure}}>", "JoinAll"),
            ("futures_util::future::lazy::Lazy<app::main::{{closure}}>", "main"),
            ("core::future::poll_fn::PollFn<app::main::{{closure}}::{{closure}}>", "main"),
            ("tokio::task::coop::unconstrained::Unconstrained<app::receipt::{{closure}}>", "receipt"),
            ("tokio::time::timeout::Timeout<core::future::ready::Ready<()>>", "Ready"),
            ("core::future::ready::Ready<()>", "Ready"),
            ("(u8, u8)", "(u8, u8)"),
        ] {
            assert_eq!(last_name(path), name, "{path}");
        }
    }
}
