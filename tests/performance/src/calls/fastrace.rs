//! `#[fastrace::trace]`. Its properties are strings, and include the source location.

use std::hint::black_box;

use fastrace::collector::SpanContext;
use fastrace::future::FutureExt as _;
use fastrace::{Span, trace};

use super::{plain, plain_async};

macro_rules! steps {
    ($($name:literal $function:literal $function_async:literal $sync:ident / $asynchronous:ident => $next:path, $next_async:path;)*) => {
        $(
            #[trace(name = $name, properties = {
                "code.function.name": $function,
                "code.file.path": "tests/performance/src/calls/fastrace.rs",
                "code.line.number": "14",
                "tenant_id": "{tenant_id}",
                "order_no": "{order_no}"
            })]
            fn $sync(tenant_id: &str, order_no: i64) -> usize {
                $next(tenant_id, order_no)
            }

            #[trace(name = $name, properties = {
                "code.function.name": $function_async,
                "code.file.path": "tests/performance/src/calls/fastrace.rs",
                "code.line.number": "25",
                "tenant_id": "{tenant_id}",
                "order_no": "{order_no}"
            })]
            async fn $asynchronous(tenant_id: &str, order_no: i64) -> usize {
                $next_async(tenant_id, order_no).await
            }
        )*
    };
}
steps! {
    "step_2" "throughline_performance::calls::fastrace::step_2" "throughline_performance::calls::fastrace::step_2_async"
        step_2 / step_2_async => step_3, step_3_async;
    "step_3" "throughline_performance::calls::fastrace::step_3" "throughline_performance::calls::fastrace::step_3_async"
        step_3 / step_3_async => step_4, step_4_async;
    "step_4" "throughline_performance::calls::fastrace::step_4" "throughline_performance::calls::fastrace::step_4_async"
        step_4 / step_4_async => step_5, step_5_async;
    "step_5" "throughline_performance::calls::fastrace::step_5" "throughline_performance::calls::fastrace::step_5_async"
        step_5 / step_5_async => step_6, plain_async;
    "step_6" "throughline_performance::calls::fastrace::step_6" "throughline_performance::calls::fastrace::step_6_async"
        step_6 / step_6_async => plain, plain_async;
}

/// The outermost span of a request. fastrace has no attribute for a root span.
fn request_root(tenant_id: &str, order_no: i64) -> Span {
    Span::root("step_1", SpanContext::random()).with_properties(|| {
        [
            ("code.function.name", "throughline_performance::calls::fastrace::step_1".into()),
            ("code.file.path", file!().into()),
            ("code.line.number", std::borrow::Cow::from("54")),
            ("tenant_id", tenant_id.to_owned().into()),
            ("order_no", order_no.to_string().into()),
        ]
    })
}

pub(super) fn request(tenant_id: &str, order_no: i64) -> usize {
    let root = request_root(tenant_id, order_no);
    let _local = root.set_local_parent();
    step_2(tenant_id, order_no)
}

pub(super) async fn request_async(tenant_id: &str, order_no: i64) -> usize {
    let root = request_root(tenant_id, order_no);
    step_2_async(tenant_id, order_no).in_span(root).await
}

pub(super) fn leaf(tenant_id: &str, order_no: i64) -> usize {
    step_6(tenant_id, order_no)
}

pub(super) async fn leaf_async(tenant_id: &str, order_no: i64) -> usize {
    step_6_async(tenant_id, order_no).await
}

#[trace(name = "step_yielding", properties = {
    "code.function.name": "throughline_performance::calls::fastrace::leaf_yielding",
    "code.file.path": "tests/performance/src/calls/fastrace.rs",
    "code.line.number": "83",
    "tenant_id": "{tenant_id}",
    "order_no": "{order_no}"
})]
pub(super) async fn leaf_yielding(tenant_id: &str, order_no: i64) -> usize {
    super::yielding(tenant_id, order_no).await
}

pub(super) fn root<R>(work: impl FnOnce() -> R) -> R {
    let root = Span::root("step_root", SpanContext::random());
    let _local = root.set_local_parent();
    work()
}

#[trace(name = "step_nested", properties = {
    "code.function.name": "throughline_performance::calls::fastrace::nested",
    "code.file.path": "tests/performance/src/calls/fastrace.rs",
    "code.line.number": "91",
    "depth": "{depth}"
})]
pub(super) fn nested(depth: usize, work: &mut dyn FnMut()) {
    if depth > 1 { nested(depth - 1, work) } else { work() }
}

#[trace(name = "step_waiting", properties = {
    "code.function.name": "throughline_performance::calls::fastrace::waiting",
    "code.file.path": "tests/performance/src/calls/fastrace.rs",
    "code.line.number": "101",
    "tenant_id": "{tenant_id}",
    "order_no": "{order_no}"
})]
pub(super) async fn waiting(tenant_id: &str, order_no: i64) {
    std::future::pending::<()>().await;
}

#[trace(name = "step_tagged", properties = {
    "code.function.name": "throughline_performance::calls::fastrace::untagged",
    "code.file.path": "tests/performance/src/calls/fastrace.rs",
    "code.line.number": "111"
})]
fn untagged(value: i64) {
    black_box(value);
}

macro_rules! tagged {
    ($($count:literal => $name:ident($($tag:ident)*);)*) => {
        $(
            fn $name(value: i64) {
                let _span = fastrace::local::LocalSpan::enter_with_local_parent("step_tagged").with_properties(|| {
                    [
                        ("code.function.name", concat!(module_path!(), "::", stringify!($name)).into()),
                        ("code.file.path", file!().into()),
                        ("code.line.number", std::borrow::Cow::from("113")),
                        $((stringify!($tag), value.to_string().into()),)*
                    ]
                });
                black_box(value);
            }
        )*

        pub(super) fn tagged(tags: usize, value: i64) {
            match tags {
                0 => untagged(value),
                $($count => $name(value),)*
                _ => panic!("no function with {tags} tags"),
            }
        }
    };
}
super::for_each_number_of_tags!(tagged);
