//! No prelude, and every name that generated code might use has another meaning.

#![no_implicit_prelude]
#![allow(
    dead_code,
    non_camel_case_types,
    unused_macros,
    unused_variables,
    clippy::async_yields_async,
    clippy::manual_async_fn,
    clippy::needless_pass_by_value,
    clippy::unused_async,
    clippy::unused_self,
    reason = "they are there to be in the way"
)]

use ::throughline::testing::Capture;
use ::throughline::{biz_tags, traced, traced_spawn};

mod std {}
mod core {}
mod alloc {}
mod tokio {}
mod opentelemetry {}
mod futures {}
struct Result;
struct Option;
struct String;
struct Box;
struct Vec;
struct Ok;
struct Err;
struct Some;
struct None;
struct Send;
struct Sync;
struct Sized;
struct Drop;
struct Fn;
struct FnOnce;
struct Future;
struct Iterator;
struct IntoIterator;
struct Into;
struct From;
struct Clone;
struct Copy;
struct Default;
struct Debug;
struct Display;
struct ToString;
struct Pin;
struct Context;
struct Poll;
struct Value;
struct KeyValue;
struct SpanKind;
struct Infallible;
struct JoinHandle;
struct Tag;
struct Tags;
type u8 = ();
type i64 = ();
type bool = ();
type str = ();

macro_rules! concat {
    ($($any:tt)*) => {
        compile_error!("shadowed")
    };
}
macro_rules! module_path {
    ($($any:tt)*) => {
        compile_error!("shadowed")
    };
}
macro_rules! stringify {
    ($($any:tt)*) => {
        compile_error!("shadowed")
    };
}

// The crate's own name, too: generated paths are absolute.
mod throughline {}

type Number = ::core::primitive::u64;
type Text = ::std::string::String;
type Answer<T> = ::core::result::Result<T, Text>;

#[traced(kind = server, ret, err = debug, tags(number, text = number))]
#[biz_tags(tenant = tenant else "nobody", debugged = ?number, required(mask(phone = text.as_str())))]
fn plain(number: Number, tenant: ::core::option::Option<Text>, text: Text) -> Answer<Number> {
    if number > 9 {
        return Answer::Err(text);
    }
    Answer::Ok(number)
}

#[biz_tags(number)]
#[traced(root, ret = debug)]
async fn later(number: Number, (left, _): (Number, Text)) -> Answer<Number> {
    let number = plain(number, ::core::option::Option::None, Text::new())?;
    Answer::Ok(number + left)
}

#[biz_tags(number)]
fn tagged(mut number: Number) -> Number {
    number += 1;
    number
}

#[biz_tags(number)]
async fn tagged_later(number: Number) -> impl ::core::future::Future<Output = Number> {
    async move { number }
}

#[traced]
fn future(number: Number) -> impl ::core::future::Future<Output = Number> {
    async move { number }
}

#[traced]
fn boxed(number: Number) -> ::core::pin::Pin<::std::boxed::Box<dyn ::core::future::Future<Output = Number>>> {
    ::std::boxed::Box::pin(async move { number })
}

#[traced(stream)]
fn stream(number: Number) -> impl ::futures::Stream<Item = Number> {
    ::futures::stream::once(future(number))
}

#[traced(stream)]
async fn stream_later(number: Number) -> impl ::futures::Stream<Item = Number> {
    ::futures::stream::once(future(number))
}

#[traced]
#[track_caller]
fn in_place(number: Number) -> ::core::primitive::u32 {
    ::core::panic::Location::caller().line()
}

#[traced]
fn function(number: Number) -> impl ::core::ops::Fn(&::core::primitive::str) -> Number {
    move |text| text.len() as Number + number
}

#[traced]
fn never(number: Number) -> ! {
    ::std::panic!("never {number}")
}

#[traced]
async fn never_later(number: Number) -> ! {
    ::std::panic!("never {number}")
}

#[traced_spawn]
async fn job(number: Number, text: Text) -> Answer<Number> {
    Answer::Err(text)
}

#[traced_spawn(on = handle)]
#[biz_tags(number)]
async fn job_on(handle: ::tokio::runtime::Handle, number: Number) -> Number {
    number
}

#[biz_tags(number)]
#[traced_spawn(blocking, link)]
fn blocking(number: Number) -> Number {
    number
}

#[traced_spawn(thread, root)]
fn thread(number: Number) -> Number {
    number
}

#[traced_spawn(local)]
async fn local(number: Number) -> Number {
    number
}

struct Block(Number);

#[traced(tags(inside = self.0))]
impl Block {
    fn method(&self) -> Number {
        self.0
    }

    #[biz_tags(number)]
    async fn method_later(&mut self, number: Number) -> &mut Number {
        self.0 += number;
        &mut self.0
    }

    #[traced_spawn]
    async fn method_detached(self: ::std::sync::Arc<Self>) -> Number {
        self.0
    }

    #[traced(skip)]
    fn skipped(&self) {}
}

#[test]
fn all_generated_paths_resolve() {
    let capture = Capture::new();
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    let set = ::tokio::task::LocalSet::new();
    let work = capture.run_async(async {
        use ::futures::StreamExt as _;

        ::std::assert_eq!(later(1, (2, Text::new())).await, Answer::Ok(3));
        ::std::assert_eq!(tagged(1), 2);
        ::std::assert_eq!(tagged_later(1).await.await, 1);
        ::std::assert_eq!(boxed(1).await, 1);
        ::std::assert_eq!(::std::pin::pin!(stream(1)).next().await, ::core::option::Option::Some(1));
        ::std::assert_eq!(::std::pin::pin!(stream_later(1).await).next().await, ::core::option::Option::Some(1));
        ::std::assert_eq!(in_place(1), ::std::line!());
        ::std::assert_eq!(function(1)("ab"), 3);
        ::std::assert!(job(1, ::std::borrow::ToOwned::to_owned("bad")).await.unwrap().is_err());
        ::std::assert_eq!(job_on(::tokio::runtime::Handle::current(), 1).await.unwrap(), 1);
        ::std::assert_eq!(blocking(1).await.unwrap(), 1);
        ::std::assert_eq!(thread(1).join().unwrap(), 1);
        ::std::assert_eq!(local(1).await.unwrap(), 1);
        let mut block = Block(1);
        block.skipped();
        ::std::assert_eq!(block.method() + *block.method_later(1).await, 3);
        ::std::assert_eq!(::std::sync::Arc::new(block).method_detached().await.unwrap(), 2);
    });
    runtime.block_on(set.run_until(work));
    ::std::assert_eq!(capture.open(), 0);
    ::std::assert_eq!(
        capture.span("plain").attribute("tenant"),
        ::core::option::Option::Some(&<::opentelemetry::Value as ::core::convert::From<_>>::from("nobody"))
    );
    ::std::assert!(capture.span("job").is_error());
}

#[test]
fn a_function_that_never_returns_panics() {
    let capture = Capture::new();
    let caught = |f: &dyn ::core::ops::Fn()| ::std::panic::catch_unwind(::std::panic::AssertUnwindSafe(f)).is_err();
    ::std::assert!(caught(&|| capture.run(|| never(1))));
    let later = || ::futures::executor::block_on(capture.run_async(async { never_later(2).await }));
    ::std::assert!(caught(&|| later()));
    ::std::assert_eq!(capture.tree(), "never !panicked: never 1\nnever_later !panicked: never 2");
}
