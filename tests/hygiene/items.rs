//! Items with common names. In a pattern, the name of a constant, a static, a unit struct or a variant refers to that
//! item instead of a new variable; and a method of a blanket trait is found before one that requires a dereference.

use throughline::testing::Capture;

/// All shapes, in the scope of the items that `$items` declares with the names.
macro_rules! in_scope_of {
    ($($module:ident: $items:ident,)*) => {$(
        mod $module {
            #![allow(
                dead_code,
                non_upper_case_globals,
                unused_imports,
                unused_macros,
                reason = "they are there to be in the way"
            )]

            use std::future::{Future, ready};
            use std::pin::Pin;

            use futures::Stream;
            use throughline::{Snapshot, biz_tags, traced, traced_spawn};

            $items! {
                result tags value span attached outcome scope error state job handle this body future stream
                guard context parent link name kind fill callsite call argument returned seen
                arg0 arg1 arg2 arg3 _span _result _value _tags _guard __self fallback key
            }

            type Answer = Result<u64, String>;

            #[traced(ret, err = debug, tags(n, more = n + 1, either = m else 0))]
            #[biz_tags(required(k), propagate(hash(l)))]
            pub(super) fn plain(n: u64, m: Option<u64>, (k, _): (u64, u8), _: &str, (l, mut p): (u64, u64)) -> Answer {
                p += n;
                if p == 0 { Err(String::new()) } else { Ok(p + m.unwrap_or(k) + l) }
            }

            #[traced(parent = origin, links = &others, ret = debug, tags(p))]
            pub(super) async fn later(origin: Snapshot, others: Vec<Snapshot>, (p, _): (u64, u8), _: String) -> Answer {
                Ok(p)
            }

            #[biz_tags(n, m, propagate(k))]
            pub(super) fn tagged((n, _): (u64, u8), m: u64, mut k: u64) -> u64 {
                k += 1;
                n + m + k
            }

            #[biz_tags(n)]
            pub(super) async fn tagged_later((n, _): (u64, u8), _: String) -> u64 {
                n
            }

            #[traced(ret)]
            pub(super) fn a_future(n: u64, _: String) -> impl Future<Output = u64> {
                ready(n)
            }

            #[traced(ret)]
            pub(super) fn boxed(n: u64, _: String) -> Pin<Box<dyn Future<Output = u64>>> {
                Box::pin(ready(n))
            }

            #[traced(stream, tags(n))]
            pub(super) fn a_stream((n, _): (u64, u8)) -> impl Stream<Item = u64> {
                futures::stream::iter([n])
            }

            #[traced(stream)]
            pub(super) async fn a_stream_later((n, _): (u64, u8)) -> impl Stream<Item = u64> {
                futures::stream::iter([n])
            }

            #[traced(ret, tags(n))]
            #[track_caller]
            pub(super) fn in_place(n: u64, _: String) -> u64 {
                n
            }

            #[traced]
            pub(super) fn a_function(n: u64) -> impl Fn(&str) -> u64 {
                move |text| text.len() as u64 + n
            }

            #[traced]
            pub(super) fn never(_: String) -> ! {
                std::panic::resume_unwind(Box::new("never"))
            }

            #[traced]
            #[track_caller]
            pub(super) fn never_in_place(_: String) -> ! {
                std::panic::resume_unwind(Box::new("never"))
            }

            #[traced_spawn(tags(n), parent = origin)]
            #[biz_tags(required(m))]
            pub(super) async fn detached(origin: Snapshot, (n, _): (u64, u8), m: u64, _: String) -> Answer {
                Ok(n + m)
            }

            #[traced_spawn(blocking, ret, tags(n))]
            pub(super) fn blocking((n, _): (u64, u8), _: String) -> Answer {
                Ok(n)
            }

            #[traced_spawn(thread, tags(n))]
            pub(super) fn thread((n, _): (u64, u8)) -> u64 {
                n
            }

            #[traced_spawn(on = runtime)]
            pub(super) async fn on(runtime: tokio::runtime::Handle, (n, _): (u64, u8)) -> u64 {
                n
            }

            pub(super) struct Order(pub(super) u64);

            #[traced(tags(number = self.0))]
            impl Order {
                #[biz_tags(n)]
                pub(super) fn by_value(mut self, (n, _): (u64, u8), _: String) -> u64 {
                    self.0 += n;
                    self.0
                }

                pub(super) async fn by_reference(&mut self, n: u64) -> &mut u64 {
                    self.0 += n;
                    &mut self.0
                }
            }
        }
    )*

        #[tokio::test]
        async fn items_do_not_interfere() {
            use futures::StreamExt as _;

            $({
                let capture = Capture::new();
                let text = String::new;
                capture.run_async(async {
                    use self::$module as it;

                    assert_eq!(it::plain(1, None, (2, 0), "", (3, 4)), Ok(10));
                    let origin = throughline::Snapshot::capture();
                    assert_eq!(it::later(origin.clone(), vec![], (1, 0), text()).await, Ok(1));
                    assert_eq!(it::tagged((1, 0), 2, 3), 7);
                    assert_eq!(it::tagged_later((1, 0), text()).await, 1);
                    assert_eq!(it::a_future(1, text()).await + it::boxed(2, text()).await, 3);
                    assert_eq!(it::a_stream((1, 0)).count().await, 1);
                    assert_eq!(it::a_stream_later((1, 0)).await.count().await, 1);
                    assert_eq!(it::in_place(1, text()), 1);
                    assert_eq!(it::a_function(1)("a"), 2);
                    assert_eq!(it::detached(origin, (1, 0), 2, text()).await.unwrap(), Ok(3));
                    assert_eq!(it::blocking((1, 0), text()).await.unwrap(), Ok(1));
                    assert_eq!(it::thread((1, 0)).join().unwrap(), 1);
                    assert_eq!(it::on(tokio::runtime::Handle::current(), (1, 0)).await.unwrap(), 1);
                    let mut order = it::Order(1);
                    assert_eq!(*order.by_reference(1).await, 2);
                    assert_eq!(order.by_value((1, 0), text()), 3);
                })
                .await;
                let span = capture.span("plain");
                let number = |key| span.attribute(key).map(ToString::to_string).unwrap_or_default();
                assert_eq!(["n", "more", "either", "k", "throughline.return"].map(number), ["1", "2", "0", "2", "10"], stringify!($module));
                assert_eq!(capture.open(), 0);
            })*
        }
    };
}

macro_rules! constants {
    ($($name:ident)*) => {$(const $name: u8 = 0;)*};
}
macro_rules! statics {
    ($($name:ident)*) => {$(static $name: u8 = 0;)*};
}
macro_rules! unit_structs {
    ($($name:ident)*) => {$(#[allow(non_camel_case_types, reason = "a name of a variable")] struct $name;)*};
}
macro_rules! tuple_structs {
    ($($name:ident)*) => {$(#[allow(non_camel_case_types, reason = "a name of a variable")] struct $name(u8);)*};
}
macro_rules! variants {
    ($($name:ident)*) => {
        #[allow(non_camel_case_types, reason = "names of variables")]
        enum Every {
            $($name,)*
        }
        use self::Every::*;
    };
}
macro_rules! functions {
    ($($name:ident)*) => {$(fn $name() -> u8 { 0 })*};
}
macro_rules! macros {
    ($($name:ident)*) => {$(macro_rules! $name { () => { compile_error!("not this one") }; })*};
}
macro_rules! modules {
    ($($name:ident)*) => {$(mod $name {})*};
}
macro_rules! methods {
    ($($name:ident)*) => {
        /// Methods of every value, including references.
        trait Every: Sized {
            $(fn $name(self) -> u8 { 0 })*
            fn add(self) -> u8 { 0 }
            fn start(self) -> u8 { 0 }
            fn with(self) -> u8 { 0 }
            fn run(self) -> u8 { 0 }
            fn future_of(self) -> u8 { 0 }
            fn stream_of(self) -> u8 { 0 }
            fn stream_after(self) -> u8 { 0 }
            fn enter(self) -> u8 { 0 }
            fn exit(self) -> u8 { 0 }
            fn root(self) -> u8 { 0 }
            fn links(self) -> u8 { 0 }
            fn detach(self) -> u8 { 0 }
            fn spawn(self) -> u8 { 0 }
            fn spawn_on(self) -> u8 { 0 }
            fn spawn_blocking(self) -> u8 { 0 }
            fn spawn_thread(self) -> u8 { 0 }
            fn propagate(self) -> u8 { 0 }
            fn required(self) -> u8 { 0 }
            fn or(self) -> u8 { 0 }
            fn hash(self) -> u8 { 0 }
            fn mask(self) -> u8 { 0 }
            fn display(self) -> u8 { 0 }
            fn debug(self) -> u8 { 0 }
            fn off(self) -> u8 { 0 }
            fn ok(self) -> u8 { 0 }
        }

        impl<T> Every for T {}
    };
}

in_scope_of! {
    beside_constants: constants,
    beside_statics: statics,
    beside_unit_structs: unit_structs,
    beside_tuple_structs: tuple_structs,
    beside_variants: variants,
    beside_functions: functions,
    beside_macros: macros,
    beside_modules: modules,
    beside_methods: methods,
}
